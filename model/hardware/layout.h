/* SPDX-License-Identifier: GPL-2.0 */
/* Which node each guest-physical address lies on. */
#ifndef MODEL_LAYOUT_H
#define MODEL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "machine.h"

struct range {
	uint64_t start, size;
	uint64_t offset;	/* of its first byte in the node's memory */
	unsigned int node;
};

struct layout {
	unsigned int nr_nodes;
	size_t nr_ranges;		/* in the order of addresses */
	struct range range[MAX_NODES + 1];	/* one node may lie on both sides of the hole */
};

/* QEMU's machine "q35", whose nodes have that many bytes each, in order; 0 for no memory. */
void layout_q35(struct layout *layout, const uint64_t *bytes, unsigned int nr_nodes);

/* NULL if there is no memory at that address. */
const struct range *layout_find(const struct layout *layout, uint64_t physical);

/* The first address behind all memory. */
uint64_t layout_end(const struct layout *layout);

#endif
