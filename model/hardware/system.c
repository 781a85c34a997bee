// SPDX-License-Identifier: GPL-2.0
#include "state.h"
#include "allocate.h"

#include <stdlib.h>
#include <string.h>

#define PHYSICAL_UNKNOWN	UINT64_MAX
#define CANONICAL		((1ULL << 57) - 1)	/* bits of an address that differ */

static bool has_node(const struct machine *machine, int node)
{
	return node >= 0 && node < (int)machine->nodes;
}

static bool check_lane(const struct machine *machine, const struct lane *lane)
{
	if ((lane->data_node == NODE_REAL || has_node(machine, lane->data_node)) &&
	    (lane->table_node == NODE_REAL || has_node(machine, lane->table_node)) &&
	    (lane->loaded_node == -1 || has_node(machine, lane->loaded_node)))
		return true;
	fprintf(stderr, "lane %s: nodes go from 0 to %u on machine %s\n", lane->name,
		machine->nodes - 1, machine->path);
	return false;
}

static bool check_guest(const struct machine *machine, const struct guest *guest)
{
	unsigned int cpu;

	if (guest->levels != 4 && guest->levels != 5) {
		fprintf(stderr, "paging has 4 or 5 levels, not %d\n", guest->levels);
		return false;
	}
	for (cpu = 0; cpu < guest->nr_cpus; cpu++) {
		if (!has_node(machine, guest->cpu_node[cpu])) {
			fprintf(stderr, "CPU %u is on node %d, but machine %s has nodes 0 to %u\n",
				cpu, guest->cpu_node[cpu], machine->path, machine->nodes - 1);
			return false;
		}
	}
	return true;
}

static void init_cpu(struct system *sys, unsigned int index)
{
	struct cpu *cpu = &sys->cpu[index];
	size_t lane;

	mmu_init(&cpu->mmu, sys->machine);
	predictor_init(&cpu->predictor, sys->machine);
	cpu->core = allocate(sys->nr_lanes, sizeof(*cpu->core));
	for (lane = 0; lane < sys->nr_lanes; lane++)
		core_init(&cpu->core[lane], sys->machine, &sys->lane[lane], &sys->memory[lane],
			  sys->guest.cpu_node[index]);
}

static void free_cpu(struct system *sys, unsigned int index)
{
	struct cpu *cpu = &sys->cpu[index];
	size_t lane;

	for (lane = 0; lane < sys->nr_lanes; lane++)
		core_free(&cpu->core[lane]);
	free(cpu->core);
	free(cpu->access);
	predictor_free(&cpu->predictor);
	mmu_free(&cpu->mmu);
}

struct system *system_new(const struct machine *machine, const struct guest *guest,
			  const struct lane *lanes, size_t nr_lanes)
{
	struct system *sys;
	size_t i;

	if (!nr_lanes) {
		fputs("at least one lane has to be given\n", stderr);
		return NULL;
	}
	for (i = 0; i < nr_lanes; i++) {
		if (!check_lane(machine, &lanes[i]))
			return NULL;
	}
	if (!check_guest(machine, guest))
		return NULL;
	sys = allocate(1, sizeof(*sys));
	sys->machine = machine;
	sys->guest = *guest;
	sys->nr_lanes = nr_lanes;
	sys->lane = allocate(nr_lanes, sizeof(*sys->lane));
	sys->memory = allocate(nr_lanes, sizeof(*sys->memory));
	sys->cpu = allocate(guest->nr_cpus, sizeof(*sys->cpu));
	for (i = 0; i < nr_lanes; i++) {
		sys->lane[i] = lanes[i];
		memory_init(&sys->memory[i], machine, lanes[i].loaded_node);
	}
	caches_init(&sys->caches, machine, guest->nr_cpus, guest->cpu_node);
	for (i = 0; i < guest->nr_cpus; i++)
		init_cpu(sys, i);
	return sys;
}

void system_free(struct system *sys)
{
	size_t i;

	for (i = 0; i < sys->nr_accounts; i++) {
		free(sys->account[i]->measure);
		free(sys->account[i]);
	}
	for (i = 0; i < sys->guest.nr_cpus; i++)
		free_cpu(sys, i);
	for (i = 0; i < sys->nr_lanes; i++)
		memory_free(&sys->memory[i]);
	caches_free(&sys->caches);
	free(sys->account);
	free(sys->cpu);
	free(sys->memory);
	free(sys->lane);
	free(sys);
}

static struct account *new_account(struct system *sys, unsigned int cpu, uint64_t root)
{
	struct account *account = allocate(1, sizeof(*account));

	account->cpu = cpu;
	account->region = sys->cpu[cpu].region;
	account->root = root;
	account->measure = allocate(sys->nr_lanes, sizeof(*account->measure));
	sys->account = reallocate(sys->account, sys->nr_accounts + 1, sizeof(*sys->account));
	sys->account[sys->nr_accounts++] = account;
	return account;
}

static struct account *find_account(struct system *sys, unsigned int cpu, uint64_t root)
{
	size_t i;

	for (i = 0; i < sys->nr_accounts; i++) {
		struct account *account = sys->account[i];

		if (account->cpu == cpu && account->root == root &&
		    account->region == sys->cpu[cpu].region)
			return account;
	}
	return new_account(sys, cpu, root);
}

/* What a CPU does from now on is done under the root that it has. */
static void choose_account(struct system *sys, unsigned int index)
{
	struct cpu *cpu = &sys->cpu[index];
	uint64_t root = mmu_root(&cpu->mmu, &sys->guest, index);
	size_t lane;

	if (cpu->account && cpu->account->root == root && cpu->account->region == cpu->region)
		return;
	cpu->account = find_account(sys, index, root);
	for (lane = 0; lane < sys->nr_lanes; lane++)
		cpu->core[lane].measure = cpu->account->measure[lane];
}

/* Whether the branch that ends a block was mispredicted, now that it is known what follows. */
static bool check_branch(struct cpu *cpu, uint64_t next)
{
	const struct block *block = cpu->block;
	const struct insn *last = &block->insn[block->nr_insns - 1];
	bool wrong;

	if (last->branch == BRANCH_NONE)
		return false;
	wrong = !predictor_branch(&cpu->predictor, last, next);
	cpu->account->event[EVENT_BRANCHES]++;
	cpu->account->event[EVENT_MISPREDICTS] += wrong;
	return wrong;
}

/* The block that a CPU began is done; @next is executed next, or 0 if that is not known. */
static void finish_block(struct system *sys, unsigned int index, uint64_t next)
{
	struct cpu *cpu = &sys->cpu[index];
	struct work work;
	size_t lane;

	if (!cpu->block)
		return;
	work = (struct work){
		.block = cpu->block,
		.access = cpu->access,
		.nr_accesses = cpu->nr_accesses,
		.mispredicted = next && check_branch(cpu, next),
	};
	cpu->account->event[EVENT_INSTRUCTIONS] += cpu->block->nr_insns;
	for (lane = 0; lane < sys->nr_lanes; lane++)
		core_execute(&cpu->core[lane], &work);
	cpu->block = NULL;
	cpu->nr_accesses = 0;
}

/* Who was idle goes on where the furthest of the others is. */
void system_resume(struct system *sys, unsigned int index)
{
	size_t lane;
	unsigned int i;

	finish_block(sys, index, 0);
	for (lane = 0; lane < sys->nr_lanes; lane++) {
		double furthest = 0;

		for (i = 0; i < sys->guest.nr_cpus; i++) {
			if (sys->cpu[i].core[lane].retire > furthest)
				furthest = sys->cpu[i].core[lane].retire;
		}
		core_idle(&sys->cpu[index].core[lane], furthest);
	}
}

static void start(struct system *sys, unsigned int cpu, int region)
{
	finish_block(sys, cpu, 0);
	sys->cpu[cpu].measured = true;
	sys->cpu[cpu].region = region;
	system_resume(sys, cpu);
}

void system_begin(struct system *sys, unsigned int cpu, unsigned int region)
{
	start(sys, cpu, region);
}

void system_warm(struct system *sys, unsigned int cpu)
{
	start(sys, cpu, WARMING);
}

void system_end(struct system *sys, unsigned int cpu)
{
	finish_block(sys, cpu, 0);
	sys->cpu[cpu].measured = false;
}

void system_block(struct system *sys, unsigned int cpu, const struct block *block)
{
	if (!sys->cpu[cpu].measured || !block->nr_insns)
		return;
	finish_block(sys, cpu, block->insn[0].pc);
	choose_account(sys, cpu);
	sys->cpu[cpu].block = block;
}

static struct access *new_access(struct cpu *cpu)
{
	if (cpu->nr_accesses == cpu->max_accesses) {
		cpu->max_accesses = 2 * cpu->max_accesses + 64;
		cpu->access = reallocate(cpu->access, cpu->max_accesses, sizeof(*cpu->access));
	}
	return &cpu->access[cpu->nr_accesses++];
}

static void report_freed(struct system *sys, unsigned int cpu, uint64_t virtual,
			 const struct translation *translation)
{
	if (sys->nr_freed == MAX_FREED_REPORTS)
		return;
	sys->freed[sys->nr_freed++] = (struct freed_report){
		cpu, translation->freed, virtual, translation->freed_table,
	};
}

static void count_walk(struct account *account, const struct translation *translation)
{
	unsigned int i;

	if (translation->failed)
		account->event[EVENT_WALKS_FAILED]++;
	else
		account->event[EVENT_WALKS + translation->size]++;
	account->event[EVENT_WALKS_FROM + translation->step[0].level - 1]++;
	for (i = 0; i < translation->nr_steps; i++) {
		account->event[EVENT_WALK_READS + translation->step[i].entry.served]++;
		account->event[EVENT_WRITE_BACKS] += translation->step[i].entry.nr_written;
	}
}

static void translate(struct system *sys, unsigned int index, struct account *account,
		      uint64_t virtual, struct translation *translation)
{
	struct cpu *cpu = &sys->cpu[index];

	mmu_translate(&cpu->mmu, &sys->guest, &sys->caches, index, virtual, translation);
	switch (translation->found) {
	case FOUND_DTLB:
		account->event[EVENT_DTLB_HITS + translation->size]++;
		break;
	case FOUND_STLB:
		account->event[EVENT_STLB_HITS + translation->size]++;
		break;
	case FOUND_WALK:
		count_walk(account, translation);
		break;
	}
	if (translation->freed) {
		account->event[EVENT_FREED_TLB + translation->freed - FREED_TLB]++;
		report_freed(sys, index, virtual, translation);
	}
}

static void access_data(struct system *sys, unsigned int cpu, struct account *account,
			uint64_t virtual, uint64_t physical, struct access *access)
{
	struct reference *data = &access->data;

	data->number = sys->machine->data_address == DATA_VIRTUAL ?
		(virtual & CANONICAL) >> LINE_SHIFT : physical_line(physical);
	if (!caches_hit(&sys->caches, cpu, data, access->store)) {
		data->home = node_of(&sys->guest, physical);
		caches_miss(&sys->caches, cpu, data, access->store);
	}
	account->event[EVENT_DATA + data->served]++;
	account->event[EVENT_WRITE_BACKS] += data->nr_written;
}

/* One line. Returns its physical address, as far as that is known. */
static uint64_t access_line(struct system *sys, unsigned int cpu, unsigned int index,
			    uint64_t virtual, uint64_t physical, bool store)
{
	struct account *account = sys->cpu[cpu].account;
	struct access *access = new_access(&sys->cpu[cpu]);

	access->insn = index;
	access->store = store;
	access->word = virtual / 8;
	account->event[store ? EVENT_STORES : EVENT_LOADS]++;
	translate(sys, cpu, account, virtual, &access->translation);
	if (physical == PHYSICAL_UNKNOWN)
		physical = access->translation.physical;
	else if (!access->translation.failed && physical != access->translation.physical)
		account->event[EVENT_WRONG_TRANSLATIONS]++;
	access_data(sys, cpu, account, virtual, physical, access);
	return physical;
}

/* An access that crosses the border of a line is one to each; the next page may lie anywhere. */
void system_access(struct system *sys, unsigned int cpu, unsigned int index, uint64_t virtual,
		   uint64_t physical, unsigned int size, bool store)
{
	unsigned int line = 1U << LINE_SHIFT, length;

	if (!sys->cpu[cpu].block)
		return;
	for (; size; size -= length, virtual += length) {
		length = line - virtual % line;
		if (length > size)
			length = size;
		physical = access_line(sys, cpu, index, virtual, physical, store);
		physical = (virtual + length) & 0xfff ? physical + length : PHYSICAL_UNKNOWN;
	}
}

void system_flush(struct system *sys, unsigned int cpu, enum flush what, uint64_t virtual)
{
	mmu_flush(&sys->cpu[cpu].mmu, what, virtual);
}

void system_page_freed(struct system *sys, uint64_t physical)
{
	unsigned int cpu;

	for (cpu = 0; cpu < sys->guest.nr_cpus; cpu++)
		mmu_table_freed(&sys->cpu[cpu].mmu, physical & ~0xfffULL);
}

uint64_t system_clock(const struct system *sys, unsigned int cpu)
{
	return sys->cpu[cpu].core[0].retire;
}
