// SPDX-License-Identifier: GPL-2.0
/* A picture as plain rows and as JSON. */
#include "json.h"
#include "picture.h"
#include "util.h"

struct row {
	char *tree;
	uint64_t level, node, tables, allocated, freed, added, removed;
	struct counts entries;
};

#define COLUMN(name, help, type, member) \
	{ name, help, type, offsetof(struct row, member), false }

const struct column picture_columns[] = {
	COLUMN("TREE", "primary, or the node whose CPUs walk it", VALUE_TEXT, tree),
	COLUMN("LEVEL", "1 is the level that maps 4 KB pages", VALUE_COUNT, level),
	COLUMN("NODE", "where the tables lie", VALUE_COUNT, node),
	COLUMN("TABLES", "table pages now", VALUE_COUNT, tables),
	COLUMN("ALLOCATED", "table pages allocated so far", VALUE_COUNT, allocated),
	COLUMN("FREED", "table pages freed so far", VALUE_COUNT, freed),
	COLUMN("ADDED", "allocated since the last dump", VALUE_COUNT, added),
	COLUMN("REMOVED", "freed since the last dump", VALUE_COUNT, removed),
	COLUMN("ENTRIES", "present entries by the node they point to",
	       VALUE_COUNTS, entries),
	{ 0 }
};

static void fill_row(struct row *row, const struct picture *picture,
		     const struct tables *tables)
{
	row->tree = tables->tree == TREE_PRIMARY ? xstrdup("primary") :
						   xformat("%d", tables->tree);
	row->level = tables->level;
	row->node = tables->node;
	row->tables = tables->tables;
	row->allocated = tables->allocated;
	row->freed = tables->freed;
	row->added = capture_added(picture->before, tables);
	row->removed = capture_removed(picture->before, tables);
	row->entries.count = tables->entries;
	row->entries.size = picture->now->nodes.count;
}

static bool wanted(const struct nodes *trees, int tree)
{
	return !trees || tree == TREE_PRIMARY ||
	       nodes_contain(trees, (unsigned int)tree);
}

/* The rows of the primary tree and of @trees; of all trees when NULL. */
static struct row *make_rows(const struct picture *picture, const struct nodes *trees,
			     size_t *count)
{
	const struct capture *now = picture->now;
	struct row *rows = xcalloc(now->count, sizeof(*rows));
	size_t i;

	*count = 0;
	for (i = 0; i < now->count; i++) {
		if (wanted(trees, now->tables[i].tree))
			fill_row(&rows[(*count)++], picture, &now->tables[i]);
	}
	return rows;
}

static void free_rows(struct row *rows, size_t count)
{
	while (count)
		free(rows[--count].tree);
	free(rows);
}

static void print_json_rows(const struct picture *picture, const struct table *table)
{
	size_t count;
	struct row *rows = make_rows(picture, NULL, &count);

	table_json_rows(table, "tables", rows, count, sizeof(*rows));
	free_rows(rows, count);
}

static void print_json_pages(const struct capture *capture)
{
	size_t i;

	json_open("mapped", '[');
	for (i = 0; i < PAGE_SIZES; i++) {
		json_open(NULL, '{');
		json_text("size", page_size_names[i]);
		json_count("code", capture->pages[i].code);
		json_count("data", capture->pages[i].data);
		json_count("hint", capture->pages[i].hint);
		json_close('}');
	}
	json_close(']');
	json_count("migrations", capture->migrations);
}

static void print_json_shares(const struct capture *capture)
{
	uint64_t local, all;
	size_t i;

	json_open("share", '[');
	for (i = 0; i < capture->nodes.count; i++) {
		capture_share(capture, capture->nodes.id[i], &local, &all);
		json_open(NULL, '{');
		json_count("node", capture->nodes.id[i]);
		json_count("tables", all);
		json_count("local_tables", local);
		json_share("local", local, all);
		json_share("remote", all - local, all);
		json_close('}');
	}
	json_close(']');
}

static void print_json_head(const struct picture *picture)
{
	const struct capture *now = picture->now;
	size_t i;

	json_text("source", picture->source);
	json_count("pid", picture->source ? COUNT_UNKNOWN : (uint64_t)picture->pid);
	json_text("command", picture->name);
	json_count("time", picture->source ? COUNT_UNKNOWN : (uint64_t)picture->time);
	json_text("policy", now->policy);
	json_text("effective", now->effective);
	json_count("levels", now->levels);
	json_open("nodes", '[');
	for (i = 0; i < now->nodes.count; i++)
		json_count(NULL, now->nodes.id[i]);
	json_close(']');
	json_count("replica_bytes", now->replica_bytes);
	json_count("fallbacks", now->fallbacks);
}

void picture_print_json(const struct picture *picture, const struct style *style)
{
	json_begin();
	print_json_head(picture);
	print_json_rows(picture, &style->table);
	print_json_pages(picture->now);
	print_json_shares(picture->now);
	json_end();
}

void picture_print_rows(const struct picture *picture, const struct style *style)
{
	size_t count;
	struct row *rows = make_rows(picture, &picture->trees, &count);

	table_print(&style->table, rows, count, sizeof(*rows));
	free_rows(rows, count);
}
