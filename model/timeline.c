// SPDX-License-Identifier: GPL-2.0
#include "timeline.h"

#include <string.h>

/* The oldest ones go several at once, which costs less than one by one. */
#define FORGET	8

double timeline_gap(const struct timeline *timeline, double time, double length)
{
	unsigned int i = timeline->nr_spans;

	if (time < timeline->horizon)
		time = timeline->horizon;
	while (i && timeline->span[i - 1].end > time)
		i--;
	for (; i < timeline->nr_spans && timeline->span[i].begin < time + length; i++)
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
