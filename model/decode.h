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

#endif
