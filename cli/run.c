// SPDX-License-Identifier: GPL-2.0
/* mitosis run: give this process a policy, then become the program. */
#include <stdio.h>
#include "command.h"
#include "policy.h"
#include "proc.h"
#include "util.h"

static void help(void)
{
	fputs("Usage: mitosis run [--replicate LIST | --bind N | --none | --default] [--]\n"
	      "                   COMMAND [ARGUMENTS]\n\n"
	      "Run COMMAND with its page tables where the policy says; --replicate all is\n"
	      "taken when none is given. Its children inherit the policy.\n\n"
	      POLICY_HELP
	      " -h, --help            this help\n"
	      NODE_LIST_HELP, stdout);
	exit(EXIT_SUCCESS);
}

static void parse(int argc, char **argv, struct policy_request *request)
{
	static const struct option options[] = {
		POLICY_LONG_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "+h" POLICY_SHORT_OPTIONS, options,
				     NULL)) != -1) {
		if (option == 'h')
			help();
		policy_option(request, "run", option, optarg);
	}
	if (!request->mode)
		policy_option(request, "run", 'r', "all");
	if (optind == argc)
		usage_error("run", "give a command to run");
}

static int apply(const struct policy_request *request)
{
	char *policy = policy_for(request, 0);
	int status = policy ? policy_take(policy) : EXIT_FAILURE;

	free(policy);
	return status;
}

int command_run(int argc, char **argv)
{
	struct policy_request request = { 0 };
	int status;

	parse(argc, argv, &request);
	require_support();
	policy_validate(&request);
	status = apply(&request);
	policy_free(&request);
	return status ? status : become(argv + optind);
}
