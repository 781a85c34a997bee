/* SPDX-License-Identifier: GPL-2.0 */
/* The page tables of the guest, read as they are: no TLB, no cache. */
#ifndef MODEL_PAGETABLE_H
#define MODEL_PAGETABLE_H

#include <stdbool.h>
#include <stdint.h>

struct guest;

/* Translate with the root that CR3 holds. Returns false where nothing is mapped. */
bool pagetable_walk(const struct guest *guest, uint64_t root, uint64_t virtual, uint64_t *physical);

#endif
