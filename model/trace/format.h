/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The format of a trace, shared by its writer and its reader.
 *
 * A header: MAGIC, then numbers: levels of paging, CPUs, the node of each, nodes, ranges of memory,
 * and of each start, size and node. Records follow: a byte that tells their kind, then numbers. A
 * number is written in groups of 7 bits, the least significant first; the top bit of a byte says
 * that more follow. Differences are folded so that small negative ones are small too.
 *
 * Both sides keep the same state to predict numbers from, and only what was not foreseen is there.
 */
#ifndef MODEL_FORMAT_H
#define MODEL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "insn.h"

/* The last byte is the version. */
#define TRACE_MAGIC	"MTRACE\0\2"
#define TRACE_MAGIC_SIZE	8

enum trace_record {
	TRACE_CPU,		/* the number: of whom all that follows is */
	TRACE_DEFINE,		/* the next block: instructions, and of each what insn.h says */
	TRACE_BLOCK,		/* executed: difference to the id of the last one */
	TRACE_ENTRY,		/* of a page table: difference to the last address, value */
	TRACE_ROOT,		/* CR3 */
	TRACE_FLUSH,		/* enum flush, virtual address */
	TRACE_FREED,		/* physical address */
	TRACE_WARM,
	TRACE_BEGIN,		/* the number of the region */
	TRACE_END,
	TRACE_RESUME,
	TRACE_FINISH,		/* the number of records before; then the file ends */
	NR_TRACE_RECORDS,
};

/*
 * An access is a byte of its own kind: TRACE_ACCESS, perhaps TRACE_STORE and TRACE_PAGE, log2 of
 * its size, and the difference to the index of the last instruction that accessed memory, where
 * TRACE_FAR says that it follows as a number. Then the difference to the address that the same
 * instruction accessed last, and with TRACE_PAGE the physical page.
 */
#define TRACE_ACCESS	0x80
#define TRACE_STORE	0x40
#define TRACE_SIZE_SHIFT	3
#define TRACE_SIZE_MASK	0x38
#define TRACE_PAGE	0x04
#define TRACE_FAR	0x03

#define TRACE_PAGE_SHIFT	12
#define TRACE_PAGES	(1u << 18)	/* virtual pages whose physical one is remembered */

struct trace_page {
	uint64_t virtual, physical;	/* numbers of pages; physical less 1, so that 0 is none */
};

struct trace_state {
	uint32_t nr_blocks, capacity;
	const struct block **block;
	uint64_t **last;	/* by block and instruction: the last address */
	uint32_t last_block;
	uint64_t last_entry;
	struct trace_page *page;
};

bool trace_state_init(struct trace_state *state);
void trace_state_release(struct trace_state *state);

/* The block takes the next id. Returns false for want of memory. */
bool trace_state_add(struct trace_state *state, const struct block *block);
struct trace_page *trace_state_page(struct trace_state *state, uint64_t page);

/* Bits of struct insn in one byte. */
uint8_t trace_insn_flags(const struct insn *insn);
void trace_set_insn_flags(struct insn *insn, uint8_t flags);

static inline uint64_t trace_fold(uint64_t difference)
{
	return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t trace_unfold(uint64_t number)
{
	return number >> 1 ^ (0 - (number & 1));
}

/* The top bit of a page-table entry is often set, and would make it a long number. */
static inline uint64_t trace_rotate(uint64_t value)
{
	return value << 1 | value >> 63;
}

static inline uint64_t trace_unrotate(uint64_t value)
{
	return value >> 1 | value << 63;
}

#endif
