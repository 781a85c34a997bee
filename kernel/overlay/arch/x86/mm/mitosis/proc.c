// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/PID/pgtable_policy and /proc/PID/numa_pgtables.
 *
 * Rights are checked at open, with the opener's credentials, against the
 * address space that is pinned there.  After an exec or exit the descriptor
 * leads to an address space without users: ESRCH.
 */
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "census.h"
#include "internal.h"
#include "../../../../fs/proc/internal.h"

#define POLICY_LINE_MAX	4095

/* The rights of migrate_pages(2), and its security hook for a writer. */
static struct mm_struct *open_mm(struct inode *inode, bool write)
{
	struct task_struct *task = get_proc_task(inode);
	struct mm_struct *mm;
	int err = 0;

	if (!task)
		return ERR_PTR(-ESRCH);
	if (write)
		err = security_task_movememory(task);
	mm = err ? ERR_PTR(err) : mm_access(task, PTRACE_MODE_READ_FSCREDS);
	put_task_struct(task);
	if (IS_ERR(mm))
		return mm;

	mmgrab(mm);
	mmput(mm);
	return mm;
}

static int policy_open(struct inode *inode, struct file *file)
{
	struct mm_struct *mm = open_mm(inode, file->f_mode & FMODE_WRITE);

	if (IS_ERR(mm))
		return PTR_ERR(mm);
	file->private_data = mm;
	return 0;
}

static int policy_release(struct inode *inode, struct file *file)
{
	mmdrop(file->private_data);
	return 0;
}

static ssize_t policy_read(struct file *file, char __user *ubuf, size_t count,
			   loff_t *ppos)
{
	struct mitosis_policy policy;
	ssize_t len;
	char *buf = kmalloc(PAGE_SIZE, GFP_KERNEL);

	if (!buf)
		return -ENOMEM;

	mitosis_policy_of(file->private_data, &policy);
	len = mitosis_print(buf, PAGE_SIZE - 1, &policy);
	buf[len++] = '\n';
	len = simple_read_from_buffer(ubuf, count, ppos, buf, len);
	kfree(buf);
	return len;
}

/* An exec leaves the address space to those who share it, if any. */
static bool is_mm_of(struct task_struct *task, struct mm_struct *mm)
{
	bool is;

	task_lock(task);
	is = task->mm == mm;
	task_unlock(task);
	return is;
}

static int policy_apply(struct file *file, struct mitosis_policy *policy)
{
	struct mm_struct *mm = file->private_data;
	struct task_struct *task = get_proc_task(file_inode(file));
	struct mitosis_mm *m;
	int err = -ESRCH;

	if (!task)
		return -ESRCH;
	if (is_mm_of(task, mm) && mmget_not_zero(mm)) {
		m = mitosis_attach(mm);
		err = m ? mitosis_set_policy(m, task, policy) : -ENOMEM;
		mmput(mm);
	}
	put_task_struct(task);
	return err;
}

/* One write is one policy: nothing is kept for a second part. */
static ssize_t policy_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	struct mitosis_policy policy;
	char *text;
	int err;

	if (!mitosis_supported())
		return -EOPNOTSUPP;
	if (count > POLICY_LINE_MAX)
		return -E2BIG;

	text = memdup_user_nul(ubuf, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	err = strlen(text) == count ? mitosis_parse(text, &policy) : -EINVAL;
	kfree(text);
	return err ?: policy_apply(file, &policy) ?: count;
}

const struct file_operations proc_pgtable_policy_operations = {
	.open		= policy_open,
	.read		= policy_read,
	.write		= policy_write,
	.llseek		= generic_file_llseek,
	.release	= policy_release,
};

/* numa_pgtables: a census taken when a reader is at the start. */
struct pgtables_file {
	struct mm_struct *mm;
	struct mitosis_mm *m;
	struct task_struct *task;
	struct mitosis_census *census;
};

static void *pgtables_start(struct seq_file *seq, loff_t *pos)
{
	struct pgtables_file *f = seq->private;

	if (*pos == 0) {
		int err;

		mitosis_census_free(f->census);
		f->census = mitosis_census_alloc();
		if (!f->census)
			return ERR_PTR(-ENOMEM);
		err = mitosis_census_take(f->m, f->task, f->census);
		if (err)
			return ERR_PTR(err);
	}
	return f->census && *pos < mitosis_census_rows(f->census) ? pos : NULL;
}

static void *pgtables_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct pgtables_file *f = seq->private;

	++*pos;
	return *pos < mitosis_census_rows(f->census) ? pos : NULL;
}

static void pgtables_stop(struct seq_file *seq, void *v)
{
}

static int pgtables_show(struct seq_file *seq, void *v)
{
	struct pgtables_file *f = seq->private;

	return mitosis_census_show(seq, f->census, *(loff_t *)v);
}

static const struct seq_operations pgtables_ops = {
	.start	= pgtables_start,
	.next	= pgtables_next,
	.stop	= pgtables_stop,
	.show	= pgtables_show,
};

static void pgtables_put(struct pgtables_file *f)
{
	if (f->m)
		mitosis_unobserve(f->m);
	mitosis_census_free(f->census);
	put_task_struct(f->task);
	mmdrop(f->mm);
}

/* Pins the address space and counts its freed tables until release. */
static int pgtables_observe(struct pgtables_file *f)
{
	struct mitosis_mm *m;
	int err;

	if (!mitosis_supported())
		return -EOPNOTSUPP;
	if (!mmget_not_zero(f->mm))
		return -ESRCH;
	m = mitosis_attach(f->mm);
	err = m ? mitosis_observe(m) : -ENOMEM;
	if (!err)
		f->m = m;
	mmput(f->mm);
	return err;
}

static int pgtables_open(struct inode *inode, struct file *file)
{
	struct pgtables_file *f;
	struct mm_struct *mm;
	int err;

	mm = open_mm(inode, false);
	if (IS_ERR(mm))
		return PTR_ERR(mm);

	f = __seq_open_private(file, &pgtables_ops, sizeof(*f));
	if (!f) {
		mmdrop(mm);
		return -ENOMEM;
	}
	f->mm = mm;
	f->task = get_proc_task(inode);
	if (!f->task) {
		mmdrop(mm);
		seq_release_private(inode, file);
		return -ESRCH;
	}
	err = pgtables_observe(f);
	if (err) {
		pgtables_put(f);
		seq_release_private(inode, file);
	}
	return err;
}

static int pgtables_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;

	pgtables_put(seq->private);
	return seq_release_private(inode, file);
}

const struct file_operations proc_numa_pgtables_operations = {
	.open		= pgtables_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= pgtables_release,
};
