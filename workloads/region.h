/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks in the stream of instructions that tell the machine model what to measure: NOPs of eight
 * bytes with a word that nobody else uses, and the number of the CPU in RAX. Any x86-64 CPU
 * executes and ignores them, so the same program runs on real hardware. A region belongs to the CPU
 * that its thread runs on: pin the thread.
 */
#ifndef WORKLOADS_REGION_H
#define WORKLOADS_REGION_H

#include <sched.h>	/* with _GNU_SOURCE */

#define REGION_WORD	0x6d740000

enum { REGION_BEGIN = 1, REGION_END, REGION_WARM };

#define region_mark(kind) \
	asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long %c0" \
		     :: "i" (REGION_WORD | (kind)), "a" ((unsigned long)sched_getcpu()) : "memory")

/* What the calling thread does from here on fills TLBs and caches, and counts for nothing. */
#define region_warm()	region_mark(REGION_WARM)

/* What it does from here on is measured, */
#define region_begin()	region_mark(REGION_BEGIN)

/* until here. */
#define region_end()	region_mark(REGION_END)

#endif
