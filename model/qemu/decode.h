/* SPDX-License-Identifier: GPL-2.0 */
/* From the bytes of an x86-64 instruction to what the model knows of it. */
#ifndef MODEL_DECODE_H
#define MODEL_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "insn.h"

struct decoder;

/* NULL if there is no memory or the disassembler does not know x86. */
struct decoder *decoder_new(void);
void decoder_free(struct decoder *decoder);

/*
 * Returns false for bytes that the disassembler does not know; @insn then is INSN_SIMPLE and
 * waits for nothing, which is the least that it can cost.
 */
bool decode(struct decoder *decoder, uint64_t pc, const uint8_t *code, size_t size,
	    struct insn *insn);

/* An instruction that has the TLB forget something. */
enum flush_kind {
	FLUSH_INSN_NONE,
	FLUSH_INSN_INVLPG,
	FLUSH_INSN_INVPCID,
	FLUSH_INSN_CR3,		/* a write to CR3 */
	FLUSH_INSN_CR4,		/* a write to CR4: flushes if it changes certain bits */
};

struct memory_operand {
	uint8_t base, index;	/* REG_NONE for none */
	uint8_t scale;
	int64_t displacement;
};

struct flush_insn {
	enum flush_kind kind;
	uint8_t source;		/* register: the value written, or the type of INVPCID */
	struct memory_operand memory;	/* of INVLPG and INVPCID */
};

/* Returns false for any other instruction, mostly after a look at a few bytes. */
bool decode_flush(struct decoder *decoder, uint64_t pc, const uint8_t *code, size_t size,
		  struct flush_insn *flush);

#endif
