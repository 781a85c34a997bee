/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page-table replication: what generic code may call.
 *
 * Every function here is a patched NOP until the first policy comes into
 * force, and an empty inline on kernels without CONFIG_MITOSIS.
 */
#ifndef _LINUX_MITOSIS_H
#define _LINUX_MITOSIS_H

#ifdef CONFIG_MITOSIS
#include <asm/mitosis.h>
#else

#include <linux/nodemask_types.h>

struct mm_struct;
struct mmu_gather;
struct page;
struct task_struct;

#define mitosis_fold(slot)	(slot)
#define mitosis_fold_fork(slot)	(slot)
#define mitosis_fold_pmd(slot)	(slot)

static inline void mitosis_table_unhooked(struct mmu_gather *tlb, void *slot,
					  struct page *table, int level,
					  unsigned long addr) { }
static inline void mitosis_table_flushed(struct mm_struct *mm,
					 struct page *table) { }
static inline void mitosis_check_page_freed(struct page *page) { }
static inline unsigned long mitosis_replica_bytes(const struct mm_struct *mm)
{
	return 0;
}

static inline void mitosis_cpuset_changed(struct mm_struct *mm,
					  const nodemask_t *mems) { }
static inline void mitosis_cpuset_fork(struct task_struct *task) { }
static inline void mitosis_secure_exec(struct mm_struct *mm) { }

#endif /* CONFIG_MITOSIS */
#endif /* _LINUX_MITOSIS_H */
