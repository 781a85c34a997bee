// SPDX-License-Identifier: GPL-2.0
/* Who follows accesses and who pins pages: userfaultfd, soft-dirty, PAGEMAP_SCAN, GUP. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "lib/newer.h"
#include "mitosis_test.h"

#define SIZE	MB

static void write_protect(int fd, void *p, size_t size, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)p, size }, .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	check_ok(ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
}

struct handler {
	int fd;
	char *p;
	char *source;
	long events;
	void (*answer)(struct handler *handler, char *page);
};

static void answer_with_copy(struct handler *handler, char *page)
{
	uffd_copy(handler->fd, page, handler->source + (page - handler->p));
}

static void answer_with_move(struct handler *handler, char *page)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)page, .src = (uintptr_t)handler->source + (page - handler->p), .len = PAGE,
	};

	while (ioctl(handler->fd, UFFDIO_MOVE, &move) && errno != EEXIST)
		if (errno != EAGAIN && errno != EBUSY)
			fail("UFFDIO_MOVE: %s", strerror(errno));
}

static void answer_with_access(struct handler *handler, char *page)
{
	write_protect(handler->fd, page, PAGE, false);
}

static void *handle_events(void *arg)
{
	struct handler *handler = arg;
	struct pollfd ready = { .fd = handler->fd, .events = POLLIN };
	struct uffd_msg message;

	while (poll(&ready, 1, -1) == 1) {
		if (read(handler->fd, &message, sizeof(message)) != sizeof(message))
			continue;
		__atomic_fetch_add(&handler->events, 1, __ATOMIC_RELAXED);
		handler->answer(handler, (char *)(message.arg.pagefault.address & ~(PAGE - 1)));
	}
	return NULL;
}

static void start_handler(struct handler *handler)
{
	pthread_t thread;

	check(!pthread_create(&thread, NULL, handle_events, handler));
}

TEST(uffd_missing)
{
	static struct handler handler = { .answer = answer_with_copy };

	handler.fd = uffd_open(0);
	handler.p = map_anon(SIZE, PAGE);
	handler.source = map_anon(SIZE, PAGE);
	fill(handler.source, SIZE, 1);
	uffd_register(handler.fd, handler.p, SIZE, UFFDIO_REGISTER_MODE_MISSING);
	start_handler(&handler);
	expect_filled(handler.p, SIZE, 1);
	check(handler.events >= (long)(SIZE / PAGE));
	check_ok(madvise(handler.p, SIZE, MADV_DONTNEED));
	expect_filled(handler.p, SIZE, 1);
}

TEST(uffd_move)
{
	static struct handler handler = { .answer = answer_with_move };

	handler.fd = uffd_open(UFFD_FEATURE_MOVE);
	handler.p = map_anon(SIZE, PAGE);
	handler.source = map_anon(SIZE, PAGE);
	fill(handler.source, SIZE, 1);
	uffd_register(handler.fd, handler.p, SIZE, UFFDIO_REGISTER_MODE_MISSING);
	start_handler(&handler);
	expect_filled(handler.p, SIZE, 1);
	check(handler.events > 0);
	check_ok(ioctl(handler.fd, UFFDIO_UNREGISTER,
		       &(struct uffdio_range){ (uintptr_t)handler.p, SIZE }));
	expect_zero(handler.source, SIZE);
}

/* Each node's copy was writable before: each must trap once the range is protected. */
TEST(uffd_write_protect)
{
	static struct handler handler = { .answer = answer_with_access };

	handler.fd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	handler.p = map_anon(SIZE, PAGE);
	uffd_register(handler.fd, handler.p, SIZE, UFFDIO_REGISTER_MODE_WP);
	for (int i = 0; i < nr_crew; i++)
		fill_by(i, handler.p, SIZE, i);
	start_handler(&handler);
	for (int i = 0; i < nr_crew; i++) {
		long before = handler.events;

		write_protect(handler.fd, handler.p, SIZE, true);
		expect_filled(handler.p, SIZE, i ? 10 + i - 1 : nr_crew - 1);
		check_eq(handler.events, before);
		fill_by(i, handler.p, SIZE, 10 + i);
		if (handler.events < before + (long)(SIZE / PAGE))
			fail("node %d wrote %lu pages, %ld trapped", crew[i].node, SIZE / PAGE,
			     handler.events - before);
		expect_filled(handler.p, SIZE, 10 + i);
	}
}

/* What was written since the last look */

static void clear_soft_dirty(void)
{
	int error = write_file("/proc/self/clear_refs", "4");

	if (error)
		skip("clear_refs: %s", strerror(error));
}

static bool soft_dirty(const void *p)
{
	return pagemap(p) & PAGEMAP_SOFT_DIRTY;
}

static bool tracks_soft_dirty(void)
{
	char *p = map_anon(PAGE, PAGE);

	fill(p, PAGE, 1);
	return soft_dirty(p);
}

/* The node that writes differs from round to round: all had the page writable before. */
TEST(soft_dirty_by_any_node)
{
	char *p = map_anon(16 * PAGE, PAGE);

	if (!tracks_soft_dirty())
		skip("no soft-dirty tracking (CONFIG_MEM_SOFT_DIRTY)");
	for (int i = 0; i < nr_crew; i++)
		fill_by(i, p, 16 * PAGE, 1);
	for (int round = 0; round < 2 * nr_crew; round++) {
		int i = round % nr_crew;

		clear_soft_dirty();
		for (int page = 0; page < 16; page++)
			check(!soft_dirty(p + page * PAGE));
		fill_by(i, p, 8 * PAGE, 2 + round);
		for (int page = 0; page < 16; page++)
			if (soft_dirty(p + page * PAGE) != (page < 8))
				fail("node %d wrote pages 0-7; page %d is %ssoft-dirty", crew[i].node, page,
				     page < 8 ? "not " : "");
	}
	check_tables(SELF);
}

static long scan_written(char *p, size_t size)
{
	struct page_region regions[64];
	struct pm_scan_arg scan = {
		.size = sizeof(scan), .flags = PM_SCAN_WP_MATCHING, .start = (uintptr_t)p,
		.end = (uintptr_t)p + size, .vec = (uintptr_t)regions, .vec_len = ARRAY_SIZE(regions),
		.category_mask = PAGE_IS_WRITTEN, .return_mask = PAGE_IS_WRITTEN,
	};
	int fd = check_ok(open("/proc/self/pagemap", O_RDONLY));
	long nr = ioctl(fd, PAGEMAP_SCAN, &scan), pages = 0;

	if (nr < 0)
		skip("PAGEMAP_SCAN: %s", strerror(errno));
	close(fd);
	for (long i = 0; i < nr; i++)
		pages += (regions[i].end - regions[i].start) / PAGE;
	return pages;
}

TEST(pagemap_scan)
{
	int fd = uffd_open(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
	char *p = map_anon(SIZE, PAGE);

	uffd_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP);
	for (int i = 0; i < nr_crew; i++)
		fill_by(i, p, SIZE, 1);
	scan_written(p, SIZE);
	check_eq(scan_written(p, SIZE), 0);
	for (int i = 0; i < nr_crew; i++) {
		fill_by(i, p + 16 * PAGE, 8 * PAGE, i);
		check_eq(scan_written(p, SIZE), 8);
		check_eq(scan_written(p, SIZE), 0);
	}
	check_tables(SELF);
	expect_filled(p, 16 * PAGE, 1);
}

/* Pinned pages */

TEST(vmsplice_gives_pages)
{
	char *p = map_anon(8 * PAGE, PAGE), *q = map_anon(8 * PAGE, PAGE);
	struct iovec span = { p, 8 * PAGE };
	int ends[2];

	check_ok(pipe(ends));
	for (int i = 0; i < nr_crew; i++) {
		fill(p, 8 * PAGE, i);
		check_eq(vmsplice(ends[1], &span, 1, 0), 8 * PAGE);
		check_eq(read(ends[0], q, 8 * PAGE), 8 * PAGE);
		expect_filled(q, 8 * PAGE, i);
	}
}

TEST(process_vm_reads)
{
	char *p = map_anon(SIZE, PAGE), *q = map_anon(SIZE, PAGE);
	struct iovec from = { p, SIZE }, to = { q, SIZE };

	fill(p, SIZE, 1);
	check_ok(mprotect(p, SIZE / 2, PROT_READ));
	check_eq(process_vm_readv(getpid(), &to, 1, &from, 1, 0), SIZE);
	expect_filled(q, SIZE, 1);
}

/* Read from a disk straight into pages that nodes had mapped, also right after a fork. */
TEST(direct_io)
{
	char *p = map_anon(SIZE, PAGE), *q = map_anon(SIZE, PAGE), path[64];
	pid_t pid;
	int fd;

	need_zram(4 * SIZE, path, sizeof(path));
	fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		skip("%s: %s", path, strerror(errno));
	fill(p, SIZE, 1);
	check_eq(pwrite(fd, p, SIZE, 0), SIZE);
	fill(q, SIZE, 2);
	pid = check_ok(fork());
	if (!pid) {
		usleep(200000);
		_exit(!filled_here(q, SIZE, 2));
	}
	check_eq(pread(fd, q, SIZE, 0), SIZE);
	expect_filled(q, SIZE, 1);
	end_child(pid);
	close(fd);
}

#define GUP_TEST	"/sys/kernel/debug/gup_test"

struct gup_test {
	__u64 get_delta_usec, put_delta_usec, addr, size;
	__u32 nr_pages_per_call, gup_flags, test_flags, which_pages[8];
};

#define PIN_FAST_BENCHMARK	_IOWR('g', 2, struct gup_test)
#define PIN_LONGTERM_BENCHMARK	_IOWR('g', 3, struct gup_test)

static void pin(int fd, unsigned long command, char *p)
{
	struct gup_test test = {
		.addr = (uintptr_t)p, .size = SIZE, .nr_pages_per_call = 16, .gup_flags = 1,
	};

	check_ok(ioctl(fd, command, &test));
	check_eq(test.size, SIZE);
}

TEST(gup_pins_for_write)
{
	char *p = map_anon(SIZE, PAGE);
	int fd = open(GUP_TEST, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip("no %s (CONFIG_GUP_TEST)", GUP_TEST);
	fill(p, SIZE, 1);
	pin(fd, PIN_FAST_BENCHMARK, p);
	check_ok(mprotect(p, SIZE, PROT_READ));
	check_ok(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	pin(fd, PIN_LONGTERM_BENCHMARK, p);
	expect_filled(p, SIZE, 1);
	close(fd);
}
