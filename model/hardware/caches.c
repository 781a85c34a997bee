// SPDX-License-Identifier: GPL-2.0
#include "caches.h"
#include "allocate.h"

#include <stdlib.h>

static struct cache *new_caches(unsigned int count, const struct cache_shape *shape, bool hashed)
{
	struct cache *caches = allocate(count, sizeof(*caches));
	unsigned int i;

	for (i = 0; i < count; i++)
		cache_init(&caches[i], shape, hashed);
	return caches;
}

static void free_caches(struct cache *caches, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		cache_free(&caches[i]);
	free(caches);
}

void caches_init(struct caches *caches, const struct machine *machine, unsigned int nr_cpus,
		 const int *cpu_node)
{
	*caches = (struct caches){
		.machine = machine,
		.nr_cpus = nr_cpus,
		.cpu_node = cpu_node,
		.l1 = new_caches(nr_cpus, &machine->cache[CACHE_L1], false),
		.l2 = new_caches(nr_cpus, &machine->cache[CACHE_L2], false),
		.l3 = new_caches(machine->nodes, &machine->cache[CACHE_L3], true),
	};
}

void caches_free(struct caches *caches)
{
	free_caches(caches->l1, caches->nr_cpus);
	free_caches(caches->l2, caches->nr_cpus);
	free_caches(caches->l3, caches->machine->nodes);
}

static void write_to_memory(struct reference *reference, const struct cache_line *line)
{
	reference->written[reference->nr_written++] = line->home;
}

/* An inclusive L3 takes the line from its cores. Returns whether one of them had it dirty. */
static bool remove_from_cores(struct caches *caches, int node, uint64_t number)
{
	bool dirty = false;
	unsigned int cpu;

	for (cpu = 0; cpu < caches->nr_cpus; cpu++) {
		if (caches->cpu_node[cpu] != node)
			continue;
		dirty |= cache_remove(&caches->l1[cpu], number);
		dirty |= cache_remove(&caches->l2[cpu], number);
	}
	return dirty;
}

static void fill_l3(struct caches *caches, int node, struct cache_line line,
		    struct reference *reference)
{
	struct cache_line victim;

	if (!cache_insert(&caches->l3[node], line, &victim))
		return;
	if (caches->machine->inclusive)
		victim.dirty |= remove_from_cores(caches, node, victim.number);
	if (victim.dirty)
		write_to_memory(reference, &victim);
}

static void fill_l2(struct caches *caches, unsigned int cpu, struct cache_line line,
		    struct reference *reference)
{
	struct cache *l3 = &caches->l3[caches->cpu_node[cpu]];
	struct cache_line victim;

	if (cache_insert(&caches->l2[cpu], line, &victim) && victim.dirty &&
	    !cache_write_back(l3, victim.number))
		write_to_memory(reference, &victim);
}

static void fill_l1(struct caches *caches, unsigned int cpu, struct cache_line line,
		    struct reference *reference)
{
	struct cache *l3 = &caches->l3[caches->cpu_node[cpu]];
	struct cache_line victim;

	if (cache_insert(&caches->l1[cpu], line, &victim) && victim.dirty &&
	    !cache_write_back(&caches->l2[cpu], victim.number) &&
	    !cache_write_back(l3, victim.number))
		write_to_memory(reference, &victim);
}

bool caches_hit(struct caches *caches, unsigned int cpu, struct reference *reference, bool store)
{
	reference->served = CACHE_L1;
	reference->nr_written = 0;
	return cache_lookup(&caches->l1[cpu], reference->number, store);
}

void caches_miss(struct caches *caches, unsigned int cpu, struct reference *reference, bool store)
{
	struct cache_line line = { .number = reference->number, .home = reference->home };
	int node = caches->cpu_node[cpu];

	if (cache_lookup(&caches->l2[cpu], line.number, false))
		reference->served = CACHE_L2;
	else if (cache_lookup(&caches->l3[node], line.number, false))
		reference->served = CACHE_L3;
	else
		reference->served = SERVED_MEMORY;

	if (reference->served == SERVED_MEMORY)
		fill_l3(caches, node, line, reference);
	if (reference->served != CACHE_L2)
		fill_l2(caches, cpu, line, reference);
	line.dirty = store;
	fill_l1(caches, cpu, line, reference);
}
