// SPDX-License-Identifier: GPL-2.0
/*
 * Times worked out by hand. One instruction is dispatched a cycle, the first in cycle 1; it begins
 * one cycle later. A load takes 4, 12, 60 or 280 cycles (580 remote), a hit of the STLB 8 more.
 */
#include "core.h"

#include "guest.h"
#include "test.h"

#define MAX_INSNS	512

/* A program of one block on one core. */
struct rig {
	struct machine *machine;
	struct memory memory;
	struct lane lane;
	struct core core;
	double measure[NR_MEASURES];
	struct block *block;
	struct access access[2 * MAX_INSNS];
	size_t nr_accesses;
	uint64_t next_line;
};

static const struct lane local = { "local", 0, 0, -1 };

static struct rig *new_rig_in(struct machine *machine, struct lane lane)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->machine = machine;
	rig->lane = lane;
	memory_init(&rig->memory, machine, lane.loaded_node);
	core_init(&rig->core, machine, &rig->lane, &rig->memory, 0);
	rig->core.measure = rig->measure;
	rig->block = calloc(1, sizeof(*rig->block) + MAX_INSNS * sizeof(struct insn));
	rig->next_line = 1000;
	return rig;
}

/* Width 1; memory has no queue to speak of. */
#define new_rig(...) \
	new_rig_in(TEST_MACHINE("width 1", "service 0.01", "execute multiply 3", ##__VA_ARGS__), \
		   local)

static void free_rig(struct rig *rig)
{
	core_free(&rig->core);
	memory_free(&rig->memory);
	machine_free(rig->machine);
	free(rig->block);
	free(rig);
}

/* Run what was added, and forget it. Returns the cycles that it took. */
static double run_then(struct rig *rig, bool mispredicted)
{
	struct work work = {
		.block = rig->block, .access = rig->access, .nr_accesses = rig->nr_accesses,
		.mispredicted = mispredicted,
	};
	double before = rig->measure[MEASURE_CYCLES];

	core_execute(&rig->core, &work);
	rig->block->nr_insns = rig->nr_accesses = 0;
	return rig->measure[MEASURE_CYCLES] - before;
}

static double run(struct rig *rig)
{
	return run_then(rig, false);
}

static struct insn *add(struct rig *rig, enum insn_kind kind, uint8_t source, uint8_t result)
{
	struct insn *insn = &rig->block->insn[rig->block->nr_insns++];

	*insn = (struct insn){ .kind = kind, .nr_sources = source != REG_NONE,
			       .source = { source }, .nr_results = result != REG_NONE,
			       .result = { result } };
	return insn;
}

static struct access *add_access(struct rig *rig, bool store, int served)
{
	struct access *access = &rig->access[rig->nr_accesses++];
	uint64_t line = rig->next_line++;

	*access = (struct access){
		.insn = rig->block->nr_insns - 1, .store = store, .word = line * 8,
		.translation = { .found = FOUND_DTLB, .page = line << 12 },
		.data = { .number = line, .served = served },
	};
	return access;
}

/* A load through @address into @result. */
static struct access *add_load(struct rig *rig, uint8_t address, uint8_t result, int served)
{
	struct insn *insn = add(rig, INSN_SIMPLE, REG_NONE, result);

	insn->loads = true;
	insn->nr_address = address != REG_NONE;
	insn->address[0] = address;
	return add_access(rig, false, served);
}

static struct access *add_store(struct rig *rig, uint8_t source, int served)
{
	struct insn *insn = add(rig, INSN_SIMPLE, source, REG_NONE);

	insn->stores = true;
	return add_access(rig, true, served);
}

/* Let an access walk, reading so many tables from @served. */
static void make_walk(struct rig *rig, struct access *access, int nr_steps, int served)
{
	int i;

	access->translation.found = FOUND_WALK;
	access->translation.nr_steps = nr_steps;
	for (i = 0; i < nr_steps; i++)
		access->translation.step[i] = (struct step){
			.level = nr_steps - i,
			.entry = { .number = rig->next_line++, .served = served },
		};
}

TEST(width_limits_independent_instructions)
{
	struct rig *narrow = new_rig(), *wide = new_rig_in(TEST_MACHINE("width 4"), local);
	int i;

	for (i = 0; i < 100; i++) {
		add(narrow, INSN_SIMPLE, REG_NONE, REG_NONE);
		add(wide, INSN_SIMPLE, REG_NONE, REG_NONE);
	}
	EXPECT_EQUAL(run(narrow), 100 + 2);
	EXPECT_EQUAL(run(wide), 100 / 4 + 2);
	free_rig(narrow);
	free_rig(wide);
}

TEST(a_chain_takes_the_sum_of_its_latencies)
{
	struct rig *rig = new_rig();
	int i;

	for (i = 0; i < 100; i++)
		add(rig, INSN_MULTIPLY, 1, 1);
	EXPECT_EQUAL(run(rig), 2 + 300);
	for (i = 0; i < 99; i++)
		add(rig, INSN_MULTIPLY, REG_NONE, 1);
	EXPECT_EQUAL(run(rig), 99);	/* dispatch had gone on meanwhile */
	free_rig(rig);
}

TEST(loads_take_what_their_level_takes)
{
	static const double latency[] = { 4, 12, 60, 280 };
	int served;

	for (served = CACHE_L1; served <= SERVED_MEMORY; served++) {
		struct rig *rig = new_rig();

		add_load(rig, REG_NONE, 1, served);
		EXPECT_EQUAL(run(rig), 2 + latency[served]);
		free_rig(rig);
	}
}

TEST(a_load_that_computes_takes_a_cycle_more)
{
	struct rig *rig = new_rig();

	add_load(rig, REG_NONE, 1, CACHE_L1);
	rig->block->insn[0].nr_sources = 1;
	rig->block->insn[0].source[0] = 2;
	EXPECT_EQUAL(run(rig), 2 + 4 + 1);
	free_rig(rig);
}

TEST(dependent_misses_follow_each_other)
{
	struct rig *rig = new_rig();
	int i;

	for (i = 0; i < 30; i++)
		add_load(rig, 1, 1, SERVED_MEMORY);
	EXPECT_EQUAL(run(rig), 2 + 30 * 280);
	free_rig(rig);
}

/* Load k begins in cycle 2 + k % 10, after k / 10 rounds. */
TEST(independent_misses_share_the_fill_buffers)
{
	struct rig *ten = new_rig(), *two = new_rig("fill_buffers 2");
	int i;

	for (i = 0; i < 30; i++) {
		add_load(ten, REG_NONE, 1, SERVED_MEMORY);
		add_load(two, REG_NONE, 1, SERVED_MEMORY);
	}
	EXPECT_EQUAL(run(ten), 2 + 9 + 3 * 280);
	EXPECT_EQUAL(run(two), 2 + 1 + 15 * 280);
	/* Each of twenty waits 270 less its delay at dispatch; sum of 280 - 10 and 560 - 20. */
	EXPECT_EQUAL(ten->measure[MEASURE_FILL_WAITS], 10 * (270 + 540));
	EXPECT_EQUAL(ten->measure[MEASURE_DATA_LOCAL], 30);
	free_rig(ten);
	free_rig(two);
}

TEST(a_line_on_its_way_is_fetched_once)
{
	struct rig *rig = new_rig("fill_buffers 1");
	struct access *access;

	add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	access = add_load(rig, REG_NONE, 2, CACHE_L1);
	access->data.number--;
	EXPECT_EQUAL(run(rig), 2 + 280 + 1);	/* done at 282 too, retires one later */
	free_rig(rig);
}

/* Two misses with three instructions between: the second enters as the first one retires. */
TEST(the_reorder_buffer_limits_overlap)
{
	struct rig *four = new_rig("rob 4"), *five = new_rig("rob 5");
	struct rig *rig;
	int i;

	for (rig = four; rig; rig = rig == four ? five : NULL) {
		add_load(rig, REG_NONE, 1, SERVED_MEMORY);
		for (i = 0; i < 3; i++)
			add(rig, INSN_SIMPLE, REG_NONE, REG_NONE);
		add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	}
	EXPECT_EQUAL(run(four), 282 + 1 + 280);
	EXPECT_EQUAL(run(five), 5 + 1 + 280);
	free_rig(four);
	free_rig(five);
}

TEST(the_load_buffer_limits_overlap)
{
	struct rig *rig = new_rig("load_buffer 1");

	add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	EXPECT_EQUAL(run(rig), 282 + 1 + 280);
	free_rig(rig);
}

/* Three instructions wait for a load; the last has no room, nor has the load after it. */
TEST(the_scheduler_limits_overlap)
{
	struct rig *two = new_rig("scheduler 2"), *many = new_rig();
	struct rig *rig;
	int i;

	for (rig = two; rig; rig = rig == two ? many : NULL) {
		add_load(rig, REG_NONE, 1, SERVED_MEMORY);
		for (i = 0; i < 3; i++)
			add(rig, INSN_SIMPLE, 1, 2);
		add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	}
	EXPECT_EQUAL(run(two), 282 + 1 + 1 + 280);
	EXPECT_EQUAL(run(many), 5 + 1 + 280);
	free_rig(two);
	free_rig(many);
}

/*
 * Eight loads have their data from 282 on, every third cycle. Of eight instructions that wait for
 * one each, in some order, one leaves the scheduler each time; the next one enters it.
 */
TEST(the_first_to_issue_leaves_the_scheduler)
{
	static const uint8_t order[] = { 5, 1, 7, 3, 8, 2, 6, 4 };
	struct rig *rig = new_rig("scheduler 8");
	int i;

	for (i = 1; i <= 8; i++) {
		add_load(rig, REG_NONE, 8 + i, SERVED_MEMORY);
		add(rig, INSN_SIMPLE, REG_NONE, REG_NONE);
		add(rig, INSN_SIMPLE, REG_NONE, REG_NONE);
	}
	for (i = 0; i < 8; i++)
		add(rig, INSN_SIMPLE, 8 + order[i], REG_NONE);
	run(rig);
	for (i = 1; i < 8; i++) {
		add(rig, INSN_SIMPLE, 8 + 8, REG_NONE);
		run(rig);
		EXPECT_EQUAL(rig->core.dispatch, 282 + 3 * (i - 1));
	}
	free_rig(rig);
}

/* A store is done when it has its data; its line may come long after. */
TEST(stores_wait_in_their_buffer)
{
	struct rig *one = new_rig("store_buffer 1"), *many = new_rig();
	struct rig *rig;

	for (rig = one; rig; rig = rig == one ? many : NULL) {
		add_store(rig, REG_NONE, SERVED_MEMORY);
		add_store(rig, REG_NONE, SERVED_MEMORY);
	}
	EXPECT_EQUAL(run(many), 4);
	EXPECT_EQUAL(run(one), 3 + 280 + 2);	/* enters as the first one has its line */
	free_rig(one);
	free_rig(many);
}

TEST(stores_commit_in_order)
{
	struct rig *rig = new_rig();

	add_store(rig, REG_NONE, SERVED_MEMORY);
	add_store(rig, REG_NONE, CACHE_L1);
	run(rig);
	EXPECT_EQUAL(rig->core.commit, 3 + 280 + 1);
	free_rig(rig);
}

TEST(a_load_gets_a_word_from_the_store_buffer)
{
	struct rig *rig = new_rig();
	struct access *access;

	add(rig, INSN_MULTIPLY, REG_NONE, 1);			/* done at 5 */
	add_store(rig, 1, SERVED_MEMORY)->word = 77;		/* at 6 */
	access = add_load(rig, REG_NONE, 2, CACHE_L1);
	access->word = 77;
	access->data.number--;					/* its line is far away */
	EXPECT_EQUAL(run(rig), 6 + 5);
	free_rig(rig);
}

TEST(a_locked_access_waits_and_is_waited_for)
{
	struct rig *rig = new_rig("atomic 14");
	struct insn *insn;

	add_store(rig, REG_NONE, SERVED_MEMORY);		/* has its line at 283 */
	insn = add(rig, INSN_SIMPLE, 1, 1);
	insn->loads = insn->stores = insn->atomic = true;
	add_access(rig, false, CACHE_L1);
	add_access(rig, true, CACHE_L1);
	add_load(rig, REG_NONE, 2, CACHE_L1);
	/* Load to 287, compute to 288, lock to 302, written at 306; then a load. */
	EXPECT_EQUAL(run(rig), 283 + 4 + 1 + 14 + 4 + 4);
	free_rig(rig);
}

TEST(nothing_passes_a_serial_instruction)
{
	struct rig *rig = new_rig("execute serial 100");

	add_load(rig, REG_NONE, 1, SERVED_MEMORY);		/* retires at 282 */
	add(rig, INSN_SERIAL, REG_NONE, REG_NONE);		/* to 383 */
	add_load(rig, REG_NONE, 2, CACHE_L1);
	EXPECT_EQUAL(run(rig), 282 + 1 + 100 + 1 + 4);
	free_rig(rig);
}

TEST(nobody_waits_for_a_prefetch)
{
	struct rig *rig = new_rig();

	add_load(rig, REG_NONE, REG_NONE, SERVED_MEMORY);
	rig->block->insn[0].prefetch = true;
	EXPECT_EQUAL(run(rig), 2);
	add_load(rig, REG_NONE, 1, CACHE_L1)->data.number--;
	EXPECT_EQUAL(run(rig), 282 - 2);	/* but who wants its line has to */
	free_rig(rig);
}

TEST(the_stack_pointer_does_not_wait_for_what_is_popped)
{
	struct rig *rig = new_rig();
	int i;

	for (i = 0; i < 10; i++) {
		add_load(rig, REG_STACK, 1, SERVED_MEMORY);
		rig->block->insn[i].nr_results = 2;
		rig->block->insn[i].result[1] = REG_STACK;
	}
	EXPECT_EQUAL(run(rig), 2 + 9 + 280);
	free_rig(rig);
}

TEST(dispatch_stops_at_a_mispredicted_branch)
{
	struct rig *rig = new_rig("mispredict 16");

	add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	add(rig, INSN_SIMPLE, 1, REG_NONE)->branch = BRANCH_CONDITIONAL;
	EXPECT_EQUAL(run_then(rig, true), 283);
	add(rig, INSN_SIMPLE, REG_NONE, REG_NONE);
	EXPECT_EQUAL(run(rig), 16 + 2);
	free_rig(rig);
}

TEST(an_stlb_hit_costs_its_latency)
{
	struct rig *rig = new_rig();

	add_load(rig, REG_NONE, 1, CACHE_L1)->translation.found = FOUND_STLB;
	EXPECT_EQUAL(run(rig), 2 + 8 + 4);
	free_rig(rig);
}

TEST(the_steps_of_a_walk_are_serial)
{
	struct rig *rig = new_rig();
	struct access *access = add_load(rig, REG_NONE, 1, CACHE_L2);

	make_walk(rig, access, 4, SERVED_MEMORY);
	access->translation.step[0].entry.served = CACHE_L1;
	access->translation.step[1].entry.served = CACHE_L2;
	access->translation.step[2].entry.served = CACHE_L3;
	EXPECT_EQUAL(run(rig), 2 + 8 + (4 + 12 + 60 + 280) + 12);
	EXPECT_EQUAL(rig->measure[MEASURE_WALK_CYCLES], 4 + 12 + 60 + 280);
	EXPECT_EQUAL(rig->measure[MEASURE_WALK_LOCAL], 1);
	free_rig(rig);
}

TEST(a_store_is_translated_before_it_retires)
{
	struct rig *rig = new_rig();

	make_walk(rig, add_store(rig, REG_NONE, CACHE_L1), 1, SERVED_MEMORY);
	EXPECT_EQUAL(run(rig), 2 + 8 + 280);
	free_rig(rig);
}

TEST(who_wants_the_same_page_waits_for_its_walk)
{
	struct rig *rig = new_rig();
	struct access *first = add_load(rig, REG_NONE, 1, CACHE_L1), *second;

	make_walk(rig, first, 1, SERVED_MEMORY);
	second = add_load(rig, REG_NONE, 2, CACHE_L1);
	second->translation.page = first->translation.page;
	run(rig);
	EXPECT_EQUAL(rig->core.reg[2], 2 + 8 + 280 + 4);
	free_rig(rig);
}

/* Two loads that walk for 280 cycles each, from 10 and from 11 on. */
TEST(walks_share_the_walkers)
{
	struct rig *one = new_rig(), *two = new_rig("walkers 2");
	struct rig *rig;

	for (rig = one; rig; rig = rig == one ? two : NULL) {
		make_walk(rig, add_load(rig, REG_NONE, 1, CACHE_L1), 1, SERVED_MEMORY);
		make_walk(rig, add_load(rig, REG_NONE, 2, CACHE_L1), 1, SERVED_MEMORY);
	}
	EXPECT_EQUAL(run(one), 10 + 2 * 280 + 4);
	EXPECT_EQUAL(one->measure[MEASURE_WALKER_WAITS], 279);
	EXPECT_EQUAL(one->measure[MEASURE_WALK_CYCLES], 560);
	EXPECT_EQUAL(one->measure[MEASURE_WALKER_CYCLES], 560);
	EXPECT_EQUAL(run(two), 11 + 280 + 4);
	EXPECT_EQUAL(two->measure[MEASURE_WALKER_WAITS], 0);
	EXPECT_EQUAL(two->measure[MEASURE_WALK_CYCLES], 281);
	EXPECT_EQUAL(two->measure[MEASURE_WALKER_CYCLES], 560);
	free_rig(one);
	free_rig(two);
}

/*
 * The second load waits for the first, and then walks from 290 to 570. The third, which depends on
 * nothing, walks before it, from 12 to 292; so the fourth finds the walker free from 572 on.
 */
TEST(a_younger_walk_may_come_first)
{
	struct rig *rig = new_rig();

	add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	make_walk(rig, add_load(rig, 1, 2, CACHE_L1), 1, SERVED_MEMORY);
	make_walk(rig, add_load(rig, REG_NONE, 3, CACHE_L1), 1, SERVED_MEMORY);
	make_walk(rig, add_load(rig, REG_NONE, 4, CACHE_L1), 1, SERVED_MEMORY);
	EXPECT_EQUAL(run(rig), 572 + 280 + 4);
	EXPECT_EQUAL(rig->core.reg[2], 574);
	EXPECT_EQUAL(rig->core.reg[3], 292 + 4);
	EXPECT_EQUAL(rig->measure[MEASURE_WALK_CYCLES], 3 * 280);
	free_rig(rig);
}

/* A load whose walk reads one entry, in each placement. */
static double place(int data_node, int table_node, int loaded_node, double *measure)
{
	struct lane lane = { "test", data_node, table_node, loaded_node };
	struct rig *rig = new_rig_in(TEST_MACHINE("width 1"), lane);
	double cycles;

	make_walk(rig, add_load(rig, REG_NONE, 1, SERVED_MEMORY), 1, SERVED_MEMORY);
	cycles = run(rig);
	memcpy(measure, rig->measure, sizeof(rig->measure));
	free_rig(rig);
	return cycles;
}

TEST(lanes_differ_by_placement)
{
	double measure[NR_MEASURES];

	EXPECT_EQUAL(place(0, 0, -1, measure), 2 + 8 + 280 + 280);
	EXPECT_EQUAL(measure[MEASURE_WALK_LOCAL] + measure[MEASURE_DATA_LOCAL], 2);
	EXPECT_EQUAL(place(1, 0, -1, measure), 2 + 8 + 280 + 580);
	EXPECT_EQUAL(measure[MEASURE_DATA_REMOTE], 1);
	EXPECT_EQUAL(measure[MEASURE_REMOTE_WALKS], 0);
	EXPECT_EQUAL(place(0, 1, -1, measure), 2 + 8 + 580 + 280);
	EXPECT_EQUAL(measure[MEASURE_WALK_REMOTE], 1);
	EXPECT_EQUAL(measure[MEASURE_REMOTE_WALKS], 1);
	EXPECT_EQUAL(measure[MEASURE_REMOTE_ROOTS], 1);
	EXPECT_EQUAL(place(0, 1, 1, measure), 2 + 8 + 1400 + 280);
	EXPECT_EQUAL(place(1, 0, 1, measure), 2 + 8 + 280 + 1400);
	EXPECT_EQUAL(place(0, 0, 1, measure), 2 + 8 + 280 + 280);
	EXPECT_EQUAL(place(NODE_REAL, NODE_REAL, -1, measure), 2 + 8 + 280 + 280);
}

TEST(written_back_lines_take_bandwidth)
{
	struct rig *rig = new_rig();
	struct access *access = add_load(rig, REG_NONE, 1, SERVED_MEMORY);

	access->data.nr_written = 2;
	EXPECT_EQUAL(run(rig), 282);
	EXPECT_EQUAL(rig->memory.node[0].requests, 3);
	free_rig(rig);
}

/* Two lines at nearly the same time, and a controller that takes 100 cycles for each. */
TEST(lines_wait_for_the_controller)
{
	struct rig *rig = new_rig_in(TEST_MACHINE("width 1", "service 100"), local);

	add_load(rig, REG_NONE, 1, SERVED_MEMORY);
	add_load(rig, REG_NONE, 2, SERVED_MEMORY);
	EXPECT_EQUAL(run(rig), 3 + 280 + 100);
	EXPECT_EQUAL(rig->measure[MEASURE_QUEUE_WAITS], 100);
	free_rig(rig);
}

TEST(an_idle_core_goes_on_later)
{
	struct rig *rig = new_rig();

	core_idle(&rig->core, 1000);
	add(rig, INSN_SIMPLE, REG_NONE, REG_NONE);
	EXPECT_EQUAL(run(rig), 2);		/* idling counts nowhere */
	EXPECT_EQUAL(rig->core.retire, 1002);
	free_rig(rig);
}

TEST_MAIN
