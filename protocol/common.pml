/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the scenarios share.
 *
 * A planted mistake is a macro, as in -DFREE_BEFORE_FLUSH.  protocol/scenarios.list
 * says which assertion it has to violate.
 */
#define NODES	3

/* The numbers are those of docs/design.md; the names show in pan's verdict. */
bit breaks_invariant_1;
bit breaks_invariant_2;
bit breaks_invariant_5;

#define invariant_1(c)	assert((c) || breaks_invariant_1)
#define invariant_2(c)	assert((c) || breaks_invariant_2)
#define invariant_5(c)	assert((c) || breaks_invariant_5)

/* Sets of nodes, CPUs or tables. */
#define BIT(n)		(1 << (n))
#define has(set, n)	(((set) >> (n)) & 1)
#define ALL		7

#define lock(l)		atomic { !(l) -> l = 1 }
#define unlock(l)	l = 0
