/* SPDX-License-Identifier: GPL-2.0 */
/* Where the tables of one address space lie, for /proc/PID/numa_pgtables. */
#ifndef _MITOSIS_CENSUS_H
#define _MITOSIS_CENSUS_H

#include <linux/types.h>

struct mitosis_census;
struct mitosis_mm;
struct seq_file;
struct task_struct;

struct mitosis_census *mitosis_census_alloc(void);
void mitosis_census_free(struct mitosis_census *census);
int mitosis_census_take(struct mitosis_mm *m, struct task_struct *task,
			struct mitosis_census *census);
loff_t mitosis_census_rows(struct mitosis_census *census);
int mitosis_census_show(struct seq_file *seq, struct mitosis_census *census,
			loff_t row);

#endif /* _MITOSIS_CENSUS_H */
