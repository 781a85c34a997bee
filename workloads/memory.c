// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"
#include "memory.h"

#define SMALL_PAGE	UINT64_C(4096)
#define STRETCH		(UINT64_C(2) << 20)	/* a huge page, or one last-level page table */
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

uint64_t memory_page(const struct memory *memory)
{
	return memory->huge ? STRETCH : SMALL_PAGE;
}

uint64_t round_down(uint64_t bytes, uint64_t unit)
{
	return bytes / unit * unit;
}

uint64_t round_up(uint64_t bytes, uint64_t unit)
{
	return round_down(bytes + unit - 1, unit);
}

uint64_t power_of_two_below(uint64_t limit)
{
	return UINT64_C(1) << (63 - __builtin_clzll(limit));
}

/* Find @size bytes of free address space that start at a multiple of 2 MB. */
static char *reserve(uint64_t size)
{
	uint64_t room = size + STRETCH;
	char *start, *aligned;

	start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		die("cannot find %llu bytes of address space: %s; choose a smaller --size",
		    (unsigned long long)size, strerror(errno));
	aligned = start + -(uintptr_t)start % STRETCH;
	munmap(start, aligned - start);
	munmap(aligned + size, start + room - (aligned + size));
	return aligned;
}

static void map_at(char *start, uint64_t size, int flags, int fd, uint64_t offset)
{
	if (mmap(start, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, offset) == MAP_FAILED)
		die("cannot map memory: %s; a larger --backing needs fewer mappings, and "
		    "/proc/sys/vm/max_map_count allows more", strerror(errno));
}

static int new_file(uint64_t size)
{
	int fd = memfd_create("workload", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		die("cannot make a file of %llu bytes in memory: %s", (unsigned long long)size,
		    strerror(errno));
	return fd;
}

/*
 * AutoNUMA would mark a page for hinting faults at each of its hundreds of mappings, and migrate it
 * for all of them at once. It leaves alone who has a policy of his own; the one set here decides
 * as the default does. Who has a policy already, keeps it.
 */
static void avoid_balancing(void)
{
	int mode;

	if (!syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) && mode == MPOL_DEFAULT)
		syscall(SYS_set_mempolicy, MPOL_LOCAL, NULL, 0);
}

static void map_aliased(const struct arena *arena)
{
	int fd = new_file(arena->rows * arena->piece);

	avoid_balancing();
	for (uint64_t row = 0; row < arena->rows; row++) {
		for (uint64_t at = 0; at < arena->row; at += arena->piece) {
			uint64_t left = arena->row - at;

			map_at(arena->start + row * arena->row + at,
			       left < arena->piece ? left : arena->piece, MAP_SHARED, fd,
			       row * arena->piece);
		}
	}
	close(fd);
}

/* The kernel takes MADV_HUGEPAGE on a file in memory, and then does what this file says. */
static void check_shmem_huge(void)
{
	FILE *file = fopen(SHMEM_ENABLED, "r");
	char line[128] = "";

	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	if (!strstr(line, "[a") && !strstr(line, "[within_size]") && !strstr(line, "[force]"))
		die("--huge: aliased memory has no huge pages here; 'echo advise >%s' allows them, "
		    "--real needs no permission", SHMEM_ENABLED);
}

static void advise(const struct memory *memory, const struct arena *arena)
{
	int advice = memory->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;

	/* A kernel without huge pages refuses both, and has only 4 KB pages. */
	if (madvise(arena->start, arena->rows * arena->row, advice) && memory->huge)
		die("--huge: this kernel has no transparent huge pages");
	if (memory->huge && !memory->real)
		check_shmem_huge();
}

void *memory_map(struct memory *memory, uint64_t rows, uint64_t row, uint64_t piece)
{
	struct arena *arena = &memory->arenas[memory->nr_arenas++];

	if (memory->nr_arenas > MEMORY_MAX_ARENAS)
		die("no room for more than %d arenas", MEMORY_MAX_ARENAS);
	*arena = (struct arena){ reserve(rows * row), rows, row, piece < row ? piece : row };
	if (memory->real)
		map_at(arena->start, rows * row, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		       0);
	else
		map_aliased(arena);
	advise(memory, arena);
	return arena->start;
}

uint64_t memory_size(const struct memory *memory)
{
	uint64_t size = 0;

	for (unsigned int i = 0; i < memory->nr_arenas; i++)
		size += memory->arenas[i].rows * memory->arenas[i].row;
	return size;
}

uint64_t memory_backing(const struct memory *memory)
{
	uint64_t size = 0;

	for (unsigned int i = 0; i < memory->nr_arenas; i++)
		size += memory->arenas[i].rows * memory->arenas[i].piece;
	return memory->real ? memory_size(memory) : size;
}

/*
 * A write faults once a page. A read of a file that is in memory maps 16 pages a fault, writable
 * (a file in memory has no write-back to wait for); the write after it only sets their Dirty bit.
 * A read of anonymous memory maps the page of zeros, and is one fault too many.
 */
static void touch_stretch(volatile char *start, uint64_t size, bool read_first)
{
	for (uint64_t at = 0; at < size; at += SMALL_PAGE) {
		if (read_first)
			(void)start[at];
		start[at] = 0;
	}
}

void memory_touch(const struct memory *memory, uint64_t index, uint64_t step)
{
	for (unsigned int i = 0; i < memory->nr_arenas; i++) {
		const struct arena *arena = &memory->arenas[i];
		uint64_t size = arena->rows * arena->row;

		for (uint64_t at = index * STRETCH; at < size; at += step * STRETCH) {
			uint64_t left = size - at;

			touch_stretch(arena->start + at, left < STRETCH ? left : STRETCH,
				      !memory->real);
		}
	}
}

static void repeat(const struct arena *arena)
{
	for (uint64_t row = 0; row < arena->rows; row++) {
		char *first = arena->start + row * arena->row;

		for (uint64_t at = arena->piece; at < arena->row; at += arena->piece) {
			uint64_t left = arena->row - at;

			memcpy(first + at, first, left < arena->piece ? left : arena->piece);
		}
	}
}

void memory_repeat(const struct memory *memory)
{
	for (unsigned int i = 0; memory->real && i < memory->nr_arenas; i++)
		repeat(&memory->arenas[i]);
}
