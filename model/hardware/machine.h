/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The constants of a machine, read from a file of lines "key value...". None belongs to a workload
 * or a placement. Times are cycles of the core's clock.
 */
#ifndef MODEL_MACHINE_H
#define MODEL_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "insn.h"

#define MAX_NODES	64
#define MAX_LEVELS	5	/* of paging */
#define SCHEDULER_MAX	512	/* entries, a power of two */
#define LINE_SHIFT	6	/* all x86 of this century: lines of 64 bytes */

enum page_size { PAGE_4K, PAGE_2M, PAGE_1G, NR_PAGE_SIZES };
enum cache_level { CACHE_L1, CACHE_L2, CACHE_L3, NR_CACHES };
enum policy { POLICY_LRU, POLICY_SRRIP, POLICY_DRRIP };

/*
 * What indexes the caches for data; page tables always go by physical address. The virtual one
 * is for a table that is larger than the guest's memory because it maps a small file many times:
 * so the caches see its real size. Then they take equal addresses of two processes for one line.
 */
enum data_address { DATA_PHYSICAL, DATA_VIRTUAL };

struct cache_shape {
	unsigned int sets, ways;
	enum policy policy;
	double latency;		/* from address to use */
};

struct tlb_shape {
	unsigned int sets, ways;	/* no ways: there is none */
};

struct machine {
	char *path;
	double frequency;	/* MHz */

	/* The core. */
	unsigned int width;		/* instructions dispatched and retired in a cycle */
	unsigned int rob, scheduler, load_buffer, store_buffer, fill_buffers;
	unsigned int walkers;
	double execute[NR_INSN_KINDS];
	double atomic;			/* a LOCKed instruction, besides its load */
	double forward;			/* from a store's data to a load of the same word */
	double mispredict;		/* from the branch's result to the next dispatch */
	unsigned int predictor_bits;	/* log2 of counters */
	unsigned int branch_targets;	/* entries of the branch target buffer */
	unsigned int return_stack;

	/* Translation. Several page sizes may share one second-level TLB. */
	struct tlb_shape dtlb[NR_PAGE_SIZES];
	struct tlb_shape stlb[NR_PAGE_SIZES];
	int stlb_of[NR_PAGE_SIZES];	/* index into stlb, or -1 */
	double stlb_latency;
	struct tlb_shape psc[MAX_LEVELS + 1];	/* by the level of the entries it keeps, from 2 */

	/* Caches: L1 and L2 of a core, L3 of a node. */
	struct cache_shape cache[NR_CACHES];
	bool inclusive;			/* what leaves the L3 leaves L1 and L2 */
	enum data_address data_address;

	/* Memory. */
	unsigned int nodes;
	unsigned int distance[MAX_NODES][MAX_NODES];	/* as in the firmware's SLIT */
	double latency[MAX_NODES][MAX_NODES];		/* from core to line, no one else about */
	double service;			/* cycles for which a line occupies its node's controller */
	double load_queue;		/* a loaded node: lines of the other program that wait */
	double load_utilisation;	/* a loaded node: share of the controller that it takes */
};

/*
 * Read a machine file; @settings are further lines ("data_address virtual") that take precedence.
 * Returns NULL after a sentence to @errors that says what is wrong where.
 */
struct machine *machine_read(const char *path, const char *const *settings, size_t nr_settings,
			     FILE *errors);
void machine_free(struct machine *machine);

extern const char *const page_size_names[NR_PAGE_SIZES];

#endif
