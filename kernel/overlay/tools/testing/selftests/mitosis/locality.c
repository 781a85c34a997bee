// SPDX-License-Identifier: GPL-2.0
/* Where page tables lie under each policy, on a machine with any number of nodes. */
#include "mitosis_test.h"

#define TABLES	64
#define SPAN	(TABLES * PMD_SIZE)

/* Touch memory that needs many page tables, in turn from all nodes. */
static char *map_sparsely(void)
{
	char *p = map_anon(SPAN, PMD_SIZE);

	for (size_t i = 0; i < TABLES; i++)
		fill_by(i % nr_crew, p + i * PMD_SIZE, 2 * PAGE, i);
	return p;
}

static void expect_contents(const char *p)
{
	for (size_t i = 0; i < TABLES; i += 7)
		expect_filled(p + i * PMD_SIZE, 2 * PAGE, i);
}

static int nearest_distance(const struct nodes *nodes, int from)
{
	int least = 256;

	for (int i = 0; i < nodes->nr; i++)
		if (distance(from, nodes->id[i]) < least)
			least = distance(from, nodes->id[i]);
	return least;
}

/* Does a CPU of @node walk tables of one of @nodes only, as near as possible? */
static bool walks_nearest(const struct pgtables *tables, const struct nodes *nodes, int node)
{
	int least = nearest_distance(nodes, node);

	for (int i = 0; i < nodes->nr; i++)
		if (distance(node, nodes->id[i]) == least && all_tables_on(tables, node, nodes->id[i]))
			return true;
	return false;
}

static long local_tables(const struct pgtables *tables, int node, const struct nodes *nodes)
{
	long most = 0;

	for (int i = 0; i < nodes->nr; i++) {
		long here = count_tables(tables, node, 0, nodes->id[i]);

		most = here > most ? here : most;
	}
	return most;
}

/* Each member's node walks its own tables if it is listed, else those of the nearest that is. */
static void expect_local(const struct nodes *listed)
{
	struct pgtables tables = read_pgtables(SELF);

	check(count_tables(&tables, TREE_PRIMARY, 1, -1) >= TABLES);
	for (int i = 0; i < nr_crew; i++) {
		int node = crew[i].node;

		if (has_node(listed, node) ? !all_tables_on(&tables, node, node) :
					     !walks_nearest(&tables, listed, node))
			fail("under '%s' node %d finds %ld of %ld tables where they should be, fallbacks %ld",
			     tables.effective, node, local_tables(&tables, node, listed),
			     count_tables(&tables, node, 0, -1), tables.fallbacks);
	}
	free_pgtables(&tables);
	check_tables(SELF);
}

static struct nodes one_node(int node)
{
	return (struct nodes){ .nr = 1, .id = { node } };
}

static void must_set(const char *verb, int node)
{
	char policy[32];

	snprintf(policy, sizeof(policy), "%s %d", verb, node);
	must_set_policy(SELF, policy);
}

TEST(replicate_all)
{
	struct nodes effective;
	char *p;

	must_set_policy(SELF, "replicate all");
	effective = effective_nodes(SELF);
	check_eq(effective.nr, full_nodes()->nr);
	for (int i = 0; i < effective.nr; i++)
		check_eq(effective.id[i], full_nodes()->id[i]);
	p = map_sparsely();
	expect_local(&effective);
	expect_contents(p);
	check_roots();
}

TEST(replicate_after_the_fact)
{
	char *p;

	must_set_policy(SELF, "none");
	p = map_sparsely();
	must_set_policy(SELF, "replicate all");
	expect_local(full_nodes());
	expect_contents(p);
	check_roots();
}

TEST(replicate_one)
{
	char *p = map_sparsely();

	for (int i = 0; i < full_nodes()->nr; i++) {
		struct nodes listed = one_node(full_nodes()->id[i]);

		must_set("replicate", listed.id[0]);
		expect_local(&listed);
		expect_contents(p);
	}
}

TEST(replicate_ends)
{
	const struct nodes *full = full_nodes();
	struct nodes listed = { .nr = 2, .id = { full->id[0], full->id[full->nr - 1] } };
	char policy[64], *p = map_sparsely();

	need_nodes(2);
	snprintf(policy, sizeof(policy), "replicate %d,%d", listed.id[0], listed.id[1]);
	must_set_policy(SELF, policy);
	expect_local(&listed);
	expect_contents(p);
	check_roots();
}

TEST(bind_each)
{
	char *p = map_sparsely();

	for (int i = 0; i < full_nodes()->nr; i++) {
		int node = full_nodes()->id[i];
		struct nodes listed = one_node(node);

		must_set("bind", node);
		expect_local(&listed);
		/* New tables follow. */
		unmap(p, SPAN);
		p = map_sparsely();
		expect_local(&listed);
		expect_contents(p);
	}
}

/* What is allocated under 'bind' needs no copy: the tables themselves lie there. */
TEST(bind_new_tables)
{
	for (int i = 0; i < full_nodes()->nr; i++) {
		int node = full_nodes()->id[i];
		struct pgtables before, after;

		must_set("bind", node);
		before = read_pgtables(SELF);
		map_sparsely();
		after = read_pgtables(SELF);
		if (count_tables(&after, TREE_PRIMARY, 1, node) <
		    count_tables(&before, TREE_PRIMARY, 1, node) + TABLES)
			fail("%ld of %d new tables lie on node %d",
			     count_tables(&after, TREE_PRIMARY, 1, node) -
			     count_tables(&before, TREE_PRIMARY, 1, node), TABLES, node);
		free_pgtables(&before);
		free_pgtables(&after);
	}
}

TEST(none)
{
	char *p = map_sparsely();
	struct pgtables tables;

	must_set_policy(SELF, "none");
	tables = read_pgtables(SELF);
	check_eq(tables.replica_bytes, 0);
	check(!strcmp(tables.effective, "none"));
	check_eq(verify(SELF).copies, 0);
	free_pgtables(&tables);
	expect_contents(p);
	check_roots();
}

/* Tables are local from birth on: nothing had to be repaired. */
TEST(new_tables)
{
	struct pgtables before, after;

	must_set_policy(SELF, "replicate all");
	before = read_pgtables(SELF);
	for (int i = 0; i < 3; i++) {
		char *p = map_sparsely();

		expect_local(full_nodes());
		unmap(p, SPAN);
	}
	after = read_pgtables(SELF);
	check_eq(after.fallbacks, before.fallbacks);
	free_pgtables(&before);
	free_pgtables(&after);
}

static long sum_allocated(const struct pgtables *tables, bool freed)
{
	long sum = 0;

	for (size_t i = 0; i < tables->nr_rows; i++)
		if (tables->rows[i].tree == TREE_PRIMARY && tables->rows[i].level == 1)
			sum += freed ? tables->rows[i].freed : tables->rows[i].allocated;
	return sum;
}

TEST(allocated_and_freed)
{
	struct pgtables before = read_pgtables(SELF), after;

	unmap(map_sparsely(), SPAN);
	after = read_pgtables(SELF);
	check(sum_allocated(&after, false) >= sum_allocated(&before, false) + TABLES);
	check(sum_allocated(&after, true) >= sum_allocated(&before, true) + TABLES - 1);
	check_eq(sum_allocated(&after, false) - sum_allocated(&after, true),
		 count_tables(&after, TREE_PRIMARY, 1, -1));
	free_pgtables(&before);
	free_pgtables(&after);
}

TEST(levels)
{
	struct pgtables tables = read_pgtables(SELF);

	check_eq(tables.levels, cpu_has("la57") ? 5 : 4);
	for (int level = 1; level <= tables.levels; level++)
		check(count_tables(&tables, TREE_PRIMARY, level, -1) > 0);
	check_eq(count_tables(&tables, TREE_PRIMARY, tables.levels, -1), 1);
	free_pgtables(&tables);
}

/* What replicas cost shows where a person looks. */

static long node_pagetables_kb(int node)
{
	char path[96];

	/* CPUs count on their own and add it up now and then, idle ones late: make them. */
	write_file("/proc/sys/vm/stat_refresh", "1");
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	return read_field(path, "PageTables");
}

/* Once what other processes have freed is gone. */
static long settled_pagetables_kb(int node)
{
	long last, kb = node_pagetables_kb(node);

	do {
		usleep(200000);
		last = kb;
		kb = node_pagetables_kb(node);
	} while (kb != last);
	return kb;
}

TEST(accounting)
{
	long vmpte, system, grown, per_node[1024];
	char *p;

	must_set_policy(SELF, "none");
	p = map_sparsely();
	vmpte = read_field("/proc/self/status", "VmPTE");
	system = read_number("/sys/kernel/mm/mitosis/replica_bytes");
	grown = read_field("/proc/vmstat", "pgtable_grown");
	check(grown >= 0);
	for (int i = 0; i < full_nodes()->nr; i++)
		per_node[i] = settled_pagetables_kb(full_nodes()->id[i]);
	must_set_policy(SELF, "replicate all");
	if (full_nodes()->nr < 2)
		return;
	/* Each node holds a copy of each table or its primary. */
	for (int i = 0; i < full_nodes()->nr; i++)
		if (!wait_until(node_pagetables_kb(full_nodes()->id[i]) >= per_node[i] + TABLES * 2, 5))
			fail("node %d: %ld KB of page tables before, %ld KB with replicas",
			     full_nodes()->id[i], per_node[i], node_pagetables_kb(full_nodes()->id[i]));
	check(read_field("/proc/self/status", "VmPTE") >=
	      vmpte + (full_nodes()->nr - 1) * TABLES * (long)PAGE / 1024);
	check(read_number("/sys/kernel/mm/mitosis/replica_bytes") >=
	      system + (full_nodes()->nr - 1) * TABLES * (long)PAGE);
	check(read_field("/proc/vmstat", "pgtable_grown") >= grown + (full_nodes()->nr - 1) * TABLES);
	expect_contents(p);
}
