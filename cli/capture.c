// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "capture.h"
#include "util.h"

const char *const page_size_names[PAGE_SIZES] = { "4K", "2M", "1G" };

/* One line is taken apart word by word; the first complaint is kept. */
struct parser {
	struct capture *capture;
	char *rest;
	char complaint[256];
};

struct record {
	const char *name;
	void (*parse)(struct parser *parser);
};

static void complain(struct parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct parser *parser, const char *format, ...)
{
	va_list args;

	if (*parser->complaint)
		return;
	va_start(args, format);
	vsnprintf(parser->complaint, sizeof(parser->complaint), format, args);
	va_end(args);
}

static const char *next_word(struct parser *parser, const char *what)
{
	char *word;

	do {
		word = strsep(&parser->rest, " \t");
	} while (word && !*word);
	if (!word)
		complain(parser, "%s is missing", what);
	return word;
}

static uint64_t next_number(struct parser *parser, const char *what)
{
	const char *word = next_word(parser, what);
	uint64_t number = 0;

	if (word && !parse_number(word, &number))
		complain(parser, "%s is '%s', not a number", what, word);
	return number;
}

static void expect_word(struct parser *parser, const char *expected)
{
	const char *word = next_word(parser, expected);

	if (word && strcmp(word, expected))
		complain(parser, "'%s' stands where '%s' belongs", word, expected);
}

static char *next_text(struct parser *parser, const char *what)
{
	char *text = parser->rest;

	parser->rest = NULL;
	if (text && *text)
		return xstrdup(text);
	complain(parser, "%s is missing", what);
	return NULL;
}

static void parse_policy(struct parser *parser)
{
	parser->capture->policy = next_text(parser, "the policy");
}

static void parse_effective(struct parser *parser)
{
	parser->capture->effective = next_text(parser, "the policy in force");
}

static void parse_levels(struct parser *parser)
{
	uint64_t levels = next_number(parser, "the number of levels");

	if (levels != 4 && levels != 5)
		complain(parser, "there are 4 or 5 levels, not %llu",
			 (unsigned long long)levels);
	parser->capture->levels = (unsigned int)levels;
}

static void parse_nodes(struct parser *parser)
{
	const char *list = next_word(parser, "the list of nodes");

	if (list && !nodes_parse(list, &parser->capture->nodes))
		complain(parser, "'%s' is no list of nodes", list);
}

static void parse_replica_bytes(struct parser *parser)
{
	parser->capture->replica_bytes = next_number(parser, "the number of bytes");
}

static void parse_fallbacks(struct parser *parser)
{
	parser->capture->fallbacks = next_number(parser, "the number of fallbacks");
}

static void parse_migrations(struct parser *parser)
{
	parser->capture->migrations = next_number(parser, "the number of migrations");
}

static bool shape_known(struct parser *parser)
{
	if (parser->capture->levels && parser->capture->nodes.count)
		return true;
	complain(parser, "the lines 'levels' and 'nodes' must come first");
	return false;
}

static unsigned int next_node(struct parser *parser)
{
	uint64_t node = next_number(parser, "the node");

	if (node > UINT32_MAX ||
	    !nodes_contain(&parser->capture->nodes, (unsigned int)node))
		complain(parser, "node %llu is not in the list of nodes",
			 (unsigned long long)node);
	return (unsigned int)node;
}

static int next_tree(struct parser *parser)
{
	if (parser->rest && !strcmp(parser->rest, "primary")) {
		parser->rest = NULL;
		return TREE_PRIMARY;
	}
	return (int)next_node(parser);
}

static void parse_tree(struct parser *parser)
{
	struct capture *capture = parser->capture;
	int tree;

	if (!shape_known(parser))
		return;
	tree = next_tree(parser);
	if (capture_has_tree(capture, tree))
		complain(parser, "this tree was there before");
	if (!capture->tree_count && tree != TREE_PRIMARY)
		complain(parser, "'tree primary' must come first");
	capture->trees = xrealloc(capture->trees, capture->tree_count + 1,
				  sizeof(*capture->trees));
	capture->trees[capture->tree_count++] = tree;
}

static void read_entries(struct parser *parser, struct tables *tables)
{
	size_t i, nodes = parser->capture->nodes.count;

	tables->entries = xcalloc(nodes, sizeof(*tables->entries));
	for (i = 0; i < nodes; i++)
		tables->entries[i] = next_number(parser, "a number of entries");
}

static void read_tables(struct parser *parser, struct tables *tables)
{
	tables->level = (unsigned int)next_number(parser, "the level");
	tables->node = next_node(parser);
	if (!tables->level || tables->level > parser->capture->levels)
		complain(parser, "level %u is not one of 1-%u", tables->level,
			 parser->capture->levels);
	if (capture_find(parser->capture, tables->tree, tables->level, tables->node))
		complain(parser, "level %u on node %u was there before",
			 tables->level, tables->node);
	tables->tables = next_number(parser, "the number of tables");
	tables->allocated = next_number(parser, "the number of allocated tables");
	tables->freed = next_number(parser, "the number of freed tables");
	read_entries(parser, tables);
}

static void parse_table(struct parser *parser)
{
	struct capture *capture = parser->capture;
	struct tables tables = { 0 };

	if (!shape_known(parser))
		return;
	if (!capture->tree_count) {
		complain(parser, "a line 'tree' must come first");
		return;
	}
	tables.tree = capture->trees[capture->tree_count - 1];
	read_tables(parser, &tables);
	capture->tables = xrealloc(capture->tables, capture->count + 1,
				   sizeof(*capture->tables));
	capture->tables[capture->count++] = tables;
}

static struct pages *next_page_size(struct parser *parser)
{
	const char *word = next_word(parser, "the page size");
	size_t i;

	if (!word)
		return NULL;
	for (i = 0; i < PAGE_SIZES; i++) {
		if (!strcmp(word, page_size_names[i]))
			return &parser->capture->pages[i];
	}
	complain(parser, "'%s' is no page size: 4K, 2M or 1G", word);
	return NULL;
}

static void parse_mapped(struct parser *parser)
{
	struct pages *pages = next_page_size(parser);

	if (!pages)
		return;
	if (pages->known)
		complain(parser, "this page size was there before");
	pages->known = true;
	expect_word(parser, "code");
	pages->code = next_number(parser, "the number of code pages");
	expect_word(parser, "data");
	pages->data = next_number(parser, "the number of data pages");
	expect_word(parser, "hint");
	pages->hint = next_number(parser, "the number of hinting pages");
}

static const struct record records[] = {
	{ "policy", parse_policy },
	{ "effective", parse_effective },
	{ "levels", parse_levels },
	{ "nodes", parse_nodes },
	{ "replica_bytes", parse_replica_bytes },
	{ "fallbacks", parse_fallbacks },
	{ "tree", parse_tree },
	{ "table", parse_table },
	{ "mapped", parse_mapped },
	{ "migrations", parse_migrations },
};

#define RECORDS (sizeof(records) / sizeof(records[0]))

static bool may_repeat(const struct record *record)
{
	return record->parse == parse_tree || record->parse == parse_table ||
	       record->parse == parse_mapped;
}

static void parse_record(struct parser *parser, const struct record *record)
{
	unsigned int bit = 1U << (record - records);

	if (parser->capture->seen & bit && !may_repeat(record)) {
		complain(parser, "'%s' was there before", record->name);
		return;
	}
	parser->capture->seen |= bit;
	record->parse(parser);
	if (parser->rest)
		complain(parser, "'%s' is too much", parser->rest);
}

/* A record that is not known comes from a newer kernel. */
static void parse_line(struct parser *parser)
{
	const char *name = next_word(parser, "a record");
	size_t i;

	for (i = 0; name && i < RECORDS; i++) {
		if (!strcmp(name, records[i].name)) {
			parse_record(parser, &records[i]);
			return;
		}
	}
}

/* A process without any table has none in a capture either. */
static void check_complete(struct parser *parser)
{
	size_t i;

	for (i = 0; i < RECORDS; i++) {
		if (records[i].parse != parse_table &&
		    !(parser->capture->seen & 1U << i))
			complain(parser, "the line '%s' is missing: the capture is cut off",
				 records[i].name);
	}
	for (i = 0; i < PAGE_SIZES; i++) {
		if (!parser->capture->pages[i].known)
			complain(parser, "the line 'mapped %s' is missing: the capture is cut off",
				 page_size_names[i]);
	}
}

static int parse_text(struct parser *parser, char *text)
{
	int line = 0;

	while (text && *text && !*parser->complaint) {
		line++;
		parser->rest = strsep(&text, "\n");
		parse_line(parser);
	}
	check_complete(parser);
	return line;
}

struct capture *capture_parse(char *text, const char *source)
{
	struct parser parser = { .capture = xcalloc(1, sizeof(struct capture)) };
	int line;

	replace_controls(text, "\n\t");
	line = parse_text(&parser, text);
	if (!*parser.complaint)
		return parser.capture;
	warnx("%s: line %d: %s", source, line, parser.complaint);
	capture_free(parser.capture);
	return NULL;
}

void capture_free(struct capture *capture)
{
	size_t i;

	if (!capture)
		return;
	for (i = 0; i < capture->count; i++)
		free(capture->tables[i].entries);
	free(capture->tables);
	free(capture->trees);
	nodes_free(&capture->nodes);
	free(capture->policy);
	free(capture->effective);
	free(capture);
}

bool capture_has_tree(const struct capture *capture, int tree)
{
	size_t i;

	for (i = 0; i < capture->tree_count; i++) {
		if (capture->trees[i] == tree)
			return true;
	}
	return false;
}

const struct tables *capture_find(const struct capture *capture, int tree,
				  unsigned int level, unsigned int node)
{
	const struct tables *tables;
	size_t i;

	for (i = 0; i < capture->count; i++) {
		tables = &capture->tables[i];
		if (tables->tree == tree && tables->level == level &&
		    tables->node == node)
			return tables;
	}
	return NULL;
}

uint64_t capture_total(const struct capture *capture, int tree, unsigned int level)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; i < capture->count; i++) {
		if (capture->tables[i].tree == tree && capture->tables[i].level == level)
			total += capture->tables[i].tables;
	}
	return total;
}

/* Counters only grow; one that shrank belongs to another address space. */
static uint64_t difference(uint64_t before, uint64_t now)
{
	return now < before ? COUNT_UNKNOWN : now - before;
}

uint64_t capture_added(const struct capture *before, const struct tables *tables)
{
	const struct tables *old;

	if (!before)
		return COUNT_UNKNOWN;
	old = capture_find(before, tables->tree, tables->level, tables->node);
	return difference(old ? old->allocated : 0, tables->allocated);
}

uint64_t capture_removed(const struct capture *before, const struct tables *tables)
{
	const struct tables *old;

	if (!before)
		return COUNT_UNKNOWN;
	old = capture_find(before, tables->tree, tables->level, tables->node);
	return difference(old ? old->freed : 0, tables->freed);
}

void capture_share(const struct capture *capture, unsigned int node, uint64_t *local,
		   uint64_t *all)
{
	const struct tables *own = capture_find(capture, (int)node, 1, node);

	*local = own ? own->tables : 0;
	*all = capture_total(capture, (int)node, 1);
}
