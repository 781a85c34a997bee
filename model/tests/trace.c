// SPDX-License-Identifier: GPL-2.0
/*
 * A trace tells again what was told, to a model that walks more or less often than the one that
 * stood by when it was recorded; and what is not a whole trace is refused.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pagetable.h"
#include "trace.h"
#include "fake.h"
#include "test.h"

#define MIB		(1ull << 20)
#define NR_CPUS		2
#define NR_BLOCKS	20
#define NR_EVENTS	20000

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	printf("# %s\n", what);
	test_failed = true;
}

/* The same on each run. */
static uint64_t seed;

static uint64_t dice(uint64_t sides)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % sides;
}

/* A guest of two nodes with 4 MB each, whose page tables lie at random places of both. */
static struct layout layout;
static uint64_t memory[8 * MIB / 8];
static uint64_t next_table;
static uint64_t roots[NR_CPUS];

static bool read_entry(void *context, uint64_t address, uint64_t *entry)
{
	(void)context;
	if (address >= sizeof(memory))
		return false;
	*entry = memory[address / 8];
	return true;
}

static uint64_t root(void *context, unsigned int cpu)
{
	(void)context;
	return roots[cpu];
}

static int node(void *context, uint64_t address)
{
	const struct range *range = layout_find(&layout, address);

	(void)context;
	return range ? (int)range->node : -1;
}

static const int cpu_node[NR_CPUS] = { 0, 1 };
static const struct guest guest = {
	.read_entry = read_entry, .root = root, .node = node,
	.levels = 4, .nr_cpus = NR_CPUS, .cpu_node = cpu_node,
};

static uint64_t new_table(void)
{
	next_table = (next_table + 37 * 4096) % sizeof(memory);
	memset(&memory[next_table / 8], 0, 4096);
	return next_table;
}

static void map(uint64_t table, uint64_t virtual, uint64_t physical)
{
	for (int level = 4; level > 1; level--) {
		uint64_t *entry = &memory[table / 8 + (virtual >> (3 + 9 * level) & 511)];

		if (!(*entry & 1))
			*entry = new_table() | 0x67;
		table = *entry & ~4095ull;
	}
	memory[table / 8 + (virtual >> 12 & 511)] = physical | 1ull << 63 | 0x67;
}

static void start_guest(void)
{
	const uint64_t bytes[] = { 4 * MIB, 4 * MIB };

	layout_q35(&layout, bytes, 2);
	memset(memory, 0, sizeof(memory));
	next_table = 0;
	seed = 1;
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		roots[cpu] = new_table();
}

static struct block *make_block(uint32_t id)
{
	uint32_t nr = 1 + dice(8);
	struct block *block = calloc(1, sizeof(*block) + nr * sizeof(block->insn[0]));
	uint64_t pc = 0xffffffff81000000 + dice(1000) * 4;

	block->id = id;
	block->nr_insns = nr;
	for (uint32_t i = 0; i < nr; i++) {
		struct insn *insn = &block->insn[i];

		*insn = (struct insn){
			.pc = pc, .size = 1 + dice(15), .kind = dice(NR_INSN_KINDS),
			.branch = dice(BRANCH_RETURN + 1), .indirect = dice(2), .loads = dice(2),
			.stores = dice(2), .atomic = dice(2), .prefetch = dice(2),
			.nr_address = dice(INSN_MAX_ADDRESS + 1),
			.nr_sources = dice(INSN_MAX_SOURCES + 1),
			.nr_results = dice(INSN_MAX_RESULTS + 1),
		};
		for (uint8_t k = 0; k < insn->nr_address; k++)
			insn->address[k] = dice(NR_REGS);
		for (uint8_t k = 0; k < insn->nr_sources; k++)
			insn->source[k] = dice(NR_REGS);
		for (uint8_t k = 0; k < insn->nr_results; k++)
			insn->result[k] = dice(NR_REGS);
		pc += insn->size;
	}
	return block;
}

/* Made before the tests, removed after them. */
static char path[] = "/tmp/model-trace-XXXXXX";

__attribute__((constructor)) static void make_file(void)
{
	close(mkstemp(path));
}

__attribute__((destructor)) static void remove_file(void)
{
	unlink(path);
}

struct source {
	struct trace_writer *writer;
	struct system *sys;
	struct block *block[NR_BLOCKS];
	const struct block *current[NR_CPUS];
};

static void tell_block(struct source *source, unsigned int cpu)
{
	const struct block *block = source->block[dice(NR_BLOCKS)];

	source->current[cpu] = block;
	system_block(source->sys, cpu, block);
	trace_block(source->writer, cpu, block);
}

/* A page that is not mapped gets a frame, as by a fault, without a flush. */
static void tell_access(struct source *source, unsigned int cpu)
{
	uint64_t virtual = 0x7f0000000000 + dice(300) * 4096 + dice(512) * 8, physical;
	unsigned int index = dice(source->current[cpu]->nr_insns), size = 1u << dice(7);
	bool store = dice(2);

	if (!pagetable_walk(&guest, roots[cpu], virtual, &physical)) {
		physical = dice(sizeof(memory) / 4096) * 4096 + virtual % 4096;
		map(roots[cpu], virtual, physical & ~4095ull);
	}
	system_access(source->sys, cpu, index, virtual, physical, size, store);
	trace_access(source->writer, cpu, index, virtual, physical, size, store);
}

/* Another frame for a page, or another root, and the flush that goes with it. */
static void tell_flush(struct source *source, unsigned int cpu)
{
	uint64_t virtual = 0x7f0000000000 + dice(300) * 4096;
	enum flush what = dice(FLUSH_ALL + 1);

	if (what == FLUSH_ADDRESS)
		map(roots[cpu], virtual, dice(sizeof(memory) / 4096) * 4096);
	else if (!dice(10))
		roots[cpu] = new_table();
	system_flush(source->sys, cpu, what, virtual);
	trace_flush(source->writer, cpu, what, virtual);
}

static void tell_freed(struct source *source)
{
	uint64_t physical = dice(sizeof(memory) / 4096) * 4096;

	system_page_freed(source->sys, physical);
	trace_page_freed(source->writer, physical);
}

static void tell_resume(struct source *source, unsigned int cpu)
{
	system_resume(source->sys, cpu);
	trace_resume(source->writer, cpu);
}

static void tell_all(struct source *source, unsigned int nr_events)
{
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++) {
		system_warm(source->sys, cpu);
		trace_warm(source->writer, cpu);
		tell_block(source, cpu);
		tell_access(source, cpu);
		system_begin(source->sys, cpu, 250 + cpu);
		trace_begin(source->writer, cpu, 250 + cpu);
		tell_block(source, cpu);
	}
	for (unsigned int i = 0; i < nr_events; i++) {
		unsigned int cpu = dice(NR_CPUS), event = dice(100);

		if (event < 30)
			tell_block(source, cpu);
		else if (event < 97)
			tell_access(source, cpu);
		else if (event < 99)
			tell_flush(source, cpu);
		else if (dice(2))
			tell_freed(source);
		else
			tell_resume(source, cpu);
	}
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++) {
		system_end(source->sys, cpu);
		trace_end(source->writer, cpu);
	}
}

/* Returns the log of what was told live. */
static char *record(unsigned int nr_events, unsigned int walk_every)
{
	struct source source = { 0 };
	size_t size;
	char *text;
	FILE *log = open_memstream(&text, &size);

	start_guest();
	for (uint32_t i = 0; i < NR_BLOCKS; i++)
		source.block[i] = make_block(i);
	source.writer = trace_create(path, &guest, &layout, stdout);
	source.sys = fake_new(trace_writer_guest(source.writer), log, walk_every);
	tell_all(&source, nr_events);
	expect(trace_finish(source.writer, stdout), "a trace is finished");
	system_free(source.sys);
	for (uint32_t i = 0; i < NR_BLOCKS; i++)
		free(source.block[i]);
	fclose(log);
	return text;
}

static char *replay(unsigned int walk_every, FILE *errors, bool *good)
{
	struct trace_reader *reader = trace_open(path, errors);
	struct system *sys;
	size_t size;
	char *text;
	FILE *log = open_memstream(&text, &size);

	*good = false;
	if (reader) {
		sys = fake_new(trace_reader_guest(reader), log, walk_every);
		*good = trace_replay(reader, sys, errors);
		system_free(sys);
		trace_close(reader);
	}
	fclose(log);
	return text;
}

static void compare(unsigned int recorded, unsigned int replayed)
{
	char *live = record(NR_EVENTS, recorded), *reference, *again;
	bool good;

	again = replay(replayed, stdout, &good);
	expect(good, "a whole trace is replayed");
	/* What a live run would have told that walks as often as the replay. */
	reference = record(NR_EVENTS, replayed);
	expect(!strcmp(again, reference), "a replay tells what a live run tells");
	expect(recorded != replayed || !strcmp(again, live), "a replay tells the same");
	expect(strlen(again) > NR_EVENTS, "the log holds something");
	free(live);
	free(reference);
	free(again);
}

TEST(same)
{
	compare(1, 1);
	compare(7, 7);
	compare(0, 1);
	compare(50, 3);
}

static char *read_file(size_t *size)
{
	FILE *file = fopen(path, "rb");
	char *bytes = malloc(MIB);

	*size = fread(bytes, 1, MIB, file);
	fclose(file);
	return bytes;
}

static void write_file(const char *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	fwrite(bytes, 1, size, file);
	fclose(file);
}

/* Returns what was said about it, or NULL if it was replayed. */
static char *refusal(const char *bytes, size_t size)
{
	size_t length;
	char *said;
	FILE *errors = open_memstream(&said, &length);
	bool good;

	write_file(bytes, size);
	free(replay(1, errors, &good));
	fclose(errors);
	if (!good)
		return said;
	free(said);
	return NULL;
}

static void expect_refusal(const char *bytes, size_t size, const char *words)
{
	char *said = refusal(bytes, size);

	expect(said && strstr(said, words), words);
	expect(said && strchr(said, '\n') == said + strlen(said) - 1, "a refusal is one line");
	free(said);
}

TEST(refused)
{
	size_t size;
	char *bytes;

	free(record(10, 3));
	bytes = read_file(&size);
	for (size_t length = 0; length < size; length++)
		expect_refusal(bytes, length,
			       length < 8 ? "is not a trace" : "it ends too early");
	bytes[size] = 0;
	expect_refusal(bytes, size + 1, "something follows its end");
	bytes[7]++;
	expect_refusal(bytes, size, "of version 3");
	bytes[0]++;
	expect_refusal(bytes, size, "is not a trace of this model");
	free(bytes);
}

/* Whatever is in a file, reading ends in good order; a sanitizer would tell. */
TEST(damaged)
{
	size_t size, refused = 0;
	char *bytes, *said;

	free(record(30, 3));
	bytes = read_file(&size);
	for (size_t i = 0; i < 500; i++) {
		size_t at = 8 + dice(size - 8);
		char old = bytes[at];

		bytes[at] ^= 1 << dice(8);
		said = refusal(bytes, size);
		refused += !!said;
		free(said);
		bytes[at] = old;
	}
	expect(refused > 50, "some damage is seen");
	free(bytes);
}

TEST(small)
{
	size_t size, accesses = 0;
	char *log = record(NR_EVENTS, 1), *bytes = read_file(&size);

	for (char *at = log; (at = strstr(at, " access ")); at++)
		accesses++;
	/* A block and an access are 2 bytes and 4 or 5 here, where each address is a new one. */
	expect(size < 12 * accesses, "a trace is small");
	free(bytes);
	free(log);
}

TEST_MAIN
