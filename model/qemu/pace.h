/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keeps CPUs that are measured at the same time within a quantum of each other's model time. QEMU
 * runs them at whatever speed the host has, and what the model computes for one (queues, shared
 * caches) depends on when the others were where.
 */
#ifndef MODEL_PACE_H
#define MODEL_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace;

struct pace *pace_new(unsigned int nr_cpus, uint64_t quantum);
void pace_free(struct pace *pace);

/* A CPU takes part from now on, level with the one that is furthest behind: its clock stood. */
void pace_join(struct pace *pace, unsigned int cpu, uint64_t clock);
bool pace_joined(const struct pace *pace, unsigned int cpu);
/* It sleeps, or its region ended: nobody waits for it. */
void pace_leave(struct pace *pace, unsigned int cpu);
/* Tell the clock of a CPU; returns whether it is ahead by more than the quantum. */
bool pace_ahead(struct pace *pace, unsigned int cpu, uint64_t clock);
/*
 * Whether the one furthest behind has come so far since the last yes that it is worth telling those
 * who wait for it: to wake all of them at each step costs more than the steps.
 */
bool pace_advanced(struct pace *pace);

/* How far any CPU that went on was ahead of another, in cycles. */
void pace_went_on(struct pace *pace, unsigned int cpu);
uint64_t pace_skew(const struct pace *pace);

#endif
