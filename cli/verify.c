// SPDX-License-Identifier: GPL-2.0
/* mitosis verify: have the kernel compare copies of tables with their originals. */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "command.h"
#include "json.h"
#include "listing.h"
#include "proc.h"
#include "table.h"
#include "util.h"

#define DEBUGFS	"/sys/kernel/debug"
#define CHECKER	DEBUGFS "/mitosis/verify"
#define EXPLAINED	(-1)	/* an error that the user has been told */

struct checked {
	uint64_t pid;
	char *command;
	uint64_t tables, copies, entries, ad_differ, mismatches, nonlocal, cpus, roots;
	struct lines findings;
};

struct list {
	struct checked *checked;
	size_t count, total;	/* total: also those that are not shown */
	size_t mismatched;
};

#define COLUMN(name, help, type, member, extra) \
	{ name, help, type, offsetof(struct checked, member), extra }

static const struct column columns[] = {
	COLUMN("PID", "process", VALUE_COUNT, pid, false),
	COLUMN("TABLES", "tables that the kernel itself walks", VALUE_COUNT, tables, false),
	COLUMN("COPIES", "copies that were compared with them", VALUE_COUNT, copies, false),
	COLUMN("ENTRIES", "entries that were compared", VALUE_COUNT, entries, false),
	COLUMN("AD-DIFFER", "of those, other Accessed or Dirty bits: allowed",
	       VALUE_COUNT, ad_differ, false),
	COLUMN("MISMATCHES", "of those, different in anything else: a bug",
	       VALUE_COUNT, mismatches, false),
	COLUMN("NONLOCAL", "tables that a listed node reaches on another node",
	       VALUE_COUNT, nonlocal, false),
	COLUMN("CPUS", "CPUs that have the page table loaded now", VALUE_COUNT, cpus, false),
	COLUMN("ROOTS", "different root tables that they have loaded", VALUE_COUNT,
	       roots, false),
	COLUMN("COMMAND", "name of the program", VALUE_TEXT, command, false),
	COLUMN("FINDINGS", "the first mismatches, as the kernel tells them",
	       VALUE_LINES, findings, true),
	{ 0 }
};

static void help(void)
{
	fputs("Usage: mitosis verify [options] [[-p] PID...]\n\n"
	      "Compare the copies of page tables with their originals, by default of all\n"
	      "processes, and show those that have copies. Exit status 1 tells of a mismatch.\n\n"
	      " -p, --pid PID         only this process; may be given again\n"
	      " -a, --all             show processes without copies, too\n"
	      LISTING_HELP, stdout);
	table_help(columns);
	exit(EXIT_SUCCESS);
}

static bool is_empty_directory(const char *path)
{
	char *full = xformat("%s%s", sysroot, path);
	DIR *dir = opendir(full);
	size_t entries = 0;

	free(full);
	while (dir && readdir(dir))
		entries++;
	if (dir)
		closedir(dir);
	return entries == 2;
}

/* Why the checker cannot be opened, and what to do about it. */
static int explain_checker(int error)
{
	if (error == EACCES || error == EPERM) {
		warnx("only root may run the checker");
	} else if (error == ENOENT && is_empty_directory(DEBUGFS)) {
		warnx("debugfs is not mounted: mount -t debugfs none " DEBUGFS);
	} else if (error == ENOENT) {
		warnx("this kernel has no checker: boot one built with CONFIG_MITOSIS_DEBUG=y");
		return EXIT_UNSUPPORTED;
	} else {
		warnx(CHECKER ": %s", strerror(error));
	}
	return EXIT_FAILURE;
}

static uint64_t *field_of(struct checked *checked, const char *name)
{
	const struct column *column;

	for (column = columns; column->name; column++) {
		if (column->type == VALUE_COUNT && !strcasecmp(column->name, name))
			return (uint64_t *)(void *)((char *)checked + column->offset);
	}
	return NULL;
}

static void add_finding(struct checked *checked, const char *line)
{
	struct lines *findings = &checked->findings;

	findings->line = xrealloc(findings->line, findings->size + 1,
				  sizeof(*findings->line));
	findings->line[findings->size++] = xstrdup(line);
}

static void take_line(struct checked *checked, char *line)
{
	char *value = line, *name = strsep(&value, " "), *c;
	uint64_t *field, number;

	for (c = name; *c; c++) {
		if (*c == '_')
			*c = '-';
	}
	field = field_of(checked, name);
	if (value && field && parse_number(value, &number))
		*field = number;
	else if (value && !strcmp(name, "bad"))
		add_finding(checked, value);
}

static void take_report(struct checked *checked, char *report)
{
	char *line;

	while ((line = strsep(&report, "\n"))) {
		if (*line)
			take_line(checked, line);
	}
}

/* An answer that leaves out what was asked for is no good news. */
static int take_complete(struct checked *checked, char *report)
{
	take_report(checked, report);
	if (checked->copies != COUNT_UNKNOWN && checked->mismatches != COUNT_UNKNOWN)
		return 0;
	warnx("process %d: " CHECKER " gave no counts of copies and mismatches",
	      (int)checked->pid);
	return EXPLAINED;
}

/* 0, errno or EXPLAINED. */
static int ask(struct checked *checked, int fd)
{
	char *question = xformat("%d\n", (int)checked->pid), *report = NULL;
	int error = 0;

	if (write(fd, question, strlen(question)) < 0 ||
	    !(report = read_descriptor(fd)))
		error = errno;
	else
		error = take_complete(checked, report);
	free(report);
	free(question);
	return error;
}

static void free_checked(struct checked *checked)
{
	while (checked->findings.size)
		free(checked->findings.line[--checked->findings.size]);
	free(checked->findings.line);
	free(checked->command);
}

static void add_checked(struct list *list, const struct checked *checked)
{
	list->checked = xrealloc(list->checked, list->count + 1, sizeof(*checked));
	list->checked[list->count++] = *checked;
}

static void tell_findings(const struct checked *checked)
{
	size_t i;

	for (i = 0; i < checked->findings.size; i++)
		warnx("process %d: %s", (int)checked->pid, checked->findings.line[i]);
}

/* 0, errno or EXPLAINED. */
static int check(struct list *list, pid_t pid, bool all)
{
	struct checked checked = {
		.pid = (uint64_t)pid,
		.tables = COUNT_UNKNOWN, .copies = COUNT_UNKNOWN,
		.entries = COUNT_UNKNOWN, .ad_differ = COUNT_UNKNOWN,
		.mismatches = COUNT_UNKNOWN, .nonlocal = COUNT_UNKNOWN,
		.cpus = COUNT_UNKNOWN, .roots = COUNT_UNKNOWN,
	};
	int fd = open_file(O_RDWR, CHECKER), error;

	if (fd < 0)
		return errno;
	checked.command = process_name(pid);
	error = ask(&checked, fd);
	close(fd);
	list->total += !error;
	if (!error && checked.mismatches) {
		list->mismatched++;
		tell_findings(&checked);
	}
	if (!error && (all || checked.copies || checked.mismatches))
		add_checked(list, &checked);
	else
		free_checked(&checked);
	return error;
}

static int check_named(struct list *list, const struct pids *pids)
{
	int status = EXIT_SUCCESS, error;
	size_t i;

	for (i = 0; i < pids->count; i++) {
		error = check(list, pids->pid[i], true);
		if (error > 0)
			explain_process(pids->pid[i], CHECKER, error);
		if (error)
			status = EXIT_FAILURE;
	}
	return status;
}

static int check_running(struct list *list, bool all)
{
	int status = EXIT_SUCCESS, error;
	struct pids pids = { 0 };
	size_t i;

	pids_running(&pids);
	for (i = 0; i < pids.count; i++) {
		error = check(list, pids.pid[i], all);
		if (!error || error == ESRCH)
			continue;
		if (error > 0)
			explain_process(pids.pid[i], CHECKER, error);
		status = EXIT_FAILURE;
	}
	free(pids.pid);
	return status;
}

static void print(const struct listing *options, const struct table *table,
		  const struct list *list)
{
	if (options->json) {
		json_begin();
		json_count("checked", list->total);
		table_json_rows(table, "processes", list->checked, list->count,
				sizeof(*list->checked));
		json_end();
	} else if (listing_has_table(options, list->count)) {
		table_print(table, list->checked, list->count, sizeof(*list->checked));
	}
}

static int conclude(const struct list *list, int status)
{
	if (!list->mismatched)
		return status;
	warnx("mismatches in %zu of %zu processes: the kernel log tells more, after 'mitosis: check:'",
	      list->mismatched, list->total);
	return EXIT_FAILURE;
}

static void require_checker(void)
{
	int fd = open_file(O_RDWR, CHECKER);

	if (fd < 0)
		exit(explain_checker(errno));
	close(fd);
}

int command_verify(int argc, char **argv)
{
	struct listing options = { 0 };
	struct list list = { 0 };
	struct table table;
	int status;

	listing_parse(&options, argc, argv, "verify", help);
	table_init(&table, columns, options.output, options.verbose || options.json);
	table.exact = options.verbose;
	require_support();
	require_checker();
	if (options.pids.count)
		status = check_named(&list, &options.pids);
	else
		status = check_running(&list, options.all);
	print(&options, &table, &list);
	status = conclude(&list, status);
	while (list.count)
		free_checked(&list.checked[--list.count]);
	free(list.checked);
	table_free(&table);
	free(options.pids.pid);
	return status;
}
