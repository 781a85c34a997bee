// SPDX-License-Identifier: GPL-2.0
/* Memory that is written and checked from all nodes. */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "../mitosis_test.h"

struct area {
	char *p;
	size_t size;
	unsigned int seed;
	size_t from;
};

static __thread sigjmp_buf *volatile trap;

static void on_fault(int signal)
{
	if (trap)
		siglongjmp(*trap, 1);
	fail("unexpected signal %d", signal);
}

static void __attribute__((constructor)) catch_faults(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

bool try_read_word(const volatile uint64_t *p, uint64_t *value)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 0)) {
		trap = NULL;
		return false;
	}
	trap = &here;
	*value = *p;
	trap = NULL;
	return true;
}

bool try_read(const void *p)
{
	uint64_t value;

	return try_read_word((uint64_t *)((uintptr_t)p & -8UL), &value);
}

/* Write back what is there. */
bool try_write(void *p)
{
	volatile uint64_t *word = (uint64_t *)((uintptr_t)p & -8UL);
	sigjmp_buf here;

	if (sigsetjmp(here, 0)) {
		trap = NULL;
		return false;
	}
	trap = &here;
	__atomic_fetch_or(word, 0, __ATOMIC_RELAXED);
	trap = NULL;
	return true;
}

void *map(size_t size, size_t align, int prot, int flags)
{
	size_t room = size + align;
	char *p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start;

	check(p != MAP_FAILED);
	start = p + -(uintptr_t)p % align;
	if (start > p)
		munmap(p, start - p);
	if (start + size < p + room)
		munmap(start + size, p + room - start - size);
	return check_ok(mmap(start, size, prot, flags | MAP_FIXED, -1, 0));
}

void *map_anon(size_t size, size_t align)
{
	return map(size, align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
}

void unmap(void *p, size_t size)
{
	check_ok(munmap(p, size));
}

/* Never zero, so that it tells from memory that was never written. */
uint64_t pattern(unsigned int seed, size_t page)
{
	return (page * 0x9e3779b97f4a7c15ULL + seed * 0xbf58476d1ce4e5b9ULL) | 1;
}

/* Pages use different words, so that a page mapped in another's place shows. */
static volatile uint64_t *word_of(const char *p, size_t page)
{
	return (uint64_t *)(p + page * PAGE + page * 8 % PAGE);
}

static void write_pages(const struct area *area, size_t first, size_t step)
{
	for (size_t page = first; page < area->size / PAGE; page += step)
		*word_of(area->p, page) = pattern(area->seed, page);
}

static void write_all(const struct member *member, void *arg)
{
	(void)member;
	write_pages(arg, 0, 1);
}

static void write_in_turn(const struct member *member, void *arg)
{
	write_pages(arg, member->index, nr_crew);
}

void fill(void *p, size_t size, unsigned int seed)
{
	on_all(write_in_turn, &(struct area){ p, size, seed, 0 });
}

void fill_by(int index, void *p, size_t size, unsigned int seed)
{
	on_member(index, write_all, &(struct area){ p, size, seed, 0 });
}

void fill_here(void *p, size_t size, unsigned int seed)
{
	write_pages(&(struct area){ p, size, seed, 0 }, 0, 1);
}

bool filled_here(const void *p, size_t size, unsigned int seed)
{
	for (size_t page = 0; page < size / PAGE; page++)
		if (*word_of(p, page) != pattern(seed, page))
			return false;
	return true;
}

static void check_filled(const struct member *member, void *arg)
{
	const struct area *area = arg;

	for (size_t page = area->from / PAGE; page < area->size / PAGE; page++) {
		uint64_t seen = *word_of(area->p, page);

		if (seen != pattern(area->seed, page))
			fail("node %d sees %llx in page %zu of %zu, not %llx", member->node,
			     (unsigned long long)seen, page, area->size / PAGE,
			     (unsigned long long)pattern(area->seed, page));
	}
}

void expect_filled(const void *p, size_t size, unsigned int seed)
{
	expect_part(p, 0, size, seed);
}

void expect_part(const void *p, size_t from, size_t to, unsigned int seed)
{
	on_all(check_filled, &(struct area){ (char *)p, to, seed, from });
}

static void check_zero(const struct member *member, void *arg)
{
	const struct area *area = arg;

	for (size_t page = 0; page < area->size / PAGE; page++)
		if (*word_of(area->p, page))
			fail("node %d sees no zero in page %zu of %zu", member->node, page, area->size / PAGE);
}

void expect_zero(const void *p, size_t size)
{
	on_all(check_zero, &(struct area){ (char *)p, size, 0, 0 });
}

/* A fault that ends in a signal is slow: try some pages of a large area only. */
static void check_no_access(const struct member *member, const struct area *area, bool write)
{
	size_t step = 1 + area->size / PAGE / 32;

	for (size_t page = 0; page < area->size / PAGE; page += step)
		if (write ? try_write(area->p + page * PAGE) : try_read(area->p + page * PAGE))
			fail("node %d can %s page %zu of %zu", member->node, write ? "write" : "read",
			     page, area->size / PAGE);
}

static void check_unreadable(const struct member *member, void *arg)
{
	check_no_access(member, arg, false);
}

static void check_unwritable(const struct member *member, void *arg)
{
	check_no_access(member, arg, true);
}

void expect_unreadable(const void *p, size_t size)
{
	on_all(check_unreadable, &(struct area){ (char *)p, size, 0, 0 });
}

void expect_unwritable(const void *p, size_t size)
{
	on_all(check_unwritable, &(struct area){ (char *)p, size, 0, 0 });
}

/* More than a few pages changed at once: the whole TLB of each CPU is flushed. */
void flush_tlbs(void)
{
	char *p = map_anon(256 * PAGE, PAGE);

	for (int i = 0; i < nr_crew; i++)
		fill_by(i, p, 256 * PAGE, i);
	check_ok(mprotect(p, 256 * PAGE, PROT_READ));
	unmap(p, 256 * PAGE);
}

/* Pages wait in lists of the CPUs before reclaim can find them; a move drains the lists. */
void drain_lists(void)
{
	char *p = map_anon(PAGE, PAGE);

	fill_here(p, PAGE, 1);
	check_ok(syscall(SYS_mbind, p, PAGE, MPOL_DEFAULT, NULL, 0, MPOL_MF_MOVE));
	unmap(p, PAGE);
}

/* Return the node of a page that is present, or a negative errno. */
int node_of_page(void *p)
{
	int status = -EINVAL;

	check_ok(syscall(SYS_move_pages, 0, 1UL, &p, NULL, &status, 0));
	return status;
}

/* userfaultfd: who waits for whom is up to the test. */

int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	if (ioctl(fd, UFFDIO_API, &api))
		skip("userfaultfd lacks features %llx", (unsigned long long)features);
	return fd;
}

void uffd_register(int fd, void *p, size_t size, uint64_t mode)
{
	struct uffdio_register reg = { .range = { (uintptr_t)p, size }, .mode = mode };

	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		skip("UFFDIO_REGISTER: %s", strerror(errno));
}

/* Answer a fault: what is at @from becomes the page. */
void uffd_copy(int fd, void *page, const void *from)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)page, .src = (uintptr_t)from, .len = PAGE };

	if (ioctl(fd, UFFDIO_COPY, &copy) && errno != EEXIST)
		fail("UFFDIO_COPY: %s", strerror(errno));
}
