// SPDX-License-Identifier: GPL-2.0
/*
 * Three calls that change many entries of a page table, each a region of the machine model: mmap()
 * with MAP_POPULATE, mprotect() to read-only, munmap().
 *
 * The range begins one page behind a page that stays mapped, so that a range of one page finds
 * its page tables in place. That page is shared memory of its own: the kernel does not join it
 * with the range.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../model/mark.h"
#include "common.h"

#define PAGE		UINT64_C(4096)
#define STRETCH		(UINT64_C(2) << 20)	/* what one last-level page table maps */
#define MAX_PAGES	(UINT64_C(1) << 30)
#define MAX_CALLS	UINT64_C(1000000)
#define PROBES		512	/* pages that are written to when they are read-only */
#define PRESENT		(UINT64_C(1) << 63)	/* of an entry of /proc/self/pagemap */

#define NR_CALLS	3

struct call;

struct options {
	uint64_t pages, calls, warmup;
	unsigned int region;
	struct ids nodes;
	bool shared;
	const struct call *spoil;
};

typedef void mark_function(unsigned long cpu);

static struct {
	char *start;
	uint64_t pages;
	int pagemap, zero;
	uint64_t wrong;		/* pages that were not as a call should have left them */
} range;

static void usage(FILE *out)
{
	fputs("Usage: vmops [options]\n"
	      "Map and populate a range of memory, make it read-only, unmap it.\n\n"
	      "  --pages NR\n"
	      "      pages of 4 KB of the range (default 2048)\n"
	      "  --calls NR\n"
	      "      measured calls of each kind (default 10)\n"
	      "  --warmup NR\n"
	      "      calls before these, not measured (default 1)\n"
	      "  --shared\n"
	      "      shared memory (default: private)\n"
	      "  --region NR\n"
	      "      the number of mmap()'s region in the machine model; the next one is mprotect()'s,\n"
	      "      and munmap()'s follows (default 0)\n"
	      "  --nodes LIST\n"
	      "      run on the first CPU of the first node. The machine model needs it\n"
	      "  --spoil mmap|mprotect|munmap\n"
	      "      undo what that call did to a page, to test the verification\n\n"
	      "Exit status: 0 verified, 1 the result is wrong, 2 could not be run.\n", out);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("cannot open %s: %s", path, strerror(errno));
	return fd;
}

/* Find room for the range, and keep the page before it mapped. */
static void find_range(uint64_t pages)
{
	uint64_t size = STRETCH + PAGE + pages * PAGE;
	char *room = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *anchor;

	if (room == MAP_FAILED)
		die("no address space for %llu pages: choose fewer --pages", (unsigned long long)pages);
	munmap(room, size);
	anchor = room + -(uintptr_t)room % STRETCH;
	if (mmap(anchor, PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED_NOREPLACE, -1, 0) != anchor)
		die("cannot map a page: %s", strerror(errno));
	range.start = anchor + PAGE;
	range.pages = pages;
}

/* A mark carries its number in its code, so code is made for a number that is known only now. */
static mark_function *new_mark(enum mark_kind kind, unsigned int number)
{
	const struct {
		uint8_t move_to_rax[3], no_op[4];
		uint32_t word;
		uint8_t ret;
	} __attribute__((packed)) code = {
		{ 0x48, 0x89, 0xf8 }, { 0x0f, 0x1f, 0x84, 0x00 }, MARK_WORD | number << 8 | kind, 0xc3,
	};
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || mprotect(memcpy(page, &code, sizeof(code)), PAGE, PROT_READ | PROT_EXEC))
		die("cannot make code: %s", strerror(errno));
	return page;
}

/* Whether every page of the range is in memory, or none. */
static void check_mapped(bool mapped)
{
	uint64_t entry[512], first = (uintptr_t)range.start / PAGE;

	for (uint64_t page = 0, nr; page < range.pages; page += nr) {
		nr = range.pages - page < 512 ? range.pages - page : 512;
		if (pread(range.pagemap, entry, nr * sizeof(entry[0]), (first + page) * sizeof(entry[0])) !=
		    (ssize_t)(nr * sizeof(entry[0])))
			die("cannot read /proc/self/pagemap: %s", strerror(errno));
		for (uint64_t i = 0; i < nr; i++)
			range.wrong += !!(entry[i] & PRESENT) != mapped;
	}
}

static void check_new(void)
{
	check_mapped(true);
	for (uint64_t page = 0; page < range.pages; page++)
		range.wrong += *(uint64_t *)(range.start + page * PAGE) != 0;
}

/* The kernel writes to a page in place of the program, and gets EFAULT where that would die. */
static bool takes_writes(char *page)
{
	if (read(range.zero, page, 1) == 1)
		return true;
	if (errno != EFAULT)
		die("cannot read /dev/zero: %s", strerror(errno));
	return false;
}

static void check_read_only(void)
{
	uint64_t nr = range.pages < PROBES ? range.pages : PROBES;

	check_mapped(true);
	for (uint64_t i = 0; i < nr; i++)
		range.wrong += takes_writes(range.start + part(range.pages, i, nr) * PAGE);
	range.wrong += takes_writes(range.start + (range.pages - 1) * PAGE);
}

static void check_unmapped(void)
{
	check_mapped(false);
}

static bool call_mmap(const struct options *opt)
{
	int kind = opt->shared ? MAP_SHARED : MAP_PRIVATE;

	return mmap(range.start, range.pages * PAGE, PROT_READ | PROT_WRITE,
		    kind | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED_NOREPLACE, -1, 0) == range.start;
}

static bool call_mprotect(const struct options *opt)
{
	(void)opt;
	return !mprotect(range.start, range.pages * PAGE, PROT_READ);
}

static bool call_munmap(const struct options *opt)
{
	(void)opt;
	return !munmap(range.start, range.pages * PAGE);
}

static char *last_page(void)
{
	return range.start + (range.pages - 1) * PAGE;
}

static void spoil_new(void)
{
	*last_page() = 1;
}

static void spoil_read_only(void)
{
	mprotect(last_page(), PAGE, PROT_READ | PROT_WRITE);
}

static void spoil_unmapped(void)
{
	mmap(last_page(), PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_FIXED, -1, 0);
}

static const struct call {
	const char *name;
	bool (*make)(const struct options *opt);
	void (*spoil)(void);
	void (*check)(void);
} calls[NR_CALLS] = {
	{ "mmap",	call_mmap,	spoil_new,		check_new },
	{ "mprotect",	call_mprotect,	spoil_read_only,	check_read_only },
	{ "munmap",	call_munmap,	spoil_unmapped,		check_unmapped },
};

enum {
	OPT_PAGES = 256, OPT_CALLS, OPT_WARMUP, OPT_SHARED, OPT_REGION, OPT_NODES, OPT_SPOIL,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "pages",	required_argument, NULL, OPT_PAGES },
	{ "calls",	required_argument, NULL, OPT_CALLS },
	{ "warmup",	required_argument, NULL, OPT_WARMUP },
	{ "shared",	no_argument,	   NULL, OPT_SHARED },
	{ "region",	required_argument, NULL, OPT_REGION },
	{ "nodes",	required_argument, NULL, OPT_NODES },
	{ "spoil",	required_argument, NULL, OPT_SPOIL },
	{ "help",	no_argument,	   NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct call *parse_call(const char *name)
{
	for (int i = 0; i < NR_CALLS; i++)
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	die("--spoil: '%s' is not one of mmap, mprotect, munmap", name);
}

static void set_option(struct options *opt, int option, const char *value)
{
	switch (option) {
	case OPT_PAGES:
		opt->pages = parse_number("--pages", value, 1, MAX_PAGES);
		break;
	case OPT_CALLS:
		opt->calls = parse_number("--calls", value, 1, MAX_CALLS);
		break;
	case OPT_WARMUP:
		opt->warmup = parse_number("--warmup", value, 0, MAX_CALLS);
		break;
	case OPT_SHARED:
		opt->shared = true;
		break;
	case OPT_REGION:
		opt->region = parse_number("--region", value, 0, 255 - (NR_CALLS - 1));
		break;
	case OPT_NODES:
		opt->nodes = parse_nodes(value);
		break;
	case OPT_SPOIL:
		opt->spoil = parse_call(value);
		break;
	case OPT_HELP:
		usage(stdout);
		exit(EXIT_SUCCESS);
	default:
		fputs("Try 'vmops --help'.\n", stderr);
		exit(EXIT_CANNOT);
	}
}

static struct options parse_options(int argc, char **argv)
{
	struct options opt = { .pages = 2048, .calls = 10, .warmup = 1 };
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		set_option(&opt, option, optarg);
	if (optind < argc)
		die("unexpected argument '%s'", argv[optind]);
	return opt;
}

static void prepare(const struct options *opt)
{
	pin_thread(&opt->nodes, 0);
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("cannot do without huge pages: %s", strerror(errno));
	range.pagemap = open_file("/proc/self/pagemap");
	range.zero = open_file("/dev/zero");
	find_range(opt->pages);
}

/* One call of each kind; as regions, if there are marks. */
static void make_calls(const struct options *opt, mark_function *const *begin,
		       mark_function *const *end)
{
	for (int i = 0; i < NR_CALLS; i++) {
		const struct call *call = &calls[i];
		int cpu = sched_getcpu();
		bool made;

		if (begin)
			begin[i](cpu);
		made = call->make(opt);
		if (end)
			end[i](cpu);
		if (!made)
			die("%s() of %llu pages: %s", call->name, (unsigned long long)range.pages,
			    strerror(errno));
		if (opt->spoil == call)
			call->spoil();
		call->check();
	}
	/* What was mapped again, to spoil. */
	munmap(range.start, range.pages * PAGE);
}

int main(int argc, char **argv)
{
	struct options opt = parse_options(argc, argv);
	mark_function *begin[NR_CALLS], *end[NR_CALLS];

	prepare(&opt);
	for (int i = 0; i < NR_CALLS; i++) {
		begin[i] = new_mark(MARK_BEGIN, opt.region + i);
		end[i] = new_mark(MARK_END, opt.region + i);
		printf("region   %d %s %llu %llu\n", opt.region + i, calls[i].name,
		       (unsigned long long)opt.pages, (unsigned long long)opt.calls);
	}
	fflush(stdout);
	if (opt.warmup)
		mark_warm();
	for (uint64_t i = 0; i < opt.warmup; i++)
		make_calls(&opt, NULL, NULL);
	for (uint64_t i = 0; i < opt.calls; i++)
		make_calls(&opt, begin, end);
	printf("wrong    %llu pages\n%s\n", (unsigned long long)range.wrong,
	       range.wrong ? "wrong" : "verified");
	free(opt.nodes.id);
	return range.wrong ? EXIT_WRONG : EXIT_SUCCESS;
}
