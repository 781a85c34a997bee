// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include "json.h"
#include "util.h"

static bool comma;	/* the next element is not the first one */

/* Bytes above ASCII may be no UTF-8; as code points they are always valid. */
static void print_quoted(const char *text)
{
	const unsigned char *c;

	putchar('"');
	for (c = (const unsigned char *)text; *c; c++) {
		if (*c < ' ' || *c > '~')
			printf("\\u%04x", *c);
		else if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else
			putchar(*c);
	}
	putchar('"');
}

static void begin_element(const char *key)
{
	if (comma)
		putchar(',');
	comma = true;
	if (key) {
		print_quoted(key);
		putchar(':');
	}
}

void json_open(const char *key, char bracket)
{
	begin_element(key);
	putchar(bracket);
	comma = false;
}

void json_close(char bracket)
{
	putchar(bracket);
	comma = true;
}

void json_begin(void)
{
	comma = false;
	json_open(NULL, '{');
	json_count("schema", JSON_SCHEMA);
}

void json_end(void)
{
	json_close('}');
	putchar('\n');
}

void json_text(const char *key, const char *text)
{
	begin_element(key);
	if (text)
		print_quoted(text);
	else
		fputs("null", stdout);
}

void json_count(const char *key, uint64_t count)
{
	begin_element(key);
	if (count == COUNT_UNKNOWN)
		fputs("null", stdout);
	else
		printf("%" PRIu64, count);
}

void json_real(const char *key, double value)
{
	begin_element(key);
	printf("%.6f", value);
}

void json_share(const char *key, uint64_t part, uint64_t whole)
{
	begin_element(key);
	if (whole)
		printf("%.4f", (double)part / (double)whole);
	else
		fputs("null", stdout);
}
