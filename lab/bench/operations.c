// SPDX-License-Identifier: GPL-2.0
/*
 * A few operations of the kernel between marks, for the QEMU plugin of count.c. Print a line
 * "OPERATION ROUNDS UNITS" for each: so many intervals, of so many calls or pages.
 *
 * usage: operations [after|under POLICY]    a page-table policy to use and drop before, or to keep
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mark.h"

#define MEMORY	(8UL << 20)
#define PAGE	4096UL
#define PAGES	(MEMORY / PAGE)
#define ROUNDS	30

static char *memory;
static int to_child[2], to_parent[2];

static void map(void)
{
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	madvise(memory, MEMORY, MADV_NOHUGEPAGE);
}

static void unmap(void)
{
	munmap(memory, MEMORY);
}

static void populate(void)
{
	if (madvise(memory, MEMORY, MADV_POPULATE_WRITE))
		err(1, "MADV_POPULATE_WRITE");
}

static void map_and_populate(void)
{
	map();
	populate();
}

static void touch(void)
{
	for (unsigned long i = 0; i < PAGES; i++)
		((volatile char *)memory)[i * PAGE] = 1;
}

static void read_only(void)
{
	if (mprotect(memory, MEMORY, PROT_READ))
		err(1, "mprotect");
}

static void writable(void)
{
	if (mprotect(memory, MEMORY, PROT_READ | PROT_WRITE))
		err(1, "mprotect");
}

static void make_read_only(void)
{
	map_and_populate();
	read_only();
}

static void reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		err(1, "fork");
	if (WIFEXITED(status) && WEXITSTATUS(status))
		errx(1, "a child failed");
}

static void fork_exit(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	reap(pid);
}

static void exec(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/proc/self/exe", "operations", "--exit", NULL);
		_exit(1);
	}
	reap(pid);
}

static void yield(void)
{
	for (int i = 0; i < 1000; i++)
		sched_yield();
}

static void ping_pong(void)
{
	char byte = 0;

	for (int i = 0; i < 1000; i++)
		if (write(to_child[1], &byte, 1) != 1 || read(to_parent[0], &byte, 1) != 1)
			err(1, "pipe");
}

static void nothing(void)
{
}

static const struct operation {
	const char *name;
	void (*before)(void), (*run)(void), (*after)(void);
	unsigned long units;
} operations[] = {
	{ "fork+exit",		nothing,		fork_exit,		nothing,	1 },
	{ "exec",		nothing,		exec,			nothing,	1 },
	{ "mmap+populate",	nothing,		map_and_populate,	unmap,		PAGES },
	{ "page-fault",		map,			touch,			unmap,		PAGES },
	{ "mprotect-read",	map_and_populate,	read_only,		unmap,		PAGES },
	{ "mprotect-write",	make_read_only,		writable,		unmap,		PAGES },
	{ "munmap",		map_and_populate,	unmap,			nothing,	PAGES },
	{ "switch",		nothing,		yield,			nothing,	1000 },
	{ "pipe",		nothing,		ping_pong,		nothing,	1000 },
};

static void measure(const struct operation *op)
{
	for (int i = 0; i < ROUNDS; i++) {
		op->before();
		mark(MARK_BEGIN);
		op->run();
		mark(MARK_END);
		op->after();
	}
	printf("%s %d %lu\n", op->name, ROUNDS, op->units);
}

/* A partner on the same CPU, which gives way to whoever yields and answers each byte. */
static pid_t start_partner(void (*serve)(void))
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (;;)
		serve();
}

static void echo(void)
{
	char byte;

	if (read(to_child[0], &byte, 1) != 1 || write(to_parent[1], &byte, 1) != 1)
		_exit(0);
}

static void give_way(void)
{
	sched_yield();
}

static void write_policy(const char *policy)
{
	int fd = open("/proc/self/pgtable_policy", O_WRONLY);

	if (fd < 0 || write(fd, policy, strlen(policy)) < 0)
		err(1, "policy '%s'", policy);
	close(fd);
}

static int hooks_are_active(void)
{
	int fd = open("/sys/kernel/mm/mitosis/active", O_RDONLY);
	char active;

	if (fd < 0 || read(fd, &active, 1) != 1)
		err(1, "/sys/kernel/mm/mitosis/active");
	close(fd);
	return active == '1';
}

/* The switch back to code without hooks is deferred. */
static void drop_policy(void)
{
	map_and_populate();
	unmap();
	write_policy("none");
	for (int i = 0; hooks_are_active(); i++) {
		if (i == 60)
			errx(1, "the hooks are still active a minute after the policy was dropped");
		sleep(1);
	}
}

int main(int argc, char **argv)
{
	cpu_set_t first;

	if (argc > 1 && !strcmp(argv[1], "--exit"))
		return 0;
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first) || pipe(to_child) || pipe(to_parent))
		err(1, "cannot set up");
	if (argc == 3) {
		write_policy(argv[2]);
		if (!strcmp(argv[1], "after"))
			drop_policy();
	}
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		pid_t partner = 0;

		if (operations[i].run == yield)
			partner = start_partner(give_way);
		if (operations[i].run == ping_pong)
			partner = start_partner(echo);
		measure(&operations[i]);
		if (partner) {
			kill(partner, SIGKILL);
			reap(partner);
		}
	}
	return 0;
}
