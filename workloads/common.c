// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

/* Half of what 4-level page tables let a process address. */
#define MAX_BYTES	(UINT64_C(64) << 40)

void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_CANNOT);
}

void *allocate(size_t nr, size_t size)
{
	void *memory = calloc(nr, size);

	if (!memory)
		die("out of memory");
	return memory;
}

uint64_t parse_number(const char *what, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || !isdigit((unsigned char)text[0]) || *end || value < min || value > max)
		die("%s: '%s' is not a number from %llu to %llu", what, text,
		    (unsigned long long)min, (unsigned long long)max);
	return value;
}

uint64_t parse_bytes(const char *what, const char *text)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	unsigned int shift = 0;
	const char *unit;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (errno || !isdigit((unsigned char)text[0]) || *end || value > MAX_BYTES >> shift)
		die("%s: '%s' is not a number of bytes up to 64T, such as 4096, 64M or 17G", what, text);
	return value << shift;
}

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int open_named(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC);

	if (fd < 0)
		die(CONTROL ": cannot open '%s': %s", name, strerror(errno));
	return fd;
}

static void open_control(char *names, int *commands, int *answers)
{
	char *comma = strchr(names, ',');

	if (!comma)
		die(CONTROL ": '%s' is not two files, COMMANDS,ANSWERS", names);
	*comma = '\0';
	*commands = open_named(names, O_WRONLY);
	*answers = open_named(comma + 1, O_RDONLY);
	*comma = ',';
}

void control(const char *command)
{
	static int commands = -1, answers;
	char *names = getenv(CONTROL), answer[16];
	int length = strlen(command);

	if (!names)
		return;
	if (commands < 0)
		open_control(names, &commands, &answers);
	if (write(commands, command, length) != length ||
	    read(answers, answer, sizeof(answer)) < 4 || memcmp(answer, "ack\n", 4))
		die(CONTROL ": nobody acknowledges at '%s'", names);
}

uint64_t part(uint64_t total, uint64_t index, uint64_t nr)
{
	return total / nr * index + total % nr * index / nr;
}

static bool parse_range(const char **text, long *first, long *last)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	*first = *last = strtol(*text, &end, 10);
	if (*end == '-') {
		if (!isdigit((unsigned char)end[1]))
			return false;
		*last = strtol(end + 1, &end, 10);
	}
	*text = end;
	return *first <= *last && *last < 1 << 16;
}

bool parse_ids(const char *text, struct ids *ids)
{
	long first, last;

	*ids = (struct ids){ 0 };
	while (parse_range(&text, &first, &last)) {
		ids->id = reallocarray(ids->id, ids->nr + last - first + 1, sizeof(int));
		if (!ids->id)
			die("out of memory");
		while (first <= last)
			ids->id[ids->nr++] = first++;
		if (!*text || *text == '\n')
			return true;
		if (*text++ != ',')
			return false;
	}
	return false;
}

static bool read_ids(const char *path, struct ids *ids)
{
	char line[8192] = "";
	FILE *file = fopen(path, "r");

	*ids = (struct ids){ 0 };
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return parse_ids(line, ids);
}

static bool read_node_cpus(int node, struct ids *cpus)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	return read_ids(path, cpus);
}

struct ids parse_nodes(const char *text)
{
	struct ids nodes, cpus;

	if (!strcmp(text, "all")) {
		if (!read_ids("/sys/devices/system/node/has_cpu", &nodes))
			die("cannot read /sys/devices/system/node/has_cpu; is sysfs mounted?");
		return nodes;
	}
	if (!parse_ids(text, &nodes))
		die("nodes: '%s' is not a list such as 0-3,5", text);
	for (size_t i = 0; i < nodes.nr; i++) {
		if (!read_node_cpus(nodes.id[i], &cpus))
			die("node %d has no CPU; /sys/devices/system/node/has_cpu lists the nodes that do",
			    nodes.id[i]);
		free(cpus.id);
	}
	return nodes;
}

struct ids parse_node(const char *what, const char *text)
{
	struct ids nodes = parse_nodes(text);

	if (nodes.nr != 1)
		die("%s: '%s' is not one node", what, text);
	return nodes;
}

void start_thread(pthread_t *thread, void *(*function)(void *), void *arg)
{
	int error = pthread_create(thread, NULL, function, arg);

	if (error)
		die("cannot start a thread: %s", strerror(error));
}

void pin_thread(const struct ids *nodes, size_t index)
{
	cpu_set_t *set;
	struct ids cpus;
	size_t size;
	int cpu;

	if (!nodes->nr)
		return;
	if (!read_node_cpus(nodes->id[index % nodes->nr], &cpus))
		die("node %d has lost its CPUs", nodes->id[index % nodes->nr]);
	cpu = cpus.id[index / nodes->nr % cpus.nr];
	free(cpus.id);

	set = CPU_ALLOC(cpu + 1);
	if (!set)
		die("out of memory");
	size = CPU_ALLOC_SIZE(cpu + 1);
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	if (sched_setaffinity(0, size, set))
		die("cannot run on CPU %d: %s", cpu, strerror(errno));
	CPU_FREE(set);
}

void print_ids(const struct ids *ids)
{
	for (size_t i = 0; i < ids->nr; i++) {
		size_t last = i;

		while (last + 1 < ids->nr && ids->id[last + 1] == ids->id[last] + 1)
			last++;
		printf("%s%d", i ? "," : "", ids->id[i]);
		if (last > i)
			printf("-%d", ids->id[last]);
		i = last;
	}
}
