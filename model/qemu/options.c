// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* Chosen: what some 20 misses to another node take, and QEMU some milliseconds. */
#define DEFAULT_QUANTUM	10000

struct words {
	struct options *options;
	const char *machine;
	const char *setting[OPTIONS_MAX_SETTINGS];
	size_t nr_settings;
	uint64_t node_bytes[MAX_NODES];
	unsigned int nr_nodes;
	FILE *errors;
};

static bool parse_number(const char *text, uint64_t most, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*number = strtoull(text, &end, 10);
	return !*end && *number <= most;
}

static bool set_text(const char **field, const char *value)
{
	*field = value;
	return *value;
}

static bool set_machine(struct words *words, const char *value)
{
	return set_text(&words->machine, value);
}

static bool add_setting(struct words *words, const char *value)
{
	if (words->nr_settings == OPTIONS_MAX_SETTINGS)
		return false;
	return set_text(&words->setting[words->nr_settings++], value);
}

static bool add_lane(struct words *words, const char *value)
{
	return lanes_add(&words->options->lanes, value, words->errors);
}

/* MIB:FILE, in the order of nodes. */
static bool add_node(struct words *words, const char *value)
{
	const char *colon = strchr(value, ':');
	char *end;

	if (!colon || words->nr_nodes == MAX_NODES || *value < '0' || *value > '9')
		return false;
	words->node_bytes[words->nr_nodes] = strtoull(value, &end, 10) << 20;
	words->options->node_file[words->nr_nodes++] = colon + 1;
	return end == colon;
}

/* Nodes of the CPUs, in the order of CPUs, separated by colons. */
static bool set_cpus(struct words *words, const char *value)
{
	struct options *options = words->options;
	char *end;

	for (options->nr_cpus = 0; options->nr_cpus < OPTIONS_MAX_CPUS; value = end + 1) {
		if (*value < '0' || *value > '9')
			return false;
		options->cpu_node[options->nr_cpus++] = strtol(value, &end, 10);
		if (*end != ':')
			return !*end;
	}
	return false;
}

static bool set_region(struct words *words, const char *value)
{
	uint64_t number;

	if (!parse_number(value, MAX_REGION, &number))
		return false;
	words->options->region = number;
	return true;
}

static bool set_kernel(struct words *words, const char *value)
{
	words->options->without_kernel = !strcmp(value, "no");
	return !strcmp(value, "no") || !strcmp(value, "yes");
}

static bool set_quantum(struct words *words, const char *value)
{
	return parse_number(value, 1000000000, &words->options->quantum);
}

static bool set_format(struct words *words, const char *value)
{
	words->options->format = strcmp(value, "json") ? REPORT_TEXT : REPORT_JSON;
	return !strcmp(value, "json") || !strcmp(value, "text");
}

static bool set_report(struct words *words, const char *value)
{
	return set_text(&words->options->report, value);
}

static bool set_trace(struct words *words, const char *value)
{
	return set_text(&words->options->trace, value);
}

static const struct option {
	const char *name, *allowed;	/* NULL: set() says it */
	bool (*set)(struct words *words, const char *value);
} table[] = {
	{ "machine", "the path of a machine file", set_machine },
	{ "setting", "a line of a machine file, at most 64 of them", add_setting },
	{ "lane", NULL, add_lane },
	{ "node", "MIB:FILE", add_node },
	{ "cpus", "the nodes of all CPUs, as in 0:0:1:1", set_cpus },
	{ "region", "0 to 255", set_region },
	{ "kernel", "yes or no", set_kernel },
	{ "quantum", "a number of cycles, at most 1000000000", set_quantum },
	{ "format", "text or json", set_format },
	{ "report", "the path of a file to write", set_report },
	{ "trace", "the path of a file to write", set_trace },
};

static bool parse_word(struct words *words, const char *word)
{
	size_t length = strcspn(word, "=");

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strlen(table[i].name) != length || memcmp(table[i].name, word, length))
			continue;
		if (word[length] && table[i].set(words, word + length + 1))
			return true;
		if (table[i].allowed)
			fprintf(words->errors, "%s= takes %s, not '%s'\n", table[i].name,
				table[i].allowed, word + length + !!word[length]);
		return false;
	}
	fprintf(words->errors, "there is no option '%s':", word);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		fprintf(words->errors, " %s=", table[i].name);
	fprintf(words->errors, "\n");
	return false;
}

static bool missing(const struct words *words, const char *name)
{
	fprintf(words->errors, "option %s= is missing\n", name);
	return false;
}

static bool check(const struct words *words)
{
	const struct options *options = words->options;

	if (!words->machine)
		return missing(words, "machine");
	if (!options->report)
		return missing(words, "report");
	if (!words->nr_nodes)
		return missing(words, "node");
	if (!options->nr_cpus)
		return missing(words, "cpus");
	for (unsigned int cpu = 0; cpu < options->nr_cpus; cpu++) {
		if (options->cpu_node[cpu] < (int)words->nr_nodes)
			continue;
		fprintf(words->errors, "CPU %u is said to be of node %d, but there are %u nodes\n",
			cpu, options->cpu_node[cpu], words->nr_nodes);
		return false;
	}
	return true;
}

static bool fits(const struct words *words)
{
	const struct machine *machine = words->options->machine;

	if (words->nr_nodes <= machine->nodes)
		return true;
	fprintf(words->errors, "the guest has %u nodes, and the machine %s only %u\n",
		words->nr_nodes, machine->path, machine->nodes);
	return false;
}

bool options_parse(struct options *options, int nr_words, char *const *text, FILE *errors)
{
	struct words words = { .options = options, .errors = errors };

	*options = (struct options){ .region = ANY_REGION, .quantum = DEFAULT_QUANTUM };
	for (int i = 0; i < nr_words; i++)
		if (!parse_word(&words, text[i]))
			return false;
	if (!check(&words))
		return false;
	options->machine = machine_read(words.machine, words.setting, words.nr_settings, errors);
	if (!options->machine || !fits(&words))
		return false;
	layout_q35(&options->layout, words.node_bytes, words.nr_nodes);
	return lanes_complete(&options->lanes, options->machine, errors);
}
