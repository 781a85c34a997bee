// SPDX-License-Identifier: GPL-2.0
/*
 * One table and its copies: find, grow, shrink, free.
 *
 * internal.h states the rules that this file keeps.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/vmstat.h>
#include <asm/tlb.h>
#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/mitosis.h>

atomic_long_t mitosis_pages;

spinlock_t *table_lock(struct mm_struct *mm, struct ptdesc *pt, int level)
{
	switch (level) {
	case MITOSIS_PTE:
		return ptep_lockptr(mm, ptdesc_address(pt));
	case MITOSIS_PMD:
		return pmd_lockptr(mm, ptdesc_address(pt));
	default:
		return &mm->page_table_lock;
	}
}

/*
 * Take a table's own lock under its parent's.  From the PUD level up both are
 * page_table_lock.  Returns the lock to drop, or NULL.
 */
static spinlock_t *table_lock_nested(struct mm_struct *mm, struct ptdesc *pt,
				     int level)
{
	spinlock_t *ptl;

	if (level >= MITOSIS_PUD)
		return NULL;

	ptl = table_lock(mm, pt, level);
	spin_lock_nested(ptl, SINGLE_DEPTH_NESTING);
	return ptl;
}

static void table_unlock_nested(spinlock_t *ptl)
{
	if (ptl)
		spin_unlock(ptl);
}

/* The copy of @pt on @nid that belongs to @m, or NULL. */
struct ptdesc *ring_find(struct ptdesc *pt, int nid, struct mitosis_mm *m)
{
	struct ptdesc *copy;

	for_each_copy(copy, pt) {
		if (ptdesc_nid(copy) == nid && copy_owner(copy) == m)
			return copy;
	}
	return NULL;
}

/*
 * P4D and PGD pages have no constructor in this kernel, so nothing marks them
 * as page tables.  Stores recognise a replicated table by its type: set it
 * while there are copies.
 */
static void primary_mark(struct ptdesc *pt, int level)
{
	if (level < MITOSIS_P4D)
		return;

	__folio_set_pgtable(ptdesc_folio(pt));
	if (level == mitosis_top_level())
		pt->__page_type |= MITOSIS_TYPE_ROOT;
}

static void primary_unmark(struct ptdesc *pt, int level)
{
	if (level >= MITOSIS_P4D)
		__folio_clear_pgtable(ptdesc_folio(pt));
}

static void ring_link(struct ptdesc *pt, struct ptdesc *copy)
{
	struct ptdesc *next = ring_next(pt);

	copy->__page_mapping = (unsigned long)(next ?: pt);
	/* A lockless reader that finds the copy finds its link, too. */
	smp_store_release(&pt->__page_mapping, (unsigned long)copy);
}

static void ring_unlink(struct ptdesc *pt, struct ptdesc *copy, int level)
{
	struct ptdesc *next = ring_next(copy), *prev = pt;

	while (ring_next(prev) != copy)
		prev = ring_next(prev);

	if (prev == pt && next == pt) {
		WRITE_ONCE(pt->__page_mapping, 0);
		primary_unmark(pt, level);
	} else {
		WRITE_ONCE(prev->__page_mapping, (unsigned long)next);
	}
	/* copy->__page_mapping stays: a lockless reader may be standing here. */
}

/* Take the whole ring away from a table that nobody can reach any more. */
static struct ptdesc *ring_detach(struct ptdesc *pt, int level)
{
	struct ptdesc *first = ring_next(pt);

	if (first) {
		WRITE_ONCE(pt->__page_mapping, 0);
		primary_unmark(pt, level);
	}
	return first;
}

static int copy_order(const struct ptdesc *copy)
{
	return ptdesc_has_flag(copy, MITOSIS_TYPE_ROOT) ? PGD_ALLOCATION_ORDER : 0;
}

static void account(struct mitosis_mm *m, struct ptdesc *copy, int sign)
{
	long pages = sign * (1L << copy_order(copy));

	atomic_long_add(pages, &mitosis_pages);
	if (m)
		atomic_long_add(pages, &m->node[ptdesc_nid(copy)].pages);
}

/*
 * A page for a copy, charged to the memory cgroup of the address space that it
 * serves: the writer may be anybody.  Never waits, never reclaims, never dips
 * into reserves: to have no copy is correct.
 */
static struct page *copy_page_alloc(struct mitosis_mm *m, int nid, int order)
{
	gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_THISNODE | __GFP_ZERO |
		    __GFP_ACCOUNT | __GFP_NOMEMALLOC;
	struct mem_cgroup *memcg = mitosis_payer(m);
	struct mem_cgroup *old = set_active_memcg(memcg);
	struct page *page = alloc_pages_node(nid, gfp, order);

	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return page;
}

static struct ptdesc *copy_alloc(struct mitosis_mm *m, struct ptdesc *pt,
				 int level, int nid)
{
	bool root = level == mitosis_top_level();
	int order = root ? PGD_ALLOCATION_ORDER : 0;
	struct page *page = copy_page_alloc(m, nid, order);
	struct ptdesc *copy;

	if (!page)
		return NULL;

	copy = page_ptdesc(page);
	__folio_set_pgtable(ptdesc_folio(copy));
	copy->__page_type |= MITOSIS_TYPE_COPY | (root ? MITOSIS_TYPE_ROOT : 0);
	copy->pt_index = (unsigned long)m;
	copy->_pt_pad_2 = (unsigned long)pt;
	lruvec_stat_mod_folio(ptdesc_folio(copy), NR_PAGETABLE, 1L << order);
	return copy;
}

/* Give the descriptor back as it came; the page allocator checks it. */
static void copy_reset(struct ptdesc *copy)
{
	lruvec_stat_mod_folio(ptdesc_folio(copy), NR_PAGETABLE,
			      -(1L << copy_order(copy)));
	copy_clear(copy);
}

static void copy_free(struct ptdesc *copy)
{
	int order = copy_order(copy), i;

	copy_reset(copy);
	for (i = 0; i < 1 << order; i++)
		mark_freed(ptdesc_page(copy) + i);
	__free_pages(ptdesc_page(copy), order);
}

static void copy_free_rcu(struct rcu_head *head)
{
	copy_free(container_of(head, struct ptdesc, pt_rcu_head));
}

static void copy_forget(struct ptdesc *copy, int level)
{
	struct mitosis_mm *m = copy_owner(copy);

	account(m, copy, -1);
	if (m)
		atomic_long_inc(&m->node[ptdesc_nid(copy)].freed[MITOSIS_COPY][level]);
	count_vm_event(PGTABLE_SHRUNK);
	trace_mitosis_shrink(m ? m->mm : NULL, level, ptdesc_nid(copy));
}

/*
 * The owner let go of a HugeTLB PMD table that others go on sharing.  The copy
 * stays in the ring and is written until the table is freed, because the owner
 * may have mapped the table twice and lead to the copy from there, too.
 */
void copy_disown(struct ptdesc *copy, int level)
{
	struct mitosis_mm *m = copy_owner(copy);

	if (!m)
		return;

	atomic_long_dec(&m->node[ptdesc_nid(copy)].pages);
	atomic_long_inc(&m->node[ptdesc_nid(copy)].freed[MITOSIS_COPY][level]);
	WRITE_ONCE(copy->pt_index, 0);
}

bool table_is_shared(struct ptdesc *pt, int level)
{
#ifdef CONFIG_HUGETLB_PMD_PAGE_TABLE_SHARING
	return level == MITOSIS_PMD && ptdesc_pmd_is_shared(pt);
#else
	return false;
#endif
}

/* Does the policy ask for a copy of @pt on @nid?  The parent's lock is held. */
bool mitosis_wants(struct mitosis_mm *m, struct ptdesc *pt, int level, int nid)
{
	if (!node_isset(nid, m->nodes))
		return false;
	return level != MITOSIS_PTE || ptdesc_nid(pt) != nid;
}

/*
 * May the copy be made, too?  The table's own lock is held as well.  Nobody is
 * told when a table is shared no more, so remember for the checker that this
 * one was left out; the next change of policy makes up for it, unless an owner
 * left a copy behind: rings must not grow with each process that shares.
 */
bool mitosis_may_grow(struct mitosis_mm *m, struct ptdesc *pt, int level,
		      int nid)
{
	lockdep_assert_held(table_lock(m->mm, pt, level));
	if (!mitosis_wants(m, pt, level, nid))
		return false;
	if (!table_is_shared(pt, level) && !ring_find(pt, nid, NULL))
		return true;
	pt->__page_type |= MITOSIS_TYPE_LEFT_OUT;
	return false;
}

static void copy_fill(struct ptdesc *pt, struct ptdesc *copy, int level)
{
	u64 *from = ptdesc_address(pt);
	int i, entries = PTRS_PER_PTE;

	/* The user half of a root is the page behind it. */
	if (ptdesc_has_flag(copy, MITOSIS_TYPE_ROOT) && PGD_ALLOCATION_ORDER)
		entries *= 2;

	for (i = 0; i < entries; i++) {
		if (READ_ONCE(from[i]))
			entry_copy(copy, &from[i], level);
	}
}

static void fallback(struct mitosis_mm *m, int level, int nid)
{
	atomic_long_inc(&m->fallbacks);
	count_vm_event(PGTABLE_FALLBACK);
	WRITE_ONCE(m->short_of_memory, true);
	trace_mitosis_fallback(m->mm, level, nid);
}

/**
 * mitosis_grow - copy one table to a node
 * @m: owner of the copy
 * @pt: the primary; its own lock and its parent's are held
 * @level: level of the table
 * @nid: node for the copy, see mitosis_may_grow()
 *
 * The caller lets the parent's copy point at it afterwards.
 *
 * Return: the copy, linked and filled, or NULL if @nid has no memory.
 */
struct ptdesc *mitosis_grow(struct mitosis_mm *m, struct ptdesc *pt, int level,
			    int nid)
{
	struct ptdesc *copy;

	lockdep_assert_held(table_lock(m->mm, pt, level));
	VM_WARN_ON_ONCE(ring_find(pt, nid, m));

	copy = copy_alloc(m, pt, level, nid);
	if (!copy) {
		fallback(m, level, nid);
		return NULL;
	}

	primary_mark(pt, level);
	pt->__page_type &= ~MITOSIS_TYPE_LEFT_OUT;
	ring_link(pt, copy);
	smp_mb(); /* pairs with the barrier in mirror_store() */
	copy_fill(pt, copy, level);

	account(m, copy, 1);
	mitosis_shrinker_note(m, nid);
	count_vm_event(PGTABLE_GROWN);
	trace_mitosis_grow(m->mm, level, nid);
	return copy;
}

/* What hardware set in a copy that it can no longer reach goes to the primary. */
static void copy_fold(struct ptdesc *pt, struct ptdesc *copy)
{
	u64 *to = ptdesc_address(pt), *from = ptdesc_address(copy);
	int i;

	if (mitosis_left_out(MITOSIS_HOOK_SHRINK_FOLD))
		return;

	for (i = 0; i < PTRS_PER_PTE; i++) {
		u64 val = READ_ONCE(to[i]), bits = entry_ad(READ_ONCE(from[i]), val);

		if (bits)
			entry_merge(&to[i], val, bits);
	}
}

/**
 * mitosis_shrink - take away the copy of one table on a node
 * @m: owner of the copy
 * @pt: the primary; its own lock and its parent's are held
 * @level: level of the table
 * @nid: node of the copy
 *
 * No CPU may be able to walk the copy: either its root is published no more
 * and mitosis_reload_roots() has returned, or the parent's copy was pointed at
 * the primary and a flush with freed_tables has returned.  The page waits for
 * mitosis_free_unlinked().
 */
void mitosis_shrink(struct mitosis_mm *m, struct ptdesc *pt, int level, int nid)
{
	struct ptdesc *copy = ring_find(pt, nid, m);

	lockdep_assert_held(table_lock(m->mm, pt, level));
	if (!copy)
		return;

	copy_fold(pt, copy);
	if (table_is_shared(pt, level)) {
		copy_disown(copy, level);
		return;
	}
	ring_unlink(pt, copy, level);
	copy_forget(copy, level);
	list_add(&copy->pt_list, &m->unlinked);
}

/*
 * Free what mitosis_shrink() took away, once no lockless reader stands there and
 * no CPU is on its way from there with interrupts off.
 */
void mitosis_free_unlinked(struct mitosis_mm *m)
{
	struct ptdesc *copy, *next;

	lockdep_assert_held(&m->lock);
	if (list_empty(&m->unlinked))
		return;

	/*
	 * Not call_rcu(): a CPU that was leaving an old root must have left it
	 * before the key goes off as well, since with the hook gone it would
	 * keep a loaded_copy that nobody takes back.
	 */
	synchronize_rcu();
	list_for_each_entry_safe(copy, next, &m->unlinked, pt_list)
		copy_free(copy);
	INIT_LIST_HEAD(&m->unlinked);
}

/*
 * Queue a copy behind the flush that its primary waits for.  Queueing may flush
 * and reset the range, which the next page needs again.
 */
static void copy_free_tlb(struct mmu_gather *tlb, struct ptdesc *copy,
			  unsigned long addr)
{
	tlb_flush_pmd_range(tlb, addr, PAGE_SIZE);
	tlb->freed_tables = 1;
	copy_reset(copy);
	mitosis_check_queued(tlb->mm, copy);
	if (mitosis_left_out(MITOSIS_HOOK_FLUSH_FIRST)) {
		__free_page(ptdesc_page(copy));
		return;
	}
	paravirt_tlb_remove_table(tlb, ptdesc_page(copy));
}

/*
 * The clear of the entry and the read of mm->context.mitosis are ordered by a
 * full barrier, as are its setting and the first walk: either the lock is taken
 * here or no walker can find the table.
 */
void __mitosis_table_unhooked(struct mmu_gather *tlb, void *slot,
			      struct page *table, int level, unsigned long addr)
{
	struct ptdesc *pt = page_ptdesc(table), *copy, *next;
	struct mm_struct *mm = tlb->mm;
	spinlock_t *parent, *own;
	struct mitosis_mm *m;

	if (level >= mitosis_top_level())	/* a folded P4D */
		return;

	smp_mb(); /* pairs with cmpxchg() in mitosis_attach() */
	m = mitosis_of(mm);
	if (!m && !ring_next(pt))
		return;

	parent = table_lock(mm, virt_to_ptdesc(slot), level + 1);
	spin_lock(parent);
	own = table_lock_nested(mm, pt, level);
	copy = ring_detach(pt, level);
	table_unlock_nested(own);
	spin_unlock(parent);

	if (m)
		atomic_long_inc(&m->node[ptdesc_nid(pt)].freed[MITOSIS_PRIMARY][level]);
	if (mitosis_left_out(MITOSIS_HOOK_FREE_PTE_TABLE + level - MITOSIS_PTE))
		return;

	for (; copy && copy != pt; copy = next) {
		next = ring_next(copy);
		mitosis_check_freed(pt, copy, level);
		copy_forget(copy, level);
		copy_free_tlb(tlb, copy, addr);
	}
}

void __mitosis_table_flushed(struct mm_struct *mm, struct page *table)
{
	struct ptdesc *pt = page_ptdesc(table), *copy, *next;
	struct mitosis_mm *m = mitosis_of(mm);
	spinlock_t *own = table_lock_nested(mm, pt, MITOSIS_PTE);

	if (m)
		atomic_long_inc(&m->node[ptdesc_nid(pt)].freed[MITOSIS_PRIMARY][MITOSIS_PTE]);
	if (mitosis_left_out(MITOSIS_HOOK_FREE_FLUSHED)) {
		table_unlock_nested(own);
		return;
	}

	for (copy = ring_detach(pt, MITOSIS_PTE); copy && copy != pt; copy = next) {
		next = ring_next(copy);
		mitosis_check_freed(pt, copy, MITOSIS_PTE);
		copy_forget(copy, MITOSIS_PTE);
		call_rcu(&copy->pt_rcu_head, copy_free_rcu);
	}
	table_unlock_nested(own);
}

/*
 * The last reference to an address space is gone: no CPU is left on any root.
 * The owner may be gone as well (a failed fork destroys the context first), so
 * only the system's counters are touched.
 */
void __mitosis_free_roots(pgd_t *pgd)
{
	struct ptdesc *pt = virt_to_ptdesc(pgd), *copy, *next;

	if (mitosis_left_out(MITOSIS_HOOK_FREE_ROOTS))
		return;

	for (copy = ring_detach(pt, mitosis_top_level()); copy && copy != pt;
	     copy = next) {
		next = ring_next(copy);
		account(NULL, copy, -1);
		count_vm_event(PGTABLE_SHRUNK);
		copy_free(copy);
	}
}

#ifdef CONFIG_MITOSIS_KUNIT_TEST
#include "tests/ring-kunit.h"
#endif
