// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include "interval.h"
#include "util.h"

#define INTERVAL_MAX	(366 * 86400.0)

double interval_parse(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.01 && seconds <= INTERVAL_MAX))
		errx(EXIT_FAILURE, "'%s' is no interval: give seconds, 0.01 or more", text);
	return seconds;
}

uint64_t repeats_parse(const char *text)
{
	uint64_t number;

	if (!parse_number(text, &number) || !number)
		errx(EXIT_FAILURE, "'%s' is no count: give a number above 0", text);
	return number;
}

static bool is_before(const struct timespec *one, const struct timespec *other)
{
	if (one->tv_sec != other->tv_sec)
		return one->tv_sec < other->tv_sec;
	return one->tv_nsec < other->tv_nsec;
}

void interval_wait(struct timespec *when, double seconds)
{
	long nanoseconds = when->tv_nsec + (long)((seconds - (double)(time_t)seconds) * 1e9);
	struct timespec now;

	when->tv_sec += (time_t)seconds + nanoseconds / 1000000000;
	when->tv_nsec = nanoseconds % 1000000000;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (is_before(when, &now))
		*when = now;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, when, NULL) == EINTR)
		;
}
