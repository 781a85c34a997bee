// SPDX-License-Identifier: GPL-2.0
/*
 * What a system counted, in total, by node, by region and by process. A process is known by its
 * root; one whose page table has replicas has several.
 */
#include "state.h"
#include "allocate.h"

#include <inttypes.h>
#include <stdlib.h>

#define SCHEMA	"mitosis-model/1"

/* Accounts added up. */
struct sum {
	uint64_t event[NR_EVENTS];
	double (*measure)[NR_MEASURES];		/* by lane */
	double *elapsed;			/* by lane: cycles of the CPU that took longest */
};

/* Which accounts; negative or zero: all of them. */
struct filter {
	int cpu, node, region;
	uint64_t root;
};

static bool passes(const struct system *sys, const struct filter *filter,
		   const struct account *account)
{
	return account->region != WARMING && (filter->cpu < 0 || (int)account->cpu == filter->cpu) &&
	       (filter->node < 0 || sys->guest.cpu_node[account->cpu] == filter->node) &&
	       (filter->region < 0 || account->region == filter->region) &&
	       (!filter->root || account->root == filter->root);
}

static void add_account(const struct system *sys, struct sum *sum, const struct account *account)
{
	size_t i, lane;

	for (i = 0; i < NR_EVENTS; i++)
		sum->event[i] += account->event[i];
	for (lane = 0; lane < sys->nr_lanes; lane++) {
		for (i = 0; i < NR_MEASURES; i++)
			sum->measure[lane][i] += account->measure[lane][i];
	}
}

static struct sum add_up(const struct system *sys, struct filter filter)
{
	struct sum sum = {
		.measure = allocate(sys->nr_lanes, sizeof(*sum.measure)),
		.elapsed = allocate(sys->nr_lanes, sizeof(*sum.elapsed)),
	};
	double *cycles = allocate(sys->guest.nr_cpus, sizeof(*cycles));
	size_t i, lane;

	for (i = 0; i < sys->nr_accounts; i++) {
		if (passes(sys, &filter, sys->account[i]))
			add_account(sys, &sum, sys->account[i]);
	}
	for (lane = 0; lane < sys->nr_lanes; lane++) {
		for (i = 0; i < sys->guest.nr_cpus; i++)
			cycles[i] = 0;
		for (i = 0; i < sys->nr_accounts; i++) {
			const struct account *account = sys->account[i];

			if (!passes(sys, &filter, account))
				continue;
			cycles[account->cpu] += account->measure[lane][MEASURE_CYCLES];
			if (cycles[account->cpu] > sum.elapsed[lane])
				sum.elapsed[lane] = cycles[account->cpu];
		}
	}
	free(cycles);
	return sum;
}

static void free_sum(struct sum *sum)
{
	free(sum->measure);
	free(sum->elapsed);
}

static const struct filter everything = { .cpu = -1, .node = -1, .region = -1 };

/* Whether an account is the first one of its root that counts. */
static bool is_new_root(const struct system *sys, size_t index)
{
	const struct account *account = sys->account[index];
	size_t i;

	for (i = 0; i < index; i++) {
		if (sys->account[i]->region != WARMING && sys->account[i]->root == account->root)
			return false;
	}
	return account->region != WARMING;
}

static void print_node(FILE *out, const char *key, int node, const char *none)
{
	if (node < 0)
		fprintf(out, "\"%s\": %s", key, none);
	else
		fprintf(out, "\"%s\": %d", key, node);
}

static void json_lanes(const struct system *sys, FILE *out)
{
	size_t i;

	fputs("  \"lanes\": [", out);
	for (i = 0; i < sys->nr_lanes; i++) {
		const struct lane *lane = &sys->lane[i];

		fprintf(out, "%s\n    {\"name\": \"%s\", ", i ? "," : "", lane->name);
		print_node(out, "data_node", lane->data_node, "\"real\"");
		fputs(", ", out);
		print_node(out, "table_node", lane->table_node, "\"real\"");
		fputs(", ", out);
		print_node(out, "loaded_node", lane->loaded_node, "null");
		fputc('}', out);
	}
	fputs("\n  ],\n", out);
}

static void json_sum(const struct system *sys, FILE *out, struct filter filter)
{
	struct sum sum = add_up(sys, filter);
	size_t i, lane;

	fputs("\"events\": {", out);
	for (i = 0; i < NR_EVENTS; i++)
		fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "", event_names[i], sum.event[i]);
	fputs("}, \"lanes\": [", out);
	for (lane = 0; lane < sys->nr_lanes; lane++) {
		fprintf(out, "%s\n      {\"elapsed\": %.0f", lane ? "," : "", sum.elapsed[lane]);
		for (i = 0; i < NR_MEASURES; i++)
			fprintf(out, ", \"%s\": %.0f", measure_names[i], sum.measure[lane][i]);
		fputc('}', out);
	}
	fputc(']', out);
	free_sum(&sum);
}

static void json_by_cpu(const struct system *sys, FILE *out)
{
	unsigned int cpu;

	fputs("  \"cpus\": [", out);
	for (cpu = 0; cpu < sys->guest.nr_cpus; cpu++) {
		fprintf(out, "%s\n    {\"cpu\": %u, \"node\": %d, ", cpu ? "," : "", cpu,
			sys->guest.cpu_node[cpu]);
		json_sum(sys, out, (struct filter){ .cpu = cpu, .node = -1, .region = -1 });
		fputc('}', out);
	}
	fputs("\n  ],\n", out);
}

static void json_by_node(const struct system *sys, FILE *out)
{
	unsigned int node;

	fputs("  \"nodes\": [", out);
	for (node = 0; node < sys->machine->nodes; node++) {
		fprintf(out, "%s\n    {\"node\": %u, ", node ? "," : "", node);
		json_sum(sys, out, (struct filter){ .cpu = -1, .node = node, .region = -1 });
		fputc('}', out);
	}
	fputs("\n  ],\n", out);
}

static bool has_region(const struct system *sys, int region)
{
	size_t i;

	for (i = 0; i < sys->nr_accounts; i++) {
		if (sys->account[i]->region == region)
			return true;
	}
	return false;
}

static void json_by_region(const struct system *sys, FILE *out)
{
	const char *comma = "";
	int region;

	fputs("  \"regions\": [", out);
	for (region = 0; region <= MAX_REGION; region++) {
		if (!has_region(sys, region))
			continue;
		fprintf(out, "%s\n    {\"region\": %d, ", comma, region);
		json_sum(sys, out, (struct filter){ .cpu = -1, .node = -1, .region = region });
		fputc('}', out);
		comma = ",";
	}
	fputs("\n  ],\n", out);
}

static void json_by_process(const struct system *sys, FILE *out)
{
	const char *comma = "";
	size_t i;

	fputs("  \"processes\": [", out);
	for (i = 0; i < sys->nr_accounts; i++) {
		uint64_t root = sys->account[i]->root;

		if (!is_new_root(sys, i))
			continue;
		fprintf(out, "%s\n    {\"root\": \"%#" PRIx64 "\", ", comma, root);
		json_sum(sys, out, (struct filter){ .cpu = -1, .node = -1, .region = -1, .root = root });
		fputc('}', out);
		comma = ",";
	}
	fputs("\n  ],\n", out);
}

static void json_freed(const struct system *sys, FILE *out)
{
	unsigned int i;

	fputs("  \"freed\": [", out);
	for (i = 0; i < sys->nr_freed; i++) {
		const struct freed_report *freed = &sys->freed[i];

		fprintf(out, "%s\n    {\"cpu\": %u, \"by\": \"%s\", \"virtual\": \"%#" PRIx64
			"\", \"table\": \"%#" PRIx64 "\"}", i ? "," : "", freed->cpu,
			freed_use_names[freed->use], freed->virtual, freed->table);
	}
	fputs("]\n", out);
}

static void report_json(const struct system *sys, FILE *out)
{
	fprintf(out, "{\n  \"schema\": \"%s\",\n  \"machine\": \"%s\",\n  \"mhz\": %g,\n", SCHEMA,
		sys->machine->path, sys->machine->frequency);
	json_lanes(sys, out);
	fputs("  \"total\": {", out);
	json_sum(sys, out, everything);
	fputs("},\n", out);
	json_by_cpu(sys, out);
	json_by_node(sys, out);
	json_by_region(sys, out);
	json_by_process(sys, out);
	json_freed(sys, out);
	fputs("}\n", out);
}

/* A share in percent, of what may be nothing. */
static double percent(double part, double whole)
{
	return whole ? 100 * part / whole : 0;
}

static void text_lane(FILE *out, const char *name, const struct sum *sum, size_t lane)
{
	const double *measure = sum->measure[lane];
	double cycles = measure[MEASURE_CYCLES];
	double walk = measure[MEASURE_WALK_LOCAL] + measure[MEASURE_WALK_REMOTE];
	double data = measure[MEASURE_DATA_LOCAL] + measure[MEASURE_DATA_REMOTE];

	fprintf(out, "%-12s %16.0f %6.2f %7.2f %8.1f %16.0f %11.1f %11.1f\n", name, cycles,
		cycles / (sum->measure[0][MEASURE_CYCLES] ?: 1),
		cycles / (sum->event[EVENT_INSTRUCTIONS] ?: 1),
		percent(measure[MEASURE_WALK_CYCLES], cycles), measure[MEASURE_WALK_CYCLES],
		percent(measure[MEASURE_WALK_REMOTE], walk),
		percent(measure[MEASURE_DATA_REMOTE], data));
}

static void text_lanes(const struct system *sys, FILE *out, struct filter filter)
{
	struct sum sum = add_up(sys, filter);
	size_t lane;

	fprintf(out, "%-12s %16s %6s %7s %8s %16s %11s %11s\n", "lane", "cycles", "ratio", "CPI",
		"walk %", "walk cycles", "walk rem. %", "data rem. %");
	for (lane = 0; lane < sys->nr_lanes; lane++)
		text_lane(out, sys->lane[lane].name, &sum, lane);
	free_sum(&sum);
}

static void text_events(const struct system *sys, FILE *out)
{
	struct sum sum = add_up(sys, everything);
	unsigned int i;

	for (i = 0; i < NR_EVENTS; i++) {
		if (sum.event[i])
			fprintf(out, "%-20s %16" PRIu64 "\n", event_names[i], sum.event[i]);
	}
	free_sum(&sum);
}

static void text_freed(const struct system *sys, FILE *out)
{
	unsigned int i;

	for (i = 0; i < sys->nr_freed; i++) {
		const struct freed_report *freed = &sys->freed[i];

		fprintf(out, "\nCPU %u used a freed table at %#" PRIx64 " through its %s, for %#"
			PRIx64, freed->cpu, freed->table, freed_use_names[freed->use],
			freed->virtual);
	}
	if (sys->nr_freed)
		fputc('\n', out);
}

static bool has_cpus(const struct system *sys, int node)
{
	unsigned int cpu;

	for (cpu = 0; cpu < sys->guest.nr_cpus; cpu++) {
		if (sys->guest.cpu_node[cpu] == node)
			return true;
	}
	return false;
}

static void report_text(const struct system *sys, FILE *out)
{
	unsigned int node;
	size_t i;

	fprintf(out, "machine %s, %g MHz\n\n", sys->machine->path, sys->machine->frequency);
	text_lanes(sys, out, everything);
	fputc('\n', out);
	text_events(sys, out);
	for (node = 0; node < sys->machine->nodes; node++) {
		if (!has_cpus(sys, node))
			continue;
		fprintf(out, "\nnode %u\n", node);
		text_lanes(sys, out, (struct filter){ .cpu = -1, .node = node, .region = -1 });
	}
	for (i = 0; i < sys->nr_accounts; i++) {
		uint64_t root = sys->account[i]->root;

		if (!is_new_root(sys, i))
			continue;
		fprintf(out, "\nprocess with root %#" PRIx64 "\n", root);
		text_lanes(sys, out, (struct filter){ .cpu = -1, .node = -1, .region = -1, .root = root });
	}
	text_freed(sys, out);
}

void system_report(const struct system *sys, enum report format, FILE *out)
{
	if (format == REPORT_JSON)
		report_json(sys, out);
	else
		report_text(sys, out);
}
