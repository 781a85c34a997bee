// SPDX-License-Identifier: GPL-2.0
/*
 * Steps from a seed. A generator has a model of its own, and makes a step that makes sense there.
 * Half of the steps follow a recipe: a few operations on the same pages by random nodes, which
 * alone would seldom meet. Others come in between.
 */
#include "fuzz.h"

uint32_t random_below(struct random *random, uint32_t limit)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % limit;
}

static uint32_t below(struct generator *generator, uint32_t limit)
{
	return random_below(&generator->random, limit);
}

static bool chance(struct generator *generator, unsigned int percent)
{
	return below(generator, 100) < percent;
}

/* How often an operation comes up by itself. */
static const unsigned char weights[NR_OPS] = {
	[OP_MAP] = 12, [OP_UNMAP] = 5, [OP_PROTECT] = 10, [OP_MOVE] = 6, [OP_LEAVE] = 2, [OP_GROW] = 2,
	[OP_SHRINK] = 2, [OP_DONTNEED] = 4, [OP_FREE] = 4, [OP_COLD] = 2, [OP_PAGEOUT] = 5,
	[OP_HUGEPAGE] = 3, [OP_NOHUGEPAGE] = 1, [OP_COLLAPSE] = 3, [OP_POPULATE_READ] = 2,
	[OP_POPULATE_WRITE] = 3, [OP_WILLNEED] = 2, [OP_REMOVE] = 2, [OP_MERGEABLE] = 2,
	[OP_UNMERGEABLE] = 1, [OP_WRITE] = 20, [OP_SAME] = 3, [OP_READ] = 10, [OP_PEEK] = 2,
	[OP_CHECK] = 4, [OP_AGE] = 5, [OP_CLEAR] = 3, [OP_SOFT] = 3, [OP_TRACK] = 2, [OP_SMAPS] = 1,
	[OP_MINCORE] = 1, [OP_MOVE_PAGES] = 3, [OP_MBIND] = 2, [OP_MIGRATE] = 1, [OP_FORK] = 3,
	[OP_SPAWN] = 2, [OP_EXIT] = 3, [OP_POLICY] = 10, [OP_VERIFY] = 4, [OP_PAUSE] = 1,
};

/*
 * ANY is a random operation. Those of a child are done by the process that the last fork made, those
 * of the parent by the one that forked.
 */
enum { ANY = NR_OPS, END };
#define BY_CHILD	0x80
#define WHOLE		0x100	/* the whole area */
#define IN_HUGE		0x200	/* the area of huge pages */
#define NO_COPIES	0x400	/* a policy: none */
#define COPIES		0x800	/* a policy: on all nodes */
#define BOUND		0x1000	/* a policy: on one */
#define PART		0x2000	/* a part of the pages, made read-only: huge pages are split */

static const uint16_t recipes[][12] = {
	/* Dirty in one copy only, of pages that are clean elsewhere, must not get lost. */
	{ OP_WRITE, OP_FREE, OP_WRITE, ANY, OP_PAGEOUT, OP_PAGEOUT, OP_READ, END },
	{ OP_WRITE, OP_FREE, OP_WRITE, OP_POLICY, OP_PAGEOUT, OP_PAGEOUT, OP_READ, END },
	{ OP_WRITE, OP_FREE, OP_WRITE, OP_PROTECT, OP_PAGEOUT, OP_PAGEOUT, OP_READ, END },
	{ OP_WRITE, OP_FREE, OP_WRITE, OP_FORK, OP_DONTNEED, OP_PAGEOUT | BY_CHILD, OP_PAGEOUT | BY_CHILD,
	  OP_READ | BY_CHILD, OP_EXIT | BY_CHILD, END },
	{ OP_WRITE, OP_PAGEOUT, OP_WILLNEED, OP_READ, OP_WRITE, ANY, OP_PAGEOUT, OP_READ, END },
	{ OP_MAP, OP_READ, OP_WRITE, ANY, OP_PAGEOUT, OP_READ, END },
	{ OP_MAP, OP_FORK, OP_READ | BY_CHILD, OP_WRITE | BY_CHILD, OP_EXIT | BY_CHILD, OP_READ, OP_PAGEOUT,
	  OP_READ, END },
	/* Copies of a fork's pages are their own. */
	{ OP_WRITE, OP_FORK, OP_WRITE, OP_READ | BY_CHILD, OP_WRITE | BY_CHILD, OP_READ, OP_CHECK | BY_CHILD,
	  OP_EXIT | BY_CHILD, END },
	{ OP_WRITE, OP_SPAWN, OP_READ, OP_WRITE, OP_SPAWN, OP_READ, END },
	/* Huge pages. */
	{ OP_MAP | IN_HUGE | WHOLE, OP_HUGEPAGE, OP_WRITE, ANY, ANY, OP_CHECK, END },
	{ OP_MAP | IN_HUGE | WHOLE, OP_HUGEPAGE, OP_WRITE, OP_FORK, OP_WRITE, OP_CHECK | BY_CHILD,
	  OP_WRITE | BY_CHILD, OP_CHECK, OP_EXIT | BY_CHILD, END },
	{ OP_MAP | IN_HUGE | WHOLE, OP_HUGEPAGE, OP_WRITE, OP_FREE, OP_WRITE, ANY, OP_PAGEOUT, OP_PAGEOUT,
	  OP_READ, END },
	{ OP_POLICY | NO_COPIES, OP_MAP | IN_HUGE | WHOLE, OP_HUGEPAGE | IN_HUGE | WHOLE,
	  OP_WRITE | IN_HUGE | WHOLE, OP_FREE | IN_HUGE | WHOLE, OP_POLICY | COPIES,
	  OP_WRITE | IN_HUGE | WHOLE, OP_PROTECT | PART, OP_PAGEOUT, OP_PAGEOUT, OP_READ, END },
	{ OP_MAP | IN_HUGE | WHOLE, OP_HUGEPAGE, OP_WRITE, OP_AGE, OP_DONTNEED, END },
	{ OP_MAP | IN_HUGE | WHOLE, OP_WRITE, OP_COLLAPSE, OP_READ, ANY, OP_CHECK, END },
	/* Tables that go and come. */
	{ OP_MAP | WHOLE, OP_WRITE, OP_UNMAP, OP_MAP, OP_WRITE, OP_READ, END },
	{ OP_POLICY | BOUND, OP_MAP | WHOLE, OP_WRITE, OP_VERIFY, END },
	/* What is asked of Accessed and soft-dirty. */
	{ OP_WRITE, OP_AGE, OP_AGE, OP_READ, OP_AGE, END },
	{ OP_WRITE, OP_CLEAR, OP_READ, OP_SOFT, OP_WRITE, OP_SOFT, OP_FORK, OP_SOFT | BY_CHILD,
	  OP_EXIT | BY_CHILD, END },
	/* KSM. */
	{ OP_MAP, OP_MERGEABLE, OP_SAME, OP_PAUSE, OP_PAUSE, OP_WRITE, OP_CHECK, END },
};

/* Which pages */

/* Most ranges are short, some are as long as can be; those of huge pages like to be whole. */
static unsigned int random_length(struct generator *generator, const struct step *step)
{
	if (step->area == HUGE && step->page % 512 == 0 && chance(generator, 60))
		return 512;
	if (chance(generator, 20))
		return MAX_PAGES;
	return 1 + below(generator, chance(generator, 50) ? 4 : 20);
}

static bool choose_range(struct generator *generator, struct step *step)
{
	fits_fn fits = model_fits(step->op);
	int process = step->op == OP_PEEK ? step->other : step->process;
	const struct page *pages;
	unsigned int first, end, length;

	step->area = below(generator, NR_AREAS);
	pages = generator->world.spaces[process].pages[step->area];
	first = generator->world.first[step->area];
	end = generator->world.end[step->area];
	for (int tries = 0; tries < 20; tries++) {
		step->page = first + below(generator, end - first);
		if (step->area == HUGE && chance(generator, 50))
			step->page = first + (step->page - first) / 512 * 512;
		if (fits(&pages[step->page]))
			break;
	}
	length = random_length(generator, step);
	for (step->pages = 0; step->pages < length && step->page + step->pages < end &&
	     fits(&pages[step->page + step->pages]); step->pages++)
		;
	return step->pages;
}

/* The last step's range, or a part of it. */
static void keep_range(struct generator *generator, struct step *step)
{
	const struct step *last = &generator->last;
	bool moved = last->op == OP_MOVE || last->op == OP_LEAVE;

	step->area = moved ? last->to_area : last->area;
	step->page = moved ? last->to_page : last->page;
	step->pages = last->pages;
	if (step->pages > 1 && chance(generator, 15)) {
		step->pages = 1 + below(generator, step->pages);
		step->page += below(generator, last->pages - step->pages + 1);
	}
}

/* The rest of a step */

static uint32_t all_nodes(const struct generator *generator)
{
	return generator->world.nr_nodes < 32 ? (1U << generator->world.nr_nodes) - 1 : ~0U;
}

static uint32_t random_nodes(struct generator *generator)
{
	uint32_t every = all_nodes(generator);
	uint32_t nodes = below(generator, UINT32_MAX) & every;

	return nodes && !chance(generator, 40) ? nodes : every;
}

static void choose_policy(struct generator *generator, struct step *step)
{
	static const uint8_t policies[] = {
		POLICY_REPLICATE, POLICY_REPLICATE, POLICY_REPLICATE, POLICY_BIND, POLICY_NONE, POLICY_DEFAULT,
	};

	step->other = chance(generator, 80) ? step->process : below(generator, MAX_PROCESSES);
	step->policy = policies[below(generator, ARRAY_SIZE(policies))];
	step->nodes = step->policy == POLICY_BIND ? 1U << below(generator, generator->world.nr_nodes) :
						   random_nodes(generator);
}

static void choose_mapping(struct generator *generator, struct step *step)
{
	static const uint8_t kinds[] = { PRIVATE, PRIVATE, PRIVATE, SHARED, SHARED, COPY };

	step->kind = kinds[below(generator, ARRAY_SIZE(kinds))];
	step->prot = PROT_READ | (chance(generator, 90) ? PROT_WRITE : 0);
	step->populate = chance(generator, 20);
	step->object = below(generator, FIRST_SHARED);
	if (step->kind == PRIVATE || (step->kind == SHARED && chance(generator, 30)))
		step->object = FIRST_SHARED;
}

static void choose_target(struct generator *generator, struct step *step)
{
	unsigned int room;

	step->to_area = below(generator, NR_AREAS);
	if (step->pages >= 512 || (step->area == HUGE && chance(generator, 50)))
		step->to_area = HUGE;
	room = generator->world.end[step->to_area] - generator->world.first[step->to_area];
	if (step->pages > room)
		step->pages = room;
	step->to_page = generator->world.first[step->to_area] + below(generator, room - step->pages + 1);
	if (step->to_area == HUGE && chance(generator, 60))
		step->to_page = step->to_page / 512 * 512;
	if (step->to_page < generator->world.first[step->to_area])
		step->to_page = generator->world.first[step->to_area];
}

static void choose_size(struct generator *generator, struct step *step)
{
	unsigned int room = generator->world.end[step->area] - step->page;

	if (step->op == OP_SHRINK)
		step->to_page = step->pages > 1 ? 1 + below(generator, step->pages - 1) : step->pages;
	else if (room > step->pages)
		step->to_page = step->pages + 1 + below(generator, room - step->pages);
}

static void choose_rest(struct generator *generator, struct step *step)
{
	static const uint8_t prots[] = { PROT_NONE, PROT_READ, PROT_READ, PROT_READ | PROT_WRITE,
					 PROT_READ | PROT_WRITE };

	switch (step->op) {
	case OP_MAP:
		choose_mapping(generator, step);
		break;
	case OP_PROTECT:
		step->prot = prots[below(generator, ARRAY_SIZE(prots))];
		break;
	case OP_MOVE:
	case OP_LEAVE:
		choose_target(generator, step);
		break;
	case OP_GROW:
	case OP_SHRINK:
		choose_size(generator, step);
		break;
	case OP_MOVE_PAGES:
	case OP_MBIND:
		step->nodes = 1U << below(generator, generator->world.nr_nodes);
		break;
	case OP_MIGRATE:
		step->nodes = random_nodes(generator);
		break;
	case OP_POLICY:
		choose_policy(generator, step);
		break;
	}
}

static bool is_alive(const struct generator *generator, int process)
{
	return generator->world.spaces[process].alive;
}

static int random_process(struct generator *generator)
{
	int process = below(generator, MAX_PROCESSES);

	if (chance(generator, 60) && is_alive(generator, generator->last.process))
		return generator->last.process;
	return is_alive(generator, process) ? process : 0;
}

static int random_op(struct generator *generator)
{
	unsigned int sum = 0, at;
	int op = 0;

	for (int i = 0; i < NR_OPS; i++)
		sum += weights[i];
	for (at = below(generator, sum); at >= weights[op]; op++)
		at -= weights[op];
	return op;
}

/* Where threads go on at the same time, none can tell what happens to all of the process. */
static bool concerns_all(int op)
{
	return op == OP_FORK || op == OP_EXIT || op == OP_PEEK || op == OP_CLEAR || op == OP_SOFT ||
	       op == OP_AGE || op == OP_POLICY || op == OP_VERIFY;
}

static void choose_other(struct generator *generator, struct step *step)
{
	step->other = below(generator, MAX_PROCESSES);
	for (int i = 1; step->op == OP_FORK && i < MAX_PROCESSES; i++)
		if (!is_alive(generator, i))
			step->other = i;
}

static struct step random_step(struct generator *generator, int op)
{
	struct step step = {
		.op = op, .process = random_process(generator),
		.node = below(generator, generator->world.nr_nodes),
	};

	choose_other(generator, &step);
	if (strchr(operations[op].args, 'r') && (chance(generator, 60) || !choose_range(generator, &step)))
		keep_range(generator, &step);
	choose_rest(generator, &step);
	return step;
}

/* Recipes */

static void begin_recipe(struct generator *generator)
{
	generator->recipe = below(generator, ARRAY_SIZE(recipes));
	generator->place = 0;
}

static void choose_given_policy(struct generator *generator, uint16_t what, struct step *step)
{
	if (!(what & (NO_COPIES | COPIES | BOUND)))
		return;
	step->other = step->process;
	step->policy = what & BOUND ? POLICY_BIND : what & COPIES ? POLICY_REPLICATE : POLICY_NONE;
	step->nodes = what & BOUND ? 1U << below(generator, generator->world.nr_nodes) : all_nodes(generator);
}

/* The process that the last fork made is in the step that is kept. */
static struct step recipe_step(struct generator *generator, uint16_t what)
{
	struct step step = {
		.op = what & (BY_CHILD - 1), .node = below(generator, generator->world.nr_nodes),
		.process = what & BY_CHILD ? generator->last.other : generator->last.process,
	};
	int area = what & IN_HUGE ? HUGE : below(generator, NR_AREAS);

	choose_other(generator, &step);
	if (what & WHOLE) {
		step.area = area;
		step.page = generator->world.first[area];
		step.pages = generator->world.end[area] - generator->world.first[area];
	} else if (generator->place || !choose_range(generator, &step)) {
		keep_range(generator, &step);
	}
	choose_rest(generator, &step);
	choose_given_policy(generator, what, &step);
	if (what & PART) {
		step.pages = 1 + step.pages / 4;
		step.prot = PROT_READ;
	}
	if (what & IN_HUGE && chance(generator, 80)) {
		step.kind = PRIVATE;
		step.object = FIRST_SHARED;
		step.prot = PROT_READ | PROT_WRITE;
	}
	return step;
}

static struct step propose(struct generator *generator)
{
	uint16_t what;

	if (generator->recipe < 0 && chance(generator, 30))
		begin_recipe(generator);
	if (generator->recipe < 0 || chance(generator, 15))
		return random_step(generator, random_op(generator));
	what = recipes[generator->recipe][generator->place];
	if (what == END) {
		generator->recipe = -1;
		return random_step(generator, random_op(generator));
	}
	if (what == ANY) {
		generator->place++;
		return random_step(generator, random_op(generator));
	}
	return recipe_step(generator, what);
}

static bool is_recipe_step(const struct generator *generator, const struct step *step)
{
	return generator->recipe >= 0 &&
	       step->op == (recipes[generator->recipe][generator->place] & (BY_CHILD - 1));
}

/* Where the next step goes on: same process and pages, unless this one has none. */
static void remember(struct generator *generator, const struct step *step)
{
	struct step last = *step;
	bool ranged = strchr(operations[step->op].args, 'r');

	if (!ranged) {
		last.area = generator->last.area;
		last.page = generator->last.page;
		last.pages = generator->last.pages;
	}
	if (step->op != OP_FORK)
		last.other = generator->last.other;
	if (generator->recipe >= 0 && step->process == generator->last.other)
		last.process = generator->last.process;
	generator->last = last;
}

static bool is_legal(struct generator *generator, const struct step *step)
{
	if (generator->alone && concerns_all(step->op))
		return false;
	return model_applies(&generator->world, step);
}

struct step generate(struct generator *generator)
{
	struct step step;
	bool of_recipe;
	int tries = 0;

	do {
		if (tries++ % 20 == 19)
			generator->recipe = -1;
		step = propose(generator);
	} while (!is_legal(generator, &step) && tries < 1000);
	of_recipe = is_recipe_step(generator, &step);
	model_apply(&generator->world, &step, 0, true);
	remember(generator, &step);
	generator->place += of_recipe;
	return step;
}

void generator_init(struct generator *generator, uint64_t seed, int nr_nodes)
{
	memset(generator, 0, sizeof(*generator));
	model_init(&generator->world, nr_nodes);
	generator->random.state = seed * 0xd1342543de82ef95ULL + 1;
	generator->recipe = -1;
	generator->last.pages = 1;
}

/* Most sequences begin under a policy that copies all. */
unsigned int generate_all(struct step *steps, unsigned int number, uint64_t seed, int nr_nodes)
{
	static struct generator generator;
	unsigned int nr = 0;

	generator_init(&generator, seed, nr_nodes);
	if (chance(&generator, 80))
		steps[nr++] = (struct step){
			.op = OP_POLICY, .policy = POLICY_REPLICATE,
			.nodes = all_nodes(&generator),
		};
	while (nr < number)
		steps[nr++] = generate(&generator);
	return nr;
}
