// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "blocks.h"

#define BUCKETS	(1u << 16)

struct known {
	struct known *next;
	struct code *code;
	struct block *block;
};

struct blocks {
	struct decoder *decoder;
	uint32_t nr;
	struct known *bucket[BUCKETS];
};

struct blocks *blocks_new(void)
{
	struct blocks *blocks = calloc(1, sizeof(*blocks));

	if (!blocks)
		return NULL;
	blocks->decoder = decoder_new();
	if (blocks->decoder)
		return blocks;
	free(blocks);
	return NULL;
}

static void free_known(struct known *known)
{
	free(known->code);
	free(known->block);
	free(known);
}

void blocks_free(struct blocks *blocks)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct known *known = blocks->bucket[i], *next;

		for (; known; known = next) {
			next = known->next;
			free_known(known);
		}
	}
	decoder_free(blocks->decoder);
	free(blocks);
}

static size_t code_size(const struct code *code)
{
	return sizeof(*code) + code->nr_insns * sizeof(code->insn[0]);
}

/* Also the bytes beyond an instruction's size count: the caller leaves them 0. */
static bool same(const struct code *a, const struct code *b)
{
	return a->nr_insns == b->nr_insns && !memcmp(a, b, code_size(a));
}

static struct known **bucket(struct blocks *blocks, const struct code *code)
{
	return &blocks->bucket[(code->insn[0].pc ^ code->insn[0].pc >> 16) % BUCKETS];
}

static struct known *learn(struct blocks *blocks, const struct code *code)
{
	struct known *known = calloc(1, sizeof(*known));
	struct insn *insn;

	if (!known)
		return NULL;
	known->code = malloc(code_size(code));
	known->block = calloc(1, sizeof(*known->block) + code->nr_insns * sizeof(*insn));
	if (!known->code || !known->block) {
		free_known(known);
		return NULL;
	}
	memcpy(known->code, code, code_size(code));
	known->block->id = blocks->nr++;
	known->block->nr_insns = code->nr_insns;
	for (size_t i = 0; i < code->nr_insns; i++)
		decode(blocks->decoder, code->insn[i].pc, code->insn[i].byte, code->insn[i].size,
		       &known->block->insn[i]);
	return known;
}

const struct block *blocks_find(struct blocks *blocks, const struct code *code)
{
	struct known **first = bucket(blocks, code), *known;

	for (known = *first; known; known = known->next)
		if (same(known->code, code))
			return known->block;
	known = learn(blocks, code);
	if (!known)
		return NULL;
	known->next = *first;
	*first = known;
	return known->block;
}
