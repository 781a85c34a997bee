/* SPDX-License-Identifier: GPL-2.0 */
/* The machine as QEMU's monitor shows it, from outside of the kernel under test. */
#ifndef MITOSIS_MONITOR_H
#define MITOSIS_MONITOR_H

#include <stdint.h>

#define MAX_CPUS	64
#define MAX_NODES	64

struct vcpu {
	int node;
	uint64_t cr3, cr4;
};

extern struct machine {
	int nr_cpus;
	struct vcpu cpu[MAX_CPUS];
	long megabytes[MAX_NODES];	/* memory of each node */
} machine;

/* Have vCPUs and memory of all nodes in @machine, or skip. */
void monitor_open(void);
/* Bring registers up to date. The vCPUs run on meanwhile. */
void monitor_read_registers(void);
/* Return the node whose memory lies at a guest-physical address, -1 if it is nobody's. */
int monitor_node_of(uint64_t phys);

/* 64-bit words of guest-physical memory. */
struct piece {
	uint64_t phys;
	int nr, got;
	uint64_t *words;
};

void monitor_read(struct piece *pieces, int nr);

#endif
