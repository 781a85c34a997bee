/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's memory, of which QEMU keeps each node's in a file. */
#ifndef MODEL_RAM_H
#define MODEL_RAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "layout.h"

struct ram {
	const struct layout *layout;
	const uint8_t *node[MAX_NODES];
};

/* Map the files of the nodes. Returns false after a sentence to @errors. */
bool ram_map(struct ram *ram, const struct layout *layout, const char *const *files, FILE *errors);

/* Read an aligned word. Returns false if there is no memory. */
bool ram_read(const struct ram *ram, uint64_t physical, uint64_t *value);

#endif
