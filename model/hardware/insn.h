/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the model knows of an instruction: which registers it waits for, which it makes, and what
 * kind of work it is. How long that kind takes is the machine's matter (machine.h).
 */
#ifndef MODEL_INSN_H
#define MODEL_INSN_H

#include <stdbool.h>
#include <stdint.h>

/* Registers, by number: general ones, vector ones, flags; parts count as the whole. */
enum {
	REG_GENERAL = 0,	/* by their numbers in instructions: rax is 0 */
	REG_STACK = 4,		/* rsp */
	REG_VECTOR = 16,
	REG_MASK = 48,
	REG_FLAGS = 56,
	REG_X87 = 57,
	NR_REGS = 58,
	REG_NONE = 255,
};

enum insn_kind {
	INSN_SIMPLE,		/* integer, moves, also the address part of loads and stores */
	INSN_MULTIPLY,
	INSN_DIVIDE,
	INSN_FLOAT,		/* floating-point and vector add, multiply, convert */
	INSN_FLOAT_DIVIDE,	/* and square root */
	INSN_SERIAL,		/* nothing passes it: cpuid, fences that drain, writes of CR3 */
	NR_INSN_KINDS,
};

enum insn_branch {
	BRANCH_NONE,
	BRANCH_CONDITIONAL,
	BRANCH_DIRECT,		/* its target never has to be guessed */
	BRANCH_INDIRECT,
	BRANCH_CALL,		/* direct or not: pushes the return address */
	BRANCH_RETURN,
};

#define INSN_MAX_ADDRESS	3
#define INSN_MAX_SOURCES	6
#define INSN_MAX_RESULTS	4

struct insn {
	uint64_t pc;
	uint8_t size;		/* bytes */
	uint8_t kind;		/* enum insn_kind */
	uint8_t branch;		/* enum insn_branch */
	bool indirect;		/* a branch whose target is read from a register or memory */
	bool loads, stores;	/* with both: a read-modify-write */
	bool atomic;		/* LOCK prefix, or XCHG with memory */
	bool prefetch;		/* a load that nothing waits for */
	uint8_t nr_address, nr_sources, nr_results;
	uint8_t address[INSN_MAX_ADDRESS];	/* needed before its memory access can begin */
	uint8_t source[INSN_MAX_SOURCES];	/* needed besides these */
	uint8_t result[INSN_MAX_RESULTS];
};

/* Instructions that are executed one after the other, but for exceptions. */
struct block {
	uint32_t id;		/* from 0 on, without gaps */
	uint32_t nr_insns;
	struct insn insn[];
};

#endif
