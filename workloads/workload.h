/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A workload is a table of functions; run_workload() does what all have in common:
 *
 *   options -> prepare -> touch -> fill -> build -> warm up -> region of interest -> verify
 *
 * Memory is touched first, by the thread or threads that the options name, so that its placement
 * is the kernel's decision about them; what is written into it later moves nothing. But where the
 * filling is the region of interest, it is what touches, as it is in other programs.
 */
#ifndef WORKLOADS_WORKLOAD_H
#define WORKLOADS_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common.h"
#include "memory.h"

#define KB	(UINT64_C(1) << 10)
#define MB	(UINT64_C(1) << 20)
#define GB	(UINT64_C(1) << 30)

struct options {
	uint64_t size;		/* bytes of address space */
	uint64_t backing;	/* bytes after which contents may repeat */
	uint64_t operations;
	uint64_t warmup;	/* operations before those */
	unsigned int threads;
	struct ids nodes, init_node;
	bool huge, real, measure_fill;
	const char *hold_file;
	uint64_t spoil;
};

/* What operations found, to be compared with what they should have. */
struct tally {
	uint64_t count, sum;
};

/* An option that only one workload has. */
struct setting {
	const char *name, *argument;
	const char *help;	/* lines of at most 75 columns */
	void (*set)(const char *value);
};

struct workload {
	const char *name;
	const char *summary;	/* what it does, and what it keeps of the published program */
	const char *operation;	/* in the plural: the name of the option that counts them */
	struct options defaults;
	unsigned int unit;	/* operations come in multiples of it */
	const char *unit_name;	/* what such a multiple is; needed unless the unit is 1 */
	unsigned int max_threads;
	bool collective;	/* all threads together do each operation, not each its share */
	const struct setting *settings;	/* ends with one that has no name */

	/* Decide on a layout and map it. */
	void (*prepare)(const struct options *opt, struct memory *memory);
	/* Write the first piece of each row; the others are given the same contents. */
	void (*fill)(void);
	/* If there is more to do: all threads together, before anything is measured. */
	void (*build)(unsigned int thread);
	/* Falsify @nr data, to show that verify() sees it. */
	void (*spoil)(uint64_t nr);
	/* Operations @from to @to - 1, by one of the threads; these alone decide what it does. */
	struct tally (*operate)(unsigned int thread, uint64_t from, uint64_t to);
	/*
	 * Operations 0 to @nr - 1 were done and found @found. Say whether that is right, by other
	 * means than operate(). @answer is a number that all right results have in common.
	 */
	bool (*verify)(uint64_t nr, struct tally found, uint64_t *answer);
};

int run_workload(const struct workload *workload, int argc, char **argv);

#endif
