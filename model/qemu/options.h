/* SPDX-License-Identifier: GPL-2.0 */
/* What the plugin is told: NAME=VALUE each, checked as far as that goes before a guest runs. */
#ifndef MODEL_OPTIONS_H
#define MODEL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lanes.h"
#include "layout.h"

#define OPTIONS_MAX_CPUS	1024
#define OPTIONS_MAX_SETTINGS	64
#define ANY_REGION		(-1)

struct options {
	struct machine *machine;
	struct lanes lanes;
	struct layout layout;
	const char *node_file[MAX_NODES];
	unsigned int nr_cpus;
	int cpu_node[OPTIONS_MAX_CPUS];
	int region;		/* the one to measure */
	bool without_kernel;	/* as if what the kernel does in a region did not happen */
	uint64_t quantum;	/* cycles, see pace.h */
	enum report format;
	const char *report;	/* where to write it */
	const char *trace;	/* or NULL */
};

/* Returns false after a sentence to @errors. The words must outlive the options. */
bool options_parse(struct options *options, int nr_words, char *const *words, FILE *errors);

#endif
