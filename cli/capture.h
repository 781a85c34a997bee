/* SPDX-License-Identifier: GPL-2.0 */
/* What /proc/PID/numa_pgtables told at one moment. */
#ifndef MITOSIS_CAPTURE_H
#define MITOSIS_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "nodes.h"

#define TREE_PRIMARY	(-1)
#define PAGE_SIZES	3

/* The tables of one level that lie on one node, of one tree. */
struct tables {
	int tree;		/* TREE_PRIMARY, or the node whose CPUs walk it */
	unsigned int level, node;
	uint64_t tables, allocated, freed;
	uint64_t *entries;	/* by the node that they point to */
};

struct pages {
	bool known;
	uint64_t code, data, hint;
};

struct capture {
	char *policy, *effective;
	unsigned int levels;
	struct nodes nodes;
	uint64_t replica_bytes, fallbacks, migrations;
	struct tables *tables;
	size_t count;
	int *trees;
	size_t tree_count;
	struct pages pages[PAGE_SIZES];
	unsigned int seen;	/* kinds of records, while parsing */
};

extern const char *const page_size_names[PAGE_SIZES];

/* NULL after an explanation that names @source and the line. Changes @text. */
struct capture *capture_parse(char *text, const char *source);
void capture_free(struct capture *capture);

bool capture_has_tree(const struct capture *capture, int tree);
/* NULL: there are none, and there never were. */
const struct tables *capture_find(const struct capture *capture, int tree,
				  unsigned int level, unsigned int node);
uint64_t capture_total(const struct capture *capture, int tree, unsigned int level);

/* Changes since an earlier capture; COUNT_UNKNOWN without one. */
uint64_t capture_added(const struct capture *before, const struct tables *tables);
uint64_t capture_removed(const struct capture *before, const struct tables *tables);

/* Level-1 tables that CPUs of a node walk, and those of them on that node. */
void capture_share(const struct capture *capture, unsigned int node, uint64_t *local,
		   uint64_t *all);

#endif
