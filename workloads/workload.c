// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../model/mark.h"
#include "workload.h"

#define MAX_SETTINGS	8
#define MAX_OPERATIONS	(UINT64_C(1) << 40)

struct run {
	const struct workload *workload;
	struct options opt;
	struct memory memory;
	pthread_barrier_t barrier;
};

struct worker {
	struct run *run;
	unsigned int index;
	pthread_t thread;
	struct tally found;
	double begin, end;	/* of the region of interest, in seconds */
};

enum {
	OPT_SIZE = 256, OPT_BACKING, OPT_REAL, OPT_OPERATIONS, OPT_WARMUP, OPT_THREADS, OPT_NODES,
	OPT_INIT_NODE, OPT_HUGE, OPT_MEASURE_FILL, OPT_HOLD, OPT_SPOIL, OPT_HELP, OPT_SETTINGS,
};

static const struct option common_options[] = {
	{ "size",	required_argument, NULL, OPT_SIZE },
	{ "backing",	required_argument, NULL, OPT_BACKING },
	{ "real",	no_argument,	   NULL, OPT_REAL },
	{ "warmup",	required_argument, NULL, OPT_WARMUP },
	{ "threads",	required_argument, NULL, OPT_THREADS },
	{ "nodes",	required_argument, NULL, OPT_NODES },
	{ "init-node",	required_argument, NULL, OPT_INIT_NODE },
	{ "huge",	no_argument,	   NULL, OPT_HUGE },
	{ "measure-fill", no_argument,	   NULL, OPT_MEASURE_FILL },
	{ "hold",	required_argument, NULL, OPT_HOLD },
	{ "spoil",	required_argument, NULL, OPT_SPOIL },
	{ "help",	no_argument,	   NULL, OPT_HELP },
};

#define NR_COMMON	(sizeof(common_options) / sizeof(common_options[0]))

/* Write @bytes as parse_bytes() reads it. */
static const char *bytes_text(uint64_t bytes, char text[32])
{
	static const char units[] = " KMGT";
	unsigned int unit = 0;

	for (; bytes && bytes % 1024 == 0 && unit < 4; unit++)
		bytes /= 1024;
	snprintf(text, 32, "%" PRIu64 "%.*s", bytes, unit > 0, &units[unit]);
	return text;
}

static void print_option(const char *name, const char *argument, const char *help)
{
	printf("  --%s%s%s\n", name, argument ? " " : "", argument ? argument : "");
	while (*help) {
		int length = strcspn(help, "\n");

		printf("      %.*s\n", length, help);
		help += length + (help[length] == '\n');
	}
}

static void print_memory_options(const struct workload *workload)
{
	const struct options *defaults = &workload->defaults;
	char size[32], backing[32];

	printf("  --size BYTES\n      address space of the data (default %s); K, M, G, T are understood\n",
	       bytes_text(defaults->size, size));
	if (defaults->backing)
		printf("  --backing BYTES\n"
		       "      memory behind it, mapped as often as needed (default %s); 0: as --real\n"
		       "  --real\n"
		       "      give every page memory of its own; all else stays the same. Needed where it\n"
		       "      matters on which node data lie, as to AutoNUMA, which is kept off otherwise\n",
		       bytes_text(defaults->backing, backing));
}

static void usage(const struct workload *workload)
{
	const struct options *defaults = &workload->defaults;

	printf("Usage: %s [options]\n%s\n\n", workload->name, workload->summary);
	print_memory_options(workload);
	printf("  --%s NR\n      measured %s (default %" PRIu64 ")\n", workload->operation,
	       workload->operation, defaults->operations);
	printf("  --warmup NR\n      %s before these, not measured (default %" PRIu64 ")\n",
	       workload->operation, defaults->warmup);
	if (workload->unit > 1)
		printf("      Both are multiples of %u: %s.\n", workload->unit, workload->unit_name);
	for (const struct setting *own = workload->settings; own && own->name; own++)
		print_option(own->name, own->argument, own->help);
	if (workload->max_threads > 1)
		print_option("threads", "NR", "threads (default: one for each node of --nodes, else 1)");
	print_option("nodes", "LIST",
		     "pin threads round robin to CPUs of these nodes; 'all' for all.\n"
		     "The machine model needs it");
	print_option("init-node", "NODE",
		     "one thread on NODE touches all memory first\n"
		     "(default: all threads, 2 MB in turn)");
	print_option("huge", NULL, "ask for huge pages (default: 4 KB pages only)");
	print_option("measure-fill", NULL,
		     "measure how one thread fills real memory that nobody has touched,\n"
		     "instead of what follows");
	print_option("hold", "FILE",
		     "before the warm-up print 'ready PID' and wait while FILE exists");
	print_option("spoil", "NR", "falsify NR data, to test the verification");
	printf("\nWith " CONTROL "=COMMANDS,ANSWERS in the environment, the measured %s alone are\n"
	       "counted by 'perf stat --delay=-1 --control=fifo:COMMANDS,ANSWERS'.\n", workload->operation);
	printf("\nExit status: 0 verified, 1 the result is wrong, 2 could not be run.\n");
}

static void set_option(const struct workload *workload, struct options *opt, int option,
		       const char *value)
{
	switch (option) {
	case OPT_SIZE:
		opt->size = parse_bytes("--size", value);
		break;
	case OPT_BACKING:
		opt->backing = parse_bytes("--backing", value);
		break;
	case OPT_REAL:
		opt->real = true;
		break;
	case OPT_OPERATIONS:
		opt->operations = parse_number(workload->operation, value, 1, MAX_OPERATIONS);
		break;
	case OPT_WARMUP:
		opt->warmup = parse_number("--warmup", value, 0, MAX_OPERATIONS);
		break;
	case OPT_THREADS:
		opt->threads = parse_number("--threads", value, 1, workload->max_threads);
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
	case OPT_MEASURE_FILL:
		opt->measure_fill = true;
		break;
	case OPT_HOLD:
		opt->hold_file = value;
		break;
	case OPT_SPOIL:
		opt->spoil = parse_number("--spoil", value, 0, MAX_OPERATIONS);
		break;
	case OPT_HELP:
		usage(workload);
		exit(EXIT_SUCCESS);
	default:
		if (option < OPT_SETTINGS) {
			fprintf(stderr, "Try '%s --help'.\n", workload->name);
			exit(EXIT_CANNOT);
		}
		workload->settings[option - OPT_SETTINGS].set(value);
	}
}

static void list_options(const struct workload *workload, struct option *all)
{
	memcpy(all, common_options, sizeof(common_options));
	all += NR_COMMON;
	*all++ = (struct option){ workload->operation, required_argument, NULL, OPT_OPERATIONS };
	for (int i = 0; workload->settings && workload->settings[i].name; i++)
		*all++ = (struct option){
			workload->settings[i].name,
			workload->settings[i].argument ? required_argument : no_argument, NULL,
			OPT_SETTINGS + i,
		};
}

static void check_unit(const struct workload *workload, const char *option, uint64_t nr)
{
	if (nr % workload->unit)
		die("--%s: %" PRIu64 " is not a multiple of %u, %s", option, nr, workload->unit,
		    workload->unit_name);
}

static struct options parse_options(const struct workload *workload, int argc, char **argv)
{
	struct option all[NR_COMMON + MAX_SETTINGS + 2] = { 0 };
	struct options opt = workload->defaults;
	int option;

	list_options(workload, all);
	while ((option = getopt_long(argc, argv, "", all, NULL)) != -1)
		set_option(workload, &opt, option, optarg);
	if (optind < argc)
		die("unexpected argument '%s'", argv[optind]);
	check_unit(workload, workload->operation, opt.operations);
	check_unit(workload, "warmup", opt.warmup);
	if (!opt.threads)
		opt.threads = workload->max_threads > 1 && opt.nodes.nr ? opt.nodes.nr : 1;
	if (!workload->defaults.backing && opt.backing)
		die("--backing: the data of %s cannot repeat; only 0 is allowed", workload->name);
	if (!opt.backing) {
		opt.backing = workload->defaults.backing;
		opt.real = true;
	}
	if (opt.measure_fill && (!opt.real || opt.threads > 1 || opt.init_node.nr))
		die("--measure-fill: one thread fills memory that nobody has touched; use it with "
		    "--real, one thread and no --init-node");
	return opt;
}

static void print_setup(const struct run *run)
{
	const struct options *opt = &run->opt;

	printf("memory   %" PRIu64 " bytes, backed by %" PRIu64 ", %s pages\n",
	       memory_size(&run->memory), memory_backing(&run->memory),
	       opt->huge ? "huge" : "4 KB");
	printf("threads  %u on %s", opt->threads, opt->nodes.nr ? "nodes " : "any node");
	print_ids(&opt->nodes);
	printf(", first touch by %s", opt->init_node.nr ? "node " : "all in turn");
	print_ids(&opt->init_node);
	printf("\n%-8s %" PRIu64 " after %" PRIu64 "\n", run->workload->operation, opt->operations,
	       opt->warmup);
	fflush(stdout);
}

static void hold(const struct options *opt)
{
	if (!opt->hold_file)
		return;
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (!access(opt->hold_file, F_OK))
		usleep(50000);
}

/*
 * Workers and the main thread meet when memory was touched, filled, and built upon, when all is
 * ready, warmed up, and when whoever counts knows.
 */
static void meet(struct run *run)
{
	pthread_barrier_wait(&run->barrier);
}

/* Return where the share of thread @index of @nr operations starts, in whole units. */
static uint64_t share(const struct run *run, unsigned int index, uint64_t nr)
{
	unsigned int unit = run->workload->unit;

	return part(nr / unit, index, run->opt.threads) * unit;
}

/* Do the thread's share of operations @first to @first + @nr - 1. */
static struct tally operate(const struct worker *worker, uint64_t first, uint64_t nr)
{
	const struct run *run = worker->run;
	uint64_t from = 0, to = nr;

	if (!run->workload->collective) {
		from = share(run, worker->index, nr);
		to = share(run, worker->index + 1, nr);
	}
	return run->workload->operate(worker->index, first + from, first + to);
}

static void begin_region(struct worker *worker)
{
	worker->begin = seconds_now();
	mark_begin(0);
}

static void end_region(struct worker *worker)
{
	mark_end(0);
	worker->end = seconds_now();
}

static void fill(struct run *run)
{
	run->workload->fill();
	memory_repeat(&run->memory);
}

/* The first write to a page is the one that touches it, as in a program of its own. */
static void measure_fill(struct worker *worker)
{
	begin_region(worker);
	fill(worker->run);
	end_region(worker);
}

static void measure_operations(struct worker *worker)
{
	struct run *run = worker->run;
	bool marked = !run->opt.measure_fill;
	struct tally warm, measured;

	if (marked)
		mark_warm();
	warm = operate(worker, 0, run->opt.warmup);
	meet(run);
	meet(run);
	if (marked)
		begin_region(worker);
	measured = operate(worker, run->opt.warmup, run->opt.operations);
	if (marked)
		end_region(worker);
	worker->found = (struct tally){ warm.count + measured.count, warm.sum + measured.sum };
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct run *run = worker->run;

	pin_thread(&run->opt.nodes, worker->index);
	if (run->opt.measure_fill)
		measure_fill(worker);
	else if (!run->opt.init_node.nr)
		memory_touch(&run->memory, worker->index, run->opt.threads);
	meet(run);
	meet(run);
	if (run->workload->build)
		run->workload->build(worker->index);
	meet(run);
	meet(run);
	measure_operations(worker);
	return NULL;
}

static void *touch_all(void *arg)
{
	struct run *run = arg;

	pin_thread(&run->opt.init_node, 0);
	memory_touch(&run->memory, 0, 1);
	return NULL;
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

/* Lead the workers through all phases. */
static void lead(struct run *run)
{
	meet(run);
	if (!run->opt.measure_fill)
		fill(run);
	meet(run);
	meet(run);
	run->workload->spoil(run->opt.spoil);
	hold(&run->opt);
	meet(run);
	meet(run);
	control(CONTROL_BEGIN);
	meet(run);
}

/* What all workers did together. */
static struct worker join_workers(struct run *run, struct worker *workers)
{
	struct worker all;

	for (unsigned int i = 0; i < run->opt.threads; i++)
		pthread_join(workers[i].thread, NULL);
	all = workers[0];
	for (unsigned int i = 1; i < run->opt.threads; i++) {
		const struct worker *worker = &workers[i];

		all.found.count += worker->found.count;
		all.found.sum += worker->found.sum;
		all.begin = worker->begin < all.begin ? worker->begin : all.begin;
		all.end = worker->end > all.end ? worker->end : all.end;
	}
	free(workers);
	return all;
}

static bool report(const struct run *run, const struct worker *all)
{
	const struct options *opt = &run->opt;
	uint64_t pages = memory_size(&run->memory) / memory_page(&run->memory), answer = 0;
	double time = all->end - all->begin;
	bool right;

	printf("time     %.6f s\nrate     %.0f %s/s\n", time,
	       (opt->measure_fill ? pages : opt->operations) / time,
	       opt->measure_fill ? "pages" : run->workload->operation);
	fflush(stdout);
	right = run->workload->verify(opt->warmup + opt->operations, all->found, &answer);
	printf("answer   %016" PRIx64 "\n%s\n", answer, right ? "verified" : "wrong");
	return !fflush(stdout) && right;
}

int run_workload(const struct workload *workload, int argc, char **argv)
{
	struct run run = { .workload = workload, .opt = parse_options(workload, argc, argv) };
	struct worker *workers, all;
	pthread_t thread;
	bool right;

	run.memory = (struct memory){ .real = run.opt.real, .huge = run.opt.huge };
	workload->prepare(&run.opt, &run.memory);
	print_setup(&run);
	if (run.opt.init_node.nr) {
		start_thread(&thread, touch_all, &run);
		pthread_join(thread, NULL);
	}
	workers = start_workers(&run);
	lead(&run);
	all = join_workers(&run, workers);
	control(CONTROL_END);
	right = report(&run, &all);
	free(run.opt.nodes.id);
	free(run.opt.init_node.id);
	return right ? EXIT_SUCCESS : EXIT_WRONG;
}
