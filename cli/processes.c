// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "capture.h"
#include "processes.h"
#include "util.h"

#define FILE_NAME	"numa_pgtables"
#define EXPLAINED	(-1)	/* an error that the user has been told */

/* 0, errno or EXPLAINED. */
static int read_capture(pid_t pid, struct capture **capture)
{
	char *text = proc_read(pid, FILE_NAME), *source;

	if (!text)
		return errno;
	source = xformat("/proc/%d/" FILE_NAME, pid);
	*capture = capture_parse(text, source);
	free(source);
	free(text);
	return *capture ? 0 : EXPLAINED;
}

static uint64_t all_tables(const struct capture *capture)
{
	uint64_t sum = 0;
	unsigned int level;

	for (level = 1; level <= capture->levels; level++)
		sum += capture_total(capture, TREE_PRIMARY, level);
	return sum;
}

/* Rounded down, so that 100 says that not one table is remote. */
static uint64_t least_local(const struct capture *capture)
{
	uint64_t least = COUNT_UNKNOWN, local, all;
	size_t i;

	for (i = 0; i < capture->nodes.count; i++) {
		capture_share(capture, capture->nodes.id[i], &local, &all);
		if (all && local * 100 / all < least)
			least = local * 100 / all;
	}
	return least;
}

static struct process *add_record(struct processes *list)
{
	list->process = xrealloc(list->process, list->count + 1, sizeof(*list->process));
	return &list->process[list->count++];
}

/* "replicate 0-3" is a word and its nodes; the others have none. */
static void split_effective(struct process *process, const char *effective)
{
	char *blank;

	process->effective = xstrdup(effective);
	blank = strchr(process->effective, ' ');
	process->nodes = blank ? xstrdup(blank + 1) : NULL;
	if (blank)
		*blank = '\0';
}

static void add_process(struct processes *list, pid_t pid, const struct capture *capture)
{
	struct process *process = add_record(list);

	*process = (struct process){
		.pid = (uint64_t)pid,
		.policy = xstrdup(capture->policy),
		.command = process_name(pid),
		.replicas = capture->replica_bytes,
		.fallbacks = capture->fallbacks,
		.levels = capture->levels,
		.tables = all_tables(capture),
		.migrations = capture->migrations,
		.local = least_local(capture),
		.added = COUNT_UNKNOWN,
		.removed = COUNT_UNKNOWN,
	};
	split_effective(process, capture->effective);
}

static int look_at(struct processes *list, pid_t pid, bool only_in_force)
{
	struct capture *capture = NULL;
	int error = read_capture(pid, &capture);

	if (!error && (!only_in_force || strcmp(capture->effective, "none")))
		add_process(list, pid, capture);
	capture_free(capture);
	return error;
}

static int explain(pid_t pid, int error)
{
	return error == EXPLAINED ? EXIT_FAILURE : explain_process(pid, FILE_NAME, error);
}

int processes_look_at(struct processes *list, const struct pids *pids)
{
	int status = EXIT_SUCCESS, error;
	size_t i;

	for (i = 0; i < pids->count; i++) {
		error = look_at(list, pids->pid[i], false);
		if (error)
			status = explain(pids->pid[i], error);
		if (status == EXIT_UNSUPPORTED)
			break;
	}
	return status;
}

/* Whether a process that has @policy may be one of those; looking at it will tell. */
static bool may_be(enum which_processes which, const char *policy, bool system)
{
	switch (which) {
	case PROCESSES_ALL:
		return true;
	case PROCESSES_IN_FORCE:
		return strcmp(policy, "none") && (system || strcmp(policy, "default"));
	default:
		return strcmp(policy, "none") && strcmp(policy, "default");
	}
}

/* The policy is read first: it is cheap, looking at all tables is not. */
static int look_if(struct processes *list, pid_t pid, enum which_processes which, bool system)
{
	char *policy = proc_read(pid, "pgtable_policy");
	int error = 0;

	if (!policy)
		return errno;
	if (may_be(which, policy, system))
		error = look_at(list, pid, which == PROCESSES_IN_FORCE);
	free(policy);
	return error;
}

static bool system_has_policy(void)
{
	char *policy = read_file("/sys/kernel/mm/mitosis/policy");
	bool some = policy && strcmp(policy, "none");

	free(policy);
	return some;
}

int processes_look_at_running(struct processes *list, enum which_processes which)
{
	bool system = system_has_policy();
	int status = EXIT_SUCCESS, error;
	struct pids pids = { 0 };
	size_t i;

	pids_running(&pids);
	for (i = 0; i < pids.count && status != EXIT_UNSUPPORTED; i++) {
		error = look_if(list, pids.pid[i], which, system);
		if (error == EACCES || error == EPERM)
			list->hidden++;
		else if (error && error != ENOENT && error != ESRCH)
			status = explain(pids.pid[i], error);
	}
	free(pids.pid);
	return status;
}

/* A number that was given to another process meanwhile tells by its program's name, mostly. */
static const struct process *find(const struct processes *list, const struct process *process)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->process[i].pid == process->pid &&
		    !strcmp(list->process[i].command, process->command))
			return &list->process[i];
	}
	return NULL;
}

static uint64_t above(uint64_t one, uint64_t other)
{
	return one > other ? one - other : 0;
}

void processes_compare(struct processes *list, const struct processes *before)
{
	struct process *process;
	const struct process *was;

	for (process = list->process; process < list->process + list->count; process++) {
		was = find(before, process);
		if (!was)
			continue;
		process->added = above(process->replicas, was->replicas);
		process->removed = above(was->replicas, process->replicas);
	}
}

void processes_free(struct processes *list)
{
	struct process *process = list->process;

	for (; list->count; list->count--, process++) {
		free(process->policy);
		free(process->effective);
		free(process->nodes);
		free(process->command);
	}
	free(list->process);
	*list = (struct processes){ 0 };
}
