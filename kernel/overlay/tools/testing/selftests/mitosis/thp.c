// SPDX-License-Identifier: GPL-2.0
/* Transparent huge pages: fault, split, collapse, fork, move. */
#include <sys/mount.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>

#include "mitosis_test.h"

#define THP	"/sys/kernel/mm/transparent_hugepage/"
#define SIZE	(2 * PMD_SIZE)

static bool all_huge(const void *p, size_t size)
{
	return smaps_kb(p, size, "AnonHugePages") == (long)size / 1024;
}

static void allow_huge_pages(void)
{
	set_knob(THP "enabled", "madvise");
	set_knob(THP "defrag", "madvise");
}

/* Map huge pages, filled from all nodes, and show that they are huge. */
static char *map_huge(size_t size, unsigned int seed)
{
	char *p = map_anon(size, PMD_SIZE);

	allow_huge_pages();
	check_ok(madvise(p, size, MADV_HUGEPAGE));
	fill(p, size, seed);
	if (!all_huge(p, size))
		skip("no huge pages to be had: %ld KB of %zu", smaps_kb(p, size, "AnonHugePages"),
		     size / 1024);
	if (!without_mitosis)
		check_eq(leaf_level(SELF, p), 2);
	return p;
}

TEST(fault)
{
	char *p = map_huge(SIZE, 1);

	expect_filled(p, SIZE, 1);
	check_tables(SELF);
	unmap(p, SIZE);
	expect_unreadable(p, SIZE);
}

TEST(zero_page_then_write)
{
	char *p = map_anon(PMD_SIZE, PMD_SIZE);

	allow_huge_pages();
	check_ok(madvise(p, PMD_SIZE, MADV_HUGEPAGE));
	expect_zero(p, PMD_SIZE);
	check_tables(SELF);
	fill(p, PMD_SIZE, 1);
	expect_filled(p, PMD_SIZE, 1);
}

TEST(zero_page_split)
{
	char *p = map_anon(PMD_SIZE, PMD_SIZE);

	allow_huge_pages();
	check_ok(madvise(p, PMD_SIZE, MADV_HUGEPAGE));
	expect_zero(p, PMD_SIZE);
	unmap(p + MB, PAGE);
	expect_unreadable(p + MB, PAGE);
	expect_zero(p, MB);
	fill(p, MB, 1);
	expect_filled(p, MB, 1);
}

TEST(mprotect_whole)
{
	char *p = map_huge(SIZE, 1);

	check_ok(mprotect(p, SIZE, PROT_READ));
	expect_unwritable(p, SIZE);
	check(all_huge(p, SIZE));
	check_ok(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	fill(p, SIZE, 2);
	expect_filled(p, SIZE, 2);
	check_ok(mprotect(p, SIZE, PROT_NONE));
	expect_unreadable(p, SIZE);
}

TEST(split_by_munmap)
{
	char *p = map_huge(SIZE, 1);

	unmap(p + MB, PAGE);
	expect_unreadable(p + MB, PAGE);
	expect_part(p, 0, MB, 1);
	expect_part(p, MB + PAGE, SIZE, 1);
	check_eq(smaps_kb(p, MB, "AnonHugePages"), 0);
}

TEST(split_by_mprotect)
{
	char *p = map_huge(SIZE, 1);

	check_ok(mprotect(p + MB, MB, PROT_READ));
	expect_unwritable(p + MB, MB);
	expect_filled(p, SIZE, 1);
	check_tables(SELF);
	check_ok(mprotect(p + MB, MB, PROT_READ | PROT_WRITE));
	fill(p, SIZE, 2);
	expect_filled(p, SIZE, 2);
}

TEST(split_by_dontneed)
{
	char *p = map_huge(SIZE, 1);

	check_ok(madvise(p + MB, 4 * PAGE, MADV_DONTNEED));
	expect_zero(p + MB, 4 * PAGE);
	expect_part(p, 0, MB, 1);
	expect_part(p, MB + 4 * PAGE, SIZE, 1);
}

TEST(split_by_debugfs)
{
	char *p = map_huge(SIZE, 1), text[128];
	int error;

	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", (int)getpid(), (long)p, (long)p + SIZE);
	error = write_file("/sys/kernel/debug/split_huge_pages", text);
	if (error)
		skip("/sys/kernel/debug/split_huge_pages: %s", strerror(error));
	check(!all_huge(p, SIZE));
	expect_filled(p, SIZE, 1);
	fill(p, SIZE, 2);
	expect_filled(p, SIZE, 2);
}

static void collapse(void *p, size_t size)
{
	if (madvise(p, size, MADV_COLLAPSE))
		skip("MADV_COLLAPSE: %s", strerror(errno));
}

/*
 * The table that is emptied by the collapse is kept for the split; what nodes had in their copies
 * of it must be gone by then.
 */
TEST(collapse_and_split)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	allow_huge_pages();
	check_ok(madvise(p, SIZE, MADV_NOHUGEPAGE));
	fill(p, SIZE, 1);
	check_ok(madvise(p, SIZE, MADV_HUGEPAGE));
	for (unsigned int seed = 2; seed <= 4; seed++) {
		collapse(p, SIZE);
		check(all_huge(p, SIZE));
		expect_filled(p, SIZE, seed - 1);
		check_tables(SELF);
		check_ok(madvise(p, PAGE, MADV_DONTNEED));
		check_ok(madvise(p + PMD_SIZE, PAGE, MADV_DONTNEED));
		expect_zero(p, PAGE);
		expect_part(p, PAGE, PMD_SIZE, seed - 1);
		check_tables(SELF);
		fill(p, SIZE, seed);
	}
}

static bool stop_reading;

static void read_for_ever(const struct member *member, void *arg)
{
	while (!__atomic_load_n(&stop_reading, __ATOMIC_RELAXED))
		if (!filled_here(arg, PMD_SIZE, 1))
			fail("node %d reads something else", member->node);
}

TEST(collapse_under_readers)
{
	char *p = map_anon(PMD_SIZE, PMD_SIZE);

	allow_huge_pages();
	fill(p, PMD_SIZE, 1);
	check_ok(madvise(p, PMD_SIZE, MADV_HUGEPAGE));
	crew_begin(read_for_ever, p);
	for (int i = 0; i < 10; i++) {
		if (madvise(p, PMD_SIZE, MADV_COLLAPSE) && errno != EAGAIN && errno != EBUSY)
			skip("MADV_COLLAPSE: %s", strerror(errno));
		check_ok(mprotect(p, PAGE, PROT_READ));
		check_ok(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	}
	__atomic_store_n(&stop_reading, true, __ATOMIC_RELAXED);
	crew_end();
}

TEST(khugepaged)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	allow_huge_pages();
	check_ok(madvise(p, SIZE, MADV_NOHUGEPAGE));
	fill(p, SIZE, 1);
	set_knob(THP "khugepaged/scan_sleep_millisecs", "10");
	set_knob(THP "khugepaged/alloc_sleep_millisecs", "10");
	set_knob(THP "khugepaged/pages_to_scan", "4096");
	check_ok(madvise(p, SIZE, MADV_HUGEPAGE));
	if (!wait_until(all_huge(p, SIZE), 20))
		skip("khugepaged collapsed nothing in 20 s");
	expect_filled(p, SIZE, 1);
	fill(p, SIZE, 2);
	expect_filled(p, SIZE, 2);
}

struct family {
	char *p;
	int *stage;
};

static void keep_own_copy(void *arg)
{
	struct family *family = arg;

	set_stage(family->stage, 1);
	await_stage(family->stage, 2);
	expect_filled(family->p, PMD_SIZE, 1);
	fill(family->p, PMD_SIZE, 3);
	check_tables(SELF);
	set_stage(family->stage, 3);
	await_stage(family->stage, 4);
	expect_filled(family->p, PMD_SIZE, 3);
}

TEST(fork_copies_on_write)
{
	struct family family = { map_huge(PMD_SIZE, 1), new_stage() };
	pid_t pid = start_child(keep_own_copy, &family);

	await_stage(family.stage, 1);
	fill(family.p, PMD_SIZE, 2);
	set_stage(family.stage, 2);
	await_stage(family.stage, 3);
	expect_filled(family.p, PMD_SIZE, 2);
	set_stage(family.stage, 4);
	end_child(pid);
}

TEST(mremap_whole)
{
	char *p = map_huge(SIZE, 1), *q = map_anon(SIZE, PMD_SIZE);

	check(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	check(all_huge(q, SIZE));
	expect_filled(q, SIZE, 1);
	expect_unreadable(p, SIZE);
}

TEST(mremap_part)
{
	char *p = map_huge(PMD_SIZE, 1), *q = map_anon(MB, PAGE);

	check(mremap(p, MB, MB, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	expect_filled(q, MB, 1);
	expect_unreadable(p, MB);
	expect_part(p, MB, PMD_SIZE, 1);
}

/* Mount a tmpfs of huge pages for this test; return a file of @size in it. */
static int huge_file(size_t size)
{
	char place[] = "/tmp/mitosis-XXXXXX", path[64];
	int fd;

	check(mkdtemp(place));
	undo_later(UNDO_RMDIR, place, NULL);
	if (mount("tmpfs", place, "tmpfs", 0, "huge=always"))
		skip("no huge tmpfs: %s", strerror(errno));
	undo_later(UNDO_UMOUNT, place, NULL);
	snprintf(path, sizeof(path), "%s/file", place);
	fd = check_ok(open(path, O_RDWR | O_CREAT, 0600));
	check_ok(ftruncate(fd, size));
	return fd;
}

static char *map_file(int fd, size_t size)
{
	char *p = map_anon(size, PMD_SIZE);

	check(mmap(p, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == p);
	return p;
}

TEST(huge_tmpfs)
{
	int fd = huge_file(SIZE);
	char *p = map_file(fd, SIZE), *q = map_file(fd, SIZE);

	fill(p, SIZE, 1);
	if (smaps_kb(p, SIZE, "ShmemPmdMapped") != SIZE / 1024)
		skip("tmpfs gives no huge pages");
	expect_filled(q, SIZE, 1);
	check_tables(SELF);
	unmap(p + MB, PAGE);
	expect_unreadable(p + MB, PAGE);
	fill(q, SIZE, 2);
	expect_part(p, 0, MB, 2);
	expect_part(p, MB + PAGE, SIZE, 2);
	check_ok(ftruncate(fd, PMD_SIZE));
	expect_unreadable(q + PMD_SIZE, PMD_SIZE);
	expect_filled(q, PMD_SIZE, 2);
}

/* Collapse of a file's pages takes the tables of small pages out of all mappings. */
TEST(collapse_tmpfs)
{
	int fd = check_ok(memfd_create("mitosis", MFD_CLOEXEC));
	char *p, *q;

	check_ok(ftruncate(fd, SIZE));
	p = map_file(fd, SIZE);
	q = map_file(fd, SIZE);
	fill(p, SIZE, 1);
	expect_filled(q, SIZE, 1);
	collapse(p, SIZE);
	check_eq(smaps_kb(p, SIZE, "ShmemPmdMapped"), SIZE / 1024);
	check_tables(SELF);
	expect_filled(p, SIZE, 1);
	expect_filled(q, SIZE, 1);
	fill(q, SIZE, 2);
	expect_filled(p, SIZE, 2);
}
