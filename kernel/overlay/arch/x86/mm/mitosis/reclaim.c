// SPDX-License-Identifier: GPL-2.0
/*
 * Copies are given back before anything has to fail.
 *
 * The shrinker is called when reclaim has become desperate (see batch below)
 * and drops a node's whole tree: one change of roots, one round of interrupts.
 * The node is then left alone for a few seconds; the worker grows the tree
 * again when memory has returned.
 */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include "internal.h"

static struct shrinker *shrinker;

/*
 * Whose cgroup pays for copies: that of the address space or, until fork has
 * put the child into its cgroup, that of the parent.  Returns a reference.
 */
struct mem_cgroup *mitosis_payer(struct mitosis_mm *m)
{
	if (READ_ONCE(m->complete))
		return get_mem_cgroup_from_mm(m->mm);
	/* Cannot fail: @m holds a reference, too. */
	return mem_cgroup_tryget(m->memcg) ? m->memcg : NULL;
}

/*
 * A cgroup's shrinkers are only called where a bit says that they have work.
 * Called once the copy counts: reclaim takes the bit away when it finds none.
 */
void mitosis_shrinker_note(struct mitosis_mm *m, int nid)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg = mitosis_payer(m);

	if (shrinker && memcg)
		set_shrinker_bit(memcg, nid, shrinker->id);
	mem_cgroup_put(memcg);
#endif
}

/* After a move to another cgroup, older copies stay charged to the first. */
static bool charged_to(struct mitosis_mm *m, struct mem_cgroup *memcg)
{
	struct mem_cgroup *own;
	bool match;

	if (mem_cgroup_disabled())
		return true;

	own = get_mem_cgroup_from_mm(m->mm);
	if (memcg)
		match = own == memcg || m->memcg == memcg;
	else
		match = mem_cgroup_is_root(own) || mem_cgroup_is_root(m->memcg);
	mem_cgroup_put(own);
	return match;
}

struct search {
	struct shrink_control *sc;
	unsigned long pages;
	struct mitosis_mm *found;
};

static bool count_one(struct mitosis_mm *m, void *arg)
{
	struct search *search = arg;
	long here = atomic_long_read(&m->node[search->sc->nid].pages);

	if (here > 0 && charged_to(m, search->sc->memcg))
		search->pages += here;
	return false;
}

static unsigned long count(struct shrinker *s, struct shrink_control *sc)
{
	struct search search = { .sc = sc };

	if (!atomic_long_read(&mitosis_pages))
		return SHRINK_EMPTY;

	mitosis_find(count_one, &search);
	return search.pages ?: SHRINK_EMPTY;
}

/* The next address space with copies to give, with a user held. */
static bool pick_one(struct mitosis_mm *m, void *arg)
{
	struct search *search = arg;
	int nid = search->sc->nid;

	if (atomic_long_read(&m->node[nid].pages) <= 0 ||
	    mitosis_node_held(m, nid) || !charged_to(m, search->sc->memcg) ||
	    !mmget_not_zero(m->mm))
		return false;
	search->found = m;
	return true;
}

static unsigned long scan(struct shrinker *s, struct shrink_control *sc)
{
	struct search search = { .sc = sc };
	unsigned long freed = 0;

	/* Each is held for a while afterwards and not picked again. */
	while (freed < sc->nr_to_scan && mitosis_find(pick_one, &search)) {
		freed += mitosis_reclaim_node(search.found, sc->nid);
		mmput_async(search.found->mm);
	}
	sc->nr_scanned = freed;
	return freed ?: SHRINK_STOP;
}

static int __init reclaim_init(void)
{
	struct shrinker *s;

	if (!mitosis_supported())
		return 0;

	s = shrinker_alloc(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE |
			   SHRINKER_NONSLAB, "mitosis");
	if (!s) {
		pr_warn("mitosis: no shrinker, copies are not given back\n");
		return 0;
	}
	s->count_objects = count;
	s->scan_objects = scan;
	/*
	 * A batch that is never full: do_shrink_slab() then calls only when it
	 * wants to scan all there is, which with DEFAULT_SEEKS is at the last
	 * priorities.  Routine reclaim of page cache does not cost the trees.
	 */
	s->batch = LONG_MAX;
	s->seeks = DEFAULT_SEEKS;
	shrinker_register(s);
	shrinker = s;
	return 0;
}
subsys_initcall(reclaim_init);
