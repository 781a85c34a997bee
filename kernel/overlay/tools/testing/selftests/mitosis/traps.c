// SPDX-License-Identifier: GPL-2.0
/* Regression: what goes wrong only while several nodes are at work, or when all is over. */
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mitosis_test.h"

#define PAGES	32
#define SIZE	(PAGES * PAGE)

SETTING(rounds, 60, "rounds of each race")

static bool stop;

static void until_stopped(void (*step)(const struct member *member, void *arg),
			  const struct member *member, void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		step(member, arg);
}

static void stop_all(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	crew_end();
}

/* Pages say which they are: a node that still walks a freed table reads someone else's page. */
static void read_signed_pages(const struct member *member, void *arg)
{
	volatile uint64_t *words = arg;

	for (size_t page = 0; page < PAGES; page++) {
		uint64_t word;

		/* The page may be gone: only what can be read counts. */
		if (!try_read_word(&words[page * PAGE / 8], &word)) {
			sched_yield();
			return;
		}
		if (word && word >> 32 != page + 1)
			fail("node %d reads %llx in page %zu", member->node, (unsigned long long)word, page);
	}
}

static void read_until_stopped(const struct member *member, void *arg)
{
	until_stopped(read_signed_pages, member, arg);
}

static void sign_pages(uint64_t *words, unsigned int seed)
{
	for (size_t page = 0; page < PAGES; page++)
		words[page * PAGE / 8] = (page + 1) << 32 | seed;
}

TEST(unmap_under_readers)
{
	uint64_t *words = map_anon(PMD_SIZE, PMD_SIZE), *other = map_anon(SIZE, PAGE);

	crew_begin(read_until_stopped, words);
	for (long i = 0; i < rounds.value / 2; i++) {
		check(mmap(words, SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == words);
		sign_pages(words, i);
		/* The whole table goes, and its pages are used elsewhere at once. */
		unmap(words, PMD_SIZE);
		memset(other, 0xff, SIZE);
		check_ok(madvise(other, SIZE, MADV_DONTNEED));
	}
	stop_all();
}

TEST(remap_under_readers)
{
	uint64_t *words = map_anon(PMD_SIZE, PMD_SIZE), *away = map_anon(PMD_SIZE, PMD_SIZE);

	sign_pages(words, 1);
	crew_begin(read_until_stopped, words);
	for (long i = 0; i < rounds.value; i++) {
		check(mremap(words, PMD_SIZE, PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, away) == away);
		check(mremap(away, PMD_SIZE, PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, words) == words);
	}
	stop_all();
	check_eq(words[0] >> 32, 1);
}

/* Tables are grown and dropped while other threads write through them. */

struct counters {
	uint64_t *words;
	uint64_t rounds[1024];
};

static void count_and_protect(const struct member *member, void *arg)
{
	struct counters *counters = arg;
	/* A page of the same table, of this member alone. */
	char *own = (char *)counters->words + (PAGES + member->index) * PAGE;

	for (size_t page = 0; page < PAGES; page++)
		counters->words[page * PAGE / 8 + member->index]++;
	counters->rounds[member->index]++;
	check_ok(mprotect(own, PAGE, PROT_READ));
	if (try_write(own))
		fail("node %d can write what it made read-only", member->node);
	check_ok(mprotect(own, PAGE, PROT_READ | PROT_WRITE));
	if (!try_write(own))
		fail("node %d cannot write what it made writable", member->node);
	check_ok(madvise(own, PAGE, MADV_DONTNEED));
}

static void count_until_stopped(const struct member *member, void *arg)
{
	until_stopped(count_and_protect, member, arg);
}

TEST(switch_under_writers, .timeout = 120)
{
	static struct counters counters;

	counters.words = map_anon(PMD_SIZE, PMD_SIZE);
	memset(counters.words, 0, SIZE);
	crew_begin(count_until_stopped, &counters);
	for (long i = 0; i < rounds.value; i++)
		must_set_policy(SELF, i % 2 ? test_policy : "none");
	stop_all();
	for (size_t page = 0; page < PAGES; page++)
		for (int i = 0; i < nr_crew; i++)
			check_eq(counters.words[page * PAGE / 8 + i], counters.rounds[i]);
}

/* Nothing is left of processes that are over, however they end. */

static void live_shortly(int how)
{
	char *p = map_anon(64 * PMD_SIZE, PMD_SIZE);

	for (size_t i = 0; i < 64; i++)
		fill_here(p + i * PMD_SIZE, PAGE, i);
	switch (how) {
	case 0:
		_exit(0);
	case 1:
		abort();
	case 2:
		set_policy(SELF, "none");
		set_policy(SELF, "replicate all");
		raise(SIGKILL);
	}
	execl("/nowhere", "nowhere", NULL);
	unmap(p, 64 * PMD_SIZE);
	_exit(0);
}

TEST(nothing_is_left)
{
	long before = replica_bytes_of_all(), processes = read_number("/sys/kernel/mm/mitosis/processes");

	for (int i = 0; i < 12; i++) {
		pid_t pid = check_ok(fork());

		if (!pid)
			live_shortly(i % 4);
		check_eq(waitpid(pid, NULL, 0), pid);
	}
	expect_no_leak(before);
	if (!wait_until(read_number("/sys/kernel/mm/mitosis/processes") <= processes, 15))
		fail("processes that are over still count");
}

static void collapse_file(void *arg)
{
	int fd = check_ok(memfd_create("mitosis", MFD_CLOEXEC));
	char *p = map_anon(PMD_SIZE, PMD_SIZE), *q = map_anon(PMD_SIZE, PMD_SIZE);

	(void)arg;
	check_ok(ftruncate(fd, PMD_SIZE));
	check(mmap(p, PMD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == p);
	check(mmap(q, PMD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == q);
	fill(p, PMD_SIZE, 1);
	expect_filled(q, PMD_SIZE, 1);
	if (madvise(p, PMD_SIZE, MADV_COLLAPSE))
		skip("MADV_COLLAPSE: %s", strerror(errno));
	expect_filled(q, PMD_SIZE, 1);
}

/* Nor of tables that a collapse took out of the page table and freed much later. */
TEST(nothing_is_left_of_collapse)
{
	long before = replica_bytes_of_all();

	for (int i = 0; i < 3; i++)
		end_child(start_child(collapse_file, NULL));
	expect_no_leak(before);
}

/* A process ends while CPUs of other nodes keep its root loaded, idle or for a kernel thread. */
static void rest(const struct member *member, void *arg)
{
	(void)member;
	(void)arg;
	usleep(2000);
}

static void end_while_lazy(void *arg)
{
	on_all(rest, arg);
	crew_begin(rest, arg);
}

TEST(end_while_lazy)
{
	for (int i = 0; i < 20; i++)
		end_child(start_child(end_while_lazy, NULL));
	sync();
}

/* Policy changes find each CPU that has the process loaded lazily, too. */
TEST(switch_while_lazy)
{
	char *p = map_anon(SIZE, PAGE);

	for (int i = 0; i < 40; i++) {
		on_all(rest, NULL);
		must_set_policy(SELF, i % 2 ? test_policy : "none");
		fill(p, SIZE, i);
		expect_filled(p, SIZE, i);
	}
}

/* perf reads page tables in an NMI or with interrupts off, at any moment. */
TEST(perf_reads_page_sizes)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_PAGE_FAULTS,
		.sample_period = 1, .sample_type = PERF_SAMPLE_ADDR | PERF_SAMPLE_DATA_PAGE_SIZE,
		.inherit = 0, .exclude_kernel = 1,
	};
	struct perf_event_mmap_page *ring;
	char *p = map_anon(PMD_SIZE, PMD_SIZE);
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd < 0)
		skip("perf_event_open: %s", strerror(errno));
	ring = check_ok((struct perf_event_mmap_page *)mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE,
							    MAP_SHARED, fd, 0));
	for (int i = 0; i < 20; i++) {
		fill_here(p, SIZE, i);
		must_set_policy(SELF, i % 2 ? test_policy : "none");
		check_ok(madvise(p, SIZE, MADV_DONTNEED));
		ring->data_tail = ring->data_head;
	}
	check(ring->data_head > 0);
	close(fd);
}
