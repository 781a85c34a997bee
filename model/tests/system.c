// SPDX-License-Identifier: GPL-2.0
/* The whole: what sources say, what reports and checks say, and rates that can be derived. */
#include "state.h"

#include <math.h>

#include "guest.h"
#include "test.h"

#define GB	(1ULL << 30)
#define PLACE	(1ULL << 40)	/* of data */

static const struct lane lanes[] = {
	{ "LP-LD", 0, 0, -1 }, { "LP-RD", 1, 0, -1 }, { "LP-RDI", 1, 0, 1 }, { "RP-LD", 0, 1, -1 },
	{ "RPI-LD", 0, 1, 1 }, { "RP-RD", 1, 1, -1 }, { "RPI-RDI", 1, 1, 1 },
};

#define NR_LANES	(sizeof(lanes) / sizeof(lanes[0]))

/* A block of one load through a register into another one. */
struct load_block {
	struct block block;
	struct insn insn;
};

#define LOAD_BLOCK(through, into) {						\
	.block = { .nr_insns = 1 },						\
	.insn = { .pc = 0x1000, .size = 4, .loads = true, .nr_address = 1,	\
		  .address = { through }, .nr_results = 1, .result = { into } },	\
}

struct rig {
	struct test_guest tables;
	struct machine *machine;
	struct system *sys;
	uint64_t random;
};

static const int cpu_node[] = { 0, 0, 1 };

static struct rig *new_rig_in(struct machine *machine, int leaf_level, const struct lane *lane,
			      size_t nr_lanes)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct guest guest;

	rig->tables = (struct test_guest){ .levels = 4, .leaf_level = leaf_level };
	guest = test_guest(&rig->tables, 3, cpu_node);
	rig->machine = machine;
	rig->sys = system_new(machine, &guest, lane, nr_lanes);
	rig->random = 1;
	return rig;
}

#define new_rig(leaf_level, ...) \
	new_rig_in(TEST_MACHINE("data_address physical", ##__VA_ARGS__), leaf_level, lanes, 1)

static void free_rig(struct rig *rig)
{
	EXPECT_EQUAL(system_check(rig->sys, stdout), 0);
	system_free(rig->sys);
	machine_free(rig->machine);
	free(rig);
}

static uint64_t event(const struct rig *rig, enum event event)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < rig->sys->nr_accounts; i++)
		sum += rig->sys->account[i]->event[event];
	return sum;
}

static double measure(const struct rig *rig, size_t lane, enum measure measure)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < rig->sys->nr_accounts; i++)
		sum += rig->sys->account[i]->measure[lane][measure];
	return sum;
}

static void load(struct rig *rig, unsigned int cpu, const struct load_block *block,
		 uint64_t virtual, unsigned int size)
{
	system_block(rig->sys, cpu, &block->block);
	system_access(rig->sys, cpu, 0, virtual, virtual, size, false);
}

/* Random loads of 8 bytes from so many bytes; chained, or independent of each other. */
static void load_randomly(struct rig *rig, uint64_t bytes, bool chained, unsigned int count)
{
	struct load_block block = LOAD_BLOCK(1, chained ? 1 : 2);
	unsigned int i;

	system_begin(rig->sys, 0, 0);
	for (i = 0; i < count; i++) {
		rig->random = rig->random * 6364136223846793005 + 1442695040888963407;
		load(rig, 0, &block, PLACE + (rig->random >> 20) * 8 % bytes, 8);
	}
	system_end(rig->sys, 0);
}

/* Every access waits for the one before: the time is the sum of all that each does. */
TEST(a_chain_costs_the_sum_of_its_accesses)
{
	static const double latency[] = { 4, 12, 60, 280 };
	struct rig *rig = new_rig(1);
	double expected = 0;
	int served;

	load_randomly(rig, 64 * GB, true, 100000);
	for (served = CACHE_L1; served <= SERVED_MEMORY; served++)
		expected += latency[served] * (event(rig, EVENT_WALK_READS + served) +
					       event(rig, EVENT_DATA + served));
	expected += 8.0 * (event(rig, EVENT_WALKS) + event(rig, EVENT_STLB_HITS));
	EXPECT(event(rig, EVENT_WALKS) > 99000);
	EXPECT_NEAR(measure(rig, 0, MEASURE_CYCLES), expected, 0.001);
	free_rig(rig);
}

/*
 * How many leaf entries the L3 has, by Che's approximation: a line stays for the T accesses in
 * which as many distinct lines come as there is room for. Data lines never come again; N leaf
 * lines come at random. T + N (1 - exp(-T / N)) = room.
 */
static double expected_misses(double leaf_lines, double room)
{
	double low = 0, high = room, time;

	while (high - low > 1) {
		time = (low + high) / 2;
		if (time + leaf_lines * (1 - exp(-time / leaf_lines)) < room)
			low = time;
		else
			high = time;
	}
	return exp(-low / leaf_lines);
}

TEST(leaf_tables_miss_the_l3_as_often_as_derived)
{
	struct rig *rig = new_rig(1, "cache l3 2240K 20 lru 60");
	double leaf_lines = 4 * GB / 4096 / 8, room = 2240 * 1024 / 64;
	uint64_t before;

	load_randomly(rig, 4 * GB, false, 200000);
	before = event(rig, EVENT_WALK_READS + SERVED_MEMORY);
	load_randomly(rig, 4 * GB, false, 100000);
	EXPECT_NEAR((event(rig, EVENT_WALK_READS + SERVED_MEMORY) - before) / 100000.0,
		    expected_misses(leaf_lines, room), 0.03);
	free_rig(rig);
}

/* With 1 GB pages in the TLB, only the fill buffers limit: ten lines in 280 cycles. */
TEST(independent_loads_are_limited_by_fill_buffers)
{
	struct rig *rig = new_rig(3);

	load_randomly(rig, 4 * GB, false, 100000);
	EXPECT(event(rig, EVENT_WALKS + PAGE_1G) < 10);
	EXPECT_NEAR(measure(rig, 0, MEASURE_CYCLES), 100000 * 28.0, 0.02);
	free_rig(rig);
}

/* With 4 KB pages the only walker is always busy, and two are twice as fast, or nearly. */
TEST(independent_loads_are_limited_by_walkers)
{
	struct rig *one = new_rig(1), *two = new_rig(1, "walkers 2");

	load_randomly(one, 64 * GB, false, 50000);
	load_randomly(two, 64 * GB, false, 50000);
	EXPECT_NEAR(measure(one, 0, MEASURE_WALK_CYCLES), measure(one, 0, MEASURE_CYCLES), 0.01);
	EXPECT_NEAR(measure(two, 0, MEASURE_CYCLES), measure(one, 0, MEASURE_CYCLES) / 2, 0.1);
	free_rig(one);
	free_rig(two);
}

/* What a lane computes does not depend on what others do beside it. */
TEST(lanes_do_not_disturb_each_other)
{
	struct rig *all = new_rig_in(TEST_MACHINE("data_address virtual"), 1, lanes, NR_LANES);
	size_t lane;
	int i;

	load_randomly(all, 64 * GB, false, 5000);
	for (lane = 0; lane < NR_LANES; lane++) {
		struct rig *alone = new_rig_in(TEST_MACHINE("data_address virtual"), 1,
					       &lanes[lane], 1);

		load_randomly(alone, 64 * GB, false, 5000);
		for (i = 0; i < NR_MEASURES; i++)
			EXPECT_EQUAL(measure(all, lane, i), measure(alone, 0, i));
		free_rig(alone);
	}
	EXPECT(measure(all, 4, MEASURE_CYCLES) > 2 * measure(all, 0, MEASURE_CYCLES));
	free_rig(all);
}

TEST(an_access_that_crosses_a_line_is_two)
{
	struct load_block block = LOAD_BLOCK(1, 2);
	struct rig *rig = new_rig(1);

	system_begin(rig->sys, 0, 0);
	load(rig, 0, &block, 60, 4);
	EXPECT_EQUAL(event(rig, EVENT_LOADS), 1);
	load(rig, 0, &block, 60, 8);
	EXPECT_EQUAL(event(rig, EVENT_LOADS), 3);
	EXPECT_EQUAL(event(rig, EVENT_WALKS), 1);
	load(rig, 0, &block, 0xffc, 8);
	EXPECT_EQUAL(event(rig, EVENT_WALKS), 2);	/* and two pages */
	EXPECT_EQUAL(event(rig, EVENT_DATA + SERVED_MEMORY), 4);
	load(rig, 0, &block, 0x1000, 8);		/* where the second half lay */
	EXPECT_EQUAL(event(rig, EVENT_DATA + SERVED_MEMORY), 4);
	load(rig, 0, &block, -8ULL, 8);			/* at the very end */
	EXPECT_EQUAL(event(rig, EVENT_LOADS), 7);
	system_end(rig->sys, 0);
	free_rig(rig);
}

TEST(only_regions_are_measured)
{
	FILE *nowhere = fopen("/dev/null", "w");
	struct load_block block = LOAD_BLOCK(1, 2);
	struct rig *rig = new_rig(1);

	load(rig, 0, &block, PLACE, 8);
	EXPECT_EQUAL(event(rig, EVENT_LOADS), 0);
	system_begin(rig->sys, 0, 0);
	load(rig, 0, &block, PLACE, 8);
	load(rig, 1, &block, PLACE, 8);		/* not in its region */
	EXPECT(system_check(rig->sys, nowhere) > 0);	/* not at its end */
	system_end(rig->sys, 0);
	load(rig, 0, &block, PLACE, 8);
	EXPECT_EQUAL(event(rig, EVENT_LOADS), 1);
	EXPECT_EQUAL(event(rig, EVENT_INSTRUCTIONS), 1);
	fclose(nowhere);
	free_rig(rig);
}

TEST(a_branch_is_judged_by_what_follows)
{
	struct rig *rig = new_rig(1);
	struct load_block from = LOAD_BLOCK(1, 2), to = LOAD_BLOCK(1, 2);

	from.insn.branch = BRANCH_INDIRECT;
	from.insn.loads = false;
	to.insn.pc = 0x2000;
	to.insn.loads = false;
	system_begin(rig->sys, 0, 0);
	system_block(rig->sys, 0, &from.block);
	system_block(rig->sys, 0, &to.block);		/* never seen before */
	system_block(rig->sys, 0, &from.block);
	system_block(rig->sys, 0, &to.block);
	system_end(rig->sys, 0);
	EXPECT_EQUAL(event(rig, EVENT_BRANCHES), 2);
	EXPECT_EQUAL(event(rig, EVENT_MISPREDICTS), 1);
	free_rig(rig);
}

TEST(a_wrong_translation_is_counted)
{
	struct load_block block = LOAD_BLOCK(1, 2);
	struct rig *rig = new_rig(1);

	system_begin(rig->sys, 0, 0);
	load(rig, 0, &block, PLACE, 8);
	EXPECT_EQUAL(event(rig, EVENT_WRONG_TRANSLATIONS), 0);
	system_access(rig->sys, 0, 0, PLACE, PLACE + 4096, 8, false);
	EXPECT_EQUAL(event(rig, EVENT_WRONG_TRANSLATIONS), 1);
	system_access(rig->sys, 0, 0, PLACE + 4092, PLACE + 8188, 8, false);
	EXPECT_EQUAL(event(rig, EVENT_WRONG_TRANSLATIONS), 2);	/* not of the next page */
	system_end(rig->sys, 0);
	free_rig(rig);
}

TEST(data_goes_by_physical_or_by_virtual_address)
{
	struct load_block block = LOAD_BLOCK(1, 2);
	struct rig *physical = new_rig(1), *virtual = new_rig(1);

	virtual->machine->data_address = DATA_VIRTUAL;
	for (struct rig *rig = physical; rig; rig = rig == physical ? virtual : NULL) {
		system_begin(rig->sys, 0, 0);
		system_block(rig->sys, 0, &block.block);
		system_access(rig->sys, 0, 0, PLACE, 0x5000, 8, false);
		system_access(rig->sys, 0, 0, PLACE + 4096, 0x5000, 8, false);
		system_end(rig->sys, 0);
	}
	EXPECT_EQUAL(event(physical, EVENT_DATA + SERVED_MEMORY), 1);
	EXPECT_EQUAL(event(virtual, EVENT_DATA + SERVED_MEMORY), 2);
	free_rig(physical);
	free_rig(virtual);
}

static char *report(const struct rig *rig, enum report format)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	system_report(rig->sys, format, out);
	fclose(out);
	return text;
}

TEST(uses_of_freed_tables_are_reported_at_first)
{
	struct load_block block = LOAD_BLOCK(1, 2);
	struct rig *rig = new_rig(1);
	char *text;
	int i;

	system_begin(rig->sys, 0, 0);
	load(rig, 0, &block, PLACE, 8);
	system_page_freed(rig->sys, test_table(1, PLACE) + 8);	/* anywhere in the page */
	for (i = 0; i < 20; i++)
		load(rig, 0, &block, PLACE + i, 8);
	load(rig, 0, &block, PLACE + 4096, 8);
	system_flush(rig->sys, 0, FLUSH_CONTEXT, 0);
	load(rig, 0, &block, PLACE, 8);
	system_end(rig->sys, 0);
	EXPECT_EQUAL(event(rig, EVENT_FREED_TLB), 20);
	EXPECT_EQUAL(event(rig, EVENT_FREED_PSC), 1);
	EXPECT_EQUAL(rig->sys->nr_freed, MAX_FREED_REPORTS);
	text = report(rig, REPORT_TEXT);
	EXPECT(strstr(text, "CPU 0 used a freed table at 0x100080000000 through its tlb, "
			    "for 0x10000000000\n"));
	free(text);
	free_rig(rig);
}

TEST(real_nodes_are_asked_of_the_guest)
{
	static const struct lane real = { "real", NODE_REAL, NODE_REAL, -1 };
	struct rig *rig = new_rig_in(TEST_MACHINE("width 4"), 1, &real, 1);
	struct load_block block = LOAD_BLOCK(1, 2);

	rig->tables.data_node = 2;
	rig->tables.table_node = 1;
	for (unsigned int cpu = 0; cpu < 3; cpu += 2) {
		system_begin(rig->sys, cpu, 0);
		load(rig, cpu, &block, PLACE, 8);
		system_end(rig->sys, cpu);
	}
	/* CPU 2 is on node 1, as the tables are. */
	EXPECT_EQUAL(measure(rig, 0, MEASURE_WALK_REMOTE), 4);
	EXPECT_EQUAL(measure(rig, 0, MEASURE_WALK_LOCAL), 4);
	EXPECT_EQUAL(measure(rig, 0, MEASURE_REMOTE_WALKS), 1);
	EXPECT_EQUAL(measure(rig, 0, MEASURE_REMOTE_ROOTS), 1);
	EXPECT_EQUAL(measure(rig, 0, MEASURE_DATA_REMOTE), 2);
	EXPECT_EQUAL(rig->sys->memory[0].node[1].requests, 8);
	free_rig(rig);
}

TEST(memory_without_a_node_is_local)
{
	static const struct lane real = { "real", NODE_REAL, NODE_REAL, -1 };
	struct rig *rig = new_rig_in(TEST_MACHINE("width 4"), 1, &real, 1);
	struct load_block block = LOAD_BLOCK(1, 2);

	rig->tables.data_node = -1;
	rig->tables.table_node = 4;	/* which the machine does not have */
	system_begin(rig->sys, 2, 0);
	load(rig, 2, &block, PLACE, 8);
	system_end(rig->sys, 2);
	EXPECT_EQUAL(measure(rig, 0, MEASURE_DATA_LOCAL), 1);
	EXPECT_EQUAL(measure(rig, 0, MEASURE_WALK_LOCAL), 4);
	free_rig(rig);
}

TEST(accounts_are_by_cpu_and_root)
{
	struct load_block block = LOAD_BLOCK(1, 2);
	struct rig *rig = new_rig(1);

	system_begin(rig->sys, 0, 0);
	load(rig, 0, &block, PLACE, 8);
	rig->tables.root = test_table(4, 0) + 1;
	system_flush(rig->sys, 0, FLUSH_CONTEXT, 0);
	load(rig, 0, &block, PLACE, 8);
	system_begin(rig->sys, 1, 0);
	load(rig, 1, &block, PLACE, 8);
	system_end(rig->sys, 0);
	system_end(rig->sys, 1);
	EXPECT_EQUAL(rig->sys->nr_accounts, 3);
	EXPECT_EQUAL(rig->sys->account[0]->event[EVENT_LOADS], 1);
	EXPECT_EQUAL(rig->sys->account[1]->event[EVENT_LOADS], 1);
	EXPECT_EQUAL(rig->sys->account[2]->cpu, 1);
	free_rig(rig);
}

TEST(who_was_idle_goes_on_where_the_others_are)
{
	struct load_block block = LOAD_BLOCK(1, 1);
	struct rig *rig = new_rig(1);

	system_begin(rig->sys, 0, 0);
	load(rig, 0, &block, PLACE, 8);
	load(rig, 0, &block, PLACE, 8);
	EXPECT(system_clock(rig->sys, 0) > 4 * 280);
	EXPECT_EQUAL(system_clock(rig->sys, 1), 0);
	system_begin(rig->sys, 1, 0);
	EXPECT_EQUAL(system_clock(rig->sys, 1), system_clock(rig->sys, 0));
	system_end(rig->sys, 0);
	system_end(rig->sys, 1);
	free_rig(rig);
}

static unsigned int occurrences(const char *text, const char *word)
{
	unsigned int count = 0;

	for (; *text; text++)
		count += !strncmp(text, word, strlen(word));
	return count;
}

TEST(a_report_adds_up_nodes_regions_and_processes)
{
	static const struct {
		unsigned int cpu, root, loads, region;
	} runs[] = {
		{ 0, 0, 1, 5 }, { 1, 0, 2, 0 }, { 2, 0, 4, 5 }, { 0, 1, 8, 255 }, { 2, 1, 16, 5 },
	};
	struct load_block block = LOAD_BLOCK(1, 2);
	struct rig *rig = new_rig(1);
	unsigned int i, j;
	char *text;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		rig->tables.root = test_table(4, 0) + runs[i].root;
		system_flush(rig->sys, runs[i].cpu, FLUSH_CONTEXT, 0);
		system_begin(rig->sys, runs[i].cpu, runs[i].region);
		for (j = 0; j < runs[i].loads; j++)
			load(rig, runs[i].cpu, &block, PLACE, 8);
		system_end(rig->sys, runs[i].cpu);
	}
	text = report(rig, REPORT_JSON);
	EXPECT(strstr(text, "\"total\": {\"events\": {\"instructions\": 31,"));
	EXPECT(strstr(text, "{\"cpu\": 2, \"node\": 1, \"events\": {\"instructions\": 20,"));
	EXPECT(strstr(text, "{\"node\": 0, \"events\": {\"instructions\": 11,"));
	EXPECT(strstr(text, "{\"node\": 1, \"events\": {\"instructions\": 20,"));
	EXPECT(strstr(text, "{\"region\": 0, \"events\": {\"instructions\": 2,"));
	EXPECT(strstr(text, "{\"region\": 5, \"events\": {\"instructions\": 21,"));
	EXPECT(strstr(text, "{\"region\": 255, \"events\": {\"instructions\": 8,"));
	EXPECT_EQUAL(occurrences(text, "{\"region\": "), 3);
	EXPECT(strstr(text, "\"root\": \"0x400000000000\", \"events\": {\"instructions\": 7,"));
	EXPECT_EQUAL(occurrences(text, "\"root\": \"0x400000000000\""), 1);
	EXPECT(strstr(text, "\"root\": \"0x400000000001\", \"events\": {\"instructions\": 24,"));
	free(text);
	free_rig(rig);
}

TEST(the_same_events_give_the_same_report)
{
	char *text[2];
	int i;

	for (i = 0; i < 2; i++) {
		struct rig *rig = new_rig_in(TEST_MACHINE("width 4"), 1, lanes, NR_LANES);

		load_randomly(rig, GB, true, 5000);
		text[i] = report(rig, REPORT_JSON);
		free_rig(rig);
	}
	EXPECT(!strcmp(text[0], text[1]));
	EXPECT(strstr(text[0], "\"schema\": \"mitosis-model/1\""));
	EXPECT(strstr(text[0], "\"instructions\": 5000"));
	free(text[0]);
	free(text[1]);
}

/* Each identity that is broken is told. */
TEST(a_counter_that_is_wrong_is_found)
{
	static const enum event events[] = {
		EVENT_LOADS, EVENT_DTLB_HITS, EVENT_STLB_HITS, EVENT_WALKS, EVENT_WALKS_FAILED,
		EVENT_WALKS_FROM, EVENT_WALK_READS, EVENT_WALK_READS + SERVED_MEMORY, EVENT_DATA,
		EVENT_DATA + SERVED_MEMORY, EVENT_WRITE_BACKS, EVENT_MISPREDICTS,
	};
	static const enum measure measures[] = {
		MEASURE_WALK_CYCLES, MEASURE_WALK_LOCAL, MEASURE_DATA_REMOTE, MEASURE_REMOTE_WALKS,
	};
	struct rig *rig = new_rig(1);
	FILE *nowhere = fopen("/dev/null", "w");
	struct account *account;
	size_t i;

	load_randomly(rig, GB, false, 1000);
	account = rig->sys->account[0];
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		account->event[events[i]] += 1;
		EXPECT(system_check(rig->sys, nowhere) > 0);
		account->event[events[i]] -= 1;
	}
	for (i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
		account->measure[0][measures[i]] += 2000;
		EXPECT(system_check(rig->sys, nowhere) > 0);
		account->measure[0][measures[i]] -= 2000;
	}
	rig->sys->caches.l1[0].hits++;
	EXPECT(system_check(rig->sys, nowhere) > 0);
	rig->sys->caches.l1[0].hits--;
	fclose(nowhere);
	free_rig(rig);
}

TEST(a_guest_that_does_not_fit_is_refused)
{
	static const struct lane far = { "far", 4, 0, -1 };
	struct test_guest tables = { .levels = 4, .leaf_level = 1 };
	struct machine *machine = TEST_MACHINE("width 4");
	struct guest guest = test_guest(&tables, 1, (const int[]){ 4 });

	EXPECT(!system_new(machine, &guest, lanes, 1));
	guest = test_guest(&tables, 1, (const int[]){ 3 });
	EXPECT(!system_new(machine, &guest, &far, 1));
	EXPECT(!system_new(machine, &guest, lanes, 0));
	guest.levels = 3;
	EXPECT(!system_new(machine, &guest, lanes, 1));
	machine_free(machine);
}

TEST_MAIN
