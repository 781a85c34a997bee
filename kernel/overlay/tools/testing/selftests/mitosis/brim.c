// SPDX-License-Identifier: GPL-2.0
/*
 * Run a program while a node is filled to the brim, all the time: usage 'brim NODE COMMAND
 * [ARG...]'. Exit with the program's status; 2 if it could not be run or the node did not stay full.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "lib/runner.h"
#include "mitosis_test.h"

bool without_mitosis;

/* What the library wants to be told. */

static void say(const char *format, va_list args)
{
	fputs("# brim: ", stdout);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
}

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	note("%s:%d", file, line);
	va_start(args, format);
	say(format, args);
	va_end(args);
	_exit(2);
}

void test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	_exit(2);
}

/* How full the node was, in looks at it. */
struct looks {
	long all, full, least, most;
};

static void look(struct looks *looks, int node)
{
	long pages = free_pages(node);

	looks->least = !looks->all || pages < looks->least ? pages : looks->least;
	looks->most = pages > looks->most ? pages : looks->most;
	looks->full += pages <= watermark(node, "low");
	looks->all++;
}

static pid_t start(char **command)
{
	pid_t pid = check_ok(fork());

	if (pid)
		return pid;
	execvp(command[0], command);
	fail("cannot run %s: %s", command[0], strerror(errno));
}

int main(int argc, char **argv)
{
	struct looks looks = { 0 };
	pid_t eater, program;
	int node, status;

	if (argc < 3) {
		fputs("usage: brim NODE COMMAND [ARG...]\n", stderr);
		return 2;
	}
	node = atoi(argv[1]);
	crew_start();
	eater = fill_node(node);
	program = start(argv + 2);
	while (!waitpid(program, &status, WNOHANG)) {
		look(&looks, node);
		usleep(100000);
	}
	if (waitpid(eater, NULL, WNOHANG))
		fail("what kept the node full has died");
	empty_node(eater);
	note("node %d at %ld of %ld looks below its low watermark, with %ld to %ld pages free",
	     node, looks.full, looks.all, looks.least, looks.most);
	/* What programs free there is there for a moment. */
	if (looks.full < looks.all * 9 / 10)
		fail("node %d did not stay full", node);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
