// SPDX-License-Identifier: GPL-2.0
#include "timeline.h"

#include "test.h"

TEST(a_unit_may_be_free_before_later_use)
{
	struct timeline timeline = { 0 };

	EXPECT_EQUAL(timeline_free(&timeline, 5), 5);
	EXPECT_EQUAL(timeline_add(&timeline, 100, 200), 100);
	EXPECT_EQUAL(timeline_free(&timeline, 99), 99);
	EXPECT_EQUAL(timeline_free(&timeline, 100), 200);
	EXPECT_EQUAL(timeline_free(&timeline, 150), 200);
	timeline_add(&timeline, 250, 300);
	EXPECT_EQUAL(timeline_free(&timeline, 150), 200);
	EXPECT_EQUAL(timeline_free(&timeline, 250), 300);
	EXPECT_EQUAL(timeline_free(&timeline, 400), 400);
}

TEST(what_is_used_twice_is_taken_from_later)
{
	struct timeline timeline = { 0 }, any = { 0 };

	timeline_add(&timeline, 100, 200);
	timeline_add(&timeline, 230, 240);
	/* 10 before 100, then all that is free between, then 5 after 240. */
	EXPECT_EQUAL(timeline_use(&timeline, 90, 45, &any), 45);
	EXPECT_EQUAL(timeline.nr_spans, 1);
	EXPECT_EQUAL(timeline_free(&timeline, 90), 245);
	EXPECT_EQUAL(any.nr_spans, 3);
	EXPECT_EQUAL(any.span[2].end, 245);
	EXPECT_EQUAL(timeline_use(&timeline, 245, 5, &any), 5);
	EXPECT_EQUAL(timeline_free(&timeline, 90), 250);
}

TEST(units_that_are_busy_together_count_once)
{
	struct timeline unit[2] = { 0 }, any = { 0 };

	EXPECT_EQUAL(timeline_use(&unit[0], 0, 100, &any), 100);
	EXPECT_EQUAL(timeline_use(&unit[1], 50, 100, &any), 50);
	EXPECT_EQUAL(timeline_use(&unit[0], 100, 20, &any), 0);
}

TEST(what_overlaps_counts_once)
{
	struct timeline timeline = { 0 };

	EXPECT_EQUAL(timeline_add(&timeline, 10, 20), 10);
	EXPECT_EQUAL(timeline_add(&timeline, 30, 40), 10);
	EXPECT_EQUAL(timeline_add(&timeline, 15, 35), 10);
	EXPECT_EQUAL(timeline.nr_spans, 1);
	EXPECT_EQUAL(timeline_add(&timeline, 12, 38), 0);
	EXPECT_EQUAL(timeline_add(&timeline, 40, 50), 10);	/* touches */
	EXPECT_EQUAL(timeline.nr_spans, 1);
	EXPECT_EQUAL(timeline_add(&timeline, 0, 5), 5);
	EXPECT_EQUAL(timeline.nr_spans, 2);
	EXPECT_EQUAL(timeline_free(&timeline, 2), 5);
}

TEST(the_oldest_uses_are_forgotten_and_leave_no_gap)
{
	struct timeline timeline = { 0 };
	int i;

	for (i = 0; i < 1000; i++)
		EXPECT_EQUAL(timeline_add(&timeline, 10 * i, 10 * i + 5), 5);
	EXPECT(timeline.nr_spans <= TIMELINE_SPANS);
	EXPECT(timeline_free(&timeline, 0) > 9000);
	EXPECT_EQUAL(timeline_free(&timeline, 9985), 9985);
	EXPECT_EQUAL(timeline_free(&timeline, 9981), 9985);
}

TEST_MAIN
