/* SPDX-License-Identifier: GPL-2.0 */
/* Options of the commands that print a table of processes. */
#ifndef MITOSIS_LISTING_H
#define MITOSIS_LISTING_H

#include <stdbool.h>
#include "proc.h"

struct listing {
	struct pids pids;	/* none: the running ones */
	const char *output;
	bool all, json, verbose;
};

#define LISTING_HELP \
	" -v, --verbose         all columns, every digit\n"			\
	" -o, --output COLUMNS  these columns; +COLUMNS adds to the default\n"	\
	" -J, --json            JSON\n"						\
	" -h, --help            this help\n"

/* No heading when there is nothing but errors. */
static inline bool listing_has_table(const struct listing *listing, size_t count)
{
	return count || !listing->pids.count;
}

/* @help prints and does not return. */
void listing_parse(struct listing *listing, int argc, char **argv,
		   const char *command, void (*help)(void));

#endif
