// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions per second of the library: a loop of ten instructions that updates random words of
 * a 64 GB table and uses its stack, with one lane and with seven.
 */
#include <stdlib.h>
#include <time.h>

#include "guest.h"

#define ROUNDS		1000000
#define NR_INSNS	10
#define STACK		0x7f0000000ULL
#define TABLE		0x1000000000ULL

static const struct lane lanes[] = {
	{ "LP-LD", 0, 0, -1 }, { "LP-RD", 1, 0, -1 }, { "LP-RDI", 1, 0, 1 }, { "RP-LD", 0, 1, -1 },
	{ "RPI-LD", 0, 1, 1 }, { "RP-RD", 1, 1, -1 }, { "RPI-RDI", 1, 1, 1 },
};

static struct block *new_block(void)
{
	struct block *block = calloc(1, sizeof(*block) + NR_INSNS * sizeof(block->insn[0]));
	unsigned int i;

	block->nr_insns = NR_INSNS;
	for (i = 0; i < NR_INSNS; i++)
		block->insn[i] = (struct insn){
			.pc = 0x400000 + 4 * i, .size = 4, .nr_sources = 1, .source = { i % 4 },
			.nr_results = 1, .result = { (i + 1) % 4 },
		};
	block->insn[3] = (struct insn){
		.pc = 0x40000c, .size = 4, .loads = true, .stores = true, .nr_address = 1,
		.address = { 3 }, .nr_sources = 1, .source = { 5 },
	};
	block->insn[6] = (struct insn){
		.pc = 0x400018, .size = 4, .loads = true, .nr_address = 1,
		.address = { REG_STACK }, .nr_results = 1, .result = { 6 },
	};
	block->insn[NR_INSNS - 1].branch = BRANCH_CONDITIONAL;
	return block;
}

static double run(size_t nr_lanes)
{
	struct test_guest tables = { .leaf_level = 1, .levels = 4 };
	struct machine *machine = TEST_MACHINE("data_address virtual");
	struct guest guest = test_guest(&tables, 1, (const int[]){ 0 });
	struct system *sys = system_new(machine, &guest, lanes, nr_lanes);
	struct block *block = new_block();
	struct timespec begin, end;
	uint64_t random = 1, address;
	double seconds;
	int i;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	system_begin(sys, 0, 0);
	for (i = 0; i < ROUNDS; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		address = TABLE + (random >> 31) / 8 * 8 % (64ULL << 30);
		system_block(sys, 0, block);
		system_access(sys, 0, 3, address, address, 8, false);
		system_access(sys, 0, 3, address, address, 8, true);
		system_access(sys, 0, 6, STACK, STACK, 8, false);
	}
	system_end(sys, 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	if (system_check(sys, stderr))
		exit(1);
	system_report(sys, REPORT_TEXT, stdout);
	system_free(sys);
	machine_free(machine);
	free(block);
	seconds = end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("\n%zu lane(s): %.1f million instructions a second\n\n", nr_lanes,
	       ROUNDS * NR_INSNS / seconds / 1e6);
	return seconds;
}

int main(void)
{
	double one = run(1), seven = run(sizeof(lanes) / sizeof(lanes[0]));

	printf("six further lanes take %.0f %% more time\n", 100 * (seven / one - 1));
	return 0;
}
