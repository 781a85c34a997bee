/* SPDX-License-Identifier: GPL-2.0 */
/* Included at the end of mirror.c: arithmetic on entries. */
#include <kunit/test.h>

#define PFN(n)		((u64)(n) << PAGE_SHIFT)
#define LIVE		(_PAGE_PRESENT | _PAGE_USER)
#define AGED		(LIVE | _PAGE_ACCESSED)

static void ad_needs_same_page(struct kunit *test)
{
	u64 dirty = PFN(5) | AGED | _PAGE_RW | _PAGE_DIRTY;

	KUNIT_EXPECT_EQ(test, entry_ad(dirty, PFN(5) | LIVE),
			(u64)(_PAGE_ACCESSED | _PAGE_DIRTY));
	KUNIT_EXPECT_EQ(test, entry_ad(dirty, PFN(6) | LIVE), 0ULL);
}

/* Bits 5 and 6 of a swap entry are no Accessed and Dirty. */
static void ad_needs_present(struct kunit *test)
{
	u64 swap = PFN(5) | _PAGE_ACCESSED | _PAGE_DIRTY;

	KUNIT_EXPECT_EQ(test, entry_ad(swap, swap), 0ULL);
	KUNIT_EXPECT_EQ(test, entry_ad(swap | _PAGE_PRESENT, swap), 0ULL);
}

static void or_never_makes_shadow_stack(struct kunit *test)
{
	u64 read_only = entry_or(PFN(5) | LIVE, _PAGE_DIRTY);
	u64 writable = entry_or(PFN(5) | LIVE | _PAGE_RW, _PAGE_SAVED_DIRTY);

	KUNIT_EXPECT_FALSE(test, read_only & _PAGE_DIRTY);
	KUNIT_EXPECT_TRUE(test, read_only & _PAGE_SAVED_DIRTY);
	KUNIT_EXPECT_TRUE(test, writable & _PAGE_DIRTY);
	KUNIT_EXPECT_FALSE(test, writable & _PAGE_SAVED_DIRTY);
}

/* A shadow-stack entry is dirty already and stays as it is. */
static void or_keeps_shadow_stack(struct kunit *test)
{
	u64 shadow = PFN(5) | LIVE | _PAGE_DIRTY;

	KUNIT_EXPECT_EQ(test, entry_or(shadow, _PAGE_DIRTY), shadow);
	KUNIT_EXPECT_EQ(test, entry_or(shadow, _PAGE_SAVED_DIRTY), shadow);
}

static void merge_leaves_others_alone(struct kunit *test)
{
	u64 slot = PFN(7) | LIVE | _PAGE_RW;

	entry_merge(&slot, PFN(5) | LIVE | _PAGE_RW, _PAGE_DIRTY);
	KUNIT_EXPECT_EQ(test, slot, PFN(7) | LIVE | _PAGE_RW);

	entry_merge(&slot, PFN(7) | LIVE | _PAGE_RW, _PAGE_DIRTY);
	KUNIT_EXPECT_EQ(test, slot, PFN(7) | LIVE | _PAGE_RW | _PAGE_DIRTY);

	slot = 0;
	entry_merge(&slot, 0, _PAGE_DIRTY);
	KUNIT_EXPECT_EQ(test, slot, 0ULL);
}

/* Stack variables, fixmap and kernel text are no replicated tables. */
static void foreign_pointers(struct kunit *test)
{
	u64 on_stack = 0;
	u64 *slab = kunit_kzalloc(test, sizeof(*slab), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slab);
	KUNIT_EXPECT_NULL(test, replicated_table(&on_stack));
	KUNIT_EXPECT_NULL(test, replicated_table(slab));
	KUNIT_EXPECT_NULL(test, replicated_table(init_mm.pgd));
	KUNIT_EXPECT_NULL(test, replicated_table(empty_zero_page));
}

static struct kunit_case entry_cases[] = {
	KUNIT_CASE(ad_needs_same_page),
	KUNIT_CASE(ad_needs_present),
	KUNIT_CASE(or_never_makes_shadow_stack),
	KUNIT_CASE(or_keeps_shadow_stack),
	KUNIT_CASE(merge_leaves_others_alone),
	KUNIT_CASE(foreign_pointers),
	{}
};

static struct kunit_suite entry_suite = {
	.name = "mitosis-entry",
	.test_cases = entry_cases,
};
kunit_test_suite(entry_suite);
