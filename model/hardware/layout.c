// SPDX-License-Identifier: GPL-2.0
#include "layout.h"

/*
 * QEMU hw/i386/pc_q35.c, pc_q35_init(): all memory is low if there is less than 0xb0000000 of it;
 * of more, 2 GB are, and the rest begins at 4 GB.
 */
#define ALL_LOW		0xb0000000ull
#define LOW_MEMORY	0x80000000ull
#define HIGH_START	0x100000000ull

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void add(struct layout *layout, unsigned int node, uint64_t start, uint64_t size,
		uint64_t offset)
{
	if (size)
		layout->range[layout->nr_ranges++] = (struct range){
			.start = start, .size = size, .offset = offset, .node = node,
		};
}

void layout_q35(struct layout *layout, const uint64_t *bytes, unsigned int nr_nodes)
{
	uint64_t total = 0, low, begin = 0;

	*layout = (struct layout){ .nr_nodes = nr_nodes };
	for (unsigned int node = 0; node < nr_nodes; node++)
		total += bytes[node];
	low = total < ALL_LOW ? total : LOW_MEMORY;
	for (unsigned int node = 0; node < nr_nodes; node++) {
		uint64_t below = begin < low ? min(bytes[node], low - begin) : 0;

		add(layout, node, begin, below, 0);
		add(layout, node, begin + below - low + HIGH_START, bytes[node] - below, below);
		begin += bytes[node];
	}
}

const struct range *layout_find(const struct layout *layout, uint64_t physical)
{
	for (size_t i = 0; i < layout->nr_ranges; i++)
		if (physical - layout->range[i].start < layout->range[i].size)
			return &layout->range[i];
	return NULL;
}

uint64_t layout_end(const struct layout *layout)
{
	const struct range *last = &layout->range[layout->nr_ranges - 1];

	return layout->nr_ranges ? last->start + last->size : 0;
}
