// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "entries.h"
#include "pagetable.h"
#include "trace.h"
#include "format.h"

#define WALKED	(1u << 16)	/* pages remembered as walked; forgetting one costs a walk */

struct walked {
	uint64_t page, era;
};

struct cpu {
	uint64_t root;
	uint64_t era;		/* counts flushes: what was walked before may have changed */
	uint32_t block;		/* by its id here */
	unsigned int index;	/* of the last instruction that accessed memory */
	struct walked walked[WALKED];
};

struct trace_writer {
	FILE *file;
	char *path;
	const struct guest *guest;
	struct guest recording;	/* the same, through this writer */
	struct entries *entries;
	struct trace_state state;
	uint32_t *id, nr_ids;	/* by the source's id of a block: here, plus 1 */
	uint64_t nr_records;
	unsigned int current;
	bool no_memory;
	struct cpu **cpu;
};

static void put_byte(struct trace_writer *writer, uint8_t byte)
{
	putc_unlocked(byte, writer->file);
}

static void put_number(struct trace_writer *writer, uint64_t number)
{
	for (; number >> 7; number >>= 7)
		put_byte(writer, number | 0x80);
	put_byte(writer, number);
}

static void put_record(struct trace_writer *writer, uint8_t record)
{
	put_byte(writer, record);
	writer->nr_records++;
}

static struct cpu *on_cpu(struct trace_writer *writer, unsigned int cpu)
{
	if (cpu != writer->current) {
		put_record(writer, TRACE_CPU);
		put_number(writer, cpu);
		writer->current = cpu;
	}
	return writer->cpu[cpu];
}

/* What the model reads, and what it would read with smaller TLBs, is recorded when it is new. */
static bool read_entry(void *context, uint64_t address, uint64_t *entry)
{
	struct trace_writer *writer = context;
	uint64_t known;

	if (!writer->guest->read_entry(writer->guest->context, address, entry))
		return false;
	if (entries_get(writer->entries, address, &known) && known == *entry)
		return true;
	if (!entries_put(writer->entries, address, *entry))
		writer->no_memory = true;
	put_record(writer, TRACE_ENTRY);
	put_number(writer, trace_fold(address - writer->state.last_entry));
	put_number(writer, trace_rotate(*entry));
	writer->state.last_entry = address;
	return true;
}

static uint64_t root(void *context, unsigned int number)
{
	struct trace_writer *writer = context;
	uint64_t value = writer->guest->root(writer->guest->context, number);
	struct cpu *cpu = on_cpu(writer, number);

	if (value != cpu->root) {
		put_record(writer, TRACE_ROOT);
		put_number(writer, value);
		cpu->root = value;
	}
	return value;
}

static int node(void *context, uint64_t address)
{
	struct trace_writer *writer = context;

	return writer->guest->node(writer->guest->context, address);
}

/* Record the entries of a page that was not touched since the last flush. */
static void touch(struct trace_writer *writer, unsigned int number, uint64_t virtual)
{
	uint64_t page = virtual >> TRACE_PAGE_SHIFT, physical;
	struct cpu *cpu = on_cpu(writer, number);
	struct walked *walked = &cpu->walked[page % WALKED];

	if (walked->page == page && walked->era == cpu->era)
		return;
	if (pagetable_walk(&writer->recording, root(writer, number), virtual, &physical))
		*walked = (struct walked){ page, cpu->era };
}

static void put_header(struct trace_writer *writer, const struct layout *layout)
{
	const struct guest *guest = writer->guest;

	fwrite(TRACE_MAGIC, TRACE_MAGIC_SIZE, 1, writer->file);
	put_number(writer, guest->levels);
	put_number(writer, guest->nr_cpus);
	for (unsigned int cpu = 0; cpu < guest->nr_cpus; cpu++)
		put_number(writer, guest->cpu_node[cpu]);
	put_number(writer, layout->nr_nodes);
	put_number(writer, layout->nr_ranges);
	for (size_t i = 0; i < layout->nr_ranges; i++) {
		put_number(writer, layout->range[i].start);
		put_number(writer, layout->range[i].size);
		put_number(writer, layout->range[i].node);
	}
}

static void release(struct trace_writer *writer)
{
	for (unsigned int cpu = 0; writer->cpu && cpu < writer->guest->nr_cpus; cpu++)
		free(writer->cpu[cpu]);
	free(writer->cpu);
	trace_state_release(&writer->state);
	entries_free(writer->entries);
	free(writer->id);
	free(writer->path);
	free(writer);
}

static bool allocate(struct trace_writer *writer, const char *path, const struct layout *layout)
{
	unsigned int nr_cpus = writer->guest->nr_cpus;

	writer->path = strdup(path);
	writer->entries = entries_new(layout_end(layout));
	writer->cpu = calloc(nr_cpus, sizeof(writer->cpu[0]));
	if (!trace_state_init(&writer->state) || !writer->path || !writer->entries || !writer->cpu)
		return false;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		writer->cpu[cpu] = calloc(1, sizeof(*writer->cpu[cpu]));
		if (!writer->cpu[cpu])
			return false;
		writer->cpu[cpu]->era = 1;
	}
	return true;
}

struct trace_writer *trace_create(const char *path, const struct guest *guest,
				  const struct layout *layout, FILE *errors)
{
	struct trace_writer *writer = calloc(1, sizeof(*writer));

	if (!writer) {
		fprintf(errors, "no memory for a trace\n");
		return NULL;
	}
	writer->guest = guest;
	writer->recording = *guest;
	writer->recording.context = writer;
	writer->recording.read_entry = read_entry;
	writer->recording.root = root;
	writer->recording.node = node;
	if (!allocate(writer, path, layout)) {
		fprintf(errors, "no memory for a trace\n");
		goto fail;
	}
	writer->file = fopen(path, "wb");
	if (!writer->file) {
		fprintf(errors, "cannot write the trace %s: %s\n", path, strerror(errno));
		goto fail;
	}
	put_header(writer, layout);
	return writer;
fail:
	release(writer);
	return NULL;
}

const struct guest *trace_writer_guest(struct trace_writer *writer)
{
	return &writer->recording;
}

static void put_cpu_record(struct trace_writer *writer, unsigned int cpu, enum trace_record record)
{
	on_cpu(writer, cpu);
	put_record(writer, record);
}

void trace_warm(struct trace_writer *writer, unsigned int cpu)
{
	put_cpu_record(writer, cpu, TRACE_WARM);
}

void trace_begin(struct trace_writer *writer, unsigned int cpu, unsigned int region)
{
	put_cpu_record(writer, cpu, TRACE_BEGIN);
	put_number(writer, region);
}

void trace_end(struct trace_writer *writer, unsigned int cpu)
{
	put_cpu_record(writer, cpu, TRACE_END);
}

void trace_resume(struct trace_writer *writer, unsigned int cpu)
{
	put_cpu_record(writer, cpu, TRACE_RESUME);
}

static void put_registers(struct trace_writer *writer, const uint8_t *list, uint8_t length)
{
	put_byte(writer, length);
	fwrite(list, 1, length, writer->file);
}

static void put_insn(struct trace_writer *writer, const struct insn *insn, uint64_t expected)
{
	put_number(writer, trace_fold(insn->pc - expected));
	put_byte(writer, insn->size);
	put_byte(writer, insn->kind);
	put_byte(writer, insn->branch);
	put_byte(writer, trace_insn_flags(insn));
	put_registers(writer, insn->address, insn->nr_address);
	put_registers(writer, insn->source, insn->nr_sources);
	put_registers(writer, insn->result, insn->nr_results);
}

static bool know_ids(struct trace_writer *writer, uint32_t nr)
{
	uint32_t wanted = nr + nr / 2 + 1024;
	uint32_t *id;

	if (nr <= writer->nr_ids)
		return true;
	id = reallocarray(writer->id, wanted, sizeof(*id));
	if (!id)
		return false;
	memset(id + writer->nr_ids, 0, (wanted - writer->nr_ids) * sizeof(*id));
	writer->id = id;
	writer->nr_ids = wanted;
	return true;
}

/*
 * The source numbers blocks when it meets them, and not all that it meets are executed in a
 * region: here they are numbered when they are executed.
 */
static bool define(struct trace_writer *writer, const struct block *block)
{
	uint64_t expected = 0;

	if (!know_ids(writer, block->id + 1))
		return false;
	if (writer->id[block->id])
		return true;
	if (!trace_state_add(&writer->state, block))
		return false;
	writer->id[block->id] = writer->state.nr_blocks;
	put_record(writer, TRACE_DEFINE);
	put_number(writer, block->nr_insns);
	for (uint32_t i = 0; i < block->nr_insns; i++) {
		put_insn(writer, &block->insn[i], expected);
		expected = block->insn[i].pc + block->insn[i].size;
	}
	return true;
}

void trace_block(struct trace_writer *writer, unsigned int number, const struct block *block)
{
	const struct insn *last = &block->insn[block->nr_insns - 1];
	struct cpu *cpu = on_cpu(writer, number);
	uint32_t id;

	if (!define(writer, block)) {
		writer->no_memory = true;
		return;
	}
	touch(writer, number, block->insn[0].pc);
	touch(writer, number, last->pc + last->size - 1);
	id = writer->id[block->id] - 1;
	put_record(writer, TRACE_BLOCK);
	put_number(writer, trace_fold((uint64_t)id - writer->state.last_block));
	writer->state.last_block = id;
	cpu->block = id;
	cpu->index = 0;
}

static bool remembered(struct trace_writer *writer, uint64_t virtual, uint64_t physical)
{
	struct trace_page *page = trace_state_page(&writer->state, virtual);
	struct trace_page seen = { virtual, physical + 1 };
	bool same = page->virtual == seen.virtual && page->physical == seen.physical;

	*page = seen;
	return same;
}

void trace_access(struct trace_writer *writer, unsigned int number, unsigned int index,
		  uint64_t virtual, uint64_t physical, unsigned int size, bool store)
{
	uint64_t page = physical >> TRACE_PAGE_SHIFT;
	struct cpu *cpu = on_cpu(writer, number);
	unsigned int distance = index - cpu->index;
	bool near = index >= cpu->index && distance < TRACE_FAR;
	bool known = remembered(writer, virtual >> TRACE_PAGE_SHIFT, page);
	uint64_t *last;

	if (writer->no_memory)
		return;
	touch(writer, number, virtual);
	last = &writer->state.last[cpu->block][index];
	put_record(writer, TRACE_ACCESS | (store ? TRACE_STORE : 0) |
		   __builtin_ctz(size) << TRACE_SIZE_SHIFT | (known ? 0 : TRACE_PAGE) |
		   (near ? distance : TRACE_FAR));
	if (!near)
		put_number(writer, index);
	put_number(writer, trace_fold(virtual - *last));
	if (!known)
		put_number(writer, page);
	*last = virtual;
	cpu->index = index;
}

void trace_flush(struct trace_writer *writer, unsigned int number, enum flush what,
		 uint64_t virtual)
{
	struct cpu *cpu = on_cpu(writer, number);

	cpu->era++;
	put_record(writer, TRACE_FLUSH);
	put_number(writer, what);
	put_number(writer, virtual);
}

void trace_page_freed(struct trace_writer *writer, uint64_t physical)
{
	put_record(writer, TRACE_FREED);
	put_number(writer, physical);
}

bool trace_finish(struct trace_writer *writer, FILE *errors)
{
	bool good = !writer->no_memory;

	if (!good)
		fprintf(errors, "the trace %s is not whole: no memory\n", writer->path);
	put_byte(writer, good ? TRACE_FINISH : NR_TRACE_RECORDS);
	put_number(writer, writer->nr_records);
	if (ferror(writer->file) | fclose(writer->file)) {
		fprintf(errors, "the trace %s is not whole: %s\n", writer->path, strerror(errno));
		good = false;
	}
	release(writer);
	return good;
}
