// SPDX-License-Identifier: GPL-2.0
/* Memory and CPUs that go and come back under a running process. */
#include <dirent.h>

#include "mitosis_test.h"

#define MEMORY	"/sys/devices/system/memory"
#define SIZE	(4 * MB)

static void expect_all_well(char *p, unsigned int seed)
{
	expect_filled(p, SIZE, seed);
	fill(p, SIZE, seed + 1);
	expect_filled(p, SIZE, seed + 1);
	check_tables(SELF);
}

static int set_block(int block, const char *state)
{
	char path[96];

	snprintf(path, sizeof(path), MEMORY "/memory%d/state", block);
	return write_file(path, state);
}

/* Return a block that could be taken offline, tried from the last on, or -1. */
static int take_a_block(void)
{
	char path[96], text[32];
	int last = -1, tries = 0;
	struct dirent *entry;
	DIR *dir = opendir(MEMORY);

	if (!dir)
		skip("no %s (CONFIG_MEMORY_HOTPLUG)", MEMORY);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "memory", 6) && atoi(entry->d_name + 6) > last)
			last = atoi(entry->d_name + 6);
	closedir(dir);
	for (int block = last; block > 0 && tries < 12; block--) {
		snprintf(path, sizeof(path), MEMORY "/memory%d/state", block);
		if (read_file(path, text, sizeof(text)) < 0 || strcmp(text, "online"))
			continue;
		tries++;
		if (!set_block(block, "offline"))
			return block;
	}
	return -1;
}

TEST(memory, .timeout = 180)
{
	char *p = map_anon(SIZE, PMD_SIZE), path[96], text[32];
	int block;

	fill(p, SIZE, 1);
	block = take_a_block();
	if (block < 0)
		skip("no block of memory can be taken offline");
	snprintf(path, sizeof(path), MEMORY "/memory%d/state", block);
	undo_later(UNDO_WRITE, path, "online");
	check(read_file(path, text, sizeof(text)) > 0 && !strcmp(text, "offline"));
	expect_all_well(p, 1);
	check_eq(set_block(block, "online"), 0);
	expect_all_well(p, 2);
}

static void set_cpu(int cpu, const char *online)
{
	char path[96];
	int error;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	error = write_file(path, online);
	if (error)
		skip("CPU %d cannot be switched: %s", cpu, strerror(error));
	if (*online == '0')
		undo_later(UNDO_WRITE, path, "1");
}

static bool follows_nodes(void)
{
	struct nodes effective = effective_nodes(SELF);

	if (effective.nr != full_nodes()->nr)
		return false;
	for (int i = 0; i < effective.nr; i++)
		if (!has_node(full_nodes(), effective.id[i]))
			return false;
	return true;
}

static void expect_follows_nodes(int cpu, bool online)
{
	if (without_mitosis || strcmp(test_policy, "replicate all"))
		return;
	if (!wait_until(follows_nodes(), 10))
		fail("10 s after CPU %d went %s %d nodes are in force, %d have CPUs and memory", cpu,
		     online ? "online" : "offline", effective_nodes(SELF).nr, full_nodes()->nr);
}

TEST(cpu)
{
	char *p = map_anon(SIZE, PMD_SIZE);
	int last = nr_crew - 1;

	if (nr_crew < 2)
		skip("needs CPUs on two nodes");
	fill(p, SIZE, 1);
	for (int round = 0; round < 2; round++) {
		/* The member's thread goes on elsewhere, on the root of another node. */
		set_cpu(crew[last].cpu, "0");
		expect_all_well(p, 1 + 2 * round);
		expect_follows_nodes(crew[last].cpu, false);
		check_tables(SELF);
		set_cpu(crew[last].cpu, "1");
		crew_pin(last);
		expect_all_well(p, 2 + 2 * round);
		expect_follows_nodes(crew[last].cpu, true);
	}
	check_roots();
}
