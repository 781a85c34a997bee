// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "entries.h"
#include "trace.h"
#include "format.h"

#define MAX_CPUS	4096	/* as x86 Linux may have; a foreign number would be any */
#define MAX_ADDRESS	(1ull << 46)	/* 64 TB, x86 Linux's limit with 4 levels of paging */
#define MAX_BLOCK	4096	/* instructions; QEMU ends a block at 512 */

struct cpu {
	uint64_t root;
	const struct block *block;
	unsigned int index;
};

struct trace_reader {
	FILE *file;
	char *path;
	struct layout layout;
	struct guest guest;
	int *cpu_node;
	struct entries *entries;
	struct trace_state state;
	struct cpu *cpu;
	unsigned int current;
	uint64_t nr_records;
	const char *damage;	/* the first that was found; all reads give 0 from then on */
};

static uint64_t damaged(struct trace_reader *reader, const char *what)
{
	if (!reader->damage)
		reader->damage = what;
	return 0;
}

static uint8_t get_byte(struct trace_reader *reader)
{
	int byte = reader->damage ? EOF : getc_unlocked(reader->file);

	return byte == EOF ? damaged(reader, "it ends too early") : (uint64_t)byte;
}

static uint64_t get_number(struct trace_reader *reader)
{
	uint64_t number = 0;
	uint8_t byte;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		byte = get_byte(reader);
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return number;
	}
	return damaged(reader, "a number is too long");
}

static uint64_t get_between(struct trace_reader *reader, uint64_t least, uint64_t most,
			    const char *what)
{
	uint64_t number = get_number(reader);

	if (number < least || number > most)
		damaged(reader, what);
	return reader->damage ? least : number;
}

static uint64_t get_limited(struct trace_reader *reader, uint64_t most, const char *what)
{
	return get_between(reader, 0, most, what);
}

static bool read_entry(void *context, uint64_t address, uint64_t *entry)
{
	struct trace_reader *reader = context;

	return entries_get(reader->entries, address, entry);
}

static uint64_t root(void *context, unsigned int cpu)
{
	struct trace_reader *reader = context;

	return reader->cpu[cpu].root;
}

static int node(void *context, uint64_t address)
{
	struct trace_reader *reader = context;
	const struct range *range = layout_find(&reader->layout, address);

	return range ? (int)range->node : -1;
}

static void get_layout(struct trace_reader *reader)
{
	struct layout *layout = &reader->layout;

	layout->nr_nodes = get_between(reader, 1, MAX_NODES, "it has no node, or too many");
	layout->nr_ranges = get_limited(reader, layout->nr_nodes + 1, "it has too many ranges");
	for (size_t i = 0; i < layout->nr_ranges; i++) {
		layout->range[i].start = get_limited(reader, MAX_ADDRESS, "an address is too large");
		layout->range[i].size = get_limited(reader, MAX_ADDRESS, "a range is too large");
		layout->range[i].node = get_limited(reader, layout->nr_nodes - 1,
						    "a node does not exist");
	}
}

static bool get_header(struct trace_reader *reader)
{
	struct guest *guest = &reader->guest;

	guest->levels = get_between(reader, 4, MAX_LEVELS, "paging has 4 or 5 levels");
	guest->nr_cpus = get_between(reader, 1, MAX_CPUS, "it has no CPU, or too many");
	reader->cpu_node = calloc(guest->nr_cpus + 1, sizeof(*reader->cpu_node));
	reader->cpu = calloc(guest->nr_cpus + 1, sizeof(*reader->cpu));
	if (!reader->cpu_node || !reader->cpu)
		return damaged(reader, "no memory");
	for (unsigned int cpu = 0; cpu < guest->nr_cpus; cpu++)
		reader->cpu_node[cpu] = get_limited(reader, MAX_NODES - 1, "a node does not exist");
	get_layout(reader);
	guest->context = reader;
	guest->read_entry = read_entry;
	guest->root = root;
	guest->node = node;
	guest->cpu_node = reader->cpu_node;
	reader->entries = entries_new(layout_end(&reader->layout));
	if (!trace_state_init(&reader->state) || !reader->entries)
		return damaged(reader, "no memory");
	return !reader->damage;
}

static bool check_magic(const char *path, FILE *file, FILE *errors)
{
	char magic[TRACE_MAGIC_SIZE];

	if (fread(magic, sizeof(magic), 1, file) != 1 ||
	    memcmp(magic, TRACE_MAGIC, TRACE_MAGIC_SIZE - 1))
		fprintf(errors, "%s is not a trace of this model\n", path);
	else if (magic[TRACE_MAGIC_SIZE - 1] != TRACE_MAGIC[TRACE_MAGIC_SIZE - 1])
		fprintf(errors, "the trace %s is of version %d, and only version %d can be read\n",
			path, magic[TRACE_MAGIC_SIZE - 1], TRACE_MAGIC[TRACE_MAGIC_SIZE - 1]);
	else
		return true;
	return false;
}

static bool complain(const struct trace_reader *reader, FILE *errors)
{
	fprintf(errors, "the trace %s is damaged: %s\n", reader->path, reader->damage);
	return false;
}

struct trace_reader *trace_open(const char *path, FILE *errors)
{
	struct trace_reader *reader = NULL;
	FILE *file = fopen(path, "rb");

	if (!file) {
		fprintf(errors, "cannot read the trace %s: %s\n", path, strerror(errno));
		return NULL;
	}
	if (check_magic(path, file, errors))
		reader = calloc(1, sizeof(*reader));
	if (!reader) {
		fclose(file);
		return NULL;
	}
	reader->file = file;
	reader->path = strdup(path);
	if (get_header(reader))
		return reader;
	complain(reader, errors);
	trace_close(reader);
	return NULL;
}

const struct guest *trace_reader_guest(const struct trace_reader *reader)
{
	return &reader->guest;
}

const struct layout *trace_reader_layout(const struct trace_reader *reader)
{
	return &reader->layout;
}

static uint8_t get_registers(struct trace_reader *reader, uint8_t *list, uint8_t capacity)
{
	uint8_t length = get_limited(reader, capacity, "an instruction has too many registers");

	for (uint8_t i = 0; i < length; i++)
		list[i] = get_limited(reader, NR_REGS - 1, "a register does not exist");
	return length;
}

static void get_insn(struct trace_reader *reader, struct insn *insn, uint64_t expected)
{
	insn->pc = trace_unfold(get_number(reader)) + expected;
	insn->size = get_byte(reader);
	insn->kind = get_limited(reader, NR_INSN_KINDS - 1, "a kind of instruction does not exist");
	insn->branch = get_limited(reader, BRANCH_RETURN, "a kind of branch does not exist");
	trace_set_insn_flags(insn, get_byte(reader));
	insn->nr_address = get_registers(reader, insn->address, INSN_MAX_ADDRESS);
	insn->nr_sources = get_registers(reader, insn->source, INSN_MAX_SOURCES);
	insn->nr_results = get_registers(reader, insn->result, INSN_MAX_RESULTS);
}

static void get_block(struct trace_reader *reader)
{
	uint32_t nr_insns = get_limited(reader, MAX_BLOCK, "a block is too long");
	struct block *block = calloc(1, sizeof(*block) + nr_insns * sizeof(block->insn[0]));
	uint64_t expected = 0;

	if (!block || !nr_insns) {
		damaged(reader, block ? "a block is empty" : "no memory");
		free(block);
		return;
	}
	block->id = reader->state.nr_blocks;
	block->nr_insns = nr_insns;
	for (uint32_t i = 0; i < nr_insns; i++) {
		get_insn(reader, &block->insn[i], expected);
		expected = block->insn[i].pc + block->insn[i].size;
	}
	if (!trace_state_add(&reader->state, block)) {
		damaged(reader, "no memory");
		free(block);
	}
}

static void get_entry(struct trace_reader *reader)
{
	uint64_t address = reader->state.last_entry + trace_unfold(get_number(reader));

	reader->state.last_entry = address;
	if (!entries_put(reader->entries, address, trace_unrotate(get_number(reader))))
		damaged(reader, "a page table lies outside of memory");
}

static void replay_block(struct trace_reader *reader, struct system *sys)
{
	uint64_t id = reader->state.last_block + trace_unfold(get_number(reader));
	struct cpu *cpu = &reader->cpu[reader->current];

	if (id >= reader->state.nr_blocks) {
		damaged(reader, "a block does not exist");
		return;
	}
	reader->state.last_block = id;
	cpu->block = reader->state.block[id];
	cpu->index = 0;
	system_block(sys, reader->current, cpu->block);
}

static uint64_t get_page(struct trace_reader *reader, uint64_t virtual, bool told)
{
	struct trace_page *page = trace_state_page(&reader->state, virtual);

	if (told)
		*page = (struct trace_page){ virtual, get_number(reader) + 1 };
	else if (page->virtual != virtual || !page->physical)
		return damaged(reader, "a page is not known");
	return page->physical - 1;
}

static void replay_access(struct trace_reader *reader, struct system *sys, uint8_t record)
{
	struct cpu *cpu = &reader->cpu[reader->current];
	unsigned int index = record & TRACE_FAR;
	uint64_t virtual, physical, *last;

	index = index == TRACE_FAR ? get_number(reader) : cpu->index + index;
	if (!cpu->block || index >= cpu->block->nr_insns) {
		damaged(reader, "an instruction does not exist");
		return;
	}
	cpu->index = index;
	last = &reader->state.last[cpu->block->id][index];
	virtual = *last += trace_unfold(get_number(reader));
	physical = get_page(reader, virtual >> TRACE_PAGE_SHIFT, record & TRACE_PAGE);
	physical = physical << TRACE_PAGE_SHIFT | (virtual & ((1u << TRACE_PAGE_SHIFT) - 1));
	if (!reader->damage)
		system_access(sys, reader->current, index, virtual, physical,
			      1u << ((record & TRACE_SIZE_MASK) >> TRACE_SIZE_SHIFT),
			      record & TRACE_STORE);
}

static void replay_flush(struct trace_reader *reader, struct system *sys)
{
	enum flush what = get_limited(reader, FLUSH_ALL, "a kind of flush does not exist");
	uint64_t virtual = get_number(reader);

	if (!reader->damage)
		system_flush(sys, reader->current, what, virtual);
}

static void replay_freed(struct trace_reader *reader, struct system *sys)
{
	uint64_t physical = get_number(reader);

	if (!reader->damage)
		system_page_freed(sys, physical);
}

static void replay_begin(struct trace_reader *reader, struct system *sys)
{
	unsigned int region = get_limited(reader, MAX_REGION, "the number of a region is too large");

	if (!reader->damage)
		system_begin(sys, reader->current, region);
}

/* Returns false after the last record. */
static bool replay_record(struct trace_reader *reader, struct system *sys)
{
	uint8_t record = get_byte(reader);

	if (reader->damage)
		return false;
	if (record & TRACE_ACCESS) {
		replay_access(reader, sys, record);
		return true;
	}
	switch (record) {
	case TRACE_CPU:
		reader->current = get_limited(reader, reader->guest.nr_cpus - 1,
					      "a CPU does not exist");
		return true;
	case TRACE_DEFINE:
		get_block(reader);
		return true;
	case TRACE_BLOCK:
		replay_block(reader, sys);
		return true;
	case TRACE_ENTRY:
		get_entry(reader);
		return true;
	case TRACE_ROOT:
		reader->cpu[reader->current].root = get_number(reader);
		return true;
	case TRACE_FLUSH:
		replay_flush(reader, sys);
		return true;
	case TRACE_FREED:
		replay_freed(reader, sys);
		return true;
	case TRACE_WARM:
		system_warm(sys, reader->current);
		return true;
	case TRACE_BEGIN:
		replay_begin(reader, sys);
		return true;
	case TRACE_END:
		system_end(sys, reader->current);
		return true;
	case TRACE_RESUME:
		system_resume(sys, reader->current);
		return true;
	case TRACE_FINISH:
		if (get_number(reader) != reader->nr_records)
			damaged(reader, "records are missing");
		else if (getc_unlocked(reader->file) != EOF)
			damaged(reader, "something follows its end");
		return false;
	default:
		damaged(reader, "a kind of record does not exist");
		return false;
	}
}

bool trace_replay(struct trace_reader *reader, struct system *sys, FILE *errors)
{
	while (!reader->damage && replay_record(reader, sys))
		reader->nr_records++;
	return reader->damage ? complain(reader, errors) : true;
}

void trace_close(struct trace_reader *reader)
{
	for (uint32_t i = 0; i < reader->state.nr_blocks; i++)
		free((void *)reader->state.block[i]);
	trace_state_release(&reader->state);
	entries_free(reader->entries);
	free(reader->cpu);
	free(reader->cpu_node);
	free(reader->path);
	fclose(reader->file);
	free(reader);
}
