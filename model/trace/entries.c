// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>

#include "entries.h"

#define PER_PAGE	512		/* words */
#define PER_GROUP	32768		/* pages: 128 MB of addresses, most of which hold no table */

struct page {
	uint64_t known[PER_PAGE / 64];
	uint64_t value[PER_PAGE];
};

struct group {
	struct page *page[PER_GROUP];
};

struct entries {
	uint64_t nr_groups;
	struct group *group[];
};

struct entries *entries_new(uint64_t end)
{
	uint64_t nr = end / 8 / PER_PAGE / PER_GROUP + 1;
	struct entries *entries = calloc(1, sizeof(*entries) + nr * sizeof(entries->group[0]));

	if (entries)
		entries->nr_groups = nr;
	return entries;
}

void entries_free(struct entries *entries)
{
	for (uint64_t i = 0; entries && i < entries->nr_groups; i++) {
		struct group *group = entries->group[i];

		for (unsigned int k = 0; group && k < PER_GROUP; k++)
			free(group->page[k]);
		free(group);
	}
	free(entries);
}

bool entries_get(const struct entries *entries, uint64_t address, uint64_t *value)
{
	uint64_t index = address / 8 % PER_PAGE, number = address / 8 / PER_PAGE;
	const struct group *group;
	const struct page *page;

	if (number / PER_GROUP >= entries->nr_groups)
		return false;
	group = entries->group[number / PER_GROUP];
	page = group ? group->page[number % PER_GROUP] : NULL;
	if (!page || !(page->known[index / 64] >> index % 64 & 1))
		return false;
	*value = page->value[index];
	return true;
}

static struct page *make_page(struct entries *entries, uint64_t number)
{
	struct group **group = &entries->group[number / PER_GROUP];
	struct page **page;

	if (!*group)
		*group = calloc(1, sizeof(**group));
	if (!*group)
		return NULL;
	page = &(*group)->page[number % PER_GROUP];
	if (!*page)
		*page = calloc(1, sizeof(**page));
	return *page;
}

bool entries_put(struct entries *entries, uint64_t address, uint64_t value)
{
	uint64_t index = address / 8 % PER_PAGE, number = address / 8 / PER_PAGE;
	struct page *page;

	if (number / PER_GROUP >= entries->nr_groups)
		return false;
	page = make_page(entries, number);
	if (!page)
		return false;
	page->known[index / 64] |= 1ull << index % 64;
	page->value[index] = value;
	return true;
}
