// SPDX-License-Identifier: GPL-2.0
/* Who has to wait for whom. */
#include <stdio.h>

#include "pace.h"
#include "test.h"

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	printf("# %s\n", what);
	test_failed = true;
}

TEST(who_waits)
{
	struct pace *pace = pace_new(3, 100);

	expect(!pace_ahead(pace, 0, 1000000), "who has not joined never waits");
	pace_join(pace, 0, 5000);
	expect(!pace_ahead(pace, 0, 9000), "who is alone never waits");

	pace_join(pace, 1, 70);
	expect(!pace_ahead(pace, 1, 170), "a quantum is allowed");
	expect(pace_ahead(pace, 1, 171), "more than a quantum is not");
	expect(!pace_ahead(pace, 0, 9071), "clocks count from when a CPU joined");
	expect(!pace_ahead(pace, 1, 171), "the other has caught up: 101 against 71");
	pace_join(pace, 1, 0);
	expect(!pace_ahead(pace, 1, 171), "to join again changes nothing");

	pace_join(pace, 2, 0);
	expect(!pace_ahead(pace, 1, 171), "who joins is level with the last: 71");
	expect(pace_ahead(pace, 1, 272), "and is waited for");
	pace_leave(pace, 2);
	expect(pace_ahead(pace, 1, 272), "101 more than CPU 0 has told");
	pace_leave(pace, 0);
	expect(!pace_ahead(pace, 1, 272), "who left is not waited for");

	expect(pace_skew(pace) == 0, "nobody went on");
	pace_join(pace, 0, 20);
	expect(pace_ahead(pace, 1, 572), "300 ahead");
	pace_went_on(pace, 1);
	pace_went_on(pace, 0);
	expect(pace_skew(pace) == 300, "the largest lead of those who went on");
	pace_free(pace);
}

TEST(who_is_told)
{
	struct pace *pace = pace_new(2, 100);

	pace_join(pace, 0, 0);
	pace_join(pace, 1, 0);
	pace_ahead(pace, 0, 1000);
	expect(!pace_advanced(pace), "the last has not moved");
	pace_ahead(pace, 1, 24);
	expect(!pace_advanced(pace), "less than a quarter of a quantum");
	pace_ahead(pace, 1, 25);
	expect(pace_advanced(pace), "a quarter");
	expect(!pace_advanced(pace), "once");
	pace_ahead(pace, 1, 60);
	expect(pace_advanced(pace), "35 more");
	pace_leave(pace, 1);
	expect(pace_advanced(pace), "the last is another one: 1000");
	pace_join(pace, 1, 0);
	pace_ahead(pace, 0, 1010);
	pace_leave(pace, 0);
	expect(!pace_advanced(pace), "who joined is level with the last");
	pace_free(pace);
}

TEST_MAIN
