/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A leaf: one entry of a level-1 table, its copies, and hardware that sets
 * Accessed and Dirty in the one that it walks.  Invariants 1, 2 and 5.
 *
 * Table 0 is the primary and serves node 0; tables 1 and 2 are copies on nodes 1
 * and 2.  There is a CPU on each node.  Who changes the entry holds the lock of
 * the table, so there is no lockless writer here: see grow.pml.
 */
#include "common.pml"

#define PRESENT		1
#define WRITE		2
#ifdef AGER
#define ACCESSED	4
#else
#define ACCESSED	0	/* not looked at: eight times fewer states */
#endif
#define DIRTY		8
#define SAVED		16	/* SavedDirty: Dirty of an entry that is read-only */
#define ANY_DIRTY	(DIRTY | SAVED)

byte pte[NODES];		/* the entry, in each table */
byte ring = BIT(0);		/* the primary and the copies that are linked */
byte allocated = BIT(0);	/* pages that are tables, and not free */
byte reach[NODES];		/* the table to which the upper levels lead each CPU */
bit ptl;			/* own lock of the table, and its parent's */

/* Each CPU: what it has cached. */
byte psc[NODES];		/* the tables that upper levels and caches of them lead to */
byte tlb[NODES];		/* PRESENT: a translation; DIRTY: one to write through */

/* What really happened, to compare with. */
bit gone;			/* unmapped, and the flush has returned */
byte readonly;			/* write-protected: 1 asked for, 2 the flush returned */
bit written;			/* a CPU wrote to the page since that was last noticed */
bit accessed;			/* a walk set Accessed since that was last noticed */

#define same_leaf(a, b)	(((a) & PRESENT) && ((b) & PRESENT))

/*
 * Hardware: each CPU may walk at any time, through what is there or through upper
 * levels as old as the last flush.  What it has cached it may keep until a flush; to
 * drop something earlier gives it nothing more to do.  Accessed and Dirty are set by
 * a locked read-modify-write that looks at the entry again.
 */
inline set_accessed(t)
{
	if
	:: ACCESSED && !(pte[t] & ACCESSED) -> pte[t] = pte[t] | ACCESSED; accessed = 1
	:: else
	fi
}

inline walk(n, t)
{
	invariant_5(has(allocated, t));
	if
	:: pte[t] & PRESENT ->		/* a read, speculative or not */
		invariant_1(!gone);
		tlb[n] = tlb[n] | PRESENT;
		set_accessed(t)
	:: pte[t] & WRITE ->		/* a write */
		invariant_1(!gone && readonly != 2);
		pte[t] = pte[t] | DIRTY;
		tlb[n] = PRESENT | DIRTY;
		written = 1;
		set_accessed(t)
	:: !(pte[t] & PRESENT)
	fi
}

proctype cpu(byte n)
{
	do
	:: atomic { has(psc[n], 0) -> walk(n, 0) }
	:: atomic { has(psc[n], 1) -> walk(n, 1) }
	:: atomic { has(psc[n], 2) -> walk(n, 2) }
	:: atomic { tlb[n] & PRESENT -> invariant_1(!gone) }
	:: atomic { tlb[n] & DIRTY -> invariant_1(readonly != 2); written = 1 }
	od
}

/* The flush of a page: each CPU handles the interrupt when it comes to it. */
inline flush()
{
	left = ALL;
	do
	:: has(left, 0) -> d_step { tlb[0] = 0; left = left & ~BIT(0) }
	:: has(left, 1) -> d_step { tlb[1] = 0; left = left & ~BIT(1) }
	:: has(left, 2) -> d_step { tlb[2] = 0; left = left & ~BIT(2) }
	:: !left -> break
	od
}

/* mitosis_reload_roots(): root.pml shows that it does what it does here. */
inline reload_roots()
{
	left = ALL;
	do
	:: has(left, 0) -> d_step { tlb[0] = 0; psc[0] = BIT(reach[0]); left = left & ~BIT(0) }
	:: has(left, 1) -> d_step { tlb[1] = 0; psc[1] = BIT(reach[1]); left = left & ~BIT(1) }
	:: has(left, 2) -> d_step { tlb[2] = 0; psc[2] = BIT(reach[2]); left = left & ~BIT(2) }
	:: !left -> break
	od
}

/* entry_merge(): by a compare and exchange, since hardware may be writing. */
inline entry_merge(leaf, bits)
{
	atomic {
		if
		:: bits && same_leaf(pte[0], leaf) ->
			pte[0] = pte[0] | (bits & ACCESSED);
			if
			:: (bits & ANY_DIRTY) && !(pte[0] & ANY_DIRTY) ->
				pte[0] = pte[0] | ((pte[0] & WRITE) -> DIRTY : SAVED)
			:: else
			fi
		:: else
		fi;
		bits = 0
	}
}

#define entry_ad(from, leaf)	(same_leaf(from, leaf) -> ((from) & (ACCESSED | ANY_DIRTY)) : 0)

#define for_each_copy(c)	c = 1; do :: c < NODES && has(ring, c) ->
#define skip_others(c)		:: c < NODES && !has(ring, c) -> c++ :: c == NODES -> c = 0; break od

/* __mitosis_exchange(): what hardware set in a copy is returned with @old. */
inline mitosis_exchange(old, new)
{
	for_each_copy(c)
#ifdef CLEAR_WITHOUT_EXCHANGE
		bits = bits | entry_ad(pte[c], old);
		d_step { pte[c] = new; c++ }
#else
		d_step { bits = bits | entry_ad(pte[c], old); pte[c] = new; c++ }
#endif
	skip_others(c);
	atomic { old = old | bits; bits = 0 }
}

/* ptep_get_and_clear() */
inline get_and_clear(old)
{
	d_step { old = pte[0]; pte[0] = 0 }
#ifndef COPIES_NOT_CLEARED
	mitosis_exchange(old, 0)
#endif
}

/* set_pte(): native_set_pte(), then mirror_store() with entry_store() for each. */
inline set_pte(val)
{
	pte[0] = val;
	for_each_copy(c)
		d_step {
			bits = bits | (entry_ad(pte[c], val) & ~ACCESSED);
			pte[c] = val;
			c++
		}
	skip_others(c);
	entry_merge(val, bits)
}

/* __mitosis_wrprotect() after the primary was protected. */
#define wrprotect(e)	((((e) & DIRTY) -> (((e) & ~(WRITE | DIRTY)) | SAVED) : ((e) & ~WRITE)))

inline set_wrprotect()
{
	d_step { pte[0] = wrprotect(pte[0]) }
#ifndef COPIES_NOT_PROTECTED
	old = pte[0];
	for_each_copy(c)
		d_step {
			bits = bits | entry_ad(pte[c], old);
			pte[c] = wrprotect(pte[c]);
			c++
		}
	skip_others(c);
	entry_merge(old, bits);
	old = 0
#endif
}

/* __mitosis_fold() */
inline mitosis_fold()
{
#ifdef NO_FOLD
	skip
#else
	old = pte[0];
	for_each_copy(c)
		d_step { bits = bits | entry_ad(pte[c], old); c++ }
	skip_others(c);
	entry_merge(old, bits);
	old = 0
#endif
}

/* ptep_test_and_clear_young() */
inline test_and_clear_young(young)
{
	d_step { young = young | (pte[0] & ACCESSED); pte[0] = pte[0] & ~ACCESSED }
#ifndef YOUNG_OF_PRIMARY_ONLY
	for_each_copy(c)
		d_step { young = young | (pte[c] & ACCESSED); pte[c] = pte[c] & ~ACCESSED; c++ }
	skip_others(c)
#endif
}

#define copies_equal	\
	((!has(ring, 1) || same_but_ad(pte[1], pte[0])) && \
	 (!has(ring, 2) || same_but_ad(pte[2], pte[0])))
#define same_but_ad(a, b)	(((a) & (PRESENT | WRITE)) == ((b) & (PRESENT | WRITE)))

/* Invariant 1 for whoever takes the lock next. */
inline ptl_unlock()
{
	atomic { invariant_1(copies_equal); unlock(ptl) }
}

#ifdef MAPPER
/* A thread that maps and unmaps the page, and reclaim that cleans it. */
proctype mapper()
{
	byte c, left, bits, old;
	bit was, was_accessed;

	do
	:: !(pte[0] & PRESENT) ->	/* a fault: do_anonymous_page() and the like */
		lock(ptl);
		d_step { gone = 0; readonly = 0 }
		if
		:: set_pte(PRESENT | WRITE | ACCESSED)
		:: set_pte(PRESENT | ACCESSED)
		fi;
		ptl_unlock()

	:: pte[0] & PRESENT ->		/* zap_present_ptes(), try_to_unmap_one() */
		lock(ptl);
		was_accessed = accessed;
		get_and_clear(old);
		atomic {
			invariant_2(!was_accessed || (old & ACCESSED));
			accessed = 0; was_accessed = 0
		}
		ptl_unlock();
		flush();		/* tlb_finish_mmu(), try_to_unmap_flush() */
		atomic {
			gone = 1;
			invariant_2(!written || (old & ANY_DIRTY));
			written = 0; old = 0
		}

	:: pte[0] & PRESENT ->		/* clean what is dirty: page_vma_mkclean_one() */
		lock(ptl);
		was = written;
		mitosis_fold();
		if
		:: pte[0] & ANY_DIRTY ->
			get_and_clear(old);	/* ptep_clear_flush() */
			flush();
			atomic {
				invariant_2(!written || (old & ANY_DIRTY));
				written = 0;
				old = old & ~ANY_DIRTY
			}
			set_pte(old);
			old = 0
		:: else -> invariant_2(!was)
		fi;
		was = 0;
		ptl_unlock()
	od
}
#endif

#ifdef SHARER
/* Fork, and copy-on-write that ends. */
proctype sharer()
{
	byte c, left, bits, old;
	bit was;

	do
	:: pte[0] & WRITE ->		/* copy_present_ptes() */
		lock(ptl);
		was = written;
		readonly = 1;
		mitosis_fold();		/* the child's entry carries Dirty */
		atomic { invariant_2(!was || !(pte[0] & PRESENT) || (pte[0] & ANY_DIRTY)); was = 0 }
		set_wrprotect();
		ptl_unlock();
		flush();
		atomic {
			if
			:: readonly == 1 -> readonly = 2
			:: else
			fi
		}

	:: (pte[0] & (PRESENT | WRITE)) == PRESENT ->	/* wp_page_reuse() */
		lock(ptl);
		if
		:: (pte[0] & (PRESENT | WRITE)) == PRESENT ->
			readonly = 0;
			set_pte(PRESENT | WRITE | ACCESSED | DIRTY)
		:: else
		fi;
		ptl_unlock()
	od
}
#endif

#ifdef AGER
#define young(t)	(has(ring, t) && (pte[t] & ACCESSED))
#define young_somewhere	(young(0) || young(1) || young(2))

proctype ager()
{
	byte c, old;
	bit was;

	do
	:: pte[0] & PRESENT ->		/* folio_referenced_one() */
		lock(ptl);
		was = accessed;
		test_and_clear_young(old);
		atomic {
			invariant_2(!was || old);
			accessed = young_somewhere;
			was = 0; old = 0
		}
		ptl_unlock()
	od
}

#endif

inline copy_fold(t)
{
	d_step { old = pte[0]; bits = entry_ad(pte[t], old) }
	entry_merge(old, bits);
	old = 0
}

/* CPU @n is led to table @to from now on, and may keep where it was led before. */
inline lead(n, to)
{
	reach[n] = to;
	psc[n] = psc[n] | BIT(to)
}

/* mitosis_publish_roots(): CPUs of a tree that goes will go to another one. */
inline move(n, from, to)
{
	if
	:: reach[n] == from -> lead(n, to)
	:: else
	fi
}

inline publish_without(from, to)
{
	atomic { move(0, from, to); move(1, from, to); move(2, from, to) }
}

/* mitosis_apply(): one tree comes or goes at a time. */
inline grow(t)
{
	lock(ptl);
	d_step { allocated = allocated | BIT(t); ring = ring | BIT(t) }
	old = pte[0];
	d_step { pte[t] = old; old = 0 }
	d_step { lead(t, t) }		/* entry_relink() of the parent's copy */
	ptl_unlock()
}

inline shrink(t, other)
{
	if
	:: publish_without(t, 0)
	:: has(ring, other) -> publish_without(t, other)
	fi;
#ifdef FOLD_BEFORE_FLUSH
	lock(ptl);
	copy_fold(t);
	ptl_unlock();
#endif
#ifdef UNLINK_BEFORE_FLUSH
	lock(ptl);
	ring = ring & ~BIT(t);
	ptl_unlock();
#endif
#ifndef FREE_BEFORE_FLUSH
	reload_roots();
#endif
	lock(ptl);
#ifndef FOLD_BEFORE_FLUSH
	copy_fold(t);
#endif
	ring = ring & ~BIT(t);
	ptl_unlock();
	d_step { allocated = allocated & ~BIT(t); pte[t] = 0 }
}

#ifdef POLICY
proctype policy()
{
	byte c, left, bits, old;

	do
	:: !has(ring, 1) -> grow(1)
	:: !has(ring, 2) -> grow(2)
	:: has(ring, 1) -> shrink(1, 2)
	:: has(ring, 2) -> shrink(2, 1)
	od
}
#endif

init
{
	atomic {
		psc[0] = BIT(0); psc[1] = BIT(0); psc[2] = BIT(0);
		run cpu(0); run cpu(1); run cpu(2);
#ifdef MAPPER
		run mapper();
#else
		pte[0] = (ACCESSED -> PRESENT : PRESENT | WRITE);
#endif
#ifdef SHARER
		run sharer();
#endif
#ifdef AGER
		run ager();
#endif
#ifdef POLICY
		run policy()
#else
		ring = ALL; allocated = ALL;
		reach[1] = 1; psc[1] = BIT(1); pte[1] = pte[0];
		reach[2] = 2; psc[2] = BIT(2); pte[2] = pte[0]
#endif
	}
}
