// SPDX-License-Identifier: GPL-2.0
/* Identities between counters that different parts keep. */
#include "state.h"

#include <stdarg.h>

struct checker {
	const struct system *sys;
	FILE *out;
	int failed;
};

__attribute__((format(printf, 3, 4)))
static void expect(struct checker *checker, bool holds, const char *format, ...)
{
	va_list arguments;

	if (holds)
		return;
	checker->failed++;
	va_start(arguments, format);
	vfprintf(checker->out, format, arguments);
	va_end(arguments);
	fputc('\n', checker->out);
}

static uint64_t group(const uint64_t *event, enum event first, unsigned int count)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		sum += event[first + i];
	return sum;
}

static void check_events(struct checker *checker, const struct account *account)
{
	const uint64_t *event = account->event;
	uint64_t accesses = event[EVENT_LOADS] + event[EVENT_STORES];
	uint64_t hits = group(event, EVENT_DTLB_HITS, NR_PAGE_SIZES) +
			group(event, EVENT_STLB_HITS, NR_PAGE_SIZES);
	uint64_t walks = group(event, EVENT_WALKS, NR_PAGE_SIZES) + event[EVENT_WALKS_FAILED];

	expect(checker, accesses == hits + walks,
	       "CPU %u, root %#lx: %lu accesses, but %lu TLB hits and %lu walks", account->cpu,
	       account->root, accesses, hits, walks);
	expect(checker, accesses == group(event, EVENT_DATA, NR_SERVED),
	       "CPU %u, root %#lx: %lu accesses, but %lu are served", account->cpu,
	       account->root, accesses, group(event, EVENT_DATA, NR_SERVED));
	expect(checker, walks == group(event, EVENT_WALKS_FROM, MAX_LEVELS),
	       "CPU %u, root %#lx: %lu walks, but %lu begin at a level", account->cpu,
	       account->root, walks, group(event, EVENT_WALKS_FROM, MAX_LEVELS));
	expect(checker, event[EVENT_MISPREDICTS] <= event[EVENT_BRANCHES],
	       "CPU %u, root %#lx: more branches mispredicted than executed", account->cpu,
	       account->root);
}

static void check_measures(struct checker *checker, const struct account *account, size_t lane)
{
	const struct machine *machine = checker->sys->machine;
	const uint64_t *event = account->event;
	const double *measure = account->measure[lane];
	const char *name = checker->sys->lane[lane].name;
	double rounding = 1e-6 * measure[MEASURE_WALKER_CYCLES];

	expect(checker, measure[MEASURE_WALK_LOCAL] + measure[MEASURE_WALK_REMOTE] ==
	       event[EVENT_WALK_READS + SERVED_MEMORY],
	       "lane %s, CPU %u, root %#lx: %.0f reads of tables in memory, not %lu", name,
	       account->cpu, account->root,
	       measure[MEASURE_WALK_LOCAL] + measure[MEASURE_WALK_REMOTE],
	       event[EVENT_WALK_READS + SERVED_MEMORY]);
	expect(checker, measure[MEASURE_DATA_LOCAL] + measure[MEASURE_DATA_REMOTE] ==
	       event[EVENT_DATA + SERVED_MEMORY],
	       "lane %s, CPU %u, root %#lx: %.0f accesses to data in memory, not %lu", name,
	       account->cpu, account->root,
	       measure[MEASURE_DATA_LOCAL] + measure[MEASURE_DATA_REMOTE],
	       event[EVENT_DATA + SERVED_MEMORY]);
	expect(checker, measure[MEASURE_WALK_CYCLES] <= measure[MEASURE_WALKER_CYCLES] + rounding &&
	       measure[MEASURE_WALKER_CYCLES] <=
	       measure[MEASURE_WALK_CYCLES] * machine->walkers + rounding,
	       "lane %s, CPU %u, root %#lx: %.0f cycles of walks by %u walkers, but %.0f busy", name,
	       account->cpu, account->root, measure[MEASURE_WALK_CYCLES], machine->walkers,
	       measure[MEASURE_WALKER_CYCLES]);
	expect(checker, measure[MEASURE_REMOTE_WALKS] <=
	       group(event, EVENT_WALKS, NR_PAGE_SIZES) + event[EVENT_WALKS_FAILED],
	       "lane %s, CPU %u, root %#lx: more remote walks than walks", name, account->cpu,
	       account->root);
}

static void add_caches(const struct cache *caches, unsigned int count, uint64_t *lookups,
		       uint64_t *misses)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		*lookups += caches[i].lookups;
		*misses += caches[i].lookups - caches[i].hits;
	}
}

/* What the accounts say of caches, against what each cache has seen. */
static void check_caches(struct checker *checker, const uint64_t *event)
{
	const struct caches *caches = &checker->sys->caches;
	uint64_t lookups[NR_CACHES] = { 0 }, misses[NR_CACHES] = { 0 };
	uint64_t reads = group(event, EVENT_DATA, NR_SERVED) +
			 group(event, EVENT_WALK_READS, NR_SERVED);
	uint64_t memory = event[EVENT_DATA + SERVED_MEMORY] +
			  event[EVENT_WALK_READS + SERVED_MEMORY];

	add_caches(caches->l1, caches->nr_cpus, &lookups[0], &misses[0]);
	add_caches(caches->l2, caches->nr_cpus, &lookups[1], &misses[1]);
	add_caches(caches->l3, caches->machine->nodes, &lookups[2], &misses[2]);
	expect(checker, lookups[0] == reads, "%lu accesses and reads of tables, but %lu of the L1",
	       reads, lookups[0]);
	expect(checker, lookups[1] == misses[0], "%lu misses of L1, but %lu accesses to L2",
	       misses[0], lookups[1]);
	expect(checker, lookups[2] == misses[1], "%lu misses of L2, but %lu accesses to L3",
	       misses[1], lookups[2]);
	expect(checker, misses[2] == memory, "%lu misses of L3, but memory serves %lu", misses[2],
	       memory);
}

static void check_memory(struct checker *checker, const uint64_t *event, size_t lane)
{
	const struct memory *memory = &checker->sys->memory[lane];
	uint64_t requests = 0, lines = event[EVENT_DATA + SERVED_MEMORY] +
				       event[EVENT_WALK_READS + SERVED_MEMORY] +
				       event[EVENT_WRITE_BACKS];
	unsigned int node;

	for (node = 0; node < memory->machine->nodes; node++)
		requests += memory->node[node].requests;
	expect(checker, requests == lines, "lane %s: %lu lines go to or from memory, not %lu",
	       checker->sys->lane[lane].name, requests, lines);
}

int system_check(const struct system *sys, FILE *out)
{
	struct checker checker = { .sys = sys, .out = out };
	uint64_t total[NR_EVENTS] = { 0 };
	size_t i, lane, event;

	for (i = 0; i < sys->guest.nr_cpus; i++)
		expect(&checker, !sys->cpu[i].measured, "CPU %zu is still in its region", i);
	for (i = 0; i < sys->nr_accounts; i++) {
		check_events(&checker, sys->account[i]);
		for (lane = 0; lane < sys->nr_lanes; lane++)
			check_measures(&checker, sys->account[i], lane);
		for (event = 0; event < NR_EVENTS; event++)
			total[event] += sys->account[i]->event[event];
	}
	check_caches(&checker, total);
	for (lane = 0; lane < sys->nr_lanes; lane++)
		check_memory(&checker, total, lane);
	return checker.failed;
}
