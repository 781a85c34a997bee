// SPDX-License-Identifier: GPL-2.0
/*
 * For LD_PRELOAD: makes one system call fail as the kernel's files would.
 * MITOSIS_FAULT="CALL SUFFIX ERRNO": CALL is open, read or write, SUFFIX the end
 * of the file's path; ERRNO OK pretends success and does nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "OK", 0 }, { "EINVAL", EINVAL }, { "ENODEV", ENODEV }, { "EPERM", EPERM },
	{ "EACCES", EACCES }, { "ESRCH", ESRCH }, { "E2BIG", E2BIG },
	{ "EINTR", EINTR }, { "EOPNOTSUPP", EOPNOTSUPP }, { "ENOMEM", ENOMEM },
};

static int number_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (!strcmp(errors[i].name, name))
			return errors[i].number;
	}
	fprintf(stderr, "fault: unknown error %s\n", name);
	_exit(99);
}

static int ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), end = strlen(suffix);

	return length >= end && !strcmp(text + length - end, suffix);
}

/* The error that the call shall give, or -1. */
static int planned(const char *call, const char *path)
{
	const char *fault = getenv("MITOSIS_FAULT");
	char name[16], suffix[64], error[16];

	if (!fault || sscanf(fault, "%15s %63s %15s", name, suffix, error) != 3)
		return -1;
	return !strcmp(name, call) && ends_with(path, suffix) ? number_of(error) : -1;
}

static int planned_for(const char *call, int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return -1;
	path[length] = '\0';
	return planned(call, path);
}

int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...) =
		(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	int error = planned("open", path);
	va_list args;
	int mode;

	if (error > 0) {
		errno = error;
		return -1;
	}
	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	return next(path, flags, mode);
}

ssize_t read(int fd, void *data, size_t size)
{
	ssize_t (*next)(int, void *, size_t) =
		(ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	int error = planned_for("read", fd);

	if (error < 0)
		return next(fd, data, size);
	errno = error;
	return error ? -1 : 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
	ssize_t (*next)(int, const void *, size_t) =
		(ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	int error = planned_for("write", fd);

	if (error < 0)
		return next(fd, data, size);
	errno = error;
	return error ? -1 : (ssize_t)size;
}
