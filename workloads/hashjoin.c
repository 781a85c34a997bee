// SPDX-License-Identifier: GPL-2.0
/*
 * HashJoin: the probe phase of a hash join without partitioning (Blanas, Li and Patel, SIGMOD
 * 2011; Balkesen et al., ICDE 2013), of their relations: the inner one has dense primary keys, each
 * tuple of the outer one has one of them as its foreign key, at random. The hash table has buckets
 * of two tuples, half as many as tuples, and hashes by modulo. So each bucket gets its two tuples
 * and none overflows; the probe does not know. The table is the largest that fits whose buckets are
 * a power of two; the outer relation has the rest, and is read over again.
 *
 * The table may repeat (memory.h): after a period of buckets the same tuples come again, and are
 * other keys, because a tuple stores its key without the bits that number the period. The outer
 * relation repeats, too: its keys are relative to the chunk they lie in, such that each chunk meets
 * other buckets.
 *
 * What is measured is the probe. The table is built before, tuple by tuple, from one period's
 * tuples; the others repeat it.
 */
#include <stdlib.h>

#include "workload.h"

#define SEED_OUTER	UINT64_C(0x6f75746572)

#define BUCKET_TUPLES	2

/* A chunk's keys meet the buckets of so many periods further than those of the chunk before. */
#define CHUNK_STEP	UINT64_C(0x9e3779b9)

struct tuple {
	uint64_t key, payload;
};

/* One line of the caches. */
struct bucket {
	uint32_t count;
	struct tuple tuples[BUCKET_TUPLES];
	struct bucket *next;
} __attribute__((aligned(64)));

static struct {
	struct bucket *buckets;
	struct tuple *outer;
	uint64_t nr, period, periods;	/* buckets, buckets, and how often so many */
	uint64_t chunk, chunks;		/* tuples of the outer relation, and how often so many */
} join;

/* Of period 0, that is with no bits of a period in its key. */
static uint64_t inner_key(uint64_t number)
{
	return number / join.period * join.nr + number % join.period;
}

static uint64_t inner_payload(uint64_t number)
{
	return scramble(number);
}

static uint64_t nr_inner(void)
{
	return join.period * BUCKET_TUPLES;
}

/* A chunk of the outer relation has a tuple for each bucket of a period. */
static void prepare(const struct options *opt, struct memory *memory)
{
	const uint64_t share = sizeof(struct bucket) + sizeof(struct tuple);
	uint64_t limit = opt->size < opt->backing ? opt->size : opt->backing;
	uint64_t page = memory_page(memory);
	uint64_t table, chunk;

	if (limit < 8 * page)
		die("--size and --backing: the least is %llu bytes", 8ULL * page);
	join.period = power_of_two_below(limit / share);
	join.chunk = join.period;
	chunk = join.chunk * sizeof(struct tuple);
	join.nr = power_of_two_below((opt->size - chunk) / sizeof(struct bucket));
	join.periods = join.nr / join.period;
	table = join.nr * sizeof(struct bucket);
	join.chunks = (opt->size - table) / chunk;

	join.buckets = memory_map(memory, 1, table, join.period * sizeof(struct bucket));
	join.outer = memory_map(memory, 1, join.chunks * chunk, chunk);
}

static void insert(struct bucket *bucket, struct tuple tuple)
{
	if (bucket->count == BUCKET_TUPLES)
		die("a bucket overflows, although keys are dense");
	bucket->tuples[bucket->count++] = tuple;
}

/* The inner tuple that is the partner of tuple @i of each chunk, and its period in chunk 0. */
static uint64_t partner(uint64_t i)
{
	return random_at(SEED_OUTER, 2 * i) % nr_inner();
}

static uint64_t partner_period(uint64_t i)
{
	return random_at(SEED_OUTER, 2 * i + 1) & (join.periods - 1);
}

static void fill(void)
{
	for (uint64_t i = 0; i < nr_inner(); i++)
		insert(&join.buckets[inner_key(i) % join.nr],
		       (struct tuple){ inner_key(i), inner_payload(i) });
	for (uint64_t i = 0; i < join.chunk; i++)
		join.outer[i] = (struct tuple){
			inner_key(partner(i)) + partner_period(i) * join.period, i,
		};
}

static void spoil(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		join.outer[i % join.chunk].key ^= 1;
}

/* Follow the whole chain: the algorithm does not know that keys are unique. */
static inline void probe(uint64_t key, uint64_t shift, struct tally *found)
{
	const struct bucket *bucket = &join.buckets[(key + shift) & (join.nr - 1)];
	uint64_t wanted = key & ~(join.nr - join.period);

	do {
		for (uint32_t i = 0; i < bucket->count; i++) {
			if (bucket->tuples[i].key == wanted) {
				found->count++;
				found->sum += bucket->tuples[i].payload;
			}
		}
		bucket = bucket->next;
	} while (bucket);
}

static struct tally operate(unsigned int thread, uint64_t from, uint64_t to)
{
	struct tally found = { 0 };

	(void)thread;
	while (from < to) {
		uint64_t chunk = from / join.chunk, i = from % join.chunk;
		uint64_t end = to - from < join.chunk - i ? i + to - from : join.chunk;
		const struct tuple *outer = &join.outer[chunk % join.chunks * join.chunk];

		from += end - i;
		for (; i < end; i++)
			probe(outer[i].key, chunk * CHUNK_STEP * join.period, &found);
	}
	return found;
}

static bool verify(uint64_t nr, struct tally found, uint64_t *answer)
{
	uint64_t expected = 0;

	for (uint64_t i = 0; i < nr; i++)
		expected += inner_payload(partner(i % join.chunk));
	*answer = found.sum;
	return found.count == nr && found.sum == expected;
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.name = "hashjoin",
		.summary = "Probe a hash table with the tuples of a relation, as a hash join without partitioning\n"
			   "does. --size is that of the table and the relation together.",
		.operation = "lookups",
		.defaults = {
			.size = 17 * GB, .backing = 64 * MB,
			.operations = 1000000, .warmup = 1000000,
		},
		.unit = 1,
		.max_threads = 4096,
		.prepare = prepare,
		.fill = fill,
		.spoil = spoil,
		.operate = operate,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
