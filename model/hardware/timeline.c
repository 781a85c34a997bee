// SPDX-License-Identifier: GPL-2.0
#include "timeline.h"

#include <math.h>
#include <string.h>

/* The oldest ones go several at once, which costs less than one by one. */
#define FORGET	8

double timeline_free(const struct timeline *timeline, double time)
{
	unsigned int i = timeline->nr_spans;

	if (time < timeline->horizon)
		time = timeline->horizon;
	while (i && timeline->span[i - 1].end > time)
		i--;
	if (i < timeline->nr_spans && timeline->span[i].begin <= time)
		time = timeline->span[i].end;
	return time;
}

static void forget_oldest(struct timeline *timeline)
{
	timeline->horizon = timeline->span[FORGET - 1].end;
	timeline->nr_spans -= FORGET;
	memmove(timeline->span, timeline->span + FORGET,
		timeline->nr_spans * sizeof(timeline->span[0]));
}

/* Replace spans from @first to before @last by one. */
static void replace(struct timeline *timeline, unsigned int first, unsigned int last,
		    double begin, double end)
{
	memmove(timeline->span + first + 1, timeline->span + last,
		(timeline->nr_spans - last) * sizeof(timeline->span[0]));
	timeline->nr_spans += first + 1 - last;
	timeline->span[first].begin = begin;
	timeline->span[first].end = end;
}

double timeline_add(struct timeline *timeline, double begin, double end)
{
	double new = end - begin, low = begin, high = end;
	unsigned int first, last;

	if (timeline->nr_spans == TIMELINE_SPANS)
		forget_oldest(timeline);
	first = timeline->nr_spans;
	while (first && timeline->span[first - 1].end >= begin)
		first--;
	for (last = first; last < timeline->nr_spans && timeline->span[last].begin <= end; last++) {
		double from = timeline->span[last].begin, to = timeline->span[last].end;

		new -= (to < end ? to : end) - (from > begin ? from : begin);
		low = from < low ? from : low;
		high = to > high ? to : high;
	}
	replace(timeline, first, last, low, high);
	return new;
}

/* Where a free time ends that goes on at @time. */
static double free_until(const struct timeline *timeline, double time)
{
	unsigned int i = timeline->nr_spans;

	while (i && timeline->span[i - 1].begin > time)
		i--;
	return i < timeline->nr_spans ? timeline->span[i].begin : INFINITY;
}

static double add_to_any(struct timeline *any, double begin, double end)
{
	return any ? timeline_add(any, begin, end) : 0;
}

double timeline_use(struct timeline *timeline, double begin, double length, struct timeline *any)
{
	double new = 0, limit;

	for (;;) {
		limit = free_until(timeline, begin);
		if (begin + length <= limit)
			break;
		timeline_add(timeline, begin, limit);
		new += add_to_any(any, begin, limit);
		length -= limit - begin;
		begin = timeline_free(timeline, limit);
	}
	timeline_add(timeline, begin, begin + length);
	return new + add_to_any(any, begin, begin + length);
}
