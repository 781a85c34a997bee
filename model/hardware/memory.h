/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of one lane: each node's controller serves a line in so many cycles and keeps a
 * queue.
 *
 * A loaded node is kept busy by another program, which has two effects. Its lines wait in the
 * queue: each of ours waits behind them. And they take their share of the controller: what is left
 * serves ours that much slower, so that several of ours queue up behind each other.
 *
 * Requests come in the order of computation, not of time, be it of one core, be it of several whose
 * clocks differ. So time is divided into slots of one service each, and a request takes the first
 * slot from its own time on that is free. Slots are remembered for MEMORY_WORDS * 64 services;
 * a request from before that finds a free one.
 *
 * Not simulated: banks and open rows, links between nodes (their latency is, not their bandwidth).
 */
#ifndef MODEL_MEMORY_H
#define MODEL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

#define MEMORY_WORDS	1024

struct memory_node {
	double service;		/* of a line of ours */
	double wait;		/* behind another program's lines */
	struct {
		uint64_t number, taken;
	} word[MEMORY_WORDS];	/* 64 slots each; @number tells which */
	uint64_t requests;
};

struct memory {
	const struct machine *machine;
	struct memory_node *node;
};

void memory_init(struct memory *memory, const struct machine *machine, int loaded_node);
void memory_free(struct memory *memory);

/* How long a line of @home takes to come to @node, if none of ours is in its way. */
double memory_latency(const struct memory *memory, int node, int home);

/* How long a line of @home, wanted at @time, waits behind others of ours. */
double memory_queue(struct memory *memory, int home, double time);

#endif
