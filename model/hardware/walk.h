/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MODEL_WALK_H
#define MODEL_WALK_H

#include "mmu.h"

/*
 * Walk the tables of the MMU's root for an address: from the lowest table that a
 * paging-structure cache knows, which then learn what was read. Returns false if the address is
 * not mapped. @leaf is what a TLB keeps.
 */
bool walk(struct mmu *mmu, const struct guest *guest, struct caches *caches, unsigned int cpu,
	  uint64_t virtual, struct translation *translation, struct tlb_entry *leaf);

#endif
