// SPDX-License-Identifier: GPL-2.0
/* Check the plugin's options as the plugin does, without booting a guest for that. */
#include <stdlib.h>

#include "options.h"

int main(int argc, char **argv)
{
	static struct options options;

	return options_parse(&options, argc - 1, argv + 1, stderr) ? EXIT_SUCCESS : EXIT_FAILURE;
}
