/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One array of columns drives the text, -o, --json and the help.  A record is a
 * struct; a column tells where in it the value is.
 */
#ifndef MITOSIS_TABLE_H
#define MITOSIS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum value_type {
	VALUE_TEXT,	/* const char *, NULL when unknown */
	VALUE_COUNT,	/* uint64_t, COUNT_UNKNOWN when unknown */
	VALUE_BYTES,	/* as VALUE_COUNT */
	VALUE_COUNTS,	/* struct counts */
	VALUE_LINES,	/* struct lines */
};

struct counts {
	const uint64_t *count;
	size_t size;
};

struct lines {
	char **line;
	size_t size;
};

struct column {
	const char *name;	/* the heading; in lower case the key in JSON */
	const char *help;
	enum value_type type;
	size_t offset;
	bool extra;		/* shown with -v, in JSON, or when named */
};

struct table {
	const struct column **shown;
	size_t width;
	bool exact;
};

/* @columns end with a column without name; @output as given with -o, or NULL. */
void table_init(struct table *table, const struct column *columns,
		const char *output, bool extra);
void table_free(struct table *table);

void table_print(const struct table *table, const void *records, size_t count,
		 size_t size);
void table_print_fields(const struct table *table, const void *record);

void table_json_rows(const struct table *table, const char *key,
		     const void *records, size_t count, size_t size);
void table_json_object(const struct table *table, const char *key,
		       const void *record);

void table_help(const struct column *columns);

#endif
