// SPDX-License-Identifier: GPL-2.0
/*
 * Where page tables lie, seen from outside. QEMU's monitor tells each vCPU's CR3, which memory is
 * which node's, and what physical memory holds; the tables are walked here. Nothing of that is the
 * kernel's opinion: it has to hold by itself, and then to agree with what the kernel says.
 */
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "mitosis_test.h"
#include "lib/monitor.h"

#define MAX_LEVEL	5
#define ENTRIES		512
#define CHUNK		64	/* tables to ask for at once */

/* Entries */

#define PRESENT		(1ULL << 0)
#define ACCESSED	(1ULL << 5)
#define DIRTY		(1ULL << 6)
#define PSE		(1ULL << 7)
#define SAVED_DIRTY	(1ULL << 58)
#define NX		(1ULL << 63)
#define ADDRESS		0x000ffffffffff000ULL
#define CR4_LA57	(1ULL << 12)

static int levels;
static bool pti;
static uint64_t primary;	/* the root of the tree from which all others are copied */

static bool leads_to_table(int level, uint64_t entry)
{
	return level > 1 && (entry & (PRESENT | PSE)) == PRESENT;
}

/* The user half only. */
static int nr_entries(int level)
{
	return level == levels ? ENTRIES / 2 : ENTRIES;
}

static uint64_t span(int level)
{
	return 1ULL << (12 + 9 * (level - 1));
}

/* What has to be equal in all trees. In an entry that is not present all bits count. */
static uint64_t comparable(int level, uint64_t entry)
{
	uint64_t free = entry & PRESENT ? ACCESSED | DIRTY | SAVED_DIRTY : 0;

	return entry & ~(leads_to_table(level, entry) ? free | ADDRESS : free);
}

/* Roots: what each vCPU has in CR3, without PCID and LAM. */

/* Under PTI a program walks the second page of a root; in the kernel CR3 has the first one. */
static uint64_t user_root(uint64_t cr3)
{
	return pti ? (cr3 & ADDRESS) | PAGE : cr3 & ADDRESS;
}

static void read_roots(uint64_t *root)
{
	monitor_read_registers();
	levels = machine.cpu[0].cr4 & CR4_LA57 ? 5 : 4;
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		root[cpu] = user_root(machine.cpu[cpu].cr3);
}

/* Tables: each is read once, however many trees it is in. */

struct table {
	int level, node;
	uint64_t word[ENTRIES];
};

static struct {
	int nr, max;
	struct table *table;
	uint64_t *phys;
	bool odd;	/* an entry cannot be right: what was read has changed meanwhile */
} tables;

/* All there at once: measuring must not change what is measured. */
static void *populated(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	check(p != MAP_FAILED);
	return p;
}

static void prepare_tables(void)
{
	tables.max = 256 + 160 * machine.nr_cpus;
	tables.table = populated(tables.max * sizeof(*tables.table));
	tables.phys = populated(tables.max * sizeof(*tables.phys));
}

static struct table *find_table(uint64_t phys)
{
	for (int i = 0; i < tables.nr; i++)
		if (tables.phys[i] == phys)
			return &tables.table[i];
	return NULL;
}

static void want_table(uint64_t phys, int level)
{
	const struct table *known = find_table(phys);
	int node = monitor_node_of(phys);

	if (node < 0 || (known && known->level != level))
		tables.odd = true;
	if (node < 0 || known)
		return;
	if (tables.nr == tables.max)
		fail("there are more than %d tables", tables.max);
	tables.table[tables.nr].level = level;
	tables.table[tables.nr].node = node;
	tables.phys[tables.nr++] = phys;
}

static struct table *child_of(const struct table *table, int i)
{
	struct table *child = find_table(table->word[i] & ADDRESS);

	check(child);
	return child;
}

static void read_words(int first, int nr)
{
	struct piece pieces[CHUNK];

	for (int i = 0; i < nr; i++)
		pieces[i] = (struct piece) {
			.phys = tables.phys[first + i],
			.nr = nr_entries(tables.table[first + i].level),
			.words = tables.table[first + i].word,
		};
	monitor_read(pieces, nr);
}

static void want_children(const struct table *table)
{
	for (int i = 0; i < nr_entries(table->level); i++)
		if (leads_to_table(table->level, table->word[i]))
			want_table(table->word[i] & ADDRESS, table->level - 1);
}

static void want_root(uint64_t root)
{
	want_table(root, levels);
	if (pti)
		want_table(root ^ PAGE, levels);
}

static void read_tables(const uint64_t *root)
{
	tables.nr = 0;
	tables.odd = false;
	want_root(primary);
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		want_root(root[cpu]);
	for (int done = 0, nr; done < tables.nr; done += nr) {
		nr = tables.nr - done < CHUNK ? tables.nr - done : CHUNK;
		read_words(done, nr);
		for (int i = done; i < done + nr; i++)
			want_children(&tables.table[i]);
	}
}

/* Threads on all vCPUs */

static struct {
	volatile bool on;
	volatile unsigned int turns[MAX_CPUS];
	pthread_t thread[MAX_CPUS];	/* on vCPUs that have no member of the crew */
} spinning;

static void spin_on(int cpu)
{
	while (spinning.on) {
		spinning.turns[cpu]++;
		sched_yield();
	}
}

static void spin(const struct member *member, void *arg)
{
	(void)arg;
	spin_on(member->cpu);
}

static void *spin_alone(void *arg)
{
	pin_to_cpu((long)arg);
	spin_on((long)arg);
	return NULL;
}

static bool has_member(int cpu)
{
	for (int i = 0; i < nr_crew; i++)
		if (crew[i].cpu == cpu)
			return true;
	return false;
}

static void start_spinning(void)
{
	spinning.on = true;
	crew_begin(spin, NULL);
	for (long cpu = 0; cpu < machine.nr_cpus; cpu++)
		if (!has_member(cpu))
			check(!pthread_create(&spinning.thread[cpu], NULL, spin_alone,
					      (void *)cpu));
}

static void stop_spinning(void)
{
	spinning.on = false;
	crew_end();
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		if (!has_member(cpu))
			check(!pthread_join(spinning.thread[cpu], NULL));
}

/* From now on each vCPU runs, or has just run, a thread of this process. */
static void await_turns(void)
{
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++) {
		unsigned int before = spinning.turns[cpu];

		if (!wait_until(spinning.turns[cpu] != before, 30))
			fail("no thread runs on CPU %d", cpu);
	}
}

/* What was measured: the tree of each vCPU, and what the kernel says meanwhile. */

struct tree {
	uint64_t root;
	long tables[MAX_LEVEL + 1][MAX_NODES];
};

static struct {
	uint64_t root[MAX_CPUS];
	struct tree *tree[MAX_CPUS], *primary, trees[MAX_CPUS + 1];
	int nr_trees, nr_roots;
	struct pgtables inside;
} seen;

static void count(struct tree *tree, const struct table *table)
{
	tree->tables[table->level][table->node]++;
	for (int i = 0; i < nr_entries(table->level); i++)
		if (leads_to_table(table->level, table->word[i]))
			count(tree, child_of(table, i));
}

static struct tree *tree_of(uint64_t root)
{
	struct tree *tree;

	for (int i = 0; i < seen.nr_trees; i++)
		if (seen.trees[i].root == root)
			return &seen.trees[i];
	tree = &seen.trees[seen.nr_trees++];
	memset(tree, 0, sizeof(*tree));
	tree->root = root;
	count(tree, find_table(root));
	return tree;
}

/* Any level or node but one asked for is left out; 0 = any level, -1 = any node. */
static long sum(const struct tree *tree, int level, int node)
{
	long sum = 0;

	for (int l = 1; l <= levels; l++)
		for (int n = 0; n < MAX_NODES; n++)
			if ((!level || l == level) && (node < 0 || n == node))
				sum += tree->tables[l][n];
	return sum;
}

static bool same_tables(const struct pgtables *a, const struct pgtables *b)
{
	bool same = a->nr_rows == b->nr_rows;

	for (size_t i = 0; same && i < a->nr_rows; i++)
		same = a->rows[i].tree == b->rows[i].tree && a->rows[i].level == b->rows[i].level &&
		       a->rows[i].node == b->rows[i].node && a->rows[i].tables == b->rows[i].tables;
	return same;
}

/* Return whether nothing changed from the first look to the last. */
static bool look(void)
{
	uint64_t root[MAX_CPUS];
	struct pgtables before;
	bool same;

	await_turns();
	before = read_pgtables(SELF);
	read_roots(seen.root);
	read_tables(seen.root);
	await_turns();
	read_roots(root);
	free_pgtables(&seen.inside);
	seen.inside = read_pgtables(SELF);
	same = !tables.odd && same_tables(&before, &seen.inside) &&
	       !memcmp(root, seen.root, machine.nr_cpus * sizeof(*root));
	free_pgtables(&before);
	return same;
}

/* Roots that are walked: the primary need not be among them. */
static int count_roots(void)
{
	int nr = 0;

	for (int i = 0; i < seen.nr_trees; i++)
		for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
			if (seen.tree[cpu] == &seen.trees[i]) {
				nr++;
				break;
			}
	return nr;
}

static void measure(void)
{
	double start = now();
	int tries = 1;

	while (!look())
		if (tries++ == 8)
			fail("roots and tables do not come to rest");
	seen.nr_trees = 0;
	seen.primary = tree_of(primary);
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		seen.tree[cpu] = tree_of(seen.root[cpu]);
	seen.nr_roots = count_roots();
	note("'%s': %d vCPUs, %d roots, %d tables, %d levels%s; attempt %d, %.1f s",
	     seen.inside.effective, machine.nr_cpus, seen.nr_roots, tables.nr, levels,
	     pti ? ", PTI" : "", tries, now() - start);
}

/* Inside and outside agree. */

/* Say where the first difference is. @which is a node or TREE_PRIMARY. */
static bool agrees(const struct tree *tree, int which)
{
	for (int level = 1; level <= levels; level++)
		for (int node = 0; node < MAX_NODES; node++) {
			long inside = count_tables(&seen.inside, which, level, node);
			long outside = tree->tables[level][node];

			if (inside == outside)
				continue;
			note("tree %d: %ld tables of level %d on node %d, the kernel says %ld",
			     which, outside, level, node, inside);
			return false;
		}
	return true;
}

static bool all_agree(void)
{
	bool agree = agrees(seen.primary, TREE_PRIMARY);

	check_eq(seen.inside.levels, levels);
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		agree &= agrees(seen.tree[cpu], machine.cpu[cpu].node);
	return agree;
}

/* All trees say the same of each address. */

/* An entry may have changed from one look to the next: look at both again. */
static bool differs_again(struct table *a, struct table *b, int i)
{
	read_words(a - tables.table, 1);
	read_words(b - tables.table, 1);
	return comparable(a->level, a->word[i]) != comparable(b->level, b->word[i]);
}

static void compare(struct table *a, struct table *b, uint64_t address)
{
	if (a == b)
		return;
	for (int i = 0; i < nr_entries(a->level); i++, address += span(a->level)) {
		uint64_t x = a->word[i], y = b->word[i];

		if (comparable(a->level, x) == comparable(b->level, y)) {
			if (leads_to_table(a->level, x))
				compare(child_of(a, i), child_of(b, i), address);
		} else if (differs_again(a, b, i)) {
			fail("%" PRIx64 ": the table of level %d on node %d has %" PRIx64
			     ", that on node %d %" PRIx64, address, a->level, a->node, a->word[i],
			     b->node, b->word[i]);
		}
	}
}

/* The kernel walks the first page of a root under PTI: the same tables, not to be executed. */
static void compare_halves(uint64_t root)
{
	struct table *user = find_table(root), *kernel = find_table(root ^ PAGE);

	for (int i = 0; i < nr_entries(levels); i++)
		if ((user->word[i] ^ kernel->word[i]) & ~(ACCESSED | DIRTY | NX))
			fail("entry %d of a root is %" PRIx64 ", and %" PRIx64 " for the kernel", i,
			     user->word[i], kernel->word[i]);
}

static void compare_trees(void)
{
	for (int i = 0; i < seen.nr_trees; i++) {
		compare(find_table(primary), find_table(seen.trees[i].root), 0);
		if (pti)
			compare_halves(seen.trees[i].root);
	}
}

/* Memory that needs several dozen tables, and is touched from all nodes. */

#define AREAS	4
#define TABLES	48
#define HUGE	TABLES

static struct {
	char *p, *huge;
} memory;

static char *place(int i)
{
	return memory.p + i % AREAS * PUD_SIZE + i / AREAS * PMD_SIZE;
}

static void map_memory(void)
{
	memory.p = map_anon(AREAS * PUD_SIZE, PUD_SIZE);
	memory.huge = map_anon(PMD_SIZE, PMD_SIZE);
	/* Rotate, so that nodes take turns within an area as well. */
	for (int i = 0; i < TABLES; i++)
		fill_by((i + i / nr_crew) % nr_crew, place(i), PAGE, i);
	check_ok(madvise(memory.huge, PMD_SIZE, MADV_HUGEPAGE));
	fill_by(nr_crew - 1, memory.huge, PMD_SIZE, HUGE);
	if (smaps_kb(memory.huge, PMD_SIZE, "AnonHugePages") != PMD_SIZE / 1024)
		skip("no huge page to be had");
}

static void unmap_memory(void)
{
	unmap(memory.p, AREAS * PUD_SIZE);
	unmap(memory.huge, PMD_SIZE);
}

static void expect_contents(void)
{
	for (int i = 0; i < TABLES; i++)
		expect_filled(place(i), PAGE, i);
	expect_filled(memory.huge, PMD_SIZE, HUGE);
}

/* Where a CPU finds @p, through a leaf of level @level. */
static uint64_t translate(const struct table *table, const void *p, int level)
{
	uint64_t address = (uintptr_t)p, entry;

	for (;;) {
		int i = address / span(table->level) % ENTRIES;

		entry = table->word[i];
		if (!leads_to_table(table->level, entry))
			break;
		table = child_of(table, i);
	}
	if (table->level != level || !(entry & PRESENT))
		fail("%" PRIx64 " of level %d maps %p, not one of level %d", entry, table->level, p,
		     level);
	return (entry & ADDRESS & -span(level)) | (address & (span(level) - 1));
}

/* What was written here stands in the memory that the entries lead to. */
static void read_contents(void)
{
	const struct table *root = find_table(seen.root[machine.nr_cpus - 1]);
	struct piece pieces[TABLES + 1];
	uint64_t words[TABLES + 1];

	for (int i = 0; i < TABLES; i++)
		pieces[i].phys = translate(root, place(i), 1);
	pieces[HUGE].phys = translate(root, memory.huge + PMD_SIZE - 8, 2);
	for (int i = 0; i < TABLES + 1; i++) {
		pieces[i].nr = 1;
		pieces[i].words = &words[i];
	}
	monitor_read(pieces, TABLES + 1);
	for (int i = 0; i < TABLES; i++)
		check_eq(words[i], pattern(i, 0));
	check_eq(words[HUGE], pattern(HUGE, PMD_SIZE / PAGE - 1));
}

/* Locality, from what was seen outside */

/* Nodes with vCPUs and with memory: those of 'replicate all'. */
static struct nodes complete_nodes(void)
{
	bool has_cpu[MAX_NODES] = { 0 };
	struct nodes nodes = { 0 };

	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		has_cpu[machine.cpu[cpu].node] = true;
	for (int node = 0; node < MAX_NODES; node++)
		if (has_cpu[node] && machine.megabytes[node])
			nodes.id[nodes.nr++] = node;
	return nodes;
}

static int nearest_distance(const struct nodes *nodes, int from)
{
	int least = 256;

	for (int i = 0; i < nodes->nr; i++)
		if (distance(from, nodes->id[i]) < least)
			least = distance(from, nodes->id[i]);
	return least;
}

static int home_of(int cpu)
{
	return monitor_node_of(seen.root[cpu]);
}

/* A vCPU walks the tree of its own node if that is listed, else of the nearest that is. */
static bool is_right_home(int home, int node, const struct nodes *listed)
{
	if (!has_node(listed, home) || has_node(listed, node))
		return home == node;
	return distance(node, home) == nearest_distance(listed, node);
}

static void expect_home(int cpu, const struct nodes *listed)
{
	const struct tree *tree = seen.tree[cpu];
	int home = home_of(cpu), node = machine.cpu[cpu].node;

	if (!is_right_home(home, node, listed))
		fail("vCPU %d of node %d walks a root on node %d", cpu, node, home);
	if (sum(tree, 0, home) != sum(tree, 0, -1))
		fail("vCPU %d of node %d walks %ld tables, of which %ld lie on node %d", cpu, node,
		     sum(tree, 0, -1), sum(tree, 0, home), home);
}

static void expect_local(const struct nodes *listed)
{
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		expect_home(cpu, listed);
	for (int a = 0; a < machine.nr_cpus; a++)
		for (int b = 0; b < a; b++)
			if ((seen.root[a] == seen.root[b]) != (home_of(a) == home_of(b)))
				fail("vCPUs %d and %d walk %s root", a, b,
				     seen.root[a] == seen.root[b] ? "the same" : "more than one");
}

/* Without a policy all walk the primary, and chance laid it on all nodes: the figures can tell. */
static void expect_scattered(void)
{
	struct nodes nodes = complete_nodes();

	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		if (seen.root[cpu] != primary)
			fail("vCPU %d walks another tree than the primary", cpu);
	for (int i = 0; i < nodes.nr; i++)
		if (!sum(seen.tree[0], 1, nodes.id[i]))
			fail("no table lies on node %d", nodes.id[i]);
}

static void expect_in_force(const struct nodes *listed)
{
	const char *list = strchr(seen.inside.effective, ' ');
	struct nodes nodes = parse_nodes(list ? list + 1 : "");

	if (nodes.nr != listed->nr || memcmp(nodes.id, listed->id, nodes.nr * sizeof(*nodes.id)))
		fail("in force is '%s'", seen.inside.effective);
}

/* Everything that has to be true while trees for these nodes are in force; none = no policy. */
static void expect(const struct nodes *listed)
{
	bool agree;

	measure();
	expect_in_force(listed);
	agree = all_agree();
	if (listed->nr)
		expect_local(listed);
	else
		expect_scattered();
	check(agree);
	compare_trees();
	read_contents();
}

/* The tests. They run without the preparations of others, which would notice a wrong root first. */

static const struct nodes no_nodes;

static struct nodes one_node(int node)
{
	return (struct nodes){ .nr = 1, .id = { node } };
}

/* Every second node. */
static struct nodes some_nodes(void)
{
	struct nodes all = complete_nodes(), some = { 0 };

	for (int i = 1; i < all.nr; i += 2)
		some.id[some.nr++] = all.id[i];
	return some;
}

static void set_nodes(const char *verb, const struct nodes *nodes)
{
	char policy[512];
	int length = snprintf(policy, sizeof(policy), "%s ", verb);

	for (int i = 0; i < nodes->nr; i++)
		length += snprintf(policy + length, sizeof(policy) - length, "%s%d", i ? "," : "",
				   nodes->id[i]);
	must_set_policy(SELF, policy);
}

static bool all_same(const uint64_t *root)
{
	for (int cpu = 1; cpu < machine.nr_cpus; cpu++)
		if (root[cpu] != root[0])
			return false;
	return true;
}

/* It is what all vCPUs walk as long as there is no policy, and it never moves. */
static void find_primary(void)
{
	uint64_t root[MAX_CPUS] = { 0 }, before;
	int tries = 0;

	must_set_policy(SELF, "none");
	start_spinning();
	do {
		if (tries++ == 16)
			fail("vCPUs walk several trees under 'none'");
		before = root[0];
		await_turns();
		read_roots(root);
	} while (!all_same(root) || root[0] != before);
	primary = root[0];
	stop_spinning();
}

static void prepare(void)
{
	if (without_mitosis)
		skip("looks into the page tables");
	monitor_open();
	if (machine.nr_cpus != sysconf(_SC_NPROCESSORS_ONLN))
		skip("of %d vCPUs %ld are online", machine.nr_cpus, sysconf(_SC_NPROCESSORS_ONLN));
	prepare_tables();
	pti = cpu_has("pti");
	/* Local is the default, but pages of a policy that was set are not moved between nodes. */
	check_ok(syscall(SYS_set_mempolicy, MPOL_LOCAL, NULL, 0));
	set_knob("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	crew_start();
	find_primary();
}

/* The policy is in force before the memory is touched. */
static void run_under(const struct nodes *listed)
{
	map_memory();
	start_spinning();
	expect(listed);
	stop_spinning();
	expect_contents();
	check_tables(SELF);
	unmap_memory();
}

TEST(replicate_all, .bare = true, .timeout = 120)
{
	struct nodes all;

	prepare();
	all = complete_nodes();
	must_set_policy(SELF, "replicate all");
	run_under(&all);
}

TEST(replicate_some, .bare = true, .timeout = 120)
{
	struct nodes some;

	prepare();
	need_nodes(2);
	some = some_nodes();
	set_nodes("replicate", &some);
	run_under(&some);
}

TEST(bind_each, .bare = true, .timeout = 240)
{
	struct nodes all;

	prepare();
	all = complete_nodes();
	for (int i = 0; i < all.nr; i++) {
		struct nodes listed = one_node(all.id[i]);

		set_nodes("bind", &listed);
		run_under(&listed);
	}
}

/* Tables that were placed by a policy stay where they are when it is gone. */
TEST(none, .bare = true, .timeout = 120)
{
	struct nodes all, last;

	prepare();
	must_set_policy(SELF, "none");
	run_under(&no_nodes);
	all = complete_nodes();
	last = one_node(all.id[all.nr - 1]);
	set_nodes("bind", &last);
	map_memory();
	must_set_policy(SELF, "none");
	start_spinning();
	measure();
	stop_spinning();
	check(all_agree());
	if (sum(seen.tree[0], 1, last.id[0]) < TABLES)
		fail("%ld of %d tables lie on node %d, where they were placed",
		     sum(seen.tree[0], 1, last.id[0]), TABLES, last.id[0]);
}

/* The policy changes while threads run on all vCPUs, and all of them change over. */
TEST(live, .bare = true, .timeout = 240)
{
	struct nodes all, some, last;

	prepare();
	all = complete_nodes();
	some = some_nodes();
	last = one_node(all.id[all.nr - 1]);
	must_set_policy(SELF, "none");
	map_memory();
	start_spinning();
	expect(&no_nodes);
	set_nodes("replicate", &all);
	expect(&all);
	if (some.nr) {
		set_nodes("replicate", &some);
		expect(&some);
	}
	set_nodes("bind", &last);
	expect(&last);
	must_set_policy(SELF, "none");
	expect(&no_nodes);
	stop_spinning();
	expect_contents();
	check_tables(SELF);
}

/* The parent waits, and changes nothing that the child needs. */
static void fork_once(void)
{
	pid_t child = check_ok(syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL));

	if (!child)
		_exit(0);
	end_child(child);
}

/* Entries that were changed in place, by fork and mprotect, were changed in all trees. */
TEST(changed_entries, .bare = true, .timeout = 120)
{
	struct nodes all;

	prepare();
	all = complete_nodes();
	must_set_policy(SELF, "replicate all");
	map_memory();
	check_ok(mprotect(place(0), PMD_SIZE, PROT_READ));
	fork_once();
	start_spinning();
	expect(&all);
	stop_spinning();
	expect_contents();
	check_tables(SELF);
}
