/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page-table replication: the hooks in existing x86 code.
 *
 * Second tier of three.  The native_*() helpers are the raw tier and touch the
 * primary alone; the functions here are one patched NOP each and call the slow
 * path in arch/x86/mm/mitosis/ once a policy is in force.  The contract stands
 * in arch/x86/mm/mitosis/internal.h.
 *
 * All hooks run *after* the primary was changed.  That makes the order "write
 * the primary, then look for copies" hold on every path, also on those that
 * hold no lock, and makes switching the key on safe at any moment: a CPU that
 * still saw the key off has made its change visible before the first copy is
 * made (text patching serialises every CPU in between).
 */
#ifndef _ASM_X86_MITOSIS_H
#define _ASM_X86_MITOSIS_H

#ifdef CONFIG_MITOSIS

#include <linux/jump_label.h>
#include <linux/nodemask_types.h>
#include <asm/pgtable_types.h>

struct file_operations;
struct mm_struct;
struct mmu_gather;
struct page;
struct vm_area_struct;

/*
 * One name for each place that must reach the copies.  Debug builds can leave
 * one of them out (boot parameter mitosis_mutant=NAME) to show that a test
 * notices; see Documentation/admin-guide/mm/mitosis.rst.
 */
#define MITOSIS_HOOKS(X)						\
	X(SET_PTE, set_pte)						\
	X(SET_PMD, set_pmd)						\
	X(SET_PUD, set_pud)						\
	X(SET_P4D, set_p4d)						\
	X(SET_PGD, set_pgd)						\
	X(SET_PUD_AT, set_pud_at)					\
	X(PTE_CLEAR, ptep_get_and_clear)				\
	X(PTE_CLEAR_FULL, ptep_get_and_clear_full)			\
	X(PMD_CLEAR, pmdp_huge_get_and_clear)				\
	X(PUD_CLEAR, pudp_huge_get_and_clear)				\
	X(PTE_WRPROTECT, ptep_set_wrprotect)				\
	X(PMD_WRPROTECT, pmdp_set_wrprotect)				\
	X(PMD_ESTABLISH, pmdp_establish)				\
	X(PUD_ESTABLISH, pudp_establish)				\
	X(PTE_YOUNG, ptep_test_and_clear_young)				\
	X(PMD_YOUNG, pmdp_test_and_clear_young)				\
	X(PUD_YOUNG, pudp_test_and_clear_young)				\
	X(FOLD, fold)							\
	X(FORK_FOLD, fork_fold)						\
	X(SHRINK_FOLD, shrink_fold)					\
	X(FREE_PTE_TABLE, free_pte_table)				\
	X(FREE_PMD_TABLE, free_pmd_table)				\
	X(FREE_PUD_TABLE, free_pud_table)				\
	X(FREE_P4D_TABLE, free_p4d_table)				\
	X(FREE_FLUSHED, free_flushed)					\
	X(FLUSH_FIRST, flush_first)					\
	X(FREE_ROOTS, free_roots)					\
	X(ROOT_SWITCH, root_switch)					\
	X(ROOT_RELOAD, root_reload)					\
	X(ROOT_LOADED, root_loaded)					\
	X(NEW_PRIMARY, new_primary)					\
	X(ROOT_SWITCH_NOFLUSH, root_switch_noflush)

enum mitosis_hook {
	MITOSIS_HOOK_NONE,
#define X(id, name) MITOSIS_HOOK_##id,
	MITOSIS_HOOKS(X)
#undef X
};

DECLARE_STATIC_KEY_FALSE(mitosis_key);

static __always_inline bool mitosis_on(void)
{
	return static_branch_unlikely(&mitosis_key);
}

/* Slow paths.  @slot points into a primary table; its lock is held. */
pteval_t __mitosis_exchange(enum mitosis_hook hook, void *slot, pteval_t old,
			    pteval_t new);
void __mitosis_wrprotect(enum mitosis_hook hook, void *slot);
int __mitosis_clear_young(enum mitosis_hook hook, void *slot);
void __mitosis_fold(enum mitosis_hook hook, void *slot);
void __mitosis_fold_pmd(void *slot);
void __mitosis_set_pud(enum mitosis_hook hook, void *slot, pudval_t val);

/*
 * The PV operation of that name.  The generic one, which calls the helper with
 * the hook, would do, but costs two instructions more for each page that
 * mprotect() changes.
 */
pte_t mitosis_ptep_modify_prot_start(struct vm_area_struct *vma,
				     unsigned long addr, pte_t *ptep);

/*
 * After an atomic exchange of a leaf or of a whole entry in the primary: store
 * @new in the copies and return @old with what hardware set in them.
 */
#define mitosis_exchange(hook, slot, old, new)				\
({									\
	typeof(old) __old = (old);					\
									\
	if (mitosis_on()) {						\
		pteval_t __val;						\
									\
		__val = __mitosis_exchange(MITOSIS_HOOK_##hook, slot,	\
					   *(pteval_t *)&__old,		\
					   *(pteval_t *)&(new));	\
		*(pteval_t *)&__old = __val;				\
	}								\
	__old;								\
})

#define mitosis_clear(hook, slot, old)					\
({									\
	pteval_t __none = 0;						\
									\
	mitosis_exchange(hook, slot, old, __none);			\
})

/* After the primary was write-protected: protect the copies, keep Dirty. */
#define mitosis_wrprotect(hook, slot)					\
do {									\
	if (mitosis_on())						\
		__mitosis_wrprotect(MITOSIS_HOOK_##hook, slot);		\
} while (0)

/* After Accessed was cleared in the primary: clear it in the copies too. */
#define mitosis_clear_young(hook, slot)					\
	(mitosis_on() ? __mitosis_clear_young(MITOSIS_HOOK_##hook, slot) : 0)

/* After native_set_pud(): the one plain store that PV-Ops does not see. */
#define mitosis_set_pud_at(slot, pud)					\
do {									\
	if (mitosis_on())						\
		__mitosis_set_pud(MITOSIS_HOOK_SET_PUD_AT, slot,	\
				  native_pud_val(pud));			\
} while (0)

/*
 * Before the kernel decides on Accessed or Dirty: bring the copies' bits into
 * the primary entry at @slot.  An expression that yields @slot again.  The lock
 * of its table is held, or a bit that arrives late is only a heuristic's loss.
 */
#define mitosis_fold_for(hook, slot)					\
({									\
	typeof(slot) __slot = (slot);					\
									\
	if (mitosis_on())						\
		__mitosis_fold(MITOSIS_HOOK_##hook, __slot);		\
	__slot;								\
})

#define mitosis_fold(slot)	mitosis_fold_for(FOLD, slot)

/* The same before fork copies the entry: each mapping carries Dirty. */
#define mitosis_fold_fork(slot)	mitosis_fold_for(FORK_FOLD, slot)

/* The same, and Accessed of a PMD entry that leads to a table. */
#define mitosis_fold_pmd(slot)						\
({									\
	pmd_t *__slot = (slot);						\
									\
	if (mitosis_on())						\
		__mitosis_fold_pmd(__slot);				\
	__slot;								\
})

void __mitosis_table_unhooked(struct mmu_gather *tlb, void *slot,
			      struct page *table, int level,
			      unsigned long addr);
void __mitosis_table_flushed(struct mm_struct *mm, struct page *table);
void __mitosis_free_roots(pgd_t *pgd);

/*
 * The entry at @slot, which led to @table (a table of @level, PTE tables being
 * level 1), was just cleared and nothing was flushed yet: queue the copies of
 * @table behind the same flush.  The caller holds no page-table lock.
 */
static __always_inline void mitosis_table_unhooked(struct mmu_gather *tlb,
						   void *slot,
						   struct page *table,
						   int level,
						   unsigned long addr)
{
	if (mitosis_on())
		__mitosis_table_unhooked(tlb, slot, table, level, addr);
}

/*
 * No CPU can walk @table any more and the kernel keeps or frees it without a
 * flush (deposit, deferred free): drop its copies.
 */
static __always_inline void mitosis_table_flushed(struct mm_struct *mm,
						  struct page *table)
{
	if (mitosis_on())
		__mitosis_table_flushed(mm, table);
}

static __always_inline void mitosis_free_roots(pgd_t *pgd)
{
	if (mitosis_on())
		__mitosis_free_roots(pgd);
}

/* The page allocator gets @page: a copy of a table has been flushed by now. */
#ifdef CONFIG_MITOSIS_DEBUG
void mitosis_check_page_freed(struct page *page);
#else
static inline void mitosis_check_page_freed(struct page *page) { }
#endif

struct page *__mitosis_pte_alloc_one(struct mm_struct *mm, gfp_t gfp);

/* A new PTE table where the policy wants primaries, or NULL for anywhere. */
static __always_inline struct page *mitosis_pte_alloc_one(struct mm_struct *mm,
							  gfp_t gfp)
{
	return mitosis_on() ? __mitosis_pte_alloc_one(mm, gfp) : NULL;
}

/* Which root to load, and which one is loaded.  See root.c. */
unsigned long __mitosis_cr3(unsigned long cr3);
pgd_t *__mitosis_loaded_root(pgd_t *primary);

/* IRQs off.  Records the choice: the caller loads CR3 with the result next. */
static __always_inline unsigned long mitosis_cr3(unsigned long cr3)
{
	return mitosis_on() ? __mitosis_cr3(cr3) : cr3;
}

/* The root in this CPU's CR3, given that @mm is loaded.  Preemption off. */
#define mitosis_loaded_root(mm)						\
	(mitosis_on() ? __mitosis_loaded_root((mm)->pgd) : (mm)->pgd)

/* A flush by root address cannot name the copies' roots. */
bool mitosis_has_roots(struct mm_struct *mm);

/*
 * Life cycle of an address space.  mm->context.mitosis is copied by fork, so
 * the new address space forgets it first.
 */
void __mitosis_init_context(struct mm_struct *mm);
void __mitosis_enter_mmap(struct mm_struct *mm);
void __mitosis_exit_mmap(struct mm_struct *mm);
void __mitosis_destroy_context(struct mm_struct *mm);
void __mitosis_secure_exec(struct mm_struct *mm);
void __mitosis_cpuset_changed(struct mm_struct *mm, const nodemask_t *mems);
void __mitosis_cpuset_fork(struct task_struct *task);
void __mitosis_cpu_disable(void);
unsigned long mitosis_replica_bytes(const struct mm_struct *mm);

#define mitosis_init_context(mm)					\
do {									\
	(mm)->context.mitosis = NULL;					\
	if (mitosis_on() ||						\
	    (current->mm && READ_ONCE(current->mm->context.mitosis)))	\
		__mitosis_init_context(mm);				\
} while (0)

#define mitosis_destroy_context(mm)					\
do {									\
	if ((mm)->context.mitosis)					\
		__mitosis_destroy_context(mm);				\
} while (0)

static __always_inline void mitosis_enter_mmap(struct mm_struct *mm)
{
	if (mitosis_on())
		__mitosis_enter_mmap(mm);
}

static __always_inline void mitosis_exit_mmap(struct mm_struct *mm)
{
	if (mitosis_on())
		__mitosis_exit_mmap(mm);
}

/* Also while the key is off: 'none' is a policy, too. */
#define mitosis_secure_exec(mm)						\
do {									\
	if (READ_ONCE((mm)->context.mitosis))				\
		__mitosis_secure_exec(mm);				\
} while (0)

static inline void mitosis_cpuset_changed(struct mm_struct *mm,
					  const nodemask_t *mems)
{
	if (mitosis_on())
		__mitosis_cpuset_changed(mm, mems);
}

static inline void mitosis_cpuset_fork(struct task_struct *task)
{
	if (mitosis_on())
		__mitosis_cpuset_fork(task);
}

/* On a CPU that is going offline, interrupts off. */
static inline void mitosis_cpu_disable(void)
{
	if (mitosis_on())
		__mitosis_cpu_disable();
}

void mitosis_install(void);

extern const struct file_operations proc_pgtable_policy_operations;
extern const struct file_operations proc_numa_pgtables_operations;

#else /* !CONFIG_MITOSIS */

#define mitosis_exchange(hook, slot, old, new)	(old)
#define mitosis_clear(hook, slot, old)		(old)
#define mitosis_wrprotect(hook, slot)		do { } while (0)
#define mitosis_clear_young(hook, slot)		0
#define mitosis_set_pud_at(slot, pud)		do { } while (0)
#define mitosis_pte_alloc_one(mm, gfp)		((struct page *)NULL)
#define mitosis_free_roots(pgd)			do { } while (0)
#define mitosis_cr3(cr3)			(cr3)
#define mitosis_ptep_modify_prot_start		__ptep_modify_prot_start
#define mitosis_loaded_root(mm)			((mm)->pgd)
#define mitosis_has_roots(mm)			false
#define mitosis_init_context(mm)		do { } while (0)
#define mitosis_enter_mmap(mm)			do { } while (0)
#define mitosis_exit_mmap(mm)			do { } while (0)
#define mitosis_destroy_context(mm)		do { } while (0)
#define mitosis_install()			do { } while (0)
#define mitosis_cpu_disable()			do { } while (0)

#endif /* CONFIG_MITOSIS */
#endif /* _ASM_X86_MITOSIS_H */
