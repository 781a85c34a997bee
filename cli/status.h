/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel tells about all processes together. */
#ifndef MITOSIS_STATUS_H
#define MITOSIS_STATUS_H

#include <stdint.h>
#include "table.h"

struct status {
	const char *support;
	char *policy, *nodes;
	uint64_t active, processes, replicas, grown, shrunk, fallbacks, repairs;
};

extern const struct column status_columns[];

void status_read(struct status *status);
void status_free(struct status *status);

#endif
