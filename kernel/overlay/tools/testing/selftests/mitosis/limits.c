// SPDX-License-Identifier: GPL-2.0
/*
 * When memory is short: a node that is full, a cgroup at its limit. The program goes on, the
 * kernel counts what it could not do, and makes up for it when memory returns.
 */
#include <signal.h>
#include <sys/wait.h>

#include "mitosis_test.h"

#define TABLES		400

#define REPAIR_SECONDS	10

/* A full node */

static int last_node(void)
{
	need_nodes(2);
	return full_nodes()->id[full_nodes()->nr - 1];
}

/* Memory of which each page needs a page table, touched from another node. */
static char *touch_sparsely(void)
{
	char *p = map_anon(TABLES * PMD_SIZE, PMD_SIZE);
	int writer = member_far_from(last_node());

	for (long i = 0; i < TABLES; i++)
		fill_by(writer, p + i * PMD_SIZE, PAGE, i);
	return p;
}

static void expect_touched(const char *p)
{
	for (long i = 0; i < TABLES; i += 13)
		expect_filled(p + i * PMD_SIZE, PAGE, i);
}

static long system_count(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/mm/mitosis/%s", name);
	return read_number(path);
}

static long own_fallbacks(void)
{
	struct pgtables tables_now = read_pgtables(SELF);

	free_pgtables(&tables_now);
	return tables_now.fallbacks;
}

/* How many tables does the last node walk that lie elsewhere? */
static long missing(void)
{
	return tables_elsewhere(SELF, &(struct nodes){ 1, { last_node() } });
}

/* The program does nothing meanwhile. */
static void expect_repair(pid_t eater)
{
	long repairs = system_count("repairs");
	double start;

	empty_node(eater);
	start = now();
	if (!wait_until(!missing(), REPAIR_SECONDS))
		fail("%ld tables still lie elsewhere %d s after memory has returned",
		     missing(), REPAIR_SECONDS);
	note("repaired in %.1f s", now() - start);
	check(wait_until(system_count("repairs") > repairs, 5));
}

/* The tests show something only if copies are missing, and those that are there must be right. */
static void expect_shortage(void)
{
	if (!missing())
		skip("the node could not be kept full");
	check_eq(verify(SELF).mismatches, 0);
}

static void need_mitosis(void)
{
	if (without_mitosis)
		skip("is about replicas");
}

TEST(full_node, .timeout = 180)
{
	pid_t eater;
	long counted;
	char *p;

	need_mitosis();
	must_set_policy(SELF, "replicate all");
	counted = system_count("fallbacks") + system_count("shrunk");
	eater = fill_node(last_node());
	/* Reclaim may find room for some copies. */
	for (int i = 0; i == 0 || (i < 5 && !missing()); i++)
		p = touch_sparsely();
	expect_touched(p);
	expect_shortage();
	/* Reclaim may have taken the node's copies before one was refused. */
	check(system_count("fallbacks") + system_count("shrunk") > counted);
	expect_repair(eater);
	expect_touched(p);
}

TEST(full_node_live_switch, .timeout = 180)
{
	pid_t eater;
	char *p;

	need_mitosis();
	must_set_policy(SELF, "none");
	p = touch_sparsely();
	eater = fill_node(last_node());
	must_set_policy(SELF, "replicate all");
	expect_shortage();
	check(own_fallbacks() > 0);
	expect_touched(p);
	expect_repair(eater);
	expect_touched(p);
}

TEST(full_node_bind, .timeout = 180)
{
	char policy[32];
	pid_t eater;
	char *p;

	need_mitosis();
	must_set_policy(SELF, "none");
	p = touch_sparsely();
	eater = fill_node(last_node());
	snprintf(policy, sizeof(policy), "bind %d", last_node());
	must_set_policy(SELF, policy);
	expect_shortage();
	check(own_fallbacks() > 0);
	expect_touched(p);
	expect_repair(eater);
	expect_touched(p);
}

/* A cgroup at its limit */

struct load {
	const char *policy;
	size_t sparse;		/* pages that need a page table each */
	size_t dense;		/* bytes after that */
	char group[128];
};

static void carry(const struct load *load)
{
	char *p, *q;

	check_eq(set_cgroup(load->group, "cgroup.procs", "0"), 0);
	must_set_policy(SELF, load->policy);
	p = map_anon(load->sparse * PMD_SIZE, PMD_SIZE);
	q = map_anon(load->dense + PAGE, PAGE);
	madvise(p, load->sparse * PMD_SIZE, MADV_NOHUGEPAGE);
	madvise(q, load->dense, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < load->sparse; i++)
		fill_here(p + i * PMD_SIZE, PAGE, i);
	fill_here(q, load->dense, 1);
	for (size_t i = 0; i < load->sparse; i++)
		check(filled_here(p + i * PMD_SIZE, PAGE, i));
	check(filled_here(q, load->dense, 1));
	if (strcmp(load->policy, "none"))
		check_eq(verify(SELF).mismatches, 0);
}

/* Run a load in a cgroup with a limit in bytes (0: none); return whether it lived. */
static bool run_load(struct load *load, const char *policy, long limit)
{
	char text[32];
	int status;
	pid_t pid;

	load->policy = policy;
	if (limit) {
		snprintf(text, sizeof(text), "%ld", limit);
		check_eq(set_cgroup(load->group, "memory.max", text), 0);
	}
	pid = check_ok(fork());
	if (!pid) {
		carry(load);
		_exit(0);
	}
	check_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	return WIFEXITED(status);
}

static long read_peak(const struct load *load)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/memory.peak", load->group);
	return read_number(path);
}

static struct load new_load(size_t sparse, size_t dense)
{
	struct load load = { .sparse = sparse, .dense = dense };

	need_mitosis();
	need_nodes(2);
	need_cgroup(load.group, sizeof(load.group));
	set_cgroup(load.group, "memory.swap.max", "0");
	return load;
}

/*
 * The limit is what the program needs at most without replicas. To show that the limit is tight,
 * the program must not run with less.
 */
static void check_fits(struct load *load)
{
	long peak, limit;

	check(run_load(load, "none", 0));
	peak = read_peak(load);
	check(peak > 0);
	limit = peak + 512 * 1024;
	if (run_load(load, "none", peak / 4 * 3))
		skip("the program needs less than it was measured to need");
	check(run_load(load, "none", limit));
	note("fits into %ld KB without replicas", limit / 1024);
	if (!run_load(load, "replicate all", limit))
		fail("with replicas the program is killed for its memory");
}

/* Half of the memory is page tables: copies find no room from the start. */
TEST(cgroup_without_room, .timeout = 120)
{
	struct load load = new_load(1000, 0);

	check_fits(&load);
}

/* Copies have room at first and must give way later. */
TEST(cgroup_takes_room_back, .timeout = 120)
{
	struct load load = new_load(500, 12 * MB);

	check_fits(&load);
}

/* Replicas are charged to the process's own group. */
TEST(charged_to_own_group)
{
	char group[128], path[256];
	long before;

	need_mitosis();
	need_nodes(2);
	need_cgroup(group, sizeof(group));
	check_eq(set_cgroup(group, "cgroup.procs", "0"), 0);
	must_set_policy(SELF, "none");
	touch_sparsely();
	snprintf(path, sizeof(path), "%s/memory.stat", group);
	before = read_field(path, "pagetables");
	must_set_policy(SELF, "replicate all");
	if (!wait_until(read_field(path, "pagetables") >=
			before + (full_nodes()->nr - 1) * TABLES * (long)PAGE, 5))
		fail("the group had %ld bytes of page tables before, with replicas %ld", before,
		     read_field(path, "pagetables"));
	check_eq(write_file("/sys/fs/cgroup/cgroup.procs", "0"), 0);
}

/*
 * A fork at the limit of a cgroup. The parent's own tables are paid for by another group, so that
 * only the copies of the half-made child can give way to the child's primaries.
 */

struct litter {
	char *p;
	char group[128];
	long limit;	/* bytes */
	const char *policy;
};

#define LITTER_TABLES	2000

static void set_limit(const struct litter *litter)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", litter->limit);
	check_eq(set_cgroup(litter->group, "memory.max", text), 0);
}

static void check_child(const struct litter *litter)
{
	for (size_t i = 0; i < LITTER_TABLES; i++)
		check(filled_here(litter->p + i * PMD_SIZE, PAGE, i));
	if (strcmp(litter->policy, "none"))
		check_eq(verify(SELF).mismatches, 0);
}

/* Return whether the fork and the child went well; the parent may be killed. */
static bool fork_at_limit(struct litter *litter)
{
	int status;
	pid_t pid;

	must_set_policy(SELF, litter->policy);
	set_limit(litter);
	check_eq(set_cgroup(litter->group, "cgroup.procs", "0"), 0);
	pid = fork();
	if (pid < 0)
		return false;
	if (!pid) {
		/* The child needs little more; the parent's page tables are not its own. */
		check_child(litter);
		_exit(0);
	}
	check_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	return WIFEXITED(status);
}

/* In a process that may be killed, which starts outside of the group. */
static bool parent_survives(struct litter *litter, const char *policy, long limit)
{
	int status;
	pid_t pid;

	litter->policy = policy;
	litter->limit = limit;
	pid = check_ok(fork());
	if (!pid)
		_exit(fork_at_limit(litter) ? 0 : 77);
	check_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) && WEXITSTATUS(status) != 77)
		_exit(WEXITSTATUS(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static long oom_kills(const struct litter *litter)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/memory.events", litter->group);
	return read_field(path, "oom_kill");
}

TEST(fork_without_room, .timeout = 180)
{
	struct litter litter = { .p = NULL };
	long tables = LITTER_TABLES * (long)PAGE, limit = tables * 5 / 4 + 2 * (long)MB, refused, kills;

	need_mitosis();
	need_nodes(3);
	need_cgroup(litter.group, sizeof(litter.group));
	set_cgroup(litter.group, "memory.swap.max", "0");
	must_set_policy(SELF, "none");
	litter.p = map_anon(LITTER_TABLES * PMD_SIZE, PMD_SIZE);
	madvise(litter.p, LITTER_TABLES * PMD_SIZE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < LITTER_TABLES; i++)
		fill_here(litter.p + i * PMD_SIZE, PAGE, i);
	/* The limit means something: with less than the primaries nothing goes. */
	if (parent_survives(&litter, "none", tables * 3 / 4))
		skip("the child needs less than its page tables");
	check(parent_survives(&litter, "none", limit));
	kills = oom_kills(&litter);
	refused = system_count("fallbacks") + system_count("shrunk");
	if (!parent_survives(&litter, "replicate all", limit) || oom_kills(&litter) != kills)
		fail("the fork does not survive with replicas: %ld processes were killed",
		     oom_kills(&litter) - kills);
	check(system_count("fallbacks") + system_count("shrunk") > refused);
}
