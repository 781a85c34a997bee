// SPDX-License-Identifier: GPL-2.0
#include "core.h"
#include "lsu.h"
#include "allocate.h"

#include <math.h>
#include <stdlib.h>

/* Cycles that only those wait who wait for memory. Tells two kinds apart that do not mix well. */
#define FAR	100

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
		.walker = allocate(machine->walkers, sizeof(*core->walker)),
		.fill = allocate(machine->fill_buffers, sizeof(*core->fill)),
	};
}

void core_free(struct core *core)
{
	free(core->rob.free);
	free(core->loads.free);
	free(core->stores.free);
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

static inline double queue_head(const struct queue *queue)
{
	return queue->first == queue->last ? INFINITY : queue->time[queue->first % SCHEDULER_MAX];
}

/* Who comes later issues later, as a rule: so it sorts with little effort. */
static void queue_insert(struct queue *queue, double time)
{
	unsigned int i;

	for (i = queue->last++; i != queue->first; i--) {
		double before = queue->time[(i - 1) % SCHEDULER_MAX];

		if (before <= time)
			break;
		queue->time[i % SCHEDULER_MAX] = before;
	}
	queue->time[i % SCHEDULER_MAX] = time;
}

static unsigned int nr_waiting(const struct core *core)
{
	return core->near.last - core->near.first + core->far.last - core->far.first;
}

/* Instructions leave the scheduler as they issue, in any order. */
static double scheduler_room(struct core *core, double time)
{
	if (nr_waiting(core) < core->machine->scheduler)
		return time;
	time = later(time, fmin(queue_head(&core->near), queue_head(&core->far)));
	while (queue_head(&core->near) <= time)
		core->near.first++;
	while (queue_head(&core->far) <= time)
		core->far.first++;
	return time;
}

static void scheduler_wait(struct core *core, double issue)
{
	if (issue > core->dispatch + FAR)
		queue_insert(&core->far, issue);
	else if (issue > core->dispatch + 1)
		queue_insert(&core->near, issue);
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

static void retire(struct core *core, const struct insn *insn, double done)
{
	core->retire = later(core->retire + core->step, done);
	buffer_use(&core->rob, core->retire);
	if (insn->loads)
		buffer_use(&core->loads, core->retire);
}

/* Without access to memory. Returns when the instruction is done. */
static double compute(struct core *core, const struct insn *insn)
{
	double issue = later(ready(core, insn->address, insn->nr_address),
			     ready(core, insn->source, insn->nr_sources));
	double done = issue + core->machine->execute[insn->kind];
	unsigned int i;

	scheduler_wait(core, issue);
	for (i = 0; i < insn->nr_results; i++)
		core->reg[insn->result[i]] = done;
	return done;
}

/* A load that computes nothing: its result is what it loads, and it leaves the scheduler at once. */
static bool moves(const struct insn *insn)
{
	return insn->loads && insn->kind == INSN_SIMPLE && !insn->nr_sources;
}

/* The stack pointer does not wait for what is pushed or popped: the front end knows it. */
static void write_results(struct core *core, const struct insn *insn, double address, double done)
{
	unsigned int i;

	for (i = 0; i < insn->nr_results; i++)
		core->reg[insn->result[i]] = insn->result[i] == REG_STACK ? address + 1 : done;
}

/* The same with access to memory. */
static double access_memory(struct core *core, const struct insn *insn,
			    const struct access *access, unsigned int nr_accesses)
{
	double address = ready(core, insn->address, insn->nr_address), issue, done;

	if (insn->atomic)
		address = lock(core, address);
	issue = later(load(core, insn, access, nr_accesses, address),
		      ready(core, insn->source, insn->nr_sources));
	scheduler_wait(core, moves(insn) ? address : issue);
	done = issue + (moves(insn) ? 0 : core->machine->execute[insn->kind]);
	if (insn->atomic)
		done += core->machine->atomic;
	done = later(done, translate_stores(core, access, nr_accesses, address));
	write_results(core, insn, address, done);
	return done;
}

static void execute(struct core *core, const struct insn *insn, const struct access *access,
		    unsigned int nr_accesses)
{
	double done;

	dispatch(core, insn);
	done = nr_accesses ? access_memory(core, insn, access, nr_accesses) : compute(core, insn);
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
