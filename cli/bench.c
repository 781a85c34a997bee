// SPDX-License-Identifier: GPL-2.0
/*
 * mitosis bench: run a program in lanes, several times, and count. The lanes take turns, so that
 * what changes slowly changes all of them.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"
#include "capture.h"
#include "command.h"
#include "proc.h"
#include "program.h"
#include "table.h"
#include "util.h"

#define DEFAULT_ROUNDS	5

struct options {
	struct lanes lanes;
	const char **lane;
	size_t lane_count;
	const char *local, *remote;
	uint64_t rounds;
	struct load load;
	bool user, counters, verbose, json;
};

static const char *const default_lanes[] = { "LP-LD", "RP-LD", "RPI-LD", "RPI-LD+M" };

#define NR_DEFAULT_LANES	(sizeof(default_lanes) / sizeof(default_lanes[0]))

static void help(void)
{
	fputs("Usage: mitosis bench [options] [--] COMMAND [ARGUMENTS]\n\n"
	      "Run COMMAND with its CPUs, data and page tables on given nodes, and count\n"
	      "cycles and page walks. One that says when its region of interest begins and\n"
	      "ends, as this project's workloads do, is counted there; others as a whole.\n\n"
	      " -L, --lane LANE       measure this placement; may be given again\n"
	      "                       (default LP-LD, RP-LD, RPI-LD and RPI-LD+M)\n"
	      "     --local N         the node of the CPUs (default: the first usable one)\n"
	      "     --remote N        the other node (default: the next usable one)\n"
	      " -n, --rounds N        run each lane N times (default 5)\n"
	      " -u, --user            count the program alone, not the kernel\n"
	      "     --load-threads N  threads that load a node (default: one a CPU)\n"
	      "     --load-size BYTES memory of each of them\n"
	      "     --counters        show which events count walks on this CPU\n"
	      " -v, --verbose         show what the program prints, on stderr\n"
	      " -J, --json            JSON, in the form of the machine model\n"
	      " -h, --help            this help\n\n"
	      LANE_HELP, stdout);
	exit(EXIT_SUCCESS);
}

static uint64_t parse_count(const char *text, const char *what)
{
	uint64_t count;

	if (!parse_number(text, &count) || !count || count > 10000)
		errx(EXIT_FAILURE, "'%s' is no number of %s: give one from 1 to 10000", text, what);
	return count;
}

enum { OPTION_LOCAL = 256, OPTION_REMOTE, OPTION_LOAD_THREADS, OPTION_LOAD_SIZE, OPTION_COUNTERS };

static void add_lane(struct options *options, const char *text)
{
	options->lane = xrealloc(options->lane, options->lane_count + 1, sizeof(*options->lane));
	options->lane[options->lane_count++] = text;
}

static void set_option(struct options *options, int option)
{
	switch (option) {
	case 'L':
		add_lane(options, optarg);
		break;
	case OPTION_LOCAL:
		options->local = optarg;
		break;
	case OPTION_REMOTE:
		options->remote = optarg;
		break;
	case 'n':
		options->rounds = parse_count(optarg, "rounds");
		break;
	case 'u':
		options->user = true;
		break;
	case OPTION_LOAD_THREADS:
		options->load.threads = parse_count(optarg, "threads");
		break;
	case OPTION_LOAD_SIZE:
		options->load.size = optarg;
		break;
	case OPTION_COUNTERS:
		options->counters = true;
		break;
	case 'v':
		options->verbose = true;
		break;
	case 'J':
		options->json = true;
		break;
	case 'h':
		help();
		break;
	default:
		try_help("bench");
	}
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "lane", required_argument, NULL, 'L' },
		{ "local", required_argument, NULL, OPTION_LOCAL },
		{ "remote", required_argument, NULL, OPTION_REMOTE },
		{ "rounds", required_argument, NULL, 'n' },
		{ "user", no_argument, NULL, 'u' },
		{ "load-threads", required_argument, NULL, OPTION_LOAD_THREADS },
		{ "load-size", required_argument, NULL, OPTION_LOAD_SIZE },
		{ "counters", no_argument, NULL, OPTION_COUNTERS },
		{ "verbose", no_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool none;
	size_t i;
	int option;

	while ((option = getopt_long(argc, argv, "+L:n:uvJh", names, NULL)) != -1)
		set_option(options, option);
	none = !options->lane_count;
	for (i = 0; none && i < NR_DEFAULT_LANES; i++)
		add_lane(options, default_lanes[i]);
	if (!options->counters && optind == argc)
		usage_error("bench", "give a command to run");
}

static void choose_lanes(struct options *options)
{
	struct lanes *lanes = &options->lanes;
	bool policy = false;
	size_t i;

	if (options->local)
		lanes_choose_node(&lanes->local, options->local);
	if (options->remote)
		lanes_choose_node(&lanes->remote, options->remote);
	if (lanes->local != NODE_REAL && lanes->local == lanes->remote)
		usage_error("bench", "--local and --remote are both node %d: give two", lanes->local);
	for (i = 0; i < options->lane_count; i++)
		lanes_add(lanes, options->lane[i]);
	for (i = 0; i < lanes->count; i++)
		policy |= lane_has_policy(&lanes->lane[i]);
	if (policy)
		require_support();
}

/* --- Which events --- */

struct counter {
	const char *count, *event, *list;
	char *code;
};

#define COLUMN(name, help, member) \
	{ name, help, VALUE_TEXT, offsetof(struct counter, member), false }

static const struct column counter_columns[] = {
	COLUMN("COUNT", "the key in JSON", count),
	COLUMN("EVENT", "the event, as the vendor names it", event),
	COLUMN("CODE", "the raw event, as perf takes it", code),
	COLUMN("LIST", "the vendor's list that has it", list),
	{ 0 }
};

static void print_counters(const struct cpu *cpu)
{
	struct counter counters[MAX_EVENTS];
	struct table table;
	unsigned int i;

	for (i = 0; i < cpu->nr_events; i++) {
		bool raw = cpu->event[i].type == PERF_TYPE_RAW;

		counters[i] = (struct counter){
			.count = count_names[cpu->event[i].count],
			.event = cpu->event[i].name,
			.code = raw ? xformat("r%" PRIx64, cpu->event[i].config) : NULL,
			.list = raw ? cpu->list : NULL,
		};
	}
	table_init(&table, counter_columns, NULL, true);
	table_print(&table, counters, cpu->nr_events, sizeof(counters[0]));
	table_free(&table);
	while (i--)
		free(counters[i].code);
}

/* One sentence about what this machine does not tell; NULL if it tells all. */
static const char *note_of(const struct perf *perf)
{
	if (!perf_counts(perf, COUNT_CYCLES))
		return "this machine has no hardware counters for programs (a guest has those that its hypervisor gives it): time, CPU time and page faults are all there is";
	if (!perf->cpu->list)
		return "no event that counts page walks is known for this CPU: cycles and instructions only";
	if (!perf_counts(perf, COUNT_WALKS))
		return "this machine does not count page walks, though its CPU could (a hypervisor may not let it): cycles and instructions only";
	if (!perf_counts(perf, COUNT_WALK_CYCLES))
		return "this CPU counts page walks, but not how long they take";
	return NULL;
}

/* --- One run --- */

struct run {
	const struct lane *lane;
	struct child child;
	struct perf perf;
	struct perf_reading begin[MAX_EVENTS];
	double begin_time;
	bool inside, incomplete;
	struct result *result;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void add_entries(const struct capture *capture, const struct tables *tables,
			unsigned int node, struct result *result)
{
	size_t i;

	for (i = 0; i < capture->nodes.count; i++) {
		result->pages += tables->entries[i];
		if (capture->nodes.id[i] == node)
			result->local_pages += tables->entries[i];
	}
}

/* From where CPUs of @node look. */
static void look_from(const struct capture *capture, unsigned int node, struct result *result)
{
	uint64_t local, all;
	size_t i;

	capture_share(capture, node, &local, &all);
	result->local_tables += local;
	result->tables += all;
	for (i = 0; i < capture->count; i++) {
		if (capture->tables[i].tree == TREE_PRIMARY && capture->tables[i].level == 1)
			add_entries(capture, &capture->tables[i], node, result);
	}
}

/* A kernel without policies does not tell where tables lie. */
static void look_at_tables(struct run *run)
{
	struct result *result = run->result;
	char *text = proc_read(run->child.pid, "numa_pgtables");
	struct capture *capture = text ? capture_parse(text, "numa_pgtables") : NULL;
	size_t i;

	free(text);
	if (!capture)
		return;
	result->tables = result->local_tables = result->pages = result->local_pages = 0;
	for (i = 0; i < capture->nodes.count; i++) {
		if (run->lane->cpu_node == NODE_REAL ||
		    run->lane->cpu_node == (int)capture->nodes.id[i])
			look_from(capture, capture->nodes.id[i], result);
	}
	capture_free(capture);
}

static void begin_region(struct run *run)
{
	if (!run->result->marked)
		look_at_tables(run);
	run->result->marked = true;
	run->inside = true;
	perf_read(&run->perf, run->begin);
	run->begin_time = now();
}

static void end_region(struct run *run)
{
	struct perf_reading end[MAX_EVENTS];

	run->result->seconds += now() - run->begin_time;
	perf_read(&run->perf, end);
	if (!perf_add(&run->perf, run->begin, end, run->result->count))
		run->incomplete = true;
	run->inside = false;
}

static void obey(struct run *run)
{
	char command[16];
	ssize_t size = read(run->child.commands, command, sizeof(command));

	if (size == 7 && !memcmp(command, "enable\n", 7) && !run->inside)
		begin_region(run);
	else if (size == 8 && !memcmp(command, "disable\n", 8) && run->inside)
		end_region(run);
	else
		errx(EXIT_FAILURE, "the program's marks in lane %s are no pairs of 'enable' and 'disable'",
		     run->lane->name);
	if (write(run->child.answers, "ack\n", 4) != 4)
		err(EXIT_FAILURE, "cannot answer the program");
}

/* Until the program ends. */
static void follow(struct run *run)
{
	int pidfd = pidfd_open(run->child.pid, 0);
	struct pollfd files[] = {
		{ .fd = run->child.commands, .events = POLLIN },
		{ .fd = pidfd, .events = POLLIN },
	};

	if (pidfd < 0)
		err(EXIT_FAILURE, "cannot watch the program");
	while (poll(files, 2, -1) > 0) {
		if (files[0].revents & POLLIN)
			obey(run);
		else if (files[1].revents)
			break;
		else
			files[0].fd = -1;	/* nobody is left who could write */
	}
	close(pidfd);
}

static void run_program(const struct options *options, struct run *run,
			const struct program *program, const struct cpu *cpu)
{
	run->child = program_prepare(program);
	perf_open(&run->perf, cpu, run->child.pid, options->user);
	run->begin_time = now();
	program_go(&run->child);
	follow(run);
	if (run->inside || !run->result->marked)
		end_region(run);
	program_end(&run->child, program->argv[0], run->lane->name);
	perf_close(&run->perf);
}

/* Counters that had to take turns say nothing for the rest of the time. */
static const char *measure(const struct options *options, const struct cpu *cpu, char **command,
			   const struct lane *lane, struct result *result)
{
	struct run run = { .lane = lane, .result = result };
	char *policy = lane_has_policy(lane) ? policy_for(&lane->policy, 0) : NULL;
	struct program program = {
		.argv = command, .cpu_node = lane->cpu_node, .data_node = lane->data_node,
		.policy = policy,
	};
	struct child load;
	int output;

	if (lane_has_policy(lane) && !policy)
		exit(EXIT_FAILURE);
	*result = (struct result){
		.tables = COUNT_UNKNOWN, .local_tables = COUNT_UNKNOWN,
		.pages = COUNT_UNKNOWN, .local_pages = COUNT_UNKNOWN,
	};
	program.output = options->verbose ? dup(STDERR_FILENO) : open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (lane->loaded_node != NODE_REAL)
		load = load_start(&options->load, lane->loaded_node, lane->name, &output);
	run_program(options, &run, &program, cpu);
	if (lane->loaded_node != NODE_REAL)
		load_stop(&load, lane->name, output);
	close(program.output);
	free(policy);
	if (run.incomplete)
		return "other users of the counters left too few for all events, so some were not counted all the time and are not reported: stop them, as with 'sysctl kernel.nmi_watchdog=0'";
	return note_of(&run.perf);
}

static void measure_all(const struct options *options, struct bench *bench, char **command)
{
	size_t count = options->lanes.count, i;
	uint64_t round;

	for (round = 0; round < bench->rounds; round++) {
		for (i = 0; i < count; i++) {
			struct result *result = &bench->results[i * bench->rounds + round];
			const char *note;

			note = measure(options, bench->cpu, command, &options->lanes.lane[i], result);
			if (note && !bench->note)
				warnx("%s", note);
			if (note)
				bench->note = note;
			fprintf(stderr, "round %" PRIu64 " of %" PRIu64 ", %s: %.3f s\n", round + 1,
				bench->rounds, options->lanes.lane[i].name, result->seconds);
		}
	}
}

int command_bench(int argc, char **argv)
{
	struct options options = {
		.lanes = { .local = NODE_REAL, .remote = NODE_REAL }, .rounds = DEFAULT_ROUNDS,
	};
	struct cpu cpu;

	parse(argc, argv, &options);
	/* It may be inherited as ignored, and then nobody learns how a program ended. */
	signal(SIGCHLD, SIG_DFL);
	cpu_identify(&cpu);
	if (options.counters) {
		print_counters(&cpu);
	} else {
		struct bench bench = {
			.command = argv + optind, .cpu = &cpu, .lanes = &options.lanes,
			.rounds = options.rounds,
		};

		choose_lanes(&options);
		signal(SIGPIPE, SIG_IGN);
		bench.results = xcalloc(options.lanes.count * options.rounds, sizeof(*bench.results));
		measure_all(&options, &bench, argv + optind);
		(options.json ? bench_print_json : bench_print)(&bench);
		free(bench.results);
	}
	lanes_free(&options.lanes);
	free(options.lane);
	cpu_free(&cpu);
	return EXIT_SUCCESS;
}
