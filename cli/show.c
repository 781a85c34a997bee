// SPDX-License-Identifier: GPL-2.0
/* mitosis show: the policies of processes and what is in force. */
#include <err.h>
#include <stdio.h>
#include "command.h"
#include "json.h"
#include "listing.h"
#include "processes.h"
#include "table.h"
#include "util.h"

static const struct column columns[] = {
	PROCESS_COLUMN("PID", "process", VALUE_COUNT, pid, false),
	PROCESS_COLUMN("POLICY", "what was asked for", VALUE_TEXT, policy, false),
	PROCESS_COLUMN("EFFECTIVE", "what is in force", VALUE_TEXT, effective, false),
	PROCESS_COLUMN("NODES", "nodes on which that keeps a page table", VALUE_TEXT, nodes, false),
	PROCESS_COLUMN("REPLICAS", "bytes of replicas", VALUE_BYTES, replicas, false),
	PROCESS_COLUMN("FALLBACKS", "tables shared because a node had no memory",
	       VALUE_COUNT, fallbacks, false),
	PROCESS_COLUMN("LOCAL", "percent of level-1 tables that lie where they are walked, on the worst node",
	       VALUE_COUNT, local, true),
	PROCESS_COLUMN("TABLES", "page tables that the kernel itself walks", VALUE_COUNT,
	       tables, true),
	PROCESS_COLUMN("LEVELS", "levels of the page table", VALUE_COUNT, levels, true),
	PROCESS_COLUMN("MIGRATIONS", "pages that NUMA balancing moved", VALUE_COUNT,
	       migrations, true),
	PROCESS_COLUMN("COMMAND", "name of the program", VALUE_TEXT, command, false),
	{ 0 }
};

static void help(void)
{
	fputs("Usage: mitosis show [options] [[-p] PID...]\n\n"
	      "Show the policies of processes, by default of all that have one.\n\n"
	      " -p, --pid PID         only this process; may be given again\n"
	      " -a, --all             processes without a policy of their own, too\n"
	      LISTING_HELP, stdout);
	table_help(columns);
	exit(EXIT_SUCCESS);
}

static void print(const struct listing *options, const struct table *table,
		  const struct processes *list)
{
	if (options->json) {
		json_begin();
		table_json_rows(table, "processes", list->process, list->count,
				sizeof(*list->process));
		json_end();
	} else if (listing_has_table(options, list->count)) {
		table_print(table, list->process, list->count, sizeof(*list->process));
	}
}

int command_show(int argc, char **argv)
{
	struct listing options = { 0 };
	struct processes list = { 0 };
	struct table table;
	int status;

	listing_parse(&options, argc, argv, "show", help);
	table_init(&table, columns, options.output, options.verbose || options.json);
	table.exact = options.verbose;
	require_support();
	if (options.pids.count)
		status = processes_look_at(&list, &options.pids);
	else
		status = processes_look_at_running(&list, options.all ? PROCESSES_ALL :
						   PROCESSES_WITH_POLICY);
	if (status != EXIT_UNSUPPORTED)
		print(&options, &table, &list);
	if (list.hidden)
		warnx("processes of other users that are left out: %zu; run as root to see them",
		      list.hidden);
	processes_free(&list);
	table_free(&table);
	free(options.pids.pid);
	return status;
}
