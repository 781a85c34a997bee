// SPDX-License-Identifier: GPL-2.0
/* Anonymous memory: mmap, munmap, mprotect, madvise, mremap, brk, stack. */
#include <sys/syscall.h>

#include "mitosis_test.h"

#define SIZE	(4 * MB)
#define SMALL	(MB / nr_crew / PAGE * PAGE)	/* for what all nodes fight over */

TEST(map_and_unmap)
{
	char *p = map_anon(SMALL, PMD_SIZE);

	for (unsigned int seed = 1; seed <= 3; seed++) {
		fill(p, SMALL, seed);
		expect_filled(p, SMALL, seed);
		check_tables(SELF);
		unmap(p, SMALL);
		expect_unreadable(p, SMALL);
		/* A node that still walks the old table would see the old contents. */
		check(mmap(p, SMALL, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
		expect_zero(p, SMALL);
	}
}

TEST(map_over)
{
	char *p = map_anon(SIZE, PAGE);

	fill(p, SIZE, 1);
	check(mmap(p + MB, MB, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + MB);
	expect_zero(p + MB, MB);
	expect_filled(p, MB, 1);
}

TEST(zero_page_then_write)
{
	char *p = map_anon(SMALL, PAGE);

	expect_zero(p, SMALL);
	fill(p, SMALL, 1);
	expect_filled(p, SMALL, 1);
}

struct counters {
	uint64_t *words;
	size_t pages;
};

static void count_up(const struct member *member, void *arg)
{
	struct counters *counters = arg;

	for (size_t page = 0; page < counters->pages; page++)
		counters->words[page * PAGE / 8 + member->index]++;
}

/* All nodes fault the same pages at the same time; no one's write may get lost. */
TEST(concurrent_faults)
{
	struct counters counters = { map_anon(SMALL, PAGE), SMALL / PAGE };

	on_all(count_up, &counters);
	for (size_t page = 0; page < counters.pages; page++)
		for (int i = 0; i < nr_crew; i++)
			check_eq(counters.words[page * PAGE / 8 + i], 1);
}

TEST(mprotect_read_only)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	for (unsigned int seed = 1; seed <= 2; seed++) {
		fill(p, SIZE, seed);
		check_ok(mprotect(p, SIZE, PROT_READ));
		expect_unwritable(p, SIZE);
		expect_filled(p, SIZE, seed);
		check_tables(SELF);
		check_ok(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	}
	fill(p, SIZE, 3);
	expect_filled(p, SIZE, 3);
}

TEST(mprotect_none)
{
	char *p = map_anon(MB, PAGE);

	fill(p, MB, 1);
	check_ok(mprotect(p, MB, PROT_NONE));
	expect_unreadable(p, MB);
	check_tables(SELF);
	check_ok(mprotect(p, MB, PROT_READ | PROT_WRITE));
	expect_filled(p, MB, 1);
}

TEST(mprotect_every_other_page)
{
	char *p = map_anon(MB / 4, PAGE);

	fill(p, MB / 4, 1);
	for (size_t i = 0; i < MB / 4; i += 2 * PAGE)
		check_ok(mprotect(p + i, PAGE, PROT_READ));
	for (size_t i = 0; i < MB / 4; i += 2 * PAGE) {
		expect_unwritable(p + i, PAGE);
		check(try_write(p + i + PAGE));
	}
	expect_filled(p, MB / 4, 1);
}

struct toggled {
	char *p;
	bool stop;
	uint64_t writes[1024];
};

static void write_when_allowed(const struct member *member, void *arg)
{
	struct toggled *toggled = arg;
	volatile char *byte = toggled->p + member->index * 8;

	while (!__atomic_load_n(&toggled->stop, __ATOMIC_RELAXED))
		for (size_t page = 0; page < 16; page++)
			toggled->writes[member->index] += try_write((char *)byte + page * PAGE);
}

/* While a thread changes the protection, writes on all nodes either fault or succeed. */
TEST(mprotect_under_writes)
{
	static struct toggled toggled;

	toggled.p = map_anon(16 * PAGE, PAGE);
	fill(toggled.p, 16 * PAGE, 1);
	crew_begin(write_when_allowed, &toggled);
	for (int i = 0; i < 60; i++)
		check_ok(mprotect(toggled.p, 16 * PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ));
	check(wait_until(toggled.writes[0] > 0, 10));
	__atomic_store_n(&toggled.stop, true, __ATOMIC_RELAXED);
	crew_end();
	expect_filled(toggled.p, 16 * PAGE, 1);
}

TEST(madvise_dontneed)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	fill(p, SIZE, 1);
	check_ok(madvise(p, SIZE / 2, MADV_DONTNEED));
	expect_zero(p, SIZE / 2);
	expect_part(p, SIZE / 2, SIZE, 1);
}

TEST(madvise_free)
{
	char *p = map_anon(MB, PAGE);

	fill(p, MB, 1);
	check_ok(madvise(p, MB, MADV_FREE));
	check_tables(SELF);
	fill(p, MB, 2);
	expect_filled(p, MB, 2);
}

TEST(mremap_small)
{
	char *p = map_anon(3 * PAGE, PAGE), *q = map_anon(3 * PAGE, PAGE);

	fill(p, 3 * PAGE, 1);
	expect_filled(p, 3 * PAGE, 1);
	check(mremap(p, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	expect_filled(q, 3 * PAGE, 1);
	expect_unreadable(p, 3 * PAGE);
	fill(q, 3 * PAGE, 2);
	expect_filled(q, 3 * PAGE, 2);
}

/* Whole page tables move: the entry of the level above is taken over. */
TEST(mremap_pmd)
{
	char *p = map_anon(2 * PMD_SIZE, PMD_SIZE), *q = map_anon(2 * PMD_SIZE, PMD_SIZE);

	for (unsigned int seed = 1; seed <= 2; seed++) {
		char *old = p;

		fill(p, 2 * PMD_SIZE, seed);
		expect_filled(p, 2 * PMD_SIZE, seed);
		check(mremap(p, 2 * PMD_SIZE, 2 * PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
		check_tables(SELF);
		expect_filled(q, 2 * PMD_SIZE, seed);
		expect_unreadable(p, 2 * PMD_SIZE);
		p = q;
		q = old;
	}
}

static void touch_sparsely(char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i += 32 * PMD_SIZE)
		fill(p + i, 4 * PAGE, seed);
}

TEST(mremap_pud)
{
	char *p = map_anon(PUD_SIZE, PUD_SIZE), *q = map_anon(PUD_SIZE, PUD_SIZE);

	touch_sparsely(p, PUD_SIZE, 1);
	check(mremap(p, PUD_SIZE, PUD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	check_tables(SELF);
	for (size_t i = 0; i < PUD_SIZE; i += 32 * PMD_SIZE) {
		expect_filled(q + i, 4 * PAGE, 1);
		expect_unreadable(p + i, 4 * PAGE);
	}
	touch_sparsely(q, PUD_SIZE, 2);
	for (size_t i = 0; i < PUD_SIZE; i += 32 * PMD_SIZE)
		expect_filled(q + i, 4 * PAGE, 2);
}

TEST(mremap_dontunmap)
{
	char *p = map_anon(PMD_SIZE, PMD_SIZE), *q = map_anon(PMD_SIZE, PMD_SIZE);

	fill(p, PMD_SIZE, 1);
	if (mremap(p, PMD_SIZE, PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q) != q)
		skip("no MREMAP_DONTUNMAP: %s", strerror(errno));
	expect_filled(q, PMD_SIZE, 1);
	expect_zero(p, PMD_SIZE);
}

TEST(mremap_grow_and_shrink)
{
	char *p = map_anon(MB, PAGE);

	fill(p, MB, 1);
	p = check_ok(mremap(p, MB, 2 * MB, MREMAP_MAYMOVE));
	expect_filled(p, MB, 1);
	expect_zero(p + MB, MB);
	check(mremap(p, 2 * MB, MB / 2, 0) == p);
	expect_unreadable(p + MB / 2, MB);
	expect_filled(p, MB / 2, 1);
}

TEST(break_value)
{
	char *end, *p = check_ok(sbrk(0));

	p += -(uintptr_t)p % PAGE;
	check(!brk(p + MB));
	end = check_ok(sbrk(0));
	check(end == p + MB);
	fill(p, MB, 1);
	expect_filled(p, MB, 1);
	check(!brk(p + MB / 2));
	expect_unreadable(p + MB / 2, MB / 2);
	expect_filled(p, MB / 2, 1);
	check(!brk(p));
}

/* Each member extends the stack by the page below. */
static void step_down(const struct member *member, void *arg)
{
	char **top = arg;

	*top -= PAGE;
	*(volatile uint64_t *)*top = pattern(1, member->index);
}

TEST(stack_growth)
{
	char *p = map(2 * MB, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS), *top;

	unmap(p, 2 * MB);
	check(mmap(p + 2 * MB - PAGE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0) != MAP_FAILED);
	top = p + 2 * MB - PAGE;
	for (int i = 0; i < 64; i++)
		on_member(i % nr_crew, step_down, &top);
	for (int i = 63; i >= 0; i--, top += PAGE)
		check_eq(*(uint64_t *)top, pattern(1, i % nr_crew));
}

TEST(populate)
{
	char *p = map(32 * MB, PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);

	check(smaps_kb(p, 32 * MB, "Rss") >= 32 * 1024);
	check_tables(SELF);
	expect_zero(p, 32 * MB);
	unmap(p, 32 * MB);
	expect_unreadable(p, MB);
}

TEST(lock_and_unlock)
{
	char *p = map_anon(MB, PAGE);

	check_ok(mlock(p, MB));
	fill(p, MB, 1);
	check_ok(munlock(p, MB));
	expect_filled(p, MB, 1);
}

TEST(resident)
{
	char *p = map_anon(MB, PAGE);
	unsigned char seen[MB / PAGE];

	for (size_t i = 0; i < MB; i += 2 * PAGE)
		fill(p + i, PAGE, 1);
	check_ok(mincore(p, MB, seen));
	for (size_t i = 0; i < MB / PAGE; i++)
		check_eq(seen[i] & 1, i % 2 == 0);
}

/* Tables of all levels come and go. */
TEST(far_apart)
{
	static const uintptr_t places[] = {
		0x100000000000, 0x1fffffe00000, 0x300040000000, 0x500000200000, 0x654321000000,
	};

	for (unsigned int round = 1; round <= 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			check(mmap((void *)places[i], PMD_SIZE * 2, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
			      (void *)places[i]);
			fill((char *)places[i] + PMD_SIZE - 8 * PAGE, 16 * PAGE, round);
		}
		check_tables(SELF);
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			expect_filled((char *)places[i] + PMD_SIZE - 8 * PAGE, 16 * PAGE, round);
			unmap((void *)places[i], PMD_SIZE * 2);
			expect_unreadable((char *)places[i] + PMD_SIZE - 8 * PAGE, 16 * PAGE);
		}
	}
}

/* The kernel itself writes to user memory: read(2) into pages that other nodes had mapped. */
static void read_zeros(const struct member *member, void *arg)
{
	char *p = arg;
	FILE *zero = fopen("/dev/zero", "re");

	check(zero);
	for (size_t page = member->index; page < MB / PAGE; page += nr_crew)
		check_eq(fread(p + page * PAGE, 1, PAGE, zero), PAGE);
	fclose(zero);
}

TEST(kernel_writes)
{
	char *p = map_anon(MB, PAGE);

	fill(p, MB, 1);
	on_all(read_zeros, p);
	expect_zero(p, MB);
}
