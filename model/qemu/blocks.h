/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All blocks met so far. QEMU translates the same code again and again; it is decoded once. Other
 * code at the same address (another process, a patched kernel) is another block.
 */
#ifndef MODEL_BLOCKS_H
#define MODEL_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "decode.h"

/* Bytes of instructions that follow each other in execution, mostly also in memory. */
struct code {
	size_t nr_insns;
	struct {
		uint64_t pc;
		uint8_t size, byte[15];
	} insn[];
};

struct blocks;

struct blocks *blocks_new(void);
void blocks_free(struct blocks *blocks);

/* The block of that code, which stays where it is. NULL for want of memory. */
const struct block *blocks_find(struct blocks *blocks, const struct code *code);

#endif
