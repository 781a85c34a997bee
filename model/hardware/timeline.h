/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When a unit of hardware is busy. The model computes instructions in program order, but they use
 * a unit in another one: who comes later may find it free before.
 *
 * Such a one may still be using it when an earlier computed use begins. In truth that one would
 * wait; but its times are final. So both take place, and the time that they share is taken from
 * what is free afterwards: no unit does more than it can.
 */
#ifndef MODEL_TIMELINE_H
#define MODEL_TIMELINE_H

#define TIMELINE_SPANS	32

struct timeline {
	double horizon;		/* what was before is forgotten: not free */
	unsigned int nr_spans;
	struct {
		double begin, end;
	} span[TIMELINE_SPANS];	/* busy; apart from each other, in order */
};

/* The first time from @time on at which the unit is free. */
double timeline_free(const struct timeline *timeline, double time);

/* Busy from @begin to @end. Returns how much of this it was not already. */
double timeline_add(struct timeline *timeline, double begin, double end);

/*
 * Use a unit for @length from @begin on, when it is free. Returns for how much of this none of
 * the units was busy that share @any, if one is given.
 */
double timeline_use(struct timeline *timeline, double begin, double length, struct timeline *any);

#endif
