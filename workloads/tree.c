// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "common.h"
#include "tree.h"

#define SEED		UINT64_C(0x7472656573656564)
#define MAX_TWOS	7	/* levels of the trunk that have two children instead of three */

/*
 * Bytes that an allocator hands out for a node of five words, three keys of 4 bytes, four links and
 * a record of 4 bytes: size classes of 16 bytes (jemalloc and tcmalloc have these), or the chunks
 * of 8 + size, rounded to 16 and at least 32, that glibc cuts from its heap.
 */
static const struct sizes {
	uint32_t node, keys, links, record;
} sizes[] = {
	[TREE_SPLIT] = { 48, 16, 32, 16 },
	[TREE_JOINT] = { 48, 32, 48, 32 },
};

static uint64_t power(uint64_t base, unsigned int exponent)
{
	return exponent ? base * power(base, exponent - 1) : 1;
}

/* Places for nodes in a period whose subtree has leaves at @height, and a full trunk. */
static uint64_t nr_places(unsigned int height)
{
	return (power(TREE_FANOUT, height + 1) - 1) / (TREE_FANOUT - 1) + TREE_MAX_DEPTH;
}

static uint64_t nr_records(unsigned int height)
{
	return power(TREE_FANOUT, height) * TREE_LEAF_KEYS;
}

static void size_pools(struct tree *tree, unsigned int height, uint64_t page)
{
	const struct sizes *size = &sizes[tree->layout];
	uint64_t places = nr_places(height);

	tree->nodes.stride = size->node;
	tree->keys.stride = size->keys;
	tree->links.stride = size->links;
	tree->records.stride = size->record;
	if (tree->layout == TREE_JOINT)
		tree->nodes.stride = size->node + size->keys + size->links;
	tree->nodes.period = round_up(places * tree->nodes.stride, page);
	tree->keys.period = round_up(places * tree->keys.stride, page);
	tree->links.period = round_up(places * tree->links.stride, page);
	tree->records.period = round_up(nr_records(height) * tree->records.stride, page);
}

static uint64_t period_size(const struct tree *tree)
{
	uint64_t size = tree->nodes.period + tree->records.period;

	return tree->layout == TREE_JOINT ? size : size + tree->keys.period + tree->links.period;
}

/* A link has 32 bits for a place in the period of any pool. */
static bool links_reach(const struct tree *tree)
{
	return tree->nodes.period <= UINT32_MAX && tree->records.period <= UINT32_MAX;
}

/* Choose the height of the period's subtree. */
static unsigned int choose_height(struct tree *tree, uint64_t limit, uint64_t page)
{
	unsigned int height = 0;

	size_pools(tree, 1, page);
	if (period_size(tree) > limit)
		die("--size and --backing: a tree needs at least %llu bytes",
		    (unsigned long long)period_size(tree));
	for (; period_size(tree) <= limit && links_reach(tree); height++)
		size_pools(tree, height + 2, page);
	size_pools(tree, height, page);
	return height;
}

/* Choose the trunk that leads to most of @limit subtrees. */
static void choose_trunk(struct tree *tree, uint64_t limit)
{
	unsigned int best_twos = 0;

	tree->periods = 0;
	for (unsigned int twos = 0; twos <= MAX_TWOS; twos++) {
		uint64_t periods = power(2, twos);
		unsigned int depth = twos;

		if (periods > limit)
			break;
		for (; periods * TREE_FANOUT <= limit; depth++)
			periods *= TREE_FANOUT;
		if (periods > tree->periods) {
			tree->periods = periods;
			tree->trunk = depth;
			best_twos = twos;
		}
	}
	for (unsigned int depth = 0; depth < TREE_MAX_DEPTH; depth++)
		tree->fanout[depth] = depth < best_twos ? 2 : TREE_FANOUT;
}

static void compute_spans(struct tree *tree)
{
	tree->span[tree->depth] = TREE_LEAF_KEYS;
	for (unsigned int depth = tree->depth; depth > 0; depth--)
		tree->span[depth - 1] = tree->span[depth] * tree->fanout[depth - 1];
	if (tree->span[0] > UINT32_MAX)
		die("--size: keys of 4 bytes number at most 2^32, and a tree of that size has more");
}

static void map_pool(const struct tree *tree, struct tree_pool *pool, struct memory *memory)
{
	pool->start = memory_map(memory, 1, pool->period * tree->periods, pool->period);
}

/* Jointly, keys and links are in the pool of nodes, behind the node whose they are. */
static void map_pools(struct tree *tree, struct memory *memory)
{
	map_pool(tree, &tree->nodes, memory);
	map_pool(tree, &tree->records, memory);
	if (tree->layout == TREE_SPLIT) {
		map_pool(tree, &tree->keys, memory);
		map_pool(tree, &tree->links, memory);
		return;
	}
	tree->keys = tree->nodes;
	tree->links = tree->nodes;
	tree->keys.start += sizes[TREE_JOINT].node;
	tree->links.start += sizes[TREE_JOINT].node + sizes[TREE_JOINT].keys;
}

/*
 * Places of the period are numbered: one for each level of the trunk, then those of the subtree
 * from its root on, level by level. Return the number of the first one at @depth.
 */
static uint64_t first_place(const struct tree *tree, unsigned int depth)
{
	return depth <= tree->trunk ? depth : tree->trunk + nr_places(depth - tree->trunk - 1) -
					      TREE_MAX_DEPTH;
}

static uint64_t random_below(uint64_t index, uint64_t limit)
{
	return random_at(SEED, index) % limit;
}

static uint32_t *shuffle(uint64_t nr)
{
	uint32_t *order = allocate(nr, sizeof(*order));

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t other = random_below(i, i + 1);

		order[i] = order[other];
		order[other] = i;
	}
	return order;
}

/* What tree_fill() writes with. */
struct filler {
	const struct tree *tree;
	uint32_t *node_place, *record_place;
	uint64_t drawn;		/* random numbers so far, others than those of shuffle() */
};

static uint32_t draw_period(struct filler *filler)
{
	return random_below(++filler->drawn << 32, filler->tree->periods);
}

static uint32_t node_at(const struct filler *filler, unsigned int depth, uint64_t index)
{
	return filler->node_place[first_place(filler->tree, depth) + index] *
	       filler->tree->nodes.stride;
}

/* The link to child @i of the node @index of the period at @depth. */
static struct tree_link child_link(struct filler *filler, unsigned int depth, uint64_t index,
				   uint32_t i)
{
	const struct tree *tree = filler->tree;

	if (depth < tree->trunk)
		return (struct tree_link){
			i * (tree->span[depth + 1] / tree->span[tree->trunk]),
			node_at(filler, depth + 1, 0),
		};
	return (struct tree_link){
		draw_period(filler), node_at(filler, depth + 1, index * TREE_FANOUT + i),
	};
}

static struct tree_link record_link(struct filler *filler, uint64_t number)
{
	return (struct tree_link){
		draw_period(filler), filler->record_place[number] * filler->tree->records.stride,
	};
}

static uint32_t record_value(uint64_t number)
{
	return scramble(number);
}

static void write_record(struct filler *filler, struct tree_link *link, uint64_t number)
{
	struct tree_record *record;

	*link = record_link(filler, number);
	record = (void *)(filler->tree->records.start + link->at);
	record->value = record_value(number);
}

static void write_node(struct filler *filler, unsigned int depth, uint64_t index)
{
	const struct tree *tree = filler->tree;
	uint64_t place = filler->node_place[first_place(tree, depth) + index];
	struct tree_node *node = (void *)(tree->nodes.start + place * tree->nodes.stride);
	uint32_t *keys = (void *)(tree->keys.start + place * tree->keys.stride);
	struct tree_link *links = (void *)(tree->links.start + place * tree->links.stride);

	node->keys = place * tree->keys.stride;
	node->links = place * tree->links.stride;
	node->is_leaf = depth == tree->depth;
	node->nr_keys = node->is_leaf ? TREE_LEAF_KEYS : tree->fanout[depth] - 1;
	for (uint32_t i = 0; i < node->nr_keys; i++)
		keys[i] = node->is_leaf ? i : (i + 1) * tree->span[depth + 1];
	for (uint32_t i = 0; node->is_leaf && i < TREE_LEAF_KEYS; i++)
		write_record(filler, &links[i], index * TREE_LEAF_KEYS + i);
	for (uint32_t i = 0; !node->is_leaf && i < tree->fanout[depth]; i++)
		links[i] = child_link(filler, depth, index, i);
}

void tree_fill(const struct tree *tree)
{
	unsigned int height = tree->depth - tree->trunk;
	struct filler filler = {
		.tree = tree,
		.node_place = shuffle(nr_places(height)),
		.record_place = shuffle(nr_records(height)),
	};

	for (unsigned int depth = 0; depth < tree->trunk; depth++)
		write_node(&filler, depth, 0);
	for (unsigned int depth = tree->trunk; depth <= tree->depth; depth++)
		for (uint64_t i = 0; i < power(TREE_FANOUT, depth - tree->trunk); i++)
			write_node(&filler, depth, i);
	free(filler.node_place);
	free(filler.record_place);
}

void tree_map(struct tree *tree, enum tree_layout layout, uint64_t size, uint64_t period,
	      struct memory *memory)
{
	uint64_t page = memory_page(memory);
	unsigned int height;
	uint32_t *place;

	*tree = (struct tree){ .layout = layout };
	height = choose_height(tree, size < period ? size : period, page);
	choose_trunk(tree, size / period_size(tree));
	tree->depth = tree->trunk + height;
	compute_spans(tree);
	map_pools(tree, memory);
	place = shuffle(nr_places(height));
	tree->root.at = place[0] * tree->nodes.stride;
	free(place);
}

uint32_t tree_value(const struct tree *tree, uint32_t key)
{
	return record_value(key % tree->span[tree->trunk]);
}
