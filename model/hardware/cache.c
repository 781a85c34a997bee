// SPDX-License-Identifier: GPL-2.0
#include "cache.h"
#include "allocate.h"

#include <stdlib.h>
#include <string.h>

/* An entry: line number, node, re-reference prediction (RRPV), dirty, valid. */
#define VALID		1ULL
#define DIRTY		2ULL
#define RRPV_SHIFT	2
#define RRPV		(3ULL << RRPV_SHIFT)
#define HOME_SHIFT	4
#define NUMBER_SHIFT	12

/* RRIP with 2 bits: Jaleel et al., ISCA 2010; so are the duel's constants. */
#define RRPV_LONG	(2ULL << RRPV_SHIFT)
#define RRPV_DISTANT	RRPV
#define RRPV_ONE	(1ULL << RRPV_SHIFT)
#define BIMODAL_PERIOD	32
#define LEADER_SETS	32
#define SELECTOR_MAX	1023

void cache_init(struct cache *cache, const struct cache_shape *shape, bool hashed)
{
	*cache = (struct cache){
		.entry = allocate((size_t)shape->sets * shape->ways, sizeof(*cache->entry)),
		.sets = shape->sets,
		.ways = shape->ways,
		.policy = shape->policy,
		.hashed = hashed,
		.selector = SELECTOR_MAX / 2,
	};
}

void cache_free(struct cache *cache)
{
	free(cache->entry);
}

static unsigned int set_of(const struct cache *cache, uint64_t number)
{
	/* Fibonacci hashing; the product of its upper half with the sets needs no division. */
	if (cache->hashed)
		return ((number * 0x9e3779b97f4a7c15) >> 32) * cache->sets >> 32;
	return number & (cache->sets - 1);
}

static uint64_t *find(const struct cache *cache, uint64_t number)
{
	uint64_t *set = cache->entry + (size_t)set_of(cache, number) * cache->ways;
	uint64_t *entry;

	for (entry = set; entry < set + cache->ways; entry++) {
		if (*entry >> NUMBER_SHIFT == number && *entry & VALID)
			return entry;
	}
	return NULL;
}

/* LRU keeps the ways of a set in order of use, the latest one first. */
static void move_to_front(uint64_t *set, uint64_t *entry)
{
	uint64_t used = *entry;

	memmove(set + 1, set, (entry - set) * sizeof(*set));
	*set = used;
}

/* The first ones of two kinds of sets always insert one way; the rest follows who misses less. */
static bool inserts_bimodally(struct cache *cache, unsigned int set)
{
	unsigned int period = cache->sets > 2 * LEADER_SETS ? cache->sets / LEADER_SETS : 2;

	if (cache->policy == POLICY_SRRIP)
		return false;
	switch (set % period) {
	case 0:
		cache->selector += cache->selector < SELECTOR_MAX;
		return false;
	case 1:
		cache->selector -= cache->selector > 0;
		return true;
	}
	return cache->selector > SELECTOR_MAX / 2;
}

static uint64_t insertion(struct cache *cache, unsigned int set)
{
	if (!inserts_bimodally(cache, set))
		return RRPV_LONG;
	return cache->bimodal++ % BIMODAL_PERIOD ? RRPV_DISTANT : RRPV_LONG;
}

static uint64_t *first_free(uint64_t *set, unsigned int ways)
{
	unsigned int i;

	for (i = 0; i < ways; i++) {
		if (!(set[i] & VALID))
			return set + i;
	}
	return NULL;
}

/* The first way that is predicted to be used in the distant future; else all move closer to it. */
static uint64_t *most_distant(uint64_t *set, unsigned int ways)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < ways; i++) {
			if ((set[i] & RRPV) == RRPV_DISTANT)
				return set + i;
		}
		for (i = 0; i < ways; i++)
			set[i] += RRPV_ONE;
	}
}

bool cache_lookup(struct cache *cache, uint64_t number, bool dirty)
{
	uint64_t *entry = find(cache, number);

	cache->lookups++;
	if (!entry)
		return false;
	cache->hits++;
	if (dirty)
		*entry |= DIRTY;
	if (cache->policy == POLICY_LRU)
		move_to_front(cache->entry + (size_t)set_of(cache, number) * cache->ways, entry);
	else
		*entry &= ~RRPV;
	return true;
}

bool cache_insert(struct cache *cache, struct cache_line line, struct cache_line *victim)
{
	unsigned int index = set_of(cache, line.number);
	uint64_t *set = cache->entry + (size_t)index * cache->ways;
	uint64_t *entry = first_free(set, cache->ways);
	bool evicts = !entry;

	if (evicts) {
		entry = cache->policy == POLICY_LRU ? set + cache->ways - 1 :
						      most_distant(set, cache->ways);
		*victim = (struct cache_line){
			.number = *entry >> NUMBER_SHIFT,
			.home = *entry >> HOME_SHIFT,
			.dirty = *entry & DIRTY,
		};
	}
	*entry = line.number << NUMBER_SHIFT | (uint64_t)line.home << HOME_SHIFT |
		 (line.dirty ? DIRTY : 0) | VALID;
	if (cache->policy == POLICY_LRU)
		move_to_front(set, entry);
	else
		*entry |= insertion(cache, index);
	return evicts;
}

bool cache_write_back(struct cache *cache, uint64_t number)
{
	uint64_t *entry = find(cache, number);

	if (entry)
		*entry |= DIRTY;
	return entry;
}

bool cache_remove(struct cache *cache, uint64_t number)
{
	uint64_t *entry = find(cache, number);
	bool dirty = entry && *entry & DIRTY;

	if (entry)
		*entry = 0;
	return dirty;
}
