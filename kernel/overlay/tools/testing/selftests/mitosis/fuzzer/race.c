// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that carry out sequences at the same time, each on pages of its own in the same page
 * tables, while policies change. Each thread has a model of its pages. What it does follows from the
 * seed; what meets what does not.
 */
#include <pthread.h>

#include "fuzz.h"

struct runner {
	struct generator generator;
	struct world world;
};

static struct {
	bool stop;
	struct runner *runners;
} state;

/* A part of each area for each thread, so that tables are everybody's. */
static void divide(struct world *world, int index)
{
	for (int area = 0; area < NR_AREAS; area++) {
		unsigned int share = areas[area].pages / nr_crew;

		world->first[area] = index * share;
		world->end[area] = (index + 1) * share;
	}
}

static void prepare(struct runner *runner, uint64_t seed, int index)
{
	generator_init(&runner->generator, seed * 1000 + index, nr_crew);
	runner->generator.alone = true;
	divide(&runner->generator.world, index);
	model_init(&runner->world, nr_crew);
	divide(&runner->world, index);
	open_objects(&runner->world);
	empty_objects(&runner->world);
}

static bool stopped(void)
{
	return __atomic_load_n(&state.stop, __ATOMIC_RELAXED);
}

static void run_steps(const struct member *member, void *arg)
{
	struct runner *runner = &state.runners[member->index];
	struct step step = { .op = OP_CHECK };
	struct job job = { .world = &runner->world, .step = &step, .alone = true };

	(void)arg;
	for (; !stopped(); job.stamp++) {
		step = generate(&runner->generator);
		if (!model_applies(&runner->world, &step))
			continue;
		execute(&job);
		__atomic_fetch_add(&run->applied, 1, __ATOMIC_RELAXED);
		beat();
	}
	step = (struct step){ .op = OP_CHECK };
	execute(&job);
}

static void change_policy(struct random *random)
{
	struct step step = {
		.op = OP_POLICY, .node = random_below(random, nr_crew),
		.policy = random_below(random, 3) ? POLICY_REPLICATE : random_below(random, 4),
		.nodes = 1 + random_below(random, (1U << nr_crew % 32) - 1),
	};
	struct job job = { .world = &run->world, .step = &step, .alone = true };

	if (step.policy == POLICY_BIND)
		step.nodes = 1U << random_below(random, nr_crew);
	execute(&job);
	usleep(random_below(random, 20000));
	if (random_below(random, 8))
		return;
	step = (struct step){ .op = OP_VERIFY, .node = random_below(random, nr_crew) };
	execute(&job);
}

void race(const struct race *race)
{
	struct random random = { race->seed };
	double end = now() + race->seconds;

	crew_start();
	state.runners = calloc(nr_crew, sizeof(*state.runners));
	check(state.runners);
	map_scratch();
	for (int i = 0; i < nr_crew; i++)
		prepare(&state.runners[i], race->seed, i);
	crew_begin(run_steps, NULL);
	while (now() < end)
		change_policy(&random);
	__atomic_store_n(&state.stop, true, __ATOMIC_RELAXED);
	crew_end();
	change_policy(&random);
	_exit(0);
}
