// SPDX-License-Identifier: GPL-2.0
/*
 * Count tables by level and node, and where their entries lead, in the primary
 * tree and in the tree of each node.  Takes the locks of one table at a time,
 * so the picture is not one of a single instant.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include "census.h"
#include "internal.h"

enum page_size { SIZE_4K, SIZE_2M, SIZE_1G, PAGE_SIZES };

struct pages {
	unsigned long code, data, hint;
};

/* One row of a tree: the tables of one level on one node. */
struct row {
	unsigned long tables, freed;
	unsigned long to[];	/* entries by the node that they lead to */
};

/*
 * Nodes are numbered densely: nth[nid] is the place of an online node, node[]
 * the way back.  Trees: 0 is the primary's, 1 + n that of the nth node.
 */
struct mitosis_census {
	int nodes;
	int *nth, *node;
	void *rows;
	struct mitosis_policy policy;
	nodemask_t effective;
	enum mitosis_mode mode;
	unsigned long replica_bytes, fallbacks, migrations;
	struct pages pages[PAGE_SIZES];
	int *walks;		/* by nth node: the tree its CPUs walk */
};

static size_t row_size(const struct mitosis_census *c)
{
	return sizeof(struct row) + c->nodes * sizeof(unsigned long);
}

static struct row *row_of(struct mitosis_census *c, int tree, int level, int n)
{
	size_t index = ((size_t)tree * MITOSIS_LEVELS + level - 1) * c->nodes + n;

	return c->rows + index * row_size(c);
}

void mitosis_census_free(struct mitosis_census *c)
{
	if (!c)
		return;
	kvfree(c->rows);
	kfree(c->nth);
	kfree(c->node);
	kfree(c->walks);
	kfree(c);
}

static void number_nodes(struct mitosis_census *c)
{
	int nid;

	for_each_node(nid)
		c->nth[nid] = -1;
	for_each_online_node(nid) {
		if (c->nodes == nr_node_ids)
			break;
		c->node[c->nodes] = nid;
		c->nth[nid] = c->nodes++;
	}
}

struct mitosis_census *mitosis_census_alloc(void)
{
	struct mitosis_census *c = kzalloc(sizeof(*c), GFP_KERNEL);
	size_t rows;

	if (!c)
		return NULL;

	c->nth = kcalloc(nr_node_ids, sizeof(int), GFP_KERNEL);
	c->node = kcalloc(nr_node_ids, sizeof(int), GFP_KERNEL);
	c->walks = kcalloc(nr_node_ids, sizeof(int), GFP_KERNEL);
	if (!c->nth || !c->node || !c->walks)
		goto fail;

	number_nodes(c);
	rows = (size_t)(c->nodes + 1) * MITOSIS_LEVELS * c->nodes;
	c->rows = kvcalloc(rows, row_size(c), GFP_KERNEL);
	if (c->rows)
		return c;
fail:
	mitosis_census_free(c);
	return NULL;
}

/* The node of what an entry leads to, densely numbered; -1 for none. */
static int entry_nth(struct mitosis_census *c, u64 val)
{
	unsigned long pfn;

	if (!entry_present(val))
		return -1;
	pfn = pte_pfn(native_make_pte(val));
	return pfn_valid(pfn) ? c->nth[page_to_nid(pfn_to_page(pfn))] : -1;
}

static void count_entries(struct mitosis_census *c, struct row *row,
			  struct ptdesc *pt, int entries)
{
	u64 *table = ptdesc_address(pt);
	int i, n;

	for (i = 0; i < entries; i++) {
		n = entry_nth(c, READ_ONCE(table[i]));
		if (n >= 0)
			row->to[n]++;
	}
}

static void count_page(struct pages *pages, u64 val)
{
	if (val & _PAGE_NX)
		pages->data++;
	else
		pages->code++;
	if (pte_protnone(native_make_pte(val)))
		pages->hint++;
}

static void count_pages(struct mitosis_census *c, struct ptdesc *pt, int level)
{
	u64 *table = ptdesc_address(pt);
	int i;

	if (level > MITOSIS_PUD)
		return;

	for (i = 0; i < PTRS_PER_PTE; i++) {
		u64 val = READ_ONCE(table[i]);

		if (entry_present(val) &&
		    (level == MITOSIS_PTE || !entry_is_table(val)))
			count_page(&c->pages[level - MITOSIS_PTE], val);
	}
}

static int user_entries(int level)
{
	return level == mitosis_top_level() ? PTRS_PER_PTE / 2 : PTRS_PER_PTE;
}

/* A leaf leads to the same page in each copy; only upper levels differ. */
static void count_tree(struct mitosis_census *c, int tree, struct ptdesc *pt,
		       struct row *primary, int level)
{
	struct row *row = row_of(c, tree, level, c->nth[ptdesc_nid(pt)]);
	int n;

	row->tables++;
	if (!primary) {
		count_entries(c, row, pt, user_entries(level));
		return;
	}
	for (n = 0; n < c->nodes; n++)
		row->to[n] += primary->to[n];
}

struct take {
	struct mitosis_census *c;
	struct row *one;	/* scratch: the entries of one table */
};

static int count_table(struct mitosis_mm *m, struct mitosis_table *t, void *arg)
{
	struct take *take = arg;
	struct mitosis_census *c = take->c;
	struct ptdesc *copy;
	int n;

	if (c->nth[ptdesc_nid(t->pt)] < 0)	/* came online meanwhile */
		return 0;

	memset(take->one, 0, row_size(c));
	count_entries(c, take->one, t->pt, user_entries(t->level));
	count_pages(c, t->pt, t->level);
	count_tree(c, 0, t->pt, take->one, t->level);

	for (n = 0; n < c->nodes; n++) {
		copy = ring_find(t->pt, c->node[n], m);
		count_tree(c, 1 + n, copy ?: t->pt,
			   copy && t->level > MITOSIS_PTE ? NULL : take->one,
			   t->level);
	}
	return 0;
}

/* Which of the trees a CPU of each node walks: its own, another's, the primary. */
static void find_walked(struct mitosis_mm *m, struct mitosis_census *c)
{
	int n, k;

	for (n = 0; n < c->nodes; n++) {
		pgd_t *root = READ_ONCE(m->node[c->node[n]].root);

		c->walks[n] = 0;
		for (k = 0; k < c->nodes; k++) {
			if (READ_ONCE(m->node[c->node[k]].tree) == root)
				c->walks[n] = 1 + k;
		}
	}
}

static void count_freed(struct mitosis_mm *m, struct mitosis_census *c)
{
	int n, level;

	for (n = 0; n < c->nodes; n++) {
		struct mitosis_node *node = &m->node[c->node[n]];

		for (level = MITOSIS_PTE; level <= mitosis_top_level(); level++) {
			row_of(c, 0, level, n)->freed =
				atomic_long_read(&node->freed[MITOSIS_PRIMARY][level]);
			row_of(c, 1 + n, level, n)->freed =
				atomic_long_read(&node->freed[MITOSIS_COPY][level]);
		}
	}
}

/* Pages that NUMA balancing moved, over all threads. */
static unsigned long count_migrations(struct task_struct *task)
{
	unsigned long sum = 0;
#ifdef CONFIG_NUMA_BALANCING
	struct task_struct *t;

	rcu_read_lock();
	for_each_thread(task, t) {
		/* A statistic that each thread adds to with no lock. */
		sum += data_race(t->numa_pages_migrated);
	}
	rcu_read_unlock();
#endif
	return sum;
}

/**
 * mitosis_census_take - count the tables of an address space
 * @m: address space, which may have lost its last user
 * @task: a task of it, for the count of migrations
 * @c: empty census
 *
 * Return: 0, -ERESTARTNOHAND, -ENOMEM.  An address space that is going away
 * counts as far as it was seen.
 */
int mitosis_census_take(struct mitosis_mm *m, struct task_struct *task,
			struct mitosis_census *c)
{
	struct take take = { .c = c };
	int level, err = 0;

	take.one = kzalloc(row_size(c), GFP_KERNEL);
	if (!take.one)
		return -ENOMEM;

	mitosis_get_policy(m, &c->policy);
	c->mode = mitosis_effective_mode(m);
	c->effective = data_race(m->nodes);	/* as all numbers: of some moment */
	c->fallbacks = atomic_long_read(&m->fallbacks);
	c->replica_bytes = mitosis_replica_bytes(m->mm);
	c->migrations = count_migrations(task);
	find_walked(m, c);
	count_freed(m, c);
	/*
	 * Without the key an exit does not wait for a walker, and bury() does
	 * not wait for a reader before it drops what the address space holds of
	 * it.  When there is no user at all this address space is over.
	 */
	if (mitosis_share_key()) {
		for (level = mitosis_top_level(); level >= MITOSIS_PTE && !err; level--)
			err = mitosis_walk(m, level, count_table, &take);
		mitosis_drop_key();
	}

	kfree(take.one);
	return err == -ESRCH ? 0 : err;
}

/*
 * Rows of the file: the head, then for the primary tree and for each node's a
 * title and a row for each level and node, then the pages.
 */
static int rows_per_tree(struct mitosis_census *c)
{
	return 1 + mitosis_top_level() * c->nodes;
}

loff_t mitosis_census_rows(struct mitosis_census *c)
{
	return 1 + (loff_t)(c->nodes + 1) * rows_per_tree(c) + 1;
}

static int show_head(struct seq_file *seq, struct mitosis_census *c)
{
	struct mitosis_policy effective = { .mode = MITOSIS_NONE };
	char *buf = kmalloc(PAGE_SIZE, GFP_KERNEL);
	int n;

	if (!buf)
		return -ENOMEM;

	if (c->mode > MITOSIS_NONE && !nodes_empty(c->effective)) {
		effective.mode = c->mode;
		effective.nodes = c->effective;
	}
	mitosis_print(buf, PAGE_SIZE, &c->policy);
	seq_printf(seq, "policy %s\n", buf);
	mitosis_print(buf, PAGE_SIZE, &effective);
	seq_printf(seq, "effective %s\n", buf);
	seq_printf(seq, "levels %d\n", mitosis_top_level());
	for (n = 0; n < c->nodes; n++)
		seq_printf(seq, "%s%d", n ? "," : "nodes ", c->node[n]);
	seq_printf(seq, "\nreplica_bytes %lu\n", c->replica_bytes);
	seq_printf(seq, "fallbacks %lu\n", c->fallbacks);
	kfree(buf);
	return 0;
}

static void show_title(struct seq_file *seq, struct mitosis_census *c, int tree)
{
	if (tree)
		seq_printf(seq, "tree %d\n", c->node[tree - 1]);
	else
		seq_puts(seq, "tree primary\n");
}

/*
 * Allocated so far is what there is and what was freed.  Only a node's own
 * copies are counted in its tree.
 */
static void show_row(struct seq_file *seq, struct mitosis_census *c, int tree,
		     int level, int n)
{
	int walked = tree ? c->walks[tree - 1] : 0, k;
	struct row *row = row_of(c, walked, level, n);
	bool counts = !tree || (walked == tree && n == tree - 1);
	unsigned long freed = counts ? row_of(c, tree, level, n)->freed : 0;

	if (!row->tables && !freed)
		return;

	seq_printf(seq, "table %d %d %lu %lu %lu", level, c->node[n],
		   row->tables, counts ? row->tables + freed : 0, freed);
	for (k = 0; k < c->nodes; k++)
		seq_printf(seq, " %lu", row->to[k]);
	seq_putc(seq, '\n');
}

static void show_pages(struct seq_file *seq, struct mitosis_census *c)
{
	static const char * const names[] = { "4K", "2M", "1G" };
	int i;

	for (i = 0; i < PAGE_SIZES; i++)
		seq_printf(seq, "mapped %s code %lu data %lu hint %lu\n",
			   names[i], c->pages[i].code, c->pages[i].data,
			   c->pages[i].hint);
	seq_printf(seq, "migrations %lu\n", c->migrations);
}

int mitosis_census_show(struct seq_file *seq, struct mitosis_census *c,
			loff_t row)
{
	int tree, rest;

	if (row == 0)
		return show_head(seq, c);
	if (row == mitosis_census_rows(c) - 1) {
		show_pages(seq, c);
		return 0;
	}

	tree = (int)(row - 1) / rows_per_tree(c);
	rest = (int)(row - 1) % rows_per_tree(c);
	if (!rest)
		show_title(seq, c, tree);
	else
		show_row(seq, c, tree, mitosis_top_level() - (rest - 1) / c->nodes,
			 (rest - 1) % c->nodes);
	return 0;
}
