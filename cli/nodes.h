/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sets of NUMA nodes, and the lists that name them: the kernel's (0-3,5) and
 * numactl's (also all, !2, +0-1).
 */
#ifndef MITOSIS_NODES_H
#define MITOSIS_NODES_H

#include <stdbool.h>
#include <stddef.h>

struct nodes {
	unsigned int *id;	/* ascending */
	size_t count;
};

void nodes_add(struct nodes *nodes, unsigned int id);
void nodes_free(struct nodes *nodes);
bool nodes_contain(const struct nodes *nodes, unsigned int id);
void nodes_intersect(struct nodes *nodes, const struct nodes *other);
char *nodes_text(const struct nodes *nodes);	/* as a kernel list; freed by the caller */

bool nodes_parse(const char *text, struct nodes *nodes);	/* a kernel list */

/* What a user wrote: syntax only, what it names depends on the process. */
struct node_list {
	const char *text;
	bool all, inverse, relative;
	struct nodes nodes;
};

/* Both tell the user what is wrong and return false. */
bool node_list_parse(const char *text, struct node_list *list,
		     const struct nodes *online);
bool node_list_resolve(const struct node_list *list, const struct nodes *allowed,
		       struct nodes *result);
void node_list_free(struct node_list *list);

#endif
