/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A B+tree of order 4 as programs build it node by node: a node is a header, an array of keys and
 * an array of links that are allocated one by one, and so is each record.
 *
 * Its data may repeat (memory.h), yet it is a tree of full size in which each node has a place of
 * its own:
 * - Keys are relative: a node knows its keys from the least key below it on, so that all nodes of
 *   a level hold the same ones. A search takes off what it goes past.
 * - Links are relative: memory is equal periods, and a link says how many periods further (round
 *   and round) and where in the period the child is. Whichever distance a link has, the parents of
 *   all periods lead to the children of all periods, one to one.
 * The period has one subtree whose nodes and records are shuffled and whose links lead to periods
 * drawn at random: keys that were inserted at random leave a tree scattered like that. Above these
 * subtrees, the trunk has one place in each period for a node of each level.
 *
 * Inner nodes have 3 children of at most 4, leaves 2 keys of at most 3: random insertion fills
 * them to ln 2 on average, 2.8 and 2.1. A few levels of the trunk have 2, so that sizes are fine.
 */
#ifndef WORKLOADS_TREE_H
#define WORKLOADS_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "memory.h"

#define TREE_ORDER	4
#define TREE_FANOUT	3
#define TREE_LEAF_KEYS	2
#define TREE_MAX_DEPTH	32

struct tree_link {
	uint32_t distance;	/* in periods */
	uint32_t at;		/* bytes from the start of the period */
};

/* The fields are those that the widespread textbook implementation has; two are for insertion. */
struct tree_node {
	uint64_t keys;		/* bytes from the start of the period */
	uint64_t links;		/* likewise */
	struct tree_link parent, next;
	uint32_t is_leaf;
	uint32_t nr_keys;
};

struct tree_record {
	uint32_t value;
};

/* Objects of one kind. */
struct tree_pool {
	char *start;
	uint64_t stride;	/* bytes from one to the next */
	uint64_t period;	/* bytes */
};

/* Where allocators put the parts of a node. */
enum tree_layout {
	TREE_SPLIT,	/* each size in a region of its own, as allocators with size classes do */
	TREE_JOINT,	/* one after the other, as allocators do that cut from one heap */
};

struct tree {
	enum tree_layout layout;
	unsigned int depth;	/* of the leaves; the root is at 0 */
	unsigned int trunk;	/* depth of the roots of the periods' subtrees */
	uint32_t fanout[TREE_MAX_DEPTH];
	uint64_t span[TREE_MAX_DEPTH + 1];	/* keys below a node of that depth */
	uint64_t periods;
	struct tree_link root;
	struct tree_pool nodes, keys, links, records;
};

/* On the way down: a node, and the key relative to it. */
struct tree_cursor {
	uint32_t period, at, key;
};

/* Choose the largest tree of at most @size bytes whose period has at most @period, and map it. */
void tree_map(struct tree *tree, enum tree_layout layout, uint64_t size, uint64_t period,
	      struct memory *memory);

/* Write one period. */
void tree_fill(const struct tree *tree);

/* The value that is stored for a key: the same a number of keys further, span[trunk]. */
uint32_t tree_value(const struct tree *tree, uint32_t key);

static inline const void *tree_at(const struct tree_pool *pool, uint32_t period, uint64_t at)
{
	return pool->start + period * pool->period + at;
}

static inline const struct tree_node *tree_node(const struct tree *tree, struct tree_cursor at)
{
	return tree_at(&tree->nodes, at.period, at.at);
}

static inline struct tree_cursor tree_root(const struct tree *tree, uint32_t key)
{
	return (struct tree_cursor){ tree->root.distance, tree->root.at, key };
}

static inline void tree_follow(const struct tree *tree, struct tree_cursor *cursor,
			       const struct tree_link *link)
{
	cursor->period += link->distance;
	if (cursor->period >= tree->periods)
		cursor->period -= tree->periods;
	cursor->at = link->at;
}

/* From the inner node @node to its child that has the key. */
static inline void tree_descend(const struct tree *tree, const struct tree_node *node,
				struct tree_cursor *cursor)
{
	const uint32_t *keys = tree_at(&tree->keys, cursor->period, node->keys);
	const struct tree_link *links = tree_at(&tree->links, cursor->period, node->links);
	uint32_t i = 0, past = 0;

	for (; i < node->nr_keys && cursor->key >= keys[i]; i++)
		past = keys[i];
	cursor->key -= past;
	tree_follow(tree, cursor, &links[i]);
}

static inline const struct tree_record *tree_find(const struct tree *tree, uint32_t key)
{
	struct tree_cursor cursor = tree_root(tree, key);
	const struct tree_node *node = tree_node(tree, cursor);
	const struct tree_link *links;
	const uint32_t *keys;

	while (!node->is_leaf) {
		tree_descend(tree, node, &cursor);
		node = tree_node(tree, cursor);
	}
	keys = tree_at(&tree->keys, cursor.period, node->keys);
	links = tree_at(&tree->links, cursor.period, node->links);
	for (uint32_t i = 0; i < node->nr_keys; i++) {
		if (keys[i] == cursor.key) {
			tree_follow(tree, &cursor, &links[i]);
			return tree_at(&tree->records, cursor.period, cursor.at);
		}
	}
	return NULL;
}

#endif
