/* SPDX-License-Identifier: GPL-2.0 */
/* Which events of perf_event_open(2) count page walks on a CPU. */
#ifndef MITOSIS_EVENTS_H
#define MITOSIS_EVENTS_H

#include <stdint.h>

/* What is counted of a program; several events may add up to one of these. */
enum count {
	COUNT_CYCLES,
	COUNT_INSTRUCTIONS,
	COUNT_WALK_CYCLES,
	COUNT_WALKS,
	COUNT_CPU_TIME,		/* in nanoseconds */
	COUNT_PAGE_FAULTS,
	NR_COUNTS,
};

extern const char *const count_names[NR_COUNTS];

struct cpu_event {
	const char *name;
	uint32_t type;
	uint64_t config;
	enum count count;
};

#define MAX_EVENTS	8

struct cpu {
	char *vendor, *name;
	uint64_t family, model;
	const char *list;	/* the vendor's list that has the walk events; NULL: none is known */
	struct cpu_event event[MAX_EVENTS];	/* the walks first, if there are any */
	unsigned int nr_events;
};

void cpu_identify(struct cpu *cpu);
void cpu_free(struct cpu *cpu);

#endif
