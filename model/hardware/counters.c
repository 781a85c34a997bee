// SPDX-License-Identifier: GPL-2.0
#include "counters.h"

const char *const event_names[NR_EVENTS] = {
	[EVENT_INSTRUCTIONS] = "instructions",
	[EVENT_BRANCHES] = "branches",
	[EVENT_MISPREDICTS] = "mispredicts",
	[EVENT_LOADS] = "loads",
	[EVENT_STORES] = "stores",
	[EVENT_DTLB_HITS] = "dtlb_hits_4k", "dtlb_hits_2m", "dtlb_hits_1g",
	[EVENT_STLB_HITS] = "stlb_hits_4k", "stlb_hits_2m", "stlb_hits_1g",
	[EVENT_WALKS] = "walks_4k", "walks_2m", "walks_1g",
	[EVENT_WALKS_FAILED] = "walks_failed",
	[EVENT_WALKS_FROM] = "walks_from_level1", "walks_from_level2", "walks_from_level3",
			     "walks_from_level4", "walks_from_level5",
	[EVENT_WALK_READS] = "walk_reads_l1", "walk_reads_l2", "walk_reads_l3",
			     "walk_reads_memory",
	[EVENT_DATA] = "data_l1", "data_l2", "data_l3", "data_memory",
	[EVENT_WRITE_BACKS] = "write_backs",
	[EVENT_FREED_TLB] = "freed_tlb_uses",
	[EVENT_FREED_PSC] = "freed_psc_uses",
	[EVENT_FREED_ROOT] = "freed_root_uses",
	[EVENT_WRONG_TRANSLATIONS] = "wrong_translations",
};

const char *const measure_names[NR_MEASURES] = {
	[MEASURE_CYCLES] = "cycles",
	[MEASURE_WALK_CYCLES] = "walk_cycles",
	[MEASURE_WALKER_CYCLES] = "walker_cycles",
	[MEASURE_WALKER_WAITS] = "walker_waits",
	[MEASURE_FILL_WAITS] = "fill_waits",
	[MEASURE_QUEUE_WAITS] = "queue_waits",
	[MEASURE_WALK_LOCAL] = "walk_local",
	[MEASURE_WALK_REMOTE] = "walk_remote",
	[MEASURE_DATA_LOCAL] = "data_local",
	[MEASURE_DATA_REMOTE] = "data_remote",
	[MEASURE_REMOTE_WALKS] = "remote_walks",
	[MEASURE_REMOTE_ROOTS] = "remote_roots",
};
