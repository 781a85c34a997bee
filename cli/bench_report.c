// SPDX-License-Identifier: GPL-2.0
/*
 * The report of mitosis bench, as text and as JSON. The keys of JSON are those of the model's
 * report, null where hardware does not tell, and some that only hardware has.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include "../model/hardware/counters.h"
#include "bench.h"
#include "json.h"
#include "util.h"

#define SCHEMA	"mitosis-bench/1"

static int compare_reals(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

/* The values of all rounds of a lane, in order; fewer when some are unknown. */
struct series {
	double *value;
	size_t count;
};

static void series_end(struct series *series)
{
	qsort(series->value, series->count, sizeof(*series->value), compare_reals);
}

static struct series seconds_of(const struct bench *bench, const struct result *results)
{
	struct series series = { xcalloc(bench->rounds, sizeof(*series.value)), bench->rounds };
	size_t i;

	for (i = 0; i < bench->rounds; i++)
		series.value[i] = results[i].seconds;
	series_end(&series);
	return series;
}

static double median(const struct series *series)
{
	size_t middle = series->count / 2;

	if (series->count % 2)
		return series->value[middle];
	return (series->value[middle - 1] + series->value[middle]) / 2;
}

/* The median of one of the counts of a result, which starts @offset bytes into it. */
static uint64_t median_count(const struct bench *bench, const struct result *results,
			     size_t offset)
{
	struct series series = { xcalloc(bench->rounds, sizeof(*series.value)), 0 };
	uint64_t count;
	size_t i;

	for (i = 0; i < bench->rounds; i++) {
		count = *(const uint64_t *)((const char *)&results[i] + offset);
		if (count != COUNT_UNKNOWN)
			series.value[series.count++] = (double)count;
	}
	series_end(&series);
	count = series.count == bench->rounds ? (uint64_t)(median(&series) + 0.5) : COUNT_UNKNOWN;
	free(series.value);
	return count;
}

/* What the columns and keys are made of. */
struct summary {
	double seconds, least, most;
	uint64_t count[NR_COUNTS];
	uint64_t tables, local_tables, pages, local_pages;
};

static struct summary summarize(const struct bench *bench, size_t lane)
{
	const struct result *results = bench->results + lane * bench->rounds;
	struct series seconds = seconds_of(bench, results);
	struct summary summary = {
		.seconds = median(&seconds),
		.least = seconds.value[0], .most = seconds.value[seconds.count - 1],
		.tables = median_count(bench, results, offsetof(struct result, tables)),
		.local_tables = median_count(bench, results, offsetof(struct result, local_tables)),
		.pages = median_count(bench, results, offsetof(struct result, pages)),
		.local_pages = median_count(bench, results, offsetof(struct result, local_pages)),
	};
	size_t i;

	for (i = 0; i < NR_COUNTS; i++)
		summary.count[i] = median_count(bench, results,
						offsetof(struct result, count) + i * sizeof(uint64_t));
	free(seconds.value);
	return summary;
}

static char *command_text(const struct bench *bench)
{
	char *text = xstrdup(bench->command[0]), *longer;
	size_t i;

	for (i = 1; bench->command[i]; i++) {
		longer = xformat("%s %s", text, bench->command[i]);
		free(text);
		text = longer;
	}
	return text;
}

/* --- Text --- */

static char *count_text(uint64_t count)
{
	char buf[NUMBER_SIZE];

	return xstrdup(count == COUNT_UNKNOWN ? "-" : format_count(buf, count, false));
}

static char *quotient_text(uint64_t part, uint64_t whole, double factor, int digits)
{
	if (part == COUNT_UNKNOWN || whole == COUNT_UNKNOWN || !whole)
		return xstrdup("-");
	return xformat("%.*f", digits, factor * (double)part / (double)whole);
}

static void print_lane(const char *name, const struct summary *lane, const struct summary *first)
{
	char *texts[] = {
		count_text(lane->count[COUNT_CYCLES]),
		quotient_text(lane->count[COUNT_CYCLES], lane->count[COUNT_INSTRUCTIONS], 1, 2),
		quotient_text(lane->count[COUNT_WALK_CYCLES], lane->count[COUNT_CYCLES], 100, 1),
		count_text(lane->count[COUNT_WALKS]),
		quotient_text(lane->local_tables, lane->tables, 100, 1),
	};
	size_t i;

	printf("%-10s %8.3f %8.3f %8.3f %6.2f %6s %6s %6s %6s %7s\n", name, lane->seconds,
	       lane->least, lane->most, lane->seconds / first->seconds, texts[0], texts[1],
	       texts[2], texts[3], texts[4]);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
}

void bench_print(const struct bench *bench)
{
	struct summary first = summarize(bench, 0), lane;
	char *command = command_text(bench);
	size_t i;

	printf("machine %s, walk events: %s\n", bench->cpu->name ? bench->cpu->name : "unknown",
	       bench->cpu->list ? bench->cpu->list : "none known");
	printf("%s: %s, median of %llu\n\n", command,
	       bench->results[0].marked ? "its region of interest" : "the whole run",
	       (unsigned long long)bench->rounds);
	printf("%-10s %8s %8s %8s %6s %6s %6s %6s %6s %7s\n", "lane", "seconds", "min", "max",
	       "ratio", "cycles", "CPI", "walk %", "walks", "local %");
	for (i = 0; i < bench->lanes->count; i++) {
		lane = summarize(bench, i);
		print_lane(bench->lanes->lane[i].name, &lane, &first);
	}
	free(command);
}

/* --- JSON --- */

static void json_node(const char *key, int node, const char *none)
{
	if (node == NODE_REAL)
		json_text(key, none);
	else
		json_count(key, (uint64_t)node);
}

static void json_lanes(const struct bench *bench)
{
	const struct lane *lane = bench->lanes->lane, *end = lane + bench->lanes->count;

	json_open("lanes", '[');
	for (; lane < end; lane++) {
		bool copies = lane_has_policy(lane) && lane->table_node == NODE_REAL;

		json_open(NULL, '{');
		json_text("name", lane->name);
		json_node("cpu_node", lane->cpu_node, "real");
		json_node("data_node", lane->data_node, "real");
		json_node("table_node", lane->table_node, copies ? "copies" : "real");
		json_text("copies", copies ? lane->policy.text : NULL);
		json_node("loaded_node", lane->loaded_node, NULL);
		json_close('}');
	}
	json_close(']');
}

/* The model's measures; all but two of them are what no hardware tells. */
static void json_measures(const struct summary *lane)
{
	uint64_t measures[NR_MEASURES];
	size_t i;

	for (i = 0; i < NR_MEASURES; i++)
		measures[i] = COUNT_UNKNOWN;
	measures[MEASURE_CYCLES] = lane->count[COUNT_CYCLES];
	measures[MEASURE_WALK_CYCLES] = lane->count[COUNT_WALK_CYCLES];
	json_text("elapsed", NULL);
	for (i = 0; i < NR_MEASURES; i++)
		json_count(measure_names[i], measures[i]);
}

static void json_rounds(const struct bench *bench, size_t lane)
{
	const struct result *result = bench->results + lane * bench->rounds;
	const struct result *end = result + bench->rounds;
	size_t i;

	json_open("rounds", '[');
	for (; result < end; result++) {
		json_open(NULL, '{');
		json_real("seconds", result->seconds);
		for (i = 0; i < NR_COUNTS; i++)
			json_count(count_names[i], result->count[i]);
		json_close('}');
	}
	json_close(']');
}

static void json_lane(const struct bench *bench, size_t index)
{
	struct summary lane = summarize(bench, index);

	json_open(NULL, '{');
	json_measures(&lane);
	json_count("instructions", lane.count[COUNT_INSTRUCTIONS]);
	json_count("walks", lane.count[COUNT_WALKS]);
	json_count("cpu_time", lane.count[COUNT_CPU_TIME]);
	json_count("page_faults", lane.count[COUNT_PAGE_FAULTS]);
	json_real("seconds", lane.seconds);
	json_real("seconds_min", lane.least);
	json_real("seconds_max", lane.most);
	json_count("tables", lane.tables);
	json_count("local_tables", lane.local_tables);
	json_count("pages", lane.pages);
	json_count("local_pages", lane.local_pages);
	json_rounds(bench, index);
	json_close('}');
}

/* The model's events are those of all lanes; here each has its own. */
static void json_total(const struct bench *bench)
{
	size_t i;

	json_open("total", '{');
	json_open("events", '{');
	for (i = 0; i < NR_EVENTS; i++)
		json_text(event_names[i], NULL);
	json_close('}');
	json_open("lanes", '[');
	for (i = 0; i < bench->lanes->count; i++)
		json_lane(bench, i);
	json_close(']');
	json_close('}');
}

void bench_print_json(const struct bench *bench)
{
	char *command = command_text(bench);
	struct utsname kernel;

	uname(&kernel);
	json_open(NULL, '{');
	json_text("schema", SCHEMA);
	json_text("machine", bench->cpu->name);
	json_text("mhz", NULL);
	json_text("events", bench->cpu->list);
	json_text("kernel", kernel.release);
	json_text("command", command);
	json_text("region", bench->results[0].marked ? "marked" : "whole");
	json_text("note", bench->note);
	json_lanes(bench);
	json_total(bench);
	json_text("cpus", NULL);
	json_text("nodes", NULL);
	json_text("processes", NULL);
	json_text("freed", NULL);
	json_end();
	free(command);
}
