/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest for tests that maps each virtual address below 16 TB to the same physical one. Its
 * tables are not stored but computed: those of level L lie from L * 16 TB on, in the order of what
 * they map.
 */
#ifndef MODEL_TESTS_GUEST_H
#define MODEL_TESTS_GUEST_H

#include <stdlib.h>

#include "system.h"

#define TABLES_SHIFT	44

struct test_guest {
	int leaf_level;		/* 1, 2, 3: pages of 4 KB, 2 MB, 1 GB */
	int levels;
	uint64_t hole;		/* a page number that is not mapped */
	int data_node, table_node;
	uint64_t root;		/* 0: the one of the highest level */
	unsigned int roots_asked;
};

static inline uint64_t test_table(int level, uint64_t virtual)
{
	return ((uint64_t)level << TABLES_SHIFT) + (virtual >> (12 + 9 * level) << 12);
}

static inline bool test_read_entry(void *context, uint64_t address, uint64_t *entry)
{
	struct test_guest *guest = context;
	int level = address >> TABLES_SHIFT;
	uint64_t child = (address & ((1ULL << TABLES_SHIFT) - 1)) >> 3;

	if (level == 0 || level > guest->levels)
		return false;
	if (level == guest->leaf_level) {
		*entry = child << (12 + 9 * (level - 1)) | (level > 1) << 7 | 1;
		return level > 1 || !guest->hole || child != guest->hole;
	}
	*entry = ((uint64_t)(level - 1) << TABLES_SHIFT) + (child << 12) + 1;
	return true;
}

static inline uint64_t test_root(void *context, unsigned int cpu)
{
	struct test_guest *guest = context;

	(void)cpu;
	guest->roots_asked++;
	return guest->root ?: (uint64_t)guest->levels << TABLES_SHIFT;
}

static inline int test_node(void *context, uint64_t address)
{
	struct test_guest *guest = context;

	return address >> TABLES_SHIFT ? guest->table_node : guest->data_node;
}

static inline struct guest test_guest(struct test_guest *guest, unsigned int nr_cpus,
				      const int *cpu_node)
{
	return (struct guest){
		.context = guest, .read_entry = test_read_entry, .root = test_root,
		.node = test_node, .levels = guest->levels, .nr_cpus = nr_cpus,
		.cpu_node = cpu_node,
	};
}

static inline struct machine *test_machine(const char *const *settings, size_t nr_settings)
{
	struct machine *machine = machine_read("tests/machine.conf", settings, nr_settings,
					       stderr);

	if (!machine)
		exit(3);
	return machine;
}

#define TEST_MACHINE(...) ({							\
	const char *const settings_[] = { __VA_ARGS__ };			\
										\
	test_machine(settings_, sizeof(settings_) / sizeof(settings_[0]));	\
})

#endif
