// SPDX-License-Identifier: GPL-2.0
#include "mmu.h"
#include "walk.h"

#define NO_FLUSH	(1ULL << 63)	/* of a value for CR3: not part of the root */

const char *const freed_use_names[] = { "none", "tlb", "psc", "root" };

void mmu_init(struct mmu *mmu, const struct machine *machine)
{
	int i;

	*mmu = (struct mmu){ .machine = machine };
	for (i = 0; i < NR_PAGE_SIZES; i++) {
		tlb_init(&mmu->dtlb[i], &machine->dtlb[i]);
		tlb_init(&mmu->stlb[i], &machine->stlb[i]);
	}
	for (i = 0; i <= MAX_LEVELS; i++)
		tlb_init(&mmu->psc[i], &machine->psc[i]);
}

void mmu_free(struct mmu *mmu)
{
	int i;

	for (i = 0; i < NR_PAGE_SIZES; i++) {
		tlb_free(&mmu->dtlb[i]);
		tlb_free(&mmu->stlb[i]);
	}
	for (i = 0; i <= MAX_LEVELS; i++)
		tlb_free(&mmu->psc[i]);
}

uint64_t mmu_root(struct mmu *mmu, const struct guest *guest, unsigned int cpu)
{
	if (!mmu->root_known) {
		mmu->root = guest->root(guest->context, cpu) & ~NO_FLUSH;
		mmu->root_home = node_of(guest, mmu->root & ~0xfffULL);
		mmu->root_known = true;
	}
	return mmu->root;
}

static const struct tlb_entry *find_in_dtlb(struct mmu *mmu, uint64_t virtual, uint8_t *size)
{
	const struct tlb_entry *entry;

	for (*size = 0; *size < NR_PAGE_SIZES; ++*size) {
		entry = tlb_lookup(&mmu->dtlb[*size], virtual, level_shift(*size + 1), mmu->root);
		if (entry)
			return entry;
	}
	return NULL;
}

static const struct tlb_entry *find_in_stlb(struct mmu *mmu, uint64_t virtual, uint8_t *size)
{
	const struct tlb_entry *entry;

	for (*size = 0; *size < NR_PAGE_SIZES; ++*size) {
		int stlb = mmu->machine->stlb_of[*size];

		if (stlb < 0)
			continue;
		entry = tlb_lookup(&mmu->stlb[stlb], virtual, level_shift(*size + 1), mmu->root);
		if (entry) {
			tlb_insert(&mmu->dtlb[*size], entry);
			return entry;
		}
	}
	return NULL;
}

static void insert_leaf(struct mmu *mmu, const struct tlb_entry *leaf, unsigned int size)
{
	int stlb = mmu->machine->stlb_of[size];

	tlb_insert(&mmu->dtlb[size], leaf);
	if (stlb >= 0)
		tlb_insert(&mmu->stlb[stlb], leaf);
}

static void use_entry(struct translation *translation, const struct tlb_entry *entry,
		      uint64_t virtual)
{
	uint64_t inside = (1ULL << entry->shift) - 1;

	translation->page = virtual & ~inside;
	translation->physical = entry->frame | (virtual & inside);
	if (entry->freed) {
		translation->freed = FREED_TLB;
		translation->freed_table = entry->table;
	}
}

void mmu_translate(struct mmu *mmu, const struct guest *guest, struct caches *caches,
		   unsigned int cpu, uint64_t virtual, struct translation *translation)
{
	const struct tlb_entry *entry;
	struct tlb_entry leaf;

	mmu_root(mmu, guest, cpu);
	translation->root_home = mmu->root_home;
	translation->failed = false;
	translation->freed = FREED_NONE;
	translation->found = FOUND_DTLB;
	entry = find_in_dtlb(mmu, virtual, &translation->size);
	if (!entry) {
		translation->found = FOUND_STLB;
		entry = find_in_stlb(mmu, virtual, &translation->size);
	}
	if (!entry) {
		translation->found = FOUND_WALK;
		translation->failed = !walk(mmu, guest, caches, cpu, virtual, translation, &leaf);
		translation->size = translation->failed ? PAGE_4K : (leaf.shift - 12) / 9;
		entry = &leaf;
	}
	if (translation->failed) {
		translation->page = virtual & ~0xfffULL;
		translation->physical = 0;
		return;
	}
	use_entry(translation, entry, virtual);
	if (translation->found == FOUND_WALK)
		insert_leaf(mmu, &leaf, translation->size);
}

static void flush_psc(struct mmu *mmu)
{
	int level;

	for (level = 2; level <= MAX_LEVELS; level++)
		tlb_flush_all(&mmu->psc[level]);
}

/* A source tells of a flush before the instruction is done: CR3 is asked for when next used. */
void mmu_flush(struct mmu *mmu, enum flush what, uint64_t virtual)
{
	void (*flush)(struct tlb *tlb) = what == FLUSH_ALL ? tlb_flush_all : tlb_flush_context;
	int i;

	flush_psc(mmu);
	for (i = 0; i < NR_PAGE_SIZES; i++) {
		if (what == FLUSH_ADDRESS) {
			tlb_flush_address(&mmu->dtlb[i], virtual);
			tlb_flush_address(&mmu->stlb[i], virtual);
		} else {
			flush(&mmu->dtlb[i]);
			flush(&mmu->stlb[i]);
		}
	}
	if (what != FLUSH_ADDRESS)
		mmu->root_known = mmu->root_freed = false;
}

void mmu_table_freed(struct mmu *mmu, uint64_t table)
{
	int i;

	for (i = 0; i < NR_PAGE_SIZES; i++) {
		tlb_table_freed(&mmu->dtlb[i], table);
		tlb_table_freed(&mmu->stlb[i], table);
	}
	for (i = 2; i <= MAX_LEVELS; i++)
		tlb_table_freed(&mmu->psc[i], table);
	mmu->root_freed |= mmu->root_known && (mmu->root & ~0xfffULL) == table;
}
