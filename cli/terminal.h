/* SPDX-License-Identifier: GPL-2.0 */
/* The terminal that stdout may be. */
#ifndef MITOSIS_TERMINAL_H
#define MITOSIS_TERMINAL_H

#include <stdbool.h>

/* In characters. Returns false, and 80 by 24, if stdout is none or does not tell. */
bool terminal_size(int *columns, int *rows);

/* Begin a new screen in the place of the old one. */
void terminal_clear(void);

#endif
