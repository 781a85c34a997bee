/* SPDX-License-Identifier: GPL-2.0 */
/* What mitosis bench measured, and its report. */
#ifndef MITOSIS_BENCH_H
#define MITOSIS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include "lane.h"
#include "perf.h"

/* One run. Tables and pages as they were when the region began, or COUNT_UNKNOWN. */
struct result {
	double seconds;
	uint64_t count[NR_COUNTS];
	uint64_t tables, local_tables;	/* of level 1, as the CPUs of the lane walk them */
	uint64_t pages, local_pages;	/* of 4 KB, that these map */
	bool marked;			/* the program told its region of interest */
};

struct bench {
	char *const *command;
	const struct cpu *cpu;
	const struct lanes *lanes;
	uint64_t rounds;
	struct result *results;		/* of each lane, round after round */
	const char *note;		/* what is not counted, and why; or NULL */
};

void bench_print(const struct bench *bench);
void bench_print_json(const struct bench *bench);

#endif
