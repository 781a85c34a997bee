// SPDX-License-Identifier: GPL-2.0
/*
 * Planted bugs: the boot parameter mitosis_mutant=NAME leaves one hook out, so
 * that the tests can show that each of them is needed and noticed.
 */
#include <linux/debugfs.h>
#include <linux/string.h>
#include "internal.h"

enum mitosis_hook mitosis_mutant __ro_after_init;

static const char * const hook_names[] = {
	[MITOSIS_HOOK_NONE] = "none",
#define X(id, name) \
	[MITOSIS_HOOK_##id] = #name,
	MITOSIS_HOOKS(X)
#undef X
};

const char *mitosis_mutant_name(void)
{
	return hook_names[mitosis_mutant];
}

static int __init mutant_setup(char *arg)
{
	int hook = match_string(hook_names, ARRAY_SIZE(hook_names), arg ?: "");

	if (hook < 0) {
		pr_warn("mitosis: no hook is called '%s'\n", arg);
		return 0;
	}
	mitosis_mutant = hook;
	pr_notice("mitosis: mutant %s: this kernel is wrong on purpose\n", arg);
	return 0;
}
early_param("mitosis_mutant", mutant_setup);
