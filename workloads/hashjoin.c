// SPDX-License-Identifier: GPL-2.0
/*
 * HashJoin: the probe phase of a hash join without partitioning (Blanas, Li and Patel, SIGMOD
 * 2011; Balkesen et al., ICDE 2013): a hash table of the inner relation with buckets of two tuples
 * and chained overflow buckets, as many buckets as half of its tuples, rounded to a power of two.
 * The outer relation is read from start to end; each of its tuples has one partner.
 *
 * The hash is a multiplication modulo 2^64 with an odd number; its upper bits choose the bucket.
 * That can be undone, so bucket and lower bits together are the key, and a bucket stores the lower
 * bits (Cleary's compact hashing). Hence the table may repeat (memory.h): after a period of
 * buckets, the same lower bits come again, and are other keys. Links to overflow buckets say how
 * many periods further these are (round and round) and where in the period; the distances are drawn
 * at random, as insertion of random keys scatters overflow buckets. The outer relation repeats,
 * too: its keys are relative to the chunk they lie in, such that each chunk meets other buckets.
 *
 * What is measured is the probe. The table is built before, tuple by tuple, from one period's
 * tuples; the others repeat it.
 */
#include <stdlib.h>

#include "workload.h"

#define SEED_INNER	UINT64_C(0x696e6e6572)
#define SEED_OUTER	UINT64_C(0x6f75746572)
#define SEED_LINK	UINT64_C(0x6c696e6b73)

#define BUCKET_TUPLES	2

/* 2^64 over the golden ratio (Knuth, The Art of Computer Programming, 6.4), and its inverse. */
#define MULTIPLIER	UINT64_C(0x9e3779b97f4a7c15)
#define INVERSE		UINT64_C(0xf1de83e19937733d)
_Static_assert(MULTIPLIER * INVERSE == 1, "not the inverse");

/* A chunk's keys meet the buckets of so many periods further than those of the chunk before. */
#define CHUNK_STEP	UINT64_C(0x9e3779b9)

struct tuple {
	uint64_t key, payload;
};

struct link {
	uint32_t distance;	/* in periods */
	uint32_t at;		/* number in the period, from 1 on; 0: none */
};

/* One line of the caches. */
struct bucket {
	uint32_t count;
	struct tuple tuples[BUCKET_TUPLES];
	struct link next;
} __attribute__((aligned(64)));

static struct {
	struct bucket *buckets;
	struct bucket *overflow;
	struct tuple *outer;
	unsigned int shift;		/* of the hash, to the number of the bucket */
	unsigned int period_shift;	/* of that, to the number of the period */
	uint64_t period;		/* buckets */
	uint64_t overflow_period;	/* overflow buckets */
	uint64_t periods;
	uint64_t chunk, chunks;		/* tuples of the outer relation, and how often so many */
} join;

/* The inner tuple @number of a period. The number is also the lower bits of its hash. */
static uint64_t inner_bucket(uint64_t number)
{
	return random_at(SEED_INNER, number) & (join.period - 1);
}

static uint64_t inner_payload(uint64_t number)
{
	return scramble(number);
}

static uint64_t nr_inner(void)
{
	return join.period * BUCKET_TUPLES;
}

/* Return how many overflow buckets the tuples of a period need. */
static uint64_t count_overflow(void)
{
	uint32_t *count = allocate(join.period, sizeof(*count));
	uint64_t nr = 0;

	for (uint64_t i = 0; i < nr_inner(); i++) {
		uint32_t before = count[inner_bucket(i)]++;

		nr += before && before % BUCKET_TUPLES == 0;
	}
	free(count);
	return nr;
}

/*
 * For each bucket of 64 bytes there are 0.37 overflow buckets, as Poisson's distribution has it,
 * and at least two outer tuples of 16 bytes, as many as inner ones: together below 128 bytes.
 */
static void prepare(const struct options *opt, struct memory *memory)
{
	const uint64_t share = 2 * sizeof(struct bucket);
	uint64_t limit = opt->size < opt->backing ? opt->size : opt->backing;
	uint64_t page = memory_page(memory);
	uint64_t nr, overflow, table, chunk;

	if (limit < 4 * page)
		die("--size and --backing: the least is %llu bytes", 4ULL * page);
	nr = power_of_two_below(opt->size / share);
	join.period = power_of_two_below(limit / share);
	join.periods = nr / join.period;
	join.period_shift = __builtin_ctzll(join.period);
	join.shift = 64 - __builtin_ctzll(nr);
	overflow = round_up((1 + count_overflow()) * sizeof(struct bucket), page);
	join.overflow_period = overflow / sizeof(struct bucket);
	join.chunk = nr_inner();
	chunk = join.chunk * sizeof(struct tuple);
	table = nr * sizeof(struct bucket) + join.periods * overflow;
	join.chunks = opt->size > table + chunk ? (opt->size - table) / chunk : 1;

	join.buckets = memory_map(memory, 1, nr * sizeof(struct bucket),
				  join.period * sizeof(struct bucket));
	join.overflow = memory_map(memory, 1, join.periods * overflow, overflow);
	join.outer = memory_map(memory, 1, join.chunks * chunk, chunk);
}

static inline struct bucket *next_bucket(uint64_t *period, struct link link)
{
	*period = (*period + link.distance) & (join.periods - 1);
	return &join.overflow[*period * join.overflow_period + link.at];
}

/* While the table is built, period 0 is all there is of it. */
static struct bucket *built_bucket(struct link link)
{
	return &join.overflow[link.at];
}

static struct link new_overflow(uint64_t *used)
{
	uint32_t at = ++*used;

	return (struct link){ random_at(SEED_LINK, at) & (join.periods - 1), at };
}

/* The first bucket of a chain is full before there is a second one, and the last one is not. */
static void insert(struct bucket *bucket, struct tuple tuple, uint64_t *used)
{
	while (bucket->count == BUCKET_TUPLES) {
		if (!bucket->next.at)
			bucket->next = new_overflow(used);
		bucket = built_bucket(bucket->next);
	}
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

static uint64_t key_of(uint64_t period, uint64_t number)
{
	uint64_t bucket = period << join.period_shift | inner_bucket(number);

	return (bucket << join.shift | number) * INVERSE;
}

static void fill(void)
{
	uint64_t used = 0;

	for (uint64_t i = 0; i < nr_inner(); i++)
		insert(&join.buckets[inner_bucket(i)], (struct tuple){ i, inner_payload(i) },
		       &used);
	for (uint64_t i = 0; i < join.chunk; i++)
		join.outer[i] = (struct tuple){ key_of(partner_period(i), partner(i)), i };
}

static void spoil(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		join.outer[i % join.chunk].key ^= 1;
}

/* Follow the whole chain: the algorithm does not know that keys are unique. */
static inline void probe(uint64_t key, struct tally *found)
{
	uint64_t hash = key * MULTIPLIER, lower = hash & ((UINT64_C(1) << join.shift) - 1);
	uint64_t period = hash >> join.shift >> join.period_shift;
	const struct bucket *bucket = &join.buckets[hash >> join.shift];

	for (;;) {
		for (uint32_t i = 0; i < bucket->count; i++) {
			if (bucket->tuples[i].key == lower) {
				found->count++;
				found->sum += bucket->tuples[i].payload;
			}
		}
		if (!bucket->next.at)
			break;
		bucket = next_bucket(&period, bucket->next);
	}
}

static struct tally operate(unsigned int thread, uint64_t from, uint64_t to)
{
	const uint64_t step = (CHUNK_STEP << join.period_shift << join.shift) * INVERSE;
	struct tally found = { 0 };

	(void)thread;
	while (from < to) {
		uint64_t chunk = from / join.chunk, i = from % join.chunk;
		uint64_t end = to - from < join.chunk - i ? i + to - from : join.chunk;
		const struct tuple *outer = &join.outer[chunk % join.chunks * join.chunk];

		from += end - i;
		for (; i < end; i++)
			probe(outer[i].key + chunk * step, &found);
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
