// SPDX-License-Identifier: GPL-2.0
/*
 * PageRank by power iteration on an undirected Kronecker graph. Each thread pulls the ranks of its
 * share of the vertices from their neighbours, as the GAP benchmark suite does; the rank of
 * vertices without neighbours is spread over all.
 *
 * Ranks and neighbours are what they are and cannot repeat: memory is always real.
 *
 * The verification generates all edges over again and pushes the ranks of the last iteration but
 * one along them.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "kronecker.h"
#include "workload.h"

#define DAMPING		0.85
#define TOLERANCE	1e-9
#define MAX_THREADS	4096
#define MIN_SCALE	4
#define MAX_SCALE	31

struct share {
	uint64_t first, last;	/* vertices */
	double dangling;	/* rank of those without neighbours */
} __attribute__((aligned(128)));

static struct {
	unsigned int scale, threads;
	uint64_t vertices, edges;
	uint64_t *offset;	/* of a vertex's first neighbour */
	uint32_t *neighbour;
	double *rank, *contribution;
	struct share shares[MAX_THREADS];
	pthread_barrier_t barrier;
} graph;

static uint64_t bytes(unsigned int scale)
{
	uint64_t vertex = sizeof(uint64_t) + 2 * sizeof(double) +
			  2 * KRONECKER_EDGES * sizeof(uint32_t);

	return vertex << scale;
}

static void prepare(const struct options *opt, struct memory *memory)
{
	uint64_t page = memory_page(memory), vector, row;

	if (opt->size < bytes(MIN_SCALE))
		die("--size: a graph of 2^%d vertices needs %llu bytes", MIN_SCALE,
		    (unsigned long long)bytes(MIN_SCALE));
	graph.scale = MIN_SCALE;
	while (graph.scale < MAX_SCALE && bytes(graph.scale + 1) <= opt->size)
		graph.scale++;
	graph.vertices = UINT64_C(1) << graph.scale;
	graph.edges = graph.vertices * KRONECKER_EDGES;
	graph.threads = opt->threads;
	pthread_barrier_init(&graph.barrier, NULL, graph.threads);

	row = round_up((graph.vertices + 2) * sizeof(uint64_t), page);
	graph.offset = memory_map(memory, 1, row, row);
	row = round_up(2 * graph.edges * sizeof(uint32_t), page);
	graph.neighbour = memory_map(memory, 1, row, row);
	vector = round_up(graph.vertices * sizeof(double), page);
	graph.rank = memory_map(memory, 1, vector, vector);
	graph.contribution = memory_map(memory, 1, vector, vector);
}

static void fill(void)
{
	for (uint64_t v = 0; v < graph.vertices; v++)
		graph.rank[v] = 1.0 / graph.vertices;
}

static void meet(void)
{
	pthread_barrier_wait(&graph.barrier);
}

/* Call @what for both ends of each edge of the thread's part of them. */
static void for_each_end(unsigned int thread, void (*what)(uint32_t vertex, uint32_t other))
{
	uint64_t last = part(graph.edges, thread + 1, graph.threads);

	for (uint64_t i = part(graph.edges, thread, graph.threads); i < last; i++) {
		struct edge edge = kronecker_edge(i, graph.scale);

		what(edge.from, edge.to);
		what(edge.to, edge.from);
	}
}

/* While the graph is built, a vertex's neighbours are counted two places further on, */
static void count_neighbour(uint32_t vertex, uint32_t other)
{
	(void)other;
	__atomic_fetch_add(&graph.offset[vertex + 2], 1, __ATOMIC_RELAXED);
}

/* and the place of its next one is kept one place further on; at last that is where it belongs. */
static void add_neighbour(uint32_t vertex, uint32_t other)
{
	uint64_t at = __atomic_fetch_add(&graph.offset[vertex + 1], 1, __ATOMIC_RELAXED);

	graph.neighbour[at] = other;
}

static void sum_offsets(void)
{
	for (uint64_t v = 1; v < graph.vertices + 2; v++)
		graph.offset[v] += graph.offset[v - 1];
}

/* Return the first vertex whose neighbours begin at @offset or behind. */
static uint64_t vertex_at(uint64_t offset)
{
	uint64_t low = 0, high = graph.vertices;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (graph.offset[middle] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Give the thread vertices that have an equal share of the edges. */
static void choose_share(unsigned int thread)
{
	struct share *share = &graph.shares[thread];

	share->first = thread ? vertex_at(part(2 * graph.edges, thread, graph.threads)) : 0;
	share->last = thread + 1 == graph.threads ? graph.vertices :
		      vertex_at(part(2 * graph.edges, thread + 1, graph.threads));
}

static void build(unsigned int thread)
{
	for_each_end(thread, count_neighbour);
	meet();
	if (!thread)
		sum_offsets();
	meet();
	for_each_end(thread, add_neighbour);
	meet();
	choose_share(thread);
}

static void spoil(uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		graph.neighbour[part(2 * graph.edges, i, nr)] ^= 1;
}

static void contribute(struct share *share)
{
	share->dangling = 0;
	for (uint64_t v = share->first; v < share->last; v++) {
		uint64_t degree = graph.offset[v + 1] - graph.offset[v];

		graph.contribution[v] = degree ? graph.rank[v] / degree : 0;
		if (!degree)
			share->dangling += graph.rank[v];
	}
}

/* What a vertex has whatever its neighbours. */
static double base_rank(void)
{
	double dangling = 0;

	for (unsigned int i = 0; i < graph.threads; i++)
		dangling += graph.shares[i].dangling;
	return (1 - DAMPING + DAMPING * dangling) / graph.vertices;
}

static void pull(const struct share *share, double base)
{
	for (uint64_t v = share->first; v < share->last; v++) {
		double sum = 0;

		for (uint64_t i = graph.offset[v]; i < graph.offset[v + 1]; i++)
			sum += graph.contribution[graph.neighbour[i]];
		graph.rank[v] = base + DAMPING * sum;
	}
}

static struct tally operate(unsigned int thread, uint64_t from, uint64_t to)
{
	struct share *share = &graph.shares[thread];

	for (; from < to; from++) {
		contribute(share);
		meet();
		pull(share, base_rank());
		meet();
	}
	return (struct tally){ 0 };
}

static bool close_to(double a, double b)
{
	return fabs(a - b) <= TOLERANCE * b;
}

/* Return whether ranks are what the contributions make of them, edge by edge, and add up to 1. */
static bool check_ranks(double *pushed, uint32_t *degree)
{
	double sum = 0, before = graph.vertices * base_rank() - (1 - DAMPING);
	bool right = true;

	for (uint64_t i = 0; i < graph.edges; i++) {
		struct edge edge = kronecker_edge(i, graph.scale);

		pushed[edge.to] += graph.contribution[edge.from];
		pushed[edge.from] += graph.contribution[edge.to];
		degree[edge.from]++;
		degree[edge.to]++;
	}
	before /= DAMPING;
	for (uint64_t v = 0; v < graph.vertices; v++) {
		sum += graph.rank[v];
		before += graph.contribution[v] * degree[v];
		right &= close_to(graph.rank[v], base_rank() + DAMPING * pushed[v]);
	}
	return right && close_to(sum, 1) && close_to(before, 1);
}

/* All right results have the same vertex of highest rank. */
static bool verify(uint64_t nr, struct tally found, uint64_t *answer)
{
	double *pushed = allocate(graph.vertices, sizeof(*pushed));
	uint32_t *degree = allocate(graph.vertices, sizeof(*degree));
	bool right = check_ranks(pushed, degree);

	(void)nr;
	(void)found;
	for (uint64_t v = 0; v < graph.vertices; v++)
		if (graph.rank[v] > graph.rank[*answer])
			*answer = v;
	free(pushed);
	free(degree);
	return right;
}

int main(int argc, char **argv)
{
	static const struct workload workload = {
		.name = "pagerank",
		.summary = "Compute PageRank on an undirected Kronecker graph: the largest that --size has room for.\n"
			   "Threads build it together, and share the vertices.",
		.operation = "iterations",
		.defaults = { .size = 256 * MB, .operations = 4, .warmup = 1 },
		.unit = 1,
		.max_threads = MAX_THREADS,
		.collective = true,
		.prepare = prepare,
		.fill = fill,
		.build = build,
		.spoil = spoil,
		.operate = operate,
		.verify = verify,
	};

	return run_workload(&workload, argc, argv);
}
