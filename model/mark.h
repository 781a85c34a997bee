/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks in the stream of instructions, for the machine model: NOPs of eight bytes with a word that
 * nobody else uses, and a number in RAX. Any x86-64 CPU executes and ignores them, so a program
 * with marks runs natively as well.
 *
 * A region belongs to the CPU that its thread runs on, so pin the thread. The mark tells the
 * number of that CPU because a plugin of QEMU cannot know it: with -icount it is told the number
 * of the CPU that translated the code, not of the one that executes it.
 */
#ifndef MODEL_MARK_H
#define MODEL_MARK_H

#define MARK_WORD	0x6d740000	/* "mt"; then a byte of number, a byte of kind */

enum mark_kind {
	MARK_BEGIN = 1,		/* RAX: this CPU's number */
	MARK_END,		/* RAX: this CPU's number */
	MARK_WARM,		/* RAX: this CPU's number */
	MARK_PAGE_FREED,	/* RAX: physical address of a copy of a page table that is given back; by
				 * a kernel with CONFIG_MITOSIS_DEBUG
				 */
};

#define mark(kind, number, value) \
	asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long %c0" \
		     :: "i" (MARK_WORD | ((number) & 0xff) << 8 | (kind)), \
			"a" ((unsigned long)(value)) : "memory")

#include <sched.h>	/* with _GNU_SOURCE */

/* What the calling thread does from here on fills TLBs and caches and is not counted. */
#define mark_warm()		mark(MARK_WARM, 0, sched_getcpu())

/* What it does from here on is measured, as the region of a number from 0 to 255... */
#define mark_begin(number)	mark(MARK_BEGIN, number, sched_getcpu())

/* ...until here. */
#define mark_end(number)	mark(MARK_END, number, sched_getcpu())

#endif
