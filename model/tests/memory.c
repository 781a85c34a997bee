// SPDX-License-Identifier: GPL-2.0
#include "memory.h"

#include "guest.h"
#include "test.h"

/* 10 cycles a line; a loaded node has 50 lines waiting, and leaves a quarter. */
static struct memory new_memory(int loaded_node)
{
	struct machine *machine = TEST_MACHINE("service 10", "load_queue 50",
					       "load_utilisation 0.75");
	struct memory memory;

	memory_init(&memory, machine, loaded_node);
	return memory;
}

static void free_memory(struct memory *memory)
{
	machine_free((struct machine *)memory->machine);
	memory_free(memory);
}

TEST(latency_is_by_distance_and_load)
{
	struct memory memory = new_memory(1);

	EXPECT_EQUAL(memory_latency(&memory, 0, 0), 280);
	EXPECT_EQUAL(memory_latency(&memory, 0, 2), 580);
	EXPECT_EQUAL(memory_latency(&memory, 0, 1), 580 + 50 * 10);
	EXPECT_EQUAL(memory_latency(&memory, 1, 1), 280 + 50 * 10);
	free_memory(&memory);
}

TEST(lines_at_the_same_time_queue_up)
{
	struct memory memory = new_memory(-1);

	EXPECT_EQUAL(memory_queue(&memory, 0, 1000), 0);
	EXPECT_EQUAL(memory_queue(&memory, 0, 1000), 10);
	EXPECT_EQUAL(memory_queue(&memory, 0, 1005), 20);
	EXPECT_EQUAL(memory_queue(&memory, 1, 1000), 0);	/* another node */
	EXPECT_EQUAL(memory_queue(&memory, 0, 1100), 0);
	EXPECT_EQUAL(memory_queue(&memory, 0, 500), 0);		/* earlier, told later */
	EXPECT_EQUAL(memory.node[0].requests, 5);
	free_memory(&memory);
}

TEST(a_loaded_node_serves_ours_slowly)
{
	struct memory memory = new_memory(1);

	EXPECT_EQUAL(memory_queue(&memory, 1, 1000), 0);
	EXPECT_EQUAL(memory_queue(&memory, 1, 1000), 40);	/* 10 / (1 - 0.75) */
	EXPECT_EQUAL(memory_queue(&memory, 1, 1000), 80);
	EXPECT_EQUAL(memory_queue(&memory, 0, 1000), 0);
	EXPECT_EQUAL(memory_queue(&memory, 0, 1000), 10);
	free_memory(&memory);
}

/* As many lines as there is time for, however they come. */
TEST(bandwidth_is_what_the_service_allows)
{
	struct memory memory = new_memory(-1);
	double wait = 0;
	int i;

	for (i = 0; i < 1000; i++)
		wait = memory_queue(&memory, 0, 5 * i);
	EXPECT_NEAR(wait, 5 * 1000, 0.01);
	free_memory(&memory);
}

TEST(a_request_from_long_ago_is_served)
{
	struct memory memory = new_memory(-1);

	memory_queue(&memory, 0, 1e9);
	EXPECT_EQUAL(memory_queue(&memory, 0, 10), 0);
	memory_queue(&memory, 0, 1e9 + 64.0 * 10 * MEMORY_WORDS);	/* the same word */
	EXPECT_EQUAL(memory_queue(&memory, 0, 1e9), 0);
	free_memory(&memory);
}

TEST_MAIN
