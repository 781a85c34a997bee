// SPDX-License-Identifier: GPL-2.0
/*
 * Visit every table of an address space, one level at a time, each under its
 * own lock and its parent's.  Takes neither mmap_lock nor a VMA's lock, so it
 * works inside reclaim and delays nobody for longer than one table takes.
 */
#include <linux/sched/signal.h>
#include "internal.h"

static unsigned long entry_span(int level)
{
	return 1UL << (PAGE_SHIFT + (level - 1) * 9);
}

static unsigned long end_of(unsigned long addr, unsigned long span)
{
	return (addr | (span - 1)) + 1;
}

static u64 *entry_at(struct ptdesc *pt, unsigned long addr, int level)
{
	u64 *table = ptdesc_address(pt);

	return &table[(addr / entry_span(level)) % PTRS_PER_PTE];
}

/*
 * Lock the child behind @slot; the parent's lock is held and keeps a child of
 * this address space alive.  A HugeTLB PMD table may be unshared and freed
 * under other locks, but not before every CPU took an interrupt
 * (tlb_flush_unshared_tables()): keep them off until its lock is held, and
 * only try for it, because its holder may be waiting for that interrupt.
 *
 * Return: the locked lock, NULL to start over.
 */
static spinlock_t *lock_child(struct mm_struct *mm, u64 *slot,
			      struct ptdesc *child, int level)
{
	spinlock_t *ptl = NULL;
	bool locked = false;

	if (level == MITOSIS_PTE) {
		ptl = table_lock(mm, child, level);
		spin_lock_nested(ptl, SINGLE_DEPTH_NESTING);
		return ptl;
	}

	local_irq_disable();
	if (entry_is_table(READ_ONCE(*slot)) &&
	    entry_table(READ_ONCE(*slot)) == child) {
		ptl = table_lock(mm, child, level);
		locked = spin_trylock(ptl);
	}
	local_irq_enable();
	if (!locked)
		return NULL;

	if (entry_is_table(READ_ONCE(*slot)) &&
	    entry_table(READ_ONCE(*slot)) == child)
		return ptl;
	spin_unlock(ptl);
	return NULL;
}

/*
 * Visit the table of @level that covers @addr, if there is one, and store in
 * @next where to go on.  Return: what @visit returned, or -EAGAIN.
 */
static int visit_at(struct mitosis_mm *m, int level, unsigned long addr,
		    unsigned long *next, mitosis_visit_t visit, void *arg)
{
	struct mm_struct *mm = m->mm;
	struct mitosis_table t = {
		.pt = virt_to_ptdesc(mm->pgd),
		.level = mitosis_top_level(),
	};
	spinlock_t *held[3] = { &mm->page_table_lock };
	int n = 1, err = 0;

	spin_lock(held[0]);
	while (t.level > level) {
		u64 *slot = entry_at(t.pt, addr, t.level);
		u64 val = READ_ONCE(*slot);

		if (!entry_is_table(val)) {
			*next = end_of(addr, entry_span(t.level));
			goto out;
		}

		t.slot = slot;
		t.pt = entry_table(val);
		t.level--;
		if (t.level >= MITOSIS_PUD)
			continue;

		held[n] = lock_child(mm, slot, t.pt, t.level);
		if (!held[n]) {
			err = -EAGAIN;
			goto out;
		}
		n++;
	}

	t.addr = addr & ~(entry_span(t.level + 1) - 1);
	*next = end_of(addr, entry_span(t.level + 1));
	err = visit(m, &t, arg);
out:
	while (n--)
		spin_unlock(held[n]);
	return err;
}

/* Reclaim is not to be stopped by a signal. */
static int mitosis_interrupted(struct mitosis_mm *m)
{
	if (READ_ONCE(m->quit))
		return -ESRCH;
	if (current->flags & PF_MEMALLOC)
		return 0;
	return signal_pending(current) ? -ERESTARTNOHAND : 0;
}

/**
 * mitosis_walk - visit all tables of one level in the user half
 * @m: address space; need not have users any more
 * @level: level of the tables
 * @visit: called with the table's lock and its parent's held; must not sleep
 * @arg: passed to @visit
 *
 * Tables that are installed or freed meanwhile may be visited or not.
 *
 * Return: 0, what @visit returned if that was not 0, -ERESTARTNOHAND when a
 * signal is pending, -ESRCH when the address space is being torn down.
 */
int mitosis_walk(struct mitosis_mm *m, int level, mitosis_visit_t visit,
		 void *arg)
{
	unsigned long addr = 0, next;
	int err;

	might_sleep();
	for (;;) {
		err = mitosis_interrupted(m);
		if (err)
			return err;

		cond_resched();
		err = visit_at(m, level, addr, &next, visit, arg);
		if (err == -EAGAIN) {
			cpu_relax();
			continue;
		}
		if (err)
			return err;
		if (!next || next >= TASK_SIZE_MAX)
			return 0;
		addr = next;
	}
}
