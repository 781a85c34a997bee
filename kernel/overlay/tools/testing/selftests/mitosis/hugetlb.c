// SPDX-License-Identifier: GPL-2.0
/* HugeTLB pages of 2 MB and 1 GB, and page tables that processes share. */
#include <fcntl.h>
#include <linux/mman.h>

#include "mitosis_test.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21U << 26)
#endif

#define POOL	"/sys/kernel/mm/hugepages/hugepages-"

struct kind {
	size_t size;
	unsigned int map_flag;
	const char *pool;
	int level;
};

static const struct kind two_mb = { PMD_SIZE, MAP_HUGE_2MB, POOL "2048kB/nr_hugepages", 2 };
static const struct kind one_gb = { PUD_SIZE, MAP_HUGE_1GB, POOL "1048576kB/nr_hugepages", 3 };

static void need_pages(const struct kind *kind, int nr)
{
	long had = read_number(kind->pool);
	char text[32];

	if (had >= nr)
		return;
	snprintf(text, sizeof(text), "%d", nr);
	set_knob(kind->pool, text);
	if (read_number(kind->pool) < nr)
		skip("only %ld of %d pages of %zu MB to be had", read_number(kind->pool), nr,
		     kind->size / MB);
}

static char *map_pages(const struct kind *kind, int nr)
{
	char *p;

	need_pages(kind, nr);
	p = mmap(NULL, nr * kind->size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | kind->map_flag, -1, 0);
	if (p == MAP_FAILED)
		skip("no pages of %zu MB: %s", kind->size / MB, strerror(errno));
	return p;
}

/* Call on the start of each page; the rest of a page of 1 GB would take too long. */
static void call_on_pages(const struct kind *kind, char *p, int nr,
			  void (*call)(void *, size_t, unsigned int), unsigned int seed)
{
	for (int i = 0; i < nr; i++)
		call(p + i * kind->size, PMD_SIZE, seed + i);
}

static void expect_page(void *p, size_t size, unsigned int seed)
{
	expect_filled(p, size, seed);
}

static void check_life(const struct kind *kind, int nr)
{
	char *p = map_pages(kind, nr);

	call_on_pages(kind, p, nr, fill, 1);
	if (!without_mitosis)
		check_eq(leaf_level(SELF, p), kind->level);
	call_on_pages(kind, p, nr, expect_page, 1);
	check_tables(SELF);
	check_ok(mprotect(p, nr * kind->size, PROT_READ));
	for (int i = 0; i < nr; i++)
		expect_unwritable(p + i * kind->size, 16 * PAGE);
	check_ok(mprotect(p, nr * kind->size, PROT_READ | PROT_WRITE));
	call_on_pages(kind, p, nr, fill, 10);
	call_on_pages(kind, p, nr, expect_page, 10);
	check_ok(madvise(p, kind->size, MADV_DONTNEED));
	expect_zero(p, 16 * PAGE);
	unmap(p, nr * kind->size);
	expect_unreadable(p, 16 * PAGE);
}

TEST(life_2m)
{
	check_life(&two_mb, 4);
}

TEST(life_1g, .timeout = 120)
{
	check_life(&one_gb, 1);
}

struct family {
	const struct kind *kind;
	char *p;
	int nr;
	int *stage;
};

static void keep_own_copy(void *arg)
{
	struct family *family = arg;

	set_stage(family->stage, 1);
	await_stage(family->stage, 2);
	call_on_pages(family->kind, family->p, family->nr, expect_page, 1);
	check_tables(SELF);
}

static void check_fork(const struct kind *kind, int nr)
{
	struct family family = { .kind = kind, .nr = nr, .stage = new_stage() };
	pid_t pid;

	need_pages(kind, 2 * nr);
	family.p = map_pages(kind, nr);
	call_on_pages(kind, family.p, nr, fill, 1);
	pid = start_child(keep_own_copy, &family);
	await_stage(family.stage, 1);
	call_on_pages(kind, family.p, nr, fill, 20);
	set_stage(family.stage, 2);
	call_on_pages(kind, family.p, nr, expect_page, 20);
	end_child(pid);
}

TEST(fork_2m)
{
	check_fork(&two_mb, 3);
}

TEST(fork_1g, .timeout = 300)
{
	check_fork(&one_gb, 1);
}

TEST(mremap_2m)
{
	char *p = map_pages(&two_mb, 2), *q;

	call_on_pages(&two_mb, p, 2, fill, 1);
	q = mremap(p, 2 * PMD_SIZE, 2 * PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   map_anon(2 * PMD_SIZE, PMD_SIZE));
	if (q == MAP_FAILED)
		skip("mremap of huge pages: %s", strerror(errno));
	call_on_pages(&two_mb, q, 2, expect_page, 1);
	expect_unreadable(p, 16 * PAGE);
}

/*
 * Shared page tables. Processes that map the same GB of a file share the table of its pages of
 * 2 MB; one is replicated, the other is not.
 */
#define SHARED_PAGES	4

struct sharing {
	int fd;
	char *p;
	int *stage;
	uint64_t *table;
};

/* Return which table maps the pages: the entry of the level above, flags left out. */
static uint64_t table_of(const void *p)
{
	struct entry entries[256];
	int nr = read_entries(SELF, p, entries, ARRAY_SIZE(entries));

	for (int i = 0; i < nr; i++)
		if (entries[i].level == 3 && entries[i].primary)
			return entries[i].raw & 0x000ffffffffff000ULL;
	return 0;
}

static char *map_shared(int fd)
{
	char *p = map_anon(PUD_SIZE, PUD_SIZE);

	if (mmap(p, PUD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) != p)
		skip("cannot map a GB of huge pages: %s", strerror(errno));
	return p;
}

static struct sharing new_sharing(void)
{
	struct sharing sharing = { .stage = new_stage() };

	need_pages(&two_mb, SHARED_PAGES);
	sharing.table = (uint64_t *)(sharing.stage + 64);
	sharing.fd = memfd_create("mitosis", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	if (sharing.fd < 0)
		skip("no huge memfd: %s", strerror(errno));
	check_ok(ftruncate(sharing.fd, PUD_SIZE));
	sharing.p = map_shared(sharing.fd);
	call_on_pages(&two_mb, sharing.p, SHARED_PAGES, fill, 1);
	return sharing;
}

static void share_without_policy(void *arg)
{
	struct sharing *sharing = arg;

	must_set_policy(SELF, "none");
	call_on_pages(&two_mb, sharing->p, SHARED_PAGES, expect_page, 1);
	*sharing->table = table_of(sharing->p);
	set_stage(sharing->stage, 1);
	await_stage(sharing->stage, 2);
	call_on_pages(&two_mb, sharing->p, SHARED_PAGES, expect_page, 2);
	call_on_pages(&two_mb, sharing->p, SHARED_PAGES, fill, 3);
	check_tables(SELF);
	set_stage(sharing->stage, 3);
	await_stage(sharing->stage, 4);
	call_on_pages(&two_mb, sharing->p, SHARED_PAGES, expect_page, 3);
}

static pid_t start_sharing(struct sharing *sharing)
{
	pid_t pid = start_child(share_without_policy, sharing);

	await_stage(sharing->stage, 1);
	if (table_of(sharing->p) != *sharing->table)
		skip("the kernel does not share the page tables of huge pages");
	check_tables(SELF);
	call_on_pages(&two_mb, sharing->p, SHARED_PAGES, fill, 2);
	set_stage(sharing->stage, 2);
	await_stage(sharing->stage, 3);
	call_on_pages(&two_mb, sharing->p, SHARED_PAGES, expect_page, 3);
	check_tables(SELF);
	return pid;
}

TEST(shared_tables)
{
	struct sharing sharing = new_sharing();
	pid_t pid = start_sharing(&sharing);

	unmap(sharing.p, PUD_SIZE);
	expect_unreadable(sharing.p, 16 * PAGE);
	set_stage(sharing.stage, 4);
	end_child(pid);
}

TEST(shared_tables_unshared)
{
	struct sharing sharing = new_sharing();
	pid_t pid = start_sharing(&sharing);

	check_ok(mprotect(sharing.p, PUD_SIZE, PROT_READ));
	check(table_of(sharing.p) != *sharing.table);
	expect_unwritable(sharing.p, 16 * PAGE);
	check_tables(SELF);
	set_stage(sharing.stage, 4);
	end_child(pid);
	check_ok(mprotect(sharing.p, PUD_SIZE, PROT_READ | PROT_WRITE));
	call_on_pages(&two_mb, sharing.p, SHARED_PAGES, expect_page, 3);
}

TEST(shared_tables_policy_changes)
{
	struct sharing sharing = new_sharing();
	pid_t pid = start_sharing(&sharing);

	for (int i = 0; i < 3; i++) {
		must_set_policy(SELF, "none");
		call_on_pages(&two_mb, sharing.p, SHARED_PAGES, expect_page, 3);
		must_set_policy(SELF, "replicate all");
		call_on_pages(&two_mb, sharing.p, SHARED_PAGES, expect_page, 3);
		must_set_policy(pid, i % 2 ? "none" : "replicate all");
		check_tables(SELF);
		check_tables(pid);
	}
	set_stage(sharing.stage, 4);
	end_child(pid);
	call_on_pages(&two_mb, sharing.p, SHARED_PAGES, expect_page, 3);
}

TEST(truncate_shared)
{
	struct sharing sharing = new_sharing();

	check_ok(ftruncate(sharing.fd, PMD_SIZE));
	expect_unreadable(sharing.p + PMD_SIZE, 16 * PAGE);
	expect_filled(sharing.p, PMD_SIZE, 1);
}

/* One process maps the same GB twice and walks to the same table from both places. */
struct twice {
	char *at[2];
};

static struct twice map_twice(void)
{
	struct sharing sharing = new_sharing();
	struct twice twice = { { sharing.p, map_shared(sharing.fd) } };

	call_on_pages(&two_mb, twice.at[1], SHARED_PAGES, expect_page, 1);
	if (table_of(twice.at[0]) != table_of(twice.at[1]))
		skip("the kernel does not share the page tables of huge pages");
	check_tables(SELF);
	return twice;
}

static void expect_both(const struct twice *twice, unsigned int seed)
{
	for (int i = 0; i < 2; i++)
		call_on_pages(&two_mb, twice->at[i], SHARED_PAGES, expect_page, seed);
}

/* A change that was interrupted is finished by the worker. */
static void expect_settled(void)
{
	check_eq(verify(SELF).mismatches, 0);
	check(wait_until(!verify(SELF).nonlocal, 10));
	check_tables(SELF);
}

static bool change_under_signals(const char *policy)
{
	int error;

	send_signals(true);
	error = set_policy(SELF, policy);
	send_signals(false);
	if (error && error != EINTR)
		fail("a signal makes the write fail: %s", strerror(error));
	return error == EINTR;
}

/* Enough other tables that a signal finds the change on its way. */
#define OTHER_TABLES	768

static void change_twice_mapped(struct twice *twice)
{
	char *p = map_anon(OTHER_TABLES * PMD_SIZE, PMD_SIZE);
	int interrupted = 0;

	for (size_t i = 0; i < OTHER_TABLES; i++)
		fill_here(p + i * PMD_SIZE, PAGE, i);
	for (int i = 0; i < 8; i++) {
		interrupted += change_under_signals("none");
		call_on_pages(&two_mb, twice->at[i % 2], SHARED_PAGES, fill, 100 + i);
		expect_both(twice, 100 + i);
		interrupted += change_under_signals(test_policy);
		expect_both(twice, 100 + i);
		expect_settled();
		if (table_of(twice->at[0]) != table_of(twice->at[1]))
			fail("the table is shared no more");
	}
	note("%d of 16 changes were interrupted", interrupted);
	check(interrupted > 0);
	unmap(p, OTHER_TABLES * PMD_SIZE);
}

static void check_twice(int first)
{
	struct twice twice;
	long before;

	if (without_mitosis)
		skip("changes policies");
	need_nodes(2);
	before = replica_bytes_of_all();
	twice = map_twice();
	change_twice_mapped(&twice);
	unmap(twice.at[first], PUD_SIZE);
	expect_unreadable(twice.at[first], 16 * PAGE);
	call_on_pages(&two_mb, twice.at[!first], SHARED_PAGES, expect_page, 107);
	check_tables(SELF);
	/* Only one place is left: the table may be copied again. */
	must_set_policy(SELF, "none");
	call_on_pages(&two_mb, twice.at[!first], SHARED_PAGES, fill, 200);
	must_set_policy(SELF, test_policy);
	call_on_pages(&two_mb, twice.at[!first], SHARED_PAGES, expect_page, 200);
	check_tables(SELF);
	unmap(twice.at[!first], PUD_SIZE);
	expect_unreadable(twice.at[!first], 16 * PAGE);
	/* Some tables of small things are here to stay. */
	expect_no_leak(before + 16 * full_nodes()->nr * (long)PAGE);
}

TEST(mapped_twice, .timeout = 120)
{
	check_twice(0);
}

TEST(mapped_twice_reverse, .timeout = 120)
{
	check_twice(1);
}

/*
 * Processes that come and go while the table lives on: each maps it while the one before still
 * does, is alone for a while, and leaves it to the next. What they leave behind must not add up.
 */
#define RELAY	16

enum turn { SHARES = 1, ALONE, CHANGED, OVER };

struct relay {
	int fd;
	int *turn;
};

static void run_leg(void *arg)
{
	struct relay *relay = arg;
	char *p = map_shared(relay->fd);

	expect_policy(SELF, "none");
	must_set_policy(SELF, test_policy);
	call_on_pages(&two_mb, p, SHARED_PAGES, expect_page, 1);
	check_tables(SELF);
	set_stage(relay->turn, SHARES);
	await_stage(relay->turn, ALONE);
	must_set_policy(SELF, "none");
	must_set_policy(SELF, test_policy);
	call_on_pages(&two_mb, p, SHARED_PAGES, expect_page, 1);
	check_tables(SELF);
	set_stage(relay->turn, CHANGED);
	await_stage(relay->turn, OVER);
}

static void end_leg(pid_t pid, int *turn)
{
	set_stage(turn, OVER);
	end_child(pid);
}

TEST(shared_in_turn, .timeout = 180)
{
	struct sharing sharing;
	struct relay relay;
	long before, early = 0;
	pid_t last = 0;

	if (without_mitosis)
		skip("changes policies");
	need_nodes(2);
	must_set_policy(SELF, "none");
	before = replica_bytes_of_all();
	sharing = new_sharing();
	unmap(sharing.p, PUD_SIZE);
	for (int i = 0; i < RELAY; i++) {
		pid_t pid;

		relay = (struct relay){ sharing.fd, sharing.stage + i };
		pid = start_child(run_leg, &relay);
		await_stage(relay.turn, SHARES);
		if (last)
			end_leg(last, relay.turn - 1);
		set_stage(relay.turn, ALONE);
		await_stage(relay.turn, CHANGED);
		if (i == 2)
			early = replica_bytes_of_all();
		last = pid;
	}
	check(early > 0);
	expect_no_leak(early + 2 * full_nodes()->nr * (long)PAGE);
	end_leg(last, relay.turn);
	expect_no_leak(before);
	must_set_policy(SELF, test_policy);
}
