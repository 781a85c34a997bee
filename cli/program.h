/* SPDX-License-Identifier: GPL-2.0 */
/* Programs that are started on nodes, as numactl does it, and under a policy. */
#ifndef MITOSIS_PROGRAM_H
#define MITOSIS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct program {
	char *const *argv;	/* looked for beside this command, then in PATH */
	int cpu_node, data_node;	/* NODE_REAL: any */
	const char *policy;	/* of page tables; NULL: this command's */
	int output;		/* where its stdout goes */
};

struct child {
	pid_t pid;
	int go;			/* program_go() writes here */
	int commands, answers;	/* of the protocol of WORKLOAD_CONTROL, this command's ends */
};

/* The child is on its node and has its policy, and waits with the program for program_go(). */
struct child program_prepare(const struct program *program);
void program_go(struct child *child);

/* Wait for its end and leave with an explanation unless it succeeds; @where: in which lane. */
void program_end(struct child *child, const char *name, const char *where);

/* Programs that keep the memory of @node busy; @where as above. */
struct load {
	uint64_t threads;	/* 0: one for each CPU of the node */
	const char *size;	/* of each, as for hog; NULL: hog's own */
};
struct child load_start(const struct load *load, int node, const char *where, int *output);
void load_stop(struct child *child, const char *where, int output);

#endif
