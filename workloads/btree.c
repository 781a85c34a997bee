// SPDX-License-Identifier: GPL-2.0
/*
 * BTree: look up random keys in a B+tree (tree.h).
 *
 * How the parts of a node lie to each other decides how many pages a search touches, and is the
 * least known about the published program: header, keys and links of a node are allocated one by
 * one. The default has each kind in a region of its own. The published figures speak for it: of
 * what a remote page table and remote data cost there, three of eight memory accesses are of page
 * walks, which takes a page of its own for nearly every line of data; nodes that lie together
 * (--layout joint) have fewer.
 */
#include <string.h>

#include "tree.h"
#include "workload.h"

#define SEED	UINT64_C(0x627472656573)

static struct tree tree;
static enum tree_layout layout = TREE_SPLIT;

static void set_layout(const char *value)
{
	if (!strcmp(value, "split"))
		layout = TREE_SPLIT;
	else if (!strcmp(value, "joint"))
		layout = TREE_JOINT;
	else
		die("--layout: '%s' is not one of split, joint", value);
}

static void prepare(const struct options *opt, struct memory *memory)
{
	tree_map(&tree, layout, opt->size, opt->backing, memory);
}

static void fill(void)
{
	tree_fill(&tree);
}

static uint32_t key_of(uint64_t lookup)
{
	return (random_at(SEED, lookup) >> 32) * tree.span[0] >> 32;
}

static void spoil(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		struct tree_record *record = (void *)tree_find(&tree, key_of(i));

		record->value ^= 1;
	}
}

static struct tally operate(unsigned int thread, uint64_t from, uint64_t to)
{
	struct tally found = { 0 };

	(void)thread;
	for (; from < to; from++) {
		const struct tree_record *record = tree_find(&tree, key_of(from));

		if (record) {
			found.count++;
			found.sum += record->value;
		}
	}
	return found;
}

static bool verify(uint64_t nr, struct tally found, uint64_t *answer)
{
	uint64_t expected = 0;

	for (uint64_t i = 0; i < nr; i++)
		expected += tree_value(&tree, key_of(i));
	*answer = found.sum;
	return found.count == nr && found.sum == expected;
}

int main(int argc, char **argv)
{
	static const struct setting settings[] = {
		{ "layout", "split|joint",
		  "split: headers, keys and links of nodes each in a region of their own,\n"
		  "as allocators with size classes put them (default)\n"
		  "joint: one after the other, as allocators put them that cut from one heap",
		  set_layout },
		{ 0 },
	};
	static const struct workload workload = {
		.name = "btree",
		.summary = "Look up random keys in a B+tree of order 4. It is the largest regular tree that --size\n"
			   "has room for.",
		.operation = "lookups",
		.defaults = {
			.size = 35 * GB, .backing = 64 * MB, .operations = 100000, .warmup = 100000,
		},
		.unit = 1,
		.max_threads = 4096,
		.settings = settings,
		.prepare = prepare,
		.fill = fill,
		.spoil = spoil,
		.operate = operate,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
