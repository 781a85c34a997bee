/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A level-1 table comes and goes: installed by a fault, copied and left by a policy,
 * taken out by munmap() or by khugepaged, flushed, freed.  Invariants 1 and 5.
 *
 * One entry of the parent leads to it; the parent has a copy on each node throughout.
 * Table 0 is the primary and serves node 0; tables 1 and 2 are copies.
 */
#include "common.pml"

#define NONE	3		/* what an entry holds that leads nowhere */
#define PRIMARY	0

byte slot = NONE;		/* the parent's entry in the primary */
byte copy_slot[NODES] = NONE;	/* and in the parent's copies */
byte ring;			/* copies that are linked */
byte allocated;			/* pages that are tables, and not free */
bit pte[NODES];			/* an entry of the table: a page is mapped there */
bit parent_lock, own_lock;
byte nodes = ALL;		/* mitosis_mm.nodes */

byte root[NODES];		/* the tree that the CPU of a node walks */
byte psc[NODES];		/* tables that it can reach, or could since its last flush */
byte tlb;			/* CPUs that may have the page in the TLB */
byte irqs_off;			/* CPUs that take no interrupt */
bit gone;			/* the page is unmapped, and the flush has returned */

/*
 * Hardware.  The worst that it may do: it caches each upper-level entry at once, and
 * keeps it until a flush.
 */
inline sees(n)
{
	if
	:: copy_slot[root[n]] != NONE -> psc[n] = psc[n] | BIT(copy_slot[root[n]])
	:: else
	fi
}

/* A store in the parent's copy on node @on: of what leads to the table, or nowhere. */
inline store(on, to)
{
	atomic {
		if				/* entry_translate() */
		:: to != NONE && has(ring, on) -> copy_slot[on] = on
		:: else -> copy_slot[on] = to
		fi;
		if :: root[0] == on -> sees(0) :: else fi;
		if :: root[1] == on -> sees(1) :: else fi;
		if :: root[2] == on -> sees(2) :: else fi
	}
}

inline walk(n, t)
{
	invariant_5(has(allocated, t));
	if
	:: pte[t] -> invariant_1(!gone); tlb = tlb | BIT(n)
	:: else
	fi
}

proctype cpu(byte n)
{
	do
	:: atomic { has(psc[n], 0) -> walk(n, 0) }
	:: atomic { has(psc[n], 1) -> walk(n, 1) }
	:: atomic { has(psc[n], 2) -> walk(n, 2) }
	:: atomic { has(tlb, n) -> invariant_1(!gone) }
	od
}

/* The interrupt of a flush that forgets paging-structure caches, too. */
inline flush_cpu(n)
{
	atomic {
		has(left, n) && !has(irqs_off, n) ->
		tlb = tlb & ~BIT(n);
		psc[n] = 0;
		sees(n);
		left = left & ~BIT(n)
	}
}

inline flush()
{
	left = ALL;
	do
	:: flush_cpu(0)
	:: flush_cpu(1)
	:: flush_cpu(2)
	:: !left -> break
	od
}

/* gup_fast(): reads the primary, with interrupts off on the CPU of node 1. */
proctype gup_fast()
{
	do
	:: irqs_off = BIT(1);
	   if
	   :: slot != NONE ->
		invariant_5(has(allocated, PRIMARY));
		invariant_5(has(allocated, PRIMARY))	/* its entry, later */
	   :: else
	   fi;
	   irqs_off = 0
	od
}

/* entry_copy() of the entry that leads to the table, by way of entry_relink(). */
inline entry_relink(m)
{
	do
	:: val = slot;
	   store(m, val);
#ifdef NO_REREAD
	   break
#else
	   if
	   :: slot == val -> break
	   :: else
	   fi
#endif
	od;
	val = 0
}

/* mitosis_grow(): both locks are held. */
inline grow(n)
{
	invariant_5(has(allocated, PRIMARY));
	d_step { allocated = allocated | BIT(n); ring = ring | BIT(n); pte[n] = 0 }
	pte[n] = pte[PRIMARY]
}

/* child_grow(), for a copy of the parent */
inline child_grow(n)
{
	if
	:: has(nodes, n) ->
		lock(own_lock);
		if
		:: !has(ring, n) && has(nodes, n) -> grow(n)
		:: else
		fi;
		unlock(own_lock)
	:: else
	fi
}

/* pmd_populate(): mirror_prepare(), native_set_pmd(), mirror_store(). */
inline install()
{
	child_grow(1);
	child_grow(2);
	slot = PRIMARY;
	store(0, PRIMARY);
	store(1, PRIMARY);
	store(2, PRIMARY)
}

/* pmd_clear(): native_set_pmd(), mirror_store(). */
inline uninstall()
{
	slot = NONE;
#ifndef CLEAR_NOT_MIRRORED
	store(0, NONE);
	store(1, NONE);
	store(2, NONE)
#endif
}

/* set_pte() and ptep_get_and_clear() */
inline set_pte(val)
{
	lock(own_lock);
	pte[PRIMARY] = val;
	if :: has(ring, 1) -> pte[1] = val :: else fi;
	if :: has(ring, 2) -> pte[2] = val :: else fi;
	unlock(own_lock)
}

/* ring_detach() */
inline detach()
{
	d_step { detached = ring; ring = 0 }
}

inline free(tables)
{
	d_step { allocated = allocated & ~(tables); pte[0] = 0 }
}

/* __mitosis_table_unhooked() */
inline table_unhooked()
{
#ifdef UNHOOK_WITHOUT_LOCKS
	detach()
#else
	lock(parent_lock);
	lock(own_lock);
	detach();
	unlock(own_lock);
	unlock(parent_lock)
#endif
}

/* What happens to the one address: a program, and khugepaged. */
proctype mapper()
{
	byte left, detached;

	do
	:: /* A fault: pmd_install() and set_pte_at(). */
	   d_step { allocated = allocated | BIT(PRIMARY); pte[PRIMARY] = 0 }
	   lock(parent_lock);
	   install();
	   unlock(parent_lock);
again:	   gone = 0;
	   set_pte(1);

	   if
	   :: /* munmap(): zap_pte_range(), free_pgtables(), one flush for both. */
	      set_pte(0);
	      uninstall();
	      table_unhooked();
#ifdef FREE_COPIES_BEFORE_FLUSH
	      free(detached);
#endif
#ifdef FREE_BEFORE_FLUSH
	      free(detached | BIT(PRIMARY));
#endif
	      flush();
	      gone = 1;
	      free(detached | BIT(PRIMARY))

	   :: /* collapse_huge_page(): pmdp_collapse_flush(), then the pages. */
	      lock(parent_lock);
	      uninstall();
	      flush();
	      unlock(parent_lock);
	      if
	      :: set_pte(0);
		 gone = 1;
		 lock(parent_lock);
		 lock(own_lock);
		 detach();		/* mitosis_table_flushed() */
		 unlock(own_lock);
		 unlock(parent_lock);
		 !irqs_off;		/* call_rcu() */
		 free(detached | BIT(PRIMARY))
	      :: lock(parent_lock);	/* it fails: the table goes back */
		 install();
		 unlock(parent_lock);
		 goto again
	      fi
	   fi;
	   detached = 0
	od
}

/* visit_at(): grow_visit() and shrink_visit() under both locks. */
#define visit(what)						\
	lock(parent_lock);					\
	if							\
	:: slot != NONE -> lock(own_lock); what; unlock(own_lock) \
	:: else							\
	fi;							\
	unlock(parent_lock)

inline grow_visit(n)
{
	if
	:: n != PRIMARY && !has(ring, n) -> grow(n)
	:: else
	fi;
	entry_relink(n)
}

inline shrink_visit(n)
{
	if
	:: n != PRIMARY -> d_step { gone_copy = ring & BIT(n); ring = ring & ~BIT(n) }
	:: else
	fi;
	entry_relink(n)
}

inline publish(cpu_of, to)
{
	atomic {
		root[cpu_of] = to;
		sees(cpu_of)
	}
}

inline move(n, from, to)
{
	if
	:: root[n] == from -> publish(n, to)
	:: else
	fi
}

/* Give up the tree of node @tree: set_target(), retreat(). */
inline retreat(tree, other)
{
	nodes = nodes & ~BIT(tree);
	move(0, tree, other);
	move(1, tree, other);
	move(2, tree, other);
#ifndef SHRINK_BEFORE_RELOAD
	flush();			/* mitosis_reload_roots(): see root.pml */
#endif
	visit(shrink_visit(tree));
	atomic { allocated = allocated & ~gone_copy; gone_copy = 0 }
}

/* Make it again: set_target(), then roots first, then tables. */
inline advance(tree)
{
	nodes = nodes | BIT(tree);
	publish(tree, tree);
	flush();
	visit(grow_visit(tree))
}

proctype policy()
{
	byte left, gone_copy, val;

	do
	:: nodes == ALL -> retreat(0, 1)
	:: nodes == ALL -> retreat(1, 2)
	:: nodes == ALL -> retreat(2, 0)
	:: nodes == ALL -> retreat(2, 1); retreat(1, 0)
	:: !has(nodes, 0) -> advance(0)
	:: !has(nodes, 1) -> advance(1)
	:: !has(nodes, 2) -> advance(2)
	od
}

init
{
	atomic {
		root[1] = 1; root[2] = 2;
		run cpu(0); run cpu(1); run cpu(2);
		run gup_fast(); run mapper(); run policy()
	}
}
