// SPDX-License-Identifier: GPL-2.0
#include "core.h"
#include "lsu.h"

#include <stdlib.h>

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		abort();
	return memory;
}

static struct buffer new_buffer(unsigned int size)
{
	return (struct buffer){ .free = allocate(size, sizeof(double)), .size = size };
}

void core_init(struct core *core, const struct machine *machine, const struct lane *lane,
	       struct memory *memory, int node)
{
	*core = (struct core){
		.machine = machine,
		.lane = lane,
		.memory = memory,
		.node = node,
		.step = 1.0 / machine->width,
		.rob = new_buffer(machine->rob),
		.loads = new_buffer(machine->load_buffer),
		.stores = new_buffer(machine->store_buffer),
		.waiting = allocate(machine->scheduler, sizeof(*core->waiting)),
		.walker = allocate(machine->walkers, sizeof(*core->walker)),
		.fill = allocate(machine->fill_buffers, sizeof(*core->fill)),
	};
}

void core_free(struct core *core)
{
	free(core->rob.free);
	free(core->loads.free);
	free(core->stores.free);
	free(core->waiting);
	free(core->walker);
	free(core->fill);
}

static inline double later(double a, double b)
{
	return a > b ? a : b;
}

/* The entry that is used next was used last this many entries ago. */
static inline double buffer_room(const struct buffer *buffer)
{
	return buffer->free[buffer->next];
}

static inline void buffer_use(struct buffer *buffer, double until)
{
	buffer->free[buffer->next] = until;
	if (++buffer->next == buffer->size)
		buffer->next = 0;
}

static void heap_push(double *heap, unsigned int size, double time)
{
	unsigned int i = size;

	for (; i && heap[(i - 1) / 2] > time; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = time;
}

static void heap_pop(double *heap, unsigned int size)
{
	double last = heap[size - 1];
	unsigned int i = 0, child;

	for (; (child = 2 * i + 1) < size - 1; i = child) {
		if (child + 1 < size - 1 && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= last)
			break;
		heap[i] = heap[child];
	}
	heap[i] = last;
}

/* Instructions leave the scheduler as they issue, in any order. */
static double scheduler_room(struct core *core, double time)
{
	if (core->nr_waiting == core->machine->scheduler)
		time = later(time, core->waiting[0]);
	while (core->nr_waiting && core->waiting[0] <= time)
		heap_pop(core->waiting, core->nr_waiting--);
	return time;
}

static void scheduler_wait(struct core *core, double issue)
{
	if (issue > core->dispatch + 1)
		heap_push(core->waiting, core->nr_waiting++, issue);
}

static void dispatch(struct core *core, const struct insn *insn)
{
	double time = later(core->dispatch + core->step, core->redirect);

	time = later(time, buffer_room(&core->rob));
	if (insn->loads)
		time = later(time, buffer_room(&core->loads));
	if (insn->stores)
		time = later(time, buffer_room(&core->stores));
	if (insn->kind == INSN_SERIAL)
		time = later(time, later(core->retire, core->commit));
	core->dispatch = scheduler_room(core, time);
}

/* What is dispatched can issue in the next cycle, if all of these registers are ready. */
static double ready(const struct core *core, const uint8_t *reg, unsigned int nr_regs)
{
	double time = core->dispatch + 1;
	unsigned int i;

	for (i = 0; i < nr_regs; i++)
		time = later(time, core->reg[reg[i]]);
	return time;
}

/* What follows a LOCKed access waits for it; it waits for all that was before. */
static double lock(const struct core *core, double time)
{
	return later(time, later(core->retire, core->commit));
}

static double load(struct core *core, const struct insn *insn, const struct access *access,
		   unsigned int nr_accesses, double time)
{
	double done = time;
	unsigned int i;

	for (i = 0; i < nr_accesses; i++) {
		if (!access[i].store)
			done = later(done, lsu_load(core, &access[i], time));
	}
	return insn->prefetch ? time : done;
}

static double translate_stores(struct core *core, const struct access *access,
			       unsigned int nr_accesses, double time)
{
	double done = time;
	unsigned int i;

	for (i = 0; i < nr_accesses; i++) {
		if (access[i].store)
			done = later(done, lsu_translate(core, &access[i],
							 later(time, core->fence)));
	}
	return done;
}

static void commit_stores(struct core *core, const struct access *access,
			  unsigned int nr_accesses, double done)
{
	unsigned int i;

	for (i = 0; i < nr_accesses; i++) {
		if (access[i].store)
			core->commit = later(core->commit + 1,
					     lsu_store(core, &access[i], done, core->retire));
	}
}

/* rsp does not wait for what is pushed or popped: it is known in the front end. */
static void write_results(struct core *core, const struct insn *insn, bool memory, double address,
			  double done)
{
	unsigned int i;

	for (i = 0; i < insn->nr_results; i++)
		core->reg[insn->result[i]] =
			memory && insn->result[i] == REG_STACK ? address + 1 : done;
}

static void retire(struct core *core, const struct insn *insn, double done)
{
	core->retire = later(core->retire + core->step, done);
	buffer_use(&core->rob, core->retire);
	if (insn->loads)
		buffer_use(&core->loads, core->retire);
}

static void execute(struct core *core, const struct insn *insn, const struct access *access,
		    unsigned int nr_accesses)
{
	bool moves = insn->loads && insn->kind == INSN_SIMPLE && !insn->nr_sources;
	double address, issue, done;

	dispatch(core, insn);
	address = ready(core, insn->address, insn->nr_address);
	if (insn->atomic)
		address = lock(core, address);
	issue = later(load(core, insn, access, nr_accesses, address),
		      ready(core, insn->source, insn->nr_sources));
	scheduler_wait(core, moves ? address : issue);
	done = issue;
	if (!moves || !nr_accesses)
		done += core->machine->execute[insn->kind];
	if (insn->atomic)
		done += core->machine->atomic;
	if (insn->stores)
		done = later(done, translate_stores(core, access, nr_accesses, address));
	write_results(core, insn, nr_accesses, address, done);
	retire(core, insn, done);
	if (insn->stores) {
		commit_stores(core, access, nr_accesses, done);
		buffer_use(&core->stores, core->commit);
	}
	if (insn->atomic)
		core->fence = later(done, core->commit);
	if (insn->kind == INSN_SERIAL)
		core->redirect = done;
	core->last = done;
}

void core_execute(struct core *core, const struct work *work)
{
	const struct access *access = work->access, *end = access + work->nr_accesses, *first;
	double begin = core->retire;
	uint32_t i;

	for (i = 0; i < work->block->nr_insns; i++) {
		for (first = access; access < end && access->insn == i; access++)
			;
		execute(core, &work->block->insn[i], first, access - first);
	}
	if (work->mispredicted)
		core->redirect = core->last + core->machine->mispredict;
	core->measure[MEASURE_CYCLES] += core->retire - begin;
}

void core_idle(struct core *core, double time)
{
	core->redirect = later(core->redirect, time);
	core->retire = later(core->retire, time);
}
