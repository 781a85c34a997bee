// SPDX-License-Identifier: GPL-2.0
#include "memory.h"
#include "allocate.h"

#include <stdlib.h>

void memory_init(struct memory *memory, const struct machine *machine, int loaded_node)
{
	unsigned int i;

	memory->machine = machine;
	memory->node = allocate(machine->nodes, sizeof(*memory->node));
	for (i = 0; i < machine->nodes; i++)
		memory->node[i].service = machine->service;
	if (loaded_node >= 0) {
		memory->node[loaded_node].service /= 1 - machine->load_utilisation;
		memory->node[loaded_node].wait = machine->load_queue * machine->service;
	}
}

void memory_free(struct memory *memory)
{
	free(memory->node);
}

/* The first free slot from @slot on; takes it. */
static uint64_t take_slot(struct memory_node *node, uint64_t slot)
{
	uint64_t number = slot / 64, free;

	for (;; number++, slot = number * 64) {
		uint64_t *known = &node->word[number % MEMORY_WORDS].number;
		uint64_t *taken = &node->word[number % MEMORY_WORDS].taken;

		if (*known > number)
			return slot;
		if (*known < number) {
			*known = number;
			*taken = 0;
		}
		free = ~*taken >> slot % 64;
		if (free) {
			slot += __builtin_ctzll(free);
			*taken |= 1ULL << slot % 64;
			return slot;
		}
	}
}

double memory_latency(const struct memory *memory, int node, int home)
{
	return memory->machine->latency[node][home] + memory->node[home].wait;
}

double memory_queue(struct memory *memory, int home, double time)
{
	struct memory_node *node = &memory->node[home];
	uint64_t slot = time / node->service;
	uint64_t taken = take_slot(node, slot);

	node->requests++;
	return (taken - slot) * node->service;
}
