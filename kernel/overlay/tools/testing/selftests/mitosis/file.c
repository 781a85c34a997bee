// SPDX-License-Identifier: GPL-2.0
/* Files: shared and private mappings, write-back, truncation. */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "mitosis_test.h"

#define SIZE	(2 * MB)

static int new_file(void)
{
	int fd = memfd_create("mitosis", MFD_CLOEXEC);

	if (fd < 0)
		skip("memfd_create: %s", strerror(errno));
	check_ok(ftruncate(fd, SIZE));
	return fd;
}

static char *map_file(int fd, int flags)
{
	return check_ok((char *)mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0));
}

static void expect_contents(int fd, unsigned int seed)
{
	char *copy = map_anon(SIZE, PAGE);

	check_eq(pread(fd, copy, SIZE, 0), SIZE);
	check(filled_here(copy, SIZE, seed));
	unmap(copy, SIZE);
}

TEST(shared_mapping)
{
	int fd = new_file();
	char *p = map_file(fd, MAP_SHARED), *q = map_file(fd, MAP_SHARED);

	fill(p, SIZE, 1);
	expect_filled(q, SIZE, 1);
	expect_contents(fd, 1);
	unmap(p, SIZE);
	fill(q, SIZE, 2);
	expect_contents(fd, 2);
	expect_unreadable(p, SIZE);
}

TEST(private_mapping)
{
	int fd = new_file();
	char *p = map_file(fd, MAP_SHARED), *q = map_file(fd, MAP_PRIVATE);

	fill(p, SIZE, 1);
	expect_filled(q, SIZE, 1);
	fill(q, SIZE, 2);
	expect_filled(p, SIZE, 1);
	expect_filled(q, SIZE, 2);
	fill(p, SIZE, 3);
	expect_filled(q, SIZE, 2);
}

TEST(truncate)
{
	int fd = new_file();
	char *p = map_file(fd, MAP_SHARED);

	fill(p, SIZE, 1);
	expect_filled(p, SIZE, 1);
	check_ok(ftruncate(fd, SIZE / 2));
	expect_unreadable(p + SIZE / 2, SIZE / 2);
	check_ok(ftruncate(fd, SIZE));
	expect_zero(p + SIZE / 2, SIZE / 2);
	expect_filled(p, SIZE / 2, 1);
}

TEST(punch_hole)
{
	int fd = new_file();
	char *p = map_file(fd, MAP_SHARED);

	fill(p, SIZE, 1);
	expect_filled(p, SIZE, 1);
	check_ok(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, MB / 2, MB));
	expect_zero(p + MB / 2, MB);
	expect_filled(p, MB / 2, 1);
	expect_part(p, 3 * MB / 2, SIZE, 1);
}

static void write_file_too(void *arg)
{
	fill(arg, SIZE, 2);
	check_tables(SELF);
}

TEST(two_processes)
{
	int fd = new_file();
	char *p = map_file(fd, MAP_SHARED);

	fill(p, SIZE, 1);
	end_child(start_child(write_file_too, p));
	expect_filled(p, SIZE, 2);
	expect_contents(fd, 2);
}

TEST(resident)
{
	unsigned char seen[SIZE / PAGE];
	char *p = map_file(new_file(), MAP_SHARED);

	fill(p + SIZE / 2, SIZE / 2, 1);
	check_ok(mincore(p, SIZE, seen));
	for (size_t i = 0; i < SIZE / PAGE; i++)
		check_eq(seen[i] & 1, i >= SIZE / PAGE / 2);
}

/*
 * A file on a disk: write-back makes its pages read-only, so that the next write is noticed. A
 * node that could still write then would write for nothing. Only what is on the disk itself
 * counts, so it is read past the page cache.
 */
static void expect_on_disk(const char *disk, unsigned int seed)
{
	char *copy = map_anon(SIZE, PAGE);
	int fd = check_ok(open(disk, O_RDONLY | O_DIRECT | O_CLOEXEC));

	check_eq(pread(fd, copy, SIZE, 0), SIZE);
	check(filled_here(copy, SIZE, seed));
	unmap(copy, SIZE);
	close(fd);
}

TEST(write_back_notices_all_nodes)
{
	char disk[64], *p;
	int fd;

	need_zram(4 * SIZE, disk, sizeof(disk));
	fd = check_ok(open(disk, O_RDWR | O_CLOEXEC));
	p = map_file(fd, MAP_SHARED);
	for (int i = 0; i < nr_crew; i++)
		fill_by(i, p, SIZE, 1);
	for (int round = 0; round < 2 * nr_crew; round++) {
		fill_by(round % nr_crew, p, SIZE, 2 + round);
		check_ok(msync(p, SIZE, MS_SYNC));
		expect_on_disk(disk, 2 + round);
	}
	fill(p, SIZE, 100);
	unmap(p, SIZE);
	check_ok(fsync(fd));
	expect_on_disk(disk, 100);
	close(fd);
}

static bool stop_writing;

static void write_for_ever(const struct member *member, void *arg)
{
	volatile uint64_t *words = arg;
	uint64_t i = 0;

	/* Each member counts in a word of its own in each page. */
	for (; !__atomic_load_n(&stop_writing, __ATOMIC_RELAXED); i++)
		for (size_t page = 0; page < 16; page++)
			words[page * PAGE / 8 + member->index] = i;
}

TEST(write_back_under_writes)
{
	char disk[64], *p, *copy = map_anon(SIZE, PAGE);
	int fd;

	need_zram(4 * SIZE, disk, sizeof(disk));
	fd = check_ok(open(disk, O_RDWR | O_CLOEXEC));
	p = map_file(fd, MAP_SHARED);
	memset(p, 0, SIZE);
	crew_begin(write_for_ever, p);
	for (int i = 0; i < 30; i++)
		check_ok(msync(p, SIZE, MS_SYNC));
	__atomic_store_n(&stop_writing, true, __ATOMIC_RELAXED);
	crew_end();
	check_ok(msync(p, SIZE, MS_SYNC));
	close(fd);
	fd = check_ok(open(disk, O_RDONLY | O_DIRECT | O_CLOEXEC));
	check_eq(pread(fd, copy, SIZE, 0), SIZE);
	check(!memcmp(copy, p, 16 * PAGE));
	unmap(p, SIZE);
	close(fd);
}
