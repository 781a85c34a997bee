/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks in the stream of instructions that tell the machine model what to measure: NOPs of eight
 * bytes with a word that nobody else uses, which any x86-64 CPU executes and ignores. So the same
 * program runs on real hardware.
 */
#ifndef WORKLOADS_REGION_H
#define WORKLOADS_REGION_H

#define REGION_BEGIN	0x6d690b01
#define REGION_END	0x6d690b02
#define REGION_WARM	0x6d690b03

#define region_mark(word) \
	asm volatile(".byte 0x0f, 0x1f, 0x84, 0x00; .long %c0" :: "i" (word) : "memory")

/* What the calling thread does from here on fills TLBs and caches, and counts for nothing. */
static inline void region_warm(void)
{
	region_mark(REGION_WARM);
}

/* What the calling thread does from here on is measured, */
static inline void region_begin(void)
{
	region_mark(REGION_BEGIN);
}

/* until here. */
static inline void region_end(void)
{
	region_mark(REGION_END);
}

#endif
