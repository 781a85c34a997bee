// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>
#include "util.h"

static void *checked(void *memory)
{
	if (!memory)
		errx(EXIT_FAILURE, "out of memory");
	return memory;
}

void *xrealloc(void *old, size_t count, size_t size)
{
	return checked(reallocarray(old, count ? count : 1, size));
}

void *xcalloc(size_t count, size_t size)
{
	return checked(calloc(count ? count : 1, size));
}

char *xstrdup(const char *text)
{
	return checked(strdup(text));
}

char *xformat(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return checked(text);
}

_Noreturn void try_help(const char *command)
{
	fprintf(stderr, "Try 'mitosis %s%s--help'.\n", command, *command ? " " : "");
	exit(EXIT_FAILURE);
}

_Noreturn void usage_error(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vwarnx(format, args);
	va_end(args);
	try_help(command);
}

bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return !errno && !*end;
}

void replace_controls(char *text, const char *except)
{
	for (; *text; text++) {
		if (iscntrl((unsigned char)*text) && !strchr(except, *text))
			*text = '?';
	}
}

/* Only a number of one digit has room for one more; 3.0 is 3. */
static bool has_tenths(double value)
{
	return value < 9.95 && (int)(value * 10 + 0.5) % 10;
}

static const char *format_scaled(char *buf, double value, double step,
				 const char *unit)
{
	for (value /= step; value >= 999.5; value /= step)
		unit++;
	snprintf(buf, NUMBER_SIZE, has_tenths(value) ? "%.1f%c" : "%.0f%c", value, *unit);
	return buf;
}

static const char *format_exact(char *buf, uint64_t value)
{
	snprintf(buf, NUMBER_SIZE, "%" PRIu64, value);
	return buf;
}

const char *format_count(char *buf, uint64_t count, bool exact)
{
	if (exact || count < 10000)
		return format_exact(buf, count);
	return format_scaled(buf, (double)count, 1000, "kMGTPE");
}

const char *format_bytes(char *buf, uint64_t bytes, bool exact)
{
	if (exact || bytes < 1024)
		return format_exact(buf, bytes);
	return format_scaled(buf, (double)bytes, 1024, "KMGTPE");
}

/* A stdout that was closed from the start is no error while nothing is printed. */
void close_stdout(void)
{
	bool used = __fpending(stdout) > 0, failed = ferror(stdout);

	errno = 0;
	if (fclose(stdout) && (used || errno != EBADF))
		failed = true;
	if (!failed)
		return;
	if (errno)
		warn("cannot write the output");
	else
		warnx("cannot write the output");
	_exit(EXIT_FAILURE);
}
