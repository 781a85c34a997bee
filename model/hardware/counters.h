/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted. Events are the same in all lanes; times, and what is local, are a lane's own.
 */
#ifndef MODEL_COUNTERS_H
#define MODEL_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "caches.h"
#include "machine.h"

/* Groups have one counter for each page size, level or place, in the order of their enums. */
enum event {
	EVENT_INSTRUCTIONS,
	EVENT_BRANCHES,
	EVENT_MISPREDICTS,
	EVENT_LOADS,
	EVENT_STORES,
	EVENT_DTLB_HITS,
	EVENT_STLB_HITS = EVENT_DTLB_HITS + NR_PAGE_SIZES,
	EVENT_WALKS = EVENT_STLB_HITS + NR_PAGE_SIZES,		/* by size of the page found */
	EVENT_WALKS_FAILED = EVENT_WALKS + NR_PAGE_SIZES,
	EVENT_WALKS_FROM,					/* by level of the first read */
	EVENT_WALK_READS = EVENT_WALKS_FROM + MAX_LEVELS,	/* by where they are served */
	EVENT_DATA = EVENT_WALK_READS + NR_SERVED,		/* the same */
	EVENT_WRITE_BACKS = EVENT_DATA + NR_SERVED,		/* to memory */
	EVENT_FREED_TLB,	/* uses of a table page that was freed, by what remembered it */
	EVENT_FREED_PSC,
	EVENT_FREED_ROOT,
	EVENT_WRONG_TRANSLATIONS,	/* the guest's CPU came to another physical address */
	NR_EVENTS,
};

enum measure {
	MEASURE_CYCLES,
	MEASURE_WALK_CYCLES,	/* in which at least one walker is busy */
	MEASURE_WALKER_CYCLES,	/* summed over walkers */
	MEASURE_WALKER_WAITS,	/* cycles that walks wait for a walker */
	MEASURE_FILL_WAITS,	/* cycles that misses wait for a fill buffer */
	MEASURE_QUEUE_WAITS,	/* cycles that lines wait for a memory controller */
	MEASURE_WALK_LOCAL,	/* reads of walks from memory, by node */
	MEASURE_WALK_REMOTE,
	MEASURE_DATA_LOCAL,	/* accesses to data served by memory, by node */
	MEASURE_DATA_REMOTE,
	MEASURE_REMOTE_WALKS,	/* that read a table of another node, from a cache or not */
	MEASURE_REMOTE_ROOTS,	/* walks whose root lies on another node */
	NR_MEASURES,
};

extern const char *const event_names[NR_EVENTS];
extern const char *const measure_names[NR_MEASURES];

#define WARMING	(-1)	/* in place of a region: before it, and part of no report */

/* What one CPU did under one root in regions of one number. */
struct account {
	unsigned int cpu;
	int region;		/* or WARMING */
	uint64_t root;
	uint64_t event[NR_EVENTS];
	double (*measure)[NR_MEASURES];		/* by lane */
};

#endif
