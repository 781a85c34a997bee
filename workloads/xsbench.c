// SPDX-License-Identifier: GPL-2.0
/*
 * XSBench: the lookup of macroscopic cross sections that takes most of the time of a Monte Carlo
 * neutron transport code (Tramm, Siegel, Islam and Schulz, PHYSOR 2014), history-based, with the
 * unionized energy grid: for a particle of random energy in a random material, find the energy by
 * binary search in the union of all nuclides' grids, then for each nuclide of the material take
 * the place in its own grid from the index grid, interpolate five cross sections, and add them up
 * by concentration. Of a particle, each lookup depends on the result of the one before.
 *
 * Energies lie in [0, 1). They are kept relative to the block they lie in, each block having the
 * same number of points of each nuclide in the same order; so grids may repeat (memory.h). The
 * index grid is relative to the block, too. A search takes the block's energy from the number of
 * the point. Cross sections are arbitrary, and repeat as they are.
 *
 * The verification does all lookups over again without unionized and index grid: by binary search
 * in the grid of each nuclide.
 */
#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define SEED		UINT64_C(0x7873626e6368)
#define BLOCK_SHIFT	7
#define BLOCK		(1 << BLOCK_SHIFT)	/* points of each nuclide in a block */
#define UNION_BLOCKS	4	/* blocks of the unionized grid in whole pages, */
#define POINT_STEP	256	/* and points of a nuclide */
#define ROW_PADDING	8	/* so that the rows of the index grid of a block are whole pages */
#define NR_XS		5
#define NR_MATERIALS	12
#define LOOKUPS		34	/* of one particle, as in the original */

struct point {
	double energy;
	double xs[NR_XS];	/* total, elastic, absorption, fission, neutrons from fission */
};

/* The Hoogenboom-Martin reactor: how likely a particle is in which material, and its nuclides. */
static const struct material {
	double probability;
	unsigned int small, large;	/* number of nuclides, by problem */
} materials[NR_MATERIALS] = {
	{ 0.140, 34, 321 },	/* fuel */
	{ 0.052, 5, 5 },	/* cladding */
	{ 0.275, 4, 4 },	/* cold, borated water */
	{ 0.134, 4, 4 },	/* hot, borated water */
	{ 0.154, 27, 27 },	/* pressure vessel */
	{ 0.064, 21, 21 },	/* lower, radial reflector */
	{ 0.066, 21, 21 },	/* upper reflector, top plate */
	{ 0.055, 21, 21 },	/* bottom plate */
	{ 0.008, 21, 21 },	/* bottom nozzle */
	{ 0.015, 21, 21 },	/* top nozzle */
	{ 0.025, 9, 9 },	/* top of fuel assemblies */
	{ 0.013, 9, 9 },	/* bottom of fuel assemblies */
};

enum { NUCLIDES_SMALL = 68, NUCLIDES_LARGE = 355 };

static struct {
	unsigned int nuclides;
	uint64_t points;	/* of each nuclide */
	uint64_t row;		/* of the index grid, in entries */
	uint64_t point_piece;	/* points of a nuclide after which they repeat */
	double width;		/* of a block in energy */
	double *union_energy;
	int32_t *index;
	struct point *grid;
	uint32_t *nuclide[NR_MATERIALS];
	double *concentration[NR_MATERIALS];
} bench = { .nuclides = NUCLIDES_LARGE };

static void set_problem(const char *value)
{
	if (!strcmp(value, "small"))
		bench.nuclides = NUCLIDES_SMALL;
	else if (!strcmp(value, "large"))
		bench.nuclides = NUCLIDES_LARGE;
	else
		die("--problem: '%s' is not one of small, large", value);
}

static unsigned int nr_nuclides(unsigned int material)
{
	return bench.nuclides == NUCLIDES_SMALL ? materials[material].small :
						  materials[material].large;
}

/* Bytes of the whole for each point of a nuclide. */
static uint64_t point_size(void)
{
	return bench.nuclides *
	       (bench.row * sizeof(int32_t) + sizeof(double) + sizeof(struct point));
}

static void choose_sizes(const struct options *opt)
{
	uint64_t nuclides = bench.nuclides;
	uint64_t fixed = nuclides * (BLOCK * bench.row * sizeof(int32_t) +
				     BLOCK * UNION_BLOCKS * sizeof(double));
	uint64_t step = nuclides * POINT_STEP * sizeof(struct point);
	uint64_t least = UNION_BLOCKS * BLOCK * point_size();

	if (opt->backing < fixed + step)
		die("--backing: this problem needs at least %llu bytes",
		    (unsigned long long)(fixed + step));
	if (opt->size < least)
		die("--size: this problem needs at least %llu bytes", (unsigned long long)least);
	bench.points = round_down(opt->size / point_size(), UNION_BLOCKS * BLOCK);
	if (bench.points * nuclides > INT32_MAX)
		die("--size: numbers of points of 4 bytes do not reach that far");
	bench.point_piece = (opt->backing - fixed) / step * POINT_STEP;
}

static void prepare(const struct options *opt, struct memory *memory)
{
	uint64_t nuclides = bench.nuclides, rows;

	if (memory->huge && !memory->real)
		die("--huge: the grids repeat after small pages; use --real with it");
	bench.row = round_up(nuclides, ROW_PADDING);
	choose_sizes(opt);
	rows = bench.points * nuclides;
	bench.width = 1.0 / (bench.points / BLOCK);
	bench.union_energy = memory_map(memory, 1, rows * sizeof(double),
					nuclides * BLOCK * UNION_BLOCKS * sizeof(double));
	bench.index = memory_map(memory, 1, rows * bench.row * sizeof(int32_t),
				 nuclides * BLOCK * bench.row * sizeof(int32_t));
	bench.grid = memory_map(memory, nuclides, bench.points * sizeof(struct point),
				bench.point_piece * sizeof(struct point));
}

/* A point of the first block, to be sorted by energy. */
struct mark {
	double energy;
	uint32_t nuclide;
};

static int compare_marks(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	return (x->energy > y->energy) - (x->energy < y->energy);
}

static double random_double(uint64_t number)
{
	return (random_at(SEED, number) >> 11) * 0x1p-53;
}

/* Return the points of all nuclides in the first block, in the order of their energies. */
static struct mark *sorted_marks(void)
{
	uint64_t nr = bench.nuclides * BLOCK;
	struct mark *marks = allocate(nr, sizeof(*marks));

	for (uint64_t i = 0; i < nr; i++)
		marks[i] = (struct mark){ random_double(i) * bench.width, i / BLOCK };
	qsort(marks, nr, sizeof(*marks), compare_marks);
	return marks;
}

static void fill_cross_sections(void)
{
	uint64_t points = bench.point_piece < bench.points ? bench.point_piece : bench.points;

	for (uint64_t n = 0; n < bench.nuclides; n++) {
		for (uint64_t i = 0; i < points; i++) {
			struct point *point = &bench.grid[n * bench.points + i];

			uint64_t number = (i * bench.nuclides + n + 1) << 32;

			for (unsigned int xs = 0; xs < NR_XS; xs++)
				point->xs[xs] = random_double(number | xs);
		}
	}
}

/* Write the energies of a nuclide's block into each block of its first piece. */
static void fill_energy(uint32_t nuclide, int32_t number, double energy)
{
	uint64_t points = bench.point_piece < bench.points ? bench.point_piece : bench.points;

	for (uint64_t i = number; i < points; i += BLOCK)
		bench.grid[nuclide * bench.points + i].energy = energy;
}

/*
 * An entry of the index grid is the last point of the nuclide that is not above the unionized
 * one, counted from the block's first; -1 is the last one of the block before.
 */
static void fill_union(const struct mark *marks)
{
	int32_t *last = allocate(bench.nuclides, sizeof(*last));
	uint64_t nr = bench.nuclides * BLOCK;

	for (uint32_t n = 0; n < bench.nuclides; n++)
		last[n] = -1;
	for (uint64_t i = 0; i < nr; i++) {
		fill_energy(marks[i].nuclide, ++last[marks[i].nuclide], marks[i].energy);
		for (uint64_t block = 0; block < UNION_BLOCKS; block++)
			bench.union_energy[block * nr + i] = marks[i].energy;
		memcpy(&bench.index[i * bench.row], last, bench.nuclides * sizeof(*last));
	}
	free(last);
}

/* Fuel has the last nuclides, the other materials some of the rest. */
static void fill_materials(void)
{
	for (unsigned int m = 0; m < NR_MATERIALS; m++) {
		unsigned int nr = nr_nuclides(m), rest = bench.nuclides - nr_nuclides(0);

		bench.nuclide[m] = allocate(nr, sizeof(uint32_t));
		bench.concentration[m] = allocate(nr, sizeof(double));
		for (unsigned int i = 0; i < nr; i++) {
			bench.nuclide[m][i] = m ? (m + i) % rest : rest + i;
			bench.concentration[m][i] = random_double((uint64_t)(m + 1) << 16 | i);
		}
	}
}

static void fill(void)
{
	struct mark *marks = sorted_marks();

	fill_union(marks);
	fill_cross_sections();
	fill_materials();
	free(marks);
}

/*
 * The generator of the original: x -> a x + 1 modulo 2^63, a from L'Ecuyer, Tables of linear
 * congruential generators of different sizes and good lattice structure (1999).
 */
#define LCG_FACTOR	UINT64_C(2806196910506780709)
#define LCG_MASK	(UINT64_MAX >> 1)

static inline double next_random(uint64_t *seed)
{
	*seed = (*seed * LCG_FACTOR + 1) & LCG_MASK;
	return *seed * 0x1p-63;
}

/* Do @steps steps at once, by squaring the function. */
static inline uint64_t skip_random(uint64_t seed, uint64_t steps)
{
	uint64_t factor = LCG_FACTOR, addend = 1;

	for (; steps; steps >>= 1) {
		if (steps & 1)
			seed = seed * factor + addend;
		addend *= factor + 1;
		factor *= factor;
	}
	return seed & LCG_MASK;
}

static inline unsigned int pick_material(uint64_t *seed)
{
	double roll = next_random(seed), sum = 0;

	for (unsigned int m = 1; m < NR_MATERIALS; m++) {
		sum += materials[m].probability;
		if (roll < sum)
			return m;
	}
	return 0;
}

static inline double block_energy(uint64_t block)
{
	return (double)block * bench.width;
}

static inline double point_energy(const struct point *points, uint64_t i)
{
	return points[i].energy + block_energy(i >> BLOCK_SHIFT);
}

/* The number of nuclides is a constant where this is inlined: it divides by it. */
static __always_inline double union_energy(unsigned int nuclides, uint64_t i)
{
	return bench.union_energy[i] + block_energy((i >> BLOCK_SHIFT) / nuclides);
}

/* Return the last point of the unionized grid that is not above @energy, or the first one. */
static __always_inline uint64_t search_union(unsigned int nuclides, double energy)
{
	uint64_t low = 0, high = bench.points * nuclides;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (union_energy(nuclides, middle) > energy)
			high = middle;
		else
			low = middle;
	}
	return low;
}

/* The same in the grid of one nuclide. */
static uint64_t search_points(const struct point *points, double energy)
{
	uint64_t low = 0, high = bench.points;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (point_energy(points, middle) > energy)
			high = middle;
		else
			low = middle;
	}
	return low;
}

/* Add the cross sections of one nuclide between its points @i and @i + 1, and beyond the last. */
static inline void add_nuclide(const struct point *points, int64_t i, double energy,
			       double concentration, double *sum)
{
	const struct point *low, *high;
	double high_energy, part;

	if (i < 0)
		i = 0;
	if (i > (int64_t)bench.points - 2)
		i = bench.points - 2;
	low = &points[i];
	high = &points[i + 1];
	high_energy = point_energy(points, i + 1);
	part = (high_energy - energy) / (high_energy - point_energy(points, i));
	for (unsigned int xs = 0; xs < NR_XS; xs++)
		sum[xs] += concentration * (high->xs[xs] - part * (high->xs[xs] - low->xs[xs]));
}

static __always_inline void lookup_unionized(unsigned int nuclides, double energy,
					     unsigned int material, double *sum)
{
	uint64_t i = search_union(nuclides, energy);
	const int32_t *row = &bench.index[i * bench.row];
	int64_t first = (i >> BLOCK_SHIFT) / nuclides * BLOCK;
	unsigned int nr = nuclides == NUCLIDES_SMALL ? materials[material].small :
						       materials[material].large;

	for (unsigned int k = 0; k < nr; k++) {
		uint32_t n = bench.nuclide[material][k];

		add_nuclide(&bench.grid[n * bench.points], first + row[n], energy,
			    bench.concentration[material][k], sum);
	}
}

static void lookup_directly(double energy, unsigned int material, double *sum)
{
	for (unsigned int k = 0; k < nr_nuclides(material); k++) {
		const struct point *points = &bench.grid[bench.nuclide[material][k] * bench.points];

		add_nuclide(points, search_points(points, energy), energy,
			    bench.concentration[material][k], sum);
	}
}

/* As the original does: count one plus the number of the largest, and skip one for each above 1. */
static inline uint64_t take_result(const double *sum, uint64_t seed, struct tally *found)
{
	unsigned int largest = 0, above = 0;
	uint64_t bits;

	for (unsigned int xs = 0; xs < NR_XS; xs++) {
		if (sum[xs] > sum[largest])
			largest = xs;
		above += sum[xs] > 1;
	}
	memcpy(&bits, &sum[0], sizeof(bits));
	found->count += largest + 1;
	found->sum += bits;
	return skip_random(seed, above);
}

/* A lookup takes two random numbers and skips at most five. */
static inline uint64_t particle_seed(uint64_t lookup)
{
	return skip_random(SEED, lookup * (2 + NR_XS));
}

enum way { UNIONIZED_SMALL, UNIONIZED_LARGE, DIRECTLY };

/* Lookups @from to @to - 1. */
static __always_inline struct tally simulate(enum way way, uint64_t from, uint64_t to)
{
	struct tally found = { 0 };
	uint64_t seed = 0;

	for (; from < to; from++) {
		double energy, sum[NR_XS] = { 0 };
		unsigned int material;

		if (from % LOOKUPS == 0)
			seed = particle_seed(from);
		energy = next_random(&seed);
		material = pick_material(&seed);
		if (way == DIRECTLY)
			lookup_directly(energy, material, sum);
		else
			lookup_unionized(way == UNIONIZED_SMALL ? NUCLIDES_SMALL : NUCLIDES_LARGE,
					 energy, material, sum);
		seed = take_result(sum, seed, &found);
	}
	return found;
}

static struct tally operate(unsigned int thread, uint64_t from, uint64_t to)
{
	(void)thread;
	return bench.nuclides == NUCLIDES_SMALL ? simulate(UNIONIZED_SMALL, from, to) :
						  simulate(UNIONIZED_LARGE, from, to);
}

/* Falsify what the first lookup of each particle takes first from the index grid. */
static void spoil(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t seed = particle_seed(i * LOOKUPS);
		double energy = next_random(&seed);
		uint32_t first = bench.nuclide[pick_material(&seed)][0];

		bench.index[search_union(bench.nuclides, energy) * bench.row + first] ^= 1;
	}
}

static bool verify(uint64_t nr, struct tally found, uint64_t *answer)
{
	struct tally expected = simulate(DIRECTLY, 0, nr);

	*answer = found.sum;
	return found.count == expected.count && found.sum == expected.sum;
}

int main(int argc, char **argv)
{
	static const struct setting settings[] = {
		{ "problem", "small|large",
		  "68 nuclides, 34 in fuel, or 355 and 321 (default large)", set_problem },
		{ 0 },
	};
	static const struct workload workload = {
		.name = "xsbench",
		.summary = "Look up cross sections for particles of random energy in random materials, with the\n"
			   "unionized energy grid. --size is that of all grids together; it decides the number of\n"
			   "energies for each nuclide.",
		.operation = "lookups",
		.defaults = {
			.size = 85 * GB, .backing = 128 * MB, .operations = 34000, .warmup = 34000,
		},
		.unit = LOOKUPS,
		.unit_name = "the lookups of one particle",
		.max_threads = 4096,
		.settings = settings,
		.prepare = prepare,
		.fill = fill,
		.spoil = spoil,
		.operate = operate,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
