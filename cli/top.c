// SPDX-License-Identifier: GPL-2.0
/* mitosis top: the processes with the most replicas, again and again. */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "command.h"
#include "interval.h"
#include "json.h"
#include "processes.h"
#include "status.h"
#include "table.h"
#include "terminal.h"
#include "util.h"

#define DEFAULT_INTERVAL	5.0
#define LINES_OF_HEAD		4	/* two of the system, a blank one, the titles */

struct options {
	double interval;
	uint64_t count;		/* 0: until interrupted */
	const char *output;
	bool json, verbose;
};

static const struct column columns[] = {
	PROCESS_COLUMN("PID", "process", VALUE_COUNT, pid, false),
	PROCESS_COLUMN("EFFECTIVE", "what is in force", VALUE_TEXT, effective, false),
	PROCESS_COLUMN("NODES", "nodes on which that keeps a page table", VALUE_TEXT, nodes, false),
	PROCESS_COLUMN("TABLES", "page tables that the kernel itself walks", VALUE_COUNT, tables, true),
	PROCESS_COLUMN("LOCAL", "percent of level-1 tables that lie where they are walked, on the worst node",
		       VALUE_COUNT, local, false),
	PROCESS_COLUMN("REPLICAS", "bytes of replicas", VALUE_BYTES, replicas, false),
	PROCESS_COLUMN("ADDED", "bytes of replicas more than the last time", VALUE_BYTES, added, false),
	PROCESS_COLUMN("REMOVED", "bytes of replicas less than the last time", VALUE_BYTES, removed, false),
	PROCESS_COLUMN("FALLBACKS", "tables shared because a node had no memory",
		       VALUE_COUNT, fallbacks, false),
	PROCESS_COLUMN("POLICY", "what was asked for", VALUE_TEXT, policy, true),
	PROCESS_COLUMN("LEVELS", "levels of the page table", VALUE_COUNT, levels, true),
	PROCESS_COLUMN("MIGRATIONS", "pages that NUMA balancing moved", VALUE_COUNT, migrations, true),
	PROCESS_COLUMN("COMMAND", "name of the program", VALUE_TEXT, command, false),
	{ 0 }
};

static void help(void)
{
	fputs("Usage: mitosis top [options]\n\n"
	      "Show the processes that have a policy in force, those with the most replicas\n"
	      "first, and what has changed, until interrupted. Each time all page tables of\n"
	      "these processes are looked at: give large ones a longer interval.\n\n"
	      " -i, --interval S      every S seconds (default: 5)\n"
	      " -n, --count N         stop after N times\n"
	      " -v, --verbose         all columns, every digit\n"
	      " -o, --output COLUMNS  these columns; +COLUMNS adds to the default\n"
	      " -J, --json            one JSON document each time\n"
	      " -h, --help            this help\n", stdout);
	table_help(columns);
	exit(EXIT_SUCCESS);
}

static void take_option(struct options *options, int option, const char *argument)
{
	switch (option) {
	case 'i':
		options->interval = interval_parse(argument);
		break;
	case 'n':
		options->count = repeats_parse(argument);
		break;
	case 'v':
		options->verbose = true;
		break;
	case 'o':
		options->output = argument;
		break;
	case 'J':
		options->json = true;
		break;
	case 'h':
		help();
		break;
	default:
		try_help("top");
	}
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "i:n:vo:Jh", names, NULL)) != -1)
		take_option(options, option, optarg);
	if (optind < argc)
		usage_error("top", "'%s' is too much: top takes no operands", argv[optind]);
}

/* The most replicas first; of as many, the older process. */
static int compare(const void *one, const void *other)
{
	const struct process *a = one, *b = other;

	if (a->replicas != b->replicas)
		return a->replicas < b->replicas ? 1 : -1;
	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

/* One look at the system, beside the one before it. */
struct look {
	struct status status;
	struct processes list;
};

static int take(struct look *look, const struct look *before)
{
	int status;

	status_read(&look->status);
	status = processes_look_at_running(&look->list, PROCESSES_IN_FORCE);
	processes_compare(&look->list, &before->list);
	if (look->list.count)
		qsort(look->list.process, look->list.count, sizeof(*look->list.process), compare);
	return status;
}

static void drop(struct look *look)
{
	status_free(&look->status);
	processes_free(&look->list);
}

static void print_change(const char *what, uint64_t now, uint64_t before)
{
	char buf[NUMBER_SIZE];

	if (now == COUNT_UNKNOWN || before == COUNT_UNKNOWN)
		return;
	printf(", %s %s", format_count(buf, now - before, false), what);
}

static void print_head(const struct look *now, const struct look *before)
{
	char clock[16], bytes[NUMBER_SIZE] = "-";
	time_t seconds = time(NULL);

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&seconds));
	if (now->status.replicas != COUNT_UNKNOWN)
		format_bytes(bytes, now->status.replicas, false);
	printf("%s  policy %s, %zu processes, %s of replicas", clock,
	       now->status.policy ? now->status.policy : "-", now->list.count, bytes);
	if (now->list.hidden)
		printf("; %zu of other users are left out", now->list.hidden);
	printf("\nsince %s", before->status.policy ? "the last time" : "boot");
	print_change("copies made", now->status.grown, before->status.grown);
	print_change("taken away", now->status.shrunk, before->status.shrunk);
	print_change("fallbacks", now->status.fallbacks, before->status.fallbacks);
	print_change("repairs", now->status.repairs, before->status.repairs);
	puts("\n");
}

static void print_json(const struct table *table, const struct look *now)
{
	struct table all;

	table_init(&all, status_columns, NULL, true);
	json_begin();
	table_json_object(&all, "status", &now->status);
	table_json_rows(table, "processes", now->list.process, now->list.count,
			sizeof(*now->list.process));
	json_end();
	table_free(&all);
}

/* On a terminal as many processes as fit, else all. */
static void print_text(const struct table *table, const struct look *now,
		       const struct look *before)
{
	size_t shown = now->list.count;
	int width, rows;

	if (terminal_size(&width, &rows)) {
		terminal_clear();
		rows -= LINES_OF_HEAD + 1;	/* the cursor's line is the last */
		if (shown > (size_t)(rows > 1 ? rows : 1))
			shown = (size_t)(rows > 1 ? rows : 1);
	} else if (before->status.policy) {
		putchar('\n');
	}
	print_head(now, before);
	table_print(table, now->list.process, shown, sizeof(*now->list.process));
}

static int show(const struct options *options, const struct table *table,
		const struct look *now, const struct look *before)
{
	if (options->json)
		print_json(table, now);
	else
		print_text(table, now, before);
	/* close_stdout() tells why */
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_top(int argc, char **argv)
{
	struct options options = { .interval = DEFAULT_INTERVAL };
	struct look before = { 0 }, now;
	struct timespec when;
	struct table table;
	uint64_t times = 0;
	int status, failed;

	parse(argc, argv, &options);
	table_init(&table, columns, options.output, options.verbose || options.json);
	table.exact = options.verbose;
	require_support();
	clock_gettime(CLOCK_MONOTONIC, &when);
	for (;;) {
		now = (struct look){ 0 };
		status = take(&now, &before);
		failed = status == EXIT_UNSUPPORTED ? status : show(&options, &table, &now, &before);
		drop(&before);
		before = now;
		if (failed || ++times == options.count)
			break;
		interval_wait(&when, options.interval);
	}
	drop(&before);
	table_free(&table);
	return failed ? failed : status;
}
