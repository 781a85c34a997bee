// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <string.h>
#include "lane.h"
#include "proc.h"
#include "util.h"

enum side { LOCAL, REMOTE };

/* Page tables, data, and whether the remote node is loaded: I, for interference. */
static const struct placement {
	const char *name;
	enum side tables, data;
	bool loaded;
} placements[] = {
	{ "LP-LD", LOCAL, LOCAL, false },
	{ "LP-RD", LOCAL, REMOTE, false },
	{ "LP-RDI", LOCAL, REMOTE, true },
	{ "RP-LD", REMOTE, LOCAL, false },
	{ "RPI-LD", REMOTE, LOCAL, true },
	{ "RP-RD", REMOTE, REMOTE, false },
	{ "RPI-RDI", REMOTE, REMOTE, true },
};

#define NR_PLACEMENTS	(sizeof(placements) / sizeof(placements[0]))

static struct lane *new_lane(struct lanes *lanes, char *name)
{
	struct lane *lane;

	lanes->lane = xrealloc(lanes->lane, lanes->count + 1, sizeof(*lane));
	lane = &lanes->lane[lanes->count++];
	*lane = (struct lane){
		.name = name, .cpu_node = NODE_REAL, .data_node = NODE_REAL,
		.table_node = NODE_REAL, .loaded_node = NODE_REAL,
	};
	return lane;
}

/* The first usable node is local, the next one remote, but for those that the user chose. */
static int side_node(struct lanes *lanes, enum side side)
{
	int *node = side == LOCAL ? &lanes->local : &lanes->remote;
	int other = side == LOCAL ? lanes->remote : lanes->local;
	struct nodes usable;
	size_t i;

	usable_nodes(0, &usable);
	for (i = 0; i < usable.count && *node == NODE_REAL; i++) {
		if ((int)usable.id[i] != other)
			*node = (int)usable.id[i];
	}
	nodes_free(&usable);
	if (*node == NODE_REAL)
		errx(EXIT_FAILURE, "this machine has one node with both CPUs and memory: the lanes LP-LD, real and NAME=PART... need no second one");
	return *node;
}

static void set_policy(struct lane *lane, int option, char *list)
{
	if (lane->policy.mode)
		usage_error("bench", "lane '%s' has both tables: and copies:", lane->name);
	policy_option(&lane->policy, "bench", option, list);
	policy_validate(&lane->policy);
	if (option == 'b')
		lanes_choose_node(&lane->table_node, list);
}

static void add_placement(struct lanes *lanes, const struct placement *placement,
			  const char *suffix)
{
	struct lane *lane = new_lane(lanes, xformat("%s%s", placement->name, suffix));

	lane->cpu_node = side_node(lanes, LOCAL);
	lane->data_node = side_node(lanes, placement->data);
	if (placement->loaded)
		lane->loaded_node = side_node(lanes, REMOTE);
	if (*suffix)
		set_policy(lane, 'r', xstrdup("all"));
	else
		set_policy(lane, 'b', xformat("%d", side_node(lanes, placement->tables)));
}

/* Whether @text is @name, without or with +M, which is returned. */
static const char *suffix_of(const char *text, const char *name)
{
	size_t length = strlen(name);

	if (strncmp(text, name, length))
		return NULL;
	text += length;
	return !*text || !strcmp(text, "+M") ? text : NULL;
}

static bool add_named(struct lanes *lanes, const char *text)
{
	const char *suffix = suffix_of(text, "real");
	bool all = !strcmp(text, "all"), found = all;
	struct lane *lane;
	size_t i;

	if (suffix) {
		lane = new_lane(lanes, xstrdup(text));
		if (*suffix)
			set_policy(lane, 'r', xstrdup("all"));
		return true;
	}
	for (i = 0; i < NR_PLACEMENTS; i++) {
		suffix = all ? "" : suffix_of(text, placements[i].name);
		if (suffix) {
			add_placement(lanes, &placements[i], suffix);
			found = true;
		}
	}
	for (i = 0; all && i < NR_PLACEMENTS; i++)
		add_placement(lanes, &placements[i], "+M");
	return found;
}

static bool add_part(struct lane *lane, const char *part)
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "cpus:", offsetof(struct lane, cpu_node) },
		{ "data:", offsetof(struct lane, data_node) },
		{ "loaded:", offsetof(struct lane, loaded_node) },
	};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t length = strlen(fields[i].name);

		if (strncmp(part, fields[i].name, length))
			continue;
		lanes_choose_node((int *)((char *)lane + fields[i].offset), part + length);
		return true;
	}
	if (!strncmp(part, "tables:", 7))
		set_policy(lane, 'b', xstrdup(part + 7));
	else if (!strncmp(part, "copies:", 7))
		set_policy(lane, 'r', xstrdup(part + 7));
	else
		return false;
	return true;
}

static bool add_parts(struct lanes *lanes, const char *text)
{
	const char *equals = strchr(text, '=');
	char *copy, *rest, *part;
	struct lane *lane;
	bool ok = true;

	if (!equals || equals == text)
		return false;
	lane = new_lane(lanes, xformat("%.*s", (int)(equals - text), text));
	copy = rest = xstrdup(equals + 1);
	while (ok && (part = strsep(&rest, ",")))
		ok = add_part(lane, part);
	free(copy);
	return ok;
}

void lanes_add(struct lanes *lanes, const char *text)
{
	/* Its name goes into reports in JSON as it is. */
	if (strpbrk(text, "\"\\"))
		usage_error("bench", "'%s' is no lane: names have neither quotes nor backslashes", text);
	if (!add_named(lanes, text) && !add_parts(lanes, text))
		usage_error("bench", "'%s' is no lane: give a placement, such as RP-LD, or NAME=PART[,PART]... of cpus:N, data:N, tables:N, copies:LIST and loaded:N",
			    text);
}

void lanes_choose_node(int *node, const char *text)
{
	struct nodes online;
	struct node_list list;
	bool ok;

	system_nodes("online", &online);
	ok = node_list_parse(text, &list, &online);
	if (ok && (list.nodes.count != 1 || list.inverse || list.relative))
		errx(EXIT_FAILURE, "'%s' is not the number of one node", text);
	if (!ok)
		exit(EXIT_FAILURE);
	*node = (int)list.nodes.id[0];
	node_list_free(&list);
	nodes_free(&online);
}

bool lane_has_policy(const struct lane *lane)
{
	return lane->policy.mode;
}

void lanes_free(struct lanes *lanes)
{
	size_t i;

	for (i = 0; i < lanes->count; i++) {
		free(lanes->lane[i].name);
		free((char *)lanes->lane[i].policy.text);
		policy_free(&lanes->lane[i].policy);
	}
	free(lanes->lane);
}
