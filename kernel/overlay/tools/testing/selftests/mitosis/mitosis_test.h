/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of page-table replication share.
 *
 * A test is a function in a process of its own, under the policy of option -p, beside a crew: one
 * thread pinned to a CPU of each node that has CPUs. Before the test the crew shows that the
 * policy works (each node walks its own root); after it the kernel's checker reads the whole page
 * table. check(), fail() and skip() end the test from any thread.
 */
#ifndef MITOSIS_TEST_H
#define MITOSIS_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define PAGE		4096UL
#define MB		(1UL << 20)
#define PMD_SIZE	(2 * MB)
#define PUD_SIZE	(1024 * MB)

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Newer than the headers of some distributions. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* Tests and their settings */

struct test {
	const char *name;
	void (*run)(void);
	bool bare;		/* sets up policy and crew itself */
	unsigned int timeout;	/* seconds, default 60 */
	struct test *next;
};

struct setting {
	const char *name;
	long value;
	const char *help;
	struct setting *next;
};

void test_register(struct test *test);
void setting_register(struct setting *setting);

#define TEST(id, ...)							\
	static void run_##id(void);					\
	static struct test test_##id = { .name = #id, .run = run_##id, __VA_ARGS__ }; \
	static void __attribute__((constructor)) register_##id(void)	\
	{								\
		test_register(&test_##id);				\
	}								\
	static void run_##id(void)

/* A number that option -o NAME=VALUE changes. */
#define SETTING(id, default_value, text)				\
	static struct setting id = { #id, default_value, text, NULL };	\
	static void __attribute__((constructor)) register_##id(void)	\
	{								\
		setting_register(&id);					\
	}

/* Called instead of the tests when the program runs itself by exec_self(); by default it ends at once. */
typedef int (*exec_handler)(int argc, char **argv);
extern exec_handler on_exec;

/* Verdicts */

void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define fail(...)	test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip(...)	test_skip(__VA_ARGS__)

#define check(condition)						\
	do {								\
		if (!(condition))					\
			fail("not true: %s", #condition);		\
	} while (0)

#define check_eq(a, b)							\
	do {								\
		long long a_ = (long long)(a), b_ = (long long)(b);	\
		if (a_ != b_)						\
			fail("%s is %lld, not %s (%lld)", #a, a_, #b, b_);	\
	} while (0)

/* The call must not return -1. */
#define check_ok(call)							\
	({								\
		typeof(call) ret_ = (call);				\
		if (ret_ == (typeof(call))-1)				\
			fail("%s: %s", #call, strerror(errno));		\
		ret_;							\
	})

/* The crew */

struct member {
	int index;
	int node;
	int cpu;
};

typedef void (*job_fn)(const struct member *member, void *arg);

extern struct member *crew;
extern int nr_crew;

void crew_start(void);
void crew_pin(int index);
/* Run a job in the thread of one member, of all at once, or of all while the caller goes on. */
void on_member(int index, job_fn job, void *arg);
void on_all(job_fn job, void *arg);
void crew_begin(job_fn job, void *arg);
void crew_end(void);
int member_of_node(int node);
int member_far_from(int node);

void pin_to_cpu(int cpu);
double now(void);
/* Poll until true, for @seconds at most. */
#define wait_until(condition, seconds)					\
	({								\
		double end_ = now() + (seconds);			\
		bool done_;						\
		while (!(done_ = (condition)) && now() < end_)		\
			usleep(20000);					\
		done_;							\
	})

/* A signal each millisecond, to interrupt system calls. */
void send_signals(bool on);

/* Other processes */

/* Fork a child with a crew of its own; it ends well when @run returns. */
pid_t start_child(void (*run)(void *arg), void *arg);
void end_child(pid_t pid);
/* A number in memory that parent and children share, to pass the turn. */
int *new_stage(void);
void set_stage(int *stage, int value);
void await_stage(int *stage, int value);
int exec_self(const char *arg0, const char *arg1);

/* A full node */

/* Start a process that keeps the node full, down to the last page that anybody gets. */
pid_t fill_node(int node);
void empty_node(pid_t eater);
long free_pages(int node);
/* The sum of a watermark over the zones of a node, in pages. */
long watermark(int node, const char *name);

/* Memory */

void *map(size_t size, size_t align, int prot, int flags);
void *map_anon(size_t size, size_t align);
/* userfaultfd with these features, or skip; what it watches; the answer to a fault. */
int uffd_open(uint64_t features);
void uffd_register(int fd, void *p, size_t size, uint64_t mode);
void uffd_copy(int fd, void *page, const void *from);
void unmap(void *p, size_t size);
/* Write a pattern to one word of each page, pages in turn by the members or all by one. */
void fill(void *p, size_t size, unsigned int seed);
void fill_by(int index, void *p, size_t size, unsigned int seed);
/* The calling thread alone. */
void fill_here(void *p, size_t size, unsigned int seed);
bool filled_here(const void *p, size_t size, unsigned int seed);
/* What each member must see in each page. */
void expect_filled(const void *p, size_t size, unsigned int seed);
/* The bytes @from to @to of an area that was filled from @p on. */
void expect_part(const void *p, size_t from, size_t to, unsigned int seed);
void expect_zero(const void *p, size_t size);
void expect_unreadable(const void *p, size_t size);
void expect_unwritable(const void *p, size_t size);
/* Access by the calling thread that survives SIGSEGV and SIGBUS. */
bool try_read(const void *p);
bool try_read_word(const volatile uint64_t *p, uint64_t *value);
bool try_write(void *p);
uint64_t pattern(unsigned int seed, size_t page);
/* Have all CPUs walk the page tables anew. */
void flush_tlbs(void);
/* Have reclaim find all pages. */
void drain_lists(void);

/* Files of the kernel */

bool exists(const char *path);
/* Return the length or -errno. */
ssize_t read_file(const char *path, char *text, size_t size);
/* Return 0 or an errno. */
int write_file(const char *path, const char *text);
long read_number(const char *path);
/* The number after @name in a file of lines such as "name 12" or "name: 12 kB"; -1 without it. */
long read_field(const char *path, const char *name);
/* Set a knob for the time of this test. */
void set_knob(const char *path, const char *text);
/* Until the test ends, no NUMA balancing; and none that had begun goes on. */
void stop_balancing(void);
/* Have something undone at the end of this test, however it ends. */
enum undo_kind { UNDO_WRITE, UNDO_SWAPOFF, UNDO_UMOUNT, UNDO_RMDIR };
void undo_later(enum undo_kind kind, const char *path, const char *text);
/* A field of /proc/self/smaps, in KB, summed over the mappings in the range. */
long smaps_kb(const void *p, size_t size, const char *field);
uint64_t pagemap(const void *p);
#define PAGEMAP_PRESENT		(1ULL << 63)
#define PAGEMAP_SWAPPED		(1ULL << 62)
#define PAGEMAP_SOFT_DIRTY	(1ULL << 55)
#define PAGEMAP_PFN(entry)	((entry) & ((1ULL << 55) - 1))
int node_of_page(void *p);
/* A word of a number per page frame: /proc/kpageflags and the like. */
uint64_t kpage_word(const char *path, uint64_t pfn);
#define KPF_DIRTY	(1ULL << 4)
#define KPF_SWAPCACHE	(1ULL << 13)

/* Swap on compressed memory for the time of this test, or skip. */
void need_swap(size_t size);
/* A block device of compressed memory of its own, its path in @path, or skip. */
void need_zram(size_t size, char *path, size_t path_size);
/* A memory cgroup for the time of this test, its directory in @path, or skip. */
void need_cgroup(char *path, size_t size);
/* Write to a file of a cgroup; return 0 or an errno. */
int set_cgroup(const char *group, const char *file, const char *text);
bool cpu_has(const char *flag);
/* At least so many nodes with a page table of their own, or skip. */
void need_nodes(int nr);

/* Mitosis */

#define SELF 0

/* Return 0 or an errno. */
int set_policy(pid_t pid, const char *policy);
void must_set_policy(pid_t pid, const char *policy);
void get_policy(pid_t pid, char *text, size_t size);
void expect_policy(pid_t pid, const char *policy);
extern const char *test_policy;
/* Option -n: any kernel; policies and checks of page tables are left out. */
extern bool without_mitosis;

struct table_row {
	int tree;	/* TREE_PRIMARY or the node whose CPUs walk it */
	int level;
	int node;
	long tables, allocated, freed;
};

#define TREE_PRIMARY	(-1)

struct pgtables {
	char policy[512], effective[512];
	int levels;
	long replica_bytes, fallbacks, migrations;
	long huge_data, hinting;
	size_t nr_rows;
	struct table_row *rows;
};

struct pgtables read_pgtables(pid_t pid);
void free_pgtables(struct pgtables *tables);
/* Sum up rows; any tree, level or node but one asked for is left out; 0 = any level, -1 = any node. */
long count_tables(const struct pgtables *tables, int tree, int level, int node);
/* Are all tables that CPUs of node @node walk on node @home? */
bool all_tables_on(const struct pgtables *tables, int node, int home);

struct verdict {
	long tables, copies, entries, ad_differ, mismatches, nonlocal, cpus, roots;
	char bad[2048];
};

struct verdict verify(pid_t pid);
/* Run the checker on a process: no mismatch, and nothing elsewhere while there is memory. */
void check_tables(pid_t pid);
/* The crew runs on all nodes at once: as many roots as the policy asks for. */
void check_roots(void);
/* Wait until the system has no more replicas than @before; fail if some are left over. */
void expect_no_leak(long before);
long replica_bytes_of_all(void);

struct entry {
	int level;
	bool primary;
	int node;
	uint64_t raw;
	int present, write, young, dirty, saved_dirty, leaf;
};

/* What the page tables hold for an address, in all copies; return how many. */
int read_entries(pid_t pid, const void *p, struct entry *entries, int max);
/* The level of the leaf that maps an address, 0 if none. */
int leaf_level(pid_t pid, const void *p);

/* Node lists in the kernel's syntax */

struct nodes {
	int nr;
	int id[1024];
};

/* How many tables do CPUs of these nodes walk that lie on another node? */
long tables_elsewhere(pid_t pid, const struct nodes *nodes);

struct nodes parse_nodes(const char *text);
bool has_node(const struct nodes *nodes, int node);
/* Nodes with CPUs and with memory for the kernel: those of 'replicate all'. */
const struct nodes *full_nodes(void);
/* The nodes in force for this process; none under 'none'. */
struct nodes effective_nodes(pid_t pid);
int nr_all_nodes(void);
int distance(int from, int to);

#endif
