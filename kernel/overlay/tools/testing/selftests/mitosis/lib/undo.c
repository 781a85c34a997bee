// SPDX-License-Identifier: GPL-2.0
/* What a test changes of the system and has put back when it ends. */
#include <sys/mount.h>
#include <sys/swap.h>

#include "../mitosis_test.h"
#include "runner.h"

#define MAX_UNDO		64

struct undo {
	enum undo_kind kind;
	char path[256], text[256];
};

/* Shared between the runner and the processes of a test. */
static struct shared {
	int nr_undo;
	struct undo undo[MAX_UNDO];
} *shared;

static void __attribute__((constructor)) share_undo(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
}

void undo_later(enum undo_kind kind, const char *path, const char *text)
{
	struct undo *undo;

	check(shared->nr_undo < MAX_UNDO);
	undo = &shared->undo[shared->nr_undo];
	undo->kind = kind;
	snprintf(undo->path, sizeof(undo->path), "%s", path);
	snprintf(undo->text, sizeof(undo->text), "%s", text ? text : "");
	shared->nr_undo++;
}

/* Some knobs refuse what they already are. */
static int write_back(const char *path, const char *text)
{
	char now_there[256];

	if (read_file(path, now_there, sizeof(now_there)) >= 0 && !strcmp(now_there, text))
		return 0;
	return write_file(path, text);
}

static int undo_one(const struct undo *undo)
{
	switch (undo->kind) {
	case UNDO_WRITE:
		return write_back(undo->path, undo->text);
	case UNDO_SWAPOFF:
		return swapoff(undo->path) && errno != EINVAL ? errno : 0;
	case UNDO_UMOUNT:
		return umount2(undo->path, MNT_DETACH) && errno != EINVAL ? errno : 0;
	case UNDO_RMDIR:
		return rmdir(undo->path) && errno != ENOENT ? errno : 0;
	}
	return EINVAL;
}

/* Processes that were killed a moment ago may still be there: try for a while. */
void undo_all(void)
{
	while (shared->nr_undo) {
		struct undo *undo = &shared->undo[--shared->nr_undo];

		if (!wait_until(!undo_one(undo), 5))
			note("cannot undo %s: %s", undo->path, strerror(errno));
	}
}

void set_knob(const char *path, const char *text)
{
	char old[256];
	int error;

	if (read_file(path, old, sizeof(old)) < 0)
		skip("no %s", path);
	/* A choice is shown as "always [madvise] never". */
	if (strchr(old, '[')) {
		memmove(old, strchr(old, '[') + 1, strlen(strchr(old, '[')));
		old[strcspn(old, "]")] = '\0';
	}
	error = write_file(path, text);
	if (error)
		skip("cannot write %s to %s: %s", text, path, strerror(error));
	undo_later(UNDO_WRITE, path, old);
}
