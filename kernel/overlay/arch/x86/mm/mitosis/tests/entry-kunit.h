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

/*
 * Over a live leaf of the same page, Dirty of a copy is kept.  Accessed is not:
 * whoever stores an old entry there means it.
 */
static void store_keeps_dirty_alone(struct kunit *test)
{
	u64 *table = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL), kept;
	struct ptdesc *copy;

	KUNIT_ASSERT_NOT_NULL(test, table);
	copy = virt_to_ptdesc(table);
	table[3] = PFN(5) | AGED | _PAGE_RW | _PAGE_DIRTY;
	kept = entry_store(copy, (void *)(3 * sizeof(u64)), PFN(5) | LIVE, MITOSIS_PTE);
	KUNIT_EXPECT_EQ(test, kept, (u64)_PAGE_DIRTY);
	KUNIT_EXPECT_EQ(test, table[3], PFN(5) | LIVE);
}

/* What lies beside the address stays: encryption, protection key, NX. */
static void translation_keeps_other_bits(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	u64 flags = _PAGE_TABLE | _PAGE_NX | _PAGE_PKEY_BIT3;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, entry_to(PFN(5) | flags, page_ptdesc(page)),
			((u64)page_to_pfn(page) << PAGE_SHIFT) | flags);
	__free_page(page);
}

/* Nothing was added to what every page of the machine has. */
static void page_descriptor_is_small(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, sizeof(struct page), (size_t)64);
}

static struct kunit_case entry_cases[] = {
	KUNIT_CASE(page_descriptor_is_small),
	KUNIT_CASE(store_keeps_dirty_alone),
	KUNIT_CASE(translation_keeps_other_bits),
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
