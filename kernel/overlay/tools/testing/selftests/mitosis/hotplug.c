// SPDX-License-Identifier: GPL-2.0
/* Memory and CPUs that go and come back under a running process. */
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>

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

/* CPUs that go while they keep a root lazily, and policies that change meanwhile. */

SETTING(seconds, 10, "duration of each stress")

static bool storm_ends;
static long policy_changes, rests;

/* A CPU that is offline takes no thread: the member goes on where it is. */
static void try_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The first member changes policies; the others let their CPUs idle on this process's root. */
static void be_in_storm(const struct member *member, void *arg)
{
	volatile char *p = arg;

	while (!__atomic_load_n(&storm_ends, __ATOMIC_RELAXED)) {
		if (!member->index) {
			must_set_policy(SELF, policy_changes++ % 2 ? "replicate all" : "none");
			continue;
		}
		try_pin(member->cpu);
		p[member->index * PAGE]++;
		usleep(500);
		__atomic_fetch_add(&rests, 1, __ATOMIC_RELAXED);
	}
}

static void write_online(int cpu, const char *online)
{
	char path[96];
	int error;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	error = write_file(path, online);
	if (error)
		fail("CPU %d cannot be switched: %s", cpu, strerror(error));
}

/* Return how often CPUs went and came back, all but that of the first member in turn. */
static long switch_cpus(void)
{
	double end = now() + seconds.value;
	long rounds = 0;

	for (; now() < end; rounds++) {
		int cpu = crew[1 + rounds % (nr_crew - 1)].cpu;

		write_online(cpu, "0");
		write_online(cpu, "1");
	}
	return rounds;
}

TEST(cpu_storm, .timeout = 120)
{
	char *p = map_anon(SIZE, PMD_SIZE);
	long rounds;

	if (without_mitosis)
		skip("changes policies");
	if (nr_crew < 2)
		skip("needs CPUs on two nodes");
	need_nodes(2);
	fill(p, SIZE, 1);
	pin_to_cpu(crew[0].cpu);
	/* Once, for what is undone at the end and for CPUs that cannot be switched. */
	for (int i = 1; i < nr_crew; i++) {
		set_cpu(crew[i].cpu, "0");
		set_cpu(crew[i].cpu, "1");
	}
	crew_begin(be_in_storm, map_anon(nr_crew * PAGE, PAGE));
	rounds = switch_cpus();
	__atomic_store_n(&storm_ends, true, __ATOMIC_RELAXED);
	crew_end();
	note("%ld CPUs went and came, %ld policies, %ld rests", rounds, policy_changes, rests);
	check(rounds >= 3 && policy_changes >= 3 && rests >= 3);
	must_set_policy(SELF, test_policy);
	for (int i = 0; i < nr_crew; i++)
		crew_pin(i);
	expect_all_well(p, 1);
	check_roots();
}

/* Memory modules that can be taken out: their blocks hold movable pages only. */

static struct nodes blocks_of(int node)
{
	struct nodes blocks = { 0 };
	struct dirent *entry;
	char path[96];
	DIR *dir;
	int block;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
	dir = opendir(path);
	check(dir);
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "memory%d", &block) == 1)
			blocks.id[blocks.nr++] = block;
	closedir(dir);
	return blocks;
}

static bool is_movable(int block)
{
	char path[96], text[64];

	snprintf(path, sizeof(path), MEMORY "/memory%d/valid_zones", block);
	return read_file(path, text, sizeof(text)) > 0 && !strncmp(text, "Movable", 7);
}

static struct nodes module_blocks(int node)
{
	struct nodes blocks = blocks_of(node), movable = { 0 };

	for (int i = 0; i < blocks.nr; i++)
		if (is_movable(blocks.id[i]))
			movable.id[movable.nr++] = blocks.id[i];
	return movable;
}

/* Return a node that has a module, or skip. */
static int node_with_module(void)
{
	for (int i = 0; i < full_nodes()->nr; i++)
		if (module_blocks(full_nodes()->id[i]).nr)
			return full_nodes()->id[i];
	skip("no memory module that can be taken out (machine memhp)");
}

/* Pages of the process that lie on the module. */
static char *map_on_module(int node, unsigned int seed)
{
	char *p = map_anon(SIZE, PMD_SIZE);

	if (member_of_node(node) < 0)
		skip("node %d has no CPU", node);
	fill_by(member_of_node(node), p, SIZE, seed);
	check_eq(node_of_page(p), node);
	return p;
}

TEST(module_offline, .timeout = 180)
{
	int node = node_with_module();
	struct nodes blocks = module_blocks(node);
	char *p = map_on_module(node, 1), path[96];
	uint64_t before = PAGEMAP_PFN(pagemap(p));

	for (int i = 0; i < blocks.nr; i++) {
		snprintf(path, sizeof(path), MEMORY "/memory%d/state", blocks.id[i]);
		undo_later(UNDO_WRITE, path, "online");
		check_eq(set_block(blocks.id[i], "offline"), 0);
	}
	check_eq(module_blocks(node).nr, 0);
	if (PAGEMAP_PFN(pagemap(p)) == before)
		fail("a page lies where no memory is");
	expect_all_well(p, 1);
	for (int i = 0; i < blocks.nr; i++)
		check_eq(set_block(blocks.id[i], "online_movable"), 0);
	expect_all_well(p, 2);
}

#define MONITOR		"/dev/virtio-ports/monitor"
#define MODULE_STATUS	"/sys/bus/acpi/devices/PNP0C80:*/status"

/* Modules that the machine has. One that the kernel has let go may still have to leave. */
static int plugged(void)
{
	glob_t places;
	int nr = 0;

	if (glob(MODULE_STATUS, 0, NULL, &places))
		skip("no %s (CONFIG_ACPI_HOTPLUG_MEMORY)", MODULE_STATUS);
	for (size_t i = 0; i < places.gl_pathc; i++)
		nr += read_number(places.gl_pathv[i]) > 0;
	globfree(&places);
	return nr;
}

/* A module is called after its place in the machine's file. */
static void tell_machine(int monitor, const char *command)
{
	check_eq(write(monitor, command, strlen(command)), strlen(command));
}

/*
 * The machine's own monitor is at the other end of a serial port. While QEMU changes its map of
 * memory, it loses what a vCPU writes to a device's registers, and the port's driver then waits
 * without end for an answer; closing the port is such a write. So the port stays open, and is left
 * alone until a module has come or gone.
 */
TEST(module_removed, .timeout = 180)
{
	int node = node_with_module(), had = blocks_of(node).nr;
	int module = module_blocks(node).nr;
	int modules = plugged(), monitor = open(MONITOR, O_WRONLY | O_CLOEXEC);
	char *p, command[96];

	if (monitor < 0)
		skip("%s: %s", MONITOR, strerror(errno));
	p = map_on_module(node, 1);
	tell_machine(monitor, "device_del dimm0\n");
	if (!wait_until(blocks_of(node).nr == had - module, 30))
		fail("node %d has %d blocks of memory, it had %d with its module", node,
		     blocks_of(node).nr, had);
	check(wait_until(plugged() == modules - 1, 30));
	expect_all_well(p, 1);
	snprintf(command, sizeof(command), "device_add pc-dimm,id=dimm0,memdev=module0,node=%d\n", node);
	tell_machine(monitor, command);
	if (!wait_until(module_blocks(node).nr == module, 30))
		fail("the module has not come back to node %d", node);
	check_eq(plugged(), modules);
	expect_all_well(p, 2);
	close(monitor);
}
