// SPDX-License-Identifier: GPL-2.0
#include "tlb.h"
#include "allocate.h"

#include <stdlib.h>
#include <string.h>

void tlb_init(struct tlb *tlb, const struct tlb_shape *shape)
{
	tlb->sets = shape->sets;
	tlb->ways = shape->ways;
	tlb->entry = allocate((size_t)shape->sets * shape->ways + 1, sizeof(*tlb->entry));
}

void tlb_free(struct tlb *tlb)
{
	free(tlb->entry);
}

static struct tlb_entry *set_of(const struct tlb *tlb, uint64_t page)
{
	return tlb->entry + (page & (tlb->sets - 1)) * tlb->ways;
}

static const struct tlb_entry *move_to_front(struct tlb_entry *set, struct tlb_entry *entry)
{
	struct tlb_entry used = *entry;

	memmove(set + 1, set, (entry - set) * sizeof(*set));
	*set = used;
	return set;
}

static bool matches(const struct tlb_entry *entry, uint64_t page, unsigned int shift,
		    uint64_t context)
{
	return entry->page == page && entry->shift == shift && entry->valid &&
	       (entry->context == context || entry->global);
}

const struct tlb_entry *tlb_lookup(struct tlb *tlb, uint64_t virtual, unsigned int shift,
				   uint64_t context)
{
	uint64_t page = virtual >> shift;
	struct tlb_entry *set, *entry;

	if (!tlb->ways)
		return NULL;
	set = set_of(tlb, page);
	if (matches(set, page, shift, context))
		return set;
	for (entry = set + 1; entry < set + tlb->ways; entry++) {
		if (matches(entry, page, shift, context))
			return move_to_front(set, entry);
	}
	return NULL;
}

void tlb_insert(struct tlb *tlb, const struct tlb_entry *entry)
{
	struct tlb_entry *set = set_of(tlb, entry->page), *place;

	if (!tlb->ways)
		return;
	for (place = set; place < set + tlb->ways - 1 && place->valid; place++)
		;
	*place = *entry;
	move_to_front(set, place);
}

#define for_each_entry(tlb, e) \
	for (e = (tlb)->entry; e < (tlb)->entry + (size_t)(tlb)->sets * (tlb)->ways; e++)

void tlb_flush_all(struct tlb *tlb)
{
	struct tlb_entry *entry;

	for_each_entry(tlb, entry)
		entry->valid = false;
}

void tlb_flush_context(struct tlb *tlb)
{
	struct tlb_entry *entry;

	for_each_entry(tlb, entry)
		entry->valid &= entry->global;
}

/* Pages of all sizes share the entries, so all are looked at. */
void tlb_flush_address(struct tlb *tlb, uint64_t virtual)
{
	struct tlb_entry *entry;

	for_each_entry(tlb, entry)
		entry->valid &= entry->page != virtual >> entry->shift;
}

void tlb_table_freed(struct tlb *tlb, uint64_t table)
{
	struct tlb_entry *entry;

	for_each_entry(tlb, entry)
		entry->freed |= entry->table == table;
}
