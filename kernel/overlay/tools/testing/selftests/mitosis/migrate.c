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

TEST(compaction)
{
	static struct counters counters;
	char *p = map_anon(32 * MB, PMD_SIZE);
	long before = read_field("/proc/vmstat", "compact_migrate_scanned");

	if (before < 0 || !exists("/proc/sys/vm/compact_memory"))
		skip("no compaction");
	fill(p, 32 * MB, 1);
	/* Holes for pages to move to and from. */
	for (size_t i = 0; i < 32 * MB; i += 2 * PAGE)
		check_ok(madvise(p + i, PAGE, MADV_DONTNEED));
	counters.words = map_anon(64 * PAGE, PAGE);
	counters.pages = 64;
	memset(counters.words, 0, 64 * PAGE);
	crew_begin(count_up, &counters);
	check_eq(write_file("/proc/sys/vm/compact_memory", "1"), 0);
	check_counters(&counters);
	check(read_field("/proc/vmstat", "compact_migrate_scanned") > before);
	for (size_t i = PAGE; i < 32 * MB; i += 2 * PAGE)
		if (*(uint64_t *)(p + i + i / PAGE * 8 % PAGE) != pattern(1, i / PAGE))
			fail("page %zu has changed", i / PAGE);
}

#define BALANCING	"/sys/kernel/debug/sched/numa_balancing/"

static void start_balancing(void)
{
	set_knob("/proc/sys/kernel/numa_balancing", "1");
	set_knob(BALANCING "scan_delay_ms", "10");
	set_knob(BALANCING "scan_period_min_ms", "20");
	set_knob(BALANCING "scan_period_max_ms", "100");
}

/* Pages are made inaccessible in all copies so that the next access tells where it is used. */
TEST(numa_balancing)
{
	static struct counters counters;
	long hints = read_field("/proc/vmstat", "numa_hint_faults");

	need_nodes(2);
	start_balancing();
	counters.words = map_anon(256 * PAGE, PMD_SIZE);
	counters.pages = 256;
	memset(counters.words, 0, 256 * PAGE);
	crew_begin(count_up, &counters);
	if (!wait_until(read_field("/proc/vmstat", "numa_hint_faults") > hints + 500, 30))
		note("only %ld hinting faults", read_field("/proc/vmstat", "numa_hint_faults") - hints);
	check_tables(SELF);
	check_counters(&counters);
	check(read_field("/proc/vmstat", "numa_hint_faults") > hints);
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
