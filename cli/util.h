/* SPDX-License-Identifier: GPL-2.0 */
/* What every file needs: exit codes, memory that cannot run out, numbers. */
#ifndef MITOSIS_UTIL_H
#define MITOSIS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define EXIT_UNSUPPORTED	2	/* the running kernel cannot do it */
#define COUNT_UNKNOWN		UINT64_MAX
#define NUMBER_SIZE		24	/* the longest number as text */

void *xrealloc(void *old, size_t count, size_t size);
void *xcalloc(size_t count, size_t size);
char *xstrdup(const char *text);
char *xformat(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An error of usage: the message, then where to read more; does not return. */
_Noreturn void usage_error(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
_Noreturn void try_help(const char *command);

/* Decimal digits and nothing else. */
bool parse_number(const char *text, uint64_t *number);

/* What others wrote shall not steer the terminal. */
void replace_controls(char *text, const char *except);

/* Four characters at most: 9999, 44k, 1.2M; or every digit when exact. */
const char *format_count(char *buf, uint64_t count, bool exact);
const char *format_bytes(char *buf, uint64_t bytes, bool exact);

/* At exit: an error while writing stdout must not pass for success. */
void close_stdout(void);

#endif
