// SPDX-License-Identifier: GPL-2.0
#include "predictor.h"
#include "allocate.h"

#include <stdlib.h>
#include <string.h>

#define WEAKLY_TAKEN	2
#define TAKEN_MAX	3

void predictor_init(struct predictor *predictor, const struct machine *machine)
{
	size_t counters = 1UL << machine->predictor_bits;

	*predictor = (struct predictor){
		.mask = counters - 1,
		.gshare = allocate(counters, 1),
		.bimodal = allocate(counters, 1),
		.choice = allocate(counters, 1),
		.target = allocate(machine->branch_targets, sizeof(*predictor->target)),
		.nr_targets = machine->branch_targets,
		.stack = allocate(machine->return_stack, sizeof(*predictor->stack)),
		.depth = machine->return_stack,
	};
	memset(predictor->gshare, WEAKLY_TAKEN, counters);
	memset(predictor->bimodal, WEAKLY_TAKEN, counters);
	memset(predictor->choice, WEAKLY_TAKEN, counters);
}

void predictor_free(struct predictor *predictor)
{
	free(predictor->gshare);
	free(predictor->bimodal);
	free(predictor->choice);
	free(predictor->target);
	free(predictor->stack);
}

static void count(uint8_t *counter, bool up)
{
	if (up)
		*counter += *counter < TAKEN_MAX;
	else
		*counter -= *counter > 0;
}

static bool predict_direction(struct predictor *predictor, uint64_t pc, bool taken)
{
	uint8_t *global = &predictor->gshare[(pc ^ predictor->history) & predictor->mask];
	uint8_t *local = &predictor->bimodal[pc & predictor->mask];
	uint8_t *choice = &predictor->choice[pc & predictor->mask];
	bool global_right = (*global >= WEAKLY_TAKEN) == taken;
	bool local_right = (*local >= WEAKLY_TAKEN) == taken;
	bool right = *choice >= WEAKLY_TAKEN ? global_right : local_right;

	if (global_right != local_right)
		count(choice, global_right);
	count(global, taken);
	count(local, taken);
	predictor->history = predictor->history << 1 | taken;
	return right;
}

static bool predict_target(struct predictor *predictor, uint64_t pc, uint64_t next)
{
	struct target *target = &predictor->target[pc % predictor->nr_targets];
	bool right = target->pc == pc && target->target == next;

	*target = (struct target){ pc, next };
	return right;
}

static void push_return(struct predictor *predictor, uint64_t address)
{
	predictor->top = (predictor->top + 1) % predictor->depth;
	predictor->stack[predictor->top] = address;
}

static uint64_t pop_return(struct predictor *predictor)
{
	uint64_t address = predictor->stack[predictor->top];

	predictor->top = (predictor->top + predictor->depth - 1) % predictor->depth;
	return address;
}

bool predictor_branch(struct predictor *predictor, const struct insn *branch, uint64_t next)
{
	uint64_t after = branch->pc + branch->size;

	switch (branch->branch) {
	case BRANCH_CONDITIONAL:
		return predict_direction(predictor, branch->pc, next != after);
	case BRANCH_INDIRECT:
		return predict_target(predictor, branch->pc, next);
	case BRANCH_CALL:
		push_return(predictor, after);
		return !branch->indirect || predict_target(predictor, branch->pc, next);
	case BRANCH_RETURN:
		return pop_return(predictor) == next;
	}
	return true;
}
