// SPDX-License-Identifier: GPL-2.0
/*
 * Check the generator of Kronecker graphs: renaming is one to one, and at each level before it the
 * quadrants have Graph500's probabilities.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "../kronecker.h"

#define SCALE	13
#define EDGES	(UINT64_C(1) << 20)

static uint32_t original[1 << SCALE];

/* Note which vertex has which new name. */
static bool rename_all(void)
{
	uint64_t names = 0;

	for (uint32_t v = 0; v < 1 << SCALE; v++)
		original[v] = UINT32_MAX;
	for (uint32_t v = 0; v < 1 << SCALE; v++) {
		uint32_t name = kronecker_rename(v, SCALE);

		names += name < 1 << SCALE && original[name] == UINT32_MAX;
		original[name] = v;
	}
	return names == 1 << SCALE;
}

/* Four standard deviations are allowed. */
static bool near(uint64_t count, double probability)
{
	double deviation = sqrt(EDGES * probability * (1 - probability));

	return fabs(count - EDGES * probability) < 4 * deviation;
}

static bool check_quadrants(void)
{
	uint64_t count[SCALE][4] = { 0 };
	bool good = true;

	for (uint64_t i = 0; i < EDGES; i++) {
		struct edge edge = kronecker_edge(i, SCALE);
		uint32_t from = original[edge.from], to = original[edge.to];

		for (unsigned int level = 0; level < SCALE; level++)
			count[level][(from >> level & 1) * 2 + (to >> level & 1)]++;
	}
	for (unsigned int level = 0; level < SCALE; level++)
		good &= near(count[level][0], 0.57) & near(count[level][1], 0.19) &
			near(count[level][2], 0.19) & near(count[level][3], 0.05);
	return good;
}

int main(void)
{
	bool names = rename_all(), quadrants = names && check_quadrants();

	printf("names are %s, quadrants %s\n", names ? "all there" : "wrong",
	       quadrants ? "as specified" : "differ");
	return names && quadrants ? 0 : 1;
}
