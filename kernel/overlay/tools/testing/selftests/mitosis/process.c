// SPDX-License-Identifier: GPL-2.0
/* fork, vfork, CLONE_VM, exec, exit, and access from other processes. */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "mitosis_test.h"

#define SIZE	(MB / 2)

SETTING(children, 40, "children that process bomb starts")

struct family {
	char *p;
	int *stage;
	char policy[512];
};

static struct family new_family(void)
{
	struct family family = { .p = map_anon(SIZE, PAGE), .stage = new_stage() };

	get_policy(SELF, family.policy, sizeof(family.policy));
	fill(family.p, SIZE, 1);
	return family;
}

static void keep_own_copy(void *arg)
{
	struct family *family = arg;

	expect_policy(SELF, family->policy);
	check_roots();
	set_stage(family->stage, 1);
	await_stage(family->stage, 2);
	expect_filled(family->p, SIZE, 1);
	fill(family->p, SIZE, 3);
	expect_filled(family->p, SIZE, 3);
	check_tables(SELF);
	set_stage(family->stage, 3);
	await_stage(family->stage, 4);
	expect_filled(family->p, SIZE, 3);
}

/* The parent's copies must have lost write access too, or the child sees what it writes. */
TEST(fork_copies_on_write)
{
	struct family family = new_family();
	pid_t pid = start_child(keep_own_copy, &family);

	await_stage(family.stage, 1);
	check_tables(SELF);
	fill(family.p, SIZE, 2);
	set_stage(family.stage, 2);
	await_stage(family.stage, 3);
	expect_filled(family.p, SIZE, 2);
	set_stage(family.stage, 4);
	end_child(pid);
	fill(family.p, SIZE, 5);
	expect_filled(family.p, SIZE, 5);
}

static void write_shared(void *arg)
{
	struct family *family = arg;

	expect_filled(family->p, SIZE, 1);
	fill(family->p, SIZE, 2);
	set_stage(family->stage, 1);
	await_stage(family->stage, 2);
	expect_filled(family->p, SIZE, 3);
}

TEST(fork_shares_shared_memory)
{
	struct family family = new_family();
	pid_t pid;

	family.p = map(SIZE, PMD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	fill(family.p, SIZE, 1);
	pid = start_child(write_shared, &family);
	await_stage(family.stage, 1);
	expect_filled(family.p, SIZE, 2);
	fill(family.p, SIZE, 3);
	set_stage(family.stage, 2);
	end_child(pid);
}

static void fork_and_check(const struct member *member, void *arg)
{
	struct family *family = arg;
	pid_t pid = check_ok(fork());
	int status;

	(void)member;
	if (!pid) {
		bool same = filled_here(family->p, SIZE, 1);

		fill_here(family->p, SIZE / 8, 2);
		_exit(!same);
	}
	check_eq(waitpid(pid, &status, 0), pid);
	check_eq(status, 0);
}

TEST(fork_from_all_nodes)
{
	struct family family = new_family();

	for (int i = 0; i < 3; i++)
		on_all(fork_and_check, &family);
	expect_filled(family.p, SIZE, 1);
}

/* Run @run in a process that shares this one's memory. */
static void clone_and_wait(int (*run)(void *), void *arg, int flags)
{
	char *stack = map_anon(64 * 1024, PAGE);
	int status;
	pid_t pid = check_ok(clone(run, stack + 64 * 1024, flags | CLONE_VM | SIGCHLD, arg));

	check_eq(waitpid(pid, &status, 0), pid);
	check_eq(status, 0);
	unmap(stack, 64 * 1024);
}

/* Shares the parent's thread-local memory: keep to system calls. */
static int write_on_all_nodes(void *arg)
{
	for (int i = 0; i < nr_crew; i++) {
		pin_to_cpu(crew[i].cpu);
		fill_here((char *)arg + i * 16 * PAGE, 16 * PAGE, i);
	}
	return 0;
}

static void check_shared_writes(int flags)
{
	char *p = map_anon(nr_crew * 16 * PAGE, PAGE);

	clone_and_wait(write_on_all_nodes, p, flags);
	for (int i = 0; i < nr_crew; i++)
		expect_filled(p + i * 16 * PAGE, 16 * PAGE, i);
}

TEST(vfork_shares_memory)
{
	check_shared_writes(CLONE_VFORK);
}

TEST(clone_shares_memory)
{
	check_shared_writes(0);
}

/* The program after exec: its policy must be the one in the second argument. */
static int after_exec(int argc, char **argv)
{
	char *p;

	check(argc == 2);
	expect_policy(SELF, argv[1]);
	crew_start();
	check_roots();
	p = map_anon(SIZE, PAGE);
	fill(p, SIZE, 1);
	expect_filled(p, SIZE, 1);
	check_tables(SELF);
	return 0;
}

static void exec_with_policy(void *arg)
{
	struct family *family = arg;

	fail("exec: %s", strerror(exec_self("report", family->policy)));
}

TEST(exec_keeps_policy)
{
	struct family family = new_family();

	end_child(start_child(exec_with_policy, &family));
}

static void __attribute__((constructor)) set_exec_handler(void)
{
	on_exec = after_exec;
}

static void write_for_ever(const struct member *member, void *arg)
{
	(void)member;
	for (unsigned int seed = 0;; seed++)
		fill_here(arg, SIZE, seed);
}

static void exit_while_writing(void *arg)
{
	struct family *family = arg;

	crew_begin(write_for_ever, family->p);
	usleep(20000);
}

TEST(exit_while_others_write)
{
	struct family family = new_family();

	for (int i = 0; i < 5; i++)
		end_child(start_child(exit_while_writing, &family));
	expect_filled(family.p, SIZE, 1);
}

static void be_killed(void *arg)
{
	struct family *family = arg;

	crew_begin(write_for_ever, family->p);
	set_stage(family->stage, 1);
	pause();
}

TEST(killed_while_others_write)
{
	struct family family = new_family();
	pid_t pid = start_child(be_killed, &family);

	await_stage(family.stage, 1);
	usleep(20000);
	check_ok(kill(pid, SIGKILL));
	check_eq(waitpid(pid, NULL, 0), pid);
	expect_filled(family.p, SIZE, 1);
}

/* Many short lives leave nothing behind. */
TEST(bomb)
{
	struct family family = new_family();
	long before = replica_bytes_of_all();

	for (int i = 0; i < children.value; i++) {
		pid_t pid = check_ok(fork());

		if (!pid) {
			pin_to_cpu(crew[i % nr_crew].cpu);
			fill_here(family.p, 16 * PAGE, i);
			_exit(0);
		}
		if (i >= 8)
			check_ok(wait(NULL));
	}
	while (wait(NULL) > 0)
		;
	check_eq(errno, ECHILD);
	expect_no_leak(before);
	expect_filled(family.p, SIZE, 1);
}

static void see_writes_from_outside(void *arg)
{
	struct family *family = arg;

	expect_filled(family->p, SIZE, 1);
	set_stage(family->stage, 1);
	await_stage(family->stage, 2);
	expect_filled(family->p, SIZE, 2);
	check_tables(SELF);
}

/* Have a child see on all nodes what @write puts into its memory. */
static void write_from_outside(void (*write)(pid_t pid, char *p, const char *data))
{
	struct family family = new_family();
	char *data = map_anon(SIZE, PAGE);
	pid_t pid = start_child(see_writes_from_outside, &family);

	await_stage(family.stage, 1);
	fill(data, SIZE, 2);
	write(pid, family.p, data);
	set_stage(family.stage, 2);
	end_child(pid);
	expect_filled(family.p, SIZE, 1);
}

static void write_with_ptrace(pid_t pid, char *p, const char *data)
{
	int status;

	check_ok(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	check_ok(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	check_eq(waitpid(pid, &status, 0), pid);
	for (size_t page = 0; page < SIZE / PAGE; page++) {
		size_t offset = page * PAGE + page * 8 % PAGE;
		long word;

		memcpy(&word, data + offset, sizeof(word));
		check_ok(ptrace(PTRACE_POKEDATA, pid, p + offset, word));
	}
	check_ok(ptrace(PTRACE_DETACH, pid, NULL, NULL));
}

TEST(ptrace_writes)
{
	write_from_outside(write_with_ptrace);
}

static void write_with_mem(pid_t pid, char *p, const char *data)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = check_ok(open(path, O_RDWR));
	check_eq(pwrite(fd, data, SIZE, (off_t)p), SIZE);
	close(fd);
}

TEST(proc_mem_writes)
{
	write_from_outside(write_with_mem);
}

static void write_with_vm_writev(pid_t pid, char *p, const char *data)
{
	struct iovec local = { (void *)data, SIZE }, remote = { p, SIZE };

	check_eq(process_vm_writev(pid, &local, 1, &remote, 1, 0), SIZE);
}

TEST(process_vm_writes)
{
	write_from_outside(write_with_vm_writev);
}

static bool barriers_done;

static void spin_until_done(const struct member *member, void *arg)
{
	(void)member;
	(void)arg;
	while (!__atomic_load_n(&barriers_done, __ATOMIC_RELAXED))
		__builtin_ia32_pause();
}

TEST(barriers)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0))
		skip("membarrier: %s", strerror(errno));
	crew_begin(spin_until_done, NULL);
	for (int i = 0; i < 50; i++)
		check_ok(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	__atomic_store_n(&barriers_done, true, __ATOMIC_RELAXED);
	crew_end();
}
