/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Branch prediction: a tournament of gshare and bimodal counters for directions (McFarling 1993),
 * a branch target buffer for indirect targets, a return stack.
 */
#ifndef MODEL_PREDICTOR_H
#define MODEL_PREDICTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "insn.h"
#include "machine.h"

struct predictor {
	uint64_t history;		/* directions, the latest one lowest */
	uint64_t mask;
	uint8_t *gshare, *bimodal, *choice;	/* counters from 0 to 3 */
	struct target {
		uint64_t pc, target;
	} *target;
	unsigned int nr_targets;
	uint64_t *stack;
	unsigned int depth, top;
};

void predictor_init(struct predictor *predictor, const struct machine *machine);
void predictor_free(struct predictor *predictor);

/* Learn that @next follows a branch. Returns whether it was predicted. */
bool predictor_branch(struct predictor *predictor, const struct insn *branch, uint64_t next);

#endif
