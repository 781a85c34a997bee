// SPDX-License-Identifier: GPL-2.0
#include "mmu.h"

#include "guest.h"
#include "test.h"

#define KB	(1ULL << 10)
#define MB	(1ULL << 20)
#define GB	(1ULL << 30)

struct rig {
	struct test_guest tables;
	struct guest guest;
	struct machine *machine;
	struct caches caches;
	struct mmu mmu;
	struct translation last;
};

static const int cpu_node[] = { 0 };

static struct rig *new_rig_in(struct machine *machine, int levels, int leaf_level)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->tables = (struct test_guest){ .levels = levels, .leaf_level = leaf_level };
	rig->guest = test_guest(&rig->tables, 1, cpu_node);
	rig->machine = machine;
	caches_init(&rig->caches, machine, 1, cpu_node);
	mmu_init(&rig->mmu, machine);
	return rig;
}

#define new_rig(levels, leaf_level, ...) \
	new_rig_in(TEST_MACHINE("frequency 2200", ##__VA_ARGS__), levels, leaf_level)

static void free_rig(struct rig *rig)
{
	mmu_free(&rig->mmu);
	caches_free(&rig->caches);
	machine_free(rig->machine);
	free(rig);
}

static const struct translation *translate(struct rig *rig, uint64_t virtual)
{
	mmu_translate(&rig->mmu, &rig->guest, &rig->caches, 0, virtual, &rig->last);
	if (!rig->last.failed)
		EXPECT_EQUAL(rig->last.physical, virtual);
	return &rig->last;
}

/* Entries that a translation read; 0 if a TLB had it. */
static unsigned int steps(struct rig *rig, uint64_t virtual)
{
	translate(rig, virtual);
	return rig->last.found == FOUND_WALK ? rig->last.nr_steps : 0;
}

TEST(paging_structure_caches_skip_levels)
{
	struct rig *rig = new_rig(4, 1);

	EXPECT_EQUAL(steps(rig, 0), 4);
	EXPECT_EQUAL(rig->last.step[0].level, 4);
	EXPECT_EQUAL(steps(rig, 0), 0);
	EXPECT_EQUAL(steps(rig, 4 * KB), 1);
	EXPECT_EQUAL(rig->last.step[0].level, 1);
	EXPECT_EQUAL(steps(rig, 2 * MB), 2);
	EXPECT_EQUAL(steps(rig, GB), 3);
	EXPECT_EQUAL(steps(rig, 512 * GB), 4);
	free_rig(rig);
}

TEST(without_such_caches_every_walk_is_whole)
{
	struct rig *rig = new_rig(4, 1, "psc 5 4 4");

	EXPECT_EQUAL(steps(rig, 0), 4);
	EXPECT_EQUAL(steps(rig, 4 * KB), 4);
	free_rig(rig);
}

TEST(five_levels_are_one_more)
{
	struct rig *rig = new_rig(5, 1, "psc 2 32 4", "psc 5 4 4");

	EXPECT_EQUAL(steps(rig, 0), 5);
	EXPECT_EQUAL(rig->last.step[0].level, 5);
	EXPECT_EQUAL(steps(rig, 4 * KB), 1);
	EXPECT_EQUAL(steps(rig, GB), 4);
	free_rig(rig);
}

TEST(large_pages_end_a_walk_early)
{
	struct rig *two = new_rig(4, 2), *one = new_rig(4, 3);

	EXPECT_EQUAL(steps(two, 0), 3);
	EXPECT_EQUAL(two->last.size, PAGE_2M);
	EXPECT_EQUAL(steps(two, 2 * MB - 8), 0);
	EXPECT_EQUAL(two->last.page, 0);
	EXPECT_EQUAL(steps(two, 2 * MB), 1);
	EXPECT_EQUAL(steps(one, 5), 2);
	EXPECT_EQUAL(one->last.size, PAGE_1G);
	EXPECT_EQUAL(steps(one, GB - 8), 0);
	EXPECT_EQUAL(steps(one, GB), 1);
	free_rig(two);
	free_rig(one);
}

TEST(what_leaves_the_first_level_is_in_the_second)
{
	struct rig *rig = new_rig(4, 1, "dtlb 4k 1 1");

	translate(rig, 0);
	translate(rig, 4 * KB);
	EXPECT_EQUAL(translate(rig, 0)->found, FOUND_STLB);
	EXPECT_EQUAL(translate(rig, 0)->found, FOUND_DTLB);
	free_rig(rig);
}

/* As on Haswell: 1 GB pages have no second level. */
TEST(a_size_without_second_level_walks)
{
	struct rig *rig = new_rig(4, 3, "dtlb 1g 1 1");

	translate(rig, 0);
	translate(rig, GB);
	EXPECT_EQUAL(translate(rig, 0)->found, FOUND_WALK);
	free_rig(rig);
}

TEST(what_is_not_mapped_is_not_kept)
{
	struct rig *rig = new_rig(4, 1);

	rig->tables.hole = 7;
	EXPECT_EQUAL(steps(rig, 7 * 4 * KB), 4);
	EXPECT(rig->last.failed);
	rig->tables.hole = 0;
	EXPECT_EQUAL(steps(rig, 7 * 4 * KB), 1);	/* the tables above were there */
	EXPECT(!rig->last.failed);
	free_rig(rig);
}

TEST(entries_come_through_the_caches)
{
	struct rig *rig = new_rig(4, 1, "psc 5 4 4");

	rig->tables.table_node = 3;
	EXPECT_EQUAL(translate(rig, 0)->step[3].entry.served, SERVED_MEMORY);
	EXPECT_EQUAL(rig->last.step[3].entry.home, 3);
	EXPECT_EQUAL(translate(rig, 4 * KB)->step[3].entry.served, CACHE_L1);	/* its line */
	EXPECT_EQUAL(translate(rig, 32 * KB)->step[3].entry.served, SERVED_MEMORY);	/* next */
	EXPECT_EQUAL(rig->last.step[2].entry.served, CACHE_L1);
	free_rig(rig);
}

TEST(flushing_an_address_flushes_all_upper_levels)
{
	struct rig *rig = new_rig(4, 1);

	translate(rig, 0);
	translate(rig, 4 * KB);
	mmu_flush(&rig->mmu, FLUSH_ADDRESS, 0);
	EXPECT_EQUAL(steps(rig, 4 * KB), 0);
	EXPECT_EQUAL(steps(rig, 0), 4);
	EXPECT_EQUAL(rig->tables.roots_asked, 1);
	free_rig(rig);
}

TEST(another_root_is_another_context)
{
	struct rig *rig = new_rig(4, 1);

	translate(rig, 0);
	rig->tables.root = test_table(4, 0) + 0x002;	/* another PCID */
	EXPECT_EQUAL(steps(rig, 0), 0);			/* nobody said so yet */
	mmu_flush(&rig->mmu, FLUSH_CONTEXT, 0);
	EXPECT_EQUAL(steps(rig, 0), 4);
	EXPECT_EQUAL(rig->mmu.root, test_table(4, 0) + 0x002);
	EXPECT_EQUAL(rig->tables.roots_asked, 2);
	free_rig(rig);
}

TEST(a_freed_table_is_told_when_used)
{
	struct rig *rig = new_rig(4, 1);

	translate(rig, 0);
	mmu_table_freed(&rig->mmu, test_table(1, 0));
	EXPECT_EQUAL(translate(rig, 0)->freed, FREED_TLB);
	EXPECT_EQUAL(rig->last.freed_table, test_table(1, 0));
	EXPECT_EQUAL(translate(rig, 4 * KB)->freed, FREED_PSC);
	EXPECT_EQUAL(rig->last.freed_table, test_table(1, 0));
	EXPECT_EQUAL(translate(rig, 2 * MB)->freed, FREED_NONE);	/* another table */
	mmu_flush(&rig->mmu, FLUSH_ADDRESS, 0);
	EXPECT_EQUAL(translate(rig, 0)->freed, FREED_NONE);
	free_rig(rig);
}

TEST(a_freed_root_is_told_until_cr3_is_written)
{
	struct rig *rig = new_rig(4, 1);

	translate(rig, 0);
	mmu_table_freed(&rig->mmu, test_table(4, 0));
	EXPECT_EQUAL(translate(rig, 512 * GB)->freed, FREED_ROOT);
	mmu_flush(&rig->mmu, FLUSH_ADDRESS, 0);
	EXPECT_EQUAL(translate(rig, 1024 * GB)->freed, FREED_ROOT);
	mmu_flush(&rig->mmu, FLUSH_CONTEXT, 0);
	EXPECT_EQUAL(translate(rig, 1024 * GB)->freed, FREED_NONE);
	free_rig(rig);
}

TEST_MAIN
