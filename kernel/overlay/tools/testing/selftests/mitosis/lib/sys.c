// SPDX-License-Identifier: GPL-2.0
/* Files of the kernel, swap, and lists of nodes. */
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <time.h>

#include "../mitosis_test.h"

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

bool exists(const char *path)
{
	return !access(path, F_OK);
}

ssize_t read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -errno;
	while (length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0)
		length += got;
	if (got < 0)
		got = -errno;
	close(fd);
	if (got < 0)
		return got;
	if (length && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
	return length;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return error;
}

long read_number(const char *path)
{
	char text[64];

	if (read_file(path, text, sizeof(text)) <= 0)
		return -1;
	return atol(text);
}

long read_field(const char *path, const char *name)
{
	size_t length = strlen(name);
	FILE *file = fopen(path, "re");
	char line[4096];
	long value = -1;

	while (file && value < 0 && fgets(line, sizeof(line), file)) {
		char *found = strstr(line, name);

		if (found && (found == line || found[-1] == ' ') &&
		    (found[length] == ':' || found[length] == ' '))
			value = strtol(found + length + 1, NULL, 10);
	}
	if (file)
		fclose(file);
	return value;
}

long smaps_kb(const void *p, size_t size, const char *field)
{
	unsigned long start, end, from = (unsigned long)p, to = from + size;
	FILE *file = fopen("/proc/self/smaps", "re");
	size_t length = strlen(field);
	bool inside = false;
	char line[4096];
	long sum = 0;

	check(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < to && end > from;
		else if (inside && !strncmp(line, field, length) && line[length] == ':')
			sum += atol(line + length + 1);
	}
	fclose(file);
	return sum;
}

static uint64_t read_word(const char *path, uint64_t index)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t word;

	if (fd < 0)
		skip("cannot open %s: %s", path, strerror(errno));
	if (pread(fd, &word, sizeof(word), index * sizeof(word)) != sizeof(word))
		fail("%s has no word %llu", path, (unsigned long long)index);
	close(fd);
	return word;
}

uint64_t pagemap(const void *p)
{
	return read_word("/proc/self/pagemap", (uintptr_t)p / PAGE);
}

uint64_t kpage_word(const char *path, uint64_t pfn)
{
	return read_word(path, pfn);
}

bool cpu_has(const char *flag)
{
	char *line = NULL, word[64];
	FILE *file = fopen("/proc/cpuinfo", "re");
	size_t size = 0;
	bool has = false;

	check(file);
	snprintf(word, sizeof(word), " %s", flag);
	while (!has && getline(&line, &size, file) > 0) {
		char *found = strncmp(line, "flags", 5) ? NULL : strstr(line, word);

		has = found && strchr(" \n", found[strlen(word)]);
	}
	free(line);
	fclose(file);
	return has;
}

void need_nodes(int nr)
{
	if (full_nodes()->nr < nr)
		skip("needs %d nodes with CPUs and memory, here are %d", nr, full_nodes()->nr);
}

/* Swap */

void need_zram(size_t size, char *path, size_t path_size)
{
	char knob[128], text[64];
	long id = read_number("/sys/class/zram-control/hot_add");

	if (id < 0)
		skip("no zram (CONFIG_ZRAM)");
	snprintf(text, sizeof(text), "%ld", id);
	undo_later(UNDO_WRITE, "/sys/class/zram-control/hot_remove", text);
	snprintf(knob, sizeof(knob), "/sys/block/zram%ld/disksize", id);
	snprintf(text, sizeof(text), "%zu", size);
	check_eq(write_file(knob, text), 0);
	snprintf(path, path_size, "/dev/zram%ld", id);
}

/* What mkswap(8) writes. */
static void make_swap(const char *device, size_t size)
{
	static char header[PAGE];
	uint32_t version_and_last[2] = { 1, size / PAGE - 1 };
	int fd = check_ok(open(device, O_WRONLY | O_CLOEXEC));

	memcpy(header + 1024, version_and_last, sizeof(version_and_last));
	memcpy(header + PAGE - 10, "SWAPSPACE2", 10);
	check_eq(write(fd, header, PAGE), PAGE);
	check_ok(fsync(fd));
	close(fd);
}

void need_swap(size_t size)
{
	char device[64];

	need_zram(size, device, sizeof(device));
	make_swap(device, size);
	if (swapon(device, 0))
		skip("swapon %s: %s", device, strerror(errno));
	undo_later(UNDO_SWAPOFF, device, NULL);
}

/* Cgroups */

int set_cgroup(const char *group, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return write_file(path, text);
}

void need_cgroup(char *path, size_t size)
{
	char controllers[512];

	if (read_file("/sys/fs/cgroup/cgroup.subtree_control", controllers, sizeof(controllers)) < 0 ||
	    !strstr(controllers, "memory"))
		skip("no memory cgroups below /sys/fs/cgroup");
	snprintf(path, size, "/sys/fs/cgroup/mitosis-test-%d", (int)getpid());
	check_ok(mkdir(path, 0755));
	undo_later(UNDO_RMDIR, path, NULL);
}

/* Nodes */

struct nodes parse_nodes(const char *text)
{
	struct nodes nodes = { 0 };
	char *end;

	while (isdigit((unsigned char)*text)) {
		long first = strtol(text, &end, 10), last = first;

		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		for (; first <= last && nodes.nr < (int)ARRAY_SIZE(nodes.id); first++)
			nodes.id[nodes.nr++] = first;
		text = *end == ',' ? end + 1 : end;
	}
	return nodes;
}

bool has_node(const struct nodes *nodes, int node)
{
	for (int i = 0; i < nodes->nr; i++)
		if (nodes->id[i] == node)
			return true;
	return false;
}

static struct nodes read_nodes(const char *path)
{
	char text[4096];

	if (read_file(path, text, sizeof(text)) < 0)
		fail("cannot read %s", path);
	return parse_nodes(text);
}

const struct nodes *full_nodes(void)
{
	static struct nodes full;
	struct nodes cpus, memory;

	cpus = read_nodes("/sys/devices/system/node/has_cpu");
	memory = read_nodes("/sys/devices/system/node/has_normal_memory");
	full.nr = 0;
	for (int i = 0; i < cpus.nr; i++)
		if (has_node(&memory, cpus.id[i]))
			full.id[full.nr++] = cpus.id[i];
	return &full;
}

int nr_all_nodes(void)
{
	return read_nodes("/sys/devices/system/node/online").nr;
}

int distance(int from, int to)
{
	char path[96], text[4096], *next = text;
	struct nodes nodes = read_nodes("/sys/devices/system/node/online");

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/distance", from);
	if (read_file(path, text, sizeof(text)) < 0)
		fail("cannot read %s", path);
	for (int i = 0; i < nodes.nr; i++) {
		long value = strtol(next, &next, 10);

		if (nodes.id[i] == to)
			return value;
	}
	fail("%s has no column for node %d", path, to);
}
