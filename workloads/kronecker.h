/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The edges of a Kronecker graph as Graph500's specification generates them (kernel 0, version
 * 1.2): 2^scale vertices, 16 edges for each; an edge falls into one of four quadrants of the
 * adjacency matrix at each level, and the vertices are renamed at random. Edge by edge, and each
 * from its number alone, so that nobody has to keep them.
 */
#ifndef WORKLOADS_KRONECKER_H
#define WORKLOADS_KRONECKER_H

#include <stdint.h>

#include "common.h"

#define KRONECKER_EDGES	16
#define KRONECKER_SEED	UINT64_C(0x67726170683530)

/* Probabilities of the quadrants A, B and C; what follows from them as fractions of 2^16. */
#define KRONECKER_A	0.57
#define KRONECKER_B	0.19
#define KRONECKER_C	0.19
#define KRONECKER_ROW	((uint16_t)((KRONECKER_A + KRONECKER_B) * 0x1p16))
#define KRONECKER_UPPER	((uint16_t)(KRONECKER_A / (KRONECKER_A + KRONECKER_B) * 0x1p16))
#define KRONECKER_LOWER	((uint16_t)(KRONECKER_C / (1 - KRONECKER_A - KRONECKER_B) * 0x1p16))

struct edge {
	uint32_t from, to;
};

/* Rename a vertex: steps that can each be undone within @scale bits. */
static inline uint32_t kronecker_rename(uint32_t vertex, unsigned int scale)
{
	uint64_t mask = (UINT64_C(1) << scale) - 1, x = vertex;

	for (unsigned int i = 0; i < 3; i++) {
		x = (x * UINT64_C(0xbf58476d1ce4e5b9) + 0x9e37) & mask;
		x ^= x >> (scale + 1) / 2;
	}
	return x;
}

static inline struct edge kronecker_edge(uint64_t number, unsigned int scale)
{
	struct edge edge = { 0, 0 };
	uint64_t random = 0;

	for (unsigned int level = 0; level < scale; level++, random >>= 32) {
		uint32_t row, column;

		/* A random number is enough for two levels. */
		if (level % 2 == 0)
			random = random_at(KRONECKER_SEED, number * ((scale + 1) / 2) + level / 2);
		row = (uint16_t)random >= KRONECKER_ROW;
		column = (uint16_t)(random >> 16) >= (row ? KRONECKER_LOWER : KRONECKER_UPPER);
		edge.from |= row << level;
		edge.to |= column << level;
	}
	edge.from = kronecker_rename(edge.from, scale);
	edge.to = kronecker_rename(edge.to, scale);
	return edge;
}

#endif
