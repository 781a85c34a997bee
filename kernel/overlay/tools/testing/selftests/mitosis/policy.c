// SPDX-License-Identifier: GPL-2.0
/* /proc/PID/pgtable_policy and /sys/kernel/mm/mitosis/: requests, errors, rights, inheritance. */
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mitosis_test.h"

#define NOBODY	65534
#define SYSTEM	"/sys/kernel/mm/mitosis/"

SETTING(races, 15, "processes that end while their policy is set")

static void need_mitosis(void)
{
	if (without_mitosis)
		skip("is about policies");
}

static void list_of_full_nodes(char *text)
{
	const struct nodes *full = full_nodes();

	for (int i = 0; i < full->nr; i++) {
		int last = i;

		while (last + 1 < full->nr && full->id[last + 1] == full->id[last] + 1)
			last++;
		text += sprintf(text, "%s%d", i ? "," : "", full->id[i]);
		if (last > i)
			text += sprintf(text, "-%d", full->id[last]);
		i = last;
	}
}

/* Return what 'replicate all' is read back as. */
static const char *all_nodes(void)
{
	static char text[4096] = "replicate ";

	list_of_full_nodes(text + strlen("replicate "));
	return text;
}

static bool in_force_in(pid_t pid, const char *policy)
{
	struct pgtables tables = read_pgtables(pid);
	bool same = !strcmp(tables.effective, policy);

	free_pgtables(&tables);
	return same;
}

static bool in_force(const char *policy)
{
	return in_force_in(SELF, policy);
}

static void expect_effective(const char *expected)
{
	struct pgtables tables = read_pgtables(SELF);

	if (strcmp(tables.effective, expected))
		fail("in force is '%s', not '%s'", tables.effective, expected);
	free_pgtables(&tables);
}

/* What was set is read back, and in force. */
TEST(read_back, .bare = true)
{
	char bind[32], one[32];
	const char *all = all_nodes();
	int node = full_nodes()->id[full_nodes()->nr - 1];

	need_mitosis();
	snprintf(bind, sizeof(bind), "bind %d", node);
	snprintf(one, sizeof(one), "replicate %d", node);
	expect_policy(SELF, "default");
	for (int round = 0; round < 2; round++) {
		must_set_policy(SELF, all);
		expect_policy(SELF, all);
		expect_effective(all);
		must_set_policy(SELF, bind);
		expect_policy(SELF, bind);
		expect_effective(bind);
		must_set_policy(SELF, one);
		expect_policy(SELF, one);
		expect_effective(one);
		must_set_policy(SELF, "none");
		expect_policy(SELF, "none");
		expect_effective("none");
		must_set_policy(SELF, "default");
		expect_policy(SELF, "default");
	}
}

TEST(newline_is_optional, .bare = true)
{
	need_mitosis();
	must_set_policy(SELF, "none\n");
	expect_policy(SELF, "none");
	must_set_policy(SELF, "replicate all\n");
	expect_effective(all_nodes());
}

/* Errors. Nothing is changed by a request that is refused. */

static int write_bytes(const char *bytes, size_t length)
{
	int fd = check_ok(open("/proc/self/pgtable_policy", O_WRONLY | O_CLOEXEC)), error = 0;

	if (write(fd, bytes, length) < 0)
		error = errno;
	close(fd);
	return error;
}

static void expect_error(const char *bytes, size_t length, int expected)
{
	char before[4096];
	int error;

	get_policy(SELF, before, sizeof(before));
	error = write_bytes(bytes, length);
	if (error != expected)
		fail("'%.40s' gives '%s', not '%s'", bytes, strerror(error), strerror(expected));
	expect_policy(SELF, before);
	check_tables(SELF);
}

static void expect_all_errors(void)
{
	static const char * const malformed[] = {
		"\n", " ", "x", "bogus", "NONE", "nonee", "none x", "none 0", "default 0", "defaults",
		"bind", "bind ", "bind x", "bind -1", "bind 0-1", "bind 0 1", "bind 0x0", "bind 99999",
		"bind 4294967296", "bind all", "replicate", "replicate ", "replicate x", "replicate 0-",
		"replicate -", "replicate 3-1", "replicate 99999", "replicate 0-99999",
		"replicate 0;1", "replicate", "replicate all all", "replicateall", "none\nnone\n",
		"none\nreplicate all",
	};

	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
		expect_error(malformed[i], strlen(malformed[i]), EINVAL);
	expect_error("none\0none", 9, EINVAL);
	expect_error("none\0", 5, EINVAL);
}

TEST(malformed)
{
	need_mitosis();
	expect_all_errors();
}

TEST(malformed_by_default, .bare = true)
{
	need_mitosis();
	expect_all_errors();
	expect_policy(SELF, "default");
}

TEST(overlong_line)
{
	static char line[8192];
	int length;

	need_mitosis();
	memset(line, 'x', sizeof(line));
	expect_error(line, 4096, E2BIG);
	expect_error(line, sizeof(line), E2BIG);
	expect_error(line, 4095, EINVAL);
	/* The longest valid line. */
	length = sprintf(line, "replicate %d", full_nodes()->id[0]);
	while (length + 2 < 4095)
		length += sprintf(line + length, ",%d", full_nodes()->id[0] % 10);
	check_eq(write_bytes(line, length), 0);
	memset(line + length, ' ', sizeof(line) - length);
	expect_error(line, 4096, E2BIG);
}

TEST(unreadable_line)
{
	void *p = map(PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	int fd;

	need_mitosis();
	must_set_policy(SELF, "none");
	fd = check_ok(open("/proc/self/pgtable_policy", O_WRONLY));
	check_eq(write(fd, p, 4), -1);
	check_eq(errno, EFAULT);
	expect_policy(SELF, "none");
}

TEST(node_that_is_not_there)
{
	char text[64];
	int node = 0;

	need_mitosis();
	for (; node < 64; node++) {
		snprintf(text, sizeof(text), "/sys/devices/system/node/node%d", node);
		if (!exists(text))
			break;
	}
	if (node == 64)
		skip("64 nodes are there");
	snprintf(text, sizeof(text), "bind %d", node);
	expect_error(text, strlen(text), ENODEV);
	snprintf(text, sizeof(text), "replicate %d,%d", full_nodes()->id[0], node);
	expect_error(text, strlen(text), ENODEV);
}

/* A node without memory or CPUs cannot be the only one. */
TEST(node_that_is_not_full)
{
	char text[64], online[4096];
	struct nodes nodes;
	int node = -1;

	need_mitosis();
	check(read_file("/sys/devices/system/node/online", online, sizeof(online)) > 0);
	nodes = parse_nodes(online);
	for (int i = 0; i < nodes.nr; i++)
		if (!has_node(full_nodes(), nodes.id[i]))
			node = nodes.id[i];
	if (node < 0)
		skip("all nodes have CPUs and memory");
	snprintf(text, sizeof(text), "replicate %d", node);
	expect_error(text, strlen(text), ENODEV);
	snprintf(text, sizeof(text), "replicate %d,%d", full_nodes()->id[0], node);
	must_set_policy(SELF, text);
	snprintf(text, sizeof(text), "replicate %d", full_nodes()->id[0]);
	expect_effective(text);
}

/* Rights */

/* Become an ordinary user whose files in /proc are its own, as after an exec. */
static void become(uid_t uid)
{
	check_ok(setresgid(uid, uid, uid));
	check_ok(setresuid(uid, uid, uid));
	check_ok(prctl(PR_SET_DUMPABLE, 1));
}

static int run_in_child(void (*run)(void *arg), void *arg)
{
	pid_t pid = check_ok(fork());
	int status;

	if (!pid) {
		run(arg);
		_exit(0);
	}
	check_eq(waitpid(pid, &status, 0), pid);
	check(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void set_own_as_nobody(void *arg)
{
	(void)arg;
	become(NOBODY);
	must_set_policy(SELF, "replicate all");
	must_set_policy(SELF, "none");
	expect_policy(SELF, "none");
}

TEST(user_may_steer_own_process)
{
	need_mitosis();
	check_eq(run_in_child(set_own_as_nobody, NULL), 0);
}

static void open_others_as_nobody(void *arg)
{
	char path[64];

	become(NOBODY);
	snprintf(path, sizeof(path), "/proc/%d/pgtable_policy", *(pid_t *)arg);
	check(open(path, O_WRONLY) < 0);
	check_eq(errno, EACCES);
	check(open(path, O_RDWR) < 0);
	check_eq(errno, EACCES);
	snprintf(path, sizeof(path), "/proc/%d/numa_pgtables", *(pid_t *)arg);
	check(open(path, O_RDONLY) < 0);
	check_eq(errno, EACCES);
}

TEST(user_may_not_steer_others)
{
	pid_t self = getpid();
	char before[4096];

	need_mitosis();
	get_policy(SELF, before, sizeof(before));
	check_eq(run_in_child(open_others_as_nobody, &self), 0);
	expect_policy(SELF, before);
}

static void steer_sibling_as_nobody(void *arg)
{
	become(NOBODY);
	must_set_policy(*(pid_t *)arg, "replicate all");
	expect_policy(*(pid_t *)arg, all_nodes());
}

static pid_t start_sleeper(uid_t uid)
{
	int *stage = new_stage();
	pid_t pid = check_ok(fork());

	if (!pid) {
		if (uid)
			become(uid);
		set_stage(stage, 1);
		for (;;)
			pause();
	}
	await_stage(stage, 1);
	return pid;
}

static void end_sleeper(pid_t pid)
{
	check_ok(kill(pid, SIGKILL));
	check_eq(waitpid(pid, NULL, 0), pid);
}

TEST(user_may_steer_other_process_of_own)
{
	pid_t pid;

	need_mitosis();
	pid = start_sleeper(NOBODY);
	check_eq(run_in_child(steer_sibling_as_nobody, &pid), 0);
	check_tables(pid);
	end_sleeper(pid);
}

/* The opener's rights count, not those of whoever holds the descriptor later. */
static void write_inherited_as_nobody(void *arg)
{
	become(NOBODY);
	check_eq(write(*(int *)arg, "none", 4), 4);
}

TEST(rights_are_checked_at_open)
{
	pid_t pid;
	char path[64];
	int fd;

	need_mitosis();
	pid = start_sleeper(0);
	snprintf(path, sizeof(path), "/proc/%d/pgtable_policy", (int)pid);
	fd = check_ok(open(path, O_WRONLY));
	check_eq(run_in_child(write_inherited_as_nobody, &fd), 0);
	expect_policy(pid, "none");
	end_sleeper(pid);
}

/* Descriptors that outlive what they were opened for */

TEST(descriptor_after_exit)
{
	pid_t pid;
	char path[64];
	int fd;

	need_mitosis();
	pid = start_sleeper(0);
	snprintf(path, sizeof(path), "/proc/%d/pgtable_policy", (int)pid);
	fd = check_ok(open(path, O_RDWR));
	end_sleeper(pid);
	check(write(fd, "none", 4) < 0);
	check_eq(errno, ESRCH);
	check_eq(set_policy(pid, "none"), ENOENT);
}

/* After exec: --exec stale FD tries a descriptor of the program before. */
static int try_stale_descriptor(int fd)
{
	check(write(fd, "replicate all", 13) < 0);
	check_eq(errno, ESRCH);
	expect_policy(SELF, "none");
	return 0;
}

static void exec_with_descriptor(void *arg)
{
	char number[16];
	int fd;

	(void)arg;
	must_set_policy(SELF, "none");
	fd = check_ok(open("/proc/self/pgtable_policy", O_WRONLY));
	snprintf(number, sizeof(number), "%d", fd);
	fail("exec: %s", strerror(exec_self("stale", number)));
}

TEST(descriptor_across_exec)
{
	need_mitosis();
	check_eq(run_in_child(exec_with_descriptor, NULL), 0);
}

/* The end of the pipe that an exec closes tells that it has happened. */
static void exec_and_wait(int end)
{
	check_ok(fcntl(end, F_SETFD, FD_CLOEXEC));
	fail("exec: %s", strerror(exec_self("wait", "")));
}

TEST(descriptor_of_one_that_execs)
{
	char path[64], byte;
	int ends[2], fd;
	pid_t pid;

	need_mitosis();
	check_ok(pipe(ends));
	pid = check_ok(fork());
	if (!pid) {
		close(ends[0]);
		check_eq(write(ends[1], "x", 1), 1);
		/* Not before the parent has opened the file. */
		kill(getpid(), SIGSTOP);
		exec_and_wait(ends[1]);
	}
	close(ends[1]);
	check_eq(read(ends[0], &byte, 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/pgtable_policy", (int)pid);
	fd = check_ok(open(path, O_RDWR));
	check_eq(write(fd, "none", 4), 4);
	check_eq(waitpid(pid, NULL, WUNTRACED), pid);
	check_ok(kill(pid, SIGCONT));
	check_eq(read(ends[0], &byte, 1), 0);
	check(write(fd, "replicate all", 13) < 0);
	check_eq(errno, ESRCH);
	expect_policy(pid, "none");
	check_ok(kill(pid, SIGKILL));
	check_eq(waitpid(pid, NULL, 0), pid);
}

/* An exec that gains privilege drops the policy. */

static void copy_self(const char *path)
{
	int from = check_ok(open("/proc/self/exe", O_RDONLY));
	int to = check_ok(open(path, O_WRONLY | O_CREAT | O_EXCL, 0755));
	struct stat info;

	check_ok(fstat(from, &info));
	check_eq(sendfile(to, from, NULL, info.st_size), info.st_size);
	check_ok(fchmod(to, 04755));
	close(to);
	close(from);
}

struct privileged_exec {
	const char *path, *policy, *then;
};

static void exec_as_nobody(void *arg)
{
	const struct privileged_exec *exec = arg;

	become(NOBODY);
	if (exec->policy)
		must_set_policy(SELF, exec->policy);
	execl(exec->path, "policy", "--exec", "-m", "privileged", exec->then, NULL);
	fail("exec %s: %s", exec->path, strerror(errno));
}

/* Without a policy: that of the parent is dropped. What has to be in force afterwards, if not empty. */
static void expect_policy_dropped(const char *policy, const char *then)
{
	char place[] = "/tmp/mitosis-XXXXXX", path[64];
	struct privileged_exec exec = { path, policy, then };
	int status;

	check(mkdtemp(place));
	check_ok(chmod(place, 0755));
	snprintf(path, sizeof(path), "%s/setuid", place);
	copy_self(path);
	status = run_in_child(exec_as_nobody, &exec);
	unlink(path);
	rmdir(place);
	if (status == 99)
		skip("/tmp gives no privilege to set-uid programs");
	check_eq(status, 0);
}

TEST(setuid_exec_drops_policy)
{
	need_mitosis();
	expect_policy_dropped("replicate all", "");
}

static bool hooks_active(void)
{
	return read_number(SYSTEM "active") != 0;
}

/* Nobody has a policy and the hooks are off. */
static void need_quiet_system(void)
{
	char policy[4096];

	check(read_file(SYSTEM "policy", policy, sizeof(policy)) > 0);
	if (strcmp(policy, "none"))
		skip("the system has a policy of its own");
	if (!wait_until(!hooks_active(), 30))
		fail("30 s after the last policy has gone the hooks are active");
}

/* 'none' is dropped as well, also by those who have it from a parent and while no hook is active. */
TEST(setuid_exec_drops_none, .bare = true, .timeout = 120)
{
	need_mitosis();
	need_quiet_system();
	expect_policy_dropped("none", "");
	must_set_policy(SELF, "none");
	expect_policy_dropped(NULL, "");
	check(!hooks_active());
}

/* Who has given up 'none' comes under the system's policy. */
TEST(setuid_exec_under_system_policy, .bare = true, .timeout = 120)
{
	need_mitosis();
	set_knob(SYSTEM "policy", "replicate all");
	expect_policy_dropped("none", all_nodes());
}

static int expect_dropped(const char *then)
{
	if (geteuid())
		return 99;
	expect_policy(SELF, "default");
	if (*then && !wait_until(in_force(then), 30))
		fail("30 s after a privileged exec '%s' is not in force", then);
	return 0;
}

static int expect_allowed(const char *effective)
{
	if (!wait_until(in_force(effective), 10))
		fail("the cpuset changed during an exec, and '%s' is in force", read_pgtables(SELF).effective);
	return 0;
}

static int after_exec(int argc, char **argv)
{
	check(argc == 2);
	if (!strcmp(argv[0], "stale"))
		return try_stale_descriptor(atoi(argv[1]));
	if (!strcmp(argv[0], "privileged"))
		return expect_dropped(argv[1]);
	if (!strcmp(argv[0], "allowed"))
		return expect_allowed(argv[1]);
	if (!strcmp(argv[0], "wait"))
		for (;;)
			pause();
	expect_policy(SELF, argv[1]);
	return 0;
}

static void __attribute__((constructor)) set_exec_handler(void)
{
	on_exec = after_exec;
}

/* Inheritance */

static void expect_same(void *arg)
{
	expect_policy(SELF, arg);
}

static void exec_and_expect_same(void *arg)
{
	fail("exec: %s", strerror(exec_self("same", arg)));
}

TEST(inherited_by_fork_and_exec, .bare = true)
{
	char policies[4][4096] = { "default", "none", "", "" };

	need_mitosis();
	snprintf(policies[2], sizeof(policies[2]), "bind %d", full_nodes()->id[0]);
	strcpy(policies[3], all_nodes());
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		must_set_policy(SELF, policies[i]);
		check_eq(run_in_child(expect_same, policies[i]), 0);
		check_eq(run_in_child(exec_and_expect_same, policies[i]), 0);
	}
}

/* cpusets */

static void need_cpuset(char *group, size_t size, const char *mems)
{
	need_nodes(2);
	need_cgroup(group, size);
	if (set_cgroup(group, "cpuset.mems", mems))
		skip("no cpuset controller for cgroups");
	check_eq(set_cgroup(group, "cgroup.procs", "0"), 0);
}

static void leave_cgroup(void)
{
	check_eq(write_file("/sys/fs/cgroup/cgroup.procs", "0"), 0);
}

TEST(cpuset_limits_nodes)
{
	int first = full_nodes()->id[0], last = full_nodes()->id[full_nodes()->nr - 1];
	char group[128], text[64], mems[4096];

	need_mitosis();
	snprintf(text, sizeof(text), "%d", first);
	need_cpuset(group, sizeof(group), text);
	snprintf(text, sizeof(text), "bind %d", last);
	expect_error(text, strlen(text), EPERM);
	snprintf(text, sizeof(text), "replicate %d,%d", first, last);
	expect_error(text, strlen(text), EPERM);
	must_set_policy(SELF, "replicate all");
	snprintf(text, sizeof(text), "replicate %d", first);
	expect_effective(text);
	/* A larger cpuset lets more of 'all' come into force. */
	list_of_full_nodes(mems);
	check_eq(set_cgroup(group, "cpuset.mems", mems), 0);
	if (!wait_until(in_force(all_nodes()), 10))
		fail("the policy does not follow the cpuset");
	check_tables(SELF);
	leave_cgroup();
}

/* A child that is born into another cpuset than its parent's. */
TEST(cpuset_of_child, .bare = true)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	char group[128], first[32], expected[64];
	int status;
	pid_t pid;

	need_mitosis();
	snprintf(first, sizeof(first), "%d", full_nodes()->id[0]);
	snprintf(expected, sizeof(expected), "replicate %s", first);
	need_cpuset(group, sizeof(group), first);
	leave_cgroup();
	must_set_policy(SELF, "replicate all");
	expect_effective(all_nodes());
	args.cgroup = check_ok(open(group, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	pid = check_ok(syscall(SYS_clone3, &args, sizeof(args)));
	if (!pid)
		_exit(!wait_until(in_force(expected), 10));
	check_eq(waitpid(pid, &status, 0), pid);
	if (status)
		fail("the child has not got the nodes of its cpuset");
	expect_effective(all_nodes());
	close(args.cgroup);
}

/* An exec that waits for its argument, which comes when the cpuset has changed. */
struct slow_exec {
	char group[128], first[32];
	char *text;	/* the argument: what has to be in force afterwards */
	char *argument;
	int fd;
};

static void *change_and_answer(void *arg)
{
	struct slow_exec *exec = arg;
	struct pollfd ready = { .fd = exec->fd, .events = POLLIN };
	struct uffd_msg message;

	check_eq(poll(&ready, 1, -1), 1);
	check_eq(read(exec->fd, &message, sizeof(message)), sizeof(message));
	check_eq(set_cgroup(exec->group, "cpuset.mems", exec->first), 0);
	uffd_copy(exec->fd, exec->argument, exec->text);
	return NULL;
}

static void exec_slowly(void *arg)
{
	struct slow_exec *exec = arg;
	pthread_t thread;

	exec->fd = uffd_open(0);
	uffd_register(exec->fd, exec->argument, PAGE, UFFDIO_REGISTER_MODE_MISSING);
	check(!pthread_create(&thread, NULL, change_and_answer, exec));
	fail("exec: %s", strerror(exec_self("allowed", exec->argument)));
}

TEST(cpuset_changes_during_exec, .bare = true)
{
	struct slow_exec exec;
	char mems[4096];

	need_mitosis();
	list_of_full_nodes(mems);
	need_cpuset(exec.group, sizeof(exec.group), mems);
	exec.argument = map_anon(PAGE, PAGE);
	exec.text = map_anon(PAGE, PAGE);
	snprintf(exec.first, sizeof(exec.first), "%d", full_nodes()->id[0]);
	snprintf(exec.text, PAGE, "replicate %s", exec.first);
	must_set_policy(SELF, "replicate all");
	expect_effective(all_nodes());
	check_eq(run_in_child(exec_slowly, &exec), 0);
	leave_cgroup();
}

/* The system's policy */

static void expect_refused_by_system(const char *text)
{
	char before[4096], after[4096];

	check(read_file(SYSTEM "policy", before, sizeof(before)) > 0);
	check_eq(write_file(SYSTEM "policy", text), EINVAL);
	check(read_file(SYSTEM "policy", after, sizeof(after)) > 0);
	check(!strcmp(before, after));
}

static void expect_system_policy(void *arg)
{
	(void)arg;
	crew_start();
	expect_policy(SELF, "default");
	expect_effective(all_nodes());
	check_roots();
	check_tables(SELF);
}

TEST(system_policy, .bare = true, .timeout = 180)
{
	need_mitosis();
	set_knob(SYSTEM "policy", "replicate all");
	if (!wait_until(in_force(all_nodes()), 30))
		fail("30 s after the system's policy has changed it is not in force here");
	check_eq(run_in_child(expect_system_policy, NULL), 0);
	check_tables(SELF);
	must_set_policy(SELF, "none");
	expect_effective("none");
	must_set_policy(SELF, "default");
	expect_effective(all_nodes());
	check_eq(write_file(SYSTEM "policy", "none"), 0);
	if (!wait_until(in_force("none"), 30))
		fail("30 s after the system's policy has gone it still is in force here");
	if (!wait_until(!verify(SELF).copies, 10))
		fail("10 s after the system's policy has gone %ld copies are left", verify(SELF).copies);
}

/*
 * The nodes of a cpuset that changed while no hook was active: its members have been looked at
 * before, so that the kernel knows what they were allowed then.
 */
TEST(system_policy_in_cpuset, .bare = true, .timeout = 120)
{
	char group[128], mems[4096], first[32], expected[64];
	double end;

	need_mitosis();
	list_of_full_nodes(mems);
	need_cpuset(group, sizeof(group), mems);
	need_quiet_system();
	expect_effective("none");
	/* A look holds the hooks for a while. */
	need_quiet_system();
	snprintf(first, sizeof(first), "%d", full_nodes()->id[0]);
	snprintf(expected, sizeof(expected), "replicate %s", first);
	check_eq(set_cgroup(group, "cpuset.mems", first), 0);
	set_knob(SYSTEM "policy", "replicate all");
	for (end = now() + 4; now() < end; usleep(20000))
		if (!in_force(expected) && !in_force("none") && !in_force(expected))
			fail("nodes outside of the cpuset are in force: %s",
			     read_pgtables(SELF).effective);
	expect_effective(expected);
	check_tables(SELF);
	leave_cgroup();
}

/* A process goes on after its main thread has ended; only a thread can be asked what it has. */
struct survivor {
	int ready, tid;
};

#define SURVIVOR_TABLES	128

static void *survive(void *arg)
{
	struct survivor *survivor = arg;

	survivor->tid = gettid();
	set_stage(&survivor->ready, 1);
	for (;;)
		pause();
	return NULL;
}

static void __attribute__((noreturn)) end_main_thread(struct survivor *survivor)
{
	char *p = map_anon(SURVIVOR_TABLES * PMD_SIZE, PMD_SIZE);
	pthread_t thread;

	for (size_t i = 0; i < SURVIVOR_TABLES; i++)
		fill_here(p + i * PMD_SIZE, PAGE, i);
	check(!pthread_create(&thread, NULL, survive, survivor));
	pthread_exit(NULL);
}

static bool main_thread_ended(pid_t pid)
{
	char path[64], text[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return read_file(path, text, sizeof(text)) > 0 && strrchr(text, ')') &&
	       strrchr(text, ')')[2] == 'Z';
}

TEST(system_policy_without_main_thread, .bare = true, .timeout = 120)
{
	struct survivor *survivor = (struct survivor *)new_stage();
	char status[96];
	long before;
	pid_t pid;

	need_mitosis();
	need_nodes(2);
	need_quiet_system();
	pid = check_ok(fork());
	if (!pid)
		end_main_thread(survivor);
	await_stage(&survivor->ready, 1);
	check(wait_until(main_thread_ended(pid), 10));
	snprintf(status, sizeof(status), "/proc/%d/task/%d/status", (int)pid, survivor->tid);
	before = read_field(status, "VmPTE");
	check(before >= SURVIVOR_TABLES * (long)PAGE / 1024);
	set_knob(SYSTEM "policy", "replicate all");
	if (!wait_until(read_field(status, "VmPTE") >=
			before + (full_nodes()->nr - 1) * SURVIVOR_TABLES * (long)PAGE / 1024, 20))
		fail("the page tables are %ld KB as before (%ld KB)", read_field(status, "VmPTE"), before);
	end_sleeper(pid);
}

/* Those who have 'none' from a parent keep it under a system's policy. */

static void expect_none(void *arg)
{
	(void)arg;
	expect_policy(SELF, "none");
	expect_effective("none");
	check_eq(verify(SELF).copies, 0);
}

static void expect_none_for_family(void *arg)
{
	expect_none(NULL);
	check_eq(run_in_child(expect_none, arg), 0);
	check_eq(run_in_child(exec_and_expect_same, "none"), 0);
}

static pid_t start_older_child(int *stage)
{
	pid_t pid = check_ok(fork());

	if (!pid) {
		await_stage(stage, 1);
		expect_none_for_family(NULL);
		_exit(0);
	}
	return pid;
}

TEST(none_is_inherited_under_system_policy, .bare = true, .timeout = 120)
{
	int *stage = new_stage();
	pid_t other, older;

	need_mitosis();
	other = start_sleeper(0);
	must_set_policy(SELF, "none");
	older = start_older_child(stage);
	set_knob(SYSTEM "policy", "replicate all");
	if (!wait_until(in_force_in(other, all_nodes()), 30))
		fail("30 s after the system's policy has changed it is not in force in a child");
	/* Who was missed at first is found a second later. */
	sleep(2);
	expect_none(NULL);
	check_eq(run_in_child(expect_none_for_family, NULL), 0);
	set_stage(stage, 1);
	end_child(older);
	must_set_policy(SELF, "default");
	check(wait_until(in_force(all_nodes()), 10));
	end_sleeper(other);
}

TEST(system_policy_malformed, .bare = true)
{
	static const char * const malformed[] = { "default", "bogus", "bind", "replicate", "replicate x" };

	need_mitosis();
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
		expect_refused_by_system(malformed[i]);
}

TEST(system_counters)
{
	static const char * const files[] = {
		"active", "processes", "replica_bytes", "grown", "shrunk", "fallbacks", "repairs",
	};
	char path[128];

	need_mitosis();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), SYSTEM "%s", files[i]);
		check(read_number(path) >= 0);
		check(write_file(path, "1") != 0);
	}
	check_eq(read_number(SYSTEM "active"), 1);
	check(read_number(SYSTEM "processes") >= 1);
}

/* Races */

static void switch_other(const struct member *member, void *arg)
{
	pid_t pid = *(pid_t *)arg;
	int error;

	do
		error = set_policy(pid, member->index % 2 ? "none" : "replicate all");
	while (!error);
	if (error != ESRCH && error != ENOENT && error != EACCES)
		fail("setting the policy of a process that ends: %s", strerror(error));
}

/* All nodes set the policy of a process that maps, unmaps and ends. */
TEST(writers_and_exit, .timeout = 120)
{
	need_mitosis();
	for (long i = 0; i < races.value; i++) {
		static pid_t pid;

		pid = check_ok(fork());
		if (!pid) {
			for (int j = 0; j < 20; j++) {
				char *p = map_anon(MB, PAGE);

				fill_here(p, MB / 8, j);
				if (!filled_here(p, MB / 8, j))
					_exit(1);
				unmap(p, MB);
			}
			_exit(0);
		}
		crew_begin(switch_other, &pid);
		end_child(pid);
		crew_end();
	}
}

static void alternate(const struct member *member, void *arg)
{
	for (int i = 0; i < 30; i++)
		must_set_policy(*(pid_t *)arg, (i + member->index) % 2 ? "none" : "replicate all");
}

TEST(two_writers)
{
	char policy[4096];
	pid_t pid;

	need_mitosis();
	pid = start_sleeper(0);
	on_all(alternate, &pid);
	get_policy(pid, policy, sizeof(policy));
	check(!strcmp(policy, "none") || !strcmp(policy, all_nodes()));
	check_tables(pid);
	end_sleeper(pid);
}

/* A file that counts freed tables is closed while the process is busy changing its policy. */
#define BUSY_TABLES	4096
#define CLOSES		24

static bool busy_ends;
static long busy_changes;

static void change_all_the_time(const struct member *member, void *arg)
{
	(void)arg;
	if (member->index)
		return;
	for (busy_changes = 0; !__atomic_load_n(&busy_ends, __ATOMIC_RELAXED); busy_changes++)
		must_set_policy(SELF, busy_changes % 2 ? "replicate all" : "none");
}

static double time_of_close(int fd)
{
	double start = now();

	close(fd);
	return now() - start;
}

/* If a close waited for the change that is under way, most closes would take a quarter of one. */
TEST(close_does_not_wait, .timeout = 120)
{
	char *p = map_anon(BUSY_TABLES * PMD_SIZE, PMD_SIZE);
	double start, change, times[CLOSES];
	int fds[CLOSES], slow = 0;

	need_mitosis();
	need_nodes(2);
	for (size_t i = 0; i < BUSY_TABLES; i++)
		fill_here(p + i * PMD_SIZE, PAGE, i);
	for (int i = 0; i < CLOSES; i++)
		fds[i] = check_ok(open("/proc/self/numa_pgtables", O_RDONLY | O_CLOEXEC));
	crew_begin(change_all_the_time, NULL);
	start = now();
	for (int i = 0; i < CLOSES; i++) {
		usleep(37000);
		times[i] = time_of_close(fds[i]);
	}
	/* A few more changes tell how long one takes. */
	usleep(500000);
	__atomic_store_n(&busy_ends, true, __ATOMIC_RELAXED);
	crew_end();
	check(busy_changes > 0);
	change = (now() - start) / busy_changes;
	for (int i = 0; i < CLOSES; i++)
		slow += times[i] > change / 4;
	note("%ld changes of %.0f ms; %d of %d closes took long", busy_changes, change * 1000, slow,
	     CLOSES);
	check(slow < CLOSES * 2 / 5);
	must_set_policy(SELF, test_policy);
}

/*
 * The hooks go off a while after the last policy has gone, though CPUs that are idle may keep the
 * root of a process that is over for much longer.
 */
static void live_on_all_nodes(void *arg)
{
	char *p = map_anon(MB, PAGE);

	must_set_policy(SELF, "replicate all");
	fill(p, MB, 1);
	expect_filled(p, MB, 1);
	if (!hooks_active())
		fail("a policy is in force and no hook is active");
	(void)arg;
}

TEST(hooks_go_off, .bare = true, .timeout = 120)
{
	need_mitosis();
	need_quiet_system();
	for (int i = 0; i < 4; i++)
		end_child(start_child(live_on_all_nodes, NULL));
	check(hooks_active());
	note("%ld bytes are left of processes that are over", replica_bytes_of_all());
	/* Sleep: this process shall not free the CPUs from their roots. */
	for (int i = 0; i < 20 && hooks_active(); i++)
		sleep(1);
	if (hooks_active())
		fail("20 s after the last process with a policy has ended the hooks are active, with %ld bytes of replicas",
		     replica_bytes_of_all());
	check_eq(replica_bytes_of_all(), 0);
	check_eq(read_number(SYSTEM "processes"), 0);
}

TEST(kernel_threads_have_none)
{
	need_mitosis();
	check_eq(set_policy(2, "none"), ESRCH);
}

/* The checker's files */

static int ask(const char *file, const char *question)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/debug/mitosis/%s", file);
	return write_file(path, question);
}

TEST(checker_refuses, .bare = true)
{
	char lengthy[128];

	memset(lengthy, '1', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	check_eq(ask("verify", "bogus"), EINVAL);
	check_eq(ask("verify", lengthy), EINVAL);
	check_eq(ask("verify", "4194305"), ESRCH);
	check_eq(ask("entry", "1"), EINVAL);
	check_eq(ask("entry", "4194305 0"), ESRCH);
	/* A kernel thread has no page table of its own. */
	check_eq(ask("verify", "2"), ESRCH);
}

/* No test in this guest has made the checker find anything, or the runner would have told. */
TEST(checker_has_found_nothing, .bare = true)
{
	char mutant[64] = "none";

	check_eq(read_number("/sys/kernel/debug/mitosis/findings"), 0);
	check(read_field("/sys/kernel/debug/mitosis/compared", "entries") >= 0);
	/* Of a kernel without planted bugs there is no such file. */
	read_file("/sys/kernel/debug/mitosis/mutant", mutant, sizeof(mutant));
	check(!strcmp(mutant, "none"));
}
