// SPDX-License-Identifier: GPL-2.0
/*
 * Leaks: after many processes of all policies and ends, each node has as many page-table pages as
 * before. kmemleak does not see pages of the page allocator; their numbers tell.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "mitosis_test.h"

SETTING(processes, 400, "processes that come and go in each test")

#define STACKS		"/sys/kernel/debug/page_owner_stacks/show_stacks"
#define SETTLE_SECONDS	30
#define TIMEOUT		7200

/* What is counted: page-table pages of each node, or pages by who allocated them. */
#define MAX_COUNTS	64

struct counts {
	int nr;
	long pages[MAX_COUNTS];
};

static struct counts page_tables(void)
{
	struct counts counts = { 0 };
	char path[96];

	/* What CPUs have not handed over yet counts as well. */
	check_eq(write_file("/proc/sys/vm/stat_refresh", "1"), 0);
	for (int node = 0; counts.nr < MAX_COUNTS; node++) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/vmstat", node);
		if (!exists(path))
			break;
		counts.pages[counts.nr] = read_field(path, "nr_page_table_pages");
		check(counts.pages[counts.nr++] >= 0);
	}
	return counts;
}

static bool makes_page_tables(const char *frame)
{
	static const char * const makers[] = {
		" mitosis_", " __mitosis_", "pte_alloc_one", "__pmd_alloc", "__pud_alloc", "__p4d_alloc",
		"pgd_alloc",
	};

	for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
		if (strstr(frame, makers[i]))
			return true;
	return false;
}

/*
 * Of the same calls, but no page table: slabs, as of the locks that are apart from their page, and
 * what tools keep of stacks. How many there are depends on what KASAN holds back.
 */
static bool is_of_allocator(const char *frame)
{
	return strstr(frame, " allocate_slab") || strstr(frame, " stack_depot_save");
}

/* Page owner shows a stack, a line for each frame, and then the number of its pages. */
static struct counts owned_pages(void)
{
	struct counts counts = { .nr = 1 };
	bool made = false, other = false;
	char line[512];
	FILE *file;
	long pages;

	file = fopen(STACKS, "re");
	if (!file)
		skip("no page owner: CONFIG_PAGE_OWNER, and page_owner=on on the kernel's command line");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "nr_base_pages: %ld", &pages) != 1) {
			made |= makes_page_tables(line);
			other |= is_of_allocator(line);
			continue;
		}
		counts.pages[0] += made && !other ? pages : 0;
		made = false;
		other = false;
	}
	fclose(file);
	return counts;
}

/* Processes */

static void touch_everywhere(void)
{
	char *high = (char *)(1UL << 45);

	check(mmap(high, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		   -1, 0) == high);
	*high = 1;
	*(char *)map_anon(PMD_SIZE, PMD_SIZE) = 1;
}

static void *touch_for_ever(void *arg)
{
	char *p = map_anon(PMD_SIZE, PMD_SIZE);

	pin_to_cpu(*(int *)arg);
	for (;;) {
		for (size_t i = 0; i < PMD_SIZE; i += PAGE)
			p[i] = 1;
		check_ok(madvise(p, PMD_SIZE, MADV_DONTNEED));
	}
	return NULL;
}

static void reap(pid_t pid)
{
	int status;

	check_eq(waitpid(pid, &status, 0), pid);
	if (!(WIFEXITED(status) && !WEXITSTATUS(status)) && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		fail("a process ends with status %x", status);
}

enum end { EXIT, KILL_ITSELF, KILLED, EXEC, THREAD_RUNS, PARENT, NR_ENDS };

static void __attribute__((noreturn)) live(const char *policy, enum end end, int other_cpu)
{
	pthread_t thread;
	pid_t pid;

	/* An empty one is what the fork took over. */
	if (*policy)
		must_set_policy(SELF, policy);
	touch_everywhere();
	switch (end) {
	case KILL_ITSELF:
		raise(SIGKILL);
		break;
	case KILLED:
		for (;;)
			touch_for_ever(&other_cpu);
	case EXEC:
		exec_self("end", "");
		fail("exec: %s", strerror(errno));
	case THREAD_RUNS:
		check_eq(pthread_create(&thread, NULL, touch_for_ever, &other_cpu), 0);
		usleep(1000);
		break;
	case PARENT:
		pid = check_ok(fork());
		if (pid)
			reap(pid);
		break;
	default:
		break;
	}
	_exit(0);
}

/* All combinations of policy and end in turn. */
static void start_and_end(const struct member *member, long number)
{
	static const char * const policies[] = {
		"", "bind 0", "replicate 0", "none", "replicate all", "default",
	};
	enum end end = number / ARRAY_SIZE(policies) % NR_ENDS;
	const char *policy = policies[number % ARRAY_SIZE(policies)];
	int other_cpu = crew[(member->index + 1) % nr_crew].cpu;
	pid_t pid = check_ok(fork());

	if (!pid)
		live(policy, end, other_cpu);
	if (end == KILLED) {
		/* At any moment of its life. */
		usleep(number % 7 * 1000);
		check_ok(kill(pid, SIGKILL));
	}
	reap(pid);
}

/* In a process of its own on each node, so that they run at once and their own tables go with them. */
static void come_and_go(long number)
{
	pid_t *pids = calloc(nr_crew, sizeof(*pids));

	check(pids);
	for (int i = 0; i < nr_crew; i++) {
		pids[i] = check_ok(fork());
		if (pids[i])
			continue;
		pin_to_cpu(crew[i].cpu);
		for (long n = i; n < number; n += nr_crew)
			start_and_end(&crew[i], n);
		_exit(0);
	}
	for (int i = 0; i < nr_crew; i++)
		reap(pids[i]);
	free(pids);
}

/* An idle CPU keeps the roots of the last process: give each this one's. */
static void visit_all_cpus(void)
{
	for (int cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1; cpu >= 0; cpu--)
		pin_to_cpu(cpu);
}

static bool is_back(struct counts (*count)(void), const struct counts *before, struct counts *after)
{
	visit_all_cpus();
	*after = count();
	for (int i = 0; i < before->nr; i++)
		if (after->pages[i] > before->pages[i])
			return false;
	return true;
}

static void expect_no_leaks(const char *what, struct counts (*count)(void))
{
	struct counts before, after;
	double start = now();
	long replicas;
	bool back;

	if (!without_mitosis)
		must_set_policy(SELF, "replicate all");
	crew_start();
	/* The first ones leave behind what is made once: caches, buffers of the C library. */
	come_and_go(100);
	visit_all_cpus();
	sleep(6);
	before = count();
	replicas = without_mitosis ? 0 : replica_bytes_of_all();
	come_and_go(processes.value);
	back = wait_until(is_back(count, &before, &after), SETTLE_SECONDS);
	note("processes %ld in %.0f s", processes.value, now() - start);
	for (int i = 0; i < before.nr; i++)
		note("%s %d before %ld after %ld", what, i, before.pages[i], after.pages[i]);
	if (!back)
		fail("not all pages come back");
	if (!without_mitosis)
		expect_no_leak(replicas);
}

TEST(page_tables, .bare = true, .timeout = TIMEOUT)
{
	expect_no_leaks("node", page_tables);
}

/* The allocator's own book of who holds which page. */
TEST(page_owner, .bare = true, .timeout = TIMEOUT)
{
	owned_pages();
	expect_no_leaks("owners", owned_pages);
}
