// SPDX-License-Identifier: GPL-2.0
/*
 * A dialogue with QEMU's monitor, through a serial port that is named "monitor". It echoes what is
 * typed, and prints a prompt after each answer. All that is asked for reads only.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>

#include "../mitosis_test.h"
#include "monitor.h"

#define PORT		"/dev/virtio-ports/monitor"
#define PROMPT		"(qemu) "
#define PATIENCE	60	/* seconds */
#define BATCH		16	/* questions at a time */

typedef void (*line_fn)(char *line);

static struct {
	int fd;
	size_t from, to;
	char text[65536];
} monitor;

static void read_more(void)
{
	struct pollfd port = { .events = POLLIN, .fd = monitor.fd };
	ssize_t got;

	memmove(monitor.text, monitor.text + monitor.from, monitor.to - monitor.from);
	monitor.to -= monitor.from;
	monitor.from = 0;
	if (poll(&port, 1, PATIENCE * 1000) != 1)
		fail("QEMU's monitor has been silent for %d s", PATIENCE);
	got = read(monitor.fd, monitor.text + monitor.to, sizeof(monitor.text) - monitor.to);
	if (got <= 0)
		fail("cannot read from QEMU's monitor: %s", got ? strerror(errno) : "nobody there");
	monitor.to += got;
}

/* Return the next line, or NULL for a prompt. */
static char *next_line(void)
{
	for (;;) {
		char *line = monitor.text + monitor.from, *end;
		size_t length = monitor.to - monitor.from;

		if (length >= strlen(PROMPT) && !memcmp(line, PROMPT, strlen(PROMPT))) {
			monitor.from += strlen(PROMPT);
			return NULL;
		}
		end = memchr(line, '\n', length);
		if (end) {
			*end = '\0';
			monitor.from += end + 1 - line;
			return line;
		}
		read_more();
	}
}

static void type(const char *text)
{
	check_eq(write(monitor.fd, text, strlen(text)), strlen(text));
}

/* Have @nr commands executed, one in each line of @commands, and take each line of the answers. */
static void ask(const char *commands, int nr, line_fn take)
{
	type(commands);
	while (nr) {
		char *line = next_line();

		if (line)
			take(line);
		else
			nr--;
	}
}

/* What an earlier user left unread, or half typed, ends before the answer to nonsense. */
static void skip_the_past(void)
{
	char nonsense[32], answer[64], *line;

	snprintf(nonsense, sizeof(nonsense), "\nnonsense-%d\n", (int)getpid());
	snprintf(answer, sizeof(answer), "unknown command: 'nonsense-%d'", (int)getpid());
	type(nonsense);
	do {
		line = next_line();
	} while (!line || !strstr(line, answer));
	while (next_line())
		;
}

/* vCPUs, and memory, of each node */

struct machine machine;

static struct range {
	uint64_t first, last;
	int node;
} ranges[256];
static int nr_ranges, node_of_module[MAX_NODES];

static void take_cpus(int node, const char *list)
{
	char *end;
	long cpu;

	for (; cpu = strtol(list, &end, 10), end != list; list = end) {
		check(cpu < MAX_CPUS);
		machine.cpu[cpu].node = node;
		machine.nr_cpus++;
	}
}

/* "node 0 cpus: 0 1" and "node 0 size: 1024 MB" */
static void take_numa(char *line)
{
	int node, length = 0;
	long size;

	if (sscanf(line, "node %d %n", &node, &length) != 1 || !length)
		return;
	check(node < MAX_NODES);
	if (!strncmp(line + length, "cpus:", 5))
		take_cpus(node, line + length + 5);
	else if (sscanf(line + length, "size: %ld MB", &size) == 1)
		machine.megabytes[node] = size;
}

/* "  node: 1", and later "  memdev: /objects/module0" */
static void take_module(char *line)
{
	static int node;
	unsigned int number;

	sscanf(line, " node: %d", &node);
	if (sscanf(line, " memdev: /objects/module%u", &number) != 1)
		return;
	check(number < ARRAY_SIZE(node_of_module));
	node_of_module[number] = node;
}

/*
 * "  0000000100000000-000000017fffffff (prio 0, ram): memory1 @0000000080000000", below the title
 * of what CPUs see. The backend memoryN is node N's.
 */
static void take_range(char *line)
{
	static bool of_cpus;
	struct range range;
	unsigned int number;
	char kind[8];

	if (!strncmp(line, "FlatView", 8))
		of_cpus = false;
	else if (!strncmp(line, " AS \"memory\"", 12))
		of_cpus = true;
	if (!of_cpus || sscanf(line, " %" SCNx64 "-%" SCNx64 " (prio %*d, ram): %6[a-z]%u",
			       &range.first, &range.last, kind, &number) != 4)
		return;
	check(number < MAX_NODES);
	if (!strcmp(kind, "module"))
		range.node = node_of_module[number];
	else if (!strcmp(kind, "memory"))
		range.node = number;
	else
		return;
	check(nr_ranges < (int)ARRAY_SIZE(ranges));
	ranges[nr_ranges++] = range;
}

/* The names of backends tell no lies: the ranges of each node add up to its memory. */
static void check_ranges(void)
{
	uint64_t bytes[MAX_NODES] = { 0 };

	for (int i = 0; i < nr_ranges; i++)
		bytes[ranges[i].node] += ranges[i].last + 1 - ranges[i].first;
	/* Firmware hides less than 1 MB of node 0. */
	for (int node = 0; node < MAX_NODES; node++)
		if ((long)((bytes[node] + MB - 1) / MB) != machine.megabytes[node])
			fail("node %d has %ld MB, and %" PRIu64 " bytes are mapped", node,
			     machine.megabytes[node], bytes[node]);
}

void monitor_open(void)
{
	if (!exists(PORT))
		skip("no " PORT ": QEMU's monitor is out of reach");
	monitor.fd = open(PORT, O_RDWR | O_CLOEXEC);
	if (monitor.fd < 0)
		fail("cannot open " PORT ": %s", strerror(errno));
	skip_the_past();
	ask("info numa\n", 1, take_numa);
	ask("info memory-devices\n", 1, take_module);
	ask("info mtree -f\n", 1, take_range);
	check_ranges();
}

int monitor_node_of(uint64_t phys)
{
	for (int i = 0; i < nr_ranges; i++)
		if (ranges[i].first <= phys && phys <= ranges[i].last)
			return ranges[i].node;
	return -1;
}

/* Registers: "CPU#1", and later "CR0=80050033 CR2=... CR3=0000000101234000 CR4=00000ef0" */

static void take_registers(char *line)
{
	static unsigned int cpu;
	uint64_t cr3, cr4;

	sscanf(line, "CPU#%u", &cpu);
	if (cpu < MAX_CPUS &&
	    sscanf(line, "CR0=%*x CR2=%*x CR3=%" SCNx64 " CR4=%" SCNx64, &cr3, &cr4) == 2) {
		machine.cpu[cpu].cr3 = cr3;
		machine.cpu[cpu].cr4 = cr4;
	}
}

void monitor_read_registers(void)
{
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		machine.cpu[cpu].cr3 = 0;
	ask("info registers -a\n", 1, take_registers);
	for (int cpu = 0; cpu < machine.nr_cpus; cpu++)
		if (!machine.cpu[cpu].cr3)
			fail("QEMU tells no CR3 of vCPU %d", cpu);
}

/* Memory */

/* The pieces being read; they are answered in the order in which they were asked for. */
static struct piece *reading, *reading_end;

/* "000000010003fe60: 0x0000000000000000 0x0000000000000000" */
static void take_words(char *line)
{
	char *end, *next;
	uint64_t phys = strtoull(line, &end, 16), word;

	if (*end != ':')
		return;
	if (reading->got == reading->nr)
		reading++;
	if (reading == reading_end || phys != reading->phys + reading->got * sizeof(word))
		fail("QEMU shows memory that was not asked for: %s", line);
	for (;;) {
		word = strtoull(end + 1, &next, 16);
		if (next == end + 1)
			return;
		check(reading->got < reading->nr);
		reading->words[reading->got++] = word;
		end = next;
	}
}

static void read_batch(struct piece *pieces, int nr)
{
	char commands[BATCH * 40] = "", *end = commands;

	for (int i = 0; i < nr; i++) {
		pieces[i].got = 0;
		end += sprintf(end, "xp /%dgx 0x%" PRIx64 "\n", pieces[i].nr, pieces[i].phys);
	}
	reading = pieces;
	reading_end = pieces + nr;
	ask(commands, nr, take_words);
	for (int i = 0; i < nr; i++)
		if (pieces[i].got != pieces[i].nr)
			fail("QEMU shows %d of %d words at %" PRIx64, pieces[i].got, pieces[i].nr,
			     pieces[i].phys);
}

void monitor_read(struct piece *pieces, int nr)
{
	for (; nr > BATCH; pieces += BATCH, nr -= BATCH)
		read_batch(pieces, BATCH);
	read_batch(pieces, nr);
}
