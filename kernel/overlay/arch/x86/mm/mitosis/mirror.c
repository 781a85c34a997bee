// SPDX-License-Identifier: GPL-2.0
/*
 * Entries: every change of a primary reaches its copies, and what hardware set
 * in a copy reaches the primary.
 *
 * The PV-Ops backend carries the plain stores; the atomic read-modify-writes
 * call in from asm/mitosis.h.  All of them change the primary first.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include "internal.h"

DEFINE_STATIC_KEY_FALSE(mitosis_key);
EXPORT_SYMBOL_GPL(mitosis_key);

/* The same page, in the same state. */
static bool same_leaf(u64 a, u64 b)
{
	u64 mask = PTE_PFN_MASK | _PAGE_PRESENT | _PAGE_PROTNONE;

	return entry_present(a) && !((a ^ b) & mask);
}

/*
 * The bits of @from that belong to @primary.  Bits 5 and 6 mean something else
 * in an entry that is not present, and a leaf of another page is stale.
 */
u64 entry_ad(u64 from, u64 primary)
{
	return same_leaf(primary, from) ? from & MITOSIS_AD : 0;
}

/*
 * Dirty and SavedDirty are one thing in two places.  Write=0 with Dirty=1 is a
 * shadow stack, so a read-only entry gets SavedDirty.
 */
static u64 entry_or(u64 val, u64 bits)
{
	u64 dirty = _PAGE_DIRTY | _PAGE_SAVED_DIRTY;

	val |= bits & _PAGE_ACCESSED;
	if ((bits & dirty) && !(val & dirty))
		val |= (val & _PAGE_RW) ? _PAGE_DIRTY : _PAGE_SAVED_DIRTY;
	return val;
}

/*
 * Set @bits, which belong to the leaf or table @of, in the primary entry at
 * @slot.  Hardware may be setting others, and without the table's lock the
 * entry may be another one by now.
 */
void entry_merge(void *slot, u64 of, u64 bits)
{
	u64 old = READ_ONCE(*(u64 *)slot), new;

	do {
		if (!same_leaf(old, of))
			return;
		new = entry_or(old, bits);
		if (new == old)
			return;
	} while (!try_cmpxchg((u64 *)slot, &old, new));
}

/* The kernel half of a root leads to kernel tables and the LDT. */
static bool slot_is_kernel(struct ptdesc *copy, void *slot)
{
	return ptdesc_has_flag(copy, MITOSIS_TYPE_ROOT) &&
	       !pgdp_maps_userspace(slot);
}

static struct ptdesc *child_find(struct ptdesc *copy, u64 val)
{
	struct mitosis_mm *m = copy_owner(copy);

	return m ? ring_find(entry_table(val), ptdesc_nid(copy), m) : NULL;
}

/*
 * The table behind @val is about to be installed under @copy's primary, whose
 * lock the caller holds.
 */
static void child_grow(struct ptdesc *copy, u64 val, int level)
{
	struct ptdesc *child = entry_table(val);
	struct mitosis_mm *m = copy_owner(copy);
	int nid = ptdesc_nid(copy);
	spinlock_t *ptl = NULL;
	bool failed;

	if (!m || !mitosis_wants(m, child, level - 1, nid))
		return;

	/* Reclaim has to find a child that is being forked before it is complete. */
	mitosis_enlist(m);

	lockdep_assert_held(table_lock(m->mm, copy_primary(copy), level));
	if (level - 1 < MITOSIS_PUD) {
		ptl = table_lock(m->mm, child, level - 1);
		spin_lock_nested(ptl, SINGLE_DEPTH_NESTING);
	}
	failed = !ring_find(child, nid, m) &&
		 mitosis_may_grow(m, child, level - 1, nid) &&
		 !mitosis_grow(m, child, level - 1, nid);
	if (ptl)
		spin_unlock(ptl);
	if (failed)
		mitosis_kick(m, READ_ONCE(m->backoff));
}

/* What a copy holds where the primary holds @val. */
u64 entry_translate(struct ptdesc *copy, void *slot, u64 val, int level)
{
	struct ptdesc *child;

	if (level == MITOSIS_PTE || !entry_is_table(val) ||
	    slot_is_kernel(copy, slot))
		return val;

	child = child_find(copy, val);
	return child ? entry_to(val, child) : val;
}

/*
 * Store at @to what the copy holds for @slot.  The child behind an entry of a
 * PUD table may be a HugeTLB table that is being unshared under other locks; as
 * in lock_child(), it is not freed before every CPU took an interrupt.
 */
static u64 entry_follow(struct ptdesc *copy, void *slot, u64 *to, int level)
{
	unsigned long flags;
	u64 val;

	local_irq_save(flags);
	val = READ_ONCE(*(u64 *)slot);
	WRITE_ONCE(*to, entry_translate(copy, slot, val, level));
	local_irq_restore(flags);
	return val;
}

/**
 * entry_copy - derive one entry of a copy from the primary's
 * @copy: a copy, linked in the ring
 * @slot: entry of the primary, in either half of a root
 * @level: level of the table
 *
 * Repeat until the primary was stable around the store.  A writer without a
 * lock (see internal.h) either sees the copy in the ring and stores after this
 * one, or is seen here.  PTE tables have no such writers.
 */
void entry_copy(struct ptdesc *copy, void *slot, int level)
{
	void *primary = ptdesc_address(copy_primary(copy));
	u64 *to = ptdesc_address(copy) + (slot - primary);
	u64 val;

	if (level == MITOSIS_PTE) {
		WRITE_ONCE(*to, READ_ONCE(*(u64 *)slot));
		return;
	}
	do {
		val = entry_follow(copy, slot, to, level);
		smp_mb(); /* pairs with the barrier in mirror_store() */
	} while ((READ_ONCE(*(u64 *)slot) ^ val) & ~(u64)MITOSIS_AD);
}

/**
 * entry_relink - let an entry of a copy lead to the right child again
 * @copy: a copy of the table that holds @slot; its lock is held
 * @slot: entry of the primary that leads to a table
 * @level: level of the table that holds @slot
 *
 * Called after the child grew or lost a copy.  The user half of a root has an
 * entry of its own, which differs from the kernel's by NX.
 */
void entry_relink(struct ptdesc *copy, void *slot, int level)
{
	entry_copy(copy, slot, level);

	if (ptdesc_has_flag(copy, MITOSIS_TYPE_ROOT) &&
	    boot_cpu_has(X86_FEATURE_PTI))
		entry_copy(copy, slot + PAGE_SIZE, level);
}

/* Shared HugeTLB tables: see copy_disown(). */
static void entry_dropped(u64 old, int level)
{
#ifdef CONFIG_HUGETLB_PMD_PAGE_TABLE_SHARING
	struct ptdesc *child;

	if (level != MITOSIS_PUD || !entry_is_table(old))
		return;

	child = entry_table(old);
	if (ptdesc_has_flag(child, MITOSIS_TYPE_COPY) &&
	    ptdesc_pmd_is_shared(copy_primary(child)))
		copy_disown(child, MITOSIS_PMD);
#endif
}

/* Through the helper that writes the user half, too. */
static void root_store(void *slot, u64 val)
{
	if (pgtable_l5_enabled())
		native_set_pgd(slot, native_make_pgd(val));
	else
		native_set_p4d(slot, native_make_p4d(val));
}

/*
 * Store in one copy.  A leaf that hardware may be writing is exchanged: a store
 * over a live leaf of the same page carries the copy's Dirty over, as the
 * primary's own was carried over by whoever made @val from it.  Not Accessed:
 * who stores over a live leaf sets it, or (SGX) means to clear it.
 */
static u64 entry_store(struct ptdesc *copy, void *slot, u64 val, int level)
{
	u64 *to = copy_slot(copy, slot);
	u64 old = READ_ONCE(*to);

	val = entry_translate(copy, slot, val, level);

	if (level == mitosis_top_level()) {
		root_store(to, val);
		return 0;
	}
	if (!entry_present(old)) {
		WRITE_ONCE(*to, val);
		return 0;
	}
	old = xchg(to, val);
	if (level > MITOSIS_PTE)
		entry_dropped(old, level);
	return entry_ad(old, val) & ~(u64)_PAGE_ACCESSED;
}

/*
 * The primary table that holds @slot, if it has copies.  Kernel tables, stack
 * variables and early tables come here as well: everything that is not in the
 * direct map lies above VMALLOC_START, and only page tables carry the type.
 */
static struct ptdesc *replicated_table(void *slot)
{
	struct ptdesc *pt;

	if ((unsigned long)slot >= VMALLOC_START)
		return NULL;

	pt = virt_to_ptdesc(slot);
	if (!PageTable(ptdesc_page(pt)) || !ring_next(pt))
		return NULL;
	VM_WARN_ON_ONCE(ptdesc_has_flag(pt, MITOSIS_TYPE_COPY));
	return pt;
}

/*
 * Before a table is installed: give it a copy for each of its parent's.  Once
 * the primary is stored, another thread may find the table and install others
 * below it, which take after the copies that they see.
 */
static void mirror_prepare(void *slot, u64 val, int level)
{
	struct ptdesc *pt, *copy;

	if (!entry_is_table(val))
		return;

	pt = replicated_table(slot);
	if (!pt || slot_is_kernel(pt, slot))
		return;

	rcu_read_lock();
	for_each_copy(copy, pt)
		child_grow(copy, val, level);
	rcu_read_unlock();
}

static void mirror_store(enum mitosis_hook hook, void *slot, u64 val, int level)
{
	struct ptdesc *pt, *copy;
	u64 bits = 0;

	if (mitosis_left_out(hook))
		return;

	/*
	 * Upper levels are also written without a lock.  Order the store in the
	 * primary before the read of the ring; pairs with mitosis_grow().
	 */
	if (level > MITOSIS_PTE)
		smp_mb();

	pt = replicated_table(slot);
	if (!pt)
		return;

	rcu_read_lock();
	for_each_copy(copy, pt)
		bits |= entry_store(copy, slot, val, level);
	rcu_read_unlock();

	if (bits)
		entry_merge(slot, val, bits);
}

/* The LDT's entry in the user half of a root is written on its own. */
static void mirror_user_half(void *slot, u64 val)
{
	struct ptdesc *pt, *copy;
	unsigned long head = (unsigned long)slot & ~PAGE_SIZE;

	if (!boot_cpu_has(X86_FEATURE_PTI) || !((unsigned long)slot & PAGE_SIZE))
		return;

	pt = replicated_table((void *)head);
	if (!pt || !ptdesc_has_flag(pt, MITOSIS_TYPE_ROOT))
		return;

	rcu_read_lock();
	for_each_copy(copy, pt)
		WRITE_ONCE(*(u64 *)(copy_slot(copy, slot) + PAGE_SIZE), val);
	rcu_read_unlock();
}

static void mirror_root(enum mitosis_hook hook, void *slot, u64 val)
{
	mirror_store(hook, slot, val, mitosis_top_level());
	mirror_user_half(slot, val);
}

pteval_t __mitosis_exchange(enum mitosis_hook hook, void *slot, pteval_t old,
			    pteval_t new)
{
	struct ptdesc *pt = replicated_table(slot), *copy;
	u64 bits = 0;

	if (!pt || mitosis_left_out(hook))
		return old;

	rcu_read_lock();
	for_each_copy(copy, pt) {
		u64 *to = copy_slot(copy, slot);

		if (entry_present(READ_ONCE(*to)))
			bits |= entry_ad(xchg(to, new), old);
		else
			WRITE_ONCE(*to, new);
	}
	rcu_read_unlock();

	return bits ? entry_or(old, bits) : old;
}

static noinline pte_t clear_copies(pte_t old, unsigned long addr, pte_t *ptep)
{
	return native_make_pte(__mitosis_exchange(MITOSIS_HOOK_PTE_CLEAR, ptep,
						  native_pte_val(old), 0));
}

/*
 * The last call's arguments are such that the first half keeps its registers:
 * it is the generic operation and a NOP.
 */
pte_t mitosis_ptep_modify_prot_start(struct vm_area_struct *vma,
				     unsigned long addr, pte_t *ptep)
{
	pte_t old = native_ptep_get_and_clear(ptep);

	page_table_check_pte_clear(vma->vm_mm, old);
	if (mitosis_on())
		return clear_copies(old, addr, ptep);
	return old;
}

void __mitosis_wrprotect(enum mitosis_hook hook, void *slot)
{
	struct ptdesc *pt = replicated_table(slot), *copy;
	u64 val, bits = 0;

	if (!pt || mitosis_left_out(hook))
		return;

	val = READ_ONCE(*(u64 *)slot);
	rcu_read_lock();
	for_each_copy(copy, pt) {
		u64 *to = copy_slot(copy, slot);
		u64 old = READ_ONCE(*to), new;

		do {
			new = native_pte_val(pte_wrprotect(native_make_pte(old)));
		} while (!try_cmpxchg(to, &old, new));
		bits |= entry_ad(old, val);
	}
	rcu_read_unlock();

	if (bits)
		entry_merge(slot, val, bits);
}

/* Also for entries that lead to tables: MGLRU ages by them. */
int __mitosis_clear_young(enum mitosis_hook hook, void *slot)
{
	struct ptdesc *pt = replicated_table(slot), *copy;
	int young = 0;

	if (!pt || mitosis_left_out(hook))
		return 0;

	rcu_read_lock();
	for_each_copy(copy, pt) {
		u64 *to = copy_slot(copy, slot);

		if (READ_ONCE(*to) & _PAGE_ACCESSED)
			young |= test_and_clear_bit(_PAGE_BIT_ACCESSED,
						    (unsigned long *)to);
	}
	rcu_read_unlock();
	return young;
}

void __mitosis_fold(enum mitosis_hook hook, void *slot)
{
	struct ptdesc *pt = replicated_table(slot), *copy;
	u64 val, bits = 0;

	if (!pt || mitosis_left_out(hook))
		return;

	val = READ_ONCE(*(u64 *)slot);
	rcu_read_lock();
	for_each_copy(copy, pt)
		bits |= entry_ad(READ_ONCE(*(u64 *)copy_slot(copy, slot)), val);
	rcu_read_unlock();

	if (bits)
		entry_merge(slot, val, bits);
}
EXPORT_SYMBOL_GPL(__mitosis_fold);

/* Accessed of an entry that leads to a table: each copy's leads elsewhere. */
static u64 table_accessed(u64 from, u64 primary)
{
	return entry_is_table(primary) && entry_is_table(from) ?
	       from & _PAGE_ACCESSED : 0;
}

/* Without the table's lock, so only Accessed: Dirty may be being cleaned. */
void __mitosis_fold_pmd(void *slot)
{
	struct ptdesc *pt = replicated_table(slot), *copy;
	u64 val, bits = 0;

	if (!pt || mitosis_left_out(MITOSIS_HOOK_FOLD))
		return;

	val = READ_ONCE(*(u64 *)slot);
	rcu_read_lock();
	for_each_copy(copy, pt) {
		u64 from = READ_ONCE(*(u64 *)copy_slot(copy, slot));

		bits |= entry_ad(from, val) & _PAGE_ACCESSED;
		bits |= table_accessed(from, val);
	}
	rcu_read_unlock();

	if (bits)
		entry_merge(slot, val, bits);
}

void __mitosis_set_pud(enum mitosis_hook hook, void *slot, pudval_t val)
{
	mirror_store(hook, slot, val, MITOSIS_PUD);
}

/* The backend.  Each is native's own store and one or two patched NOPs. */
static void mitosis_set_pte(pte_t *ptep, pte_t pte)
{
	native_set_pte(ptep, pte);
	if (mitosis_on())
		mirror_store(MITOSIS_HOOK_SET_PTE, ptep, native_pte_val(pte),
			     MITOSIS_PTE);
}

static void mitosis_set_pmd(pmd_t *pmdp, pmd_t pmd)
{
	if (mitosis_on())
		mirror_prepare(pmdp, native_pmd_val(pmd), MITOSIS_PMD);
	native_set_pmd(pmdp, pmd);
	if (mitosis_on())
		mirror_store(MITOSIS_HOOK_SET_PMD, pmdp, native_pmd_val(pmd),
			     MITOSIS_PMD);
}

static void mitosis_set_pud(pud_t *pudp, pud_t pud)
{
	if (mitosis_on())
		mirror_prepare(pudp, native_pud_val(pud), MITOSIS_PUD);
	native_set_pud(pudp, pud);
	if (mitosis_on())
		mirror_store(MITOSIS_HOOK_SET_PUD, pudp, native_pud_val(pud),
			     MITOSIS_PUD);
}

static void mitosis_set_p4d(p4d_t *p4dp, p4d_t p4d)
{
	if (mitosis_on())
		mirror_prepare(p4dp, native_p4d_val(p4d), MITOSIS_P4D);
	native_set_p4d(p4dp, p4d);
	if (!mitosis_on())
		return;

	if (pgtable_l5_enabled())
		mirror_store(MITOSIS_HOOK_SET_P4D, p4dp, native_p4d_val(p4d),
			     MITOSIS_P4D);
	else
		mirror_root(MITOSIS_HOOK_SET_P4D, p4dp, native_p4d_val(p4d));
}

static void mitosis_set_pgd(pgd_t *pgdp, pgd_t pgd)
{
	if (mitosis_on())
		mirror_prepare(pgdp, native_pgd_val(pgd), MITOSIS_PGD);
	native_set_pgd(pgdp, pgd);
	if (mitosis_on())
		mirror_root(MITOSIS_HOOK_SET_PGD, pgdp, native_pgd_val(pgd));
}

static bool installed __ro_after_init;
static bool disabled __initdata;

bool mitosis_supported(void)
{
	return installed;
}

static int __init mitosis_setup(char *arg)
{
	if (!arg)
		return -EINVAL;
	return kstrtobool(arg, &disabled) ?: (disabled = !disabled, 0);
}
early_param("mitosis", mitosis_setup);

/*
 * Once, on the boot CPU, after a hypervisor has set its own operations and
 * before the calls are patched.  Field by field: flushing stays with whoever
 * had it.  A guest of Xen PV has another backend for the stores.
 */
void __init mitosis_install(void)
{
	if (disabled) {
		pr_info("mitosis: off by boot parameter\n");
		return;
	}
	if (cpu_feature_enabled(X86_FEATURE_XENPV)) {
		pr_info("mitosis: off, page tables belong to the hypervisor\n");
		return;
	}

	pv_ops.mmu.set_pte = mitosis_set_pte;
	pv_ops.mmu.set_pmd = mitosis_set_pmd;
	pv_ops.mmu.set_pud = mitosis_set_pud;
	pv_ops.mmu.set_p4d = mitosis_set_p4d;
	pv_ops.mmu.set_pgd = mitosis_set_pgd;
	installed = true;
}

#ifdef CONFIG_MITOSIS_KUNIT_TEST
#include "tests/entry-kunit.h"
#endif
