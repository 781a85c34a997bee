// SPDX-License-Identifier: GPL-2.0
/* mitosis show: the policies of processes and what is in force. */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "capture.h"
#include "command.h"
#include "json.h"
#include "listing.h"
#include "proc.h"
#include "table.h"
#include "util.h"

#define FILE_NAME	"numa_pgtables"
#define EXPLAINED	(-1)	/* an error that the user has been told */

struct shown {
	uint64_t pid;
	char *policy, *effective, *nodes, *command;
	uint64_t replicas, fallbacks, levels, tables, migrations;
};

struct list {
	struct shown *shown;
	size_t count, hidden;	/* hidden: processes of other users */
};

#define COLUMN(name, help, type, member, extra) \
	{ name, help, type, offsetof(struct shown, member), extra }

static const struct column columns[] = {
	COLUMN("PID", "process", VALUE_COUNT, pid, false),
	COLUMN("POLICY", "what was asked for", VALUE_TEXT, policy, false),
	COLUMN("EFFECTIVE", "what is in force", VALUE_TEXT, effective, false),
	COLUMN("NODES", "nodes on which that keeps a page table", VALUE_TEXT, nodes, false),
	COLUMN("REPLICAS", "bytes of replicas", VALUE_BYTES, replicas, false),
	COLUMN("FALLBACKS", "tables shared because a node had no memory",
	       VALUE_COUNT, fallbacks, false),
	COLUMN("TABLES", "page tables that the kernel itself walks", VALUE_COUNT,
	       tables, true),
	COLUMN("LEVELS", "levels of the page table", VALUE_COUNT, levels, true),
	COLUMN("MIGRATIONS", "pages that NUMA balancing moved", VALUE_COUNT,
	       migrations, true),
	COLUMN("COMMAND", "name of the program", VALUE_TEXT, command, false),
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

/* 0, errno or EXPLAINED. */
static int read_capture(pid_t pid, struct capture **capture)
{
	char *text = proc_read(pid, FILE_NAME), *source;

	if (!text)
		return errno;
	source = xformat("/proc/%d/" FILE_NAME, pid);
	*capture = capture_parse(text, source);
	free(source);
	free(text);
	return *capture ? 0 : EXPLAINED;
}

static uint64_t all_tables(const struct capture *capture)
{
	uint64_t sum = 0;
	unsigned int level;

	for (level = 1; level <= capture->levels; level++)
		sum += capture_total(capture, TREE_PRIMARY, level);
	return sum;
}

static struct shown *add_shown(struct list *list)
{
	list->shown = xrealloc(list->shown, list->count + 1, sizeof(*list->shown));
	return &list->shown[list->count++];
}

/* "replicate 0-3" is a word and its nodes; the others have none. */
static void split_effective(struct shown *shown, const char *effective)
{
	char *blank;

	shown->effective = xstrdup(effective);
	blank = strchr(shown->effective, ' ');
	shown->nodes = blank ? xstrdup(blank + 1) : NULL;
	if (blank)
		*blank = '\0';
}

static void add_process(struct list *list, pid_t pid, const struct capture *capture)
{
	struct shown *shown = add_shown(list);

	shown->pid = (uint64_t)pid;
	shown->policy = xstrdup(capture->policy);
	split_effective(shown, capture->effective);
	shown->command = process_name(pid);
	shown->replicas = capture->replica_bytes;
	shown->fallbacks = capture->fallbacks;
	shown->levels = capture->levels;
	shown->tables = all_tables(capture);
	shown->migrations = capture->migrations;
}

static int look_at(struct list *list, pid_t pid)
{
	struct capture *capture = NULL;
	int error = read_capture(pid, &capture);

	if (!error)
		add_process(list, pid, capture);
	capture_free(capture);
	return error;
}

static int explain(pid_t pid, int error)
{
	return error == EXPLAINED ? EXIT_FAILURE : explain_process(pid, FILE_NAME, error);
}

static int show_named(struct list *list, const struct pids *pids)
{
	int status = EXIT_SUCCESS, error;
	size_t i;

	for (i = 0; i < pids->count; i++) {
		error = look_at(list, pids->pid[i]);
		if (error)
			status = explain(pids->pid[i], error);
		if (status == EXIT_UNSUPPORTED)
			break;
	}
	return status;
}

/* The policy is read first: it is cheap, looking at all tables is not. */
static int look_if_policy(struct list *list, pid_t pid, bool all)
{
	char *policy = proc_read(pid, "pgtable_policy");
	int error = 0;

	if (!policy)
		return errno;
	if (all || (strcmp(policy, "default") && strcmp(policy, "none")))
		error = look_at(list, pid);
	free(policy);
	return error;
}

static int show_running(struct list *list, bool all)
{
	int status = EXIT_SUCCESS, error;
	struct pids pids = { 0 };
	size_t i;

	pids_running(&pids);
	for (i = 0; i < pids.count && status != EXIT_UNSUPPORTED; i++) {
		error = look_if_policy(list, pids.pid[i], all);
		if (error == EACCES || error == EPERM)
			list->hidden++;
		else if (error && error != ENOENT && error != ESRCH)
			status = explain(pids.pid[i], error);
	}
	free(pids.pid);
	return status;
}

static void print(const struct listing *options, const struct table *table,
		  const struct list *list)
{
	if (options->json) {
		json_begin();
		table_json_rows(table, "processes", list->shown, list->count,
				sizeof(*list->shown));
		json_end();
	} else if (listing_has_table(options, list->count)) {
		table_print(table, list->shown, list->count, sizeof(*list->shown));
	}
}

static void free_list(struct list *list)
{
	struct shown *shown = list->shown;

	for (; list->count; list->count--, shown++) {
		free(shown->policy);
		free(shown->effective);
		free(shown->nodes);
		free(shown->command);
	}
	free(list->shown);
}

int command_show(int argc, char **argv)
{
	struct listing options = { 0 };
	struct list list = { 0 };
	struct table table;
	int status;

	listing_parse(&options, argc, argv, "show", help);
	table_init(&table, columns, options.output, options.verbose || options.json);
	table.exact = options.verbose;
	require_support();
	if (options.pids.count)
		status = show_named(&list, &options.pids);
	else
		status = show_running(&list, options.all);
	if (status != EXIT_UNSUPPORTED)
		print(&options, &table, &list);
	if (list.hidden)
		warnx("processes of other users that are left out: %zu; run as root to see them",
		      list.hidden);
	free_list(&list);
	table_free(&table);
	free(options.pids.pid);
	return status;
}
