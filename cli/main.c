// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "proc.h"
#include "util.h"

struct command {
	const char *name, *help;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "run", "run a program under a policy", command_run },
	{ "set", "change the policy of running processes", command_set },
	{ "show", "show policies and what is in force", command_show },
	{ "dump", "show where the page tables of a process lie", command_dump },
	{ "top", "show the largest processes again and again", command_top },
	{ "status", "show the state of the system", command_status },
	{ "verify", "compare replicas with their originals", command_verify },
	{ "bench", "measure what it costs where page tables lie", command_bench },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int help(void)
{
	size_t i;

	puts("Usage: mitosis COMMAND [options]\n\n"
	     "Say on which NUMA nodes the page tables of processes lie, and see it.\n\n"
	     "Commands:");
	for (i = 0; i < COMMANDS; i++)
		printf(" %-8s %s\n", commands[i].name, commands[i].help);
	puts("\n"
	     " -h, --help     this help; after a command, the command's\n"
	     " -V, --version  the version\n"
	     "\nSee mitosis(1).");
	return EXIT_SUCCESS;
}

static int version(void)
{
	puts("mitosis " VERSION);
	return EXIT_SUCCESS;
}

static int run_command(int argc, char **argv)
{
	size_t i;

	if (!argc)
		usage_error("", "give a command");
	for (i = 0; i < COMMANDS; i++) {
		if (!strcmp(argv[0], commands[i].name)) {
			argv[0] = program_invocation_short_name;
			optind = 0;
			return commands[i].run(argc, argv);
		}
	}
	usage_error("", "unknown command '%s'", argv[0]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "sysroot", required_argument, NULL, 's' },
		{ 0 }
	};
	int option;

	atexit(close_stdout);
	argv[0] = program_invocation_short_name;
	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			return help();
		case 'V':
			return version();
		case 's':
			sysroot = optarg;
			break;
		default:
			try_help("");
		}
	}
	return run_command(argc - optind, argv + optind);
}
