// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "perf.h"
#include "proc.h"
#include "util.h"

#define PARANOID	"/proc/sys/kernel/perf_event_paranoid"

static _Noreturn void explain_refusal(bool user)
{
	char *level = read_file(PARANOID);

	errx(EXIT_FAILURE, "may not count%s: kernel.perf_event_paranoid is %s; set it to %s%s, or run as root",
	     user ? "" : " what the kernel does", level ? level : "unknown", user ? "2" : "1",
	     user ? "" : ", count the program alone with --user");
}

static int open_event(const struct cpu_event *event, pid_t pid, bool user)
{
	struct perf_event_attr attr = {
		.type = event->type,
		.size = sizeof(attr),
		.config = event->config,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
		.disabled = 1,
		.enable_on_exec = 1,
		.inherit = 1,
		.exclude_kernel = user,
		.exclude_hv = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case EACCES:
	case EPERM:
		explain_refusal(user);
	case ENOSYS:
	case ENOENT:
	case ENODEV:
	case EOPNOTSUPP:
	case EINVAL:
		return -1;
	default:
		err(EXIT_FAILURE, "cannot count %s", event->name);
	}
}

void perf_open(struct perf *perf, const struct cpu *cpu, pid_t pid, bool user)
{
	unsigned int i;

	perf->cpu = cpu;
	for (i = 0; i < cpu->nr_events; i++)
		perf->fd[i] = open_event(&cpu->event[i], pid, user);
}

void perf_read(const struct perf *perf, struct perf_reading reading[MAX_EVENTS])
{
	unsigned int i;

	for (i = 0; i < perf->cpu->nr_events; i++) {
		if (perf->fd[i] >= 0 &&
		    read(perf->fd[i], &reading[i], sizeof(reading[i])) != sizeof(reading[i]))
			err(EXIT_FAILURE, "cannot read the counter of %s", perf->cpu->event[i].name);
	}
}

void perf_close(struct perf *perf)
{
	unsigned int i;

	for (i = 0; i < perf->cpu->nr_events; i++) {
		if (perf->fd[i] >= 0)
			close(perf->fd[i]);
	}
}

/* All events of a count, of which there is at least one. */
bool perf_counts(const struct perf *perf, enum count count)
{
	bool counted = false;
	unsigned int i;

	for (i = 0; i < perf->cpu->nr_events; i++) {
		if (perf->cpu->event[i].count != count)
			continue;
		if (perf->fd[i] < 0)
			return false;
		counted = true;
	}
	return counted;
}

bool perf_add(const struct perf *perf, const struct perf_reading from[MAX_EVENTS],
	      const struct perf_reading to[MAX_EVENTS], uint64_t count[NR_COUNTS])
{
	bool complete = true;
	unsigned int i;

	for (i = 0; i < NR_COUNTS; i++) {
		if (!perf_counts(perf, i))
			count[i] = COUNT_UNKNOWN;
	}
	for (i = 0; i < perf->cpu->nr_events; i++) {
		uint64_t *sum = &count[perf->cpu->event[i].count];

		if (*sum == COUNT_UNKNOWN)
			continue;
		*sum += to[i].value - from[i].value;
		if (to[i].running - from[i].running < to[i].enabled - from[i].enabled) {
			*sum = COUNT_UNKNOWN;
			complete = false;
		}
	}
	return complete;
}
