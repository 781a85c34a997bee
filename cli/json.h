/* SPDX-License-Identifier: GPL-2.0 */
/*
 * JSON on stdout, one document a line.  @key is NULL inside an array.
 */
#ifndef MITOSIS_JSON_H
#define MITOSIS_JSON_H

#include <stdint.h>

#define JSON_SCHEMA	1	/* grows when a reader of the output would break */

void json_begin(void);		/* a document: an object that tells its schema */
void json_end(void);

void json_open(const char *key, char bracket);
void json_close(char bracket);
void json_text(const char *key, const char *text);	/* NULL: null */
void json_count(const char *key, uint64_t count);	/* COUNT_UNKNOWN: null */
void json_real(const char *key, double value);
void json_share(const char *key, uint64_t part, uint64_t whole);

#endif
