// SPDX-License-Identifier: GPL-2.0
#include "lsu.h"

static double later(double a, double b)
{
	return a > b ? a : b;
}

/* When a number has come; long ago, if it is not known. */
static double flight_ready(const struct flight *flight, uint64_t number)
{
	unsigned int i = number % FLIGHT_SLOTS;

	return flight->slot[i].number == number ? flight->slot[i].ready : 0;
}

static void flight_add(struct flight *flight, uint64_t number, double ready)
{
	unsigned int i = number % FLIGHT_SLOTS;

	flight->slot[i].number = number;
	flight->slot[i].ready = ready;
}

/* The unit that is free first, and from when on. */
static struct timeline *first_free(struct timeline *unit, unsigned int nr_units, double time,
				   double *begin)
{
	struct timeline *first = unit;
	unsigned int i;

	*begin = timeline_free(unit, time);
	for (i = 1; i < nr_units && *begin > time; i++) {
		double other = timeline_free(&unit[i], time);

		if (other < *begin) {
			*begin = other;
			first = &unit[i];
		}
	}
	return first;
}

/* The node of a line in this lane; what lies on no node of the machine is local to everyone. */
static int home_of(const struct core *core, uint8_t home, int lane_node)
{
	if (lane_node != NODE_REAL)
		return lane_node;
	return home >= core->machine->nodes ? core->node : home;
}

static double latency_of(const struct core *core, const struct reference *line, int home)
{
	if (line->served == SERVED_MEMORY)
		return memory_latency(core->memory, core->node, home);
	return core->machine->cache[line->served].latency;
}

/* Dirty lines are posted: they take a slot of their node, and nobody waits. */
static void write_back(struct core *core, const struct reference *line, double time)
{
	unsigned int i;

	for (i = 0; i < line->nr_written; i++)
		memory_queue(core->memory, home_of(core, line->written[i], core->lane->data_node),
			     time);
}

static double queue(struct core *core, int home, double time, enum measure local)
{
	double wait = memory_queue(core->memory, home, time);

	core->measure[local + (home != core->node)]++;
	core->measure[MEASURE_QUEUE_WAITS] += wait;
	return wait;
}

/* When a line is there that is wanted at @time; @local counts it, and the next one if remote. */
static double fetch(struct core *core, const struct reference *line, int home, double time,
		    enum measure local)
{
	double length = latency_of(core, line, home), begin, done;
	struct timeline *buffer;

	if (line->served == CACHE_L1)
		return later(time + length, flight_ready(&core->lines, line->number));
	buffer = first_free(core->fill, core->machine->fill_buffers, time, &begin);
	core->measure[MEASURE_FILL_WAITS] += begin - time;
	done = begin + length;
	if (line->served == SERVED_MEMORY)
		done += queue(core, home, begin, local);
	write_back(core, line, done);
	timeline_use(buffer, begin, done - begin, NULL);
	flight_add(&core->lines, line->number, done);
	return done;
}

static double fetch_data(struct core *core, const struct access *access, double time)
{
	const struct reference *line = &access->data;

	return fetch(core, line, home_of(core, line->home, core->lane->data_node), time,
		     MEASURE_DATA_LOCAL);
}

static double read_tables(struct core *core, const struct translation *translation, double time)
{
	int lane_node = core->lane->table_node, home;
	bool remote = false;
	unsigned int i;

	for (i = 0; i < translation->nr_steps; i++) {
		const struct reference *entry = &translation->step[i].entry;

		home = home_of(core, entry->home, lane_node);
		remote |= home != core->node;
		time = fetch(core, entry, home, time, MEASURE_WALK_LOCAL);
	}
	core->measure[MEASURE_REMOTE_WALKS] += remote;
	core->measure[MEASURE_REMOTE_ROOTS] +=
		home_of(core, translation->root_home, lane_node) != core->node;
	return time;
}

static double walk(struct core *core, const struct translation *translation, double time)
{
	struct timeline *walker;
	double begin, done;

	walker = first_free(core->walker, core->machine->walkers, time, &begin);
	done = read_tables(core, translation, begin);
	core->measure[MEASURE_WALKER_WAITS] += begin - time;
	core->measure[MEASURE_WALKER_CYCLES] += done - begin;
	core->measure[MEASURE_WALK_CYCLES] +=
		timeline_use(walker, begin, done - begin, &core->walking);
	return done;
}

double lsu_translate(struct core *core, const struct access *access, double time)
{
	const struct translation *translation = &access->translation;
	uint64_t page = translation->page >> 12;

	if (translation->found != FOUND_DTLB)
		time += core->machine->stlb_latency;
	if (translation->found != FOUND_WALK)
		return later(time, flight_ready(&core->pages, page));
	time = walk(core, translation, time);
	flight_add(&core->pages, page, time);
	return time;
}

/*
 * A word that was stored lately comes from the store buffer, be its line there or not. If the
 * store has left the buffer, it comes from the L1, which takes as long.
 */
double lsu_load(struct core *core, const struct access *access, double time)
{
	double stored = flight_ready(&core->words, access->word);

	time = lsu_translate(core, access, later(time, core->fence));
	if (stored && access->data.served == CACHE_L1)
		return later(time, stored) + core->machine->forward;
	return fetch_data(core, access, time);
}

double lsu_store(struct core *core, const struct access *access, double done, double time)
{
	flight_add(&core->words, access->word, done);
	return fetch_data(core, access, time);
}
