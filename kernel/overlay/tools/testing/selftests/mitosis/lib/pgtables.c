// SPDX-License-Identifier: GPL-2.0
/* The files of Mitosis: a process's policy, its page tables, the checker. */
#include <fcntl.h>

#include "../mitosis_test.h"

static void proc_path(char *path, size_t size, pid_t pid, const char *file)
{
	if (pid == SELF)
		snprintf(path, size, "/proc/self/%s", file);
	else
		snprintf(path, size, "/proc/%d/%s", (int)pid, file);
}

int set_policy(pid_t pid, const char *policy)
{
	char path[64];

	if (without_mitosis)
		return 0;
	proc_path(path, sizeof(path), pid, "pgtable_policy");
	return write_file(path, policy);
}

void must_set_policy(pid_t pid, const char *policy)
{
	int error = set_policy(pid, policy);

	if (error)
		fail("policy '%s' is refused: %s", policy, strerror(error));
}

void get_policy(pid_t pid, char *text, size_t size)
{
	char path[64];
	ssize_t length;

	text[0] = '\0';
	if (without_mitosis)
		return;
	proc_path(path, sizeof(path), pid, "pgtable_policy");
	length = read_file(path, text, size);
	if (length < 0)
		fail("cannot read %s: %s", path, strerror(-length));
}

void expect_policy(pid_t pid, const char *policy)
{
	char text[4096];

	get_policy(pid, text, sizeof(text));
	if (!without_mitosis && strcmp(text, policy))
		fail("the policy is '%s', not '%s'", text, policy);
}

/* /proc/PID/numa_pgtables */

static void add_row(struct pgtables *tables, int tree, const char *line)
{
	struct table_row row = { .tree = tree };

	if (sscanf(line, "table %d %d %ld %ld %ld", &row.level, &row.node, &row.tables,
		   &row.allocated, &row.freed) != 5)
		fail("numa_pgtables: cannot read '%s'", line);
	tables->rows = reallocarray(tables->rows, tables->nr_rows + 1, sizeof(row));
	check(tables->rows);
	tables->rows[tables->nr_rows++] = row;
}

static void parse_line(struct pgtables *tables, int *tree, const char *line)
{
	long code, data, hint;
	char size[8];

	if (sscanf(line, "tree %d", tree) == 1)
		return;
	if (!strncmp(line, "tree primary", 12))
		*tree = TREE_PRIMARY;
	else if (!strncmp(line, "table ", 6))
		add_row(tables, *tree, line);
	else if (sscanf(line, "mapped %7s code %ld data %ld hint %ld", size, &code, &data, &hint) == 4) {
		tables->hinting += hint;
		tables->huge_data += strcmp(size, "4K") ? data : 0;
	} else {
		sscanf(line, "policy %511[^\n]", tables->policy);
		sscanf(line, "effective %511[^\n]", tables->effective);
		sscanf(line, "levels %d", &tables->levels);
		sscanf(line, "replica_bytes %ld", &tables->replica_bytes);
		sscanf(line, "fallbacks %ld", &tables->fallbacks);
		sscanf(line, "migrations %ld", &tables->migrations);
	}
}

struct pgtables read_pgtables(pid_t pid)
{
	struct pgtables tables = { 0 };
	char path[64], *line = NULL;
	int tree = TREE_PRIMARY;
	size_t size = 0;
	FILE *file;

	if (without_mitosis)
		skip("looks into the page tables");
	proc_path(path, sizeof(path), pid, "numa_pgtables");
	file = fopen(path, "re");
	if (!file)
		fail("cannot open %s: %s", path, strerror(errno));
	while (getline(&line, &size, file) > 0)
		parse_line(&tables, &tree, line);
	free(line);
	fclose(file);
	if (!tables.levels || !tables.nr_rows)
		fail("%s says nothing of levels and tables", path);
	return tables;
}

void free_pgtables(struct pgtables *tables)
{
	free(tables->rows);
	tables->rows = NULL;
}

long count_tables(const struct pgtables *tables, int tree, int level, int node)
{
	long sum = 0;

	for (size_t i = 0; i < tables->nr_rows; i++) {
		const struct table_row *row = &tables->rows[i];

		if (row->tree == tree && (!level || row->level == level) && (node < 0 || row->node == node))
			sum += row->tables;
	}
	return sum;
}

bool all_tables_on(const struct pgtables *tables, int node, int home)
{
	long all = count_tables(tables, node, 0, -1);

	return all && count_tables(tables, node, 0, home) == all;
}

long tables_elsewhere(pid_t pid, const struct nodes *nodes)
{
	struct pgtables tables = read_pgtables(pid);
	long elsewhere = 0;

	for (int i = 0; i < nodes->nr; i++)
		elsewhere += count_tables(&tables, nodes->id[i], 0, -1) -
			     count_tables(&tables, nodes->id[i], 0, nodes->id[i]);
	free_pgtables(&tables);
	return elsewhere;
}

/* The checker */

/* Write a request and read the answer from the same descriptor; return its length or -errno. */
static ssize_t ask(const char *path, const char *request, char *answer, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t length = 0, got = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, request, strlen(request)) < 0)
		got = -errno;
	while (got >= 0 && (got = pread(fd, answer + length, size - 1 - length, length)) > 0)
		length += got;
	if (got < 0)
		length = got;
	else
		answer[length] = '\0';
	close(fd);
	return length;
}

static long field(const char *report, const char *name)
{
	const char *found = strstr(report, name);

	if (!found)
		fail("the checker's report has no '%s'", name);
	return atol(found + strlen(name));
}

struct verdict verify(pid_t pid)
{
	char request[32], report[8192];
	struct verdict verdict;
	const char *details;
	ssize_t length;

	snprintf(request, sizeof(request), "%d\n", (int)(pid == SELF ? getpid() : pid));
	length = ask("/sys/kernel/debug/mitosis/verify", request, report, sizeof(report));
	if (length < 0)
		fail("the checker says: %s", strerror(-length));
	verdict = (struct verdict) {
		.tables = field(report, "tables "), .copies = field(report, "copies "),
		.entries = field(report, "entries "), .ad_differ = field(report, "ad_differ "),
		.mismatches = field(report, "mismatches "), .nonlocal = field(report, "nonlocal "),
		.cpus = field(report, "cpus "), .roots = field(report, "roots "),
	};
	/* What was found follows the line of the roots. */
	details = strchr(strstr(report, "roots "), '\n');
	snprintf(verdict.bad, sizeof(verdict.bad), "%s", details ? details + 1 : "");
	return verdict;
}

static void note_lines(char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		note("checker: %s", line);
}

static long fallbacks(pid_t pid)
{
	struct pgtables tables = read_pgtables(pid);

	free_pgtables(&tables);
	return tables.fallbacks;
}

/* Say which tables lie elsewhere. */
static void note_nonlocal(const struct pgtables *tables)
{
	for (size_t i = 0; i < tables->nr_rows; i++) {
		const struct table_row *row = &tables->rows[i];

		if (row->tree != TREE_PRIMARY && row->node != row->tree && row->tables)
			note("tree %d: %ld tables of level %d on node %d", row->tree, row->tables,
			     row->level, row->node);
	}
	note("policy %s, in force %s, %ld fallbacks", tables->policy, tables->effective,
	     tables->fallbacks);
}

/* A table may lie elsewhere only where memory was short for a moment: then it is repaired in 10 s. */
void check_tables(pid_t pid)
{
	struct pgtables tables;
	struct verdict verdict;

	if (without_mitosis)
		return;
	verdict = verify(pid);
	if (verdict.nonlocal && fallbacks(pid))
		wait_until(!(verdict = verify(pid)).nonlocal, 12);
	if (!verdict.mismatches && !verdict.nonlocal)
		return;
	tables = read_pgtables(pid);
	note_lines(verdict.bad);
	note_nonlocal(&tables);
	fail("in %s the checker finds %ld mismatches, and %ld tables elsewhere, in %ld tables, %ld copies",
	     pid == SELF ? "this process" : "another process", verdict.mismatches, verdict.nonlocal, verdict.tables, verdict.copies);
}

static bool parse_entry(const char *line, struct entry *entry)
{
	unsigned long long raw;
	char kind[16];

	if (sscanf(line, "%d %15s %d %llx present=%d write=%d young=%d dirty=%d savedDirty=%d leaf=%d",
		   &entry->level, kind, &entry->node, &raw, &entry->present, &entry->write, &entry->young,
		   &entry->dirty, &entry->saved_dirty, &entry->leaf) != 10)
		return false;
	entry->primary = !strcmp(kind, "primary");
	entry->raw = raw;
	return true;
}

int read_entries(pid_t pid, const void *p, struct entry *entries, int max)
{
	char request[64], answer[65536];
	ssize_t length;
	int nr = 0;

	if (without_mitosis)
		skip("looks into the page tables");
	snprintf(request, sizeof(request), "%d %lx\n", (int)(pid == SELF ? getpid() : pid),
		 (unsigned long)p);
	length = ask("/sys/kernel/debug/mitosis/entry", request, answer, sizeof(answer));
	if (length < 0)
		fail("debugfs entry of %s: %s", request, strerror(-length));
	for (char *line = strtok(answer, "\n"); line && nr < max; line = strtok(NULL, "\n"))
		if (!parse_entry(line, &entries[nr++]))
			fail("debugfs entry: cannot read '%s'", line);
	return nr;
}

int leaf_level(pid_t pid, const void *p)
{
	struct entry entries[256];
	int nr = read_entries(pid, p, entries, ARRAY_SIZE(entries));

	for (int i = 0; i < nr; i++)
		if (entries[i].primary && entries[i].leaf && entries[i].present)
			return entries[i].level;
	return 0;
}

struct nodes effective_nodes(pid_t pid)
{
	struct pgtables tables = read_pgtables(pid);
	const char *list = strchr(tables.effective, ' ');

	free_pgtables(&tables);
	return parse_nodes(list ? list + 1 : "");
}
