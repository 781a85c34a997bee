// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "lanes.h"

static int *field(struct lane *lane, const char *name, size_t length)
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "data", offsetof(struct lane, data_node) },
		{ "tables", offsetof(struct lane, table_node) },
		{ "loaded", offsetof(struct lane, loaded_node) },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strlen(fields[i].name) == length && !memcmp(fields[i].name, name, length))
			return (int *)((char *)lane + fields[i].offset);
	return NULL;
}

/* Returns what follows the part, or NULL. */
static const char *parse_part(struct lane *lane, const char *part)
{
	const char *colon = strchr(part, ':');
	int *node = colon ? field(lane, part, colon - part) : NULL;
	char *end;
	long value;

	if (!node || colon[1] < '0' || colon[1] > '9')
		return NULL;
	value = strtol(colon + 1, &end, 10);
	if (value >= MAX_NODES || (*end && *end != ','))
		return NULL;
	*node = value;
	return *end ? end + 1 : end;
}

static bool parse(struct lane *lane, const char *text)
{
	size_t name = strcspn(text, "=");
	const char *part = text + name;

	/* Names go into JSON as they are. */
	if (!name || strcspn(text, "\"\\") < name)
		return false;
	lane->name = strndup(text, name);
	if (!lane->name || !*part)
		return lane->name;
	/* A comma or an equals sign at the end promises a part. */
	do
		part = parse_part(lane, part + (part == text + name));
	while (part && *part);
	return part && part[-1] != ',';
}

bool lanes_add(struct lanes *lanes, const char *text, FILE *errors)
{
	struct lane *grown = reallocarray(lanes->lane, lanes->nr + 1, sizeof(*grown));
	struct lane *lane;

	if (!grown) {
		fprintf(errors, "no memory for lanes\n");
		return false;
	}
	lanes->lane = grown;
	lane = &grown[lanes->nr++];
	*lane = (struct lane){
		.data_node = NODE_REAL, .table_node = NODE_REAL, .loaded_node = -1,
	};
	if (parse(lane, text))
		return true;
	fprintf(errors, "a lane is NAME or NAME=PART[,PART]... of data:NODE, tables:NODE and loaded:NODE, not '%s'\n",
		text);
	return false;
}

bool lanes_complete(struct lanes *lanes, const struct machine *machine, FILE *errors)
{
	int nodes = machine->nodes;

	if (!lanes->nr && !lanes_add(lanes, "real", errors))
		return false;
	for (size_t i = 0; i < lanes->nr; i++) {
		const struct lane *lane = &lanes->lane[i];

		if (lane->data_node < nodes && lane->table_node < nodes && lane->loaded_node < nodes)
			continue;
		fprintf(errors, "lane %s names a node that the machine does not have: it has 0 to %d\n",
			lane->name, nodes - 1);
		return false;
	}
	return true;
}

void lanes_free(struct lanes *lanes)
{
	for (size_t i = 0; i < lanes->nr; i++)
		free((char *)lanes->lane[i].name);
	free(lanes->lane);
	*lanes = (struct lanes){ 0 };
}
