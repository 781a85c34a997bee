/* SPDX-License-Identifier: GPL-2.0 */
/* Words of guest memory by physical address, of those that were put in. */
#ifndef MODEL_ENTRIES_H
#define MODEL_ENTRIES_H

#include <stdbool.h>
#include <stdint.h>

struct entries;

/* For addresses below @end. */
struct entries *entries_new(uint64_t end);
void entries_free(struct entries *entries);

/* Returns false if there is none. */
bool entries_get(const struct entries *entries, uint64_t address, uint64_t *value);
/* Returns false if the address is not one, or for want of memory. */
bool entries_put(struct entries *entries, uint64_t address, uint64_t value);

#endif
