/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page-table replication: the contract.
 *
 * A replica is a cache of the primary: it may be missing, it may be dropped at
 * any moment, it may never be wrong.
 *
 * Words
 *   primary  a page-table page that the kernel reaches from mm->pgd; the only
 *            one that it reads to decide on something.
 *   copy     a page-table page on another node that hardware may walk instead.
 *   ring     the circular list of a primary and its copies, linked through
 *            ptdesc->__page_mapping (NULL: no copies).
 *   root     the top-level table; every listed node has a copy of its own.
 *
 * Invariants
 *   1. Safe.  Every entry that a CPU can walk equals the primary's, Accessed
 *      and Dirty aside and child pointers translated.  Once a TLB flush that
 *      the kernel asked for returns, no CPU can use anything older.
 *   2. No lost bits.  Accessed and Dirty that hardware set in any copy reach
 *      each decision of the kernel that depends on them.
 *   3. Local.  With memory available, what the root of a listed node reaches
 *      in the user half lies on that node.
 *   4. Never fails the program.  Copies are allocated without waiting; where
 *      one is missing the parent's copy leads to the primary.
 *   5. Lifetime.  A copy is freed after the same TLB flush as its primary.
 *   6. Off is off.  Without a policy in force the hooks are patched NOPs.
 *
 * Shape
 *   - A primary PTE table serves its own node: no copy lies there.  Above the
 *     PTE level every listed node has a copy, the primary's node too, because
 *     the primary's entries lead to primaries that may lie elsewhere.
 *   - The copy for node N exists only below a copy of the parent for node N:
 *     grow goes top-down, shrink bottom-up.  A copy's entry leads to the
 *     child's copy for that node if there is one, else to the child itself.
 *   - A copy belongs to one address space (its owner).  Only entries of tables
 *     of the same owner lead to it.  A HugeTLB PMD table that several address
 *     spaces share is not copied while it is shared.  Copies made before serve
 *     their owner alone; when it lets go of the table first, they have no owner
 *     and keep being written until the table is freed.
 *   - The kernel half of a root leads to kernel tables, which have no copies.
 *     So does the LDT slot under PTI: its tables stay primaries.
 *
 * Locks, in the order in which they nest
 *   mitosis_mm.lock      mutex: one grower or shrinker for each address space.
 *                        Reclaim takes it: no allocation below it may wait
 *   mm->page_table_lock  own lock of PUD, P4D and PGD tables
 *   PMD table's ptl      own lock of a PMD table; parent lock of a PTE table
 *   PTE table's ptl      own lock of a PTE table
 *   part.lock            spinlocks: where address spaces are found, by parts
 *   mitosis_mm.policy_lock  spinlock: what was asked for; the lock of cpusets
 *                        nests inside
 *
 *   what                    write                     read
 *   ring of a live table    parent's and own lock     either, or RCU
 *   ring of an unhooked one own lock                  nobody
 *   mitosis_mm.policy       .lock and .policy_lock    either
 *   mitosis_mm.allowed      .policy_lock              .policy_lock
 *   mitosis_mm.nodes        mitosis_mm.lock           a table lock: see below
 *   mitosis_mm.roots        mitosis_mm.lock           anybody, interrupts off
 *   copy->owner             own lock of the primary   own lock, or re-read
 *
 * Why a table cannot vanish under a walker
 *   free_pgtables() clears entries with no lock.  After that it calls
 *   mitosis_table_unhooked(), which takes the parent's and the table's own lock
 *   before the table's lock is destroyed.  A walker takes the parent's lock,
 *   reads the entry, takes the table's own lock and only then may drop the
 *   parent's: it either sees the entry cleared or is waited for.  A HugeTLB PMD
 *   table is unshared under another address space's locks: walk.c says how.
 *
 * Why a store cannot miss a new copy
 *   Stores under the table's own lock exclude grow.  The others (free_pgtables,
 *   p?d_clear_bad(), huge_pmd_unshare()) write the primary, then execute a full
 *   barrier, then read the ring.  Grow links the copy, executes a full barrier,
 *   then reads the primary, and repeats an entry until it is stable.  One of
 *   the two sees the other.
 *
 * Why a policy that changes cannot miss a new table
 *   A table gets its copies right before it is installed, under the parent's
 *   lock, for each of the parent's copies whose node is in mitosis_mm.nodes.  A change of
 *   policy publishes nodes first and then visits each parent under its lock:
 *   an installation either sees the new nodes or is seen by the visit.
 *
 * Changing roots
 *   Publish roots, increment tlb_gen, interrupt all of mm_cpumask (lazy CPUs
 *   too).  A CPU sets its bit in mm_cpumask before it reads the roots, with a
 *   full barrier in between.  The handler reloads CR3 with a flush whatever
 *   tlb_gen says: a CPU may have read the old generation and the new root.
 *   When the interrupts have returned no CPU walks what is no longer published,
 *   but for one that is just leaving it with interrupts off.  A grace period of
 *   RCU comes before anything is freed, and waits for that one.
 */
#ifndef _MITOSIS_INTERNAL_H
#define _MITOSIS_INTERNAL_H

#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/workqueue.h>
#include <asm/pgalloc.h>
#include <asm/mitosis.h>

enum mitosis_level {
	MITOSIS_PTE = 1,
	MITOSIS_PMD,
	MITOSIS_PUD,
	MITOSIS_P4D,
	MITOSIS_PGD,
	MITOSIS_LEVELS = MITOSIS_PGD,
};

/* With four-level paging the root is level 4. */
static inline int mitosis_top_level(void)
{
	return pgtable_l5_enabled() ? MITOSIS_PGD : MITOSIS_P4D;
}

enum mitosis_mode {
	MITOSIS_DEFAULT,	/* follow the system's policy */
	MITOSIS_NONE,
	MITOSIS_BIND,		/* one tree on one node, for all CPUs */
	MITOSIS_REPLICATE,	/* one tree on each listed node */
};

struct mem_cgroup;

struct mitosis_policy {
	enum mitosis_mode mode;
	bool all;		/* all nodes, also those that come later */
	nodemask_t nodes;
};

/* Tables freed so far, of primaries or of copies. */
enum mitosis_kind { MITOSIS_PRIMARY, MITOSIS_COPY, MITOSIS_KINDS };

struct mitosis_node {
	pgd_t *root;		/* what CPUs of this node load; never NULL */
	pgd_t *tree;		/* this node's own root, if it has one */
	atomic_long_t pages;	/* copies on this node, in pages */
	unsigned long held;	/* jiffies: no copies here before that time */
	atomic_long_t freed[MITOSIS_KINDS][MITOSIS_LEVELS + 1];
};

/*
 * One for each address space that ever had a policy, or whose tables somebody
 * looks at.  Set once in mm->context.mitosis, freed with the mm.
 */
struct mitosis_mm {
	struct mm_struct *mm;
	struct hlist_node link;
	struct mem_cgroup *memcg;	/* pays until the address space is complete */
	bool complete;		/* found through mm->owner who pays */
	struct mutex lock;
	spinlock_t policy_lock;
	struct mitosis_policy policy;
	nodemask_t allowed;	/* by the cpuset */
	nodemask_t nodes;	/* where a table may grow a copy now */
	bool in_force;		/* holds a reference of the static key */
	bool quit;		/* the address space is being torn down */
	bool short_of_memory;	/* a copy is missing: the worker repairs */
	bool settled;		/* mitosis_apply() went to its end for @nodes */
	atomic_t reclaimers;	/* tasks in reclaim that wait for the lock */
	struct list_head unlinked;	/* copies to free after a grace period */
	atomic_t observers;	/* open files that count freed tables */
	int prefer;		/* node for new primaries, or NUMA_NO_NODE */
	unsigned long backoff;	/* jiffies until the next repair */
	atomic_long_t fallbacks;
	struct delayed_work work;
	struct mitosis_node node[];
};

/*
 * In mm->context.mitosis of those who inherited 'none': that is all there is to
 * know, so that a fork costs nothing more.
 */
#define MITOSIS_OPTED_OUT	((struct mitosis_mm *)BIT(0))

static inline struct mitosis_mm *mitosis_of(const struct mm_struct *mm)
{
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);

	return m == MITOSIS_OPTED_OUT ? NULL : m;
}

extern atomic_long_t mitosis_pages;	/* copies in the system, in pages */

/*
 * ptdesc words of a copy.  The primary's own words stay as they are, but for
 * __page_mapping.  A copy has no page-table lock and is never deposited, so
 * the words of both are free; index is free on every copy.
 */
static inline struct ptdesc *ring_next(const struct ptdesc *pt)
{
	return (struct ptdesc *)READ_ONCE(pt->__page_mapping);
}

static inline struct mitosis_mm *copy_owner(const struct ptdesc *copy)
{
	return (struct mitosis_mm *)READ_ONCE(copy->pt_index);
}

static inline struct ptdesc *copy_primary(const struct ptdesc *copy)
{
	return (struct ptdesc *)copy->_pt_pad_2;
}

/* Give the words of a copy back as they came: the page allocator checks them. */
static inline void copy_clear(struct ptdesc *copy)
{
	__folio_clear_pgtable(ptdesc_folio(copy));
	copy->__page_mapping = 0;
	copy->pt_index = 0;
	copy->_pt_pad_2 = 0;
}

/* For a machine model beside the emulator (model/mark.h): a NOP to any CPU. */
static inline void mark_freed(struct page *page)
{
	if (IS_ENABLED(CONFIG_MITOSIS_DEBUG))
		asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long 0x6d740004"
			     :: "a" (PFN_PHYS(page_to_pfn(page))) : "memory");
}

static inline int ptdesc_nid(const struct ptdesc *pt)
{
	return page_to_nid(ptdesc_page(pt));
}

/* The low bits of page_type are a page table's own. */
#define MITOSIS_TYPE_COPY	BIT(0)
#define MITOSIS_TYPE_ROOT	BIT(1)	/* a root that is a copy or has some */
#define MITOSIS_TYPE_LEFT_OUT	BIT(2)	/* a primary: was shared, not copied */

static inline bool ptdesc_has_flag(const struct ptdesc *pt, unsigned int flag)
{
	return data_race(pt->__page_type) & flag;
}

#define for_each_copy(copy, pt)						\
	for (copy = ring_next(pt); copy && copy != (pt); copy = ring_next(copy))

/* Entries.  The layout of a leaf is the same on each level, but for PAT. */
#define MITOSIS_AD	(_PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_SAVED_DIRTY)

static inline bool entry_present(u64 val)
{
	return val & (_PAGE_PRESENT | _PAGE_PROTNONE);
}

/* An entry of a table above the PTE level that leads to another table. */
static inline bool entry_is_table(u64 val)
{
	return (val & (_PAGE_PRESENT | _PAGE_PSE)) == _PAGE_PRESENT;
}

static inline struct ptdesc *entry_table(u64 val)
{
	return page_ptdesc(pfn_to_page((val & PTE_PFN_MASK) >> PAGE_SHIFT));
}

static inline u64 entry_to(u64 val, struct ptdesc *table)
{
	return (val & ~(u64)PTE_PFN_MASK) | __pa(ptdesc_address(table));
}

static inline void *copy_slot(struct ptdesc *copy, void *slot)
{
	return ptdesc_address(copy) + offset_in_page(slot);
}

/* ring.c: one table and its copies */
spinlock_t *table_lock(struct mm_struct *mm, struct ptdesc *pt, int level);
bool table_is_shared(struct ptdesc *pt, int level);
struct ptdesc *ring_find(struct ptdesc *pt, int nid, struct mitosis_mm *m);
struct ptdesc *mitosis_grow(struct mitosis_mm *m, struct ptdesc *pt, int level,
			    int nid);
void mitosis_shrink(struct mitosis_mm *m, struct ptdesc *pt, int level,
		    int nid);
void mitosis_free_unlinked(struct mitosis_mm *m);
bool mitosis_wants(struct mitosis_mm *m, struct ptdesc *pt, int level, int nid);
bool mitosis_may_grow(struct mitosis_mm *m, struct ptdesc *pt, int level,
		      int nid);
void copy_disown(struct ptdesc *copy, int level);

/* mirror.c: entries */
u64 entry_ad(u64 from, u64 primary);
void entry_merge(void *slot, u64 of, u64 bits);
u64 entry_translate(struct ptdesc *copy, void *slot, u64 val, int level);
void entry_copy(struct ptdesc *copy, void *slot, int level);
void entry_relink(struct ptdesc *copy, void *slot, int level);
bool mitosis_supported(void);

/* walk.c: every table of an address space, each under its locks */
struct mitosis_table {
	struct ptdesc *pt;
	void *slot;		/* the parent's entry; NULL for the root */
	int level;
	unsigned long addr;
};

typedef int (*mitosis_visit_t)(struct mitosis_mm *m, struct mitosis_table *t,
			       void *arg);
int mitosis_walk(struct mitosis_mm *m, int level, mitosis_visit_t visit,
		 void *arg);

/* root.c */
bool mitosis_publish_roots(struct mitosis_mm *m);
void mitosis_reload_roots(struct mitosis_mm *m);

/* apply.c: where the tables of an address space lie */
#define MITOSIS_BACKOFF_MIN	(HZ / 2)

int mitosis_apply(struct mitosis_mm *m);
void mitosis_start(struct mitosis_mm *m);
bool mitosis_set_in_force(struct mitosis_mm *m);
void mitosis_clear_in_force(struct mitosis_mm *m);
bool mitosis_node_held(struct mitosis_mm *m, int nid);
unsigned long mitosis_reclaim_node(struct mitosis_mm *m, int nid);
int mitosis_make_way(struct mitosis_mm *m);
void mitosis_drop_trees(struct mitosis_mm *m);

/* state.c: address spaces, the static key, the worker */
struct mitosis_mm *mitosis_attach(struct mm_struct *mm);
void mitosis_attach_all(void);
void mitosis_enlist(struct mitosis_mm *m);
bool mitosis_find(bool (*match)(struct mitosis_mm *m, void *arg), void *arg);
int mitosis_processes(void);
void mitosis_kick(struct mitosis_mm *m, unsigned long delay);
void mitosis_kick_all(void);
int mitosis_observe(struct mitosis_mm *m);
void mitosis_unobserve(struct mitosis_mm *m);
void mitosis_hold_key(void);
bool mitosis_share_key(void);
void mitosis_drop_key(void);

/* policy.c */
int mitosis_parse(char *text, struct mitosis_policy *policy);
int mitosis_print(char *buf, size_t size, const struct mitosis_policy *policy);
void mitosis_get_policy(struct mitosis_mm *m, struct mitosis_policy *policy);
void mitosis_policy_of(struct mm_struct *mm, struct mitosis_policy *policy);
void mitosis_put_policy(struct mitosis_mm *m,
			const struct mitosis_policy *policy,
			const nodemask_t *allowed);
bool mitosis_allow(struct mitosis_mm *m, struct task_struct *task);
void mitosis_target(struct mitosis_mm *m, nodemask_t *nodes);
enum mitosis_mode mitosis_effective_mode(struct mitosis_mm *m);
int mitosis_set_policy(struct mitosis_mm *m, struct task_struct *task,
		       const struct mitosis_policy *policy);
void mitosis_get_system_policy(struct mitosis_policy *policy);
bool mitosis_system_has_policy(void);
void mitosis_attach_later(void);
int mitosis_set_system_policy(const struct mitosis_policy *policy);

/* reclaim.c */
struct mem_cgroup *mitosis_payer(struct mitosis_mm *m);
void mitosis_shrinker_note(struct mitosis_mm *m, int nid);

/* mutant.c: planted bugs, for the tests that must find them */
#ifdef CONFIG_MITOSIS_MUTANTS
const char *mitosis_mutant_name(void);
extern enum mitosis_hook mitosis_mutant;
static inline bool mitosis_left_out(enum mitosis_hook hook)
{
	return unlikely(hook == mitosis_mutant);
}
#else
static inline bool mitosis_left_out(enum mitosis_hook hook)
{
	return false;
}
#endif

/* check.c */
#ifdef CONFIG_MITOSIS_DEBUG
void mitosis_check_freed(struct ptdesc *pt, struct ptdesc *copy, int level);
void mitosis_check_queued(struct mm_struct *mm, struct ptdesc *copy);
#else
static inline void mitosis_check_freed(struct ptdesc *pt, struct ptdesc *copy,
				       int level) { }
static inline void mitosis_check_queued(struct mm_struct *mm,
					struct ptdesc *copy) { }
#endif

#endif /* _MITOSIS_INTERNAL_H */
