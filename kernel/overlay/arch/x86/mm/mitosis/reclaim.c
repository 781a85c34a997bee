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

/* A cgroup's shrinkers are only called where a bit says that they have work. */
void mitosis_shrinker_note(struct mem_cgroup *memcg, int nid)
{
#ifdef CONFIG_MEMCG
	if (shrinker && memcg)
		set_shrinker_bit(memcg, nid, shrinker->id);
#endif
}

static bool charged_to(struct mitosis_mm *m, struct mem_cgroup *memcg)
{
	struct mem_cgroup *own;
	bool match;

	if (mem_cgroup_disabled())
		return true;

	own = get_mem_cgroup_from_mm(m->mm);
	match = own == (memcg ?: root_mem_cgroup);
	mem_cgroup_put(own);
	return match;
}

static unsigned long count(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long pages = 0;
	struct mitosis_mm *m;

	if (!atomic_long_read(&mitosis_pages))
		return SHRINK_EMPTY;

	spin_lock(&mitosis_list_lock);
	list_for_each_entry(m, &mitosis_list, list) {
		long here = atomic_long_read(&m->node[sc->nid].pages);

		if (here > 0 && charged_to(m, sc->memcg))
			pages += here;
	}
	spin_unlock(&mitosis_list_lock);
	return pages ?: SHRINK_EMPTY;
}

/* The next address space with copies to give, with a user held. */
static struct mitosis_mm *pick(struct shrink_control *sc)
{
	struct mitosis_mm *m, *found = NULL;

	spin_lock(&mitosis_list_lock);
	list_for_each_entry(m, &mitosis_list, list) {
		if (atomic_long_read(&m->node[sc->nid].pages) <= 0 ||
		    mitosis_node_held(m, sc->nid) ||
		    !charged_to(m, sc->memcg) || !mmget_not_zero(m->mm))
			continue;
		found = m;
		break;
	}
	spin_unlock(&mitosis_list_lock);
	return found;
}

static unsigned long scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long freed = 0;
	struct mitosis_mm *m;

	/* Each is held for a while afterwards and not picked again. */
	while (freed < sc->nr_to_scan) {
		m = pick(sc);
		if (!m)
			break;
		freed += mitosis_reclaim_node(m, sc->nid);
		mmput_async(m->mm);
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
