/* SPDX-License-Identifier: GPL-2.0 */
/* Options and clock of the commands that show something again and again. */
#ifndef MITOSIS_INTERVAL_H
#define MITOSIS_INTERVAL_H

#include <stdint.h>
#include <time.h>

/* Both leave with an explanation: of seconds, 0.01 or more; of a number above 0. */
double interval_parse(const char *text);
uint64_t repeats_parse(const char *text);

/*
 * Wait until @seconds after @when, which was a time of CLOCK_MONOTONIC, and move it there. What
 * was missed, because the machine slept, is not made up for.
 */
void interval_wait(struct timespec *when, double seconds);

#endif
