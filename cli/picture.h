/* SPDX-License-Identifier: GPL-2.0 */
/* One capture, where it comes from, and how to print it. */
#ifndef MITOSIS_PICTURE_H
#define MITOSIS_PICTURE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>
#include "capture.h"
#include "table.h"

struct picture {
	const struct capture *now, *before;	/* before: NULL for the first */
	const char *source;	/* a file, or NULL */
	pid_t pid;
	char *name;
	time_t time;
	struct nodes trees;	/* replica trees to print too */
};

struct style {
	struct table table;	/* of plain rows, and of those in JSON */
	bool exact;
	bool changes;		/* keep room for (+added, -removed) */
	int width;
};

void picture_print_text(const struct picture *picture, const struct style *style);
void picture_print_rows(const struct picture *picture, const struct style *style);
void picture_print_json(const struct picture *picture, const struct style *style);

extern const struct column picture_columns[];

#endif
