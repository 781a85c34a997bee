// SPDX-License-Identifier: GPL-2.0
/* Replacement sequences worked out by hand, and the caches of a machine together. */
#include "caches.h"

#include "guest.h"
#include "test.h"

static struct cache new_cache(unsigned int sets, unsigned int ways, enum policy policy)
{
	struct cache_shape shape = { .sets = sets, .ways = ways, .policy = policy };
	struct cache cache;

	cache_init(&cache, &shape, false);
	return cache;
}

/* Look up lines, inserting those that miss: 'h' or 'm' for each. */
static const char *sequence(struct cache *cache, const char *lines)
{
	static char result[64];
	struct cache_line victim;
	size_t i;

	for (i = 0; lines[i]; i++) {
		bool hit = cache_lookup(cache, lines[i], false);

		result[i] = hit ? 'h' : 'm';
		if (!hit)
			cache_insert(cache, (struct cache_line){ .number = lines[i] }, &victim);
	}
	result[i] = 0;
	return result;
}

#define EXPECT_SEQUENCE(cache, lines, wanted) do {				\
	const char *got_ = sequence(cache, lines);				\
										\
	if (strcmp(got_, wanted)) {						\
		printf("# %s:%d: %s gives %s\n", __FILE__, __LINE__, lines, got_); \
		test_failed = true;						\
	}									\
} while (0)

TEST(lru_replaces_the_least_recently_used)
{
	struct cache cache = new_cache(1, 3, POLICY_LRU);

	EXPECT_SEQUENCE(&cache, "abcadbcab", "mmmhmmmmh");
	EXPECT_SEQUENCE(&cache, "bac", "hhh");
	EXPECT_EQUAL(cache.lookups, 12);
	EXPECT_EQUAL(cache.hits, 5);
	cache_free(&cache);
}

/*
 * Inserted at 2, used at 0. After abcd with a used again: 0 2 2 2. e ages them to 1 3 3 3 and
 * replaces b; f replaces c, g d. h finds 1 2 2 2, ages to 2 3 3 3 and replaces e: a survives the
 * scan that LRU loses it to.
 */
TEST(srrip_survives_a_scan)
{
	struct cache srrip = new_cache(1, 4, POLICY_SRRIP), lru = new_cache(1, 4, POLICY_LRU);

	EXPECT_SEQUENCE(&srrip, "abcdaefgha", "mmmmhmmmmh");
	EXPECT_SEQUENCE(&srrip, "e", "m");
	EXPECT_SEQUENCE(&lru, "abcdaefgha", "mmmmhmmmmm");
	cache_free(&srrip);
	cache_free(&lru);
}

/*
 * Cyclic use of more lines than there are ways: SRRIP and LRU miss always; DRRIP learns from its
 * leaders that bimodal insertion keeps some of them.
 */
static double cycle_hits(enum policy policy)
{
	struct cache cache = new_cache(256, 4, policy);
	struct cache_line victim;
	uint64_t line, round, before = 0;

	for (round = 0; round < 400; round++) {
		if (round == 200)
			before = cache.hits;
		for (line = 0; line < 256 * 6; line++) {
			if (!cache_lookup(&cache, line, false))
				cache_insert(&cache, (struct cache_line){ .number = line },
					     &victim);
		}
	}
	cache_free(&cache);
	return (cache.hits - before) / (200.0 * 256 * 6);
}

TEST(drrip_withstands_thrashing)
{
	EXPECT_EQUAL(cycle_hits(POLICY_LRU), 0);
	EXPECT_EQUAL(cycle_hits(POLICY_SRRIP), 0);
	EXPECT(cycle_hits(POLICY_DRRIP) > 0.3);
}

TEST(sets_keep_lines_apart)
{
	struct cache cache = new_cache(4, 1, POLICY_LRU);

	EXPECT_SEQUENCE(&cache, "abcdabcd", "mmmmhhhh");
	EXPECT_SEQUENCE(&cache, "ea", "mm");	/* 'e' is 'a' + 4 */
	EXPECT_SEQUENCE(&cache, "b", "h");
	cache_free(&cache);
}

TEST(a_victim_knows_its_home_and_whether_it_is_dirty)
{
	struct cache cache = new_cache(1, 1, POLICY_LRU);
	struct cache_line victim = { 0 };

	EXPECT(!cache_insert(&cache, (struct cache_line){ 0x123456789abcd, 63, false }, &victim));
	EXPECT(cache_lookup(&cache, 0x123456789abcd, true));
	EXPECT(cache_insert(&cache, (struct cache_line){ 7, 1, false }, &victim));
	EXPECT(victim.number == 0x123456789abcd && victim.home == 63 && victim.dirty);
	EXPECT(cache_insert(&cache, (struct cache_line){ 8, 1, false }, &victim));
	EXPECT(victim.number == 7 && victim.home == 1 && !victim.dirty);
	cache_free(&cache);
}

TEST(a_hash_spreads_over_any_number_of_sets)
{
	struct cache_shape shape = { .sets = 7, .ways = 1 };
	struct cache cache;
	struct cache_line victim;
	uint64_t line, hits = 0;

	cache_init(&cache, &shape, true);
	for (line = 0; line < 7000; line++)
		hits += !cache_insert(&cache, (struct cache_line){ .number = line * 64 }, &victim);
	EXPECT_EQUAL(hits, 7);		/* each set was used */
	cache_free(&cache);
}

/* The caches of one core: 1 K, 2 K and 4 K, one way each but for the L3. */
struct rig {
	struct machine *machine;
	struct caches caches;
};

static struct rig new_rig(const char *inclusive, const char *l3)
{
	static const int cpu_node[] = { 0, 0, 1 };
	struct rig rig = { .machine = TEST_MACHINE("cache l1 1K 1 lru 4", "cache l2 2K 1 lru 12",
						   l3, inclusive) };

	caches_init(&rig.caches, rig.machine, 3, cpu_node);
	return rig;
}

static void free_rig(struct rig *rig)
{
	caches_free(&rig->caches);
	machine_free(rig->machine);
}

static struct reference refer(struct rig *rig, unsigned int cpu, uint64_t line, bool store)
{
	struct reference reference = { .number = line, .home = line % 4 };

	if (!caches_hit(&rig->caches, cpu, &reference, store))
		caches_miss(&rig->caches, cpu, &reference, store);
	return reference;
}

TEST(a_line_is_served_where_it_lies)
{
	struct rig rig = new_rig("inclusive yes", "cache l3 64K 16 lru 60");

	EXPECT_EQUAL(refer(&rig, 0, 1, false).served, SERVED_MEMORY);
	EXPECT_EQUAL(refer(&rig, 0, 1, false).served, CACHE_L1);
	EXPECT_EQUAL(refer(&rig, 0, 17, false).served, SERVED_MEMORY);	/* takes 1's way of L1 */
	EXPECT_EQUAL(refer(&rig, 0, 1, false).served, CACHE_L2);
	EXPECT_EQUAL(refer(&rig, 0, 33, false).served, SERVED_MEMORY);	/* of L1 and L2 */
	EXPECT_EQUAL(refer(&rig, 0, 1, false).served, CACHE_L3);
	EXPECT_EQUAL(refer(&rig, 0, 17, false).served, CACHE_L2);
	EXPECT_EQUAL(refer(&rig, 0, 1, false).served, CACHE_L2);	/* where the L3 put it */
	EXPECT_EQUAL(refer(&rig, 1, 1, false).served, CACHE_L3);	/* shared by a node */
	EXPECT_EQUAL(refer(&rig, 2, 1, false).served, SERVED_MEMORY);	/* not by two */
	free_rig(&rig);
}

TEST(an_inclusive_l3_takes_lines_from_its_cores)
{
	struct rig inclusive = new_rig("inclusive yes", "cache l3 1K 16 lru 60");
	struct rig other = new_rig("inclusive no", "cache l3 1K 16 lru 60");
	uint64_t line;

	/* One set of 16 lines: 1 to 15 and 32 push out 0, which another way of the L1 holds. */
	for (line = 0; line < 16; line++) {
		refer(&inclusive, 0, line, line == 0);
		refer(&other, 0, line, line == 0);
	}
	EXPECT_EQUAL(refer(&inclusive, 1, 33, false).nr_written, 1);
	EXPECT_EQUAL(refer(&inclusive, 0, 0, false).served, SERVED_MEMORY);
	EXPECT_EQUAL(refer(&other, 1, 33, false).nr_written, 0);
	EXPECT_EQUAL(refer(&other, 0, 0, false).served, CACHE_L1);
	free_rig(&inclusive);
	free_rig(&other);
}

TEST(a_dirty_line_is_written_to_its_home_once)
{
	struct rig rig = new_rig("inclusive yes", "cache l3 1K 16 lru 60");
	unsigned int written = 0;
	struct reference reference;
	uint64_t line;

	refer(&rig, 0, 3, true);
	for (line = 100; line < 200; line++) {
		reference = refer(&rig, 0, line, false);
		written += reference.nr_written;
		if (reference.nr_written)
			EXPECT_EQUAL(reference.written[0], 3);
	}
	EXPECT_EQUAL(written, 1);
	free_rig(&rig);
}

TEST_MAIN
