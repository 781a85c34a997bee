// SPDX-License-Identifier: GPL-2.0
/*
 * GUPS: RandomAccess of HPC Challenge in its form for one thread: updates T[a mod 2^n] ^= a of a
 * table of 2^n words, along 128 random streams in turn, which are equal parts of one stream. (See
 * randomaccess.c for many threads.) The benchmark asks for 4 * 2^n updates; here an option counts
 * them, from the start of the same streams.
 *
 * Aliased, words whose numbers differ by a multiple of the backing are one. XOR commutes and
 * undoes itself there too, so the verification holds as it is.
 */
#include <stdio.h>

#include "stream.h"
#include "workload.h"

#define NR_STREAMS		128
#define UPDATES_PER_WORD	4

static struct {
	uint64_t *table;
	uint64_t words;
	uint64_t distinct;	/* words of the first piece */
	uint64_t stored;	/* words that have memory of their own */
	uint64_t part_of_stream;	/* positions from the start of one stream to the next */
	uint64_t stream[NR_STREAMS];
} gups;

static void prepare(const struct options *opt, struct memory *memory)
{
	uint64_t page = memory_page(memory), size, piece;

	if (opt->size < page || opt->backing < page)
		die("--size and --backing: a page of %llu bytes is the least",
		    (unsigned long long)page);
	size = power_of_two_below(opt->size);
	piece = power_of_two_below(opt->backing < size ? opt->backing : size);
	gups.table = memory_map(memory, 1, size, piece);
	gups.words = size / sizeof(uint64_t);
	gups.distinct = piece / sizeof(uint64_t);
	gups.stored = opt->real ? gups.words : gups.distinct;
	gups.part_of_stream = gups.words * UPDATES_PER_WORD / NR_STREAMS;
	if ((opt->warmup + opt->operations) / NR_STREAMS > gups.part_of_stream)
		die("--updates: with the warm-up, a table of %llu words has at most %llu",
		    (unsigned long long)gups.words,
		    (unsigned long long)gups.words * UPDATES_PER_WORD);
}

static void fill(void)
{
	for (uint64_t i = 0; i < gups.distinct; i++)
		gups.table[i] = i;
	for (unsigned int j = 0; j < NR_STREAMS; j++)
		gups.stream[j] = stream_at(j * gups.part_of_stream);
}

static void spoil(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		gups.table[part(gups.distinct, i, nr)] ^= 1;
}

static struct tally operate(unsigned int thread, uint64_t from, uint64_t to)
{
	uint64_t *stream = gups.stream, *table = gups.table, mask = gups.words - 1;

	(void)thread;
	for (; from < to; from += NR_STREAMS) {
		for (unsigned int j = 0; j < NR_STREAMS; j++) {
			stream[j] = stream_next(stream[j]);
			table[stream[j] & mask] ^= stream[j];
		}
	}
	return (struct tally){ 0 };
}

/* Undo the updates, one stream after the other. */
static void undo(uint64_t nr)
{
	for (unsigned int j = 0; j < NR_STREAMS; j++) {
		uint64_t a = stream_at(j * gups.part_of_stream);

		for (uint64_t k = 0; k < nr / NR_STREAMS; k++) {
			a = stream_next(a);
			gups.table[a & (gups.words - 1)] ^= a;
		}
	}
}

/*
 * The XOR of all words is that of all updates, wherever they went: at the start it is that of the
 * numbers below a power of two, which is 0.
 */
static bool verify(uint64_t nr, struct tally found, uint64_t *answer)
{
	uint64_t wrong = 0;

	(void)found;
	for (uint64_t i = 0; i < gups.stored; i++)
		*answer ^= gups.table[i];
	undo(nr);
	for (uint64_t i = 0; i < gups.stored; i++)
		wrong += gups.table[i] != i % gups.distinct;
	printf("errors   %llu of %llu words\n", (unsigned long long)wrong,
	       (unsigned long long)gups.stored);
	return !wrong;
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.name = "gups",
		.summary = "RandomAccess of HPC Challenge, for one thread: read, XOR and write words of a table at\n"
			   "random. The table has the largest power of two of words that --size has room for.",
		.operation = "updates",
		.defaults = {
			.size = 64 * GB, .backing = 64 * MB,
			.operations = 1 << 20, .warmup = 1 << 20,
		},
		.unit = NR_STREAMS,
		.unit_name = "the number of random streams",
		.max_threads = 1,
		.prepare = prepare,
		.fill = fill,
		.spoil = spoil,
		.operate = operate,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
