/* SPDX-License-Identifier: GPL-2.0 */
/* What who runs tests needs, and tests do not. */
#ifndef MITOSIS_RUNNER_H
#define MITOSIS_RUNNER_H

#include <stdbool.h>

/* Undo what was asked for by undo_later(), last things first. */
void undo_all(void);

/* A descriptor of the log that begins at its end. */
int open_log(void);
/* Show what the kernel complained about since the last call; return whether it did. */
bool log_complains(int fd);
void mark_log(const char *program, const char *test);

#endif
