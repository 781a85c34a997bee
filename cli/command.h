/* SPDX-License-Identifier: GPL-2.0 */
/* The subcommands: each has a file of its own and returns the exit status. */
#ifndef MITOSIS_COMMAND_H
#define MITOSIS_COMMAND_H

int command_run(int argc, char **argv);
int command_set(int argc, char **argv);
int command_show(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_top(int argc, char **argv);
int command_status(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_bench(int argc, char **argv);

#endif
