/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A set-associative cache of translations with LRU replacement: a TLB, or a paging-structure
 * cache, whose entries translate to the next table instead of a page.
 */
#ifndef MODEL_TLB_H
#define MODEL_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

struct tlb_entry {
	uint64_t page;		/* virtual address >> shift */
	uint64_t context;	/* the root with its PCID: whose translation it is */
	uint64_t frame;		/* physical address of the page, or of the next table */
	uint64_t table;		/* the table page that it depends on */
	uint8_t shift;		/* log2 of what it maps */
	bool global;		/* of every context */
	bool valid;
	bool freed;		/* its table page was freed while it lay here */
};

struct tlb {
	struct tlb_entry *entry;	/* sets of ways, the latest used first */
	unsigned int sets, ways;
};

void tlb_init(struct tlb *tlb, const struct tlb_shape *shape);
void tlb_free(struct tlb *tlb);

/* Use the translation of an address, if it is there. */
const struct tlb_entry *tlb_lookup(struct tlb *tlb, uint64_t virtual, unsigned int shift,
				   uint64_t context);
void tlb_insert(struct tlb *tlb, const struct tlb_entry *entry);

void tlb_flush_all(struct tlb *tlb);
void tlb_flush_context(struct tlb *tlb);	/* all but global ones */
void tlb_flush_address(struct tlb *tlb, uint64_t virtual);

/* A table page was freed: from now on no entry that depends on it may be used. */
void tlb_table_freed(struct tlb *tlb, uint64_t table);

#endif
