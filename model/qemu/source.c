// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pace.h"
#include "pagetable.h"
#include "ram.h"
#include "source.h"
#include "trace.h"

/*
 * Accesses of a region whose translation by QEMU is compared with a walk of the guest's tables, and
 * how many may differ: another CPU may just have moved the page.
 */
#define CHECKED		64
#define MAY_DIFFER	16

#define KERNEL	(1ull << 63)	/* of an address */

enum phase { OUTSIDE, WARM, MEASURED };

struct cpu {
	uint64_t identity;	/* 0: never was in a region */
	enum phase phase;
	unsigned int region, to_check, differed;
	const struct block *block;
};

struct source {
	const struct options *options;
	FILE *errors;
	uint64_t (*root)(void *context, unsigned int cpu);
	void *context;
	struct guest guest;
	struct ram ram;
	struct system *sys;		/* since the first region */
	struct trace_writer *trace;
	struct pace *pace;
	unsigned int active;		/* CPUs that are not OUTSIDE */
	bool measured, refused;
	uint64_t strays;		/* accesses of no instruction of the block in execution */
	struct cpu cpu[];
};

void source_refuse(struct source *source, const char *format, ...)
{
	va_list arguments;

	if (source->refused)
		return;
	source->refused = true;
	source->active = 0;
	for (unsigned int cpu = 0; cpu < source->options->nr_cpus; cpu++) {
		source->cpu[cpu].phase = OUTSIDE;
		source->cpu[cpu].block = NULL;
	}
	fprintf(source->errors, "model: ");
	va_start(arguments, format);
	vfprintf(source->errors, format, arguments);
	va_end(arguments);
	fprintf(source->errors, "\n");
}

static bool read_entry(void *context, uint64_t address, uint64_t *entry)
{
	struct source *source = context;

	return ram_read(&source->ram, address, entry);
}

static uint64_t root(void *context, unsigned int cpu)
{
	struct source *source = context;

	return source->root(source->context, cpu);
}

static int node(void *context, uint64_t address)
{
	struct source *source = context;
	const struct range *range = layout_find(&source->options->layout, address);

	return range ? (int)range->node : -1;
}

struct source *source_new(const struct options *options,
			  uint64_t (*root_of)(void *context, unsigned int cpu), void *context,
			  FILE *errors)
{
	struct source *source = calloc(1, sizeof(*source) +
				       options->nr_cpus * sizeof(source->cpu[0]));

	if (!source)
		return NULL;
	*source = (struct source){
		.options = options, .errors = errors, .root = root_of, .context = context,
		.guest = {
			.context = source, .read_entry = read_entry, .root = root, .node = node,
			.nr_cpus = options->nr_cpus, .cpu_node = options->cpu_node,
		},
		.pace = pace_new(options->nr_cpus, options->quantum),
	};
	if (source->pace)
		return source;
	free(source);
	return NULL;
}

void source_free(struct source *source)
{
	if (source->sys)
		system_free(source->sys);
	pace_free(source->pace);
	free(source);
}

/* Only now is it known how the guest translates, and that its memory is there. */
static bool start_model(struct source *source, struct paging paging)
{
	const struct options *options = source->options;
	const struct guest *guest = &source->guest;

	source->guest.levels = paging.levels;
	if (!ram_map(&source->ram, &options->layout, options->node_file, source->errors))
		return false;
	if (options->trace) {
		source->trace = trace_create(options->trace, guest, &options->layout,
					     source->errors);
		if (!source->trace)
			return false;
		guest = trace_writer_guest(source->trace);
	}
	source->sys = system_new(options->machine, guest, options->lanes.lane, options->lanes.nr);
	return source->sys;
}

/* The program's word for its CPU against what is known of it. Returns NULL after a refusal. */
static struct cpu *check_cpu(struct source *source, uint64_t number, uint64_t identity)
{
	int known = source_cpu(source, identity);

	if (number >= source->options->nr_cpus)
		source_refuse(source, "a mark says that it is on CPU %" PRIu64 ", but the guest has %u CPUs",
			      number, source->options->nr_cpus);
	else if (!identity)
		source_refuse(source, "a mark is executed by other than 64-bit code of Linux");
	else if ((known != NO_CPU && known != (int)number) ||
		 (source->cpu[number].identity && source->cpu[number].identity != identity))
		source_refuse(source, "a thread moved to another CPU beside its mark on CPU %" PRIu64 ": pin it, as with taskset",
			      number);
	else
		return &source->cpu[number];
	return NULL;
}

/* Returns NULL after a refusal. */
static struct cpu *enter(struct source *source, uint64_t number, uint64_t identity,
			 struct paging paging)
{
	struct cpu *cpu = check_cpu(source, number, identity);

	if (!cpu)
		return NULL;
	if (paging.pcid) {
		source_refuse(source, "the guest tags its TLB with PCIDs, which the model does not know: boot it with nopcid");
		return NULL;
	}
	if (!source->sys && !start_model(source, paging)) {
		source_refuse(source, "so nothing can be measured");
		return NULL;
	}
	cpu->identity = identity;
	cpu->to_check = CHECKED;
	cpu->differed = 0;
	if (cpu->phase == OUTSIDE)
		source->active++;
	return cpu;
}

void source_warm(struct source *source, uint64_t number, uint64_t identity, struct paging paging)
{
	struct cpu *cpu;

	if (source->refused)
		return;
	cpu = enter(source, number, identity, paging);
	if (!cpu || cpu->phase == MEASURED)
		return;
	cpu->phase = WARM;
	system_warm(source->sys, number);
	if (source->trace)
		trace_warm(source->trace, number);
}

void source_begin(struct source *source, unsigned int region, uint64_t number, uint64_t identity,
		  struct paging paging)
{
	struct cpu *cpu;

	if (source->refused ||
	    (source->options->region != ANY_REGION && source->options->region != (int)region))
		return;
	cpu = enter(source, number, identity, paging);
	if (!cpu)
		return;
	if (cpu->phase == MEASURED) {
		source_refuse(source, "region %u begins on CPU %" PRIu64 ", where region %u has not ended",
			      region, number, cpu->region);
		return;
	}
	cpu->phase = MEASURED;
	cpu->region = region;
	source->measured = true;
	system_begin(source->sys, number, region);
	if (source->trace)
		trace_begin(source->trace, number, region);
	pace_join(source->pace, number, system_clock(source->sys, number));
}

static void leave(struct source *source, unsigned int cpu)
{
	source->cpu[cpu].phase = OUTSIDE;
	source->cpu[cpu].block = NULL;
	source->active--;
	system_end(source->sys, cpu);
	if (source->trace)
		trace_end(source->trace, cpu);
	pace_leave(source->pace, cpu);
}

void source_end(struct source *source, unsigned int region, uint64_t number, uint64_t identity)
{
	struct cpu *cpu;

	if (source->refused ||
	    (source->options->region != ANY_REGION && source->options->region != (int)region))
		return;
	cpu = check_cpu(source, number, identity);
	if (!cpu)
		return;
	if (cpu->phase != MEASURED || cpu->region != region) {
		source_refuse(source, "region %u ends on CPU %" PRIu64 ", where it did not begin: pin its thread, as with taskset",
			      region, number);
		return;
	}
	leave(source, number);
}

int source_cpu(const struct source *source, uint64_t identity)
{
	for (unsigned int cpu = 0; identity && cpu < source->options->nr_cpus; cpu++)
		if (source->cpu[cpu].identity == identity)
			return cpu;
	return NO_CPU;
}

bool source_active(const struct source *source)
{
	return source->active;
}

bool source_in_region(const struct source *source, unsigned int cpu)
{
	return source->cpu[cpu].phase != OUTSIDE;
}

bool source_ahead(struct source *source, unsigned int cpu)
{
	return source->cpu[cpu].phase == MEASURED && source->active > 1 &&
	       pace_ahead(source->pace, cpu, system_clock(source->sys, cpu));
}

void source_went_on(struct source *source, unsigned int cpu)
{
	pace_went_on(source->pace, cpu);
}

bool source_advanced(struct source *source)
{
	return pace_advanced(source->pace);
}

void source_idle(struct source *source, unsigned int cpu)
{
	pace_leave(source->pace, cpu);
}

/* It slept, or was in what is left out. */
static void come_back(struct source *source, unsigned int cpu)
{
	if (source->cpu[cpu].phase != MEASURED || pace_joined(source->pace, cpu))
		return;
	system_resume(source->sys, cpu);
	if (source->trace)
		trace_resume(source->trace, cpu);
	pace_join(source->pace, cpu, system_clock(source->sys, cpu));
}

/* It wakes in the kernel. */
void source_resume(struct source *source, unsigned int cpu)
{
	if (!source->options->without_kernel)
		come_back(source, cpu);
}

/*
 * A kernel that is left out takes no time. So nobody waits for a CPU that executes it, and it waits
 * for nobody: if each block of an interrupt waited, the next one would come before it was over.
 */
void source_block(struct source *source, unsigned int number, const struct block *block)
{
	struct cpu *cpu = &source->cpu[number];

	if (cpu->phase == OUTSIDE)
		return;
	cpu->block = NULL;
	if (source->options->without_kernel && block->insn[0].pc & KERNEL) {
		source_idle(source, number);
		return;
	}
	come_back(source, number);
	cpu->block = block;
	system_block(source->sys, number, block);
	if (source->trace)
		trace_block(source->trace, number, block);
}

/*
 * All that follows stands on the guest's memory being what it is taken for: the layout, the files,
 * CR3. If one were wrong, a walk of a few levels would not lead to the address that QEMU used.
 */
static bool check_translation(struct source *source, unsigned int cpu, uint64_t virtual,
			      uint64_t physical)
{
	uint64_t cr3 = root(source, cpu), walked;

	if (pagetable_walk(&source->guest, cr3, virtual, &walked) && walked == physical)
		return true;
	if (++source->cpu[cpu].differed <= MAY_DIFFER)
		return true;
	source_refuse(source, "a walk from CR3 %#" PRIx64 " on CPU %u does not lead from %#" PRIx64 " to %#" PRIx64 ", which QEMU accessed: the plugin does not see the guest's memory",
		      cr3, cpu, virtual, physical);
	return false;
}

void source_access(struct source *source, unsigned int number, const struct insn *insn,
		   uint64_t virtual, uint64_t physical, unsigned int size, bool store)
{
	struct cpu *cpu = &source->cpu[number];
	unsigned int index;

	if (!cpu->block)
		return;
	if (insn < cpu->block->insn || insn >= cpu->block->insn + cpu->block->nr_insns) {
		source->strays++;
		return;
	}
	if (cpu->to_check && !check_translation(source, number, virtual, physical))
		return;
	cpu->to_check -= !!cpu->to_check;
	index = insn - cpu->block->insn;
	system_access(source->sys, number, index, virtual, physical, size, store);
	if (source->trace)
		trace_access(source->trace, number, index, virtual, physical, size, store);
}

void source_flush(struct source *source, unsigned int cpu, enum flush what, uint64_t virtual)
{
	if (!source->sys || source->refused)
		return;
	system_flush(source->sys, cpu, what, virtual);
	if (source->trace)
		trace_flush(source->trace, cpu, what, virtual);
}

void source_page_freed(struct source *source, uint64_t physical)
{
	if (!source->sys || source->refused)
		return;
	system_page_freed(source->sys, physical);
	if (source->trace)
		trace_page_freed(source->trace, physical);
}

bool source_read(struct source *source, unsigned int cpu, uint64_t virtual, uint64_t *value)
{
	uint64_t physical;

	return source->sys && pagetable_walk(&source->guest, root(source, cpu), virtual, &physical) &&
	       ram_read(&source->ram, physical, value);
}

static void write_report(struct source *source)
{
	const struct options *options = source->options;
	FILE *file = fopen(options->report, "w");

	if (!file) {
		source_refuse(source, "cannot write %s: %s", options->report, strerror(errno));
		return;
	}
	system_report(source->sys, options->format, file);
	if (ferror(file) | fclose(file)) {
		source_refuse(source, "cannot write %s: %s", options->report, strerror(errno));
		unlink(options->report);
	}
}

/* End what the program did not. */
static void end_regions(struct source *source)
{
	for (unsigned int cpu = 0; cpu < source->options->nr_cpus; cpu++) {
		if (source->cpu[cpu].phase == OUTSIDE)
			continue;
		fprintf(source->errors, "model: region %u on CPU %u never ended\n",
			source->cpu[cpu].region, cpu);
		leave(source, cpu);
	}
}

static void tell_doubts(const struct source *source)
{
	if (pace_skew(source->pace))
		fprintf(source->errors, "model: clocks of CPUs were up to %" PRIu64 " cycles apart\n",
			pace_skew(source->pace));
	if (source->strays)
		fprintf(source->errors, "model: %" PRIu64 " accesses belong to no known instruction\n",
			source->strays);
}

void source_finish(struct source *source)
{
	end_regions(source);
	if (source->trace && !trace_finish(source->trace, source->errors))
		source_refuse(source, "so there is no trace");
	if (!source->measured)
		source_refuse(source, "no region was measured: the program executed no mark_begin() of model/mark.h%s",
			      source->options->region == ANY_REGION ? "" : " with that number");
	if (source->refused)
		return;
	tell_doubts(source);
	if (system_check(source->sys, source->errors))
		source_refuse(source, "counters do not agree with each other, see above");
	else
		write_report(source);
}
