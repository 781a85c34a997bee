// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ram.h"

/* NULL with errno. A file that is too short would be a signal later. */
static const uint8_t *map(const char *file, uint64_t size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	void *memory = MAP_FAILED;
	struct stat status;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &status)) {
		errno = EINVAL;
		if ((uint64_t)status.st_size == size)
			memory = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	}
	close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

bool ram_map(struct ram *ram, const struct layout *layout, const char *const *files, FILE *errors)
{
	uint64_t bytes[MAX_NODES] = { 0 };

	*ram = (struct ram){ .layout = layout };
	for (size_t i = 0; i < layout->nr_ranges; i++)
		bytes[layout->range[i].node] += layout->range[i].size;
	for (unsigned int node = 0; node < layout->nr_nodes; node++) {
		if (!bytes[node])
			continue;
		ram->node[node] = map(files[node], bytes[node]);
		if (ram->node[node])
			continue;
		fprintf(errors, "cannot map node %u's memory of %llu MiB from %s: %s\n", node,
			(unsigned long long)bytes[node] >> 20, files[node], strerror(errno));
		return false;
	}
	return true;
}

bool ram_read(const struct ram *ram, uint64_t physical, uint64_t *value)
{
	const struct range *range = layout_find(ram->layout, physical);

	if (!range)
		return false;
	/* The guest writes meanwhile; a word is never torn. */
	*value = __atomic_load_n((const uint64_t *)(ram->node[range->node] + range->offset +
				 (physical - range->start)), __ATOMIC_RELAXED);
	return true;
}
