// SPDX-License-Identifier: GPL-2.0
/* Pages that move between nodes: move_pages, migrate_pages, compaction, NUMA balancing. */
#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "mitosis_test.h"

#define SIZE	(2 * MB)

static void move_to(char *p, size_t size, int node)
{
	size_t nr = size / PAGE, moved = 0;
	void *pages[SIZE / PAGE];
	int nodes[SIZE / PAGE], status[SIZE / PAGE];

	for (size_t i = 0; i < nr; i++) {
		pages[i] = p + i * PAGE;
		nodes[i] = node;
	}
	check_ok(syscall(SYS_move_pages, 0, nr, pages, nodes, status, MPOL_MF_MOVE));
	/* A page may be busy with another migration for a moment. */
	for (size_t i = 0; i < nr; i++)
		moved += status[i] == node;
	if (moved <= nr / 2)
		fail("only %zu of %zu pages are on node %d", moved, nr, node);
}

TEST(move_pages_to_each_node)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	need_nodes(2);
	for (int i = 0; i < full_nodes()->nr; i++) {
		fill(p, SIZE, i + 1);
		move_to(p, SIZE, full_nodes()->id[i]);
		check_tables(SELF);
		expect_filled(p, SIZE, i + 1);
	}
}

TEST(move_huge_pages)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	need_nodes(2);
	set_knob("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	set_knob("/sys/kernel/mm/transparent_hugepage/defrag", "madvise");
	check_ok(madvise(p, SIZE, MADV_HUGEPAGE));
	fill(p, SIZE, 1);
	if (smaps_kb(p, SIZE, "AnonHugePages") != SIZE / 1024)
		skip("no huge pages to be had");
	for (int i = 0; i < full_nodes()->nr; i++) {
		move_to(p, PAGE, full_nodes()->id[i]);
		check_tables(SELF);
		expect_filled(p, SIZE, 1);
	}
	fill(p, SIZE, 2);
	expect_filled(p, SIZE, 2);
}

struct counters {
	uint64_t *words;
	size_t pages;
	bool stop;
	uint64_t rounds[1024];
};

static void count_up(const struct member *member, void *arg)
{
	struct counters *counters = arg;

	while (!__atomic_load_n(&counters->stop, __ATOMIC_RELAXED)) {
		for (size_t page = 0; page < counters->pages; page++)
			counters->words[page * PAGE / 8 + member->index]++;
		counters->rounds[member->index]++;
	}
}

static void check_counters(struct counters *counters)
{
	__atomic_store_n(&counters->stop, true, __ATOMIC_RELAXED);
	crew_end();
	for (size_t page = 0; page < counters->pages; page++)
		for (int i = 0; i < nr_crew; i++)
			check_eq(counters->words[page * PAGE / 8 + i], counters->rounds[i]);
}

/* A page that moves while a node can still write to its old place loses what is written. */
TEST(move_pages_under_writes)
{
	static struct counters counters;

	need_nodes(2);
	counters.words = map_anon(64 * PAGE, PAGE);
	counters.pages = 64;
	memset(counters.words, 0, 64 * PAGE);
	crew_begin(count_up, &counters);
	for (int i = 0; i < 40; i++)
		move_to((char *)counters.words, 64 * PAGE, full_nodes()->id[i % full_nodes()->nr]);
	check_counters(&counters);
}

static void migrate_process(int from, int to)
{
	unsigned long old[16] = { 0 }, new[16] = { 0 };

	old[from / 64] |= 1UL << from % 64;
	new[to / 64] |= 1UL << to % 64;
	check_ok(syscall(SYS_migrate_pages, 0, 8 * sizeof(old), old, new));
}

TEST(migrate_whole_process)
{
	char *p = map_anon(SIZE, PMD_SIZE);
	const struct nodes *nodes = full_nodes();

	need_nodes(2);
	fill_by(member_of_node(nodes->id[0]), p, SIZE, 1);
	for (int i = 0; i + 1 < nodes->nr; i++) {
		migrate_process(nodes->id[i], nodes->id[i + 1]);
		check_eq(node_of_page(p), nodes->id[i + 1]);
		check_tables(SELF);
		/* From the node where it is now, so that NUMA balancing leaves it there. */
		fill_by(member_of_node(nodes->id[i + 1]), p, SIZE, 2 + i);
	}
	expect_filled(p, SIZE, nodes->nr);
}

#define SCATTERED	(64 * MB)

/* Remember where every other page lies; the holes between are for pages to move to. */
static uint64_t *frames_of(const char *p)
{
	uint64_t *frames = calloc(SCATTERED / PAGE, sizeof(*frames));

	check(frames);
	for (size_t page = 1; page < SCATTERED / PAGE; page += 2)
		frames[page] = PAGEMAP_PFN(pagemap(p + page * PAGE));
	return frames;
}

static long moved_since(const char *p, const uint64_t *frames)
{
	long moved = 0;

	for (size_t page = 1; page < SCATTERED / PAGE; page += 2)
		moved += PAGEMAP_PFN(pagemap(p + page * PAGE)) != frames[page];
	return moved;
}

struct scattered {
	char *p;
	struct counters counters;
};

/* Every other page, while the rest of the members count in theirs. */
static void check_scattered(const struct member *member, const char *p)
{
	for (size_t page = 1; page < SCATTERED / PAGE; page += 2) {
		uint64_t word = *(volatile uint64_t *)(p + page * PAGE + page * 8 % PAGE);

		if (word != pattern(1, page))
			fail("node %d sees another value in page %zu", member->node, page);
	}
}

/* Live users: each node reads all pages and writes a word of its own in some, again and again. */
static void use_scattered(const struct member *member, void *arg)
{
	struct scattered *scattered = arg;
	struct counters *counters = &scattered->counters;

	while (!__atomic_load_n(&counters->stop, __ATOMIC_RELAXED)) {
		for (size_t page = 0; page < counters->pages; page++)
			counters->words[page * PAGE / 8 + member->index]++;
		counters->rounds[member->index]++;
		check_scattered(member, scattered->p);
	}
}

static void see_scattered(const struct member *member, void *arg)
{
	check_scattered(member, arg);
}

TEST(compaction, .timeout = 120)
{
	static struct scattered scattered;
	uint64_t *frames;
	long moved;
	char *p;

	if (!exists("/proc/sys/vm/compact_memory"))
		skip("no /proc/sys/vm/compact_memory (CONFIG_COMPACTION, CONFIG_PROC_SYSCTL)");
	/* It moves pages as well. */
	stop_balancing();
	p = map_anon(SCATTERED, PMD_SIZE);
	check_ok(madvise(p, SCATTERED, MADV_NOHUGEPAGE));
	fill(p, SCATTERED, 1);
	for (size_t i = 0; i < SCATTERED; i += 2 * PAGE)
		check_ok(madvise(p + i, PAGE, MADV_DONTNEED));
	drain_lists();
	frames = frames_of(p);
	scattered.p = p;
	scattered.counters.words = map_anon(64 * PAGE, PAGE);
	scattered.counters.pages = 64;
	memset(scattered.counters.words, 0, 64 * PAGE);
	crew_begin(use_scattered, &scattered);
	for (int i = 0; i < 4; i++)
		check_eq(write_file("/proc/sys/vm/compact_memory", "1"), 0);
	moved = moved_since(p, frames);
	check_tables(SELF);
	check_counters(&scattered.counters);
	note("%ld of %lu pages have moved", moved, SCATTERED / PAGE / 2);
	if (!moved)
		fail("compaction has moved no page");
	on_all(see_scattered, p);
}

#define BALANCING	"/sys/kernel/debug/sched/numa_balancing/"

static void start_balancing(void)
{
	if (!exists("/proc/sys/kernel/numa_balancing"))
		skip("no /proc/sys/kernel/numa_balancing (CONFIG_NUMA_BALANCING, CONFIG_PROC_SYSCTL)");
	if (!exists(BALANCING "scan_delay_ms"))
		skip("no " BALANCING " (CONFIG_SCHED_DEBUG)");
	set_knob("/proc/sys/kernel/numa_balancing", "1");
	set_knob(BALANCING "scan_delay_ms", "10");
	set_knob(BALANCING "scan_period_min_ms", "20");
	set_knob(BALANCING "scan_period_max_ms", "100");
}

static void count_under_balancing(const struct member *member, void *arg)
{
	struct counters *counters = arg;

	while (!__atomic_load_n(&counters->stop, __ATOMIC_RELAXED)) {
		for (size_t page = 0; page < counters->pages; page++)
			counters->words[page * PAGE / 8 + member->index]++;
		counters->rounds[member->index]++;
	}
}

static long hinting_faults(void)
{
	return read_field("/proc/vmstat", "numa_hint_faults");
}

/*
 * Pages are made inaccessible in all copies so that the next access tells where it is used, and
 * move there: a node whose copy was left out would go on with the page that was given back.
 */
TEST(numa_balancing, .timeout = 180)
{
	static struct counters counters;
	long before;

	need_nodes(2);
	start_balancing();
	counters.words = map_anon(256 * PAGE, PMD_SIZE);
	counters.pages = 256;
	memset(counters.words, 0, 256 * PAGE);
	before = hinting_faults();
	crew_begin(count_under_balancing, &counters);
	if (!wait_until(hinting_faults() >= before + 256, 120))
		fail("%ld hinting faults in 120 s", hinting_faults() - before);
	check_tables(SELF);
	check_counters(&counters);
	check_tables(SELF);
}

/* Pages that a new policy for data moves. */
TEST(mbind_moves)
{
	char *p = map_anon(SIZE, PMD_SIZE);
	unsigned long mask[16] = { 0 };
	int node;

	need_nodes(2);
	node = full_nodes()->id[1];
	mask[node / 64] |= 1UL << node % 64;
	fill_by(0, p, SIZE, 1);
	check_ok(syscall(SYS_mbind, p, SIZE, MPOL_BIND, mask, 8 * sizeof(mask),
			 MPOL_MF_MOVE | MPOL_MF_STRICT));
	check_eq(node_of_page(p), node);
	expect_filled(p, SIZE, 1);
	fill(p, SIZE, 2);
	expect_filled(p, SIZE, 2);
}
