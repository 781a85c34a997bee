/* SPDX-License-Identifier: GPL-2.0 */
/* What a system consists of: for system.c, which changes it, and for who reads it then. */
#ifndef MODEL_STATE_H
#define MODEL_STATE_H

#include "core.h"
#include "predictor.h"

#define MAX_FREED_REPORTS	16

struct cpu {
	struct mmu mmu;
	struct predictor predictor;
	struct core *core;		/* by lane */
	struct account *account;	/* of the block: by the root when it began */
	bool measured;
	int region;			/* or WARMING; if measured */
	const struct block *block;	/* being executed, or NULL */
	struct access *access;		/* those of the block so far */
	size_t nr_accesses, max_accesses;
};

struct freed_report {
	unsigned int cpu;
	enum freed_use use;
	uint64_t virtual, table;
};

struct system {
	const struct machine *machine;
	struct guest guest;
	struct lane *lane;
	size_t nr_lanes;
	struct cpu *cpu;
	struct caches caches;
	struct memory *memory;		/* by lane */
	struct account **account;
	size_t nr_accounts;
	struct freed_report freed[MAX_FREED_REPORTS];
	unsigned int nr_freed;
};

#endif
