// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdlib.h>

#include "pagetable.h"
#include "fake.h"

struct system {
	const struct guest *guest;
	struct guest logging;	/* the same, and logs what is read */
	FILE *log;
	unsigned int walk_every, accesses;
};

static bool read_entry(void *context, uint64_t address, uint64_t *entry)
{
	struct system *sys = context;

	if (!sys->guest->read_entry(sys->guest->context, address, entry))
		return false;
	fprintf(sys->log, " %" PRIx64, *entry);
	return true;
}

struct system *fake_new(const struct guest *guest, FILE *log, unsigned int walk_every)
{
	struct system *sys = calloc(1, sizeof(*sys));

	*sys = (struct system){ .guest = guest, .log = log, .walk_every = walk_every };
	sys->logging = (struct guest){
		.context = sys, .read_entry = read_entry, .levels = guest->levels,
	};
	return sys;
}

void system_free(struct system *sys)
{
	free(sys);
}

void system_begin(struct system *sys, unsigned int cpu, unsigned int region)
{
	fprintf(sys->log, "%u begin %u\n", cpu, region);
}

void system_end(struct system *sys, unsigned int cpu)
{
	fprintf(sys->log, "%u end\n", cpu);
}

void system_warm(struct system *sys, unsigned int cpu)
{
	fprintf(sys->log, "%u warm\n", cpu);
}

void system_resume(struct system *sys, unsigned int cpu)
{
	fprintf(sys->log, "%u resume\n", cpu);
}

static void print_registers(FILE *log, const uint8_t *list, uint8_t length)
{
	fprintf(log, " (");
	for (uint8_t i = 0; i < length; i++)
		fprintf(log, " %u", list[i]);
	fprintf(log, ")");
}

/* All but the id, which is the source's matter. */
void system_block(struct system *sys, unsigned int cpu, const struct block *block)
{
	fprintf(sys->log, "%u block", cpu);
	for (uint32_t i = 0; i < block->nr_insns; i++) {
		const struct insn *insn = &block->insn[i];

		fprintf(sys->log, " %" PRIx64 "+%u %u %u %d%d%d%d%d", insn->pc, insn->size,
			insn->kind, insn->branch, insn->indirect, insn->loads, insn->stores,
			insn->atomic, insn->prefetch);
		print_registers(sys->log, insn->address, insn->nr_address);
		print_registers(sys->log, insn->source, insn->nr_sources);
		print_registers(sys->log, insn->result, insn->nr_results);
	}
	fprintf(sys->log, "\n");
}

void system_access(struct system *sys, unsigned int cpu, unsigned int index, uint64_t virtual,
		   uint64_t physical, unsigned int size, bool store)
{
	const struct guest *guest = sys->guest;
	uint64_t walked = 0;

	fprintf(sys->log, "%u access %u %" PRIx64 " %" PRIx64 " %u %d node %d", cpu, index, virtual,
		physical, size, store, guest->node(guest->context, physical));
	if (sys->walk_every && sys->accesses++ % sys->walk_every == 0) {
		if (!pagetable_walk(&sys->logging, guest->root(guest->context, cpu), virtual, &walked))
			fprintf(sys->log, " walk fails");
		else
			fprintf(sys->log, " walked to %" PRIx64, walked);
	}
	fprintf(sys->log, "\n");
}

void system_flush(struct system *sys, unsigned int cpu, enum flush what, uint64_t virtual)
{
	fprintf(sys->log, "%u flush %d %" PRIx64 "\n", cpu, what, virtual);
}

void system_page_freed(struct system *sys, uint64_t physical)
{
	fprintf(sys->log, "freed %" PRIx64 "\n", physical);
}
