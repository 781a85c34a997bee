/* SPDX-License-Identifier: GPL-2.0 */
/* Counts of a program and of all that it starts, by perf_event_open(2). */
#ifndef MITOSIS_PERF_H
#define MITOSIS_PERF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "events.h"

struct perf {
	const struct cpu *cpu;
	int fd[MAX_EVENTS];	/* below 0: the machine does not count it */
};

/* What the counters told at one moment. */
struct perf_reading {
	uint64_t value, enabled, running;
};

/* Counting begins when @pid runs a program; @user: not in the kernel. Leaves if that is refused. */
void perf_open(struct perf *perf, const struct cpu *cpu, pid_t pid, bool user);
void perf_read(const struct perf *perf, struct perf_reading reading[MAX_EVENTS]);
void perf_close(struct perf *perf);

bool perf_counts(const struct perf *perf, enum count count);

/*
 * Add what was counted from one reading to another. COUNT_UNKNOWN where the machine does not count
 * it, or had too few counters and did so for a part of the time; false then.
 */
bool perf_add(const struct perf *perf, const struct perf_reading from[MAX_EVENTS],
	      const struct perf_reading to[MAX_EVENTS], uint64_t count[NR_COUNTS]);

#endif
