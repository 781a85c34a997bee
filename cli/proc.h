/* SPDX-License-Identifier: GPL-2.0 */
/* Files of /proc and /sys, and what their errors mean. PID 0 is the caller. */
#ifndef MITOSIS_PROC_H
#define MITOSIS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "nodes.h"

extern const char *sysroot;	/* goes in front of /proc and /sys */

struct pids {
	pid_t *pid;
	size_t count;
};

int open_file(int flags, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool file_exists(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The rest of a file, or a file without its last newline; NULL and errno. */
char *read_descriptor(int fd);
char *read_file(const char *format, ...) __attribute__((format(printf, 1, 2)));

int proc_open(pid_t pid, const char *name, int flags);
char *proc_read(pid_t pid, const char *name);
char *process_name(pid_t pid);		/* fit to be printed; never NULL */
void allowed_nodes(pid_t pid, struct nodes *nodes);	/* those that are online */
void system_nodes(const char *state, struct nodes *nodes);

void pids_add(struct pids *pids, pid_t pid);
void pids_parse(struct pids *pids, const char *text);
void pids_parse_all(struct pids *pids, char **text);
void pids_running(struct pids *pids);	/* ascending */

#define PROCESS_TEXT	32
const char *process_text(char *buf, pid_t pid);

/* Each tells the user and returns the exit status that goes with it. */
int explain_unsupported(void);
int explain_switched_off(void);
int explain_process(pid_t pid, const char *name, int error);

/* Become a program; returns the exit status only if that fails, after an explanation. */
int become(char *const *argv);

/* Leaves with an explanation unless this kernel can replicate page tables. */
void require_support(void);

#endif
