// SPDX-License-Identifier: GPL-2.0
/* A process that takes all memory of a node, and keeps it full. */
#include <linux/mempolicy.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../mitosis_test.h"

long free_pages(int node)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/vmstat", node);
	return read_field(path, "nr_free_pages");
}

long watermark(int node, const char *name)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	char line[256], word[16];
	long sum = 0, pages;
	int seen = -1;

	check(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Node %d, zone", &seen) != 1 && seen == node &&
		    sscanf(line, " %15s %ld", word, &pages) == 2 && !strcmp(word, name))
			sum += pages;
	fclose(file);
	return sum;
}

/* Prefer, not bind: whoever is bound to a full node gets the OOM killer. */
static void prefer(int node)
{
	unsigned long mask[16] = { 0 };

	mask[node / 64] |= 1UL << node % 64;
	check_ok(syscall(SYS_set_mempolicy, MPOL_PREFERRED, mask, 8 * sizeof(mask)));
}

/* Take most of a node quickly, but leave so much that the kernel need not reclaim. */
static void take_most(int node)
{
	long pages = free_pages(node) - watermark(node, "high") - 512;
	char *p;

	if (pages <= 0)
		return;
	p = map_anon(pages * PAGE, PAGE);
	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	prefer(node);
	for (long i = 0; i < pages; i++)
		p[i * PAGE] = 1;
	check_ok(syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0));
}

#define CHUNK	256

/* Move a chunk to a node; return how many of its pages are there. */
static int move_chunk(char *p, int node)
{
	void *pages[CHUNK];
	int nodes[CHUNK], status[CHUNK], there = 0;

	for (int i = 0; i < CHUNK; i++) {
		pages[i] = p + i * PAGE;
		nodes[i] = node;
		p[i * PAGE] = 1;
	}
	syscall(SYS_move_pages, 0, (long)CHUNK, pages, nodes, status, MPOL_MF_MOVE);
	check_ok(syscall(SYS_move_pages, 0, (long)CHUNK, pages, NULL, status, 0));
	for (int i = 0; i < CHUNK; i++)
		there += status[i] == node;
	return there;
}

/* Move chunk after chunk to a node; tell when it has taken no more pages for a while. */
static void move_until(size_t chunks, int node, int *stage)
{
	char *p = map_anon(chunks * CHUNK * PAGE, PAGE);
	int idle = 0, there, before = 0;

	madvise(p, chunks * CHUNK * PAGE, MADV_NOHUGEPAGE);
	while (chunks) {
		there = move_chunk(p, node);
		idle = there == before ? idle + 1 : 0;
		before = there;
		if (there == CHUNK) {
			p += CHUNK * PAGE;
			chunks--;
			continue;
		}
		if (idle == 10)
			set_stage(stage, 1);
		usleep(10000);
	}
}

/*
 * Keep a node full until killed. Pages that are moved there take what is left down to the minimum,
 * with reclaim but without the OOM killer.
 */
static void __attribute__((noreturn)) keep_full(int node, int *stage)
{
	pin_to_cpu(crew[member_far_from(node)].cpu);
	for (;;) {
		take_most(node);
		move_until(200, node, stage);
	}
}

pid_t fill_node(int node)
{
	int *stage = new_stage();
	pid_t pid = check_ok(fork());

	if (!pid) {
		must_set_policy(SELF, "none");
		keep_full(node, stage);
	}
	await_stage(stage, 1);
	note("node %d is full: %ld pages free, %ld kept back", node, free_pages(node),
	     watermark(node, "min"));
	return pid;
}

void empty_node(pid_t eater)
{
	check_ok(kill(eater, SIGKILL));
	check_eq(waitpid(eater, NULL, 0), eater);
}
