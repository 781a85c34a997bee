// SPDX-License-Identifier: GPL-2.0
#include "walk.h"

/* Bits of a page-table entry. */
#define PRESENT		(1ULL << 0)
#define PAGE_SIZE	(1ULL << 7)	/* an entry above level 1 maps a page */
#define GLOBAL		(1ULL << 8)
#define ADDRESS		0x000ffffffffff000ULL

/* The lowest table whose address is known, and its level. */
static uint64_t first_table(struct mmu *mmu, int levels, uint64_t virtual,
			    struct translation *translation, int *level)
{
	const struct tlb_entry *entry;
	int kept;

	for (kept = 2; kept <= levels; kept++) {
		entry = tlb_lookup(&mmu->psc[kept], virtual, level_shift(kept), mmu->root);
		if (!entry)
			continue;
		if (entry->freed) {
			translation->freed = FREED_PSC;
			translation->freed_table = entry->table;
		}
		*level = kept - 1;
		return entry->frame;
	}
	if (mmu->root_freed) {
		translation->freed = FREED_ROOT;
		translation->freed_table = mmu->root & ADDRESS;
	}
	*level = levels;
	return mmu->root & ADDRESS;
}

static bool read_entry(const struct guest *guest, struct caches *caches, unsigned int cpu,
		       uint64_t address, struct step *step, uint64_t *entry)
{
	step->entry.number = physical_line(address);
	step->entry.home = node_of(guest, address);
	if (!caches_hit(caches, cpu, &step->entry, false))
		caches_miss(caches, cpu, &step->entry, false);
	return guest->read_entry(guest->context, address, entry) && *entry & PRESENT;
}

static bool is_leaf(int level, uint64_t entry)
{
	return level == 1 || (level <= NR_PAGE_SIZES && entry & PAGE_SIZE);
}

bool walk(struct mmu *mmu, const struct guest *guest, struct caches *caches, unsigned int cpu,
	  uint64_t virtual, struct translation *translation, struct tlb_entry *leaf)
{
	uint64_t table, entry;
	struct step *step;
	int level;

	translation->nr_steps = 0;
	table = first_table(mmu, guest->levels, virtual, translation, &level);
	for (;; level--) {
		step = &translation->step[translation->nr_steps++];
		step->level = level;
		if (!read_entry(guest, caches, cpu,
				table + (virtual >> level_shift(level) & 511) * 8, step, &entry))
			return false;
		*leaf = (struct tlb_entry){
			.page = virtual >> level_shift(level), .shift = level_shift(level),
			.context = mmu->root, .valid = true, .table = table,
			.frame = entry & ADDRESS & -(1ULL << level_shift(level)),
			.global = entry & GLOBAL,
		};
		if (is_leaf(level, entry))
			return true;
		table = entry & ADDRESS;
		leaf->frame = leaf->table = table;
		leaf->global = false;
		tlb_insert(&mmu->psc[level], leaf);
	}
}
