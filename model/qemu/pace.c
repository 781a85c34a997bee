// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "pace.h"

struct member {
	bool joined;
	uint64_t clock;		/* last told */
	uint64_t base;		/* clock less time of the pace */
};

struct pace {
	unsigned int nr_cpus;
	uint64_t quantum, skew;
	int64_t told;		/* where the last was when those ahead were last told */
	struct member member[];
};

struct pace *pace_new(unsigned int nr_cpus, uint64_t quantum)
{
	struct pace *pace = calloc(1, sizeof(*pace) + nr_cpus * sizeof(pace->member[0]));

	if (pace) {
		pace->nr_cpus = nr_cpus;
		pace->quantum = quantum;
	}
	return pace;
}

void pace_free(struct pace *pace)
{
	free(pace);
}

/* May wrap below zero; only differences count. */
static int64_t time_of(const struct member *member)
{
	return member->clock - member->base;
}

/* Time of the one furthest behind; @otherwise if nobody has joined. */
static int64_t least(const struct pace *pace, int64_t otherwise)
{
	bool found = false;
	int64_t time = otherwise;

	for (unsigned int i = 0; i < pace->nr_cpus; i++) {
		const struct member *member = &pace->member[i];

		if (!member->joined || (found && time_of(member) >= time))
			continue;
		time = time_of(member);
		found = true;
	}
	return time;
}

void pace_join(struct pace *pace, unsigned int cpu, uint64_t clock)
{
	struct member *member = &pace->member[cpu];

	if (member->joined)
		return;
	member->clock = clock;
	member->base = clock - least(pace, 0);
	member->joined = true;
}

bool pace_joined(const struct pace *pace, unsigned int cpu)
{
	return pace->member[cpu].joined;
}

void pace_leave(struct pace *pace, unsigned int cpu)
{
	pace->member[cpu].joined = false;
}

static uint64_t lead(const struct pace *pace, unsigned int cpu)
{
	int64_t time = time_of(&pace->member[cpu]);

	return time - least(pace, time);
}

bool pace_ahead(struct pace *pace, unsigned int cpu, uint64_t clock)
{
	struct member *member = &pace->member[cpu];

	if (!member->joined)
		return false;
	member->clock = clock;
	return lead(pace, cpu) > pace->quantum;
}

bool pace_advanced(struct pace *pace)
{
	int64_t time = least(pace, pace->told);

	if (time >= pace->told && time - pace->told < (int64_t)pace->quantum / 4)
		return false;
	pace->told = time;
	return true;
}

void pace_went_on(struct pace *pace, unsigned int cpu)
{
	if (pace->member[cpu].joined && lead(pace, cpu) > pace->skew)
		pace->skew = lead(pace, cpu);
}

uint64_t pace_skew(const struct pace *pace)
{
	return pace->skew;
}
