// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces that keep their TLB entries while others run: a CPU that comes back loads the
 * root of its node together with the old PCID, and without a flush.
 */
#include <limits.h>
#include <sys/stat.h>

#include "mitosis_test.h"

#define TRACING		"/sys/kernel/tracing"
#define PROBES		TRACING "/kprobe_events"
#define INSTANCE	TRACING "/instances/mitosis_test"
#define ENABLE		INSTANCE "/events/mitosis_test/load/enable"

/* CR3 */
#define PCID(cr3)	((cr3) & (PAGE - 1))
#define ROOT(cr3)	((cr3) & ((1UL << 52) - PAGE))
#define NOFLUSH		(1UL << 63)

#define MAX_CPUS	1024
#define SIZE		(64 * PAGE)

SETTING(rounds, 50, "times that each CPU changes between two processes and back")

/* What CR3 would have been with the primary, and what it became. */
static struct load {
	int cpu;
	unsigned long asked, loaded;
} *loads;
static size_t nr_loads;

static void trace_loads(void)
{
	if (!exists(PROBES))
		skip("no " PROBES " (CONFIG_KPROBE_EVENTS)");
	check_eq(write_file(PROBES, "r:mitosis_test/load __mitosis_cr3 asked=$arg1:x64 loaded=$retval:x64"), 0);
	undo_later(UNDO_WRITE, PROBES, "-:mitosis_test/load");
	check_ok(mkdir(INSTANCE, 0700));
	undo_later(UNDO_RMDIR, INSTANCE, NULL);
	check_eq(write_file(ENABLE, "1"), 0);
}

/* "  pcid-91  [002] d..2.  12.345: load: (switch_mm+0x1/0x2 <- __mitosis_cr3) asked=0x1 loaded=0x2" */
static bool parse_load(const char *line, struct load *load)
{
	const char *cpu = strstr(line, " ["), *values = strstr(line, " asked=");

	return cpu && values && sscanf(cpu, " [%d]", &load->cpu) == 1 &&
	       sscanf(values, " asked=%lx loaded=%lx", &load->asked, &load->loaded) == 2;
}

static void read_loads(void)
{
	char *line = NULL;
	size_t size = 0;
	FILE *trace;

	check_eq(write_file(ENABLE, "0"), 0);
	trace = fopen(INSTANCE "/trace", "re");
	check(trace);
	while (getline(&line, &size, trace) > 0) {
		loads = realloc(loads, (nr_loads + 1) * sizeof(*loads));
		check(loads);
		if (parse_load(line, &loads[nr_loads]))
			check(loads[nr_loads++].cpu < MAX_CPUS);
	}
	fclose(trace);
	free(line);
}

/* Two processes take turns on each CPU. */

struct pipes {
	int mine[2], yours[2];
};

static void pass_the_turn(int from, int to)
{
	char turn = 0;

	check_eq(read(from, &turn, 1), 1);
	check_eq(write(to, &turn, 1), 1);
}

static void play(const struct member *member, void *arg)
{
	struct pipes *pipes = (struct pipes *)arg + member->index;

	for (int i = 0; i < rounds.value; i++)
		pass_the_turn(pipes->mine[0], pipes->yours[1]);
}

static void play_back(const struct member *member, void *arg)
{
	struct pipes *pipes = (struct pipes *)arg + member->index;

	for (int i = 0; i < rounds.value; i++)
		pass_the_turn(pipes->yours[0], pipes->mine[1]);
}

static void child_plays(void *arg)
{
	on_all(play_back, arg);
}

static void take_turns(void)
{
	struct pipes *pipes = calloc(nr_crew, sizeof(*pipes));
	pid_t child;

	check(pipes);
	for (int i = 0; i < nr_crew; i++) {
		check_ok(pipe(pipes[i].mine));
		check_ok(pipe(pipes[i].yours));
	}
	child = start_child(child_plays, pipes);
	for (int i = 0; i < nr_crew; i++)
		check_eq(write(pipes[i].mine[1], "", 1), 1);
	on_all(play, pipes);
	end_child(child);
}

/* The CPU of each member has loaded one root for each primary, its own, and kept PCIDs. */

static bool is_first(size_t i)
{
	for (size_t earlier = 0; earlier < i; earlier++)
		if (ROOT(loads[earlier].asked) == ROOT(loads[i].asked))
			return false;
	return true;
}

/* Did a CPU load a copy of this root? */
static bool is_replicated(unsigned long primary)
{
	for (size_t i = 0; i < nr_loads; i++)
		if (ROOT(loads[i].asked) == primary && ROOT(loads[i].loaded) != primary)
			return true;
	return false;
}

static void expect_only_the_root_to_change(void)
{
	for (size_t i = 0; i < nr_loads; i++)
		if ((loads[i].asked ^ ROOT(loads[i].asked)) != (loads[i].loaded ^ ROOT(loads[i].loaded)))
			fail("CPU %d: %lx became %lx", loads[i].cpu, loads[i].asked, loads[i].loaded);
}

/* Return the root that a CPU has loaded for a primary, 0 if it never did. */
static unsigned long root_on(int cpu, unsigned long primary)
{
	unsigned long root = 0;

	for (size_t i = 0; i < nr_loads; i++) {
		if (loads[i].cpu != cpu || ROOT(loads[i].asked) != primary)
			continue;
		if (root && ROOT(loads[i].loaded) != root)
			fail("CPU %d loads %lx, and %lx %s", cpu, root, ROOT(loads[i].loaded),
			     loads[i].asked & NOFLUSH ? "without a flush" : "with a flush");
		root = ROOT(loads[i].loaded);
	}
	return root;
}

/* Return how often a CPU came back to a copy, under a PCID that it had left, without a flush. */
static long reused(int cpu)
{
	long count = 0;

	for (size_t i = 0; i < nr_loads; i++)
		count += loads[i].cpu == cpu && loads[i].asked & NOFLUSH && PCID(loads[i].loaded) &&
			 ROOT(loads[i].loaded) != ROOT(loads[i].asked);
	return count;
}

static void expect_own_roots(unsigned long primary)
{
	for (int i = 0; i < nr_crew; i++) {
		unsigned long root = root_on(crew[i].cpu, primary);

		for (int other = 0; other < i; other++)
			if (root && root == root_on(crew[other].cpu, primary))
				fail("CPUs %d and %d both load %lx", crew[i].cpu, crew[other].cpu, root);
	}
}

TEST(reused_without_flush)
{
	long least = LONG_MAX, sum = 0;

	if (!cpu_has("pcid"))
		skip("this CPU has no PCID");
	need_nodes(2);
	trace_loads();
	take_turns();
	read_loads();
	expect_only_the_root_to_change();
	for (size_t i = 0; i < nr_loads; i++)
		if (is_first(i) && is_replicated(ROOT(loads[i].asked)))
			expect_own_roots(ROOT(loads[i].asked));
	for (int i = 0; i < nr_crew; i++) {
		long count = reused(crew[i].cpu);

		/* Of two changes in a round; some lead to a CPU that was flushed meanwhile. */
		if (count < rounds.value)
			fail("CPU %d has come back %ld times without a flush", crew[i].cpu, count);
		sum += count;
		least = count < least ? count : least;
	}
	note("loads %zu, of a copy without a flush %ld, at least %ld on each CPU", nr_loads, sum, least);
}

/* What a CPU knew of a process under its old PCID changes while another process has the CPU. */

static struct away {
	int joined;	/* members of the other process that have had the CPU, of all rounds */
	int round;
} *away;

static void keep_cpu(const struct member *member, void *arg)
{
	const int *round = arg;

	(void)member;
	__atomic_add_fetch(&away->joined, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&away->round, __ATOMIC_SEQ_CST) == *round)
		;
}

static void child_keeps(void *arg)
{
	(void)arg;
	for (int round = 0; round < rounds.value; round++)
		on_all(keep_cpu, &round);
}

TEST(changed_while_away)
{
	char *p = map_anon(SIZE, PAGE);
	pid_t child;

	if (!cpu_has("pcid"))
		skip("this CPU has no PCID");
	away = (struct away *)new_stage();
	fill(p, SIZE, 0);
	expect_filled(p, SIZE, 0);
	child = start_child(child_keeps, NULL);
	for (int round = 0; round < rounds.value; round++) {
		await_stage(&away->joined, (round + 1) * nr_crew);
		/* The members have checked the last round and rest: let the others run once more. */
		usleep(2000);
		check_ok(madvise(p, SIZE, MADV_DONTNEED));
		fill_here(p, SIZE, round + 1);
		set_stage(&away->round, round + 1);
		expect_filled(p, SIZE, round + 1);
	}
	end_child(child);
}
