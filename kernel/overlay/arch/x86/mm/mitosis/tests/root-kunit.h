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

static void free_root(void *root)
{
	free_page((unsigned long)root);
}

static pgd_t *fake_root(struct kunit *test)
{
	pgd_t *root = (pgd_t *)get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, root);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_root, root));
	return root;
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

/* A primary with one copy, and the root that CPUs of this node shall load. */
static struct mitosis_mm *fake_roots(struct kunit *test, pgd_t **primary,
				     pgd_t **copy)
{
	struct ptdesc *pt = virt_to_ptdesc(*primary = fake_root(test));
	struct ptdesc *other = virt_to_ptdesc(*copy = fake_root(test));
	struct mitosis_mm *m = fake_mm(test, *primary);

	pt->pt_mm = m->mm;
	pt->__page_mapping = (unsigned long)other;
	other->__page_mapping = (unsigned long)pt;
	return m;
}

static void no_ring(pgd_t *root)
{
	virt_to_ptdesc(root)->__page_mapping = 0;
	virt_to_ptdesc(root)->pt_mm = NULL;
}

/*
 * A CPU remembers a copy as its root, and the primary as none; nothing of CR3
 * changes but the address.
 */
static void remembers_loaded_root(struct kunit *test)
{
	unsigned long bits = CR3_NOFLUSH | X86_CR3_LAM_U57 | X86_CR3_LAM_U48 | 5;
	pgd_t *primary, *copy, *loaded, *back, *saved;
	struct mitosis_mm *m = fake_roots(test, &primary, &copy);
	struct mm_struct *saved_mm, *switching;
	unsigned long flags, cr3, cr3_back;

	local_irq_save(flags);
	saved = this_cpu_read(loaded_copy);
	saved_mm = this_cpu_read(cpu_tlbstate.loaded_mm);
	m->node[numa_node_id()].root = copy;
	cr3 = __mitosis_cr3(__sme_pa(primary) | bits);
	loaded = __mitosis_loaded_root(primary);
	m->node[numa_node_id()].root = primary;
	cr3_back = __mitosis_cr3(__sme_pa(primary) | bits);
	back = this_cpu_read(loaded_copy);
	this_cpu_write(loaded_copy, saved);
	switching = this_cpu_read(cpu_tlbstate.loaded_mm);
	this_cpu_write(cpu_tlbstate.loaded_mm, saved_mm);
	local_irq_restore(flags);
	no_ring(primary);
	no_ring(copy);

	KUNIT_EXPECT_EQ(test, cr3, __sme_pa(copy) | bits);
	KUNIT_EXPECT_PTR_EQ(test, loaded, copy);
	KUNIT_EXPECT_EQ(test, cr3_back, __sme_pa(primary) | bits);
	KUNIT_EXPECT_NULL(test, back);
	/* What an NMI sees meanwhile. */
	KUNIT_EXPECT_PTR_EQ(test, switching, LOADED_MM_SWITCHING);
}

/* So do those without copies: their PGD page need not name an mm. */
static void others_keep_primary(struct kunit *test)
{
	pgd_t *primary = fake_root(test), *saved, *loaded;
	struct mm_struct *saved_mm;
	unsigned long flags, cr3;

	virt_to_ptdesc(primary)->pt_mm = (void *)1;
	local_irq_save(flags);
	saved = this_cpu_read(loaded_copy);
	saved_mm = this_cpu_read(cpu_tlbstate.loaded_mm);
	cr3 = __mitosis_cr3(__sme_pa(primary));
	loaded = this_cpu_read(loaded_copy);
	this_cpu_write(loaded_copy, saved);
	this_cpu_write(cpu_tlbstate.loaded_mm, saved_mm);
	local_irq_restore(flags);
	no_ring(primary);

	KUNIT_EXPECT_EQ(test, cr3, __sme_pa(primary));
	KUNIT_EXPECT_NULL(test, loaded);
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
