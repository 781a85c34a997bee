// SPDX-License-Identifier: GPL-2.0
/*
 * Keep the memory of nodes busy, on hardware: STREAM's four kernels over and over, by threads
 * pinned to these nodes on memory that they touched first. Like STREAM, it checks what comes out.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "memory.h"

#define SCALAR		0.41421356237309505	/* square root of 2, less 1: a stays what it is */
#define BYTES_PER_WORD	(10 * sizeof(double))	/* read and written by the four kernels */
#define TOLERANCE	1e-9

struct options {
	unsigned int threads;
	struct ids nodes;
	uint64_t size;
	unsigned int seconds;
	bool spoil;
};

struct hog {
	const struct options *opt;
	unsigned int index;
	pthread_t thread;
	double *a, *b, *c;
	uint64_t words, passes, wrong;
};

static volatile sig_atomic_t stopped;
static pthread_barrier_t touched;

static void usage(FILE *out)
{
	fputs("Usage: hog [options]\n"
	      "Keep the memory of nodes busy with STREAM's kernels, until SIGINT or SIGTERM.\n\n"
	      "  --nodes LIST\n"
	      "      pin threads round robin to CPUs of these nodes; 'all' for all\n"
	      "  --threads NR\n"
	      "      threads (default: one for each node of --nodes, else 1)\n"
	      "  --size BYTES\n"
	      "      memory of each thread; should be several times that of the caches (default 384M)\n"
	      "  --seconds NR\n"
	      "      stop after so many seconds (default 0: only when told to)\n"
	      "  --spoil\n"
	      "      falsify a number, to test the verification\n\n"
	      "Prints 'ready PID' once memory is in place. For other memory than that of the nodes of\n"
	      "the threads, run it under numactl.\n\n"
	      "Exit status: 0 verified, 1 the result is wrong, 2 could not be run.\n", out);
}

enum { OPT_NODES = 256, OPT_THREADS, OPT_SIZE, OPT_SECONDS, OPT_SPOIL, OPT_HELP };

static const struct option long_options[] = {
	{ "nodes",	required_argument, NULL, OPT_NODES },
	{ "threads",	required_argument, NULL, OPT_THREADS },
	{ "size",	required_argument, NULL, OPT_SIZE },
	{ "seconds",	required_argument, NULL, OPT_SECONDS },
	{ "spoil",	no_argument,	   NULL, OPT_SPOIL },
	{ "help",	no_argument,	   NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void set_option(struct options *opt, int option, const char *value)
{
	switch (option) {
	case OPT_NODES:
		opt->nodes = parse_nodes(value);
		break;
	case OPT_THREADS:
		opt->threads = parse_number("--threads", value, 1, 4096);
		break;
	case OPT_SIZE:
		opt->size = parse_bytes("--size", value);
		if (opt->size < 3 * 4096)
			die("--size: three pages, 12288 bytes, are the least");
		break;
	case OPT_SECONDS:
		opt->seconds = parse_number("--seconds", value, 0, 1000000);
		break;
	case OPT_SPOIL:
		opt->spoil = true;
		break;
	case OPT_HELP:
		usage(stdout);
		exit(EXIT_SUCCESS);
	default:
		fputs("Try 'hog --help'.\n", stderr);
		exit(EXIT_CANNOT);
	}
}

static struct options parse_options(int argc, char **argv)
{
	struct options opt = { .size = UINT64_C(384) << 20 };
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(&opt, option, optarg);
	if (optind < argc)
		die("unexpected argument '%s'", argv[optind]);
	if (!opt.threads)
		opt.threads = opt.nodes.nr ? opt.nodes.nr : 1;
	return opt;
}

static void start(struct hog *hog)
{
	struct memory memory = { .real = true };
	uint64_t size = round_down(hog->opt->size / 3, memory_page(&memory));

	hog->words = size / sizeof(double);
	hog->a = memory_map(&memory, 1, size, size);
	hog->b = memory_map(&memory, 1, size, size);
	hog->c = memory_map(&memory, 1, size, size);
	memory_touch(&memory, 0, 1);
	for (uint64_t i = 0; i < hog->words; i++)
		hog->a[i] = 1;
}

/* Copy, scale, add, triad. */
static void stream(struct hog *hog)
{
	double *restrict a = hog->a, *restrict b = hog->b, *restrict c = hog->c;
	uint64_t words = hog->words;

	for (uint64_t i = 0; i < words; i++)
		c[i] = a[i];
	for (uint64_t i = 0; i < words; i++)
		b[i] = SCALAR * c[i];
	for (uint64_t i = 0; i < words; i++)
		c[i] = a[i] + b[i];
	for (uint64_t i = 0; i < words; i++)
		a[i] = b[i] + SCALAR * c[i];
	hog->passes++;
}

/* What each word of a is by now. */
static double expected(uint64_t passes)
{
	double a = 1;

	while (passes--)
		a = SCALAR * a + SCALAR * (a + SCALAR * a);
	return a;
}

static void *work(void *arg)
{
	struct hog *hog = arg;
	double a;

	pin_thread(&hog->opt->nodes, hog->index);
	start(hog);
	pthread_barrier_wait(&touched);
	while (!stopped)
		stream(hog);
	hog->a[hog->words / 2] += hog->opt->spoil;
	a = expected(hog->passes);
	for (uint64_t i = 0; i < hog->words; i++)
		hog->wrong += fabs(hog->a[i] - a) > TOLERANCE * a;
	return NULL;
}

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static struct hog *start_hogs(const struct options *opt)
{
	struct hog *hogs = allocate(opt->threads, sizeof(*hogs));

	pthread_barrier_init(&touched, NULL, opt->threads + 1);
	for (unsigned int i = 0; i < opt->threads; i++) {
		hogs[i] = (struct hog){ .opt = opt, .index = i };
		start_thread(&hogs[i].thread, work, &hogs[i]);
	}
	pthread_barrier_wait(&touched);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	return hogs;
}

int main(int argc, char **argv)
{
	struct options opt = parse_options(argc, argv);
	double bytes = 0, start;
	uint64_t wrong = 0;
	struct hog *hogs;

	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	signal(SIGALRM, stop);
	hogs = start_hogs(&opt);
	start = seconds_now();
	alarm(opt.seconds);
	for (unsigned int i = 0; i < opt.threads; i++) {
		pthread_join(hogs[i].thread, NULL);
		bytes += (double)hogs[i].passes * hogs[i].words * BYTES_PER_WORD;
		wrong += hogs[i].wrong;
	}
	free(hogs);
	free(opt.nodes.id);
	printf("rate     %.3f GB/s\n%s\n", bytes / (seconds_now() - start) / 1e9,
	       wrong ? "wrong" : "verified");
	return wrong ? EXIT_WRONG : EXIT_SUCCESS;
}
