/* SPDX-License-Identifier: GPL-2.0 */
/* What the workloads share: messages, numbers, lists of nodes, pinning. */
#ifndef WORKLOADS_COMMON_H
#define WORKLOADS_COMMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit status: 0 all well, 1 the result is wrong, 2 it could not be run. */
#define EXIT_WRONG	1
#define EXIT_CANNOT	2

struct ids {
	int *id;
	size_t nr;
};

/* Print "program: message" to stderr and leave with EXIT_CANNOT. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

void *allocate(size_t nr, size_t size);
uint64_t parse_number(const char *what, const char *text, uint64_t min, uint64_t max);

/* Parse a number of bytes, 4096 or 64M; K, M, G and T are powers of 1024. */
uint64_t parse_bytes(const char *what, const char *text);

double seconds_now(void);

/*
 * Tell whoever counts that the region of interest begins or ends, and wait until he knows, in the
 * words of perf's --control=fifo:COMMANDS,ANSWERS. The variable of the environment has the names
 * of the two files; without it nobody is told. By one thread only.
 */
#define CONTROL		"WORKLOAD_CONTROL"
#define CONTROL_BEGIN	"enable\n"
#define CONTROL_END	"disable\n"
void control(const char *command);

/* Return where part @index of @nr equal parts of @total starts. */
uint64_t part(uint64_t total, uint64_t index, uint64_t nr);

/* A hash of @x, the finalizer of splitmix64: close numbers get unlike ones. */
static inline uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Return number @index of the random numbers that @seed begins: splitmix64. */
static inline uint64_t random_at(uint64_t seed, uint64_t index)
{
	return scramble(seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Parse the kernel's list syntax, 0-3,5. */
bool parse_ids(const char *text, struct ids *ids);

/* Parse a list of nodes, or "all" for each node that has CPUs; die() if one has none. */
struct ids parse_nodes(const char *text);

/* The same of exactly one node. */
struct ids parse_node(const char *what, const char *text);

/* pthread_create(), or die(). */
void start_thread(pthread_t *thread, void *(*function)(void *), void *arg);

/* Pin the calling thread to a CPU of @nodes: round robin over the nodes, then over their CPUs. */
void pin_thread(const struct ids *nodes, size_t index);

/* Write @ids in list syntax to stdout. */
void print_ids(const struct ids *ids);

#endif
