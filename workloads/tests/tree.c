// SPDX-License-Identifier: GPL-2.0
/*
 * Check that a tree whose data repeat is a tree: searched for all keys, it has as many nodes and
 * records as a tree of its fan-outs, each at an address of its own and inside its pool, and the
 * addresses are the same when memory is real. Usage: tree split|joint
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common.h"
#include "../tree.h"

#define SIZE	(UINT64_C(4) << 20)
#define PERIOD	(UINT64_C(64) << 10)

/* Which of the places of a pool were seen, and how many. */
struct seen {
	const struct tree_pool *pool;
	uint64_t slots;
	bool *slot;
	uint64_t nr, outside;
};

static struct seen new_seen(const struct tree *tree, const struct tree_pool *pool)
{
	uint64_t slots = tree->periods * pool->period / 16;

	return (struct seen){ pool, slots, allocate(slots, sizeof(bool)), 0, 0 };
}

static void see(struct seen *seen, const void *object)
{
	uint64_t offset = (const char *)object - seen->pool->start;

	if (offset / 16 >= seen->slots || offset % seen->pool->period % seen->pool->stride) {
		seen->outside++;
		return;
	}
	seen->nr += !seen->slot[offset / 16];
	seen->slot[offset / 16] = true;
}

static void see_path(const struct tree *tree, uint32_t key, struct seen *nodes)
{
	struct tree_cursor cursor = tree_root(tree, key);

	see(nodes, tree_node(tree, cursor));
	while (!tree_node(tree, cursor)->is_leaf) {
		tree_descend(tree, tree_node(tree, cursor), &cursor);
		see(nodes, tree_node(tree, cursor));
	}
}

static uint64_t expected_nodes(const struct tree *tree)
{
	uint64_t level = 1, sum = 1;

	for (unsigned int depth = 0; depth < tree->depth; depth++) {
		level *= tree->fanout[depth];
		sum += level;
	}
	return sum;
}

static void build(struct tree *tree, enum tree_layout layout, struct memory *memory)
{
	tree_map(tree, layout, SIZE, PERIOD, memory);
	tree_fill(tree);
	memory_repeat(memory);
}

/* Print @what if it is false. */
static bool must(bool holds, const char *what)
{
	if (!holds)
		printf("wrong: %s\n", what);
	return holds;
}

static bool check_places(const struct tree *tree)
{
	struct seen nodes = new_seen(tree, &tree->nodes), records = new_seen(tree, &tree->records);
	bool good = true;

	for (uint64_t key = 0; key < tree->span[0]; key++) {
		const struct tree_record *record = tree_find(tree, key);

		see_path(tree, key, &nodes);
		see(&records, record);
		good &= record && record->value == tree_value(tree, key);
	}
	good = must(good, "a value");
	good &= must(nodes.nr == expected_nodes(tree), "the number of nodes");
	good &= must(records.nr == tree->span[0], "the number of records");
	good &= must(!nodes.outside && !records.outside, "an address");
	good &= must(tree->periods > 1 && tree->trunk && tree->depth > tree->trunk + 1,
		     "the shape");
	free(nodes.slot);
	free(records.slot);
	return good;
}

static bool check_same(const struct tree *a, const struct tree *b)
{
	bool same = a->span[0] == b->span[0];

	for (uint64_t key = 0; same && key < a->span[0]; key++)
		same = (const char *)tree_find(a, key) - a->records.start ==
		       (const char *)tree_find(b, key) - b->records.start;
	return must(same, "aliased and real memory have the same addresses");
}

int main(int argc, char **argv)
{
	enum tree_layout layout = argc > 1 && !strcmp(argv[1], "joint") ? TREE_JOINT : TREE_SPLIT;
	struct memory aliased = { .real = false }, real = { .real = true };
	struct tree tree, other;
	bool good;

	build(&tree, layout, &aliased);
	build(&other, layout, &real);
	good = check_places(&tree) & check_places(&other) & check_same(&tree, &other);
	printf("%llu keys, %llu nodes: %s\n", (unsigned long long)tree.span[0],
	       (unsigned long long)expected_nodes(&tree), good ? "each at its place" : "wrong");
	return good ? 0 : 1;
}
