// SPDX-License-Identifier: GPL-2.0
/* KSM merges equal pages; a write by any node unmerges them. */
#include <sys/prctl.h>

#include "mitosis_test.h"

#define KSM	"/sys/kernel/mm/ksm/"
#define PAGES	64
#define SIZE	(PAGES * PAGE)

static void start_ksm(void)
{
	set_knob(KSM "sleep_millisecs", "10");
	set_knob(KSM "pages_to_scan", "1000");
	if (exists(KSM "smart_scan"))
		set_knob(KSM "smart_scan", "0");
	set_knob(KSM "run", "1");
}

static long merged(void)
{
	return read_number("/proc/self/ksm_merging_pages");
}

static void write_same(const struct member *member, void *arg)
{
	char *p = arg;

	for (size_t page = member->index; page < PAGES; page += nr_crew)
		memset(p + page * PAGE, 0x5a, PAGE);
}

static void expect_same(const struct member *member, void *arg)
{
	const char *p = arg;

	for (size_t page = 0; page < PAGES; page++)
		for (size_t i = 0; i < PAGE; i += 512)
			if (p[page * PAGE + i] != 0x5a)
				fail("node %d sees a change in merged page %zu", member->node, page);
}

static char *map_merged(void)
{
	char *p = map_anon(SIZE, PAGE);

	if (madvise(p, SIZE, MADV_MERGEABLE))
		skip("no KSM: %s", strerror(errno));
	on_all(write_same, p);
	start_ksm();
	if (!wait_until(merged() > PAGES / 2, 30))
		fail("KSM merged %ld of %d pages in 30 s", merged(), PAGES);
	return p;
}

TEST(merge)
{
	char *p = map_merged();

	on_all(expect_same, p);
}

TEST(write_unmerges)
{
	char *p = map_merged();

	/* A node whose copy stayed writable would change the page of all. */
	for (int i = 0; i < nr_crew; i++)
		fill_by(i, p + i * PAGE, PAGE, i);
	for (int i = 0; i < nr_crew; i++)
		expect_filled(p + i * PAGE, PAGE, i);
	check(nr_crew < PAGES);
	check_eq((unsigned char)p[SIZE - 1], 0x5a);
	fill(p, SIZE, 1);
	expect_filled(p, SIZE, 1);
}

TEST(unmerge)
{
	char *p = map_merged();

	check_ok(madvise(p, SIZE, MADV_UNMERGEABLE));
	on_all(expect_same, p);
	fill(p, SIZE, 1);
	expect_filled(p, SIZE, 1);
}

static void write_words(const struct member *member, void *arg)
{
	uint64_t *words = arg;

	for (int round = 0; round < 200; round++)
		for (size_t page = 0; page < PAGES; page++)
			words[page * PAGE / 8 + member->index]++;
}

/* Pages that are written while KSM tries to merge them lose no write. */
TEST(merge_under_writes)
{
	uint64_t *words = map_anon(SIZE, PAGE);

	if (madvise(words, SIZE, MADV_MERGEABLE))
		skip("no KSM: %s", strerror(errno));
	start_ksm();
	on_all(write_words, words);
	for (size_t page = 0; page < PAGES; page++)
		for (int i = 0; i < nr_crew; i++)
			check_eq(words[page * PAGE / 8 + i], 200);
}
