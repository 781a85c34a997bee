// SPDX-License-Identifier: GPL-2.0
/* The kernel's log: marks in it, and what it complains about. */
#include <fcntl.h>

#include "../mitosis_test.h"
#include "runner.h"

int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

static bool is_complaint(const char *line)
{
	static const char * const words[] = {
		"mitosis: check:", "WARNING:", "BUG:", "BUG at", ";BUG ", "KASAN", "Oops", "Bad page",
		"Bad rss-counter", "general protection fault", "possible recursive locking",
		"circular locking", "inconsistent lock state", "sleeping function called",
	};

	/* Data races are all of Linux's: which of them count is not decided test by test. */
	if (strstr(line, "BUG: KCSAN:"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

/* Show what the kernel complained about during a test; return whether it did. */
bool log_complains(int fd)
{
	bool complains = false;
	char record[8192];
	ssize_t length;

	while ((length = read(fd, record, sizeof(record) - 1)) > 0 || (length < 0 && errno == EPIPE)) {
		char *text;

		if (length < 0)
			continue;
		record[length] = '\0';
		text = strchr(record, ';');
		if (!text || !is_complaint(text))
			continue;
		text[strcspn(text, "\n")] = '\0';
		note("kernel: %s", text + 1);
		complains = true;
	}
	return complains;
}

void mark_log(const char *program, const char *test)
{
	char line[256];

	snprintf(line, sizeof(line), "<6>selftest: mitosis/%s %s\n", program, test);
	write_file("/dev/kmsg", line);
}
