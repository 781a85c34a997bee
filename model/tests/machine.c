// SPDX-License-Identifier: GPL-2.0
#include "machine.h"

#include <glob.h>
#include <unistd.h>

#include "test.h"

#define HASWELL	"machines/haswell-ex.conf"

/* What machine_read() complains of, or "" if it takes it. */
static const char *complaint(const char *path, const char *setting)
{
	static char text[1024];
	FILE *errors = fmemopen(text, sizeof(text), "w");
	struct machine *machine;

	text[0] = 0;
	machine = machine_read(path, &setting, setting ? 1 : 0, errors);
	fclose(errors);
	if (machine)
		machine_free(machine);
	if (!machine == !text[0])
		return "(a result that does not fit the complaint)";
	return text;
}

#define EXPECT_COMPLAINT(path, setting, wanted) do {				\
	const char *got_ = complaint(path, setting);				\
										\
	if (strcmp(got_, wanted)) {						\
		printf("# %s:%d: got '%s'\n", __FILE__, __LINE__, got_);	\
		test_failed = true;						\
	}									\
} while (0)

#define REFUSES(setting, wanted) EXPECT_COMPLAINT(HASWELL, setting, "setting:1: " wanted "\n")

/* Not in the folder of machines: it cannot be like one of them. */
static const char *write_file(const char *content)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/machineXXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, content, strlen(content)) != (ssize_t)strlen(content))
		exit(3);
	close(fd);
	return path;
}

TEST(takes_every_machine_that_is_there)
{
	glob_t found;
	size_t i;

	EXPECT(!glob("machines/*.conf", 0, NULL, &found) && found.gl_pathc >= 7);
	for (i = 0; i < found.gl_pathc; i++)
		EXPECT_COMPLAINT(found.gl_pathv[i], NULL, "");
	globfree(&found);
}

TEST(reads_the_reference_machine)
{
	struct machine *machine = machine_read(HASWELL, NULL, 0, stderr);

	EXPECT_EQUAL(machine->nodes, 4);
	EXPECT_EQUAL(machine->rob, 192);
	EXPECT_EQUAL(machine->latency[1][1], 280);
	EXPECT_EQUAL(machine->latency[1][3], 580);
	EXPECT_EQUAL(machine->cache[CACHE_L3].sets, 28672);	/* 35 MB / 64 / 20 */
	EXPECT_EQUAL(machine->cache[CACHE_L1].sets, 64);
	EXPECT_EQUAL(machine->dtlb[PAGE_4K].sets, 16);
	EXPECT_EQUAL(machine->stlb_of[PAGE_2M], machine->stlb_of[PAGE_4K]);
	EXPECT_EQUAL(machine->stlb_of[PAGE_1G], -1);
	EXPECT_EQUAL(machine->stlb[machine->stlb_of[PAGE_4K]].sets, 128);
	EXPECT_EQUAL(machine->execute[INSN_MULTIPLY], 3);
	EXPECT_EQUAL(machine->data_address, DATA_PHYSICAL);
	/* The load of 1,400 cycles that the constants were chosen for. */
	EXPECT_EQUAL(machine->latency[0][1] + machine->load_queue * machine->service, 1400);
	machine_free(machine);
}

TEST(a_file_that_is_like_another_changes_what_it_says)
{
	struct machine *machine = machine_read("machines/haswell-ex-16s.conf", NULL, 0, stderr);

	EXPECT_EQUAL(machine->nodes, 16);
	EXPECT_EQUAL(machine->latency[0][15], 1000);
	EXPECT_EQUAL(machine->rob, 192);
	machine_free(machine);
	machine = machine_read("machines/haswell-ex-4.conf", NULL, 0, stderr);
	EXPECT_EQUAL(machine->cache[CACHE_L3].sets, 7168);
	EXPECT_EQUAL(machine->cache[CACHE_L2].sets, 512);
	EXPECT_EQUAL(machine->nodes, 4);
	machine_free(machine);
}

TEST(a_setting_takes_precedence)
{
	const char *settings[] = { "walkers 2", "data_address virtual" };
	struct machine *machine = machine_read(HASWELL, settings, 2, stderr);

	EXPECT_EQUAL(machine->walkers, 2);
	EXPECT_EQUAL(machine->data_address, DATA_VIRTUAL);
	machine_free(machine);
}

TEST(refuses_keys_and_values)
{
	REFUSES("robs 1", "unknown key 'robs'");
	REFUSES("rob", "'rob' takes 1 value(s), not 0");
	REFUSES("rob 1 2", "'rob' takes 1 value(s), not 2");
	REFUSES("rob 0", "'0' is not a number from 1 to 4096");
	REFUSES("rob 1.5", "'1.5' is not a whole number");
	REFUSES("rob many", "'many' is not a number from 1 to 4096");
	REFUSES("service -1", "'-1' is not a number from 0.01 to 10000");
	REFUSES("load_utilisation 1", "'1' is not a number from 0 to 0.999");
	REFUSES("execute add 1",
		"'add' is none of simple multiply divide float float_divide serial");
	REFUSES("data_address real", "'real' is none of physical virtual");
	REFUSES("inclusive maybe", "'maybe' is none of no yes");
	REFUSES("cache l4 1M 8 lru 4", "'l4' is none of l1 l2 l3");
	REFUSES("cache l1 32 8 lru 4", "'32' is not a size like 256K or 35M");
	REFUSES("cache l1 32K 8 fifo 4", "'fifo' is none of lru srrip drrip");
	REFUSES("psc 1 4 4", "'1' is not a number from 2 to 5");
	REFUSES("stlb 4k+8k 1024 8", "'8k' is none of 4k 2m 1g");
	REFUSES("stlb 4k+4k 1024 8", "4k pages have a second-level TLB already");
}

TEST(refuses_geometry)
{
	REFUSES("dtlb 4k 63 4", "63 entries do not divide into 4 ways");
	REFUSES("dtlb 4k 96 4",
		"96 entries in 4 ways are 24 sets, which is not a power of two");
	REFUSES("cache l2 256K 7 lru 12",
		"256K does not divide into 7 ways of lines of 64 bytes");
	REFUSES("cache l2 192K 8 lru 12",
		"192K in 8 ways are 384 sets, which is not a power of two");
	EXPECT_COMPLAINT(HASWELL, "cache l3 30M 20 lru 60", "");	/* the L3 is hashed */
}

TEST(refuses_distances)
{
	EXPECT_COMPLAINT(HASWELL, "distance 10 21",
			 HASWELL ": 1 rows of distances, but row 0 has 2\n");
	EXPECT_COMPLAINT(HASWELL, "distance 11",
			 HASWELL ": the distance of node 0 from itself is not 10\n");
	EXPECT_COMPLAINT(HASWELL, "latency 10 280", HASWELL ": no latency for distance 21\n");
	REFUSES("distance 9", "'9' is not a number from 10 to 254");
}

/* A file that says @content; "%s" in @wanted is its path. */
static void expect_file(const char *content, const char *wanted)
{
	const char *path = write_file(content);
	char sentence[256];

	snprintf(sentence, sizeof(sentence), wanted, path);
	EXPECT_COMPLAINT(path, NULL, sentence);
	unlink(path);
}

TEST(tells_file_and_line)
{
	expect_file("# nothing\n", "%s: key 'frequency' is missing\n");
	expect_file("# nothing\nfrequency 1 # good\nrub 1\n", "%s:3: unknown key 'rub'\n");
	expect_file("width 4\nwidth 4\n", "%s:2: 'width' is given twice\n");
	expect_file("width 4\nlike nothing\n",
		    "%s:2: 'like' has to be the first key of its file\n");
	expect_file("like nothing\n",
		    "%s:1: cannot read machine '/tmp/nothing.conf': No such file or directory\n");
	EXPECT_COMPLAINT("machines/none.conf", NULL, "machines/none.conf: cannot read machine "
			 "'machines/none.conf': No such file or directory\n");
}

TEST_MAIN
