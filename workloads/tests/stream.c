// SPDX-License-Identifier: GPL-2.0
/* Check the jump-ahead of the random stream against known answers and against single steps. */
#include <stdbool.h>
#include <stdio.h>

#include "../stream.h"

static bool known_answers(void)
{
	static const struct {
		uint64_t position, value;
	} known[] = {
		{ 0, 1 }, { 1, 2 }, { 63, UINT64_C(1) << 63 },
		/* x^64 = x^2 + x + 1, and its square. */
		{ 64, 7 }, { 65, 14 }, { 128, 0x15 }, { 256, 0x111 },
		{ STREAM_PERIOD, 1 }, { STREAM_PERIOD + 64, 7 },
	};
	bool good = true;

	for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		good &= stream_at(known[i].position) == known[i].value;
	return good;
}

static bool steps_agree(uint64_t from, uint64_t count)
{
	uint64_t a = stream_at(from);

	for (uint64_t k = from; k < from + count; k++, a = stream_next(a))
		if (stream_at(k) != a)
			return false;
	return true;
}

int main(void)
{
	bool known = known_answers();
	bool steps = steps_agree(0, 1000) && steps_agree(UINT64_C(123456789012345678), 1000);

	printf("known answers %s, single steps %s\n", known ? "right" : "wrong", steps ? "agree" : "differ");
	return known && steps ? 0 : 1;
}
