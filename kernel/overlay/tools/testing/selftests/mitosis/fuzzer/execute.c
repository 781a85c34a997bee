// SPDX-License-Identifier: GPL-2.0
/* The system calls of a step, done by a thread on the step's node. */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../lib/newer.h"
#include "fuzz.h"

/* Newer than the headers of some distributions. */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

#define SCRATCH_PAGES	64

enum plant plant;

static char *scratch;

/* Where */

struct errand {
	const struct job *job;
	errand_fn run;
	void *arg;
};

static void do_errand(const struct member *member, void *arg)
{
	const struct errand *errand = arg;
	struct job job = *errand->job;

	job.member = member->index;
	errand->run(&job, errand->arg);
}

void on_node(const struct job *job, int node, errand_fn run, void *arg)
{
	struct errand errand = { job, run, arg };

	node %= nr_crew;
	if (!job->alone) {
		on_member(node, do_errand, &errand);
		return;
	}
	pin_to_cpu(crew[node].cpu);
	do_errand(&crew[node], &errand);
}

void map_scratch(void)
{
	scratch = map_anon(SCRATCH_PAGES * PAGE, PAGE);
}

/* So many pages lose a right at once that all of each TLB is flushed. */
void flush_tlb(void)
{
	fill_here(scratch, SCRATCH_PAGES * PAGE, 1);
	check_ok(mprotect(scratch, SCRATCH_PAGES * PAGE, PROT_READ));
	check_ok(mprotect(scratch, SCRATCH_PAGES * PAGE, PROT_READ | PROT_WRITE));
}

/* The node of that number among those with CPUs and memory; there may be fewer than steps speak of. */
static int node_id(int number)
{
	static struct nodes nodes;

	if (!nodes.nr)
		nodes = *full_nodes();
	return nodes.nr ? nodes.id[number % nodes.nr] : 0;
}

/* Objects */

void open_objects(struct world *world)
{
	for (int i = 0; i < FIRST_SHARED; i++)
		world->objects[i].fd = check_ok(memfd_create("fuzz", MFD_CLOEXEC));
}

void empty_objects(struct world *world)
{
	for (int i = 0; i < FIRST_SHARED; i++) {
		check_ok(ftruncate(world->objects[i].fd, 0));
		check_ok(ftruncate(world->objects[i].fd, MAX_PAGES * PAGE));
	}
}

/* Mappings; each function returns 0 or an errno. */

static void *start(const struct step *step)
{
	return address(step->area, step->page);
}

static size_t length(const struct step *step)
{
	return step->pages * PAGE;
}

static int result(bool failed)
{
	return failed ? errno : 0;
}

static int do_map(const struct job *job)
{
	const struct step *step = job->step;
	bool file = step->kind != PRIVATE && step->object < FIRST_SHARED;
	int flags = MAP_FIXED | (step->kind == SHARED ? MAP_SHARED : MAP_PRIVATE);

	flags |= (step->populate ? MAP_POPULATE : 0) | (file ? 0 : MAP_ANONYMOUS);
	return result(mmap(start(step), length(step), step->prot, flags,
			   file ? job->world->objects[step->object].fd : -1,
			   file ? step->page * PAGE : 0) == MAP_FAILED);
}

static int do_protect(const struct step *step)
{
	int prot = step->prot;

	if (plant == PLANT_PROTECT && prot == PROT_READ && step->pages > 2)
		prot |= PROT_WRITE;
	return result(mprotect(start(step), length(step), prot));
}

/* What was at the target is gone even if the move failed. */
static int do_move(const struct step *step)
{
	void *target = address(step->to_area, step->to_page);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (step->op == OP_LEAVE ? MREMAP_DONTUNMAP : 0);
	int error = result(mremap(start(step), length(step), length(step), flags, target) == MAP_FAILED);

	if (error)
		check_ok(munmap(target, length(step)));
	return error;
}

static int do_resize(const struct step *step)
{
	return result(mremap(start(step), length(step), step->to_page * PAGE, 0) == MAP_FAILED);
}

static const int advices[NR_OPS] = {
	[OP_DONTNEED] = MADV_DONTNEED, [OP_FREE] = MADV_FREE, [OP_COLD] = MADV_COLD,
	[OP_PAGEOUT] = MADV_PAGEOUT, [OP_HUGEPAGE] = MADV_HUGEPAGE, [OP_NOHUGEPAGE] = MADV_NOHUGEPAGE,
	[OP_COLLAPSE] = MADV_COLLAPSE, [OP_POPULATE_READ] = MADV_POPULATE_READ,
	[OP_POPULATE_WRITE] = MADV_POPULATE_WRITE, [OP_WILLNEED] = MADV_WILLNEED,
	[OP_REMOVE] = MADV_REMOVE, [OP_MERGEABLE] = MADV_MERGEABLE, [OP_UNMERGEABLE] = MADV_UNMERGEABLE,
};

static int do_advise(const struct job *job)
{
	const struct step *step = job->step;

	/* Pages that wait in a CPU's list are not found. */
	if ((step->op == OP_PAGEOUT || step->op == OP_FREE) && job->world->nr_nodes > 1)
		drain_lists();
	return result(madvise(start(step), length(step), advices[step->op]));
}

/* Contents */

static void write_page(const struct job *job, unsigned int page)
{
	uint64_t *word = address(job->step->area, page);

	if (!try_write(word))
		found(FOUND_PERMISSION, "page %s %u is writable, but node %d got a signal",
		      areas[job->step->area].name, page, crew[job->member].node);
	*(volatile uint64_t *)word = model_value(job->step, page, job->stamp);
}

static void write_pages(const struct job *job, unsigned int pages)
{
	/* The mistake that is planted: a write to the last of several pages is lost. */
	if (plant == PLANT_WRITE && pages > 3)
		pages--;
	for (unsigned int i = 0; i < pages; i++)
		write_page(job, job->step->page + i);
}

/* A word of each page. */
static int do_peek(const struct job *job)
{
	const struct step *step = job->step;
	uint64_t words[MAX_PAGES];
	struct iovec from[MAX_PAGES], to = { words, step->pages * sizeof(words[0]) };
	ssize_t got;

	for (unsigned int i = 0; i < step->pages; i++)
		from[i] = (struct iovec){ address(step->area, step->page + i), sizeof(words[0]) };
	got = process_vm_readv(job->world->spaces[step->other].pid, &to, 1, from, step->pages, 0);
	if (got != (ssize_t)to.iov_len)
		found(FOUND_PERMISSION, "%zd of %zu bytes of process %d could be read", got, to.iov_len,
		      step->other);
	for (unsigned int i = 0; i < step->pages; i++)
		check_page(job, step->other, step->area, step->page + i, words[i]);
	return 0;
}

/* The child's view and its writes are its own. */
static void spawned(struct job job)
{
	struct world *world = malloc(sizeof(*world));

	if (!world)
		_exit(1);
	*world = *job.world;
	job.world = world;
	job.alone = true;
	on_node(&job, job.step->node + 1, read_range, NULL);
	write_pages(&job, job.step->pages);
	for (unsigned int i = 0; i < job.step->pages; i++) {
		struct page *page = page_of(world, job.step->process, job.step->area, job.step->page + i);

		page->value = model_value(job.step, job.step->page + i, job.stamp);
		page->freed = false;
	}
	on_node(&job, job.step->node + 2, read_range, NULL);
	_exit(0);
}

static int do_spawn(const struct job *job)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (!pid)
		spawned(*job);
	if (waitpid(pid, &status, 0) != pid || status)
		found(FOUND_DEATH, "a child that reads and writes pages ended with status %#x", status);
	return 0;
}

/* Writes that userfaultfd and PAGEMAP_SCAN track */

static int open_uffd(const struct step *step)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)start(step), length(step) }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (!ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
	close(fd);
	return -1;
}

static long scan_written(const struct step *step)
{
	static __thread struct page_region regions[MAX_PAGES];
	struct pm_scan_arg scan = {
		.size = sizeof(scan), .flags = PM_SCAN_WP_MATCHING, .start = (uintptr_t)start(step),
		.end = (uintptr_t)start(step) + length(step), .vec = (uintptr_t)regions,
		.vec_len = MAX_PAGES, .category_mask = PAGE_IS_WRITTEN, .return_mask = PAGE_IS_WRITTEN,
	};
	int fd = check_ok(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	long nr = ioctl(fd, PAGEMAP_SCAN, &scan), pages = 0;

	close(fd);
	for (long i = 0; i < nr; i++)
		pages += (regions[i].end - regions[i].start) / PAGE;
	return nr < 0 ? nr : pages;
}

/* Where KSM merges a page it forgets that userfaultfd protected it, at any moment. */
static bool is_mergeable(const struct job *job)
{
	const struct step *step = job->step;

	for (unsigned int i = 0; i < step->pages; i++)
		if (page_of(job->world, step->process, step->area, step->page + i)->mergeable)
			return true;
	return false;
}

static int do_track(const struct job *job)
{
	const struct step *step = job->step;
	unsigned int half = (step->pages + 1) / 2;
	bool merged = is_mergeable(job), more = merged || job->world->spaces[step->process].huge[step->area];
	int fd = open_uffd(step);
	long written = fd < 0 ? -1 : scan_written(step);

	if (written >= 0) {
		written = scan_written(step);
		if (written && !merged)
			found(FOUND_TRACKED, "%ld pages count as written that nobody wrote", written);
	}
	write_pages(job, half);
	if (written >= 0) {
		written = scan_written(step);
		if (written < half || (written > half && !more))
			found(FOUND_TRACKED, "node %d wrote %u pages, and %ld count as written",
			      crew[job->member].node, half, written);
	}
	close(fd);
	return 0;
}

/* Where pages lie */

static void set_nodes(unsigned long *mask, uint32_t nodes)
{
	for (int i = 0; i < 32; i++)
		if (nodes >> i & 1)
			mask[node_id(i) / 64] |= 1UL << node_id(i) % 64;
}

static int do_move_pages(const struct step *step)
{
	void *pages[MAX_PAGES];
	int nodes[MAX_PAGES], status[MAX_PAGES];

	for (unsigned int i = 0; i < step->pages; i++) {
		pages[i] = address(step->area, step->page + i);
		nodes[i] = node_id(__builtin_ctz(step->nodes));
	}
	return result(syscall(SYS_move_pages, 0, (unsigned long)step->pages, pages, nodes, status,
			      MPOL_MF_MOVE) < 0);
}

static int do_mbind(const struct step *step)
{
	unsigned long mask[16] = { 0 };

	set_nodes(mask, step->nodes);
	return result(syscall(SYS_mbind, start(step), length(step), MPOL_PREFERRED, mask,
			      8 * sizeof(mask), MPOL_MF_MOVE) < 0);
}

static int do_migrate(const struct step *step)
{
	unsigned long from[16] = { 0 }, to[16] = { 0 };

	set_nodes(from, ~0U);
	set_nodes(to, step->nodes);
	return result(syscall(SYS_migrate_pages, 0, 8 * sizeof(from), from, to) < 0);
}

/* What the kernel shows */

static int do_smaps(void)
{
	static __thread char text[1 << 16];

	if (read_file("/proc/self/smaps_rollup", text, sizeof(text)) <= 0)
		return EIO;
	read_file("/proc/self/smaps", text, sizeof(text));
	read_file("/proc/self/numa_maps", text, sizeof(text));
	return 0;
}

static int do_mincore(const struct step *step)
{
	unsigned char present[MAX_PAGES];

	return result(mincore(start(step), length(step), present));
}

static int do_clear(const struct job *job)
{
	int error = 0;

	if (plant != PLANT_SOFT)
		error = write_file("/proc/self/clear_refs", "4");
	job->world->spaces[job->step->process].migrated = migrated_pages();
	return error;
}

/* Policies */

static void policy_text(char *text, size_t size, const struct step *step)
{
	static const char * const names[] = { "default", "none", "bind", "replicate" };
	int length = snprintf(text, size, "%s", names[step->policy]);
	char separator = ' ';

	for (int i = 0; step->policy >= POLICY_BIND && i < 32; i++)
		if (step->nodes >> i & 1) {
			length += snprintf(text + length, size - length, "%c%d", separator, node_id(i));
			separator = ',';
		}
}

static bool has_huge(const struct space *space)
{
	for (int area = 0; area < NR_AREAS; area++)
		if (space->huge[area])
			return true;
	return false;
}

static int do_policy(const struct job *job)
{
	const struct step *step = job->step;
	struct space *space = &job->world->spaces[step->other];
	char text[512];
	int error;

	policy_text(text, sizeof(text), step);
	error = set_policy(job->alone ? SELF : space->pid, text);
	if (error || job->alone)
		return error;
	space->bind_node = -1;
	if (step->policy == POLICY_BIND && !has_huge(space))
		space->bind_node = node_id(__builtin_ctz(step->nodes));
	note_bind(job->world, step->other);
	return 0;
}

static int do_step(const struct job *job)
{
	switch (job->step->op) {
	case OP_MAP:
		return do_map(job);
	case OP_UNMAP:
		return result(munmap(start(job->step), length(job->step)));
	case OP_PROTECT:
		return do_protect(job->step);
	case OP_MOVE:
	case OP_LEAVE:
		return do_move(job->step);
	case OP_GROW:
	case OP_SHRINK:
		return do_resize(job->step);
	case OP_WRITE:
	case OP_SAME:
		write_pages(job, job->step->pages);
		return 0;
	case OP_READ:
		read_range(job, NULL);
		return 0;
	case OP_PEEK:
		return do_peek(job);
	case OP_SPAWN:
		return do_spawn(job);
	case OP_TRACK:
		return do_track(job);
	case OP_CLEAR:
		return do_clear(job);
	case OP_SMAPS:
		return do_smaps();
	case OP_MINCORE:
		return do_mincore(job->step);
	case OP_MOVE_PAGES:
		return do_move_pages(job->step);
	case OP_MBIND:
		return do_mbind(job->step);
	case OP_MIGRATE:
		return do_migrate(job->step);
	case OP_POLICY:
		return do_policy(job);
	case OP_PAUSE:
		usleep(50000);
		return 0;
	default:
		return do_advise(job);
	}
}

/*
 * Errors that a call may end with. mremap() takes only what is one mapping, which the model cannot
 * tell; the others depend on memory, on what else holds a page, or on the kernel's configuration.
 */
static bool is_tolerated(int op, int error)
{
	switch (op) {
	case OP_MOVE:
	case OP_LEAVE:
	case OP_GROW:
	case OP_SHRINK:
		return error == EFAULT || error == ENOMEM || error == EINVAL;
	case OP_COLLAPSE:
		return error == EINVAL || error == EAGAIN || error == EBUSY || error == ENOMEM;
	case OP_HUGEPAGE:
	case OP_NOHUGEPAGE:
	case OP_MERGEABLE:
	case OP_UNMERGEABLE:
		return error == EINVAL || error == EAGAIN || error == ENOMEM;
	case OP_MOVE_PAGES:
	case OP_MBIND:
	case OP_MIGRATE:
		return error == EIO || error == EBUSY || error == ENOMEM;
	case OP_POLICY:
		return error == ENOMEM;
	}
	return false;
}

static void run_step(const struct job *job, void *arg)
{
	*(int *)arg = do_step(job);
}

/* A step that looks at several nodes goes to them by itself. */
void execute(struct job *job)
{
	int error = 0;

	switch (job->step->op) {
	case OP_CHECK:
		check_everything(job);
		break;
	case OP_AGE:
		check_age(job);
		break;
	case OP_SOFT:
		check_soft(job);
		break;
	case OP_VERIFY:
		check_kernel(job);
		break;
	default:
		on_node(job, job->step->node, run_step, &error);
	}
	if (error && !is_tolerated(job->step->op, error))
		found(FOUND_CALL, "%s failed: %s", operations[job->step->op].name, strerror(error));
	model_apply(job->world, job->step, job->stamp, !error);
}
