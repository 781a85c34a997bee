// SPDX-License-Identifier: GPL-2.0
#include "tlb.h"

#include "test.h"

#define ROOT	0x1000
#define OTHER	0x2000

static struct tlb new_tlb(unsigned int sets, unsigned int ways)
{
	struct tlb_shape shape = { .sets = sets, .ways = ways };
	struct tlb tlb;

	tlb_init(&tlb, &shape);
	return tlb;
}

static void insert(struct tlb *tlb, uint64_t page, uint64_t context, bool global)
{
	tlb_insert(tlb, &(struct tlb_entry){
		.page = page, .context = context, .shift = 12, .frame = page << 12,
		.table = 0x100000 + (page >> 9 << 12), .global = global, .valid = true,
	});
}

static bool has(struct tlb *tlb, uint64_t page, uint64_t context)
{
	const struct tlb_entry *entry = tlb_lookup(tlb, page << 12 | 0x123, 12, context);

	return entry && entry->frame == page << 12;
}

TEST(sets_replace_by_lru)
{
	struct tlb tlb = new_tlb(2, 2);

	insert(&tlb, 0, ROOT, false);
	insert(&tlb, 2, ROOT, false);
	insert(&tlb, 1, ROOT, false);
	EXPECT(has(&tlb, 0, ROOT));
	insert(&tlb, 4, ROOT, false);	/* the set of 0 and 2, which was used less lately */
	EXPECT(has(&tlb, 0, ROOT) && has(&tlb, 4, ROOT) && has(&tlb, 1, ROOT));
	EXPECT(!has(&tlb, 2, ROOT));
	tlb_free(&tlb);
}

TEST(entries_belong_to_a_context_or_to_all)
{
	struct tlb tlb = new_tlb(1, 4);

	insert(&tlb, 1, ROOT, false);
	insert(&tlb, 2, ROOT, true);
	EXPECT(has(&tlb, 1, ROOT) && has(&tlb, 2, ROOT));
	EXPECT(!has(&tlb, 1, OTHER) && has(&tlb, 2, OTHER));
	tlb_free(&tlb);
}

TEST(flushes_forget_what_they_say)
{
	struct tlb tlb = new_tlb(1, 4);

	insert(&tlb, 1, ROOT, false);
	insert(&tlb, 2, ROOT, true);
	insert(&tlb, 3, OTHER, true);
	tlb_flush_address(&tlb, 3 << 12 | 0x800);
	EXPECT(has(&tlb, 1, ROOT) && has(&tlb, 2, ROOT) && !has(&tlb, 3, ROOT));
	tlb_flush_context(&tlb);
	EXPECT(!has(&tlb, 1, ROOT) && has(&tlb, 2, ROOT));
	tlb_flush_all(&tlb);
	EXPECT(!has(&tlb, 2, ROOT));
	tlb_free(&tlb);
}

TEST(page_sizes_share_entries_and_are_told_apart)
{
	struct tlb tlb = new_tlb(1, 4);

	tlb_insert(&tlb, &(struct tlb_entry){ .page = 1, .shift = 21, .context = ROOT,
					      .frame = 5 << 21, .valid = true });
	EXPECT(tlb_lookup(&tlb, 1 << 21 | 0x1000, 21, ROOT));
	EXPECT(!tlb_lookup(&tlb, 1 << 12, 12, ROOT));
	tlb_flush_address(&tlb, 1 << 21 | 0x1ff000);
	EXPECT(!tlb_lookup(&tlb, 1 << 21, 21, ROOT));
	tlb_free(&tlb);
}

TEST(entries_of_a_freed_table_are_marked_until_they_go)
{
	struct tlb tlb = new_tlb(1, 4);

	insert(&tlb, 1, ROOT, false);
	insert(&tlb, 512, ROOT, false);		/* of the next table */
	tlb_table_freed(&tlb, 0x100000);
	EXPECT(tlb_lookup(&tlb, 1 << 12, 12, ROOT)->freed);
	EXPECT(!tlb_lookup(&tlb, 512 << 12, 12, ROOT)->freed);
	tlb_flush_all(&tlb);
	insert(&tlb, 1, ROOT, false);		/* the page is a table again */
	EXPECT(!tlb_lookup(&tlb, 1 << 12, 12, ROOT)->freed);
	tlb_free(&tlb);
}

TEST(nothing_is_kept_without_entries)
{
	struct tlb tlb = new_tlb(0, 0);

	insert(&tlb, 1, ROOT, true);
	EXPECT(!has(&tlb, 1, ROOT));
	tlb_flush_all(&tlb);
	tlb_free(&tlb);
}

TEST_MAIN
