// SPDX-License-Identifier: GPL-2.0
/*
 * Raw events are the vendors': Intel's lists (github.com/intel/perfmon) and AMD's, both as the
 * kernel has them in tools/perf/pmu-events/arch/x86, in the folder that is named with each CPU.
 * lab/tests/events compares.
 */
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "events.h"
#include "proc.h"
#include "util.h"

#define RAW(event, umask, cmask) \
	PERF_TYPE_RAW, (uint64_t)(cmask) << 24 | (umask) << 8 | (event)

const char *const count_names[NR_COUNTS] = {
	[COUNT_CYCLES] = "cycles",
	[COUNT_INSTRUCTIONS] = "instructions",
	[COUNT_WALK_CYCLES] = "walk_cycles",
	[COUNT_WALKS] = "walks",
	[COUNT_CPU_TIME] = "cpu_time",
	[COUNT_PAGE_FAULTS] = "page_faults",
};

/* Four at most, as many as a hardware thread can count besides cycles and instructions. */
#define MAX_WALK_EVENTS	4

/* One walker, and cycles in which it is busy. */
static const struct cpu_event haswell[MAX_WALK_EVENTS] = {
	{ "DTLB_LOAD_MISSES.WALK_DURATION", RAW(0x08, 0x10, 0), COUNT_WALK_CYCLES },
	{ "DTLB_STORE_MISSES.WALK_DURATION", RAW(0x49, 0x10, 0), COUNT_WALK_CYCLES },
	{ "DTLB_LOAD_MISSES.WALK_COMPLETED", RAW(0x08, 0x0e, 0), COUNT_WALKS },
	{ "DTLB_STORE_MISSES.WALK_COMPLETED", RAW(0x49, 0x0e, 0), COUNT_WALKS },
};

/*
 * Several walkers: cycles with at least one busy for a load, and for a store. WALK_PENDING, which
 * adds up walkers, would need two more counters than a hardware thread has.
 */
static const struct cpu_event skylake[MAX_WALK_EVENTS] = {
	{ "DTLB_LOAD_MISSES.WALK_ACTIVE", RAW(0x08, 0x10, 1), COUNT_WALK_CYCLES },
	{ "DTLB_STORE_MISSES.WALK_ACTIVE", RAW(0x49, 0x10, 1), COUNT_WALK_CYCLES },
	{ "DTLB_LOAD_MISSES.WALK_COMPLETED", RAW(0x08, 0x0e, 0), COUNT_WALKS },
	{ "DTLB_STORE_MISSES.WALK_COMPLETED", RAW(0x49, 0x0e, 0), COUNT_WALKS },
};

static const struct cpu_event sapphire_rapids[MAX_WALK_EVENTS] = {
	{ "DTLB_LOAD_MISSES.WALK_ACTIVE", RAW(0x12, 0x10, 1), COUNT_WALK_CYCLES },
	{ "DTLB_STORE_MISSES.WALK_ACTIVE", RAW(0x13, 0x10, 1), COUNT_WALK_CYCLES },
	{ "DTLB_LOAD_MISSES.WALK_COMPLETED", RAW(0x12, 0x0e, 0), COUNT_WALKS },
	{ "DTLB_STORE_MISSES.WALK_COMPLETED", RAW(0x13, 0x0e, 0), COUNT_WALKS },
};

/* Misses of the L2 TLB, each of which asks for a walk; nothing tells how long one takes. */
static const struct cpu_event zen[MAX_WALK_EVENTS] = {
	{ "ls_l1_d_tlb_miss.all_l2_miss", RAW(0x45, 0xf0, 0), COUNT_WALKS },
};

static const struct known {
	const char *vendor;
	uint64_t family;
	const char *models;	/* in hexadecimal, a blank before and behind each; NULL: all */
	const char *list;
	const struct cpu_event *walks;
} known[] = {
	{ "GenuineIntel", 6, " 3c 45 46 ", "haswell", haswell },
	{ "GenuineIntel", 6, " 3f ", "haswellx", haswell },
	{ "GenuineIntel", 6, " 3d 47 ", "broadwell", haswell },
	{ "GenuineIntel", 6, " 56 ", "broadwellde", haswell },
	{ "GenuineIntel", 6, " 4f ", "broadwellx", haswell },
	{ "GenuineIntel", 6, " 4e 5e 8e 9e a5 a6 ", "skylake", skylake },
	{ "GenuineIntel", 6, " 55 ", "skylakex", skylake },	/* cascadelakex has the same */
	{ "GenuineIntel", 6, " 7d 7e ", "icelake", skylake },
	{ "GenuineIntel", 6, " 6a 6c ", "icelakex", skylake },
	{ "GenuineIntel", 6, " 8f ", "sapphirerapids", sapphire_rapids },
	{ "GenuineIntel", 6, " cf ", "emeraldrapids", sapphire_rapids },
	{ "GenuineIntel", 6, " ad ae ", "graniterapids", sapphire_rapids },
	{ "AuthenticAMD", 0x17, NULL, "amdzen2", zen },		/* amdzen1 has the same */
	{ "AuthenticAMD", 0x19, NULL, "amdzen4", zen },		/* amdzen3 has the same */
	{ "AuthenticAMD", 0x1a, NULL, "amdzen5", zen },
};

static const struct cpu_event everywhere[] = {
	{ "cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, COUNT_CYCLES },
	{ "instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS, COUNT_INSTRUCTIONS },
	{ "task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK, COUNT_CPU_TIME },
	{ "page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS, COUNT_PAGE_FAULTS },
};

#define NR_EVERYWHERE	(sizeof(everywhere) / sizeof(everywhere[0]))

_Static_assert(MAX_WALK_EVENTS + NR_EVERYWHERE <= MAX_EVENTS, "no room for all events");

/* What /proc/cpuinfo says of the first CPU; NULL if it does not. */
static char *cpuinfo(const char *text, const char *key)
{
	size_t length = strlen(key);
	const char *line, *value;

	for (line = text; line; line = strchr(line, '\n'), line += line != NULL) {
		value = line + length;
		if (strncmp(line, key, length) || value[strspn(value, "\t")] != ':')
			continue;
		value = strchr(value, ':') + 1;
		value += *value == ' ';
		return xformat("%.*s", (int)strcspn(value, "\n"), value);
	}
	return NULL;
}

static uint64_t cpuinfo_number(const char *text, const char *key)
{
	char *value = cpuinfo(text, key);
	uint64_t number = 0;

	if (!value || !parse_number(value, &number))
		number = 0;
	free(value);
	return number;
}

static bool is(const struct known *row, const struct cpu *cpu)
{
	char model[8];

	snprintf(model, sizeof(model), " %x ", (unsigned int)cpu->model);
	return cpu->vendor && !strcmp(row->vendor, cpu->vendor) && row->family == cpu->family &&
	       (!row->models || strstr(row->models, model));
}

static void add_event(struct cpu *cpu, const struct cpu_event *event)
{
	cpu->event[cpu->nr_events++] = *event;
}

static void add_walks(struct cpu *cpu)
{
	size_t i, event;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!is(&known[i], cpu))
			continue;
		cpu->list = known[i].list;
		for (event = 0; event < MAX_WALK_EVENTS && known[i].walks[event].name; event++)
			add_event(cpu, &known[i].walks[event]);
		return;
	}
}

void cpu_identify(struct cpu *cpu)
{
	char *text = read_file("/proc/cpuinfo");
	size_t i;

	*cpu = (struct cpu){
		.vendor = cpuinfo(text, "vendor_id"),
		.name = cpuinfo(text, "model name"),
		.family = cpuinfo_number(text, "cpu family"),
		.model = cpuinfo_number(text, "model"),
	};
	free(text);
	add_walks(cpu);
	for (i = 0; i < NR_EVERYWHERE; i++)
		add_event(cpu, &everywhere[i]);
}

void cpu_free(struct cpu *cpu)
{
	free(cpu->vendor);
	free(cpu->name);
}
