/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory for the state of a machine. There is always some: what the model would
 * print without it would be wrong, so it ends, and no caller has to look.
 */
#ifndef MODEL_ALLOCATE_H
#define MODEL_ALLOCATE_H

#include <stdlib.h>

static inline void *allocate(size_t count, size_t size)	/* filled with zeroes */
{
	void *memory = calloc(count, size);

	if (!memory)
		abort();
	return memory;
}

static inline void *reallocate(void *memory, size_t count, size_t size)
{
	memory = reallocarray(memory, count, size);
	if (!memory)
		abort();
	return memory;
}

#endif
