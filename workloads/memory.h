/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of a workload: address space of full size, so that page tables have their full size, and
 * little behind it.
 *
 * An arena is rows of equal size. Row by row, its contents repeat after a *piece*. Aliased, all
 * pieces of a row are mappings of one piece of a file in memory. Real, each has pages of its own
 * with the same contents. Addresses are the same in both, and so is what a program does with them:
 * a workload that wants to be aliased keeps data that may repeat (keys and links that are relative
 * to the piece they lie in).
 *
 * A page that is mapped at many places lies on one node for all of them. So what depends on where
 * data lie (AutoNUMA, first touch by threads on several nodes) takes real memory.
 */
#ifndef WORKLOADS_MEMORY_H
#define WORKLOADS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_MAX_ARENAS	8

struct arena {
	char *start;
	uint64_t rows, row, piece;	/* number, bytes, bytes */
};

struct memory {
	bool real;	/* every page has memory of its own */
	bool huge;	/* ask for huge pages, else refuse them */
	unsigned int nr_arenas;
	struct arena arenas[MEMORY_MAX_ARENAS];
};

/* The size that pieces and rows must be multiples of. */
uint64_t memory_page(const struct memory *memory);
uint64_t round_up(uint64_t bytes, uint64_t unit);
uint64_t round_down(uint64_t bytes, uint64_t unit);
/* The largest power of two that is not above @limit. */
uint64_t power_of_two_below(uint64_t limit);

/*
 * Map @rows times @row bytes that repeat after @piece bytes. The contents are zero, and no page
 * has been touched yet.
 */
void *memory_map(struct memory *memory, uint64_t rows, uint64_t row, uint64_t piece);

/* All address space, and what lies behind it. */
uint64_t memory_size(const struct memory *memory);
uint64_t memory_backing(const struct memory *memory);

/*
 * Touch, for the first time, the stretches of 2 MB (what one last-level page table maps) with the
 * numbers @index, @index + @step, ...: by the policy of the calling thread the kernel chooses where
 * their page tables lie, and their data.
 */
void memory_touch(const struct memory *memory, uint64_t index, uint64_t step);

/* Give all pieces the contents of the first one of their row. */
void memory_repeat(const struct memory *memory);

#endif
