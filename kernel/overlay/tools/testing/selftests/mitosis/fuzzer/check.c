// SPDX-License-Identifier: GPL-2.0
/* Memory, and what the kernel tells of it, against the model. */
#include <fcntl.h>

#include "fuzz.h"

/* Contents */

static void describe(char *text, size_t size, uint64_t value)
{
	unsigned int area = value >> 16 & 0xffff, page = value & 0xffff;

	if (!value)
		snprintf(text, size, "zero");
	else if (area > 0 && area <= NR_AREAS)
		snprintf(text, size, "what step %u wrote to %s %u", (unsigned int)(value >> 32) - 1,
			 areas[area - 1].name, page);
	else
		snprintf(text, size, "%#llx, of step %u", (unsigned long long)value,
			 (unsigned int)(value >> 32) - 1);
}

void check_page(const struct job *job, int process, int area, unsigned int page, uint64_t value)
{
	struct expected expected = model_expect(job->world, process, area, page);
	char seen[128], wanted[128];

	if (value == expected.value)
		return;
	if (!value && expected.or_zero) {
		model_saw_zero(job->world, process, area, page);
		return;
	}
	describe(seen, sizeof(seen), value);
	describe(wanted, sizeof(wanted), expected.value);
	found(FOUND_CONTENT, "process %d, node %d: page %s %u holds %s, expected %s%s", process,
	      crew[job->member].node, areas[area].name, page, seen, wanted,
	      expected.or_zero ? " or zero" : "");
}

static void read_page(const struct job *job, int area, unsigned int page)
{
	uint64_t value;

	if (!try_read_word(address(area, page), &value))
		found(FOUND_PERMISSION, "process %d: page %s %u is readable, but node %d got a signal",
		      job->step->process, areas[area].name, page, crew[job->member].node);
	check_page(job, job->step->process, area, page, value);
}

/* The step's range, by the calling thread. */
void read_range(const struct job *job, void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < job->step->pages; i++)
		read_page(job, job->step->area, job->step->page + i);
}

/* Permissions */

static bool same_rights(const struct page *a, const struct page *b)
{
	return (a->kind == HOLE) == (b->kind == HOLE) && a->prot == b->prot;
}

/* A fault that ends in a signal is slow: try the pages at which rights change, and a few of the others. */
static bool is_tried(const struct job *job, int area, unsigned int i)
{
	const struct page *page = page_of(job->world, job->step->process, area, i);

	return i == job->world->first[area] || i + 1 == job->world->end[area] || (page->kind != HOLE && i % 32 == job->stamp % 32) ||
	       !same_rights(page, page - 1) || !same_rights(page, page + 1);
}

static void check_rights(const struct job *job, int area, unsigned int i)
{
	const struct page *page = page_of(job->world, job->step->process, area, i);
	bool write = page->prot & PROT_READ;

	if (page->prot & PROT_WRITE && page->kind != HOLE)
		return;
	if (write && page->kind != HOLE ? try_write(address(area, i)) : try_read(address(area, i)))
		found(FOUND_PERMISSION, "process %d: node %d can %s page %s %u, which is %s",
		      job->step->process, crew[job->member].node, write ? "write" : "read",
		      areas[area].name, i, page->kind == HOLE ? "not mapped" : write ? "read-only" : "protected");
}

static void check_areas(const struct job *job, void *unused)
{
	(void)unused;
	for (int area = 0; area < NR_AREAS; area++)
		for (unsigned int i = job->world->first[area]; i < job->world->end[area]; i++) {
			const struct page *page = page_of(job->world, job->step->process, area, i);

			if (page->kind != HOLE && page->prot & PROT_READ)
				read_page(job, area, i);
			if (is_tried(job, area, i))
				check_rights(job, area, i);
		}
}

/* By one node after the other: what a page that was given up holds is settled by the first. */
void check_everything(struct job *job)
{
	for (int i = 0; i < nr_crew; i++)
		on_node(job, job->step->node + i, check_areas, NULL);
}

/* Soft-dirty */

bool soft_dirty_works(void)
{
	volatile char *p = map_anon(PAGE, PAGE);
	bool before, after;

	*p = 1;
	if (write_file("/proc/self/clear_refs", "4"))
		return false;
	before = pagemap((void *)p) & PAGEMAP_SOFT_DIRTY;
	*p = 2;
	after = pagemap((void *)p) & PAGEMAP_SOFT_DIRTY;
	unmap((void *)p, PAGE);
	return !before && after;
}

/* A dirty page that moves, for compaction too, becomes soft-dirty. */
long migrated_pages(void)
{
	return read_field("/proc/vmstat", "pgmigrate_success");
}

static void check_soft_area(struct job *job, int fd, int area, bool moved)
{
	unsigned int nr = areas[area].pages;
	uint64_t entries[MAX_PAGES];

	if (pread(fd, entries, nr * 8, areas[area].start / PAGE * 8) != (ssize_t)nr * 8)
		found(FOUND_TROUBLE, "pagemap cannot be read: %s", strerror(errno));
	for (unsigned int i = 0; i < nr; i++) {
		const struct page *page = page_of(job->world, job->step->process, area, i);
		bool dirty = entries[i] & PAGEMAP_SOFT_DIRTY;

		if (page->soft == SOFT_UNKNOWN || (page->soft == SOFT_CLEAN && moved))
			continue;
		if (page->soft == (dirty ? SOFT_CLEAN : SOFT_DIRTY))
			found(FOUND_SOFT_DIRTY, "process %d: page %s %u is %ssoft-dirty, expected the opposite",
			      job->step->process, areas[area].name, i, dirty ? "" : "not ");
	}
}

void check_soft(struct job *job)
{
	int fd = check_ok(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	bool moved = migrated_pages() != job->world->spaces[job->step->process].migrated;

	for (int area = 0; area < NR_AREAS; area++)
		check_soft_area(job, fd, area, moved);
	close(fd);
}

/* Accessed */

static void clear_young(const struct job *job, void *unused)
{
	(void)job;
	(void)unused;
	check_eq(write_file("/proc/self/clear_refs", "1"), 0);
	flush_tlb();
}

static long referenced(int area)
{
	return smaps_kb(address(area, 0), areas[area].pages * PAGE, "Referenced") / 4;
}

/* Pages of zeros may be one page that is not counted. */
static unsigned int countable(const struct job *job)
{
	const struct step *step = job->step;
	unsigned int pages = 0;

	for (unsigned int i = 0; i < step->pages; i++) {
		struct expected expected = model_expect(job->world, step->process, step->area, step->page + i);

		pages += expected.value && !expected.or_zero;
	}
	return pages;
}

/*
 * An address space that ended may be torn down later, by whoever looked at it last (KSM, reclaim), and
 * then marks the pages of files that it had read. That happens once; what clearing leaves behind
 * is there each time.
 */
void check_age(struct job *job)
{
	const struct step *step = job->step;
	long pages = 1;

	for (int tries = 0; tries < 3 && pages; tries++) {
		on_node(job, step->node + 1 + tries, clear_young, NULL);
		pages = referenced(step->area);
	}
	if (pages)
		found(FOUND_REFERENCED, "process %d: %ld pages of %s count as referenced that nobody read",
		      step->process, pages, areas[step->area].name);
	on_node(job, step->node, read_range, NULL);
	pages = referenced(step->area);
	if (pages < countable(job))
		found(FOUND_REFERENCED, "process %d: node %d read %u pages of %s, and %ld count as referenced",
		      step->process, crew[step->node % nr_crew].node, countable(job),
		      areas[step->area].name, pages);
}

/* What the kernel's checker finds */

static long fallbacks(pid_t pid)
{
	struct pgtables tables = read_pgtables(pid);

	free_pgtables(&tables);
	return tables.fallbacks;
}

static long tables_beside(pid_t pid, int node)
{
	struct pgtables tables = read_pgtables(pid);
	long beside = count_tables(&tables, TREE_PRIMARY, 1, -1) - count_tables(&tables, TREE_PRIMARY, 1, node);

	free_pgtables(&tables);
	return beside;
}

/*
 * From now on new tables come from one node; those that are elsewhere become no more. Not so where
 * a huge page has a table that waits for its split: it is older than the policy.
 */
void note_bind(struct world *world, int process)
{
	struct space *space = &world->spaces[process];

	if (space->bind_node >= 0 && !without_mitosis)
		space->bind_elsewhere = tables_beside(space->pid, space->bind_node);
}

static void check_bind(const struct space *space, int process)
{
	long beside;

	if (space->bind_node < 0)
		return;
	beside = tables_beside(space->pid, space->bind_node);
	if (beside > space->bind_elsewhere && !fallbacks(space->pid))
		found(FOUND_PLACE, "process %d: %ld tables lie beside node %d, and %ld did when it was bound there",
		      process, beside, space->bind_node, space->bind_elsewhere);
}

static void check_tables_of(pid_t pid, int process)
{
	struct verdict verdict = verify(pid);

	if (verdict.nonlocal && fallbacks(pid))
		wait_until(!(verdict = verify(pid)).nonlocal, 12);
	verdict.bad[strcspn(verdict.bad, "\n")] = '\0';
	if (!*verdict.bad)
		strcpy(verdict.bad, "the root of a CPU");
	if (verdict.mismatches)
		found(FOUND_CHECKER, "process %d: %ld mismatches, the first is: %.200s", process,
		      verdict.mismatches, verdict.bad);
	if (verdict.nonlocal)
		found(FOUND_PLACE, "process %d: %ld tables lie elsewhere, the first is: %.200s", process,
		      verdict.nonlocal, verdict.bad);
}

static void verify_process(const struct job *job, int process)
{
	const struct space *space = &job->world->spaces[process];

	if (!space->alive)
		return;
	check_tables_of(space->pid, process);
	check_bind(space, process);
}

static void verify_own(const struct job *job, void *unused)
{
	(void)unused;
	if (job->alone)
		check_tables_of(SELF, 0);
	else
		verify_process(job, job->step->process);
}

static void verify_all(const struct job *job, void *unused)
{
	(void)unused;
	for (int process = 0; process < MAX_PROCESSES; process++)
		verify_process(job, process);
}

/* The CPU that asks is one whose root is looked at. */
void check_kernel(struct job *job)
{
	if (!without_mitosis)
		on_node(job, job->step->node, job->alone ? verify_own : verify_all, NULL);
}

void check_kernel_from_all_nodes(struct job *job)
{
	for (int node = 0; node < nr_crew && !without_mitosis; node++)
		on_node(job, node, verify_own, NULL);
}

/* Files */

static unsigned int written_pages(const struct object *object)
{
	unsigned int pages = MAX_PAGES;

	while (pages && !object->values[pages - 1])
		pages--;
	return pages;
}

/* Pages that nobody maps and that do not count as dirty are dropped, whatever was written to them. */
static void reclaim_file(int fd, unsigned int pages)
{
	volatile char *p = check_ok((char *)mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0));

	for (unsigned int i = 0; i < pages; i++)
		(void)p[i * PAGE];
	if (full_nodes()->nr > 1)
		drain_lists();
	check_ok(madvise((void *)p, pages * PAGE, MADV_PAGEOUT));
	unmap((void *)p, pages * PAGE);
}

static void check_file_page(const struct object *object, int file, unsigned int page)
{
	char seen[128], wanted[128];
	uint64_t value = 0;

	check_eq(pread(object->fd, &value, sizeof(value), page * PAGE), sizeof(value));
	if (value == object->values[page])
		return;
	describe(seen, sizeof(seen), value);
	describe(wanted, sizeof(wanted), object->values[page]);
	found(FOUND_CONTENT, "page %u of file %d holds %s, expected %s", page, file, seen, wanted);
}

void check_files(struct world *world)
{
	for (int i = 0; i < FIRST_SHARED; i++) {
		unsigned int pages = written_pages(&world->objects[i]);

		if (!pages)
			continue;
		reclaim_file(world->objects[i].fd, pages);
		for (unsigned int page = 0; page < pages; page++)
			check_file_page(&world->objects[i], i, page);
	}
}
