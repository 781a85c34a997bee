/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPUs change over to other roots while they come, go, are lazy, and are flushed by
 * others: mitosis_reload_roots().  Invariants 1, 2 and 5.
 *
 * A tree stands for the copy of the root and all that it leads to.  Each node has a
 * CPU, and may have a tree; tree 3 is the primary's, which is always there.
 *
 * Generations only count up and are only compared for equality, so a bit tells all:
 * whether what a CPU has read or noted is still the last one.
 */
#include "common.pml"

#define PRIMARY	3
#define NO_ROOT	4		/* another address space is loaded */

#define LEAVES	1, 0		/* what a CPU does: see cpu() */
#define IDLES	0, 1
#define STAYS	0, 0
#define BOTH	1, 1

/* All CPUs doing all there is with all trees are too many states at once. */
#ifndef ALL_TREES
#define ALL_TREES	ALL
#endif
#ifndef CPU_0
#define CPU_0	LEAVES
#endif
#ifndef CPU_1
#define CPU_1	STAYS
#endif
#ifndef CPU_2
#define CPU_2	STAYS
#endif

byte published[NODES] = PRIMARY;	/* mitosis_mm.node[].root */
byte trees;			/* trees that there are, and that are written */
byte allocated = BIT(PRIMARY);	/* trees that are not free */
byte folded;			/* trees whose bits were folded: Dirty set now is lost */

byte cpumask;			/* mm_cpumask() */
bit current_gen[NODES];		/* the context's tlb_gen is that of the address space */
bit read_gen[NODES];		/* and what the CPU has just read of it */

byte cr3[NODES] = NO_ROOT;
byte context[NODES];		/* trees of which this PCID has something cached */
bit user[NODES];		/* runs the program, or reads and writes its memory */
bit irqs_off[NODES];
byte reload_ipi;		/* interrupts that were sent and not handled */
byte flush_ipi;

/*
 * Hardware.  The worst that it may do: while a root is loaded everything below it is
 * cached for its PCID, also by speculation, and is used until a flush.  Only a program
 * that runs reads or writes for good.
 */
inline walks(n)
{
	invariant_5((context[n] & ~allocated) == 0);
	if
	:: user[n] ->
		invariant_1((context[n] & ~(trees | BIT(PRIMARY))) == 0);
		invariant_2((context[n] & folded) == 0)	/* a write sets Dirty */
	:: else
	fi
}

proctype hardware()
{
end:	do
	:: atomic { cr3[0] != NO_ROOT -> walks(0) }
	:: atomic { cr3[1] != NO_ROOT -> walks(1) }
	:: atomic { cr3[2] != NO_ROOT -> walks(2) }
	od
}

inline inc_mm_tlb_gen()
{
	d_step {
		current_gen[0] = 0; current_gen[1] = 0; current_gen[2] = 0;
		read_gen[0] = 0; read_gen[1] = 0; read_gen[2] = 0
	}
}

/* load_new_mm_cr3(): __mitosis_cr3() reads the root, then CR3 is written. */
inline load_new_mm_cr3(n, need_flush)
{
	new_root = published[n];
	atomic {
		cr3[n] = new_root;
		if
		:: need_flush -> context[n] = BIT(new_root); current_gen[n] = read_gen[n]
		:: else -> context[n] = context[n] | BIT(new_root)
		fi;
		new_root = 0
	}
}

/* switch_mm_irqs_off() to the address space ... */
inline switch_to(n)
{
#ifdef ROOT_READ_BEFORE_MASK
	new_root = published[n];
#endif
	cpumask = cpumask | BIT(n);
	d_step { read_gen[n] = 1; need_flush = !current_gen[n] };	/* choose_new_asid() */
#ifdef ROOT_READ_BEFORE_MASK
	atomic {
		cr3[n] = new_root;
		if
		:: need_flush -> context[n] = BIT(new_root); current_gen[n] = read_gen[n]
		:: else -> context[n] = context[n] | BIT(new_root)
		fi;
		new_root = 0
	}
#else
	load_new_mm_cr3(n, need_flush)
#endif
}

/* ... and away from it: CR3 is written some time after the bit was cleared. */
inline switch_away(n)
{
	cpumask = cpumask & ~BIT(n);
	cr3[n] = NO_ROOT
}

/* reload_root() */
inline reload_root(n)
{
	if
	:: cr3[n] == NO_ROOT		/* loaded_mm is another one */
#ifdef TRUST_TLB_GEN
	:: cr3[n] != NO_ROOT && current_gen[n]
	:: cr3[n] != NO_ROOT && !current_gen[n] ->
#else
	:: cr3[n] != NO_ROOT ->
#endif
		switch_away(n);
		current_gen[n] = 0;	/* forget_contexts() */
		if
		:: lazy
		:: !lazy -> switch_to(n)
		fi;
		lazy = 0
	fi
}

/* flush_tlb_func() */
inline flush_tlb_func(n)
{
	if
	:: cr3[n] == NO_ROOT
	:: cr3[n] != NO_ROOT && lazy -> switch_away(n); lazy = 0
	:: cr3[n] != NO_ROOT && !lazy && current_gen[n]	/* some other flush did it */
	:: cr3[n] != NO_ROOT && !lazy && !current_gen[n] ->
		d_step { context[n] = BIT(cr3[n]); current_gen[n] = 1 }
	fi
}

/* @goes, @idles: whether this CPU leaves the address space, and whether it is lazy. */
proctype cpu(byte n; bit goes, idles)
{
	byte new_root;
	bit need_flush, lazy;

	if
	:: atomic {
		!goes && !idles ->
		switch_to(n);
		user[n] = 1; need_flush = 0
	   }
	:: goes || idles
	fi;
	do
	:: atomic { cr3[n] == NO_ROOT -> irqs_off[n] = 1 };
	   switch_to(n);
	   atomic { user[n] = 1; irqs_off[n] = 0; need_flush = 0 }

	:: atomic { goes && cr3[n] != NO_ROOT -> irqs_off[n] = 1; user[n] = 0; lazy = 0 };
	   switch_away(n);
	   irqs_off[n] = 0

	:: atomic { idles && user[n] -> user[n] = 0; lazy = 1 }	/* enter_lazy_tlb() */

	:: atomic { lazy -> irqs_off[n] = 1 };		/* and back to the same */
	   if
	   :: atomic { current_gen[n] -> skip }
	   :: atomic { !current_gen[n] -> read_gen[n] = 1 };
	      load_new_mm_cr3(n, 1)
	   fi;
	   atomic { lazy = 0; user[n] = 1; irqs_off[n] = 0 }

	   /* Who does nothing else does this in one step: there is too much to search. */
	:: atomic {
		has(reload_ipi, n) && !goes && !idles ->
		reload_root(n);
		need_flush = 0; reload_ipi = reload_ipi & ~BIT(n)
	   }
	:: atomic { has(reload_ipi, n) && (goes || idles) -> irqs_off[n] = 1; user[n] = 0 };
	   reload_root(n);
	   atomic {
		user[n] = (cr3[n] != NO_ROOT && !lazy);
		irqs_off[n] = 0; need_flush = 0; reload_ipi = reload_ipi & ~BIT(n)
	   }

	:: atomic { has(flush_ipi, n) -> flush_tlb_func(n); flush_ipi = flush_ipi & ~BIT(n) }
	od
}

/* on_each_cpu_mask(), and the wait for all of them */
inline interrupt(ipi)
{
	ipi = ipi | cpumask;
	!ipi
}

/* Somebody else's flush: munmap() in another thread. */
proctype flusher()
{
	do
	:: inc_mm_tlb_gen();
	   atomic { !flush_ipi -> flush_ipi = cpumask };
	   !flush_ipi
	od
}

inline flush_tlb_mm()
{
	inc_mm_tlb_gen();
	atomic { !flush_ipi -> flush_ipi = cpumask };
	!flush_ipi
}

inline mitosis_reload_roots()
{
	inc_mm_tlb_gen();
	interrupt(reload_ipi);
#ifndef NO_SECOND_GENERATION
	flush_tlb_mm()
#endif
}

/* nearest_tree(): the own one, or some other, or the primary's. */
inline publish(n)
{
	if
	:: has(wanted, n) -> published[n] = n
	:: !has(wanted, n) && has(wanted, 0) -> published[n] = 0
#if ALL_TREES == ALL
	:: !has(wanted, n) && has(wanted, 1) -> published[n] = 1
	:: !has(wanted, n) && has(wanted, 2) -> published[n] = 2
#else
	:: !wanted -> published[n] = PRIMARY
#endif
	fi
}

inline publish_roots()
{
	publish(0);
	publish(1);
	publish(2)
}

inline retreat(tree)
{
	wanted = wanted & ~BIT(tree);
#ifdef FOLD_BEFORE_RELOAD
	folded = folded | BIT(tree);
#endif
#ifdef UNLINK_BEFORE_RELOAD
	trees = trees & ~BIT(tree);
#endif
	publish_roots();
	mitosis_reload_roots();
	folded = folded | BIT(tree);	/* mitosis_shrink(): copy_fold(), ring_unlink() */
	trees = trees & ~BIT(tree);
#ifndef NO_GRACE_PERIOD
	!irqs_off[0];			/* synchronize_rcu() */
	!irqs_off[1];
	!irqs_off[2];
#endif
	allocated = allocated & ~BIT(tree)
}

inline advance(tree)
{
	d_step {
		allocated = allocated | BIT(tree);
		trees = trees | BIT(tree);
		folded = folded & ~BIT(tree);
		wanted = wanted | BIT(tree)
	};
	publish_roots();
	mitosis_reload_roots()
}

/* From ALL_TREES to one less, or back. */
proctype policy()
{
	byte wanted = ALL_TREES;

	do
	:: wanted == ALL_TREES && has(wanted, 0) -> retreat(0)
	:: wanted != ALL_TREES && !has(wanted, 0) -> advance(0)
#if ALL_TREES == ALL
	:: wanted == ALL_TREES -> retreat(1)
	:: wanted == ALL_TREES -> retreat(2)
	:: !has(wanted, 1) -> advance(1)
	:: !has(wanted, 2) -> advance(2)
#endif
	od
}

init
{
	atomic {
		trees = ALL_TREES;
		allocated = allocated | ALL_TREES;
		published[0] = 0;
#if ALL_TREES == ALL
		published[1] = 1; published[2] = 2;
#else
		published[1] = 0; published[2] = 0;
#endif
		run cpu(0, CPU_0); run cpu(1, CPU_1); run cpu(2, CPU_2);
		run hardware(); run flusher(); run policy()
	}
}
