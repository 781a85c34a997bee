// SPDX-License-Identifier: GPL-2.0
/*
 * For LD_PRELOAD: counters that count what a test says, and nodes that this machine lacks.
 * MITOSIS_PERF names a file of lines "TYPE CONFIG VALUE RUNNING", in hexadecimal but for VALUE:
 * each reading of that event is VALUE more than the last, of 100 units of time in RUNNING of
 * which it was counted. Other events do not exist; with the line "refuse", none may be counted.
 * What is asked for is appended to the file that MITOSIS_CALLS names.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILES	1024

struct reading {
	uint64_t value, enabled, running;
};

static struct reading step[MAX_FILES], sum[MAX_FILES];	/* of a descriptor that is a counter */

static void tell(const char *format, ...)
{
	FILE *calls = fopen(getenv("MITOSIS_CALLS"), "a");
	va_list args;

	if (!calls)
		_exit(99);
	va_start(args, format);
	vfprintf(calls, format, args);
	va_end(args);
	fclose(calls);
}

/* What the test says of an event: 0 or an error. */
static int look_up(const struct perf_event_attr *attr, struct reading *reading)
{
	FILE *file = fopen(getenv("MITOSIS_PERF"), "r");
	uint64_t type, config;
	int error = ENOENT;
	char line[128];

	if (!file)
		_exit(99);
	while (error == ENOENT && fgets(line, sizeof(line), file)) {
		if (!strcmp(line, "refuse\n"))
			error = EACCES;
		else if (sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNu64 " %" SCNu64, &type, &config,
				&reading->value, &reading->running) == 4 &&
			 type == attr->type && config == attr->config)
			error = 0;
	}
	fclose(file);
	reading->enabled = 100;
	return error;
}

static long open_counter(const struct perf_event_attr *attr)
{
	struct reading reading;
	int error = look_up(attr, &reading), fd;

	if (error) {
		errno = error;
		return -1;
	}
	if (!attr->inherit || !attr->enable_on_exec || attr->exclude_kernel)
		tell("counter %" PRIx32 " %" PRIx64 " inherit %d exec %d user %d\n", attr->type,
		     (uint64_t)attr->config, attr->inherit, attr->enable_on_exec,
		     attr->exclude_kernel);
	fd = memfd_create("counter", MFD_CLOEXEC);
	if (fd < 0 || fd >= MAX_FILES)
		_exit(99);
	step[fd] = reading;
	sum[fd] = (struct reading){ 0 };
	return fd;
}

long syscall(long number, ...)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long arg[6];
	va_list args;
	int i;

	va_start(args, number);
	for (i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_perf_event_open)
		return open_counter((const struct perf_event_attr *)arg[0]);
	if (number != SYS_set_mempolicy)
		return next(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	tell("set_mempolicy %ld %lx of %ld\n", arg[0], *(unsigned long *)arg[1], arg[2]);
	return 0;
}

int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	size_t cpu;

	tell("sched_setaffinity");
	for (cpu = 0; cpu < size * 8; cpu++) {
		if (CPU_ISSET_S(cpu, size, set))
			tell(" %zu", cpu);
	}
	tell("\n");
	return pid;
}

ssize_t read(int fd, void *data, size_t size)
{
	ssize_t (*next)(int, void *, size_t) =
		(ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");

	if (fd < 0 || fd >= MAX_FILES || !step[fd].enabled || size != sizeof(sum[fd]))
		return next(fd, data, size);
	sum[fd].value += step[fd].value;
	sum[fd].enabled += step[fd].enabled;
	sum[fd].running += step[fd].running;
	memcpy(data, &sum[fd], size);
	return (ssize_t)size;
}
