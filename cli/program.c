// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lane.h"
#include "proc.h"
#include "program.h"
#include "util.h"

#define HOG	"hog"

static void cpus_of(int node, struct nodes *cpus)
{
	char *list = read_file("/sys/devices/system/node/node%d/cpulist", node);

	if (!list || !nodes_parse(list, cpus))
		errx(EXIT_FAILURE, "node %d has no CPUs: choose one of /sys/devices/system/node/has_cpu", node);
	free(list);
}

static void run_on(int node)
{
	struct nodes cpus;
	cpu_set_t *set;
	size_t size, i;

	cpus_of(node, &cpus);
	set = CPU_ALLOC(cpus.id[cpus.count - 1] + 1);
	if (!set)
		errx(EXIT_FAILURE, "out of memory");
	size = CPU_ALLOC_SIZE(cpus.id[cpus.count - 1] + 1);
	CPU_ZERO_S(size, set);
	for (i = 0; i < cpus.count; i++)
		CPU_SET_S(cpus.id[i], size, set);
	if (sched_setaffinity(0, size, set))
		err(EXIT_FAILURE, "cannot run on the CPUs of node %d", node);
	CPU_FREE(set);
	nodes_free(&cpus);
}

/* The kernel reads one bit less than it is told. */
static void allocate_on(int node)
{
	const size_t bits = sizeof(unsigned long) * CHAR_BIT;
	unsigned long *mask = xcalloc((size_t)node / bits + 1, sizeof(*mask));

	mask[(size_t)node / bits] |= 1UL << (size_t)node % bits;
	if (syscall(SYS_set_mempolicy, MPOL_BIND, mask, ((size_t)node / bits + 1) * bits + 1))
		err(EXIT_FAILURE, "cannot allocate on node %d", node);
	free(mask);
}

static void place(const struct program *program)
{
	int status = program->policy ? policy_take(program->policy) : EXIT_SUCCESS;

	if (status)
		exit(status);
	if (program->cpu_node != NODE_REAL)
		run_on(program->cpu_node);
	if (program->data_node != NODE_REAL)
		allocate_on(program->data_node);
}

/* This command's own directory goes first: there are the workloads after a build. */
static char *find(const char *name)
{
	char path[PATH_MAX], *beside;
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (length < 0 || strchr(name, '/'))
		return xstrdup(name);
	path[length] = '\0';
	slash = strrchr(path, '/');
	beside = xformat("%.*s/%s", (int)(slash - path), path, name);
	if (!access(beside, X_OK))
		return beside;
	free(beside);
	return xstrdup(name);
}

static void name_control(int commands, int answers)
{
	char *names = xformat("/proc/self/fd/%d,/proc/self/fd/%d", commands, answers);

	fcntl(commands, F_SETFD, 0);
	fcntl(answers, F_SETFD, 0);
	setenv("WORKLOAD_CONTROL", names, 1);
	free(names);
}

static _Noreturn void be_child(const struct program *program, int go, int commands, int answers)
{
	char *path = find(program->argv[0]), byte, **argv;
	size_t count = 0;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	place(program);
	name_control(commands, answers);
	if (read(go, &byte, 1) != 1)
		_exit(EXIT_FAILURE);
	dup2(program->output, STDOUT_FILENO);
	while (program->argv[count])
		count++;
	argv = xcalloc(count + 1, sizeof(*argv));
	memcpy(argv, program->argv, count * sizeof(*argv));
	argv[0] = path;
	_exit(become(argv));
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		err(EXIT_FAILURE, "cannot make a pipe");
}

struct child program_prepare(const struct program *program)
{
	int go[2], commands[2], answers[2];
	struct child child;

	make_pipe(go);
	make_pipe(commands);
	make_pipe(answers);
	fflush(NULL);
	child.pid = fork();
	if (child.pid < 0)
		err(EXIT_FAILURE, "cannot start '%s'", program->argv[0]);
	if (!child.pid) {
		close(go[1]);
		be_child(program, go[0], commands[1], answers[0]);
	}
	close(go[0]);
	close(commands[1]);
	close(answers[0]);
	child.go = go[1];
	child.commands = commands[0];
	child.answers = answers[1];
	return child;
}

/* One that failed already says so at its end. */
void program_go(struct child *child)
{
	if (write(child->go, "", 1) != 1 && errno != EPIPE)
		err(EXIT_FAILURE, "cannot start the program");
	close(child->go);
}

void program_end(struct child *child, const char *name, const char *where)
{
	int status;

	while (waitpid(child->pid, &status, 0) < 0)
		if (errno != EINTR)
			err(EXIT_FAILURE, "cannot wait for '%s'", name);
	close(child->commands);
	close(child->answers);
	if (WIFSIGNALED(status))
		errx(EXIT_FAILURE, "'%s' was ended by signal %d in lane %s: nothing is reported",
		     name, WTERMSIG(status), where);
	if (WEXITSTATUS(status))
		errx(EXIT_FAILURE, "'%s' failed with status %d in lane %s: nothing is reported; --verbose shows its output",
		     name, WEXITSTATUS(status), where);
}

static uint64_t count_cpus(int node)
{
	struct nodes cpus;
	uint64_t count;

	cpus_of(node, &cpus);
	count = cpus.count;
	nodes_free(&cpus);
	return count;
}

static bool says_ready(int output)
{
	char text[6];
	size_t size = 0;
	ssize_t got;

	while (size < sizeof(text)) {
		got = read(output, text + size, sizeof(text) - size);
		if (got <= 0)
			return false;
		size += (size_t)got;
	}
	return !memcmp(text, "ready ", sizeof(text));
}

struct child load_start(const struct load *load, int node, const char *where, int *output)
{
	char *nodes = xformat("%d", node), *threads;
	char *argv[] = { HOG, "--nodes", nodes, "--threads", NULL, NULL, NULL, NULL };
	struct program program = {
		.argv = argv, .cpu_node = node, .data_node = node,
	};
	struct child child;
	int ends[2];

	threads = xformat("%llu", (unsigned long long)(load->threads ?: count_cpus(node)));
	argv[4] = threads;
	if (load->size) {
		argv[5] = "--size";
		argv[6] = (char *)load->size;
	}
	make_pipe(ends);
	program.output = ends[1];
	child = program_prepare(&program);
	close(ends[1]);
	free(threads);
	free(nodes);
	*output = ends[0];
	program_go(&child);
	if (!says_ready(*output)) {
		program_end(&child, HOG, where);
		errx(EXIT_FAILURE, "'" HOG "' ended at once in lane %s: nothing is reported", where);
	}
	return child;
}

/* Its last words fit into the pipe, which has to be there for them. */
void load_stop(struct child *child, const char *where, int output)
{
	kill(child->pid, SIGTERM);
	program_end(child, HOG, where);
	close(output);
}
