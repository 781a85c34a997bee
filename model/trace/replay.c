// SPDX-License-Identifier: GPL-2.0
/* Replay a trace on a machine: what a run of the same instructions would have given there. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lanes.h"
#include "trace.h"

#define MAX_SETTINGS	64

static void usage(FILE *out)
{
	fprintf(out, "usage: replay -M FILE [-s SETTING]... [-L LANE]... [-j] TRACE\n"
		"  -M FILE     a machine file\n"
		"  -s SETTING  a line that takes precedence over the machine file's\n"
		"  -L LANE     NAME[=PART[,PART]...] of data:NODE, tables:NODE, loaded:NODE\n"
		"  -j          report as JSON\n");
}

struct request {
	const char *machine, *trace;
	const char *setting[MAX_SETTINGS];
	size_t nr_settings;
	struct lanes lanes;
	enum report format;
};

static bool parse(struct request *request, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+M:s:L:j")) != -1) {
		switch (option) {
		case 'M':
			request->machine = optarg;
			break;
		case 's':
			if (request->nr_settings == MAX_SETTINGS) {
				fprintf(stderr, "replay: at most %d settings\n", MAX_SETTINGS);
				return false;
			}
			request->setting[request->nr_settings++] = optarg;
			break;
		case 'L':
			if (!lanes_add(&request->lanes, optarg, stderr))
				return false;
			break;
		case 'j':
			request->format = REPORT_JSON;
			break;
		default:
			usage(stderr);
			return false;
		}
	}
	if (!request->machine || optind != argc - 1) {
		usage(stderr);
		return false;
	}
	request->trace = argv[optind];
	return true;
}

static bool fits(const struct machine *machine, const struct trace_reader *reader)
{
	unsigned int nodes = trace_reader_layout(reader)->nr_nodes;

	if (nodes <= machine->nodes)
		return true;
	fprintf(stderr, "the trace is of a guest of %u nodes, and the machine %s has %u only\n",
		nodes, machine->path, machine->nodes);
	return false;
}

static bool report(struct system *sys, enum report format)
{
	if (system_check(sys, stderr)) {
		fprintf(stderr, "replay: counters do not agree with each other, see above\n");
		return false;
	}
	system_report(sys, format, stdout);
	if (ferror(stdout) | fclose(stdout)) {
		perror("replay");
		return false;
	}
	return true;
}

static bool replay(const struct request *request, const struct machine *machine,
		   struct trace_reader *reader)
{
	struct system *sys;
	bool good;

	if (!fits(machine, reader))
		return false;
	sys = system_new(machine, trace_reader_guest(reader), request->lanes.lane,
			 request->lanes.nr);
	if (!sys)
		return false;
	good = trace_replay(reader, sys, stderr) && report(sys, request->format);
	system_free(sys);
	return good;
}

static bool run(struct request *request)
{
	struct machine *machine = machine_read(request->machine, request->setting,
					       request->nr_settings, stderr);
	struct trace_reader *reader;
	bool good = false;

	if (!machine)
		return false;
	reader = lanes_complete(&request->lanes, machine, stderr) ?
		 trace_open(request->trace, stderr) : NULL;
	if (reader) {
		good = replay(request, machine, reader);
		trace_close(reader);
	}
	machine_free(machine);
	return good;
}

int main(int argc, char **argv)
{
	struct request request = { .format = REPORT_TEXT };
	bool good;

	if (!parse(&request, argc, argv))
		return 2;
	good = run(&request);
	lanes_free(&request.lanes);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
