/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A NUMA machine as software sees it in time: cores, caches, page walkers and memory.
 *
 * A source (the plugin of QEMU, or the replay of a trace) tells what each CPU executes, in the
 * order in which it does: blocks of instructions, and for each memory access of theirs the
 * address. The model keeps what hardware would keep (TLBs, paging-structure caches, caches, branch
 * predictor), walks the guest's own page tables where a TLB misses, and computes when each
 * instruction is done.
 *
 * What is in a TLB or cache depends on the order of accesses alone and not on latencies. So one
 * run may compute several *lanes* at once: the same events, with data or page tables on other
 * nodes. A lane has clocks, queues and counters of its own, and shares the rest.
 *
 * Simulated: TLBs, paging-structure caches, walks and walkers, caches, memory by distance and load
 * (mmu.h, caches.h, memory.h), the flow of data through an out-of-order core with its limits, branch
 * prediction (core.h, predictor.h). Not simulated, besides what these files say: coherence between
 * caches, prefetchers, fetch of instructions, the second thread of a core, what a CPU does outside
 * of regions.
 *
 * Not thread-safe: the source serialises its calls.
 */
#ifndef MODEL_SYSTEM_H
#define MODEL_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "insn.h"
#include "machine.h"

/* Where a lane's memory lies, if not where the guest's addresses say. */
#define NODE_REAL	(-1)

struct lane {
	const char *name;	/* as in "RPI-LD" */
	int data_node;		/* NODE_REAL, or the node that all data lies on */
	int table_node;		/* the same for page tables */
	int loaded_node;	/* a node that another program keeps busy, or -1 */
};

/* What the source knows and the model asks for. */
struct guest {
	void *context;
	/*
	 * The page-table entry at a physical address. Returns false if there is no memory; then
	 * the walk ends there and is counted as failed.
	 */
	bool (*read_entry)(void *context, uint64_t address, uint64_t *entry);
	/* CR3 of a CPU, with all its bits. */
	uint64_t (*root)(void *context, unsigned int cpu);
	/* The node that a physical address lies on, or -1. */
	int (*node)(void *context, uint64_t address);
	int levels;		/* of paging: 4 or 5 */
	unsigned int nr_cpus;
	const int *cpu_node;	/* node of each CPU */
};

struct system;

/* Returns NULL after a sentence to stderr that says what does not fit. */
struct system *system_new(const struct machine *machine, const struct guest *guest,
			  const struct lane *lanes, size_t nr_lanes);
void system_free(struct system *sys);

#define MAX_REGION	255

/*
 * Measured is what a CPU executes between begin and end of a region. Outside nothing has to be
 * told, but flushes. TLBs and caches keep what they held.
 */
void system_begin(struct system *sys, unsigned int cpu, unsigned int region);
void system_end(struct system *sys, unsigned int cpu);

/*
 * Before a region may lie a phase that is told as a region is, fills TLBs, caches and predictors,
 * and counts nowhere; system_begin() ends it.
 */
void system_warm(struct system *sys, unsigned int cpu);

/*
 * @cpu was idle and goes on: where the furthest of the CPUs is. Cycles of idling count nowhere.
 * Without this call its clock stays behind, and so do its requests of memory.
 */
void system_resume(struct system *sys, unsigned int cpu);

/*
 * @cpu begins to execute @block. What it had not executed of the block before, it did. The block
 * has to stay where it is until the CPU begins another one, or ends its region.
 */
void system_block(struct system *sys, unsigned int cpu, const struct block *block);

/*
 * Instruction @index of the block accesses @size bytes at @virtual, which is translated to
 * @physical. In the order of the instructions; an instruction may access memory several times.
 */
void system_access(struct system *sys, unsigned int cpu, unsigned int index, uint64_t virtual,
		   uint64_t physical, unsigned int size, bool store);

/* What the guest asks its TLB to forget; also outside of regions. */
enum flush {
	FLUSH_ADDRESS,		/* INVLPG: one page, and all paging-structure caches */
	FLUSH_CONTEXT,		/* CR3 written: all that is not global */
	FLUSH_ALL,		/* CR4.PGE or the like: global ones too */
};

void system_flush(struct system *sys, unsigned int cpu, enum flush what, uint64_t virtual);

/*
 * The guest says that a page goes back to its allocator: whoever uses it as a page table from
 * now on, without a flush, uses what it must not. Counted, and the first ones reported.
 */
void system_page_freed(struct system *sys, uint64_t physical);

/*
 * The clock of a CPU, in cycles, in lane 0. Who interleaves several CPUs keeps their clocks
 * together: each sees queues of memory as of its own time, so an error is at most as long as
 * the clocks differ.
 */
uint64_t system_clock(const struct system *sys, unsigned int cpu);

/*
 * Check that the counters agree with each other (each walk has a cause, each miss is served
 * somewhere, ...). Returns the number of identities that do not hold and prints each to @out.
 */
int system_check(const struct system *sys, FILE *out);

enum report { REPORT_TEXT, REPORT_JSON };
void system_report(const struct system *sys, enum report format, FILE *out);

#endif
