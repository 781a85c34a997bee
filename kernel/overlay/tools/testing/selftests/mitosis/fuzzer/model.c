// SPDX-License-Identifier: GPL-2.0
/*
 * What the address spaces must hold. Private pages have their contents in each space's own state,
 * shared ones in an object. Where Linux leaves something open, so does the model:
 *
 * - A page that was given up (MADV_FREE) holds what it held, or zero. So does that of another process
 *   that shares it since a fork, if it was swapped in meanwhile: from memory as swap it comes clean and
 *   without an entry in the swap cache, and then Linux 6.12 does not ask who else maps it.
 * - Soft-dirty is known of anonymous private pages, between its clear and the next call that changes
 *   mappings: those merge, and what is new counts as dirty. A huge page has one state for all.
 */
#include "fuzz.h"

#define GB		(1UL << 30)
#define TB		(1UL << 40)

/*
 * Far from what else the process maps, so that page tables come and go with them. Areas begin half
 * their size before a border of level-1, 2 and 3 tables; the kernel may have a fifth level.
 */
struct area_layout areas[NR_AREAS] = {
	[SMALL] = { "small", 32 * TB, 64 },
	[PMD] = { "pmd", 32 * TB + 2 * GB + PMD_SIZE - 32 * PAGE, 64 },
	[PUD] = { "pud", 32 * TB + 8 * GB - 32 * PAGE, 64 },
	[FAR] = { "far", 40 * TB - 32 * PAGE, 64 },
	[HIGH] = { "high", 48 * TB, 64 },
	[HUGE] = { "huge", 56 * TB, MAX_PAGES },
};

void *address(int area, unsigned int page)
{
	return (void *)(areas[area].start + page * PAGE);
}

void model_init(struct world *world, int nr_nodes)
{
	memset(world, 0, sizeof(*world));
	world->nr_nodes = nr_nodes;
	world->spaces[0].alive = true;
	for (int i = 0; i < NR_AREAS; i++)
		world->end[i] = areas[i].pages;
	for (int i = 0; i < MAX_PROCESSES; i++)
		world->spaces[i].bind_node = -1;
}

/* What a step needs */

static bool is_any(const struct page *page)
{
	(void)page;
	return true;
}

static bool is_mapped(const struct page *page)
{
	return page->kind != HOLE;
}

static bool is_hole(const struct page *page)
{
	return page->kind == HOLE;
}

static bool is_private(const struct page *page)
{
	return page->kind == PRIVATE;
}

/* Has it a page that no file has? */
static bool is_own(const struct page *page)
{
	return page->kind == PRIVATE || (page->kind == COPY && page->own);
}

static bool is_readable(const struct page *page)
{
	return page->kind != HOLE && page->prot & PROT_READ;
}

static bool is_writable(const struct page *page)
{
	return page->kind != HOLE && page->prot & PROT_WRITE;
}

static bool is_writable_shared(const struct page *page)
{
	return page->kind == SHARED && page->prot & PROT_WRITE;
}

static bool is_writable_private(const struct page *page)
{
	return page->kind == PRIVATE && page->prot & PROT_WRITE;
}

fits_fn model_fits(int op)
{
	switch (op) {
	case OP_MAP:
	case OP_UNMAP:
		return is_any;
	case OP_WRITE:
	case OP_SAME:
	case OP_POPULATE_WRITE:
		return is_writable;
	case OP_SPAWN:
	case OP_TRACK:
		return is_writable_private;
	case OP_FREE:
	case OP_LEAVE:
	case OP_GROW:
		return is_private;
	case OP_REMOVE:
		return is_writable_shared;
	case OP_READ:
	case OP_AGE:
	case OP_PEEK:
	case OP_POPULATE_READ:
		return is_readable;
	default:
		return is_mapped;
	}
}

static bool all(const struct world *world, int process, const struct step *step, fits_fn fits)
{
	const struct page *pages = world->spaces[process].pages[step->area];

	for (unsigned int i = step->page; i < step->page + step->pages; i++)
		if (!fits(&pages[i]))
			return false;
	return true;
}

static bool is_fit(const struct world *world, const struct step *step)
{
	return all(world, step->op == OP_PEEK ? step->other : step->process, step, model_fits(step->op));
}

/* As one mapping, so far as the model can tell. */
static bool is_uniform(const struct world *world, const struct step *step)
{
	const struct page *pages = &world->spaces[step->process].pages[step->area][step->page];

	for (unsigned int i = 1; i < step->pages; i++)
		if (pages[i].kind != pages[0].kind || pages[i].prot != pages[0].prot ||
		    (pages[0].kind != PRIVATE && (pages[i].object != pages[0].object ||
						  pages[i].offset != pages[0].offset + i)))
			return false;
	return is_mapped(pages);
}

/* In a race the other pages of an area belong to other threads. */
static bool is_used(const struct world *world, int area, unsigned int page, unsigned int pages)
{
	return pages && page >= world->first[area] && page + pages <= world->end[area];
}

static bool overlaps(const struct step *step)
{
	return step->area == step->to_area && step->page < step->to_page + step->pages &&
	       step->to_page < step->page + step->pages;
}

static bool can_move(const struct world *world, const struct step *step)
{
	return is_uniform(world, step) && !overlaps(step) &&
	       is_used(world, step->to_area, step->to_page, step->pages);
}

static bool can_grow(const struct world *world, const struct step *step)
{
	struct step added = *step;

	if (step->to_page <= step->pages || !is_uniform(world, step) || !is_fit(world, step))
		return false;
	added.page += step->pages;
	added.pages = step->to_page - step->pages;
	return is_used(world, added.area, added.page, added.pages) && all(world, step->process, &added, is_hole);
}

/* An object that no page of any process shows. */
static int unused_object(const struct world *world)
{
	bool used[NR_OBJECTS] = { false };

	for (int process = 0; process < MAX_PROCESSES; process++)
		for (int area = 0; area < NR_AREAS && world->spaces[process].alive; area++)
			for (unsigned int i = 0; i < areas[area].pages; i++) {
				const struct page *page = &world->spaces[process].pages[area][i];

				if (page->kind == SHARED || page->kind == COPY)
					used[page->object] = true;
			}
	for (int object = FIRST_SHARED; object < NR_OBJECTS; object++)
		if (!used[object])
			return object;
	return -1;
}

static bool can_map(const struct world *world, const struct step *step)
{
	return step->kind == PRIVATE || step->object < FIRST_SHARED || unused_object(world) >= 0;
}

static bool can_reach(const struct world *world, const struct step *step)
{
	return step->other != step->process && world->spaces[step->other].alive && is_fit(world, step);
}

bool model_applies(const struct world *world, const struct step *step)
{
	if (!world->spaces[step->process].alive)
		return false;
	if (strchr(operations[step->op].args, 'r') && !is_used(world, step->area, step->page, step->pages))
		return false;
	switch (step->op) {
	case OP_MAP:
		return can_map(world, step);
	case OP_MOVE:
		return can_move(world, step);
	case OP_LEAVE:
		return can_move(world, step) && is_fit(world, step);
	case OP_GROW:
		return can_grow(world, step);
	case OP_SHRINK:
		return step->to_page < step->pages && is_uniform(world, step);
	case OP_PEEK:
		return can_reach(world, step);
	case OP_FORK:
		return !world->spaces[step->other].alive;
	case OP_EXIT:
		return step->process != 0;
	case OP_POLICY:
		return world->spaces[step->other].alive;
	case OP_UNMAP:
	case OP_CHECK:
	case OP_CLEAR:
	case OP_SOFT:
	case OP_SMAPS:
	case OP_MIGRATE:
	case OP_VERIFY:
	case OP_PAUSE:
		return true;
	default:
		return is_fit(world, step);
	}
}

/* What a step does */

uint64_t model_value(const struct step *step, unsigned int page, unsigned int stamp)
{
	uint64_t value = (uint64_t)(stamp + 1) << 32;

	return step->op == OP_SAME ? value : value | (step->area + 1) << 16 | page;
}

/* Where a page is changed. */
struct place {
	struct world *world;
	const struct step *step;
	unsigned int page, stamp;
};

typedef void (*change_fn)(const struct place *place, struct page *page);

static void change(struct world *world, const struct step *step, unsigned int stamp, change_fn change)
{
	for (unsigned int i = step->page; i < step->page + step->pages; i++) {
		struct place place = { world, step, i, stamp };

		change(&place, page_of(world, step->process, step->area, i));
	}
}

static void blur(struct page *page)
{
	if (page->soft == SOFT_CLEAN)
		page->soft = SOFT_UNKNOWN;
}

/* Mappings merge, or huge pages split: what was clean may look dirty. */
static void blur_area(struct world *world, int process, int area)
{
	for (unsigned int i = 0; i < areas[area].pages; i++)
		blur(page_of(world, process, area, i));
}

static void map_page(const struct place *place, struct page *page)
{
	const struct step *step = place->step;

	*page = (struct page){ .kind = step->kind, .prot = step->prot, .object = step->object };
	page->offset = step->object < FIRST_SHARED ? place->page : place->page - step->page;
	if (step->kind == COPY && step->populate && step->prot & PROT_WRITE) {
		page->own = true;
		page->value = place->world->objects[step->object].values[page->offset];
	}
}

static void unmap_page(const struct place *place, struct page *page)
{
	(void)place;
	*page = (struct page){ .kind = HOLE };
}

static void apply_map(struct world *world, const struct step *step)
{
	struct step mapping = *step;

	if (step->kind != PRIVATE && step->object >= FIRST_SHARED) {
		mapping.object = unused_object(world);
		memset(world->objects[mapping.object].values, 0, sizeof(world->objects[0].values));
	}
	change(world, &mapping, 0, map_page);
}

static void protect_page(const struct place *place, struct page *page)
{
	page->prot = place->step->prot;
}

/* Even if it fails: what was at the target is gone. */
static void apply_move(struct world *world, const struct step *step, bool done)
{
	struct page moved[MAX_PAGES];
	struct page *from = page_of(world, step->process, step->area, step->page);
	struct page *to = page_of(world, step->process, step->to_area, step->to_page);

	memcpy(moved, from, step->pages * sizeof(*from));
	memset(to, 0, step->pages * sizeof(*to));
	blur_area(world, step->process, step->to_area);
	if (!done)
		return;
	world->spaces[step->process].huge[step->to_area] |= world->spaces[step->process].huge[step->area];
	for (unsigned int i = 0; i < step->pages; i++) {
		to[i] = moved[i];
		blur(&to[i]);
		from[i] = (struct page){ .kind = HOLE };
		if (step->op == OP_LEAVE) {
			from[i].kind = PRIVATE;
			from[i].prot = moved[i].prot;
			from[i].mergeable = moved[i].mergeable;
		}
	}
}

static void apply_resize(struct world *world, const struct step *step, bool done)
{
	struct page *first = page_of(world, step->process, step->area, step->page);

	if (!done)
		return;
	for (unsigned int i = step->to_page; i < step->pages; i++)
		first[i] = (struct page){ .kind = HOLE };
	for (unsigned int i = step->pages; i < step->to_page; i++)
		first[i] = (struct page){
			.kind = PRIVATE, .prot = first[0].prot, .mergeable = first[0].mergeable,
		};
}

static void drop_page(const struct place *place, struct page *page)
{
	(void)place;
	if (page->kind == SHARED)
		return;
	page->value = 0;
	page->own = false;
	page->freed = false;
	if (page->soft == SOFT_DIRTY)
		page->soft = SOFT_UNKNOWN;
}

typedef void (*change_sharer_fn)(struct page *page);

/* Wherever a fork has left the page that holds this value: a write would have made it another. */
static void change_sharers(struct world *world, uint64_t value, change_sharer_fn change)
{
	for (int process = 0; process < MAX_PROCESSES && value; process++)
		for (int area = 0; area < NR_AREAS && world->spaces[process].alive; area++)
			for (unsigned int i = 0; i < areas[area].pages; i++) {
				struct page *page = page_of(world, process, area, i);

				if (is_own(page) && page->value == value)
					change(page);
			}
}

static void swap_page(struct page *page)
{
	page->swapped = true;
}

static void may_lose_page(struct page *page)
{
	page->freed |= page->swapped;
}

static void page_out_page(const struct place *place, struct page *page)
{
	if (is_own(page))
		change_sharers(place->world, page->value, swap_page);
}

static void give_up_page(const struct place *place, struct page *page)
{
	change_sharers(place->world, page->value, may_lose_page);
	page->freed = page->value;
	if (page->soft == SOFT_DIRTY)
		page->soft = SOFT_UNKNOWN;
}

static void write_page(const struct place *place, struct page *page)
{
	uint64_t value = model_value(place->step, place->page, place->stamp);

	if (page->soft == SOFT_CLEAN)
		page->soft = SOFT_DIRTY;
	if (page->kind == SHARED) {
		place->world->objects[page->object].values[page->offset] = value;
		return;
	}
	page->value = value;
	page->own = true;
	page->freed = false;
	page->swapped = false;
}

/* Each page of a huge page counts as dirty when one was written. */
static void apply_write(struct world *world, const struct step *step, unsigned int stamp)
{
	change(world, step, stamp, write_page);
	if (world->spaces[step->process].huge[step->area])
		blur_area(world, step->process, step->area);
}

/* Of the pages that userfaultfd protects, the first half is written. */
static void apply_track(struct world *world, const struct step *step, unsigned int stamp)
{
	struct step half = *step;

	half.pages = (step->pages + 1) / 2;
	change(world, &half, stamp, write_page);
}

static void own_page(const struct place *place, struct page *page)
{
	blur(page);
	if (page->kind != COPY || page->own)
		return;
	page->own = true;
	page->value = place->world->objects[page->object].values[page->offset];
}

static void remove_page(const struct place *place, struct page *page)
{
	place->world->objects[page->object].values[page->offset] = 0;
}

/* KSM forgets soft-dirty where it merges. */
static void merge_page(const struct place *place, struct page *page)
{
	(void)place;
	page->mergeable = true;
	page->soft = SOFT_UNKNOWN;
}

static void apply_clear(struct world *world, int process)
{
	struct space *space = &world->spaces[process];

	for (int area = 0; area < NR_AREAS; area++)
		for (unsigned int i = 0; i < areas[area].pages; i++) {
			struct page *page = &space->pages[area][i];
			bool known = page->kind == PRIVATE && !page->mergeable && world->soft_works;

			page->soft = known ? SOFT_CLEAN : SOFT_UNKNOWN;
		}
}

/* A page that moves may become soft-dirty, in each process that has it. */
static void blur_all(struct world *world)
{
	for (int process = 0; process < MAX_PROCESSES; process++)
		for (int area = 0; area < NR_AREAS; area++)
			blur_area(world, process, area);
}

static void apply_fork(struct world *world, const struct step *step)
{
	world->spaces[step->other] = world->spaces[step->process];
	world->spaces[step->other].parent = step->process;
	world->spaces[step->other].leaving = false;
}

/* Its children are the first process's. */
static void apply_exit(struct world *world, int process)
{
	world->spaces[process].alive = false;
	for (int i = 1; i < MAX_PROCESSES; i++)
		if (world->spaces[i].parent == process)
			world->spaces[i].parent = 0;
}

static void apply_advice(struct world *world, const struct step *step, unsigned int stamp, bool done)
{
	bool *huge = world->spaces[step->process].huge;

	switch (step->op) {
	case OP_DONTNEED:
		change(world, step, stamp, drop_page);
		break;
	case OP_FREE:
		change(world, step, stamp, give_up_page);
		break;
	case OP_PAGEOUT:
		change(world, step, stamp, page_out_page);
		break;
	case OP_POPULATE_WRITE:
		change(world, step, stamp, own_page);
		break;
	case OP_REMOVE:
		change(world, step, stamp, remove_page);
		break;
	case OP_MERGEABLE:
		if (done)
			change(world, step, stamp, merge_page);
		break;
	case OP_HUGEPAGE:
	case OP_COLLAPSE:
		huge[step->area] |= areas[step->area].pages * PAGE >= PMD_SIZE;
		break;
	}
	/* A huge page may be split. */
	if (huge[step->area] && step->op >= OP_DONTNEED && step->op <= OP_UNMERGEABLE)
		blur_area(world, step->process, step->area);
}

void model_apply(struct world *world, const struct step *step, unsigned int stamp, bool done)
{
	if (operations[step->op].changes_vmas)
		blur_area(world, step->process, step->area);
	switch (step->op) {
	case OP_MAP:
		apply_map(world, step);
		world->spaces[step->process].huge[step->area] |= world->always_huge && step->area == HUGE;
		break;
	case OP_UNMAP:
		change(world, step, stamp, unmap_page);
		break;
	case OP_PROTECT:
		change(world, step, stamp, protect_page);
		break;
	case OP_MOVE:
	case OP_LEAVE:
		apply_move(world, step, done);
		break;
	case OP_GROW:
	case OP_SHRINK:
		apply_resize(world, step, done);
		break;
	case OP_WRITE:
	case OP_SAME:
		apply_write(world, step, stamp);
		break;
	case OP_TRACK:
		apply_track(world, step, stamp);
		break;
	case OP_CLEAR:
		apply_clear(world, step->process);
		break;
	case OP_MOVE_PAGES:
	case OP_MBIND:
	case OP_MIGRATE:
		blur_all(world);
		break;
	case OP_FORK:
		apply_fork(world, step);
		break;
	case OP_EXIT:
		apply_exit(world, step->process);
		break;
	default:
		apply_advice(world, step, stamp, done);
	}
}

/* What must be seen */

struct expected model_expect(const struct world *world, int process, int area, unsigned int i)
{
	const struct page *page = &world->spaces[process].pages[area][i];

	if (page->kind == SHARED || (page->kind == COPY && !page->own))
		return (struct expected){ .value = world->objects[page->object].values[page->offset] };
	return (struct expected){ .value = page->value, .or_zero = page->freed };
}

void model_saw_zero(struct world *world, int process, int area, unsigned int i)
{
	struct page *page = page_of(world, process, area, i);

	page->value = 0;
	page->freed = false;
}
