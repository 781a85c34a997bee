/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table above level 1 gets copies and loses them while a writer without its lock
 * clears an entry: invariants 1 and 5.
 *
 * Stores wait in a buffer until they reach memory, as on x86, so that a barrier that
 * is missing can be seen to be missing.  No thread reads what it has in its buffer:
 * each waits for it to drain before.
 */
#include "common.pml"

/* Tables: copies on nodes 0 to 2, and the primary. */
#define PRIMARY		3

/* Memory: one entry of each table, the links of the ring, the lock. */
#define SLOT(t)		(t)
#define NEXT(t)		(4 + (t))
#define LOCK		8
byte mem[9];

#define CHILD		1	/* what an entry holds that leads to the child */

chan writes_of_writer = [3] of { byte, byte };
chan writes_of_policy = [3] of { byte, byte };

byte linked;			/* copies in the ring */
byte unlinked;			/* copies that wait for the end of a grace period */
byte allocated;			/* copies that are not free */
byte trees;			/* copies that hardware can reach */
bit reading;			/* rcu_read_lock() of the writer */
byte stands = PRIMARY;		/* the copy that the writer has come to */
bit gone;			/* the child was unhooked and the flush has returned */

#define store(writes, where, what)	writes!where,what
#define smp_mb(writes)			empty(writes)

/* An atomic exchange drains the buffer first.  So does taking a lock. */
#define xchg(writes, where, what)	d_step { empty(writes) -> mem[where] = what }
#define table_lock(writes)		d_step { empty(writes) && !mem[LOCK] -> mem[LOCK] = 1 }
#define table_unlock(writes)		store(writes, LOCK, 0)

proctype memory()
{
	byte where, what;

end:	do
	:: d_step { writes_of_writer?where,what -> mem[where] = what; where = 0; what = 0 }
	:: d_step { writes_of_policy?where,what -> mem[where] = what; where = 0; what = 0 }
	od
}

/* Any CPU.  What it may do with the entry that it finds is in table.pml. */
proctype hardware()
{
end:	do
	:: atomic { has(trees, 0) && mem[SLOT(0)] -> invariant_1(!gone); invariant_5(has(allocated, 0)) }
	:: atomic { has(trees, 1) && mem[SLOT(1)] -> invariant_1(!gone); invariant_5(has(allocated, 1)) }
	:: atomic { has(trees, 2) && mem[SLOT(2)] -> invariant_1(!gone); invariant_5(has(allocated, 2)) }
	od
}

#define rcu_read_lock()		reading = 1
#define rcu_read_unlock()	atomic { reading = 0; stands = PRIMARY }

/* mirror_store() after native_set_p?d() in the primary. */
inline mirror_store(val)
{
#ifndef NO_BARRIER_IN_STORE
	smp_mb(writes_of_writer);
#endif
	rcu_read_lock();
	stands = mem[NEXT(PRIMARY)];
	do
	:: stands != PRIMARY ->
		invariant_5(has(allocated, stands));
		xchg(writes_of_writer, SLOT(stands), val);	/* entry_store() */
		invariant_5(has(allocated, stands));
		stands = mem[NEXT(stands)]
	:: else -> break
	od;
	rcu_read_unlock()
}

/*
 * free_pgtables() holds no lock and calls mitosis_table_unhooked() afterwards.
 * huge_pmd_unshare() and p?d_clear_bad() hold another lock or none, and do not.
 */
proctype writer()
{
	do
	:: store(writes_of_writer, SLOT(PRIMARY), 0);
	   mirror_store(0);
	   if
	   :: table_lock(writes_of_writer);	/* mitosis_table_unhooked() */
	      table_unlock(writes_of_writer)
	   :: smp_mb(writes_of_writer)
	   fi;
	   gone = 1;				/* the flush returns */

	   /* A fault installs a table again: the lock of the table is held. */
	   table_lock(writes_of_writer);
	   gone = 0;
	   store(writes_of_writer, SLOT(PRIMARY), CHILD);
	   mirror_store(CHILD);
	   table_unlock(writes_of_writer)
	od
}

/* ring_link() */
inline ring_link(copy)
{
	store(writes_of_policy, NEXT(copy), mem[NEXT(PRIMARY)]);
	store(writes_of_policy, NEXT(PRIMARY), copy);
	linked = linked | BIT(copy)
}

/* copy_fill(): entry_copy() for an entry that is not empty. */
inline copy_fill(copy)
{
	if
	:: mem[SLOT(PRIMARY)] ->
		do
		:: val = mem[SLOT(PRIMARY)];
		   store(writes_of_policy, SLOT(copy), val);
		   smp_mb(writes_of_policy);
#ifdef NO_REREAD
		   break
#else
		   if
		   :: mem[SLOT(PRIMARY)] == val -> break
		   :: else		/* a writer was faster: once more */
		   fi
#endif
		od
	:: else
	fi;
	val = 0
}

/* mitosis_grow() */
inline grow(copy)
{
	table_lock(writes_of_policy);
	d_step { allocated = allocated | BIT(copy); mem[SLOT(copy)] = 0 }
#ifdef FILL_BEFORE_LINK
	copy_fill(copy);
	ring_link(copy);
#else
	ring_link(copy);
#ifndef NO_BARRIER_IN_GROW
	smp_mb(writes_of_policy);
#endif
	copy_fill(copy);
#endif
	table_unlock(writes_of_policy);
	trees = trees | BIT(copy)	/* its parent's copy leads to it; or: published */
}

/* mitosis_shrink() of a tree that no CPU walks any more; see root.pml. */
inline shrink(copy)
{
	trees = trees & ~BIT(copy);
	table_lock(writes_of_policy);
	prev = PRIMARY;			/* ring_unlink() */
	do
	:: mem[NEXT(prev)] != copy -> prev = mem[NEXT(prev)]
	:: else -> break
	od;
	store(writes_of_policy, NEXT(prev), mem[NEXT(copy)]);
#ifdef UNLINK_CLEARS_LINK
	store(writes_of_policy, NEXT(copy), PRIMARY);
#endif
	d_step { linked = linked & ~BIT(copy); unlinked = unlinked | BIT(copy); prev = 0 }
	table_unlock(writes_of_policy)
}

/* mitosis_free_unlinked() */
inline free_unlinked()
{
#ifndef NO_GRACE_PERIOD
	smp_mb(writes_of_policy);	/* synchronize_rcu() */
	!reading;
#endif
	d_step { allocated = allocated & ~unlinked; unlinked = 0 }
}

proctype policy()
{
	byte val, prev;

	do
	:: !unlinked && !has(linked, 0) -> grow(0)
	:: !unlinked && !has(linked, 1) -> grow(1)
	:: !unlinked && !has(linked, 2) -> grow(2)
	:: has(linked, 0) -> shrink(0)
	:: has(linked, 1) -> shrink(1)
	:: has(linked, 2) -> shrink(2)
	:: unlinked -> free_unlinked()
	od
}

init
{
	atomic {
		mem[SLOT(PRIMARY)] = CHILD;
		mem[NEXT(PRIMARY)] = PRIMARY;
		run memory(); run hardware(); run writer(); run policy()
	}
}
