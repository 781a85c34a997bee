// SPDX-License-Identifier: GPL-2.0
/*
 * A picture as text. Each level is a row of cells, one for each node, as in
 *
 * Level 1 N0   44k [ 11M   3M   3M   3M] (+67, -0)  N1   24k [...  all  116k
 *
 * As many cells stand on a line as fit. A cell that is too wide for a line
 * itself continues its list of entries below.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include "picture.h"
#include "util.h"

#define LABEL		8	/* "Level 1 " */
#define NAME		4	/* "N0  ", "all " */
#define GAP		2	/* between cells */
#define NUMBER		4	/* the widest abbreviated count */
#define TITLE		12	/* "NUMA hinting" */
#define SHARE		7	/* " 100.0%" */

struct sheet {
	const struct capture *now, *before;
	bool exact;
	int number;		/* width of a count */
	int changes;		/* width of " (+added, -removed)", or 0 */
	int entries;		/* on one line of a cell */
	int cells;		/* on one line */
	bool stacked;		/* nodes below each other */
	int shares;		/* on one line */
};

/* Lines of equal length rather than full ones and a rest. */
static int balance(int count, int fit)
{
	int lines;

	if (fit < 1)
		fit = 1;
	lines = (count + fit - 1) / fit;
	return (count + lines - 1) / lines;
}

static int wider(int width, uint64_t count)
{
	char buf[NUMBER_SIZE];
	int length = (int)strlen(format_count(buf, count, true));

	return length > width ? length : width;
}

static int widest_number(const struct capture *capture)
{
	const struct tables *tables = capture->tables;
	int width = NUMBER;
	size_t i, k;

	for (i = 0; i < capture->count; i++, tables++) {
		width = wider(width, capture_total(capture, tables->tree,
						   tables->level));
		for (k = 0; k < capture->nodes.count; k++)
			width = wider(width, tables->entries[k]);
	}
	for (i = 0; i < PAGE_SIZES; i++) {
		width = wider(width, capture->pages[i].code);
		width = wider(width, capture->pages[i].data);
	}
	return wider(width, capture->migrations);
}

static void lay_out(struct sheet *sheet, int width)
{
	int nodes = (int)sheet->now->nodes.count, head, cell, all, fit;

	head = NAME + sheet->number + 2 + sheet->changes;
	cell = head + nodes * (sheet->number + 1);
	all = NAME + sheet->number;
	fit = (width - LABEL - all) / (cell + GAP);
	sheet->cells = balance(nodes, fit);
	sheet->stacked = fit < 1 || (sheet->cells == 1 && nodes > 1);

	sheet->entries = nodes;
	if (sheet->cells == 1)
		sheet->entries = balance(nodes, (width - LABEL - head) /
						(sheet->number + 1));
	sheet->shares = balance(nodes, (width - TITLE) / SHARE);
}

static const char *count_text(const struct sheet *sheet, char *buf, uint64_t count)
{
	return format_count(buf, count, sheet->exact);
}

/* A line is held back until its trailing blanks can be cut off. */
struct line {
	FILE *out;
	char *text;
	size_t size;
};

static void line_begin(struct line *line)
{
	line->out = open_memstream(&line->text, &line->size);
	if (!line->out)
		err(EXIT_FAILURE, "cannot compose a line");
}

static void line_end(struct line *line)
{
	fclose(line->out);
	while (line->size && line->text[line->size - 1] == ' ')
		line->size--;
	printf("%.*s\n", (int)line->size, line->text);
	free(line->text);
}

/* The next line starts below column @indent. */
static void line_break(struct line *line, int indent)
{
	line_end(line);
	line_begin(line);
	fprintf(line->out, "%*s", indent, "");
}

static void print_entries(const struct sheet *sheet, const struct tables *tables,
			  struct line *line)
{
	int nodes = (int)sheet->now->nodes.count, i;
	char buf[NUMBER_SIZE];

	for (i = 0; i < nodes; i++) {
		if (i && i % sheet->entries == 0)
			line_break(line, LABEL + NAME + sheet->number + 2);
		fprintf(line->out, "%*s%c", sheet->number,
			count_text(sheet, buf, tables ? tables->entries[i] : 0),
			i + 1 == nodes ? ']' : ' ');
	}
}

static void print_changes(const struct sheet *sheet, const struct tables *tables,
			  struct line *line)
{
	uint64_t added = tables ? capture_added(sheet->before, tables) : 0;
	uint64_t removed = tables ? capture_removed(sheet->before, tables) : 0;
	char plus[NUMBER_SIZE], minus[NUMBER_SIZE], *text = NULL;

	if (sheet->before && added != COUNT_UNKNOWN && removed != COUNT_UNKNOWN)
		text = xformat(" (+%s, -%s)", count_text(sheet, plus, added),
			       count_text(sheet, minus, removed));
	fprintf(line->out, "%-*s", sheet->changes, text ? text : "");
	free(text);
}

static void print_cell(const struct sheet *sheet, const struct tables *tables,
		       unsigned int node, struct line *line)
{
	char name[16], buf[NUMBER_SIZE];

	snprintf(name, sizeof(name), "N%u", node);
	fprintf(line->out, "%-*s%*s [", NAME, name, sheet->number,
		count_text(sheet, buf, tables ? tables->tables : 0));
	print_entries(sheet, tables, line);
	print_changes(sheet, tables, line);
}

static void separate(const struct sheet *sheet, int printed, struct line *line)
{
	if (!printed)
		return;
	if (printed % sheet->cells)
		fprintf(line->out, "%*s", GAP, "");
	else
		line_break(line, LABEL);
}

/* Below each other stand only the nodes that have or had tables. */
static int print_cells(const struct sheet *sheet, int tree, unsigned int level,
		       struct line *line)
{
	const struct nodes *nodes = &sheet->now->nodes;
	const struct tables *tables;
	int printed = 0;
	size_t i;

	for (i = 0; i < nodes->count; i++) {
		tables = capture_find(sheet->now, tree, level, nodes->id[i]);
		if (!tables && sheet->stacked)
			continue;
		separate(sheet, printed++, line);
		print_cell(sheet, tables, nodes->id[i], line);
	}
	return printed;
}

static void print_level(const struct sheet *sheet, int tree, unsigned int level)
{
	char buf[NUMBER_SIZE];
	struct line line;
	int printed;

	line_begin(&line);
	fprintf(line.out, "Level %u ", level);
	printed = print_cells(sheet, tree, level, &line);
	if (sheet->stacked)
		separate(sheet, printed, &line);
	else
		fprintf(line.out, "%*s", GAP, "");
	fprintf(line.out, "%-*s%*s", NAME, "all", sheet->number,
		count_text(sheet, buf, capture_total(sheet->now, tree, level)));
	line_end(&line);
}

static void print_tree(const struct sheet *sheet, int tree)
{
	char *nodes = nodes_text(&sheet->now->nodes);
	unsigned int level;

	if (tree == TREE_PRIMARY)
		fputs("\nPrimary tables", stdout);
	else
		printf("\nTables that CPUs of node %d walk", tree);
	printf(" [entries that point to node %s]%s\n", nodes,
	       sheet->changes ? " (+added, -removed)" : "");
	for (level = 1; level <= sheet->now->levels; level++)
		print_level(sheet, tree, level);
	free(nodes);
}

static char *title_of(const struct picture *picture)
{
	char clock[16];

	if (picture->source)
		return xformat("Capture %s", picture->source);
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime(&picture->time));
	return xformat("%s (process %d) at %s", picture->name, picture->pid, clock);
}

static void print_head(const struct sheet *sheet, const struct picture *picture)
{
	char bytes[NUMBER_SIZE], buf[NUMBER_SIZE], *title = title_of(picture);
	const struct capture *now = sheet->now;

	puts(title);
	printf("Policy %s, in force %s\n", now->policy, now->effective);
	printf("Replicas %s, fallbacks %s\n",
	       format_bytes(bytes, now->replica_bytes, sheet->exact),
	       count_text(sheet, buf, now->fallbacks));
	free(title);
}

static void print_counts(const struct sheet *sheet, const char *title,
			 const uint64_t *count, size_t size)
{
	char buf[NUMBER_SIZE];
	size_t i;

	printf("%-*s", TITLE, title);
	for (i = 0; i < size; i++)
		printf(" %*s", sheet->number, count_text(sheet, buf, count[i]));
	putchar('\n');
}

static void print_pages(const struct sheet *sheet)
{
	uint64_t code[PAGE_SIZES], data[PAGE_SIZES], hint[PAGE_SIZES];
	size_t i;

	printf("\n%-*s", TITLE, "Pages");
	for (i = 0; i < PAGE_SIZES; i++) {
		printf(" %*s", sheet->number, page_size_names[i]);
		code[i] = sheet->now->pages[i].code;
		data[i] = sheet->now->pages[i].data;
		hint[i] = sheet->now->pages[i].hint;
	}
	putchar('\n');
	print_counts(sheet, "code", code, PAGE_SIZES);
	print_counts(sheet, "data", data, PAGE_SIZES);
	print_counts(sheet, "NUMA hinting", hint, PAGE_SIZES);
	print_counts(sheet, "migrations", &sheet->now->migrations, 1);
}

/* 0 and 1000 stand for nothing and for all, never for nearly that. */
static int tenths_of_percent(uint64_t part, uint64_t whole)
{
	int tenths = (int)(1000.0 * (double)part / (double)whole + 0.5);

	if (tenths == 1000 && part < whole)
		return 999;
	return tenths || !part ? tenths : 1;
}

static void print_share(const struct sheet *sheet, unsigned int node, bool remote)
{
	uint64_t local, all;
	int tenths;

	capture_share(sheet->now, node, &local, &all);
	if (!all) {
		printf("%*s", SHARE, "-");
		return;
	}
	tenths = tenths_of_percent(local, all);
	if (remote)
		tenths = 1000 - tenths;
	printf("%*d.%d%%", SHARE - 3, tenths / 10, tenths % 10);
}

static void print_share_row(const struct sheet *sheet, const char *title,
			    size_t first, size_t end, bool remote)
{
	printf("%-*s", TITLE, title);
	for (; first < end; first++)
		print_share(sheet, sheet->now->nodes.id[first], remote);
	putchar('\n');
}

static void print_shares(const struct sheet *sheet)
{
	size_t nodes = sheet->now->nodes.count, first, end, i;
	char name[16];

	puts("\nLevel-1 tables that the CPUs of a node walk");
	for (first = 0; first < nodes; first = end) {
		end = first + (size_t)sheet->shares;
		if (end > nodes)
			end = nodes;
		printf("%-*s", TITLE, "seen from");
		for (i = first; i < end; i++) {
			snprintf(name, sizeof(name), "N%u", sheet->now->nodes.id[i]);
			printf("%*s", SHARE, name);
		}
		putchar('\n');
		print_share_row(sheet, "local", first, end, false);
		print_share_row(sheet, "remote", first, end, true);
	}
}

void picture_print_text(const struct picture *picture, const struct style *style)
{
	struct sheet sheet = {
		.now = picture->now,
		.before = picture->before,
		.exact = style->exact,
		.number = style->exact ? widest_number(picture->now) : NUMBER,
	};
	size_t i;

	if (style->changes)
		sheet.changes = 2 * (sheet.number + 1) + 5;
	lay_out(&sheet, style->width);

	if (picture->before)
		putchar('\n');
	print_head(&sheet, picture);
	print_tree(&sheet, TREE_PRIMARY);
	for (i = 0; i < picture->trees.count; i++)
		print_tree(&sheet, (int)picture->trees.id[i]);
	print_pages(&sheet);
	print_shares(&sheet);
}
