// SPDX-License-Identifier: GPL-2.0
/* mitosis dump: where the page tables of a process, or of a capture, lie. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "capture.h"
#include "command.h"
#include "interval.h"
#include "picture.h"
#include "proc.h"
#include "terminal.h"
#include "util.h"

#define FILE_NAME	"numa_pgtables"
#define WIDTH_MIN	40
#define WIDTH_MAX	10000

struct options {
	struct pids pids;
	char **inputs;
	size_t input_count;
	double interval;
	uint64_t count;		/* 0: until the process ends */
	const char *trees, *output;
	struct style style;
	bool json;
};

static void help(void)
{
	fputs("Usage: mitosis dump [options] [-p] PID\n"
	      "       mitosis dump [options] --input FILE [--input FILE]...\n\n"
	      "Show where the page tables of a process lie and what they point to.\n\n"
	      " -p, --pid PID         the process\n"
	      " -i, --interval S      again every S seconds, with what was added and removed\n"
	      " -n, --count N         stop after N dumps\n"
	      "     --input FILE      read a saved /proc/PID/numa_pgtables; given again: the next\n"
	      "                       dump\n"
	      "     --tree LIST       print the tables that CPUs of these nodes walk, too\n"
	      " -v, --verbose         every digit instead of 44k and 11M\n"
	      "     --exact           the same\n"
	      " -w, --width N         columns to fill (default: the terminal's, else 80)\n"
	      " -o, --output COLUMNS  plain rows with these columns\n"
	      " -J, --json            one JSON document a dump\n"
	      " -h, --help            this help\n", stdout);
	table_help(picture_columns);
	exit(EXIT_SUCCESS);
}

static int parse_width(const char *text)
{
	uint64_t width;

	if (!parse_number(text, &width) || width < WIDTH_MIN || width > WIDTH_MAX)
		errx(EXIT_FAILURE, "'%s' is no width: give a number from %d to %d", text,
		     WIDTH_MIN, WIDTH_MAX);
	return (int)width;
}

static void add_input(struct options *options, char *file)
{
	options->inputs = xrealloc(options->inputs, options->input_count + 1,
				   sizeof(*options->inputs));
	options->inputs[options->input_count++] = file;
}

static void take_option(struct options *options, int option, char *argument)
{
	switch (option) {
	case 'p':
		pids_parse(&options->pids, argument);
		break;
	case 'i':
		options->interval = interval_parse(argument);
		break;
	case 'n':
		options->count = repeats_parse(argument);
		break;
	case 'f':
		add_input(options, argument);
		break;
	case 't':
		options->trees = argument;
		break;
	case 'v':
		options->style.exact = true;
		break;
	case 'w':
		options->style.width = parse_width(argument);
		break;
	case 'o':
		options->output = argument;
		break;
	case 'J':
		options->json = true;
		break;
	case 'h':
		help();
		break;
	default:
		try_help("dump");
	}
}

static int default_width(void)
{
	int columns, rows;

	terminal_size(&columns, &rows);
	return columns < WIDTH_MIN ? 80 : columns;
}

static void validate(const struct options *options)
{
	if (options->input_count && options->pids.count)
		usage_error("dump", "--input and a process exclude each other");
	if (options->input_count && options->interval > 0)
		usage_error("dump", "--interval is for a process: give --input again for the next dump");
	if (!options->input_count && options->pids.count != 1)
		usage_error("dump", "give one process, or --input FILE");
	if (options->count && !(options->interval > 0))
		usage_error("dump", "--count needs --interval");
}

static void parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'n' },
		{ "input", required_argument, NULL, 'f' },
		{ "tree", required_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "exact", no_argument, NULL, 'v' },
		{ "width", required_argument, NULL, 'w' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "p:i:n:vw:o:Jh", names, NULL)) != -1)
		take_option(options, option, optarg);
	if (options->input_count && argv[optind])
		usage_error("dump", "'%s' is too much: give --input before each file, and no process",
			    argv[optind]);
	pids_parse_all(&options->pids, argv + optind);
	if (!options->style.width)
		options->style.width = default_width();
	options->style.changes = options->interval > 0 || options->input_count > 1;
	validate(options);
	table_init(&options->style.table, picture_columns, options->output, true);
	options->style.table.exact = options->style.exact;
}

/* The trees to print are named among the nodes of the capture. */
static bool choose_trees(const struct options *options, const struct capture *capture,
			 struct nodes *trees)
{
	struct node_list list;
	bool ok;

	*trees = (struct nodes){ 0 };
	if (!options->trees)
		return true;
	ok = node_list_parse(options->trees, &list, &capture->nodes) &&
	     node_list_resolve(&list, &capture->nodes, trees);
	node_list_free(&list);
	return ok;
}

static int print_picture(const struct options *options, struct picture *picture)
{
	const struct style *style = &options->style;

	if (!choose_trees(options, picture->now, &picture->trees))
		return EXIT_FAILURE;
	if (options->json)
		picture_print_json(picture, style);
	else if (options->output)
		picture_print_rows(picture, style);
	else
		picture_print_text(picture, style);
	nodes_free(&picture->trees);
	/* close_stdout() tells why */
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static struct capture *read_input(const char *path)
{
	struct capture *capture;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : read_descriptor(fd);

	if (!text)
		err(EXIT_FAILURE, "cannot read %s", path);
	close(fd);
	capture = capture_parse(text, path);
	free(text);
	return capture;
}

static int dump_inputs(const struct options *options)
{
	struct picture picture = { 0 };
	struct capture *before = NULL, *now;
	int status = EXIT_SUCCESS;
	size_t i;

	for (i = 0; i < options->input_count && !status; i++) {
		now = read_input(options->inputs[i]);
		picture.source = options->inputs[i];
		picture.now = now;
		picture.before = before;
		status = now ? print_picture(options, &picture) : EXIT_FAILURE;
		capture_free(before);
		before = now;
	}
	capture_free(before);
	return status;
}

/*
 * The file stays open between dumps: the kernel counts freed tables while
 * somebody looks. It shows the address space that the process had at the open.
 */
struct live {
	pid_t pid;
	int fd;
	struct capture *before, *now;
	bool seen;		/* dumped once at least */
	bool ended;
	int status;
};

/* That a process ends while it is watched is no failure. */
static void stop_watching(struct live *live, int error)
{
	live->ended = true;
	if (live->seen && (error == ENOENT || error == ESRCH))
		warnx("process %d has exited", live->pid);
	else
		live->status = explain_process(live->pid, FILE_NAME, error);
}

static void take(struct live *live)
{
	char *source, *text = NULL;

	if (!lseek(live->fd, 0, SEEK_SET))
		text = read_descriptor(live->fd);
	if (!text) {
		stop_watching(live, errno);
		return;
	}
	source = xformat("/proc/%d/" FILE_NAME, live->pid);
	live->now = capture_parse(text, source);
	if (!live->now) {
		live->status = EXIT_FAILURE;
		live->ended = true;
	}
	free(source);
	free(text);
}

static bool has_root(const struct capture *capture)
{
	return capture_total(capture, TREE_PRIMARY, capture->levels);
}

/* The process has exited, or runs another program in another address space. */
static void look_again(struct live *live)
{
	close(live->fd);
	capture_free(live->now);
	capture_free(live->before);
	live->now = live->before = NULL;
	live->fd = proc_open(live->pid, FILE_NAME, O_RDONLY);
	if (live->fd < 0) {
		stop_watching(live, errno);
		return;
	}
	take(live);
	if (live->now && !has_root(live->now))
		stop_watching(live, ESRCH);
	else if (live->now)
		warnx("process %d runs another program: counting starts anew", live->pid);
}

static int print_live(const struct options *options, struct live *live)
{
	struct picture picture = {
		.now = live->now,
		.before = live->before,
		.pid = live->pid,
		.name = process_name(live->pid),
		.time = time(NULL),
	};
	int status = print_picture(options, &picture);

	free(picture.name);
	return status;
}

static void next_dump(const struct options *options, struct live *live)
{
	take(live);
	if (live->now && !has_root(live->now))
		look_again(live);
	if (live->ended)
		return;
	live->status = print_live(options, live);
	capture_free(live->before);
	live->before = live->now;
	live->now = NULL;
	live->ended = live->status;
	live->seen = true;
}

static int dump_process(const struct options *options)
{
	struct live live = { .pid = options->pids.pid[0] };
	uint64_t left = options->interval > 0 ? options->count : 1;	/* 0: no end */
	struct timespec when;

	live.fd = proc_open(live.pid, FILE_NAME, O_RDONLY);
	if (live.fd < 0)
		return explain_process(live.pid, FILE_NAME, errno);
	clock_gettime(CLOCK_MONOTONIC, &when);
	for (next_dump(options, &live); !live.ended && left != 1; left -= left > 0) {
		interval_wait(&when, options->interval);
		next_dump(options, &live);
	}
	capture_free(live.before);
	capture_free(live.now);
	if (live.fd >= 0)
		close(live.fd);
	return live.status;
}

int command_dump(int argc, char **argv)
{
	struct options options = { 0 };
	int status;

	parse(argc, argv, &options);
	status = options.input_count ? dump_inputs(&options) : dump_process(&options);
	table_free(&options.style.table);
	free(options.inputs);
	free(options.pids.pid);
	return status;
}
