/* SPDX-License-Identifier: GPL-2.0 */
/* What numa_pgtables tells of each of some processes, as records for a table. */
#ifndef MITOSIS_PROCESSES_H
#define MITOSIS_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proc.h"

struct process {
	uint64_t pid;
	char *policy, *effective, *nodes, *command;
	uint64_t replicas, fallbacks, levels, tables, migrations;
	uint64_t local;		/* percent, of the node with the least; see capture_share() */
	uint64_t added, removed;	/* bytes of replicas since an earlier look */
};

struct processes {
	struct process *process;
	size_t count, hidden;	/* hidden: processes of other users */
};

#define PROCESS_COLUMN(name, help, type, member, extra) \
	{ name, help, type, offsetof(struct process, member), extra }

enum which_processes {
	PROCESSES_WITH_POLICY,	/* of their own */
	PROCESSES_IN_FORCE,	/* with one in force, of their own or the system's */
	PROCESSES_ALL,
};

/* Each tells the user what is wrong, and returns the exit status. */
int processes_look_at(struct processes *list, const struct pids *pids);
int processes_look_at_running(struct processes *list, enum which_processes which);

/* Fill in what was added and removed since @before, of processes that are in both. */
void processes_compare(struct processes *list, const struct processes *before);

void processes_free(struct processes *list);

#endif
