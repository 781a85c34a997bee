// SPDX-License-Identifier: GPL-2.0
/* Where things lie: q35's memory, and lanes as a user writes them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "layout.h"
#include "test.h"

#define GIB	(1ull << 30)

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	printf("# %s\n", what);
	test_failed = true;
}

static bool lies(const struct layout *layout, uint64_t physical, unsigned int node, uint64_t offset)
{
	const struct range *range = layout_find(layout, physical);

	return range && range->node == node && range->offset + physical - range->start == offset;
}

TEST(low)
{
	const uint64_t bytes[] = { GIB, 0, GIB };
	struct layout layout;

	layout_q35(&layout, bytes, 3);
	expect(lies(&layout, 0, 0, 0), "the first byte is node 0's");
	expect(lies(&layout, GIB - 1, 0, GIB - 1), "the last byte of node 0");
	expect(lies(&layout, GIB, 2, 0), "a node without memory is passed over");
	expect(!layout_find(&layout, 2 * GIB), "there is no memory behind the last");
	expect(layout_end(&layout) == 2 * GIB, "the end of low memory");
}

TEST(high)
{
	const uint64_t bytes[] = { GIB, 2 * GIB, GIB };
	struct layout layout;

	layout_q35(&layout, bytes, 3);
	expect(lies(&layout, 2 * GIB - 1, 1, GIB - 1), "node 1 begins in low memory");
	expect(!layout_find(&layout, 2 * GIB) && !layout_find(&layout, 4 * GIB - 1), "the hole");
	expect(lies(&layout, 4 * GIB, 1, GIB), "node 1 goes on at 4 GB");
	expect(lies(&layout, 5 * GIB, 2, 0), "node 2 lies in high memory");
	expect(layout_end(&layout) == 6 * GIB, "the end of high memory");
}

TEST(largest_low)
{
	const uint64_t most[] = { 0xaff00000 }, more[] = { 0xb0000000 };
	struct layout layout;

	layout_q35(&layout, most, 1);
	expect(layout_end(&layout) == 0xaff00000, "a little less than 2.75 GB is all low");
	layout_q35(&layout, more, 1);
	expect(layout_end(&layout) == 4 * GIB + 0x30000000, "2.75 GB is split at 2 GB");
}

TEST(lanes)
{
	struct lanes lanes = { 0 };
	const struct lane *lane;

	expect(lanes_add(&lanes, "RPI-LD=data:0,tables:1,loaded:2", stdout) &&
	       lanes_add(&lanes, "RP=tables:3", stdout) && lanes_add(&lanes, "real", stdout),
	       "lanes are read");
	lane = lanes.lane;
	expect(!strcmp(lane[0].name, "RPI-LD") && lane[0].data_node == 0 &&
	       lane[0].table_node == 1 && lane[0].loaded_node == 2, "a lane with all parts");
	expect(lane[1].data_node == NODE_REAL && lane[1].table_node == 3 &&
	       lane[1].loaded_node == -1, "a lane with one part");
	expect(lane[2].data_node == NODE_REAL && lane[2].table_node == NODE_REAL, "a bare lane");
	expect(lanes_complete(&lanes, &(struct machine){ .nodes = 4 }, stdout), "4 nodes are enough");
	expect(lanes.nr == 3, "no lane is added to some");
	lanes_free(&lanes);
}

static void expect_refused(const char *text, unsigned int nodes)
{
	struct lanes lanes = { 0 };
	size_t size;
	char *said;
	FILE *errors = open_memstream(&said, &size);

	expect(!(lanes_add(&lanes, text, errors) &&
		 lanes_complete(&lanes, &(struct machine){ .nodes = nodes }, errors)), text);
	fclose(errors);
	expect(size && strchr(said, '\n') == said + size - 1, "a refusal is one line");
	free(said);
	lanes_free(&lanes);
}

TEST(refused_lanes)
{
	static const char *const wrong[] = {
		"", "=data:0", "A=", "A=data", "A=data:", "A=data:x", "A=data:1x", "A=data:-1",
		"A\"=data:0", "A\\=data:0", "A=data:0,", "A=,data:0", "A=code:0", "A=data:64", "A=tables:1=2",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_refused(wrong[i], MAX_NODES);
	expect_refused("A=data:4", 4);
	expect_refused("A=tables:4", 4);
	expect_refused("A=loaded:4", 4);
}

TEST(default_lane)
{
	struct lanes lanes = { 0 };

	expect(lanes_complete(&lanes, &(struct machine){ .nodes = 1 }, stdout) && lanes.nr == 1 &&
	       lanes.lane[0].table_node == NODE_REAL, "without a lane there is the real one");
	lanes_free(&lanes);
}

TEST_MAIN
