/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included at the end of ring.c: the updates of 1 GB leaves.  Without a device
 * that maps such leaves (device DAX) no program reaches them, so call the
 * kernel's helpers on a table that has a copy.
 */
#include <kunit/test.h>

#define GIGA_LEAF	(5ULL << PUD_SHIFT | _PAGE_PRESENT | _PAGE_USER | _PAGE_RW | _PAGE_PSE)

struct pair {
	struct ptdesc *primary, *copy;
	pud_t *slot, *mirror;
};

static struct ptdesc *new_table(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	KUNIT_ASSERT_NOT_NULL(test, page);
	__folio_set_pgtable(page_folio(page));
	return page_ptdesc(page);
}

static void free_table(struct ptdesc *pt)
{
	pt->__page_mapping = 0;
	pt->_pt_pad_2 = 0;
	__folio_clear_pgtable(ptdesc_folio(pt));
	__free_page(ptdesc_page(pt));
}

static int pair_init(struct kunit *test)
{
	struct pair *pair = kunit_kzalloc(test, sizeof(*pair), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pair);
	pair->primary = new_table(test);
	pair->copy = new_table(test);
	pair->copy->__page_type |= MITOSIS_TYPE_COPY;
	pair->copy->pt_index = 0;
	pair->copy->_pt_pad_2 = (unsigned long)pair->primary;
	ring_link(pair->primary, pair->copy);
	pair->slot = (pud_t *)ptdesc_address(pair->primary) + 7;
	pair->mirror = (pud_t *)ptdesc_address(pair->copy) + 7;
	test->priv = pair;
	mitosis_hold_key();
	return 0;
}

static void pair_exit(struct kunit *test)
{
	struct pair *pair = test->priv;

	mitosis_drop_key();
	free_table(pair->copy);
	free_table(pair->primary);
}

/* As installed, with what hardware sets when the copy is walked. */
static void both(struct pair *pair, u64 primary, u64 hardware)
{
	WRITE_ONCE(*pair->slot, native_make_pud(primary));
	WRITE_ONCE(*pair->mirror, native_make_pud(primary | hardware));
}

/* init_mm: what is checked for users' pages does not apply. */
static void set_pud_at_stores_in_copies(struct kunit *test)
{
	struct pair *pair = test->priv;

	set_pud_at(&init_mm, 0, pair->slot, native_make_pud(GIGA_LEAF));
	KUNIT_EXPECT_EQ(test, native_pud_val(*pair->slot), GIGA_LEAF);
	KUNIT_EXPECT_EQ(test, native_pud_val(*pair->mirror), GIGA_LEAF);
}

static void pudp_clear_gathers_from_copies(struct kunit *test)
{
	struct pair *pair = test->priv;
	pud_t old;

	both(pair, GIGA_LEAF, _PAGE_ACCESSED | _PAGE_DIRTY);
	old = pudp_huge_get_and_clear(&init_mm, 0, pair->slot);
	KUNIT_EXPECT_TRUE(test, pud_dirty(old) && pud_young(old));
	KUNIT_EXPECT_TRUE(test, pud_none(*pair->slot));
	KUNIT_EXPECT_TRUE(test, pud_none(*pair->mirror));
}

static void pudp_establish_exchanges_in_copies(struct kunit *test)
{
	struct pair *pair = test->priv;
	struct vm_area_struct vma = { .vm_mm = &init_mm };
	pud_t old, invalid = native_make_pud(GIGA_LEAF & ~_PAGE_PRESENT);

	both(pair, GIGA_LEAF, _PAGE_DIRTY);
	old = pudp_establish(&vma, 0, pair->slot, invalid);
	KUNIT_EXPECT_TRUE(test, pud_dirty(old));
	KUNIT_EXPECT_EQ(test, native_pud_val(*pair->mirror), native_pud_val(invalid));
}

static void pudp_young_of_any_copy(struct kunit *test)
{
	struct pair *pair = test->priv;
	struct vm_area_struct vma = { .vm_mm = &init_mm };

	both(pair, GIGA_LEAF, _PAGE_ACCESSED);
	KUNIT_EXPECT_EQ(test, pudp_test_and_clear_young(&vma, 0, pair->slot), 1);
	KUNIT_EXPECT_FALSE(test, pud_young(*pair->mirror));
	KUNIT_EXPECT_EQ(test, pudp_test_and_clear_young(&vma, 0, pair->slot), 0);
}

static void pudp_wrprotect_protects_copies(struct kunit *test)
{
	struct pair *pair = test->priv;

	both(pair, GIGA_LEAF, _PAGE_DIRTY);
	pudp_set_wrprotect(&init_mm, 0, pair->slot);
	KUNIT_EXPECT_FALSE(test, native_pud_val(*pair->slot) & _PAGE_RW);
	KUNIT_EXPECT_FALSE(test, native_pud_val(*pair->mirror) & _PAGE_RW);
}

static struct kunit_case ring_cases[] = {
	KUNIT_CASE(set_pud_at_stores_in_copies),
	KUNIT_CASE(pudp_clear_gathers_from_copies),
	KUNIT_CASE(pudp_establish_exchanges_in_copies),
	KUNIT_CASE(pudp_young_of_any_copy),
	KUNIT_CASE(pudp_wrprotect_protects_copies),
	{}
};

static struct kunit_suite ring_suite = {
	.name = "mitosis-ring",
	.init = pair_init,
	.exit = pair_exit,
	.test_cases = ring_cases,
};

kunit_test_suite(ring_suite);
