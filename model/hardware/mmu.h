/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Address translation of one core: TLBs, paging-structure caches, and the walk of the guest's own
 * page tables where these do not help. Each entry that a walk reads is an access of the core's
 * caches. Not simulated: the Accessed and Dirty bits that a walk would write (the guest's CPU has
 * done so already), instruction fetch, nested paging.
 */
#ifndef MODEL_MMU_H
#define MODEL_MMU_H

#include "caches.h"
#include "system.h"
#include "tlb.h"

/* Where a translation was found. */
enum found { FOUND_DTLB, FOUND_STLB, FOUND_WALK };

struct step {
	uint8_t level;		/* of the table: 1 has the entries of 4 KB pages */
	struct reference entry;
};

/* Why a use of a table page is wrong. */
enum freed_use { FREED_NONE, FREED_TLB, FREED_PSC, FREED_ROOT, NR_FREED_USES };

struct translation {
	uint64_t physical;	/* of the address; 0 if it failed */
	uint64_t page;		/* virtual address of the page */
	uint8_t root_home;	/* the node of the root */
	uint8_t found;
	uint8_t size;		/* enum page_size */
	uint8_t nr_steps;
	bool failed;		/* the walk met an entry that is not present */
	uint8_t freed;		/* enum freed_use: freed pages that it went through */
	uint64_t freed_table;
	struct step step[MAX_LEVELS];
};

struct mmu {
	const struct machine *machine;
	struct tlb dtlb[NR_PAGE_SIZES];
	struct tlb stlb[NR_PAGE_SIZES];
	struct tlb psc[MAX_LEVELS + 1];	/* by the level of the entries kept */
	uint64_t root;			/* CR3 */
	uint8_t root_home;
	bool root_known;		/* else it has to be asked for */
	bool root_freed;
};

void mmu_init(struct mmu *mmu, const struct machine *machine);
void mmu_free(struct mmu *mmu);

uint64_t mmu_root(struct mmu *mmu, const struct guest *guest, unsigned int cpu);
void mmu_translate(struct mmu *mmu, const struct guest *guest, struct caches *caches,
		   unsigned int cpu, uint64_t virtual, struct translation *translation);
void mmu_flush(struct mmu *mmu, enum flush what, uint64_t virtual);
void mmu_table_freed(struct mmu *mmu, uint64_t table);

/* The caches' number of the line at a physical address: apart from those of virtual addresses. */
static inline uint64_t physical_line(uint64_t physical)
{
	return physical >> LINE_SHIFT | 1ULL << 51;
}

static inline uint8_t node_of(const struct guest *guest, uint64_t physical)
{
	int node = guest->node(guest->context, physical);

	return node < 0 || node > NODE_UNKNOWN ? NODE_UNKNOWN : node;
}

/* log2 of what an entry of a level maps. */
static inline unsigned int level_shift(unsigned int level)
{
	return 12 + 9 * (level - 1);
}

extern const char *const freed_use_names[NR_FREED_USES];

#endif
