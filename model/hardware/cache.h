/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A set-associative cache of lines, which it knows by number: an address without its lowest bits.
 * Only what is in it, not when.
 */
#ifndef MODEL_CACHE_H
#define MODEL_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

struct cache {
	uint64_t *entry;	/* sets of ways */
	unsigned int sets, ways;
	enum policy policy;
	bool hashed;
	/* DRRIP: which of two ways to insert misses less, and how often the rare one comes. */
	int selector;
	unsigned int bimodal;
	uint64_t lookups, hits;
};

struct cache_line {
	uint64_t number;
	uint8_t home;		/* the node of its memory, kept for whoever writes it back */
	bool dirty;
};

/* @hashed: sets are chosen by a hash, as between the slices of an L3; need not be 2^n then. */
void cache_init(struct cache *cache, const struct cache_shape *shape, bool hashed);
void cache_free(struct cache *cache);

/* Use a line; @dirty marks it. Returns whether it was there. */
bool cache_lookup(struct cache *cache, uint64_t number, bool dirty);

/* Insert a line that is not there. Returns whether another one had to leave: @victim. */
bool cache_insert(struct cache *cache, struct cache_line line, struct cache_line *victim);

/* Mark a line that an inner cache wrote back; no use of it. Returns whether it was there. */
bool cache_write_back(struct cache *cache, uint64_t number);

/* Take a line out. Returns whether it was there and dirty. */
bool cache_remove(struct cache *cache, uint64_t number);

#endif
