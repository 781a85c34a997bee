/* SPDX-License-Identifier: GPL-2.0 */
/* Where CPUs, data and page tables of a program are, and what is loaded: a lane, as in lab/model. */
#ifndef MITOSIS_LANE_H
#define MITOSIS_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include "policy.h"

#define NODE_REAL	(-1)	/* as it comes; of loaded_node: none */

struct lane {
	char *name;
	int cpu_node, data_node, table_node, loaded_node;
	struct policy_request policy;	/* no mode: the program keeps that of mitosis */
};

struct lanes {
	struct lane *lane;
	size_t count;
	int local, remote;	/* the nodes of the named placements; NODE_REAL: not chosen yet */
};

#define LANE_HELP \
	"LANE is a placement: LP-LD, LP-RD, RP-LD, RP-RD (page tables local or remote, data\n" \
	"local or remote), LP-RDI, RPI-LD, RPI-RDI (the remote node is loaded), each also\n" \
	"with +M (page tables replicated); all, for all of these; real and real+M (nothing\n" \
	"else is placed); or NAME=PART[,PART]... of cpus:N, data:N, tables:N, copies:LIST\n" \
	"and loaded:N.\n"

/* Both leave with an explanation if there is no such lane, or no such node. */
void lanes_add(struct lanes *lanes, const char *text);
void lanes_choose_node(int *node, const char *text);
void lanes_free(struct lanes *lanes);

bool lane_has_policy(const struct lane *lane);

#endif
