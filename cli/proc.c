// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "proc.h"
#include "util.h"

#define CHUNK	65536
#define EXIT_CANNOT_RUN	126
#define EXIT_NOT_FOUND	127

const char *sysroot = "";

static char *format_path(const char *format, va_list args)
{
	char *path, *full;

	if (vasprintf(&path, format, args) < 0)
		errx(EXIT_FAILURE, "out of memory");
	full = xformat("%s%s", sysroot, path);
	free(path);
	return full;
}

static int open_path(char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC), error = errno;

	free(path);
	errno = error;
	return fd;
}

int open_file(int flags, const char *format, ...)
{
	va_list args;
	char *path;

	va_start(args, format);
	path = format_path(format, args);
	va_end(args);
	return open_path(path, flags);
}

bool file_exists(const char *format, ...)
{
	bool exists;
	va_list args;
	char *path;

	va_start(args, format);
	path = format_path(format, args);
	va_end(args);
	exists = !access(path, F_OK);
	free(path);
	return exists;
}

char *read_descriptor(int fd)
{
	size_t size = 0;
	char *text = NULL;
	ssize_t got;

	do {
		text = xrealloc(text, size + CHUNK + 1, 1);
		got = read(fd, text + size, CHUNK);
		if (got > 0)
			size += (size_t)got;
	} while (got > 0);

	text[size] = '\0';
	if (!got)
		return text;
	free(text);
	return NULL;
}

static char *read_and_close(int fd)
{
	char *text;
	int error;

	if (fd < 0)
		return NULL;
	text = read_descriptor(fd);
	error = errno;
	close(fd);
	errno = error;
	return text;
}

static char *without_newline(char *text)
{
	size_t length = text ? strlen(text) : 0;

	if (length && text[length - 1] == '\n')
		text[length - 1] = '\0';
	return text;
}

char *read_file(const char *format, ...)
{
	va_list args;
	char *path;

	va_start(args, format);
	path = format_path(format, args);
	va_end(args);
	return without_newline(read_and_close(open_path(path, O_RDONLY)));
}

int proc_open(pid_t pid, const char *name, int flags)
{
	if (!pid)
		return open_file(flags, "/proc/self/%s", name);
	return open_file(flags, "/proc/%d/%s", pid, name);
}

char *proc_read(pid_t pid, const char *name)
{
	return without_newline(read_and_close(proc_open(pid, name, O_RDONLY)));
}

char *process_name(pid_t pid)
{
	char *name = proc_read(pid, "comm");

	if (!name)
		return xstrdup("?");
	replace_controls(name, "");
	return name;
}

void system_nodes(const char *state, struct nodes *nodes)
{
	char *text = read_file("/sys/devices/system/node/%s", state);

	*nodes = (struct nodes){ 0 };
	if (!text)		/* a kernel without NUMA */
		nodes_add(nodes, 0);
	else if (*text && !nodes_parse(text, nodes))
		errx(EXIT_FAILURE, "/sys/devices/system/node/%s: '%s' is no list of nodes",
		     state, text);
	free(text);
}

void allowed_nodes(pid_t pid, struct nodes *nodes)
{
	static const char field[] = "\nMems_allowed_list:\t";
	char *status = proc_read(pid, "status"), *list;
	struct nodes online;

	system_nodes("online", &online);
	list = status ? strstr(status, field) : NULL;
	if (list) {
		list += strlen(field);
		list[strcspn(list, "\n")] = '\0';
	}
	if (!list || !nodes_parse(list, nodes))
		system_nodes("online", nodes);
	nodes_intersect(nodes, &online);
	nodes_free(&online);
	free(status);
}

void pids_add(struct pids *pids, pid_t pid)
{
	pids->pid = xrealloc(pids->pid, pids->count + 1, sizeof(*pids->pid));
	pids->pid[pids->count++] = pid;
}

void pids_parse(struct pids *pids, const char *text)
{
	uint64_t number;

	if (!parse_number(text, &number) || !number || number > INT_MAX)
		errx(EXIT_FAILURE, "'%s' is no process id: give a number above 0", text);
	pids_add(pids, (pid_t)number);
}

void pids_parse_all(struct pids *pids, char **text)
{
	for (; *text; text++)
		pids_parse(pids, *text);
}

static int compare_pids(const void *one, const void *other)
{
	return *(const pid_t *)one - *(const pid_t *)other;
}

void pids_running(struct pids *pids)
{
	char *path = xformat("%s/proc", sysroot);
	struct dirent *entry;
	uint64_t number;
	DIR *dir = opendir(path);

	if (!dir)
		err(EXIT_FAILURE, "cannot list processes: %s", path);
	while ((entry = readdir(dir))) {
		if (parse_number(entry->d_name, &number) && number <= INT_MAX)
			pids_add(pids, (pid_t)number);
	}
	closedir(dir);
	free(path);
	if (pids->count)
		qsort(pids->pid, pids->count, sizeof(*pids->pid), compare_pids);
}

int explain_unsupported(void)
{
	struct utsname kernel;

	uname(&kernel);
	warnx("this kernel (%s) cannot replicate page tables: boot one built with CONFIG_MITOSIS=y",
	      kernel.release);
	return EXIT_UNSUPPORTED;
}

int explain_switched_off(void)
{
	warnx("page-table replication is switched off: the kernel was booted with mitosis=off, or runs under Xen PV; boot it without");
	return EXIT_UNSUPPORTED;
}

static int explain_missing(pid_t pid)
{
	if (!pid && !file_exists("/proc/self"))
		warnx("%s/proc/self is missing: mount /proc", sysroot);
	else if (pid && !file_exists("/proc/%d", pid))
		warnx("there is no process %d", pid);
	else
		return explain_unsupported();
	return EXIT_FAILURE;
}

const char *process_text(char *buf, pid_t pid)
{
	if (pid)
		snprintf(buf, PROCESS_TEXT, "process %d", pid);
	else
		snprintf(buf, PROCESS_TEXT, "this process");
	return buf;
}

int explain_process(pid_t pid, const char *name, int error)
{
	char process[PROCESS_TEXT];

	process_text(process, pid);
	switch (error) {
	case ENOENT:
		return explain_missing(pid);
	case EOPNOTSUPP:
		return explain_switched_off();
	case EACCES:
	case EPERM:
		warnx("%s is not yours to look at or to steer: run as root, or as its owner",
		      process);
		break;
	case ESRCH:
		warnx("%s has no address space: it has exited, or is a kernel thread",
		      process);
		break;
	case ENOMEM:
		warnx("no kernel memory for the state of %s, nothing was changed: free some, or raise memory.max of this command's cgroup, and try again",
		      process);
		break;
	default:
		warnx("%s: %s: %s", process, name, strerror(error));
	}
	return EXIT_FAILURE;
}

void require_support(void)
{
	char *policy = read_file("/sys/kernel/mm/mitosis/policy");
	bool off = policy && !strcmp(policy, "off");

	free(policy);
	if (!file_exists("/proc/self/pgtable_policy"))
		exit(explain_missing(0));
	if (off)
		exit(explain_switched_off());
}

int become(char *const *argv)
{
	int status;

	execvp(argv[0], argv);
	status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	warn("cannot run '%s'", argv[0]);
	return status;
}
