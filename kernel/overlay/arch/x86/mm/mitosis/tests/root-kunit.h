/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included at the end of root.c: what happens with PCIDs and roots, which an
 * emulator without PCID cannot show.
 */
#include <kunit/test.h>
#include <linux/slab.h>

static struct mitosis_mm *fake_mm(struct kunit *test, pgd_t *primary)
{
	struct mm_struct *mm = kunit_kzalloc(test, sizeof(*mm), GFP_KERNEL);
	struct mitosis_mm *m;
	int nid;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	m = kunit_kzalloc(test, struct_size(m, node, nr_node_ids), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	mm->pgd = primary;
	mm->context.mitosis = m;
	m->mm = mm;
	mutex_init(&m->lock);
	for (nid = 0; nid < nr_node_ids; nid++)
		m->node[nid].root = primary;
	return m;
}

/* Only the contexts of this address space lose their place in the TLB. */
static void forgets_own_contexts(struct kunit *test)
{
	u64 saved[TLB_NR_DYN_ASIDS], seen[TLB_NR_DYN_ASIDS];
	unsigned long flags;
	int i;

	local_irq_save(flags);
	for (i = 0; i < TLB_NR_DYN_ASIDS; i++) {
		saved[i] = this_cpu_read(cpu_tlbstate.ctxs[i].ctx_id);
		this_cpu_write(cpu_tlbstate.ctxs[i].ctx_id, 1000 + i % 2);
	}
	forget_contexts(1001);
	for (i = 0; i < TLB_NR_DYN_ASIDS; i++) {
		seen[i] = this_cpu_read(cpu_tlbstate.ctxs[i].ctx_id);
		this_cpu_write(cpu_tlbstate.ctxs[i].ctx_id, saved[i]);
	}
	local_irq_restore(flags);

	for (i = 0; i < TLB_NR_DYN_ASIDS; i++)
		KUNIT_EXPECT_EQ(test, seen[i], i % 2 ? 0ULL : 1000ULL);
}

/* A CPU remembers a copy as its root, and the primary as none. */
static void remembers_loaded_root(struct kunit *test)
{
	pgd_t primary, copy, *picked, *loaded, *back;
	struct mitosis_mm *m = fake_mm(test, &primary);
	unsigned long flags;
	pgd_t *saved;

	local_irq_save(flags);
	saved = this_cpu_read(loaded_copy);
	m->node[numa_node_id()].root = &copy;
	picked = __mitosis_pick_root(m->mm, &primary);
	loaded = __mitosis_loaded_root(&primary);
	m->node[numa_node_id()].root = &primary;
	__mitosis_pick_root(m->mm, &primary);
	back = this_cpu_read(loaded_copy);
	this_cpu_write(loaded_copy, saved);
	local_irq_restore(flags);

	KUNIT_EXPECT_PTR_EQ(test, picked, &copy);
	KUNIT_EXPECT_PTR_EQ(test, loaded, &copy);
	KUNIT_EXPECT_NULL(test, back);
}

/* Address spaces that never had a policy keep their primary. */
static void others_keep_primary(struct kunit *test)
{
	pgd_t primary, *picked;
	struct mitosis_mm *m = fake_mm(test, &primary);
	unsigned long flags;
	pgd_t *saved;

	m->mm->context.mitosis = NULL;
	local_irq_save(flags);
	saved = this_cpu_read(loaded_copy);
	picked = __mitosis_pick_root(m->mm, &primary);
	this_cpu_write(loaded_copy, saved);
	local_irq_restore(flags);
	KUNIT_EXPECT_PTR_EQ(test, picked, &primary);
}

static void unlisted_nodes_walk_the_nearest(struct kunit *test)
{
	pgd_t primary, tree;
	struct mitosis_mm *m = fake_mm(test, &primary);
	int nid;

	mutex_lock(&m->lock);
	node_set(0, m->nodes);
	m->node[0].tree = &tree;
	KUNIT_EXPECT_TRUE(test, mitosis_publish_roots(m));
	KUNIT_EXPECT_FALSE(test, mitosis_publish_roots(m));
	for (nid = 0; nid < nr_node_ids; nid++)
		KUNIT_EXPECT_PTR_EQ(test, m->node[nid].root, &tree);

	nodes_clear(m->nodes);
	KUNIT_EXPECT_TRUE(test, mitosis_publish_roots(m));
	for (nid = 0; nid < nr_node_ids; nid++)
		KUNIT_EXPECT_PTR_EQ(test, m->node[nid].root, &primary);
	mutex_unlock(&m->lock);
}

static struct kunit_case root_cases[] = {
	KUNIT_CASE(forgets_own_contexts),
	KUNIT_CASE(remembers_loaded_root),
	KUNIT_CASE(others_keep_primary),
	KUNIT_CASE(unlisted_nodes_walk_the_nearest),
	{}
};

static struct kunit_suite root_suite = {
	.name = "mitosis-root",
	.test_cases = root_cases,
};

kunit_test_suite(root_suite);
