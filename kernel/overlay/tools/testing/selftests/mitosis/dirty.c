// SPDX-License-Identifier: GPL-2.0
/*
 * Regression: Dirty bits that hardware set in one copy only. A page that is clean in all copies
 * is written by a node whose copy is not the primary; then something happens that decides on
 * Dirty: if only the primary is asked, the page counts as clean and reclaim drops what was written.
 */
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "mitosis_test.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21U << 26)
#endif

#define SIZE		(64 * PAGE)
#define SWAP_SIZE	(32 * MB)

/* Pages that are dirty in the copy of one node. */
struct written {
	char *p;
	size_t size;
	int level;
	int fd;
	int primary;	/* node of the primary table */
	int writer;	/* member */
};

static int find_entries(const struct written *written, struct entry *found, int max)
{
	struct entry entries[256];
	int nr = read_entries(SELF, written->p, entries, ARRAY_SIZE(entries)), nr_found = 0;

	for (int i = 0; i < nr; i++)
		if (entries[i].level == written->level && nr_found < max)
			found[nr_found++] = entries[i];
	return nr_found;
}

static bool is_dirty(const struct entry *entry)
{
	return entry->dirty || entry->saved_dirty;
}

static void expect_clean(const struct written *written)
{
	struct entry entries[64];
	int nr = find_entries(written, entries, ARRAY_SIZE(entries));

	check(nr > 0);
	for (int i = 0; i < nr; i++) {
		check(entries[i].raw & 1 && entries[i].leaf);
		if (is_dirty(&entries[i]))
			fail("dirty before the write, in the copy on node %d", entries[i].node);
	}
}

/* Frames among the bits tell whether the page has moved. */
static void note_entries(const struct entry *entries, int nr)
{
	for (int i = 0; i < nr; i++)
		note("%s on node %d: %#llx", entries[i].primary ? "primary" : "copy",
		     entries[i].node, (unsigned long long)entries[i].raw);
}

static void expect_dirty_in_one_copy(const struct written *written)
{
	int nr, dirty = 0, node = crew[written->writer].node;
	struct entry entries[64];

	nr = find_entries(written, entries, ARRAY_SIZE(entries));
	for (int i = 0; i < nr; i++) {
		dirty += is_dirty(&entries[i]);
		if (is_dirty(&entries[i]) == (!entries[i].primary && entries[i].node == node))
			continue;
		note_entries(entries, nr);
		fail("the %s on node %d is %sdirty after a write by node %d",
		     entries[i].primary ? "primary" : "copy", entries[i].node,
		     is_dirty(&entries[i]) ? "" : "not ", node);
	}
	check_eq(dirty, 1);
}

static void expect_dirty_in_primary(const struct written *written)
{
	struct entry entries[64];
	int nr = find_entries(written, entries, ARRAY_SIZE(entries));

	for (int i = 0; i < nr; i++)
		if (entries[i].primary && !is_dirty(&entries[i]))
			fail("the primary is clean");
}

static void read_all(const struct member *member, void *arg)
{
	struct written *written = arg;

	(void)member;
	for (size_t i = 0; i < written->size; i += PAGE)
		(void)*(volatile char *)(written->p + i);
}

static void find_writer(struct written *written)
{
	struct entry entries[64];
	int nr = find_entries(written, entries, ARRAY_SIZE(entries));

	written->writer = -1;
	for (int i = 0; i < nr; i++)
		if (entries[i].primary)
			written->primary = entries[i].node;
		else if (member_of_node(entries[i].node) >= 0 && entries[i].node != written->primary)
			written->writer = member_of_node(entries[i].node);
	if (written->writer < 0)
		skip("no node has a copy of its own under policy '%s'", test_policy);
}

/*
 * Pages that are mapped clean and writable: have one node write them. Nothing of NUMA balancing
 * may be left from before they were touched: its hints turn the write into a fault, and its scans
 * bring Dirty to the primary.
 */
static void write_by_far_node(struct written *written)
{
	find_writer(written);
	expect_clean(written);
	fill_by(written->writer, written->p, written->size, 7);
	expect_dirty_in_one_copy(written);
}

static void map_written(struct written *written)
{
	size_t align = written->level == 2 || written->size >= PMD_SIZE ? PMD_SIZE : PAGE;

	stop_balancing();
	written->p = map_anon(written->size, align);
	check(mmap(written->p, written->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   written->fd, 0) == written->p);
	on_member(0, read_all, written);
}

static struct written write_tmpfs(size_t size)
{
	struct written written = { .size = size, .level = 1 };

	need_nodes(2);
	written.fd = check_ok(memfd_create("mitosis", MFD_CLOEXEC));
	check_ok(ftruncate(written.fd, size));
	map_written(&written);
	write_by_far_node(&written);
	return written;
}

static size_t present(const char *p, size_t size)
{
	size_t pages = 0;

	for (size_t i = 0; i < size; i += PAGE)
		pages += (pagemap(p + i) & PAGEMAP_PRESENT) != 0;
	return pages;
}

/* Reclaim pages; the test would show nothing if they stayed. */
static void page_out(char *p, size_t size)
{
	drain_lists();
	check_ok(madvise(p, size, MADV_PAGEOUT));
	if (!wait_until(!present(p, size), 5)) {
		drain_lists();
		check_ok(madvise(p, size, MADV_PAGEOUT));
	}
	if (present(p, size) > size / PAGE / 2)
		fail("reclaim left %zu of %zu pages", present(p, size), size / PAGE);
}

/* What was written outlives reclaim through a mapping of its own. */
static void expect_kept(const struct written *written)
{
	char *q = check_ok((char *)mmap(NULL, written->size, PROT_READ | PROT_WRITE, MAP_SHARED,
					written->fd, 0));

	need_swap(SWAP_SIZE);
	for (size_t i = 0; i < written->size; i += PAGE) {
		(void)*(volatile char *)(q + i);
		if (!(kpage_word("/proc/kpageflags", PAGEMAP_PFN(pagemap(q + i))) & KPF_DIRTY))
			fail("page %zu of the file counts as clean", i / PAGE);
	}
	page_out(q, written->size);
	expect_filled(q, written->size, 7);
	unmap(q, written->size);
}

static void unmap_and_expect_kept(struct written *written)
{
	unmap(written->p, written->size);
	expect_kept(written);
}

TEST(tmpfs_munmap)
{
	struct written written = write_tmpfs(SIZE);

	unmap_and_expect_kept(&written);
}

static void check_after_policy(const char *policy)
{
	struct written written = write_tmpfs(SIZE);

	must_set_policy(SELF, policy);
	expect_dirty_in_primary(&written);
	check_tables(SELF);
	unmap_and_expect_kept(&written);
}

TEST(tmpfs_policy_none)
{
	check_after_policy("none");
}

TEST(tmpfs_policy_bind)
{
	char policy[32];

	snprintf(policy, sizeof(policy), "bind %d", full_nodes()->id[0]);
	check_after_policy(policy);
}

/* The copy that holds the bit is dropped, others stay. */
TEST(tmpfs_policy_smaller)
{
	struct written written = write_tmpfs(SIZE);
	char policy[32];

	snprintf(policy, sizeof(policy), "replicate %d", written.primary);
	must_set_policy(SELF, policy);
	expect_dirty_in_primary(&written);
	unmap_and_expect_kept(&written);
}

TEST(tmpfs_reclaim)
{
	struct written written = write_tmpfs(SIZE);

	need_swap(SWAP_SIZE);
	page_out(written.p, SIZE);
	expect_filled(written.p, SIZE, 7);
}

TEST(tmpfs_cgroup_reclaim)
{
	struct written written;
	char group[128];
	int error;

	need_swap(SWAP_SIZE);
	need_cgroup(group, sizeof(group));
	check_eq(set_cgroup(group, "cgroup.procs", "0"), 0);
	written = write_tmpfs(4 * MB);
	drain_lists();
	error = set_cgroup(group, "memory.reclaim", "4M");
	check(!error || error == EAGAIN);
	if (present(written.p, written.size) == written.size / PAGE)
		fail("the group's reclaim left all pages");
	expect_filled(written.p, written.size, 7);
	check_eq(write_file("/sys/fs/cgroup/cgroup.procs", "0"), 0);
}

TEST(tmpfs_mremap)
{
	struct written written = write_tmpfs(SIZE);
	char *q = map_anon(SIZE, PAGE);

	check(mremap(written.p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	written.p = q;
	unmap_and_expect_kept(&written);
}

TEST(tmpfs_mremap_table)
{
	struct written written = write_tmpfs(PMD_SIZE);
	char *q = map_anon(PMD_SIZE, PMD_SIZE);

	check(mremap(written.p, PMD_SIZE, PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	written.p = q;
	expect_filled(q, PMD_SIZE, 7);
	unmap_and_expect_kept(&written);
}

TEST(tmpfs_mprotect)
{
	struct written written = write_tmpfs(SIZE);

	check_ok(mprotect(written.p, SIZE, PROT_READ));
	expect_dirty_in_primary(&written);
	check_tables(SELF);
	unmap_and_expect_kept(&written);
}

TEST(tmpfs_migration)
{
	struct written written = write_tmpfs(SIZE);
	unsigned long mask[16] = { 0 };
	int node = full_nodes()->id[full_nodes()->nr - 1];

	mask[node / 64] |= 1UL << node % 64;
	check_ok(syscall(SYS_mbind, written.p, SIZE, MPOL_BIND, mask, 8 * sizeof(mask), MPOL_MF_MOVE));
	unmap_and_expect_kept(&written);
}

TEST(tmpfs_collapse)
{
	struct written written = write_tmpfs(PMD_SIZE);

	if (madvise(written.p, PMD_SIZE, MADV_COLLAPSE))
		skip("MADV_COLLAPSE: %s", strerror(errno));
	expect_filled(written.p, PMD_SIZE, 7);
	unmap_and_expect_kept(&written);
}

/* Not a decision, but what a person is shown: how many pages of a mapping numa_maps calls dirty. */
static long dirty_in_numa_maps(const char *p)
{
	FILE *file = fopen("/proc/self/numa_maps", "re");
	char line[4096], *dirty = NULL;

	if (!file)
		skip("no /proc/self/numa_maps");
	while (!dirty && fgets(line, sizeof(line), file))
		if (strtoul(line, NULL, 16) == (unsigned long)p)
			dirty = strstr(line, "dirty=");
	fclose(file);
	return dirty ? atol(dirty + strlen("dirty=")) : 0;
}

TEST(tmpfs_numa_maps)
{
	struct written written = write_tmpfs(SIZE);

	check_eq(dirty_in_numa_maps(written.p), SIZE / PAGE);
	unmap_and_expect_kept(&written);
}

/*
 * The kernel calls each page of a HugeTLB file dirty, whatever its mappings say. So what shows that
 * numa_maps asked all copies is the bit that it brought to the primary.
 */
TEST(hugetlb_numa_maps)
{
	struct written written = { .size = PMD_SIZE, .level = 2 };

	need_nodes(2);
	set_knob("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1");
	written.fd = memfd_create("mitosis", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	if (written.fd < 0)
		skip("no huge memfd: %s", strerror(errno));
	check_ok(ftruncate(written.fd, PMD_SIZE));
	written.p = map_anon(PMD_SIZE, PMD_SIZE);
	if (mmap(written.p, PMD_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, written.fd, 0) != written.p)
		skip("no huge page to be had: %s", strerror(errno));
	on_member(0, read_all, &written);
	check_ok(mprotect(written.p, PMD_SIZE, PROT_READ | PROT_WRITE));
	write_by_far_node(&written);
	check_eq(dirty_in_numa_maps(written.p), 1);
	expect_dirty_in_primary(&written);
	expect_filled(written.p, PMD_SIZE, 7);
}

/* A process that ends with the only dirty bit. */

static void write_and_exit(void *arg)
{
	struct written *written = arg;

	map_written(written);
	write_by_far_node(written);
}

static void write_in_child(void (*run)(void *arg))
{
	struct written written = { .size = SIZE, .level = 1 };

	need_nodes(2);
	written.fd = check_ok(memfd_create("mitosis", MFD_CLOEXEC));
	check_ok(ftruncate(written.fd, SIZE));
	end_child(start_child(run, &written));
	expect_kept(&written);
}

TEST(tmpfs_exit)
{
	write_in_child(write_and_exit);
}

static void write_and_exec(void *arg)
{
	write_and_exit(arg);
	fail("exec: %s", strerror(exec_self("end", "")));
}

TEST(tmpfs_exec)
{
	write_in_child(write_and_exec);
}

static void see_written(void *arg)
{
	struct written *written = arg;

	expect_filled(written->p, SIZE, 7);
}

TEST(tmpfs_fork)
{
	struct written written = write_tmpfs(SIZE);

	end_child(start_child(see_written, &written));
	unmap_and_expect_kept(&written);
}

/* Huge pages of tmpfs */

static struct written write_huge_tmpfs(void)
{
	struct written written = { .size = PMD_SIZE, .level = 2 };
	char place[] = "/tmp/mitosis-XXXXXX", path[64];

	need_nodes(2);
	check(mkdtemp(place));
	undo_later(UNDO_RMDIR, place, NULL);
	if (mount("tmpfs", place, "tmpfs", 0, "huge=always"))
		skip("no huge tmpfs: %s", strerror(errno));
	undo_later(UNDO_UMOUNT, place, NULL);
	snprintf(path, sizeof(path), "%s/file", place);
	written.fd = check_ok(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	check_ok(ftruncate(written.fd, PMD_SIZE));
	map_written(&written);
	if (leaf_level(SELF, written.p) != 2)
		skip("tmpfs gives no huge pages");
	write_by_far_node(&written);
	return written;
}

TEST(huge_tmpfs_munmap)
{
	struct written written = write_huge_tmpfs();

	unmap_and_expect_kept(&written);
}

TEST(huge_tmpfs_policy_none)
{
	struct written written = write_huge_tmpfs();

	must_set_policy(SELF, "none");
	expect_dirty_in_primary(&written);
	unmap_and_expect_kept(&written);
}

TEST(huge_tmpfs_split)
{
	struct written written = write_huge_tmpfs();

	check_ok(mprotect(written.p + MB, PAGE, PROT_READ));
	unmap_and_expect_kept(&written);
}

TEST(huge_tmpfs_reclaim)
{
	struct written written = write_huge_tmpfs();

	need_swap(SWAP_SIZE);
	page_out(written.p, PMD_SIZE);
	expect_filled(written.p, PMD_SIZE, 7);
}

/* Anonymous pages that are clean: given up by MADV_FREE, or with an equal copy in the swap. */

/* Pages that hold something and are given up: lazily freed, and clean. */
static void give_up(struct written *written)
{
	need_nodes(2);
	need_swap(SWAP_SIZE);
	drain_lists();
	check_ok(madvise(written->p, written->size, MADV_FREE));
	drain_lists();
}

static struct written map_small(void)
{
	struct written written = { .p = map_anon(SIZE, PAGE), .size = SIZE, .level = 1 };

	stop_balancing();
	fill_by(0, written.p, SIZE, 1);
	return written;
}

static struct written map_huge(void)
{
	struct written written = { .p = map_anon(PMD_SIZE, PMD_SIZE), .size = PMD_SIZE, .level = 2 };

	stop_balancing();
	set_knob("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	check_ok(madvise(written.p, PMD_SIZE, MADV_HUGEPAGE));
	fill_by(0, written.p, PMD_SIZE, 1);
	if (leaf_level(SELF, written.p) != 2)
		skip("no huge page to be had");
	return written;
}

static void keep_lazyfree(struct written *written)
{
	give_up(written);
	write_by_far_node(written);
	check_ok(madvise(written->p, written->size, MADV_PAGEOUT));
	expect_filled(written->p, written->size, 7);
}

TEST(lazyfree)
{
	struct written written = map_small();

	keep_lazyfree(&written);
}

TEST(lazyfree_huge)
{
	struct written written = map_huge();

	keep_lazyfree(&written);
}

/* What was given up and written again is not shown as given up. */
static void expect_not_shown_as_lazyfree(struct written *written)
{
	give_up(written);
	check_eq(smaps_kb(written->p, written->size, "LazyFree"), (long)written->size / 1024);
	write_by_far_node(written);
	check_eq(smaps_kb(written->p, written->size, "LazyFree"), 0);
}

TEST(lazyfree_smaps)
{
	struct written written = map_small();

	expect_not_shown_as_lazyfree(&written);
}

TEST(lazyfree_huge_smaps)
{
	struct written written = map_huge();

	expect_not_shown_as_lazyfree(&written);
}

static struct written write_swap_cache(void)
{
	struct written written = map_small();

	need_nodes(2);
	need_swap(SWAP_SIZE);
	page_out(written.p, SIZE);
	/* Pages that are read ahead keep their place in the swap. */
	check_ok(madvise(written.p, SIZE, MADV_WILLNEED));
	on_member(0, read_all, &written);
	if (!(kpage_word("/proc/kpageflags", PAGEMAP_PFN(pagemap(written.p))) & KPF_SWAPCACHE))
		fail("pages read ahead are not in the swap cache");
	write_by_far_node(&written);
	return written;
}

TEST(swap_cache)
{
	struct written written = write_swap_cache();

	page_out(written.p, SIZE);
	expect_filled(written.p, SIZE, 7);
}

TEST(swap_cache_policy_none)
{
	struct written written = write_swap_cache();

	must_set_policy(SELF, "none");
	page_out(written.p, SIZE);
	expect_filled(written.p, SIZE, 7);
}

TEST(swap_cache_mremap)
{
	struct written written = write_swap_cache();
	char *q = map_anon(SIZE, PAGE);

	check(mremap(written.p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	page_out(q, SIZE);
	expect_filled(q, SIZE, 7);
}

static void see_swap_cache(void *arg)
{
	struct written *written = arg;

	expect_filled(written->p, SIZE, 7);
}

/* fork makes the pages read-only in all copies; the bit must outlive that too. */
TEST(swap_cache_fork)
{
	struct written written = write_swap_cache();
	pid_t pid = start_child(see_swap_cache, &written);

	end_child(pid);
	page_out(written.p, SIZE);
	expect_filled(written.p, SIZE, 7);
}

/*
 * A child whose parent lets go of the pages is the only one that knows that they were written: fork
 * has to give it the bit, which only one copy of the parent's table holds.
 */
struct heir {
	struct written *written;
	int *stage;
	bool given_up;
};

static void reclaim_inherited(void *arg)
{
	struct heir *heir = arg;
	struct written *written = heir->written;

	set_stage(heir->stage, 1);
	await_stage(heir->stage, 2);
	/* Reclaim takes what was given up and not written again; the rest it swaps the next time. */
	if (heir->given_up) {
		check_ok(madvise(written->p, written->size, MADV_PAGEOUT));
		expect_filled(written->p, written->size, 7);
	}
	page_out(written->p, written->size);
	expect_filled(written->p, written->size, 7);
	check_tables(SELF);
}

static void leave_to_child(struct written *written, bool given_up)
{
	struct heir heir = { written, new_stage(), given_up };
	pid_t pid = start_child(reclaim_inherited, &heir);

	await_stage(heir.stage, 1);
	unmap(written->p, written->size);
	set_stage(heir.stage, 2);
	end_child(pid);
}

TEST(swap_cache_fork_child)
{
	struct written written = write_swap_cache();

	leave_to_child(&written, false);
}

TEST(lazyfree_fork_child)
{
	struct written written = map_small();

	give_up(&written);
	write_by_far_node(&written);
	leave_to_child(&written, true);
}

TEST(lazyfree_huge_fork_child)
{
	struct written written = map_huge();

	give_up(&written);
	write_by_far_node(&written);
	leave_to_child(&written, true);
}

/* A huge page that is mapped by small entries: fork copies those in batches. */
TEST(lazyfree_split_fork_child)
{
	struct written written = map_huge();

	give_up(&written);
	check_ok(mprotect(written.p + MB, PAGE, PROT_READ));
	check_ok(mprotect(written.p + MB, PAGE, PROT_READ | PROT_WRITE));
	check_eq(leaf_level(SELF, written.p), 1);
	written.level = 1;
	write_by_far_node(&written);
	leave_to_child(&written, true);
}
