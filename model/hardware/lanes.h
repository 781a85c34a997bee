/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lanes as a user writes them: NAME[=PART[,PART]...], where each part is data:NODE, tables:NODE or
 * loaded:NODE, as in "RPI-LD=data:0,tables:1,loaded:1". What is not named lies where it does.
 */
#ifndef MODEL_LANES_H
#define MODEL_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "system.h"

struct lanes {
	size_t nr;
	struct lane *lane;
};

/* Returns false after a sentence to @errors. */
bool lanes_add(struct lanes *lanes, const char *text, FILE *errors);

/* Refuse nodes that the machine does not have. Without any lane, add one where all is real. */
bool lanes_complete(struct lanes *lanes, const struct machine *machine, FILE *errors);

void lanes_free(struct lanes *lanes);

#endif
