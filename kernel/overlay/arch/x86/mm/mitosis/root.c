// SPDX-License-Identifier: GPL-2.0
/*
 * Roots: which one a CPU loads, and how running CPUs change over.
 *
 * tlb.c builds CR3 with the primary and asks here before it loads it.  Only the
 * address changes; PCID, LAM, SME and PTI bits stay as they are: a copy of a
 * root has the same alignment and the same user half behind it.
 */
#include <linux/cpumask.h>
#include <linux/smp.h>
#include <linux/topology.h>
#include <asm/mmu_context.h>
#include <asm/tlbflush.h>
#include "internal.h"

/*
 * The root in this CPU's CR3 if that is a copy, NULL if it is the primary of
 * loaded_mm.  NULL is what every CPU has when the static key is switched, so
 * the hooks may be patched in any order.
 */
static DEFINE_PER_CPU(pgd_t *, loaded_copy);

/*
 * Of a process, whose PGD page names its mm, or of somebody else, who has no
 * ring.  The ring is linked before roots are published, so whoever finds none
 * is interrupted when they are, like whoever finds the old roots.
 */
static pgd_t *root_here(pgd_t *primary)
{
	struct ptdesc *pt = virt_to_ptdesc(primary);
	struct mitosis_mm *m;

	if (!ring_next(pt) || mitosis_left_out(MITOSIS_HOOK_ROOT_SWITCH))
		return primary;

	m = mitosis_of(pt->pt_mm);
	return m ? READ_ONCE(m->node[numa_node_id()].root) : primary;
}

unsigned long __mitosis_cr3(unsigned long cr3)
{
	pgd_t *primary = __va(cr3 & CR3_ADDR_MASK);
	pgd_t *root = root_here(primary);

	if ((cr3 & X86_CR3_PCID_NOFLUSH) &&
	    mitosis_left_out(MITOSIS_HOOK_ROOT_SWITCH_NOFLUSH))
		root = primary;

	/*
	 * A lazy CPU that comes back to the address space it has loaded may get
	 * another root here.  Upstream it gets the same one, and does not say that
	 * it switches; an NMI meanwhile would find a root that loaded_mm does not
	 * explain, see nmi_uaccess_okay().  switch_mm_irqs_off() stores loaded_mm
	 * once CR3 is written.
	 */
	this_cpu_write(cpu_tlbstate.loaded_mm, LOADED_MM_SWITCHING);
	barrier();
	this_cpu_write(loaded_copy, (root == primary ? NULL : root));
	return cr3 - __pa(primary) + __pa(root);
}

pgd_t *__mitosis_loaded_root(pgd_t *primary)
{
	pgd_t *copy = this_cpu_read(loaded_copy);

	if (mitosis_left_out(MITOSIS_HOOK_ROOT_LOADED))
		return primary;
	return copy ?: primary;
}
EXPORT_SYMBOL_GPL(__mitosis_loaded_root);

bool mitosis_has_roots(struct mm_struct *mm)
{
	return mitosis_on() && mitosis_of(mm);
}
EXPORT_SYMBOL_GPL(mitosis_has_roots);

/* The nearest tree that the policy lists, or the primary. */
static pgd_t *nearest_tree(struct mitosis_mm *m, int nid)
{
	int n, best = NUMA_NO_NODE;

	for_each_node_mask(n, m->nodes) {
		if (!m->node[n].tree)
			continue;
		if (best == NUMA_NO_NODE ||
		    node_distance(nid, n) < node_distance(nid, best))
			best = n;
	}
	return best == NUMA_NO_NODE ? m->mm->pgd : m->node[best].tree;
}

/* Return: whether a CPU may have to change over. */
bool mitosis_publish_roots(struct mitosis_mm *m)
{
	bool changed = false;
	int nid;

	lockdep_assert_held(&m->lock);
	for (nid = 0; nid < nr_node_ids; nid++) {
		pgd_t *root = nearest_tree(m, nid);

		if (m->node[nid].root == root)
			continue;
		WRITE_ONCE(m->node[nid].root, root);
		changed = true;
	}
	return changed;
}

/* The paging-structure caches of these contexts may know the old root. */
static void forget_contexts(u64 ctx_id)
{
	int i;

	for (i = 0; i < TLB_NR_DYN_ASIDS; i++) {
		if (this_cpu_read(cpu_tlbstate.ctxs[i].ctx_id) == ctx_id)
			this_cpu_write(cpu_tlbstate.ctxs[i].ctx_id, 0);
	}
}

/*
 * Leave the address space and come back to it with a flush.  Whatever tlb_gen
 * says: a CPU may have read it before, and the roots after, the publication.
 * A lazy CPU has nothing to come back for.
 */
static void reload_root(void *info)
{
	struct mm_struct *mm = info;
	bool lazy = this_cpu_read(cpu_tlbstate_shared.is_lazy);

	lockdep_assert_irqs_disabled();
	if (this_cpu_read(cpu_tlbstate.loaded_mm) != mm ||
	    mitosis_left_out(MITOSIS_HOOK_ROOT_RELOAD))
		return;

	switch_mm_irqs_off(NULL, &init_mm, NULL);
	forget_contexts(mm->context.ctx_id);
	if (!lazy)
		switch_mm_irqs_off(NULL, mm, NULL);
}

/*
 * When this returns, no CPU walks a root that is published no more, but for one
 * that is just leaving it: its bit in mm_cpumask is clear, and interrupts are off
 * until CR3 is written.  It sets no Dirty, since nothing of user space is accessed
 * there, and mitosis_free_unlinked() waits for it.
 */
void mitosis_reload_roots(struct mitosis_mm *m)
{
	/*
	 * Full barrier between publishing and reading mm_cpumask; pairs with
	 * cpumask_set_cpu() in switch_mm_irqs_off().  A CPU that still has the
	 * address space under another PCID flushes when it returns to it.
	 */
	inc_mm_tlb_gen(m->mm);
	on_each_cpu_mask(mm_cpumask(m->mm), reload_root, m->mm, true);

	/*
	 * A CPU may have caught up with tlb_gen by some other flush, walked the
	 * old root on, and left before the mask was read.  Nobody can start on
	 * the old root any more, so one more generation makes it flush when it
	 * comes back.
	 */
	flush_tlb_mm(m->mm);
}

/*
 * No interrupt reaches this CPU from here on, and it has left the online mask:
 * do not stay lazily on a root that may be freed meanwhile.
 */
void __mitosis_cpu_disable(void)
{
	lockdep_assert_irqs_disabled();
	switch_mm_irqs_off(NULL, &init_mm, NULL);
}

#ifdef CONFIG_MITOSIS_KUNIT_TEST
#include "tests/root-kunit.h"
#endif
