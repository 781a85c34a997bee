// SPDX-License-Identifier: GPL-2.0
/* mitosis set: change the policy of running processes, one after the other. */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include "command.h"
#include "policy.h"
#include "proc.h"
#include "util.h"

static volatile sig_atomic_t interrupted;

static void help(void)
{
	fputs("Usage: mitosis set (--replicate LIST | --bind N | --none | --default)\n"
	      "                   [-p] PID...\n\n"
	      "Change the policy of running processes and move their page tables.\n\n"
	      POLICY_HELP
	      " -p, --pid PID         a process to change; may be given again\n"
	      " -h, --help            this help\n"
	      NODE_LIST_HELP, stdout);
	exit(EXIT_SUCCESS);
}

static void parse(int argc, char **argv, struct policy_request *request,
		  struct pids *pids)
{
	static const struct option options[] = {
		POLICY_LONG_OPTIONS,
		{ "pid", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "hp:" POLICY_SHORT_OPTIONS, options,
				     NULL)) != -1) {
		if (option == 'h')
			help();
		if (option == 'p')
			pids_parse(pids, optarg);
		else
			policy_option(request, "set", option, optarg);
	}
	pids_parse_all(pids, argv + optind);
	if (!request->mode)
		usage_error("set", "give a policy: --replicate LIST, --bind N, --none or --default");
	if (!pids->count)
		usage_error("set", "give the processes to change: -p PID");
}

static void report(pid_t pid, const char *before)
{
	char *name = process_name(pid), *now = proc_read(pid, "pgtable_policy");

	printf("%d (%s): %s -> %s\n", pid, name, before, now ? now : "exited");
	fflush(stdout);
	free(now);
	free(name);
}

static int change(pid_t pid, const char *policy)
{
	char *before = proc_read(pid, "pgtable_policy");
	int error, status = EXIT_SUCCESS;

	if (!before)
		return explain_process(pid, "pgtable_policy", errno);
	error = -policy_write(pid, policy);
	if (error)
		status = policy_explain(pid, policy, error);
	else
		report(pid, before);
	free(before);
	return status;
}

static int set_process(const struct policy_request *request, pid_t pid)
{
	char *policy = policy_for(request, pid);
	int status;

	if (!policy)
		return EXIT_FAILURE;
	status = change(pid, policy);
	free(policy);
	return status;
}

/* A failed process does not keep the others from being changed; a signal does. */
static int set_all(const struct policy_request *request, const struct pids *pids)
{
	int status = EXIT_SUCCESS, now;
	size_t i;

	for (i = 0; i < pids->count && !interrupted; i++) {
		now = set_process(request, pids->pid[i]);
		if (now)
			status = now;
		if (now == EXIT_UNSUPPORTED)
			return status;
	}
	if (i == pids->count)
		return status;
	warnx("interrupted: %zu of %zu processes were not reached", pids->count - i,
	      pids->count);
	return EXIT_FAILURE;
}

static void note_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* Let a signal end the write, so that what it left behind can be told. */
static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = note_signal }, old;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

int command_set(int argc, char **argv)
{
	struct policy_request request = { 0 };
	struct pids pids = { 0 };
	int status;

	parse(argc, argv, &request, &pids);
	require_support();
	policy_validate(&request);
	catch_signals();
	status = set_all(&request, &pids);
	policy_free(&request);
	free(pids.pid);
	return status;
}
