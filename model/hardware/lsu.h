/* SPDX-License-Identifier: GPL-2.0 */
/* The load/store unit of a core: what an access costs in time. */
#ifndef MODEL_LSU_H
#define MODEL_LSU_H

#include "core.h"

/* When an access that begins at @time has its physical address. */
double lsu_translate(struct core *core, const struct access *access, double time);

/* When a load that begins at @time has its data. */
double lsu_load(struct core *core, const struct access *access, double time);

/* When a store that is done since @done and retires at @time has its line. */
double lsu_store(struct core *core, const struct access *access, double done, double time);

#endif
