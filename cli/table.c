// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <err.h>
#include <string.h>
#include "json.h"
#include "table.h"
#include "util.h"

static const struct column *find_column(const struct column *columns,
					const char *name)
{
	for (; columns->name; columns++) {
		if (!strcasecmp(columns->name, name))
			return columns;
	}
	return NULL;
}

static char *name_columns(const struct column *columns)
{
	char *names = xstrdup(columns->name), *longer;

	while ((++columns)->name) {
		longer = xformat("%s, %s", names, columns->name);
		free(names);
		names = longer;
	}
	return names;
}

static void show_column(struct table *table, const struct column *column)
{
	table->shown = xrealloc(table->shown, table->width + 1,
				sizeof(*table->shown));
	table->shown[table->width++] = column;
}

static void show_named(struct table *table, const struct column *columns,
		       const char *output)
{
	char *names = xstrdup(output), *rest = names, *name;
	const struct column *column;

	while ((name = strsep(&rest, ","))) {
		column = find_column(columns, name);
		if (!column)
			errx(EXIT_FAILURE, "unknown column '%s': the columns are %s",
			     name, name_columns(columns));
		show_column(table, column);
	}
	free(names);
}

void table_init(struct table *table, const struct column *columns,
		const char *output, bool extra)
{
	const struct column *column;

	*table = (struct table){ 0 };
	if (!output || *output == '+') {
		for (column = columns; column->name; column++) {
			if (extra || !column->extra)
				show_column(table, column);
		}
	}
	if (output)
		show_named(table, columns, output + (*output == '+'));
}

void table_free(struct table *table)
{
	free(table->shown);
}

static const void *value_of(const struct column *column, const void *record)
{
	return (const char *)record + column->offset;
}

static char *count_text(const struct table *table, const struct column *column,
			uint64_t count)
{
	char buf[NUMBER_SIZE];

	if (count == COUNT_UNKNOWN)
		return xstrdup("-");
	if (column->type == VALUE_BYTES)
		return xstrdup(format_bytes(buf, count, table->exact));
	return xstrdup(format_count(buf, count, table->exact));
}

static char *join_counts(const struct table *table, const struct counts *counts)
{
	char *text = NULL, buf[NUMBER_SIZE];
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		err(EXIT_FAILURE, "out of memory");
	for (i = 0; i < counts->size; i++)
		fprintf(out, "%s%s", i ? "," : "",
			format_count(buf, counts->count[i], table->exact));
	fclose(out);
	return text;
}

static char *join_lines(const struct lines *lines)
{
	char *text = xstrdup(lines->size ? lines->line[0] : "-"), *longer;
	size_t i;

	for (i = 1; i < lines->size; i++) {
		longer = xformat("%s; %s", text, lines->line[i]);
		free(text);
		text = longer;
	}
	return text;
}

static char *cell(const struct table *table, size_t i, const void *record)
{
	const struct column *column = table->shown[i];
	const void *value = value_of(column, record);
	const char *text;

	switch (column->type) {
	case VALUE_TEXT:
		text = *(const char *const *)value;
		return xstrdup(text && *text ? text : "-");
	case VALUE_COUNTS:
		return join_counts(table, value);
	case VALUE_LINES:
		return join_lines(value);
	default:
		return count_text(table, column, *(const uint64_t *)value);
	}
}

static bool is_number(const struct column *column)
{
	return column->type == VALUE_COUNT || column->type == VALUE_BYTES;
}

static int column_width(const struct table *table, size_t i, const void *records,
			size_t count, size_t size)
{
	size_t width = strlen(table->shown[i]->name), row, length;
	char *text;

	for (row = 0; row < count; row++) {
		text = cell(table, i, (const char *)records + row * size);
		length = strlen(text);
		if (length > width)
			width = length;
		free(text);
	}
	return (int)width;
}

/* Numbers end at the right; the last column is not filled up. */
static void print_cell(const struct table *table, size_t i, int width,
		       const char *text)
{
	bool last = i + 1 == table->width;

	if (is_number(table->shown[i]))
		printf("%*s", width, text);
	else
		printf("%-*s", last ? 0 : width, text);
	putchar(last ? '\n' : ' ');
}

void table_print(const struct table *table, const void *records, size_t count,
		 size_t size)
{
	int *width = xcalloc(table->width, sizeof(*width));
	size_t i, row;
	char *text;

	for (i = 0; i < table->width; i++) {
		width[i] = column_width(table, i, records, count, size);
		print_cell(table, i, width[i], table->shown[i]->name);
	}
	for (row = 0; row < count; row++) {
		for (i = 0; i < table->width; i++) {
			text = cell(table, i, (const char *)records + row * size);
			print_cell(table, i, width[i], text);
			free(text);
		}
	}
	free(width);
}

/* AD-DIFFER -> ad_differ */
static const char *key_of(char *key, size_t size, const struct column *column)
{
	size_t i;

	for (i = 0; column->name[i] && i + 1 < size; i++)
		key[i] = column->name[i] == '-' ? '_' :
			 (char)tolower((unsigned char)column->name[i]);
	key[i] = '\0';
	return key;
}

/* REPLICA-BYTES -> Replica bytes: */
static void print_title(const struct column *column, int width)
{
	char title[32];
	char *c;

	key_of(title, sizeof(title) - 1, column);
	for (c = title; *c; c++) {
		if (*c == '_')
			*c = ' ';
	}
	title[0] = (char)toupper((unsigned char)title[0]);
	strcat(title, ":");
	printf("%-*s", width, title);
}

void table_print_fields(const struct table *table, const void *record)
{
	size_t i, longest = 0;
	char *text;

	for (i = 0; i < table->width; i++) {
		if (strlen(table->shown[i]->name) > longest)
			longest = strlen(table->shown[i]->name);
	}
	for (i = 0; i < table->width; i++) {
		text = cell(table, i, record);
		print_title(table->shown[i], (int)longest + 3);
		puts(text);
		free(text);
	}
}

static void json_counts(const char *key, const struct counts *counts)
{
	size_t i;

	json_open(key, '[');
	for (i = 0; i < counts->size; i++)
		json_count(NULL, counts->count[i]);
	json_close(']');
}

static void json_lines(const char *key, const struct lines *lines)
{
	size_t i;

	json_open(key, '[');
	for (i = 0; i < lines->size; i++)
		json_text(NULL, lines->line[i]);
	json_close(']');
}

static void json_value(const struct column *column, const void *record)
{
	const void *value = value_of(column, record);
	char key[32];

	key_of(key, sizeof(key), column);
	switch (column->type) {
	case VALUE_TEXT:
		json_text(key, *(const char *const *)value);
		break;
	case VALUE_COUNTS:
		json_counts(key, value);
		break;
	case VALUE_LINES:
		json_lines(key, value);
		break;
	default:
		json_count(key, *(const uint64_t *)value);
	}
}

void table_json_object(const struct table *table, const char *key,
		       const void *record)
{
	size_t i;

	json_open(key, '{');
	for (i = 0; i < table->width; i++)
		json_value(table->shown[i], record);
	json_close('}');
}

void table_json_rows(const struct table *table, const char *key,
		     const void *records, size_t count, size_t size)
{
	size_t row;

	json_open(key, '[');
	for (row = 0; row < count; row++)
		table_json_object(table, NULL, (const char *)records + row * size);
	json_close(']');
}

void table_help(const struct column *columns)
{
	const char *hint = "";
	const struct column *column;

	for (column = columns; column->name; column++) {
		if (column->extra)
			hint = " (* with --verbose, in JSON, or when named)";
	}
	printf("\nColumns%s:\n", hint);
	for (column = columns; column->name; column++)
		printf(" %c%-13s %s\n", column->extra ? '*' : ' ', column->name,
		       column->help);
}
