// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include "listing.h"
#include "util.h"

static bool take_option(struct listing *listing, int option, const char *argument)
{
	switch (option) {
	case 'p':
		pids_parse(&listing->pids, argument);
		return true;
	case 'a':
		return listing->all = true;
	case 'v':
		return listing->verbose = true;
	case 'o':
		listing->output = argument;
		return true;
	case 'J':
		return listing->json = true;
	default:
		return false;
	}
}

void listing_parse(struct listing *listing, int argc, char **argv,
		   const char *command, void (*help)(void))
{
	static const struct option names[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "all", no_argument, NULL, 'a' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "p:avo:Jh", names, NULL)) != -1) {
		if (option == 'h')
			help();
		if (!take_option(listing, option, optarg))
			try_help(command);
	}
	pids_parse_all(&listing->pids, argv + optind);
	if (listing->all && listing->pids.count)
		usage_error(command, "--all and a process exclude each other");
}
