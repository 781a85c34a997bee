// SPDX-License-Identifier: GPL-2.0
/* Swap, memory pressure, ageing: what decides which pages are taken. */
#include <fcntl.h>
#include <sys/swap.h>

#include "mitosis_test.h"

#define SIZE	(4 * MB)

static long swapped_kb(const void *p, size_t size)
{
	return smaps_kb(p, size, "Swap");
}

static void page_out(void *p, size_t size)
{
	if (madvise(p, size, MADV_PAGEOUT))
		skip("MADV_PAGEOUT: %s", strerror(errno));
	if (!wait_until(swapped_kb(p, size) > (long)size / 2048, 10))
		fail("only %ld of %zu KB are swapped out", swapped_kb(p, size), size / 1024);
}

TEST(swap_out_and_in)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	need_swap(4 * SIZE);
	for (unsigned int seed = 1; seed <= 2; seed++) {
		fill(p, SIZE, seed);
		page_out(p, SIZE);
		check_tables(SELF);
		expect_filled(p, SIZE, seed);
		check_tables(SELF);
	}
}

/* A page that is read back stays in the swap cache: only a write makes the copy there stale. */
TEST(swap_after_write_by_one_node)
{
	char *p = map_anon(MB, PAGE);

	need_swap(4 * SIZE);
	fill(p, MB, 1);
	page_out(p, MB);
	expect_filled(p, MB, 1);
	for (int i = 0; i < nr_crew; i++) {
		fill_by(i, p, MB, 2 + i);
		page_out(p, MB);
		expect_filled(p, MB, 2 + i);
	}
}

static void see_swapped(void *arg)
{
	expect_filled(arg, SIZE, 1);
	fill(arg, SIZE, 2);
	expect_filled(arg, SIZE, 2);
	check_tables(SELF);
}

TEST(fork_of_swapped)
{
	char *p = map_anon(SIZE, PMD_SIZE);
	pid_t pid;

	need_swap(4 * SIZE);
	fill(p, SIZE, 1);
	page_out(p, SIZE);
	pid = start_child(see_swapped, p);
	expect_filled(p, SIZE, 1);
	end_child(pid);
	expect_filled(p, SIZE, 1);
}

TEST(swapoff_brings_back)
{
	char device[64], line[256] = "", *p = map_anon(MB, PAGE);
	FILE *file;

	need_swap(4 * SIZE);
	fill(p, MB, 1);
	page_out(p, MB);
	file = fopen("/proc/swaps", "re");
	check(file && fgets(line, sizeof(line), file));
	while (fgets(line, sizeof(line), file))
		sscanf(line, "%63s", device);
	fclose(file);
	check_ok(swapoff(device));
	check_eq(swapped_kb(p, MB), 0);
	expect_filled(p, MB, 1);
}

TEST(munmap_and_exec_of_swapped)
{
	char *p = map_anon(MB, PAGE);

	need_swap(4 * SIZE);
	fill(p, MB, 1);
	page_out(p, MB);
	check_ok(mprotect(p, MB / 2, PROT_READ));
	check(mremap(p + MB / 2, MB / 2, MB / 2, MREMAP_MAYMOVE | MREMAP_FIXED,
		     map_anon(MB / 2, PAGE)) != MAP_FAILED);
	expect_filled(p, MB / 2, 1);
	unmap(p, MB / 2);
	expect_unreadable(p, MB / 2);
}

/* Memory cgroup */

static void fill_twice(void *arg)
{
	(void)arg;
	for (unsigned int seed = 1; seed <= 2; seed++) {
		char *p = map_anon(4 * SIZE, PMD_SIZE);

		fill(p, 4 * SIZE, seed);
		expect_filled(p, 4 * SIZE, seed);
		check_tables(SELF);
		unmap(p, 4 * SIZE);
	}
}

TEST(cgroup_pressure, .timeout = 120)
{
	char group[128];
	pid_t pid;

	need_swap(16 * SIZE);
	need_cgroup(group, sizeof(group));
	check_eq(set_cgroup(group, "memory.max", "12M"), 0);
	check_eq(set_cgroup(group, "cgroup.procs", "0"), 0);
	pid = start_child(fill_twice, NULL);
	end_child(pid);
	check(read_field("/proc/vmstat", "pswpout") > 0);
	check_eq(write_file("/sys/fs/cgroup/cgroup.procs", "0"), 0);
}

/* Ageing. A page that only one node read counts as referenced. */

struct span {
	volatile char *p;
	size_t size;
};

static void read_span(const struct member *member, void *arg)
{
	struct span *span = arg;

	(void)member;
	for (size_t i = 0; i < span->size; i += PAGE)
		(void)span->p[i];
}

static void read_only_by(int index, char *p, size_t size)
{
	on_member(index, read_span, &(struct span){ p, size });
}

TEST(referenced_by_any_node)
{
	char *p = map_anon(MB, PAGE);

	fill(p, MB, 1);
	for (int i = 0; i < nr_crew; i++) {
		check_eq(write_file("/proc/self/clear_refs", "1"), 0);
		check_eq(smaps_kb(p, MB, "Referenced"), 0);
		flush_tlbs();
		read_only_by(i, p, MB / 2);
		if (smaps_kb(p, MB, "Referenced") != 512)
			fail("node %d read 512 KB, %ld KB are referenced", crew[i].node,
			     smaps_kb(p, MB, "Referenced"));
	}
}

/* A huge page counts as referenced as a whole. */
TEST(huge_page_referenced_by_any_node)
{
	char *p = map_anon(PMD_SIZE, PMD_SIZE);

	set_knob("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	check_ok(madvise(p, PMD_SIZE, MADV_HUGEPAGE));
	fill(p, PMD_SIZE, 1);
	if (smaps_kb(p, PMD_SIZE, "AnonHugePages") != PMD_SIZE / 1024)
		skip("no huge page to be had");
	for (int i = 0; i < nr_crew; i++) {
		check_eq(write_file("/proc/self/clear_refs", "1"), 0);
		check_eq(smaps_kb(p, PMD_SIZE, "Referenced"), 0);
		flush_tlbs();
		read_only_by(i, p, PAGE);
		check_eq(smaps_kb(p, PMD_SIZE, "Referenced"), PMD_SIZE / 1024);
	}
}

#define IDLE	"/sys/kernel/mm/page_idle/bitmap"

static void set_idle(uint64_t pfn)
{
	uint64_t word = 1ULL << pfn % 64;
	int fd = open(IDLE, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		skip("no page idle tracking (CONFIG_IDLE_PAGE_TRACKING)");
	check_eq(pwrite(fd, &word, 8, pfn / 64 * 8), 8);
	close(fd);
}

static bool is_idle(uint64_t pfn)
{
	return kpage_word(IDLE, pfn / 64) >> pfn % 64 & 1;
}

/* Only a page that is on an LRU list can be idle. */
static bool becomes_idle(uint64_t pfn)
{
	drain_lists();
	set_idle(pfn);
	return is_idle(pfn);
}

TEST(idle_until_any_node_reads)
{
	char *p = map_anon(PAGE, PAGE);

	fill(p, PAGE, 1);
	for (int i = 0; i < nr_crew; i++) {
		uint64_t pfn = PAGEMAP_PFN(pagemap(p));

		if (!wait_until(becomes_idle(pfn), 5))
			skip("the page cannot be marked idle");
		flush_tlbs();
		read_only_by(i, p, PAGE);
		if (is_idle(pfn))
			fail("node %d read the page, it still counts as idle", crew[i].node);
	}
}

/* Return a member whose copy of the table that maps @p is not the primary, or skip. */
static int far_reader(const void *p)
{
	struct entry entries[256];
	int nr = read_entries(SELF, p, entries, ARRAY_SIZE(entries));

	for (int i = 0; i < nr; i++)
		if (entries[i].level == 1 && !entries[i].primary && member_of_node(entries[i].node) >= 0)
			return member_of_node(entries[i].node);
	skip("no node has a copy of its own under policy '%s'", test_policy);
}

/* The multi-generational LRU */

#define LRU_GEN	"/sys/kernel/debug/lru_gen"

/* "  GENERATION  AGE  ANON  FILE", with a letter behind a number that is not exact. */
static bool generation_line(const char *line, long *generation, long *anon)
{
	long age;

	return sscanf(line, " %ld %ld %ld", generation, &age, anon) == 3;
}

/*
 * Return the newest generation of a group's pages on a node, -1 if none, and how many anonymous
 * pages are young: in it, or in the one before, where ageing puts what was used until then.
 */
static long newest_generation(unsigned int id, int node, long *young)
{
	FILE *file = fopen(LRU_GEN, "re");
	bool in_group = false, on_node = false;
	long newest = -1, before = 0, generation, anon;
	unsigned int seen;
	char line[512];

	if (!file)
		skip("no %s (CONFIG_LRU_GEN)", LRU_GEN);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "memcg %u", &seen) == 1) {
			in_group = seen == id;
		} else if (sscanf(line, " node %u", &seen) == 1) {
			on_node = (int)seen == node;
		} else if (in_group && on_node && generation_line(line, &generation, &anon) &&
			   generation > newest) {
			newest = generation;
			*young = before + anon;
			before = anon;
		}
	}
	fclose(file);
	return newest;
}

static unsigned int group_in_lru_gen(const char *group)
{
	FILE *file = fopen(LRU_GEN, "re");
	unsigned int id = 0, last = 0;
	const char *name = group + strlen("/sys/fs/cgroup");
	char line[512];

	if (!file)
		skip("no %s (CONFIG_LRU_GEN)", LRU_GEN);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memcg %u", &last) == 1 && strstr(line, name))
			id = last;
	fclose(file);
	return id;
}

static void age_all_nodes(unsigned int id)
{
	char command[64];

	for (int i = 0; i < full_nodes()->nr; i++) {
		int node = full_nodes()->id[i];
		long young, newest = newest_generation(id, node, &young);

		if (newest < 0)
			continue;
		snprintf(command, sizeof(command), "+%u %d %ld\n", id, node, newest);
		check_eq(write_file(LRU_GEN, command), 0);
	}
}

/* Return how many of the group's anonymous pages are young. */
static long young_pages(unsigned int id)
{
	long sum = 0;

	for (int i = 0; i < full_nodes()->nr; i++) {
		long young = 0;

		newest_generation(id, full_nodes()->id[i], &young);
		sum += young;
	}
	return sum;
}

TEST(lru_gen_ages)
{
	char group[128], *p;
	unsigned int id;
	int error, reader;
	long idle, used;

	need_nodes(2);
	need_swap(4 * SIZE);
	need_cgroup(group, sizeof(group));
	check_eq(set_cgroup(group, "cgroup.procs", "0"), 0);
	id = group_in_lru_gen(group);
	if (!id)
		skip("the group is not in %s", LRU_GEN);
	p = map_anon(SIZE, PMD_SIZE);
	check_ok(madvise(p, SIZE, MADV_NOHUGEPAGE));
	fill(p, SIZE, 1);
	drain_lists();
	reader = far_reader(p);
	/* Pages that nobody uses grow old, those that one node reads through its copy stay young. */
	for (int i = 0; i < 3; i++) {
		flush_tlbs();
		age_all_nodes(id);
		flush_tlbs();
		age_all_nodes(id);
		idle = young_pages(id);
		flush_tlbs();
		read_only_by(reader, p, SIZE);
		age_all_nodes(id);
		used = young_pages(id);
		note("%ld pages are young when nobody reads, %ld when node %d does", idle, used,
		     crew[reader].node);
		if (used < idle + (long)(SIZE / PAGE / 2))
			fail("node %d has read %lu pages, %ld more are young", crew[reader].node,
			     SIZE / PAGE, used - idle);
		check_tables(SELF);
	}
	error = set_cgroup(group, "memory.reclaim", "2M");
	check(!error || error == EAGAIN);
	expect_filled(p, SIZE, 1);
	check_eq(write_file("/sys/fs/cgroup/cgroup.procs", "0"), 0);
}

/* DAMON watches this process for a while. */

#define DAMON	"/sys/kernel/mm/damon/admin/kdamonds/"

static void damon(const char *file, const char *text)
{
	char path[256];
	int error;

	snprintf(path, sizeof(path), DAMON "%s", file);
	error = write_file(path, text);
	if (error)
		skip("%s: %s", path, strerror(error));
}

static void damon_number(const char *file, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	damon(file, text);
}

/* Have DAMON watch one range of this process, and count how often each part is seen in use. */
static void watch(const char *p, size_t size)
{
	set_knob(DAMON "nr_kdamonds", "1");
	damon("0/contexts/nr_contexts", "1");
	damon("0/contexts/0/operations", "fvaddr");
	damon("0/contexts/0/targets/nr_targets", "1");
	damon_number("0/contexts/0/targets/0/pid_target", getpid());
	damon("0/contexts/0/targets/0/regions/nr_regions", "1");
	damon_number("0/contexts/0/targets/0/regions/0/start", (uintptr_t)p);
	damon_number("0/contexts/0/targets/0/regions/0/end", (uintptr_t)p + size);
	damon("0/contexts/0/schemes/nr_schemes", "1");
	damon("0/contexts/0/schemes/0/action", "stat");
	damon_number("0/contexts/0/schemes/0/access_pattern/sz/max", -1UL);
	damon_number("0/contexts/0/schemes/0/access_pattern/nr_accesses/max", -1U);
	damon_number("0/contexts/0/schemes/0/access_pattern/age/max", -1U);
	damon("0/state", "on");
}

/* Return the largest number of accesses that DAMON has seen in a region. */
static long accesses_seen(void)
{
	char path[256];
	long most = -1;

	damon("0/state", "update_schemes_tried_regions");
	for (int i = 0; i < 1000; i++) {
		long accesses;

		snprintf(path, sizeof(path), DAMON "0/contexts/0/schemes/0/tried_regions/%d/nr_accesses", i);
		accesses = read_number(path);
		if (accesses < 0)
			break;
		most = accesses > most ? accesses : most;
	}
	return most;
}

static bool reading_ends;

/* A TLB that knows the page already sets no bit again: flush it as well. */
static void keep_reading(const struct member *member, void *arg)
{
	char *flush = map_anon(64 * PAGE, PAGE);

	while (!__atomic_load_n(&reading_ends, __ATOMIC_RELAXED)) {
		if (!filled_here(arg, MB, 1))
			fail("node %d reads something else", member->node);
		fill_here(flush, 64 * PAGE, 1);
		check_ok(madvise(flush, 64 * PAGE, MADV_DONTNEED));
	}
}

struct one_reader {
	char *p;
	int index;
};

static void read_if_chosen(const struct member *member, void *arg)
{
	struct one_reader *reader = arg;

	if (member->index == reader->index)
		keep_reading(member, reader->p);
}

/* One node reads, through a copy of its own. */
TEST(damon_watches)
{
	struct one_reader reader = { .p = map_anon(MB, PAGE) };

	if (!exists(DAMON "nr_kdamonds"))
		skip("no DAMON (CONFIG_DAMON_SYSFS)");
	need_nodes(2);
	check_ok(madvise(reader.p, MB, MADV_NOHUGEPAGE));
	fill(reader.p, MB, 1);
	reader.index = far_reader(reader.p);
	watch(reader.p, MB);
	usleep(500000);
	flush_tlbs();
	if (!wait_until(accesses_seen() == 0, 10))
		fail("nobody reads, DAMON sees %ld accesses", accesses_seen());
	crew_begin(read_if_chosen, &reader);
	if (!wait_until(accesses_seen() > 2, 10))
		fail("node %d reads all the time, DAMON sees %ld accesses", crew[reader.index].node,
		     accesses_seen());
	check_tables(SELF);
	__atomic_store_n(&reading_ends, true, __ATOMIC_RELAXED);
	crew_end();
	damon("0/state", "off");
	expect_filled(reader.p, MB, 1);
}
