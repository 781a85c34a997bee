// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <string.h>
#include "nodes.h"
#include "util.h"

#define NODE_LIMIT	65536	/* keeps a mistyped range from filling memory */

static size_t position(const struct nodes *nodes, unsigned int id)
{
	size_t i = nodes->count;

	while (i && nodes->id[i - 1] >= id)
		i--;
	return i;
}

bool nodes_contain(const struct nodes *nodes, unsigned int id)
{
	size_t i = position(nodes, id);

	return i < nodes->count && nodes->id[i] == id;
}

void nodes_add(struct nodes *nodes, unsigned int id)
{
	size_t i = position(nodes, id);

	if (i < nodes->count && nodes->id[i] == id)
		return;
	nodes->id = xrealloc(nodes->id, nodes->count + 1, sizeof(*nodes->id));
	memmove(nodes->id + i + 1, nodes->id + i,
		(nodes->count - i) * sizeof(*nodes->id));
	nodes->id[i] = id;
	nodes->count++;
}

void nodes_free(struct nodes *nodes)
{
	free(nodes->id);
	*nodes = (struct nodes){ 0 };
}

void nodes_intersect(struct nodes *nodes, const struct nodes *other)
{
	size_t i, kept = 0;

	for (i = 0; i < nodes->count; i++) {
		if (nodes_contain(other, nodes->id[i]))
			nodes->id[kept++] = nodes->id[i];
	}
	nodes->count = kept;
}

static size_t end_of_range(const struct nodes *nodes, size_t i)
{
	while (i + 1 < nodes->count && nodes->id[i + 1] == nodes->id[i] + 1)
		i++;
	return i;
}

char *nodes_text(const struct nodes *nodes)
{
	char *text = xstrdup(""), *longer;
	const char *comma = "";
	size_t i, end;

	for (i = 0; i < nodes->count; i = end + 1, comma = ",") {
		end = end_of_range(nodes, i);
		if (end == i)
			longer = xformat("%s%s%u", text, comma, nodes->id[i]);
		else
			longer = xformat("%s%s%u-%u", text, comma, nodes->id[i],
					 nodes->id[end]);
		free(text);
		text = longer;
	}
	return text;
}

static bool parse_node(const char *text, unsigned int *id)
{
	uint64_t number;

	if (!parse_number(text, &number) || number >= NODE_LIMIT)
		return false;
	*id = (unsigned int)number;
	return true;
}

static bool parse_range(char *range, struct nodes *nodes)
{
	char *dash = strchr(range, '-');
	unsigned int first, last;

	if (dash)
		*dash = '\0';
	if (!parse_node(range, &first) ||
	    !parse_node(dash ? dash + 1 : range, &last) || last < first)
		return false;
	for (; first <= last; first++)
		nodes_add(nodes, first);
	return true;
}

bool nodes_parse(const char *text, struct nodes *nodes)
{
	char *copy = xstrdup(text), *rest = copy, *range;
	bool ok = true;

	*nodes = (struct nodes){ 0 };
	while (ok && (range = strsep(&rest, ",")))
		ok = parse_range(range, nodes);
	free(copy);
	if (!ok)
		nodes_free(nodes);
	return ok;
}

static bool all_online(const struct node_list *list, const struct nodes *online)
{
	char *text;
	size_t i;

	for (i = 0; i < list->nodes.count; i++) {
		if (nodes_contain(online, list->nodes.id[i]))
			continue;
		text = nodes_text(online);
		warnx("node %u of '%s' is not online: the online nodes are %s",
		      list->nodes.id[i], list->text, text);
		free(text);
		return false;
	}
	return true;
}

static bool names_device(const char *list)
{
	static const char *const kinds[] = { "block:", "file:", "ip:", "netdev:", "pci:" };
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strncmp(list, kinds[i], strlen(kinds[i])))
			return true;
	}
	return false;
}

static bool bad_list(const char *list, const struct nodes *online)
{
	char *text = nodes_text(online);

	if (names_device(list))
		warnx("'%s': mitosis does not look up the node of a file or device: give its number, as in the device's numa_node in /sys; the online nodes are %s",
		      list, text);
	else
		warnx("'%s' is no list of nodes: write 0-3, 0,2, all, !2 (all but 2) or +0 (the first allowed); the online nodes are %s",
		      list, text);
	free(text);
	return false;
}

bool node_list_parse(const char *text, struct node_list *list,
		     const struct nodes *online)
{
	*list = (struct node_list){ .text = text };
	list->inverse = *text == '!';
	text += list->inverse;
	list->relative = *text == '+';
	text += list->relative;
	list->all = !strcmp(text, "all");

	if (!list->all && !nodes_parse(text, &list->nodes))
		return bad_list(list->text, online);
	return list->relative || all_online(list, online);
}

void node_list_free(struct node_list *list)
{
	nodes_free(&list->nodes);
}

/* +N is the Nth of the allowed nodes. */
static bool name_nodes(const struct node_list *list, const struct nodes *allowed,
		       struct nodes *named)
{
	unsigned int id;
	char *text;
	size_t i;

	for (i = 0; i < list->nodes.count; i++) {
		id = list->nodes.id[i];
		if (!list->relative) {
			nodes_add(named, id);
		} else if (id < allowed->count) {
			nodes_add(named, allowed->id[id]);
		} else {
			text = nodes_text(allowed);
			warnx("+%u of '%s' is too large: the cpuset allows %zu nodes (%s), counted from +0",
			      id, list->text, allowed->count, text);
			free(text);
			return false;
		}
	}
	return true;
}

/* "all" and "all but these" mean the allowed nodes. */
static void choose(const struct node_list *list, const struct nodes *allowed,
		   const struct nodes *named, struct nodes *result)
{
	bool listed;
	size_t i;

	for (i = 0; i < allowed->count; i++) {
		listed = list->all || nodes_contain(named, allowed->id[i]);
		if (listed != list->inverse)
			nodes_add(result, allowed->id[i]);
	}
}

bool node_list_resolve(const struct node_list *list, const struct nodes *allowed,
		       struct nodes *result)
{
	struct nodes named = { 0 };
	char *text;

	*result = (struct nodes){ 0 };
	if (!name_nodes(list, allowed, &named)) {
		nodes_free(&named);
		return false;
	}
	if (!list->all && !list->inverse) {
		*result = named;
		return true;
	}
	choose(list, allowed, &named, result);
	nodes_free(&named);
	if (result->count)
		return true;
	text = nodes_text(allowed);
	warnx("'%s' leaves no node: the cpuset allows %s", list->text, text);
	free(text);
	return false;
}
