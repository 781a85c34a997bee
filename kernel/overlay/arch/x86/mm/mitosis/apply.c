// SPDX-License-Identifier: GPL-2.0
/*
 * Bring the tables of an address space where the policy wants them.
 *
 * mitosis_apply() is the only place that changes where the tables of a live
 * address space lie.  It compares what is with what shall be and takes the
 * difference in small steps, so a new policy, a changed cpuset, a hot-plugged
 * node, reclaim and memory that returns are all the same to it.
 */
#include <linux/mm.h>
#include <linux/vmstat.h>
#include <asm/tlbflush.h>
#include "internal.h"

#define BACKOFF_MAX	(4 * HZ)
#define HELD_AFTER_RECLAIM	(3 * HZ)

/*
 * Hold the key while there is anything for the hooks to do.  Switching it may
 * wait for memory and for CPU hotplug, which must not happen below m->lock: who
 * makes a first policy holds the key already.  Without one the policy that was
 * followed is the system's, and whoever ended that has kicked everybody.
 */
bool mitosis_set_in_force(struct mitosis_mm *m)
{
	lockdep_assert_held(&m->lock);
	if (!m->in_force)
		WRITE_ONCE(m->in_force, mitosis_share_key());
	return m->in_force;
}

void mitosis_clear_in_force(struct mitosis_mm *m)
{
	if (m->in_force)
		mitosis_drop_key();
	WRITE_ONCE(m->in_force, false);
}

static void grow_root(struct mitosis_mm *m, int nid)
{
	struct ptdesc *pt = virt_to_ptdesc(m->mm->pgd), *copy;

	if (m->node[nid].tree)
		return;

	spin_lock(&m->mm->page_table_lock);
	copy = mitosis_grow(m, pt, mitosis_top_level(), nid);
	spin_unlock(&m->mm->page_table_lock);
	if (copy)
		WRITE_ONCE(m->node[nid].tree, ptdesc_address(copy));
}

static void shrink_root(struct mitosis_mm *m, int nid)
{
	struct ptdesc *pt = virt_to_ptdesc(m->mm->pgd);

	spin_lock(&m->mm->page_table_lock);
	mitosis_shrink(m, pt, mitosis_top_level(), nid);
	spin_unlock(&m->mm->page_table_lock);
	WRITE_ONCE(m->node[nid].tree, NULL);
}

static struct ptdesc *parent_of(struct mitosis_table *t)
{
	return virt_to_ptdesc(t->slot);
}

struct grow_pass {
	nodemask_t nodes;	/* still worth trying */
	unsigned long grown;
	bool missing;
};

/* One failure is enough: the node is full, and the worker comes back. */
static void grow_one(struct mitosis_mm *m, struct mitosis_table *t, int nid,
		     struct grow_pass *pass)
{
	if (mitosis_grow(m, t->pt, t->level, nid)) {
		pass->grown++;
		return;
	}
	pass->missing = true;
	node_clear(nid, pass->nodes);
}

/* Whoever walks under m->lock lets reclaim have it. */
int mitosis_make_way(struct mitosis_mm *m)
{
	if (current->flags & PF_MEMALLOC)
		return 0;
	return atomic_read(&m->reclaimers) ? -EBUSY : 0;
}

static int grow_visit(struct mitosis_mm *m, struct mitosis_table *t, void *arg)
{
	struct grow_pass *pass = arg;
	int nid;

	for_each_node_mask(nid, pass->nodes) {
		struct ptdesc *parent = ring_find(parent_of(t), nid, m);

		if (!parent)
			continue;
		if (!ring_find(t->pt, nid, m) &&
		    mitosis_may_grow(m, t->pt, t->level, nid))
			grow_one(m, t, nid, pass);
		entry_relink(parent, t->slot, t->level + 1);
	}
	return mitosis_make_way(m);
}

static int shrink_visit(struct mitosis_mm *m, struct mitosis_table *t, void *arg)
{
	nodemask_t *nodes = arg;
	int nid;

	if (!ring_next(t->pt))
		return mitosis_make_way(m);

	for_each_node_mask(nid, *nodes) {
		struct ptdesc *parent = ring_find(parent_of(t), nid, m);

		mitosis_shrink(m, t->pt, t->level, nid);
		if (parent)
			entry_relink(parent, t->slot, t->level + 1);
	}
	return mitosis_make_way(m);
}

/* Top down, so that a copy always hangs below its parent's. */
static int grow_trees(struct mitosis_mm *m, struct grow_pass *pass)
{
	int level, err;

	for (level = mitosis_top_level() - 1; level >= MITOSIS_PTE; level--) {
		err = mitosis_walk(m, level, grow_visit, pass);
		if (err)
			return err;
	}
	return 0;
}

/* Bottom up.  No CPU can reach these trees any more. */
static int shrink_trees(struct mitosis_mm *m, nodemask_t *nodes)
{
	int level, nid, err;

	for (level = MITOSIS_PTE; level < mitosis_top_level(); level++) {
		err = mitosis_walk(m, level, shrink_visit, nodes);
		if (err)
			return err;
	}
	for_each_node_mask(nid, *nodes)
		shrink_root(m, nid);
	return 0;
}

/*
 * Nodes with copies that are not wanted.  A table that khugepaged has taken out
 * for a moment is not found by a walk and keeps its copies for another round.
 */
static void surplus(struct mitosis_mm *m, nodemask_t *nodes)
{
	int nid;

	nodes_clear(*nodes);
	for (nid = 0; nid < nr_node_ids; nid++) {
		if (atomic_long_read(&m->node[nid].pages) > 0 &&
		    !node_isset(nid, m->nodes))
			node_set(nid, *nodes);
	}
}

static bool any_surplus(struct mitosis_mm *m)
{
	nodemask_t nodes;

	surplus(m, &nodes);
	return !nodes_empty(nodes);
}

/*
 * A race that is meant: an installation has its parent's lock, not m->lock, and
 * reads these bits.  Each bit that it finds is the old or the new one, which is
 * all it takes: the pass that follows visits the table under the same lock.
 */
static void publish_nodes(struct mitosis_mm *m, const nodemask_t *nodes)
{
	int i;

	for (i = 0; i < BITS_TO_LONGS(MAX_NUMNODES); i++)
		WRITE_ONCE(m->nodes.bits[i], nodes->bits[i]);
}

/* Where tables may lie from now on.  Return: whether hooks have work to do. */
static bool set_target(struct mitosis_mm *m)
{
	enum mitosis_mode mode = mitosis_effective_mode(m);
	nodemask_t target;

	mitosis_target(m, &target);
	publish_nodes(m, &target);
	WRITE_ONCE(m->prefer, mode == MITOSIS_BIND && !nodes_empty(target) ?
			      first_node(target) : NUMA_NO_NODE);
	return mode > MITOSIS_NONE || atomic_read(&m->observers);
}

/* Give up the trees that are not wanted any more. */
static int retreat(struct mitosis_mm *m)
{
	nodemask_t gone;
	int err;

	if (mitosis_publish_roots(m))
		mitosis_reload_roots(m);

	surplus(m, &gone);
	if (nodes_empty(gone))
		return 0;

	err = shrink_trees(m, &gone);
	mitosis_free_unlinked(m);
	return err;
}

/* Is a node kept free of copies after reclaim? */
bool mitosis_node_held(struct mitosis_mm *m, int nid)
{
	return time_before(jiffies, READ_ONCE(m->node[nid].held));
}

static bool any_held(struct mitosis_mm *m)
{
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		if (mitosis_node_held(m, nid))
			return true;
	}
	return false;
}

/* Roots first: a CPU may walk a tree that still leads to primaries. */
static int complete_trees(struct mitosis_mm *m, struct grow_pass *pass)
{
	int nid, err;

	for_each_node_mask(nid, m->nodes) {
		grow_root(m, nid);
		pass->missing |= !m->node[nid].tree;
	}
	if (mitosis_publish_roots(m))
		mitosis_reload_roots(m);

	err = grow_trees(m, pass);

	/* Paging-structure caches may still lead to the primaries. */
	if (pass->grown)
		flush_tlb_mm(m->mm);
	return err;
}

/* Make the trees that are wanted.  What reclaim took comes back later. */
static int advance(struct mitosis_mm *m)
{
	struct grow_pass pass = { .nodes = m->nodes, .missing = any_held(m) };
	bool repairing = xchg(&m->short_of_memory, false);
	int err = 0;

	if (!nodes_empty(m->nodes))
		err = complete_trees(m, &pass);
	if (repairing)
		count_vm_events(PGTABLE_REPAIRED, pass.grown);
	if (pass.missing)
		WRITE_ONCE(m->short_of_memory, true);
	return err;
}

/* When to look again: soon at first, then every few seconds. */
static void plan_repair(struct mitosis_mm *m, int err)
{
	if (err == -ESRCH)
		return;
	if (err == -ERESTARTNOHAND) {
		mitosis_kick(m, 0);
	} else if (err == -EBUSY) {
		mitosis_kick(m, MITOSIS_BACKOFF_MIN);
	} else if (READ_ONCE(m->short_of_memory) || any_surplus(m)) {
		mitosis_kick(m, m->backoff);
		WRITE_ONCE(m->backoff,
			   min(2 * m->backoff, (unsigned long)BACKOFF_MAX));
	} else {
		WRITE_ONCE(m->backoff, MITOSIS_BACKOFF_MIN);
	}
}

/**
 * mitosis_apply - bring the tables where the policy wants them
 * @m: address space; its lock is held
 *
 * Publishes first, so that tables installed from now on obey, then walks.
 *
 * Return: 0, also when memory is short and the worker goes on; -ERESTARTNOHAND
 * when a signal came, -EBUSY when reclaim wants the lock, the worker goes on;
 * -ESRCH when the address space is going away.
 */
int mitosis_apply(struct mitosis_mm *m)
{
	nodemask_t before = m->nodes;
	bool want, settled;
	int err = 0;

	lockdep_assert_held(&m->lock);
	want = set_target(m);
	settled = m->settled && nodes_equal(before, m->nodes);
	m->settled = false;
	if (want && !mitosis_set_in_force(m))
		return 0;	/* the system's policy has just gone: see there */
	if (m->in_force)
		err = retreat(m) ?: advance(m);

	/*
	 * Who is stopped and continued all the time never walks to the end; but
	 * the worker has, whom no signal interrupts.
	 */
	if (err == -ERESTARTNOHAND && settled)
		err = 0;
	m->settled = !err;
	plan_repair(m, err);
	if (!err && !want && !any_surplus(m))
		mitosis_clear_in_force(m);
	return err;
}

/**
 * mitosis_reclaim_node - give a node's copies back to reclaim
 * @m: address space with a user
 * @nid: node
 *
 * Waits for the lock, whose holder waits for no memory and lets go soon.
 *
 * Return: pages freed, after a grace period.
 */
unsigned long mitosis_reclaim_node(struct mitosis_mm *m, int nid)
{
	long before = atomic_long_read(&m->node[nid].pages);

	atomic_inc(&m->reclaimers);
	mutex_lock(&m->lock);
	atomic_dec(&m->reclaimers);
	WRITE_ONCE(m->node[nid].held, jiffies + HELD_AFTER_RECLAIM);
	m->settled = false;
	WRITE_ONCE(m->short_of_memory, true);
	set_target(m);
	retreat(m);
	mitosis_kick(m, HELD_AFTER_RECLAIM);
	mutex_unlock(&m->lock);
	return max(before - atomic_long_read(&m->node[nid].pages), 0L);
}

/*
 * The address space has no user: CPUs that still have it loaded go to the
 * primary.  Copies below the roots are freed with their tables.
 */
void mitosis_drop_trees(struct mitosis_mm *m)
{
	int nid;

	lockdep_assert_held(&m->lock);
	publish_nodes(m, &NODE_MASK_NONE);
	if (mitosis_publish_roots(m))
		mitosis_reload_roots(m);
	for (nid = 0; nid < nr_node_ids; nid++)
		shrink_root(m, nid);
	mitosis_free_unlinked(m);
}

/* The user half is empty, so the roots are all there is to grow. */
void mitosis_start(struct mitosis_mm *m)
{
	int nid;

	if (!set_target(m) || !mitosis_set_in_force(m))
		return;

	for_each_node_mask(nid, m->nodes)
		grow_root(m, nid);
	mitosis_publish_roots(m);
}
