// SPDX-License-Identifier: GPL-2.0
/*
 * RandomAccess as HPC Challenge defines it: a table of 2^n words, 4 * 2^n updates
 * T[a mod 2^n] ^= a along a fixed random stream, each thread in its own part of the stream.
 * Threads do not lock, so that updates may get lost; the verification undoes all updates exactly
 * and allows 1 % of the words to differ.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "stream.h"

#define UPDATES_PER_WORD	4
#define PIECE_WORDS		((2UL << 20) / sizeof(uint64_t))

struct options {
	unsigned int log2_words;
	unsigned int threads;
	unsigned int rounds;
	struct ids nodes;
	struct ids init_node;
	bool huge;
	bool pause;
	const char *hold_file;
	uint64_t spoil;
};

struct run {
	struct options opt;
	uint64_t *table;
	uint64_t words;
	uint64_t updates;
	uint64_t errors;
	pthread_barrier_t barrier;
};

struct worker {
	struct run *run;
	unsigned int index;
	pthread_t thread;
};

static void usage(FILE *out)
{
	fputs("Usage: randomaccess [options]\n"
	      "Run HPC Challenge RandomAccess and verify its result.\n\n"
	      " -n, --size LOG2       table of 2^LOG2 words of 8 bytes (default 20)\n"
	      " -t, --threads NR      threads (default: one for each node of --nodes, else 1)\n"
	      "     --nodes LIST      pin threads round robin to CPUs of these nodes; 'all' for all\n"
	      "     --init-node NODE  one thread on NODE touches the whole table first\n"
	      "                       (default: all threads, 2 MB in turn)\n"
	      "     --huge            ask for huge pages (default: 4 KB pages only)\n"
	      "     --rounds NR       run the benchmark NR times (default 1)\n"
	      "     --pause           half way print 'ready PID' and wait for SIGUSR1\n"
	      "     --hold FILE       half way print 'ready PID' and wait while FILE exists\n"
	      "     --spoil NR        turn NR words over before the verification, to test it\n"
	      " -h, --help            show this\n\n"
	      "Exit status: 0 verification passed, 1 failed, 2 could not be run.\n", out);
}

enum { OPT_NODES = 256, OPT_INIT_NODE, OPT_HUGE, OPT_ROUNDS, OPT_PAUSE, OPT_HOLD, OPT_SPOIL };

static const struct option long_options[] = {
	{ "size",	required_argument, NULL, 'n' },
	{ "threads",	required_argument, NULL, 't' },
	{ "nodes",	required_argument, NULL, OPT_NODES },
	{ "init-node",	required_argument, NULL, OPT_INIT_NODE },
	{ "huge",	no_argument,	   NULL, OPT_HUGE },
	{ "rounds",	required_argument, NULL, OPT_ROUNDS },
	{ "pause",	no_argument,	   NULL, OPT_PAUSE },
	{ "hold",	required_argument, NULL, OPT_HOLD },
	{ "spoil",	required_argument, NULL, OPT_SPOIL },
	{ "help",	no_argument,	   NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void set_option(struct options *opt, int option, const char *value)
{
	switch (option) {
	case 'n':
		opt->log2_words = parse_number("--size", value, 10, 40);
		break;
	case 't':
		opt->threads = parse_number("--threads", value, 1, 4096);
		break;
	case OPT_NODES:
		opt->nodes = parse_nodes(value);
		break;
	case OPT_INIT_NODE:
		opt->init_node = parse_node("--init-node", value);
		break;
	case OPT_HUGE:
		opt->huge = true;
		break;
	case OPT_ROUNDS:
		opt->rounds = parse_number("--rounds", value, 1, 1000000);
		break;
	case OPT_PAUSE:
		opt->pause = true;
		break;
	case OPT_HOLD:
		opt->hold_file = value;
		break;
	case OPT_SPOIL:
		opt->spoil = parse_number("--spoil", value, 0, UINT64_MAX);
		break;
	case 'h':
		usage(stdout);
		exit(EXIT_SUCCESS);
	default:
		fputs("Try 'randomaccess --help'.\n", stderr);
		exit(EXIT_CANNOT);
	}
}

static struct options parse_options(int argc, char **argv)
{
	struct options opt = { .log2_words = 20, .rounds = 1 };
	int option;

	while ((option = getopt_long(argc, argv, "n:t:h", long_options, NULL)) != -1)
		set_option(&opt, option, optarg);
	if (optind < argc)
		die("unexpected argument '%s'", argv[optind]);
	if (!opt.threads)
		opt.threads = opt.nodes.nr ? opt.nodes.nr : 1;
	if (opt.spoil > UINT64_C(1) << opt.log2_words)
		die("--spoil: the table has only 2^%u words", opt.log2_words);
	return opt;
}

static void map_table(struct run *run)
{
	size_t size = run->words * sizeof(uint64_t);
	size_t room = size + PIECE_WORDS * sizeof(uint64_t);
	uintptr_t start;

	start = (uintptr_t)mmap(NULL, room, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == (uintptr_t)MAP_FAILED)
		die("cannot map a table of %zu bytes: %s; choose a smaller -n", size, strerror(errno));
	/* Start at a multiple of 2 MB, so that a piece is one last-level page table. */
	start += -start % (PIECE_WORDS * sizeof(uint64_t));
	run->table = (uint64_t *)start;
	/* A kernel without huge pages refuses both, and has only 4 KB pages. */
	if (madvise(run->table, size, run->opt.huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) &&
	    run->opt.huge)
		die("--huge: this kernel has no transparent huge pages");
}

static void touch(struct run *run, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		run->table[i] = i;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void *touch_all(void *arg)
{
	struct run *run = arg;

	pin_thread(&run->opt.init_node, 0);
	touch(run, 0, run->words);
	return NULL;
}

static void touch_pieces(struct worker *worker)
{
	struct run *run = worker->run;
	uint64_t stride = run->opt.threads * PIECE_WORDS;

	for (uint64_t i = worker->index * PIECE_WORDS; i < run->words; i += stride)
		touch(run, i, least(i + PIECE_WORDS, run->words));
}

static inline void xor_word(uint64_t *word, uint64_t a, bool exact)
{
	if (exact)
		__atomic_fetch_xor(word, a, __ATOMIC_RELAXED);
	else
		__atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) ^ a,
				 __ATOMIC_RELAXED);
}

/* Do the updates of positions @from + 1 to @to of the stream. */
static inline void update(struct run *run, uint64_t from, uint64_t to, bool exact)
{
	uint64_t a = stream_at(from), mask = run->words - 1;

	for (; from < to; from++) {
		a = stream_next(a);
		xor_word(&run->table[a & mask], a, exact);
	}
}

/* Count the words that differ, and put them right for the next round. */
static uint64_t count_errors(struct run *run, uint64_t from, uint64_t to)
{
	uint64_t errors = 0;

	for (uint64_t i = from; i < to; i++) {
		errors += run->table[i] != i;
		run->table[i] = i;
	}
	return errors;
}

/*
 * Workers and the main thread pass the same barriers: start, half way, end of the pause, end of
 * the updates, start of the verification, end of the replay, end of the count.
 */
static void meet(struct run *run)
{
	pthread_barrier_wait(&run->barrier);
}

static void work_round(struct worker *worker)
{
	struct run *run = worker->run;
	unsigned int nr = run->opt.threads;
	uint64_t from = part(run->updates, worker->index, nr);
	uint64_t to = part(run->updates, worker->index + 1, nr);
	uint64_t middle = from + (to - from) / 2;

	meet(run);
	meet(run);
	update(run, from, middle, false);
	meet(run);
	meet(run);
	update(run, middle, to, false);
	meet(run);
	meet(run);
	update(run, from, to, true);
	meet(run);
	__atomic_fetch_add(&run->errors, count_errors(run, part(run->words, worker->index, nr),
						      part(run->words, worker->index + 1, nr)),
			   __ATOMIC_RELAXED);
	meet(run);
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	pin_thread(&worker->run->opt.nodes, worker->index);
	if (!worker->run->opt.init_node.nr)
		touch_pieces(worker);
	for (unsigned int round = 0; round < worker->run->opt.rounds; round++)
		work_round(worker);
	return NULL;
}

static void wait_for_signal(void)
{
	sigset_t set;
	int signal;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &signal);
}

static void hold(const struct options *opt)
{
	if (!opt->pause && !opt->hold_file)
		return;
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (opt->pause)
		wait_for_signal();
	while (opt->hold_file && !access(opt->hold_file, F_OK))
		usleep(50000);
}

static void spoil(struct run *run)
{
	for (uint64_t i = 0; i < run->opt.spoil; i++)
		run->table[part(run->words, i, run->opt.spoil)] ^= 1;
}

/* Lead the workers through half of the updates; return the seconds that they took. */
static double lead_half(struct run *run)
{
	double start, time;

	control(CONTROL_BEGIN);
	start = seconds_now();
	meet(run);
	meet(run);
	time = seconds_now() - start;
	control(CONTROL_END);
	return time;
}

/* Lead the workers through one round; return the seconds that the updates took. */
static double lead_round(struct run *run, bool may_hold)
{
	double time;

	run->errors = 0;
	meet(run);
	time = lead_half(run);
	if (may_hold)
		hold(&run->opt);
	time += lead_half(run);
	spoil(run);
	meet(run);
	meet(run);
	meet(run);
	return time;
}

static void print_setup(const struct run *run)
{
	const struct options *opt = &run->opt;

	printf("table    %llu words, %llu KB, %s pages\n", (unsigned long long)run->words,
	       (unsigned long long)run->words * sizeof(uint64_t) >> 10, opt->huge ? "huge" : "4 KB");
	printf("threads  %u on %s", opt->threads, opt->nodes.nr ? "nodes " : "any node");
	print_ids(&opt->nodes);
	printf(", first touch by %s", opt->init_node.nr ? "node " : "all in turn");
	print_ids(&opt->init_node);
	printf("\nupdates  %llu\n", (unsigned long long)run->updates);
	fflush(stdout);
}

static bool report_round(const struct run *run, double time)
{
	bool passed = run->errors <= run->words / 100;

	printf("time     %.3f s\n", time);
	printf("rate     %.6f GUP/s\n", run->updates / time / 1e9);
	printf("errors   %llu of %llu words, %.3f %% (1 %% allowed)\n",
	       (unsigned long long)run->errors, (unsigned long long)run->words,
	       100.0 * run->errors / run->words);
	printf("verification %s\n", passed ? "passed" : "failed");
	fflush(stdout);
	return passed;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static struct worker *start_workers(struct run *run)
{
	struct worker *workers = allocate(run->opt.threads, sizeof(*workers));

	pthread_barrier_init(&run->barrier, NULL, run->opt.threads + 1);
	for (unsigned int i = 0; i < run->opt.threads; i++) {
		workers[i] = (struct worker){ .run = run, .index = i };
		start_thread(&workers[i].thread, work, &workers[i]);
	}
	return workers;
}

int main(int argc, char **argv)
{
	struct run run = { .opt = parse_options(argc, argv) };
	struct worker *workers;
	bool passed = true;
	pthread_t thread;

	run.words = UINT64_C(1) << run.opt.log2_words;
	run.updates = UPDATES_PER_WORD * run.words;
	block_signals();
	map_table(&run);
	print_setup(&run);
	if (run.opt.init_node.nr) {
		start_thread(&thread, touch_all, &run);
		pthread_join(thread, NULL);
	}
	workers = start_workers(&run);
	for (unsigned int round = 0; round < run.opt.rounds; round++) {
		double time = lead_round(&run, round == 0);

		passed &= report_round(&run, time);
	}
	for (unsigned int i = 0; i < run.opt.threads; i++)
		pthread_join(workers[i].thread, NULL);
	free(workers);
	free(run.opt.nodes.id);
	free(run.opt.init_node.id);
	return passed ? EXIT_SUCCESS : EXIT_WRONG;
}
