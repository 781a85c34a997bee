/* SPDX-License-Identifier: GPL-2.0 */
/* The policy that a user asks for, what the kernel shall read, its answers. */
#ifndef MITOSIS_POLICY_H
#define MITOSIS_POLICY_H

#include <getopt.h>
#include <stdbool.h>
#include <sys/types.h>
#include "nodes.h"

struct policy_request {
	const char *mode;	/* NULL until one is given */
	const char *text;	/* nodes as written, or NULL */
	struct node_list list;
	struct nodes online;
};

#define POLICY_SHORT_OPTIONS "r:b:nd"
#define POLICY_LONG_OPTIONS \
	{ "replicate", required_argument, NULL, 'r' },	\
	{ "bind", required_argument, NULL, 'b' },	\
	{ "none", no_argument, NULL, 'n' },		\
	{ "default", no_argument, NULL, 'd' }

#define POLICY_HELP \
	" -r, --replicate LIST  keep a copy of the page table on each node of LIST\n"	\
	" -b, --bind N          keep one page table, on node N\n"			\
	" -n, --none            leave page tables where they come to lie\n"		\
	" -d, --default         follow the system's policy\n"

#define NODE_LIST_HELP \
	"\nLIST is as for numactl: 0-3, 0,2, all, !2 (all but 2), +0 (the first node\n" \
	"of the cpuset).\n"

void policy_option(struct policy_request *request, const char *command, int option,
		   const char *argument);

/* Leaves with an explanation when the request can be right for no process. */
void policy_validate(struct policy_request *request);
void policy_free(struct policy_request *request);

/* What to write for a process; NULL after an explanation. */
char *policy_for(const struct policy_request *request, pid_t pid);

/*
 * 0 or -errno; nothing is printed.  A signal leaves the policy as it was, -EINTR,
 * or in force while the kernel moves the rest in the background, -EINPROGRESS.
 */
int policy_write(pid_t pid, const char *policy);

/* Where a page table of a process can be: memory for the kernel, CPUs that walk it. */
void usable_nodes(pid_t pid, struct nodes *nodes);

/*
 * The caller's own policy: once it is in force a program may start while the rest is moved.
 * Tells the user what is wrong, returns the exit status.
 */
int policy_take(const char *policy);

/* Tells the user why, returns the exit status. */
int policy_explain(pid_t pid, const char *policy, int error);

#endif
