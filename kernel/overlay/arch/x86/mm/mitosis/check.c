// SPDX-License-Identifier: GPL-2.0
/*
 * The checker: compares every copy with its primary, asks every CPU which root
 * it has in CR3, and looks at each copy when it is freed.  Reports and counts.
 */
#include <linux/debugfs.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/seq_buf.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/tlbflush.h>
#include "internal.h"

#define REPORT_SIZE	8192
#define REPORTED_MAX	16

/* Since boot: also those of tables that were freed, which nobody asked about. */
static atomic_long_t findings;

/* Since boot, by questions about processes: also by those that began again. */
static atomic_long_t compared, compared_present, compared_ad_differ;

struct check {
	unsigned long tables, copies, entries, present, ad_differ, mismatches, nonlocal;
	struct seq_buf report;
};

static void finding(struct check *check, const char *what, int level, int nid,
		    unsigned long addr, int index, u64 is, u64 expected)
{
	unsigned long diff = (is ^ expected) & ~(u64)MITOSIS_AD;

	atomic_long_inc(&findings);
	pr_err_ratelimited("mitosis: check: %s: level %d node %d address %lx index %d differs in %lx\n",
			   what, level, nid, addr, index, diff);
	if (!check)
		return;
	if (check->mismatches++ < REPORTED_MAX)
		seq_buf_printf(&check->report,
			       "bad %s level %d node %d address %lx index %d differs %lx\n",
			       what, level, nid, addr, index, diff);
}

/* Read-only with Dirty is a shadow stack, which only the kernel makes. */
static bool entry_differs(u64 is, u64 expected)
{
	if ((is ^ expected) & ~(u64)MITOSIS_AD)
		return true;
	return entry_present(is) && !(is & _PAGE_RW) && (is & _PAGE_DIRTY) &&
	       !(expected & _PAGE_DIRTY);
}

/*
 * A HugeTLB table that is mapped twice leads to the same copy from both places,
 * also when the owner has let go of one: see copy_disown().
 */
static bool leads_to_disowned(struct ptdesc *copy, u64 val, u64 is, int level)
{
	struct ptdesc *left;

	if (level != MITOSIS_PUD || !entry_is_table(val))
		return false;
	left = ring_find(entry_table(val), ptdesc_nid(copy), NULL);
	return left && !entry_differs(is, entry_to(val, left));
}

/* Interrupts off for the same reason as in entry_copy(). */
static bool entry_right(struct ptdesc *copy, u64 *slot, u64 *is, int level,
			u64 *expected)
{
	unsigned long flags;
	bool right;
	u64 val;

	local_irq_save(flags);
	val = READ_ONCE(*slot);
	*expected = entry_translate(copy, slot, val, level);
	right = !entry_differs(READ_ONCE(*is), *expected) ||
		leads_to_disowned(copy, val, READ_ONCE(*is), level);
	local_irq_restore(flags);
	return right;
}

static void check_entry(struct check *check, struct mitosis_table *t,
			struct ptdesc *copy, int index)
{
	u64 *slot = (u64 *)ptdesc_address(t->pt) + index;
	u64 *is = (u64 *)ptdesc_address(copy) + index;
	u64 expected = 0;
	int tries;

	/* Upper levels are also written without a lock: look again. */
	for (tries = 0; tries < 100; tries++) {
		if (entry_right(copy, slot, is, t->level, &expected))
			break;
		cpu_relax();
	}

	check->entries++;
	check->present += entry_present(expected);
	if (tries == 100)
		finding(check, "entry", t->level, ptdesc_nid(copy), t->addr,
			index, READ_ONCE(*is), expected);
	else if ((READ_ONCE(*is) ^ expected) & MITOSIS_AD)
		check->ad_differ++;
}

static void check_copy(struct check *check, struct mitosis_table *t,
		       struct ptdesc *copy)
{
	int i, entries = PTRS_PER_PTE;

	if (ptdesc_has_flag(copy, MITOSIS_TYPE_ROOT) &&
	    boot_cpu_has(X86_FEATURE_PTI))
		entries *= 2;

	check->copies++;
	if (copy_primary(copy) != t->pt)
		finding(check, "primary", t->level, ptdesc_nid(copy), t->addr, -1, 0, 0);
	for (i = 0; i < entries; i++)
		check_entry(check, t, copy, i);
}

/* Does the table that a CPU of @nid walks lie on @nid? */
static bool is_local(struct mitosis_mm *m, struct mitosis_table *t, int nid)
{
	if (ring_find(t->pt, nid, m) || table_is_shared(t->pt, t->level) ||
	    ptdesc_has_flag(t->pt, MITOSIS_TYPE_LEFT_OUT))
		return true;
	return t->level == MITOSIS_PTE && ptdesc_nid(t->pt) == nid;
}

static void elsewhere(struct check *check, struct mitosis_table *t, int nid)
{
	if (check->nonlocal++ < REPORTED_MAX)
		seq_buf_printf(&check->report, "elsewhere level %d node %d address %lx\n",
			       t->level, nid, t->addr);
}

static int check_table(struct mitosis_mm *m, struct mitosis_table *t, void *arg)
{
	struct check *check = arg;
	struct ptdesc *copy;
	int nid;

	check->tables++;
	for_each_copy(copy, t->pt) {
		if (copy_owner(copy) == m)
			check_copy(check, t, copy);
	}
	for_each_node_mask(nid, m->nodes) {
		if (!is_local(m, t, nid))
			elsewhere(check, t, nid);
	}
	return mitosis_make_way(m);
}

/* Which root each CPU has in CR3, by CPU; NULL for another address space. */
struct cpu_roots {
	struct mitosis_mm *m;
	pgd_t *root[];
};

static void read_root(void *info)
{
	struct cpu_roots *roots = info;

	if (this_cpu_read(cpu_tlbstate.loaded_mm) == roots->m->mm &&
	    !this_cpu_read(cpu_tlbstate_shared.is_lazy))
		roots->root[smp_processor_id()] = __va(read_cr3_pa());
}

static int distinct(struct cpu_roots *roots)
{
	int cpu, other, count = 0;

	for_each_possible_cpu(cpu) {
		if (!roots->root[cpu])
			continue;
		for (other = 0; other < cpu; other++) {
			if (roots->root[other] == roots->root[cpu])
				break;
		}
		count += other == cpu;
	}
	return count;
}

static void check_roots(struct mitosis_mm *m, struct check *check,
			struct cpu_roots *roots)
{
	int cpu, nid, cpus = 0;

	roots->m = m;
	on_each_cpu(read_root, roots, true);
	for_each_possible_cpu(cpu) {
		if (!roots->root[cpu])
			continue;
		cpus++;
		nid = cpu_to_node(cpu);
		if (roots->root[cpu] != m->node[nid].root)
			finding(check, "root", mitosis_top_level(), nid, 0, cpu, 0, 0);
	}
	seq_buf_printf(&check->report, "cpus %d\nroots %d\n", cpus, distinct(roots));
}

static int check_tables(struct mitosis_mm *m, struct check *check)
{
	int level, err = 0;

	for (level = mitosis_top_level(); level >= MITOSIS_PTE && !err; level--)
		err = mitosis_walk(m, level, check_table, check);
	return err;
}

static int check_all(struct mitosis_mm *m, struct check *check,
		     struct cpu_roots *roots)
{
	int err;

	mutex_lock(&m->lock);
	check_roots(m, check, roots);
	err = check_tables(m, check);
	mutex_unlock(&m->lock);

	atomic_long_add(check->entries, &compared);
	atomic_long_add(check->present, &compared_present);
	atomic_long_add(check->ad_differ, &compared_ad_differ);
	return err;
}

static int verify(struct mitosis_mm *m, char *buf, size_t size)
{
	struct check check;
	struct cpu_roots *roots;
	char *details;
	int err = -ENOMEM;

	details = kzalloc(REPORT_SIZE, GFP_KERNEL);
	roots = kzalloc(struct_size(roots, root, nr_cpu_ids), GFP_KERNEL);
	if (!details || !roots)
		goto out;

	/* When reclaim wants the lock, begin again. */
	do {
		memset(&check, 0, sizeof(check));
		memset(roots->root, 0, nr_cpu_ids * sizeof(roots->root[0]));
		seq_buf_init(&check.report, details, REPORT_SIZE);
		err = check_all(m, &check, roots);
		cond_resched();
	} while (err == -EBUSY);

	scnprintf(buf, size,
		  "tables %lu\ncopies %lu\nentries %lu\nad_differ %lu\nmismatches %lu\nnonlocal %lu\n%s",
		  check.tables, check.copies, check.entries, check.ad_differ,
		  check.mismatches, check.nonlocal, seq_buf_str(&check.report));
out:
	kfree(roots);
	kfree(details);
	return err;
}

/* debugfs: write a question, read the answer from the same descriptor. */
struct answer {
	size_t len;
	char text[REPORT_SIZE];
};

static struct mm_struct *mm_of_pid(int nr)
{
	struct task_struct *task = find_get_task_by_vpid(nr);
	struct mm_struct *mm;

	if (!task)
		return NULL;
	mm = get_task_mm(task);
	put_task_struct(task);
	return mm;
}

static int answer_open(struct inode *inode, struct file *file)
{
	file->private_data = kvzalloc(sizeof(struct answer), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int answer_release(struct inode *inode, struct file *file)
{
	kvfree(file->private_data);
	return 0;
}

static ssize_t answer_read(struct file *file, char __user *ubuf, size_t count,
			   loff_t *ppos)
{
	struct answer *answer = file->private_data;

	return simple_read_from_buffer(ubuf, count, ppos, answer->text, answer->len);
}

static int read_question(const char __user *ubuf, size_t count, int *pid,
			 unsigned long *addr)
{
	char text[64];

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, ubuf, count))
		return -EFAULT;
	text[count] = '\0';
	if (addr)
		return sscanf(text, "%d %lx", pid, addr) == 2 ? 0 : -EINVAL;
	return kstrtoint(strim(text), 10, pid) ? -EINVAL : 0;
}

static ssize_t verify_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	struct answer *answer = file->private_data;
	struct mm_struct *mm;
	struct mitosis_mm *m;
	int pid, err;

	err = read_question(ubuf, count, &pid, NULL);
	if (err)
		return err;
	mm = mm_of_pid(pid);
	if (!mm)
		return -ESRCH;

	m = mitosis_attach(mm);
	err = m ? mitosis_observe(m) : -ENOMEM;
	if (!err) {
		err = verify(m, answer->text, sizeof(answer->text));
		mitosis_unobserve(m);
	}
	mmput(mm);
	answer->len = strlen(answer->text);
	*ppos = 0;
	return err ?: count;
}

static void show_entry(struct seq_buf *s, int level, const char *kind, int nid,
		       u64 val)
{
	seq_buf_printf(s, "%d %s %d %016llx present=%d write=%d young=%d dirty=%d savedDirty=%d leaf=%d\n",
		       level, kind, nid, val, entry_present(val),
		       !!(val & _PAGE_RW), !!(val & _PAGE_ACCESSED),
		       !!(val & _PAGE_DIRTY), !!(val & _PAGE_SAVED_DIRTY),
		       level == MITOSIS_PTE || !entry_is_table(val));
}

struct show {
	struct seq_buf *s;
	unsigned long addr;
};

/* A walk of a whole level for one address: slow, and exact. */
static int show_table(struct mitosis_mm *m, struct mitosis_table *t, void *arg)
{
	int shift = PAGE_SHIFT + (t->level - 1) * 9;
	struct show *show = arg;
	struct ptdesc *copy;
	u64 *slot;

	if ((t->addr >> shift) >> 9 != (show->addr >> shift) >> 9)
		return 0;

	slot = (u64 *)ptdesc_address(t->pt) + ((show->addr >> shift) & 511);
	show_entry(show->s, t->level, "primary", ptdesc_nid(t->pt), READ_ONCE(*slot));
	for_each_copy(copy, t->pt)
		show_entry(show->s, t->level, "copy", ptdesc_nid(copy),
			   READ_ONCE(*(u64 *)copy_slot(copy, slot)));
	return 0;
}

static ssize_t entry_write(struct file *file, const char __user *ubuf,
			   size_t count, loff_t *ppos)
{
	struct answer *answer = file->private_data;
	struct show show;
	struct seq_buf s;
	struct mm_struct *mm;
	struct mitosis_mm *m;
	int pid, level, err;

	err = read_question(ubuf, count, &pid, &show.addr);
	if (err)
		return err;
	mm = mm_of_pid(pid);
	if (!mm)
		return -ESRCH;

	seq_buf_init(&s, answer->text, sizeof(answer->text));
	show.s = &s;
	m = mitosis_attach(mm);
	err = m ? mitosis_observe(m) : -ENOMEM;
	if (!err) {
		for (level = mitosis_top_level(); level >= MITOSIS_PTE && !err; level--)
			err = mitosis_walk(m, level, show_table, &show);
		mitosis_unobserve(m);
	}
	mmput(mm);
	answer->len = seq_buf_used(&s);
	*ppos = 0;
	return err ?: count;
}

static const struct file_operations verify_fops = {
	.open = answer_open,
	.read = answer_read,
	.write = verify_write,
	.release = answer_release,
};

static const struct file_operations entry_fops = {
	.open = answer_open,
	.read = answer_read,
	.write = entry_write,
	.release = answer_release,
};

static int findings_show(struct seq_file *seq, void *v)
{
	seq_printf(seq, "%ld\n", atomic_long_read(&findings));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(findings);

static int compared_show(struct seq_file *seq, void *v)
{
	seq_printf(seq, "entries %ld\npresent %ld\nad_differ %ld\n",
		   atomic_long_read(&compared),
		   atomic_long_read(&compared_present),
		   atomic_long_read(&compared_ad_differ));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(compared);

#ifdef CONFIG_MITOSIS_MUTANTS
static int mutant_show(struct seq_file *seq, void *v)
{
	seq_printf(seq, "%s\n", mitosis_mutant_name());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mutant);
#endif

/*
 * A copy is about to be freed with its primary: everything that was in the
 * table has been removed, so a difference is a change that missed the copy.
 */
void mitosis_check_freed(struct ptdesc *pt, struct ptdesc *copy, int level)
{
	u64 *from = ptdesc_address(pt), *is = ptdesc_address(copy);
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++) {
		if (entry_differs(READ_ONCE(is[i]), READ_ONCE(from[i])))
			finding(NULL, "freed", level, ptdesc_nid(copy), 0, i,
				READ_ONCE(is[i]), READ_ONCE(from[i]));
	}
}

/*
 * A copy goes into an mmu_gather: let it carry what tells, when it comes out,
 * whether the flush was done.  That is the address space, which outlives its
 * gathers, and the generation that the flush has to reach.  The page type marks
 * the page until then.  Where a hypervisor flushes there are no generations, and
 * tables are freed by RCU, maybe after the address space.
 */
void mitosis_check_queued(struct mm_struct *mm, struct ptdesc *copy)
{
	if (pv_ops.mmu.flush_tlb_multi != native_flush_tlb_multi)
		return;

	__folio_set_pgtable(ptdesc_folio(copy));
	copy->__page_type |= MITOSIS_TYPE_COPY;
	copy->pt_index = (unsigned long)mm;
	copy->_pt_pad_2 = atomic64_read(&mm->context.tlb_gen) + 1;
}

/*
 * Is @mm loaded on @cpu with a TLB of a generation before @gen?  The CPU may be
 * switching meanwhile.  It writes a context's identity, its generation and then
 * loaded_mm and the number of the context: read in the opposite order, and read
 * the identity again, since another address space may take the context over.
 */
static bool cpu_is_behind(int cpu, struct mm_struct *mm, u64 gen)
{
	struct tlb_state *state = per_cpu_ptr(&cpu_tlbstate, cpu);
	struct tlb_context *context;
	bool behind;

	if (READ_ONCE(state->loaded_mm) != mm)
		return false;
	smp_rmb(); /* the order that the comment above explains */
	context = &state->ctxs[READ_ONCE(state->loaded_mm_asid)];
	if (READ_ONCE(context->ctx_id) != mm->context.ctx_id)
		return false;
	smp_rmb(); /* the same */
	behind = READ_ONCE(context->tlb_gen) < gen;
	smp_rmb(); /* the same */
	if (!behind || READ_ONCE(context->ctx_id) != mm->context.ctx_id)
		return false;
	/* Another one may have had the context for a moment: not for two. */
	smp_rmb(); /* the same */
	return READ_ONCE(context->tlb_gen) < gen &&
	       READ_ONCE(state->loaded_mm) == mm;
}

/*
 * The page allocator gets a page.  If it is a copy out of an mmu_gather, every
 * CPU that has the address space loaded has flushed since, lazy ones too,
 * because page tables were freed.  A flush that somebody else asked for in
 * between counts as well, so this may miss a bug.
 */
void mitosis_check_page_freed(struct page *page)
{
	struct ptdesc *copy = page_ptdesc(page);
	struct mm_struct *mm;
	int cpu;

	if (!PageTable(page) || !ptdesc_has_flag(copy, MITOSIS_TYPE_COPY))
		return;

	mm = (struct mm_struct *)copy->pt_index;
	for_each_cpu(cpu, mm_cpumask(mm)) {
		if (cpu_is_behind(cpu, mm, copy->_pt_pad_2))
			finding(NULL, "freed before the flush", 0, ptdesc_nid(copy),
				0, cpu, 0, 0);
	}
	mark_freed(page);
	copy_clear(copy);
}

static int __init check_init(void)
{
	struct dentry *dir;

	/* Under Xen PV the entries are no frame numbers of this kernel. */
	if (!mitosis_supported())
		return 0;

	dir = debugfs_create_dir("mitosis", NULL);
	debugfs_create_file("verify", 0600, dir, NULL, &verify_fops);
	debugfs_create_file("entry", 0600, dir, NULL, &entry_fops);
	debugfs_create_file("findings", 0400, dir, NULL, &findings_fops);
	debugfs_create_file("compared", 0400, dir, NULL, &compared_fops);
#ifdef CONFIG_MITOSIS_MUTANTS
	debugfs_create_file("mutant", 0400, dir, NULL, &mutant_fops);
#endif
	return 0;
}
late_initcall(check_init);
