// SPDX-License-Identifier: GPL-2.0
/*
 * What a source tells the real model of a small guest, whose memory lies in files as QEMU's does;
 * what it refuses; and that a replay of its trace gives the same report.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"
#include "source.h"
#include "test.h"
#include "trace.h"

#define MIB		(1ull << 20)
#define ROOT		(3 * MIB)	/* on node 1; tables of level 3, 2, 1 follow */
#define VIRTUAL		0x7f0000000000
#define PAGES		256
#define CPU0		0xffff888000000000	/* identities, as Linux' are */
#define CPU1		0xffff888000010000

static const struct paging paging = { .levels = 4 };

static char directory[] = "/tmp/model-source-XXXXXX";
static char file[2][64], node_word[2][80], report_word[80], trace_word[80];

static void write_word(uint64_t physical, uint64_t value)
{
	FILE *node = fopen(file[physical / (2 * MIB)], "r+b");

	fseek(node, physical % (2 * MIB), SEEK_SET);
	fwrite(&value, sizeof(value), 1, node);
	fclose(node);
}

/* Pages of 4 KB from VIRTUAL on are those from 1 MB on, on node 0. */
static void write_tables(void)
{
	for (int i = 0; i < 3; i++) {
		unsigned int shift = 39 - 9 * i;

		write_word(ROOT + i * 4096 + (VIRTUAL >> shift & 511) * 8,
			   (ROOT + (i + 1) * 4096) | 0x67);
	}
	for (uint64_t i = 0; i < PAGES; i++)
		write_word(ROOT + 3 * 4096 + i * 8, (MIB + i * 4096) | 0x67);
}

__attribute__((constructor)) static void make_files(void)
{
	if (!mkdtemp(directory))
		abort();
	for (int i = 0; i < 2; i++) {
		snprintf(file[i], sizeof(file[i]), "%s/node%d", directory, i);
		snprintf(node_word[i], sizeof(node_word[i]), "node=2:%s", file[i]);
		fclose(fopen(file[i], "wb"));
		if (truncate(file[i], 2 * MIB))
			abort();
	}
	snprintf(report_word, sizeof(report_word), "report=%s/report", directory);
	snprintf(trace_word, sizeof(trace_word), "trace=%s/trace", directory);
	write_tables();
}

__attribute__((destructor)) static void remove_files(void)
{
	static const char *const names[] = { "node0", "node1", "report", "trace" };
	char path[64];

	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

static uint64_t roots[2];

static uint64_t root(void *context, unsigned int cpu)
{
	(void)context;
	return roots[cpu];
}

struct run {
	struct options options;
	struct source *source;
	char *said;
	size_t size;
	FILE *errors;
};

/* With one option more, if it is not NULL. */
static void start(struct run *run, char *more)
{
	char *words[] = {
		"machine=machines/haswell-ex.conf", "cpus=0:1", node_word[0], node_word[1],
		report_word, more,
	};

	unlink(report_word + strlen("report="));
	roots[0] = roots[1] = ROOT;
	EXPECT(options_parse(&run->options, more ? 6 : 5, words, stdout));
	run->errors = open_memstream(&run->said, &run->size);
	run->source = source_new(&run->options, root, NULL, run->errors);
}

/* Returns the report, or NULL if there is none. */
static char *finish(struct run *run)
{
	char *text = NULL;
	size_t size = 0;
	FILE *report;

	source_finish(run->source);
	source_free(run->source);
	machine_free(run->options.machine);
	lanes_free(&run->options.lanes);
	fclose(run->errors);
	report = fopen(report_word + strlen("report="), "r");
	if (!report)
		return NULL;
	if (getdelim(&text, &size, EOF, report) < 0)
		*text = '\0';
	fclose(report);
	return text;
}

/* A load, and the branch back to it. */
static const struct {
	struct block block;
	struct insn insn[2];
} loop = {
	{ .id = 0, .nr_insns = 2 },
	{ { .pc = 0x400000, .size = 3, .loads = true, .nr_address = 1, .nr_results = 1 },
	  { .pc = 0x400003, .size = 2, .branch = BRANCH_CONDITIONAL } },
}, in_kernel = {
	{ .id = 1, .nr_insns = 2 },
	{ { .pc = 0xffffffff81000000, .size = 3, .loads = true },
	  { .pc = 0xffffffff81000003, .size = 2, .branch = BRANCH_CONDITIONAL } },
};

static void tell(struct source *source, unsigned int cpu, const struct block *block, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t offset = i * 37 % PAGES * 4096 + i % 512 * 8;

		source_block(source, cpu, block);
		source_access(source, cpu, &block->insn[0], VIRTUAL + offset, MIB + offset, 8, false);
	}
}

/* A counter of a report as text: the first number of that name. */
static long counter(const char *report, const char *name)
{
	const char *line = report ? strstr(report, name) : NULL;

	return line ? strtol(line + strlen(name), NULL, 10) : 0;
}

TEST(measured)
{
	struct run run;
	char *report;

	start(&run, NULL);
	EXPECT(source_cpu(run.source, CPU0) == NO_CPU && !source_active(run.source));
	tell(run.source, 0, &loop.block, 10);
	source_begin(run.source, 3, 0, CPU0, paging);
	EXPECT(source_cpu(run.source, CPU0) == 0 && source_cpu(run.source, CPU1) == NO_CPU);
	EXPECT(source_active(run.source) && source_in_region(run.source, 0));
	tell(run.source, 0, &loop.block, 1000);
	source_end(run.source, 3, 0, CPU0);
	EXPECT(!source_active(run.source) && source_cpu(run.source, CPU0) == 0);
	tell(run.source, 0, &loop.block, 10);
	report = finish(&run);
	EXPECT_EQUAL(counter(report, "\nloads"), 1000);
	EXPECT_EQUAL(counter(report, "\ninstructions"), 2000);
	EXPECT(!run.size);
	free(report);
	free(run.said);
}

TEST(warmed)
{
	struct run run;
	char *report;

	start(&run, NULL);
	source_warm(run.source, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, PAGES);
	source_begin(run.source, 3, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, PAGES);
	source_end(run.source, 3, 0, CPU0);
	report = finish(&run);
	EXPECT_EQUAL(counter(report, "\nloads"), PAGES);
	/* 256 pages fit the second-level TLB, and were walked for before. */
	EXPECT_EQUAL(counter(report, "\nwalks_4k"), 0);
	EXPECT(counter(report, "\nstlb_hits_4k") > 0);
	free(report);
	free(run.said);
}

TEST(flushed)
{
	struct run run;
	char *report;

	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, PAGES);
	source_flush(run.source, 0, FLUSH_CONTEXT, 0);
	tell(run.source, 0, &loop.block, PAGES);
	source_end(run.source, 3, 0, CPU0);
	report = finish(&run);
	EXPECT_EQUAL(counter(report, "\nwalks_4k"), 2 * PAGES);
	free(report);
	free(run.said);
}

TEST(without_kernel)
{
	struct run run;
	char *report;

	start(&run, "kernel=no");
	source_begin(run.source, 3, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, 10);
	tell(run.source, 0, &in_kernel.block, 1000);
	source_end(run.source, 3, 0, CPU0);
	report = finish(&run);
	EXPECT_EQUAL(counter(report, "\nloads"), 10);
	free(report);
	free(run.said);
}

/* Who executes a kernel that is left out does not wait and is not waited for. */
TEST(pace_without_kernel)
{
	struct run run;

	start(&run, "kernel=no");
	source_begin(run.source, 3, 0, CPU0, paging);
	source_begin(run.source, 3, 1, CPU1, paging);
	tell(run.source, 0, &loop.block, 3000);
	EXPECT(source_ahead(run.source, 0) && !source_ahead(run.source, 1));
	tell(run.source, 0, &in_kernel.block, 1);
	EXPECT(!source_ahead(run.source, 0));
	tell(run.source, 0, &loop.block, 3000);
	EXPECT(source_ahead(run.source, 0));
	tell(run.source, 1, &in_kernel.block, 1);
	EXPECT(!source_ahead(run.source, 0));
	source_resume(run.source, 1);
	EXPECT(!source_ahead(run.source, 0));
	tell(run.source, 1, &loop.block, 1);
	EXPECT(!source_ahead(run.source, 0) && !source_ahead(run.source, 1));
	tell(run.source, 0, &loop.block, 3000);
	EXPECT(source_ahead(run.source, 0));
	source_end(run.source, 3, 1, CPU1);
	source_end(run.source, 3, 0, CPU0);
	free(finish(&run));
	free(run.said);
}

TEST(one_region_of_two)
{
	struct run run;
	char *report;

	start(&run, "region=4");
	source_begin(run.source, 3, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, 1000);
	source_end(run.source, 3, 0, CPU0);
	source_begin(run.source, 4, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, 10);
	source_end(run.source, 4, 0, CPU0);
	report = finish(&run);
	EXPECT_EQUAL(counter(report, "\nloads"), 10);
	free(report);
	free(run.said);
}

TEST(strays)
{
	struct run run;

	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, 10);
	source_access(run.source, 0, &in_kernel.insn[0], VIRTUAL, MIB, 8, false);
	source_end(run.source, 3, 0, CPU0);
	free(finish(&run));
	EXPECT(run.size && strstr(run.said, "1 accesses belong to no known instruction"));
	free(run.said);
}

TEST(replay_is_the_same)
{
	struct run run;
	struct trace_reader *reader;
	struct system *sys;
	char *live, *again;
	size_t size;
	FILE *out = open_memstream(&again, &size);

	start(&run, trace_word);
	source_warm(run.source, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, 300);
	source_begin(run.source, 3, 0, CPU0, paging);
	source_begin(run.source, 3, 1, CPU1, paging);
	for (unsigned int i = 0; i < 30; i++) {
		tell(run.source, i % 2, &loop.block, 100);
		source_page_freed(run.source, ROOT + 3 * 4096);
		tell(run.source, i % 2, &in_kernel.block, 7);
		source_flush(run.source, i % 2, i % 3, VIRTUAL);
		source_idle(run.source, 1);
		source_resume(run.source, 1);
	}
	source_end(run.source, 3, 1, CPU1);
	source_end(run.source, 3, 0, CPU0);
	live = finish(&run);
	free(run.said);

	reader = trace_open(trace_word + strlen("trace="), stdout);
	start(&run, NULL);
	sys = system_new(run.options.machine, trace_reader_guest(reader), run.options.lanes.lane, 1);
	EXPECT(trace_replay(reader, sys, stdout));
	EXPECT(!system_check(sys, stdout));
	system_report(sys, REPORT_TEXT, out);
	fclose(out);
	system_free(sys);
	trace_close(reader);
	EXPECT(live && !strcmp(live, again));
	EXPECT_EQUAL(counter(again, "\nloads"), 30 * 107);
	free(finish(&run));
	free(live);
	free(again);
	free(run.said);
}

/* Expect a refusal in one line with these words, and no report. */
static void expect_refused(struct run *run, const char *words)
{
	char *report = finish(run);

	if (report || !strstr(run->said, words) ||
	    strchr(run->said, '\n') != run->said + run->size - 1) {
		printf("# '%s' is not refused, but: %s\n", words, run->said);
		test_failed = true;
	}
	free(report);
	free(run->said);
}

TEST(no_region)
{
	struct run run;

	start(&run, NULL);
	expect_refused(&run, "no region was measured");
	start(&run, "region=4");
	source_begin(run.source, 3, 0, CPU0, paging);
	source_end(run.source, 3, 0, CPU0);
	expect_refused(&run, "with that number");
}

TEST(moved)
{
	struct run run;

	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	source_end(run.source, 3, 1, CPU1);
	expect_refused(&run, "region 3 ends on CPU 1, where it did not begin");
	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	source_end(run.source, 3, 0, CPU1);
	expect_refused(&run, "moved to another CPU");
	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	source_begin(run.source, 3, 1, CPU0, paging);
	expect_refused(&run, "moved to another CPU");
}

TEST(wrong_marks)
{
	struct run run;

	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	source_begin(run.source, 4, 0, CPU0, paging);
	expect_refused(&run, "region 4 begins on CPU 0, where region 3 has not ended");
	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	source_end(run.source, 4, 0, CPU0);
	expect_refused(&run, "region 4 ends on CPU 0, where it did not begin");
	start(&run, NULL);
	source_begin(run.source, 3, 2, CPU0, paging);
	expect_refused(&run, "on CPU 2, but the guest has 2 CPUs");
	start(&run, NULL);
	source_begin(run.source, 3, 0, 0, paging);
	expect_refused(&run, "other than 64-bit code");
	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, (struct paging){ .levels = 4, .pcid = true });
	expect_refused(&run, "nopcid");
}

/* Accesses of a page that lies elsewhere than the page table says. */
static void tell_moved(struct source *source, unsigned int nr)
{
	while (nr--) {
		source_block(source, 0, &loop.block);
		source_access(source, 0, &loop.insn[0], VIRTUAL, MIB + 4096, 8, false);
	}
}

/* CR3 is not the one by which QEMU translates, or the memory is another's. */
TEST(wrong_memory)
{
	struct run run;

	start(&run, NULL);
	roots[0] = ROOT - MIB;
	source_begin(run.source, 3, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, 100);
	expect_refused(&run, "does not see the guest's memory");
	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	tell_moved(run.source, 17);
	expect_refused(&run, "does not see the guest's memory");
}

/* Another CPU moved a page after QEMU had accessed it, or is about to. */
TEST(moved_page)
{
	struct run run;
	char *report;

	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	tell_moved(run.source, 16);
	tell(run.source, 0, &loop.block, 100);
	source_end(run.source, 3, 0, CPU0);
	report = finish(&run);
	EXPECT_EQUAL(counter(report, "\nloads"), 116);
	EXPECT_EQUAL(counter(report, "\nwrong_translations"), 16);
	free(report);
	free(run.said);
}

TEST(never_ended)
{
	struct run run;
	char *report;

	start(&run, NULL);
	source_begin(run.source, 3, 0, CPU0, paging);
	tell(run.source, 0, &loop.block, 10);
	report = finish(&run);
	EXPECT_EQUAL(counter(report, "\nloads"), 10);
	EXPECT(run.size && strstr(run.said, "region 3 on CPU 0 never ended"));
	free(report);
	free(run.said);
}

TEST(refused_options)
{
	static const struct {
		char *word;
		const char *said;
	} wrong[] = {
		{ "colour=red", "there is no option 'colour=red'" },
		{ "region", "region= takes 0 to 255, not ''" },
		{ "region=256", "region= takes 0 to 255, not '256'" },
		{ "region=-1", "region= takes 0 to 255, not '-1'" },
		{ "quantum=1s", "quantum= takes a number of cycles" },
		{ "kernel=maybe", "kernel= takes yes or no, not 'maybe'" },
		{ "format=xml", "format= takes text or json, not 'xml'" },
		{ "cpus=0:", "cpus= takes the nodes of all CPUs" },
		{ "cpus=0:2", "CPU 1 is said to be of node 2, but there are 2 nodes" },
		{ "node=x", "node= takes MIB:FILE, not 'x'" },
		{ "node=1x:f", "node= takes MIB:FILE" },
		{ "lane=A=data:4", "lane A names a node that the machine does not have" },
		{ "lane=A=", "a lane is NAME" },
		{ "setting=walkers 0", "not a number from 1" },
		{ "machine=machines/none.conf", "machines/none.conf" },
		{ "machine=machines/sapphire-rapids-2s.conf", NULL },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *words[] = {
			"machine=machines/haswell-ex.conf", "cpus=0:1", "node=2:a", "node=2:b",
			"report=r", wrong[i].word,
		};
		struct options options;
		size_t size;
		char *said;
		FILE *errors = open_memstream(&said, &size);
		bool good = options_parse(&options, 6, words, errors);

		fclose(errors);
		if (good != !wrong[i].said || (!good && !strstr(said, wrong[i].said)) ||
		    (size && strchr(said, '\n') != said + size - 1)) {
			printf("# %s: %s\n", wrong[i].word, said);
			test_failed = true;
		}
		if (options.machine)
			machine_free(options.machine);
		lanes_free(&options.lanes);
		free(said);
	}
}

TEST(missing_options)
{
	static char *const words[] = {
		"machine=machines/haswell-ex.conf", "cpus=0", "node=2:a", "report=r",
	};

	for (int left_out = 0; left_out < 4; left_out++) {
		char *some[4];
		struct options options;
		size_t size;
		char *said;
		FILE *errors = open_memstream(&said, &size);
		int nr = 0;

		for (int i = 0; i < 4; i++)
			if (i != left_out)
				some[nr++] = words[i];
		EXPECT(!options_parse(&options, nr, some, errors));
		fclose(errors);
		EXPECT(strstr(said, "= is missing"));
		free(said);
	}
}

TEST_MAIN
