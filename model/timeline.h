/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When a unit of hardware is busy. The model computes instructions in program order, but they use
 * a unit in another one: who comes later may find a gap before.
 */
#ifndef MODEL_TIMELINE_H
#define MODEL_TIMELINE_H

#define TIMELINE_SPANS	32

struct timeline {
	double horizon;		/* what was before is forgotten: no gap there */
	unsigned int nr_spans;
	struct {
		double begin, end;
	} span[TIMELINE_SPANS];	/* busy; apart from each other, in order */
};

/* The first time from @time on at which the unit is free for @length. */
double timeline_gap(const struct timeline *timeline, double time, double length);

/* Busy from @begin to @end. Returns how much of this it was not already. */
double timeline_add(struct timeline *timeline, double begin, double end);

#endif
