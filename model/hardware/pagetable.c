// SPDX-License-Identifier: GPL-2.0
#include "pagetable.h"
#include "system.h"

#define PRESENT		1ull
#define LARGE		(1ull << 7)		/* at levels 2 and 3: maps a page */
#define ADDRESS		0x000ffffffffff000ull

bool pagetable_walk(const struct guest *guest, uint64_t root, uint64_t virtual, uint64_t *physical)
{
	uint64_t entry = root, offset;

	for (int level = guest->levels; level >= 1; level--) {
		unsigned int shift = 12 + 9 * (level - 1);
		uint64_t index = virtual >> shift & 511;

		if (!guest->read_entry(guest->context, (entry & ADDRESS) + index * 8, &entry) ||
		    !(entry & PRESENT))
			return false;
		if (level == 1 || (level <= 3 && entry & LARGE)) {
			offset = (1ull << shift) - 1;
			*physical = (entry & ADDRESS & ~offset) | (virtual & offset);
			return true;
		}
	}
	return false;
}
