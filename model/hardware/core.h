/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The timing of one core in one lane: an out-of-order core as a flow of data.
 *
 * Instructions are dispatched in order, so many a cycle, while there is room in the reorder buffer,
 * the scheduler and the load and store buffers. Each begins when what it reads is ready. A load is
 * translated, walks if it must (one step after the other, on a walker that is free), and takes a
 * fill buffer if its line is not in the L1. All retire in order; then stores leave the store buffer
 * in order. A branch that was mispredicted stops dispatch until it is done.
 *
 * Instructions are computed one after the other, so a time is final when it is known; units that
 * are used in another order than the program's are timelines.
 *
 * Walk cycles are what DTLB_LOAD_MISSES.WALK_DURATION and its sibling for stores count: cycles in
 * which a walker is busy, from its start to its last entry. With several walkers, WALK_CYCLES are
 * those with at least one busy (WALK_ACTIVE of later processors) and WALKER_CYCLES their sum
 * (WALK_PENDING).
 *
 * Not simulated: instruction fetch and its TLB, execution ports, micro-operations (an instruction
 * is one), what is executed on a wrong path, memory ordering violations, the other hardware thread.
 * A line or page on its way is waited for by whoever wants it, even where it would have been
 * fetched earlier by a younger instruction that is ready before.
 */
#ifndef MODEL_CORE_H
#define MODEL_CORE_H

#include "counters.h"
#include "insn.h"
#include "memory.h"
#include "mmu.h"
#include "system.h"
#include "timeline.h"

/* One access to one line by an instruction, and what TLBs, walk and caches made of it. */
struct access {
	uint32_t insn;		/* index in its block */
	bool store;
	uint64_t word;		/* virtual address / 8 */
	struct translation translation;
	struct reference data;
};

/* A block that was executed. */
struct work {
	const struct block *block;
	const struct access *access;
	size_t nr_accesses;
	bool mispredicted;	/* the branch at its end */
};

#define FLIGHT_SLOTS	256

/* Lines and pages on their way, and words in the store buffer: by number, when they are there. */
struct flight {
	struct {
		uint64_t number;
		double ready;
	} slot[FLIGHT_SLOTS];
};

/* Times at which entries of a buffer become free, in order of their use. */
struct buffer {
	double *free;
	unsigned int size, next;
};

/* Times at which instructions issue, sorted; the numbers of first and last run on. */
struct queue {
	double time[SCHEDULER_MAX];
	unsigned int first, last;
};

struct core {
	const struct machine *machine;
	const struct lane *lane;
	struct memory *memory;		/* of the lane */
	int node;
	double *measure;		/* enum measure, of the current account */

	double step;			/* 1 / width */
	double dispatch, retire, commit;	/* of the latest instruction, or store */
	double redirect;		/* no dispatch before */
	double fence;			/* no memory access before */
	double last;			/* when the latest instruction was done */
	double reg[NR_REGS];
	struct buffer rob, loads, stores;
	struct queue near, far;		/* the scheduler, with some that left it already */

	struct timeline *walker, *fill;	/* units */
	struct timeline walking;	/* at least one walker is busy */
	struct flight lines, pages, words;
};

void core_init(struct core *core, const struct machine *machine, const struct lane *lane,
	       struct memory *memory, int node);
void core_free(struct core *core);

void core_execute(struct core *core, const struct work *work);

/* The core did nothing until @time. */
void core_idle(struct core *core, double time);

#endif
