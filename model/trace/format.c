// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "format.h"

bool trace_state_init(struct trace_state *state)
{
	*state = (struct trace_state){
		.page = calloc(TRACE_PAGES, sizeof(state->page[0])),
	};
	return state->page;
}

void trace_state_release(struct trace_state *state)
{
	for (uint32_t i = 0; i < state->nr_blocks; i++)
		free(state->last[i]);
	free(state->last);
	free(state->block);
	free(state->page);
}

static bool grow(struct trace_state *state)
{
	uint32_t capacity = state->capacity ? state->capacity * 2 : 1024;
	const struct block **block = reallocarray(state->block, capacity, sizeof(*block));
	uint64_t **last;

	if (!block)
		return false;
	state->block = block;
	last = reallocarray(state->last, capacity, sizeof(*last));
	if (!last)
		return false;
	state->last = last;
	state->capacity = capacity;
	return true;
}

bool trace_state_add(struct trace_state *state, const struct block *block)
{
	uint64_t *last;

	if (state->nr_blocks == state->capacity && !grow(state))
		return false;
	last = calloc(block->nr_insns, sizeof(*last));
	if (!last)
		return false;
	state->block[state->nr_blocks] = block;
	state->last[state->nr_blocks++] = last;
	return true;
}

struct trace_page *trace_state_page(struct trace_state *state, uint64_t page)
{
	return &state->page[page % TRACE_PAGES];
}

uint8_t trace_insn_flags(const struct insn *insn)
{
	return insn->indirect | insn->loads << 1 | insn->stores << 2 | insn->atomic << 3 |
	       insn->prefetch << 4;
}

void trace_set_insn_flags(struct insn *insn, uint8_t flags)
{
	insn->indirect = flags & 1;
	insn->loads = flags >> 1 & 1;
	insn->stores = flags >> 2 & 1;
	insn->atomic = flags >> 3 & 1;
	insn->prefetch = flags >> 4 & 1;
}
