// SPDX-License-Identifier: GPL-2.0
/* mitosis status: what the kernel tells about all processes together. */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "json.h"
#include "proc.h"
#include "status.h"
#include "util.h"

#define DIRECTORY "/sys/kernel/mm/mitosis"

struct options {
	const char *output;
	bool json, verbose;
};

#define COLUMN(name, help, type, member) \
	{ name, help, type, offsetof(struct status, member), false }

const struct column status_columns[] = {
	COLUMN("SUPPORT", "yes, off (mitosis=off, or Xen PV), or no", VALUE_TEXT, support),
	COLUMN("POLICY", "of processes with the policy 'default'", VALUE_TEXT, policy),
	COLUMN("NODES", "nodes that are online", VALUE_TEXT, nodes),
	COLUMN("ACTIVE", "1 while page-table changes are mirrored", VALUE_COUNT, active),
	COLUMN("PROCESSES", "processes with a policy in force", VALUE_COUNT, processes),
	COLUMN("REPLICAS", "bytes of replicas", VALUE_BYTES, replicas),
	COLUMN("GROWN", "tables copied to a node, since boot", VALUE_COUNT, grown),
	COLUMN("SHRUNK", "copies taken away, since boot", VALUE_COUNT, shrunk),
	COLUMN("FALLBACKS", "tables shared because a node had no memory",
	       VALUE_COUNT, fallbacks),
	COLUMN("REPAIRS", "copies made after a fallback or reclaim", VALUE_COUNT, repairs),
	{ 0 }
};

static void help(void)
{
	fputs("Usage: mitosis status [options]\n\n"
	      "Show the state of page-table replication on this system.\n\n"
	      " -v, --verbose         every digit\n"
	      " -o, --output COLUMNS  only these\n"
	      " -J, --json            JSON\n"
	      " -h, --help            this help\n", stdout);
	table_help(status_columns);
	exit(EXIT_SUCCESS);
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "vo:Jh", names, NULL)) != -1) {
		if (option == 'h')
			help();
		else if (option == 'v')
			options->verbose = true;
		else if (option == 'o')
			options->output = optarg;
		else if (option == 'J')
			options->json = true;
		else
			try_help("status");
	}
	if (optind < argc)
		usage_error("status", "'%s' is too much: status takes no operands",
			    argv[optind]);
}

static uint64_t read_count(const char *name)
{
	char *text = read_file(DIRECTORY "/%s", name);
	uint64_t count;

	if (!text || !parse_number(text, &count))
		count = COUNT_UNKNOWN;
	free(text);
	return count;
}

static char *online_nodes(void)
{
	struct nodes nodes;
	char *text;

	system_nodes("online", &nodes);
	text = nodes_text(&nodes);
	nodes_free(&nodes);
	return text;
}

static const char *support_of(const char *policy)
{
	if (!policy)
		return "no";
	return strcmp(policy, "off") ? "yes" : "off";
}

void status_read(struct status *status)
{
	status->policy = read_file(DIRECTORY "/policy");
	status->support = support_of(status->policy);
	status->nodes = online_nodes();
	status->active = read_count("active");
	status->processes = read_count("processes");
	status->replicas = read_count("replica_bytes");
	status->grown = read_count("grown");
	status->shrunk = read_count("shrunk");
	status->fallbacks = read_count("fallbacks");
	status->repairs = read_count("repairs");
}

void status_free(struct status *status)
{
	free(status->policy);
	free(status->nodes);
}

static void print(const struct options *options, const struct table *table,
		  const struct status *status)
{
	if (options->json) {
		json_begin();
		table_json_object(table, "status", status);
		json_end();
	} else if (status->policy) {
		table_print_fields(table, status);
	}
}

static int explain(const struct status *status)
{
	if (!status->policy && file_exists("/proc/self/pgtable_policy")) {
		warnx("%s" DIRECTORY " is missing: mount sysfs on /sys", sysroot);
		return EXIT_FAILURE;
	}
	if (!status->policy)
		return explain_unsupported();
	if (!strcmp(status->policy, "off"))
		return explain_switched_off();
	return EXIT_SUCCESS;
}

int command_status(int argc, char **argv)
{
	struct options options = { 0 };
	struct status status;
	struct table table;
	int code;

	parse(argc, argv, &options);
	table_init(&table, status_columns, options.output, true);
	table.exact = options.verbose;
	status_read(&status);
	print(&options, &table, &status);
	code = explain(&status);
	status_free(&status);
	table_free(&table);
	return code;
}
