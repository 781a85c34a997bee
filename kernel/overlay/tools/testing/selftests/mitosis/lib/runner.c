// SPDX-License-Identifier: GPL-2.0
/* Run the tests of a program, each in a process of its own, and print KTAP. */
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../mitosis_test.h"
#include "runner.h"

#define EXIT_SKIP		4
#define SECONDS_TO_DIE	20
#define DEFAULT_TIMEOUT		60

/* Shared between the runner and the processes of a test. */
static struct shared {
	char reason[256];
} *shared;

static struct test *tests, **last_test = &tests;
static struct setting *settings;
static unsigned int slowness = 1;
static bool verbose;

const char *test_policy = "replicate all";
bool without_mitosis;

static int end_at_once(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

exec_handler on_exec = end_at_once;

void test_register(struct test *test)
{
	*last_test = test;
	last_test = &test->next;
}

void setting_register(struct setting *setting)
{
	setting->next = settings;
	settings = setting;
}

/* Print one line at once, so that lines of several processes do not mix. */
static void print_comment(const char *prefix, const char *format, va_list args)
{
	char line[2048];
	int length = snprintf(line, sizeof(line), "# %s", prefix);

	length += vsnprintf(line + length, sizeof(line) - length - 1, format, args);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	if (write(STDOUT_FILENO, line, length) != length)
		_exit(1);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_comment("", format, args);
	va_end(args);
}

void test_fail(const char *file, int line, const char *format, ...)
{
	char prefix[128];
	va_list args;

	snprintf(prefix, sizeof(prefix), "%s:%d: ", file, line);
	va_start(args, format);
	print_comment(prefix, format, args);
	va_end(args);
	_exit(1);
}

void test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(shared->reason, sizeof(shared->reason), format, args);
	va_end(args);
	_exit(EXIT_SKIP);
}

/* One test */

static void __attribute__((noreturn)) run_in_child(const struct test *test)
{
	setpgid(0, 0);
	if (!test->bare) {
		must_set_policy(SELF, test_policy);
		crew_start();
		check_roots();
	}
	test->run();
	if (!test->bare)
		check_tables(SELF);
	_exit(0);
}

/* Show where the threads of a process group are. */
static void note_stacks(pid_t group)
{
	char path[300], text[2048];
	glob_t tasks;

	if (glob("/proc/[0-9]*/task/[0-9]*", 0, NULL, &tasks))
		return;
	for (size_t i = 0; i < tasks.gl_pathc; i++) {
		char state;
		int pgrp;

		snprintf(path, sizeof(path), "%s/stat", tasks.gl_pathv[i]);
		if (read_file(path, text, sizeof(text)) <= 0 ||
		    sscanf(strrchr(text, ')'), ") %c %*d %d", &state, &pgrp) != 2 || pgrp != group)
			continue;
		snprintf(path, sizeof(path), "%s/stack", tasks.gl_pathv[i]);
		if (read_file(path, text, sizeof(text)) < 0)
			text[0] = '\0';
		for (char *line = text; (line = strchr(line, '\n')); line++)
			*line = ' ';
		note("%s %c %s", tasks.gl_pathv[i], state, text);
	}
	globfree(&tasks);
}

/* Return whether the process ended in time. */
static bool wait_for_end(pid_t pid, unsigned int seconds)
{
	struct pollfd end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool ended = poll(&end, 1, seconds * 1000) == 1;

	close(end.fd);
	return ended;
}

/* Many nodes at work on one page table take longer, more so if they are emulated. */
static unsigned int crowd(void)
{
	return full_nodes()->nr < 8 ? 1 : full_nodes()->nr / 4;
}

static int run_test(const struct test *test)
{
	unsigned int timeout = (test->timeout ? test->timeout : DEFAULT_TIMEOUT) * slowness * crowd();
	int log = open_log(), status;
	pid_t pid;

	mark_log(program_invocation_short_name, test->name);
	shared->reason[0] = '\0';
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		note("cannot fork: %s", strerror(errno));
		return 1;
	}
	if (!pid)
		run_in_child(test);
	setpgid(pid, pid);
	if (!wait_for_end(pid, timeout)) {
		note("%s: killed after %u s", test->name, timeout);
		note_stacks(pid);
	}
	kill(-pid, SIGKILL);
	/* With a broken page table even that may not end it, and the verdict is clear. */
	if (!wait_for_end(pid, SECONDS_TO_DIE * slowness)) {
		note("%s: cannot be killed", test->name);
		return 1;
	}
	waitpid(pid, &status, 0);
	undo_all();
	if (log_complains(log))
		status = 1 << 8;
	close(log);
	if (WIFSIGNALED(status))
		note("%s: ended by signal %d", test->name, WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The program */

static void usage(FILE *out)
{
	fprintf(out, "Usage: %s [options] [TEST...]\n"
		"Run the tests named (all by default; a trailing * stands for any end). Needs root.\n\n"
		" -l             list the tests\n"
		" -p POLICY      run them under this policy (default '%s')\n"
		" -n             run them on any kernel, without policies and checker: shows that the\n"
		"                tests themselves are right\n"
		" -v             say how long each takes\n"
		" -T FACTOR      allow FACTOR times as much time\n"
		" -o NAME=VALUE  change a setting\n"
		" -h             show this\n", program_invocation_short_name, test_policy);
	if (settings)
		fputs("\nSettings:\n", out);
	for (struct setting *setting = settings; setting; setting = setting->next)
		fprintf(out, " %-14s %s (default %ld)\n", setting->name, setting->help, setting->value);
}

static bool change_setting(const char *text)
{
	size_t length = strcspn(text, "=");

	for (struct setting *setting = settings; setting; setting = setting->next)
		if (strlen(setting->name) == length && !strncmp(setting->name, text, length) && text[length]) {
			setting->value = atol(text + length + 1);
			return true;
		}
	fprintf(stderr, "%s: no setting '%s', see -h\n", program_invocation_short_name, text);
	return false;
}

static bool matches(const char *name, const char *wanted)
{
	size_t length = strlen(wanted);

	if (length && wanted[length - 1] == '*')
		return !strncmp(name, wanted, length - 1);
	return !strcmp(name, wanted);
}

static bool wanted(const struct test *test, char **filters)
{
	if (!*filters)
		return true;
	for (; *filters; filters++)
		if (matches(test->name, *filters))
			return true;
	return false;
}

static int list_tests(char **filters)
{
	for (struct test *test = tests; test; test = test->next)
		if (wanted(test, filters))
			puts(test->name);
	return 0;
}

/* Return why no test can run here, or NULL. */
static const char *cannot_run(void)
{
	if (geteuid())
		return "needs root";
	if (without_mitosis)
		return NULL;
	if (!exists("/proc/self/pgtable_policy"))
		return "this kernel has no /proc/PID/pgtable_policy (CONFIG_MITOSIS)";
	if (!exists("/sys/kernel/debug/mitosis/verify"))
		return "no checker: debugfs not mounted, or no CONFIG_MITOSIS_DEBUG";
	return NULL;
}

static int run_tests(char **filters)
{
	int number = 0, passed = 0, failed = 0, skipped = 0;
	const char *reason = cannot_run();

	for (struct test *test = tests; test; test = test->next)
		number += wanted(test, filters);
	if (!number) {
		fprintf(stderr, "%s: no such test, see -l\n", program_invocation_short_name);
		return 2;
	}
	printf("TAP version 13\n1..%d\n", number);
	number = 0;
	for (struct test *test = tests; test; test = test->next) {
		double start = now();
		int status;

		if (!wanted(test, filters))
			continue;
		if (reason)
			snprintf(shared->reason, sizeof(shared->reason), "%s", reason);
		status = reason ? EXIT_SKIP : run_test(test);
		passed += status == 0;
		skipped += status == EXIT_SKIP;
		failed += status != 0 && status != EXIT_SKIP;
		printf("%s %d %s%s%s\n", status == 0 || status == EXIT_SKIP ? "ok" : "not ok", ++number,
		       test->name, status == EXIT_SKIP ? " # SKIP " : "",
		       status == EXIT_SKIP ? shared->reason : "");
		fflush(stdout);
		if (verbose && status != EXIT_SKIP)
			note("%.1f s", now() - start);
	}
	printf("# Totals: pass:%d fail:%d xfail:0 xpass:0 skip:%d error:0\n", passed, failed, skipped);
	if (failed)
		return 1;
	return passed ? 0 : EXIT_SKIP;
}

/* Become this program again; its on_exec() gets the arguments. */
int exec_self(const char *arg0, const char *arg1)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	check(length > 0);
	path[length] = '\0';
	execl(path, program_invocation_short_name, "--exec", without_mitosis ? "-n" : "-m",
	      arg0, arg1, NULL);
	return errno;
}

/* Return the exit status if the program is over, else -1. */
static int parse_option(int option, char **filters)
{
	switch (option) {
	case 'l':
		return list_tests(filters);
	case 'n':
		without_mitosis = true;
		return -1;
	case 'p':
		test_policy = optarg;
		return -1;
	case 'v':
		verbose = true;
		return -1;
	case 'T':
		slowness = atoi(optarg);
		return slowness ? -1 : 2;
	case 'o':
		return change_setting(optarg) ? -1 : 2;
	case 'h':
		usage(stdout);
		return 0;
	default:
		usage(stderr);
		return 2;
	}
}

int main(int argc, char **argv)
{
	int option, status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	if (argc > 2 && !strcmp(argv[1], "--exec")) {
		without_mitosis = !strcmp(argv[2], "-n");
		return on_exec(argc - 3, argv + 3);
	}
	while ((option = getopt(argc, argv, "lnvp:T:o:h")) != -1) {
		status = parse_option(option, argv + optind);
		if (status >= 0)
			return status;
	}
	return run_tests(argv + optind);
}
