// SPDX-License-Identifier: GPL-2.0
/* Marks in a guest, for lab/tests/model: a program for each thing that is measured or refused. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mark.h"

#define PAGE	4096
#define PAGES	2000
#define ROUNDS	10

static volatile char *pages;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static void populate(void)
{
	pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || madvise((void *)pages, PAGES * PAGE, MADV_NOHUGEPAGE)) {
		perror("mmap");
		exit(1);
	}
	for (size_t i = 0; i < PAGES; i++)
		pages[i * PAGE] = 1;
}

/* Reads PAGES pages; as many loads, and no other of memory. */
static void read_pages(void)
{
	volatile char *page = pages, *end = pages + PAGES * PAGE;

	asm volatile("1: movb (%0), %%al; add $4096, %0; cmp %1, %0; jne 1b"
		     : "+r" (page) : "r" (end) : "al", "memory", "cc");
}

/* Twenty thousand loads, PAGES by PAGES: more pages than a TLB has entries. */
static void reads(void)
{
	pin(1);
	populate();
	mark_warm();
	read_pages();
	mark_begin(7);
	for (int i = 0; i < ROUNDS; i++)
		read_pages();
	mark_end(7);
}

static void moved(void)
{
	pin(1);
	mark_begin(1);
	pin(2);
	mark_end(1);
}

static pthread_barrier_t barrier;

static void *thread(void *cpu)
{
	pin((intptr_t)cpu);
	pthread_barrier_wait(&barrier);
	mark_begin(1);
	for (int i = 0; i < ROUNDS; i++)
		read_pages();
	mark_end(1);
	return NULL;
}

static void threads(void)
{
	pthread_t id[4];

	populate();
	pthread_barrier_init(&barrier, NULL, 4);
	for (intptr_t i = 0; i < 4; i++)
		pthread_create(&id[i], NULL, thread, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(id[i], NULL);
}

static bool begun, over;

static void *reader(void *cpu)
{
	pin((intptr_t)cpu);
	read_pages();
	mark_begin(1);
	__atomic_store_n(&begun, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST))
		read_pages();
	read_pages();
	mark_end(1);
	return NULL;
}

static void set_policy(const char *policy)
{
	FILE *file = fopen("/proc/self/pgtable_policy", "w");

	if (!file || fputs(policy, file) < 0 || fclose(file)) {
		perror(policy);
		exit(1);
	}
}

/* A CPU walks its node's copy while that is given up. */
static void given_up(void)
{
	pthread_t id;

	pin(0);
	populate();
	set_policy("replicate all");
	pthread_create(&id, NULL, reader, (void *)1);
	while (!__atomic_load_n(&begun, __ATOMIC_SEQ_CST))
		usleep(1000);
	set_policy("none");
	usleep(100000);
	__atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
	pthread_join(id, NULL);
}

static void nothing(void)
{
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} all[] = {
		{ "reads", reads }, { "moved", moved }, { "threads", threads },
		{ "given-up", given_up }, { "nothing", nothing },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i].name, argv[1]))
			continue;
		all[i].run();
		return 0;
	}
	fprintf(stderr, "usage: marks NAME, see its source\n");
	return 2;
}
