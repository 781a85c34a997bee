/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The caches of all cores and nodes. Data and page tables share them. Not simulated: coherence
 * (a line may be valid in several cores' caches while one writes it), prefetchers, instruction
 * fetch.
 */
#ifndef MODEL_CACHES_H
#define MODEL_CACHES_H

#include "cache.h"

enum { SERVED_MEMORY = NR_CACHES, NR_SERVED };	/* after the three of enum cache_level */

#define NODE_UNKNOWN	255	/* more than MAX_NODES */

/* One line accessed, and what came of it. */
struct reference {
	uint64_t number;	/* line, as the caches know it */
	uint8_t served;
	uint8_t home;		/* its node */
	uint8_t nr_written;	/* dirty lines that had to leave for it, down to memory */
	uint8_t written[NR_CACHES];	/* their nodes */
};

struct caches {
	const struct machine *machine;
	unsigned int nr_cpus;
	const int *cpu_node;
	struct cache *l1, *l2;	/* by CPU */
	struct cache *l3;	/* by node */
};

void caches_init(struct caches *caches, const struct machine *machine, unsigned int nr_cpus,
		 const int *cpu_node);
void caches_free(struct caches *caches);

/* Access a line. Returns false if it is not in the L1: then caches_miss() has to follow. */
bool caches_hit(struct caches *caches, unsigned int cpu, struct reference *reference, bool store);
void caches_miss(struct caches *caches, unsigned int cpu, struct reference *reference, bool store);

#endif
