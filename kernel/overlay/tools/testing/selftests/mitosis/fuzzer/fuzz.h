/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer of replicated page tables: steps are made from a seed, carried out, and compared with a
 * model of the address space.
 *
 *	main.c		options, runs, reports
 *	steps.c		the operations, and steps as text
 *	generate.c	steps from a seed
 *	model.c		what an address space must hold
 *	execute.c	the system calls of a step
 *	check.c		memory, and what the kernel tells, against the model
 *	turns.c		a sequence in processes that take turns
 *	race.c		threads that carry out sequences at the same time
 *	run.c		a run in a fresh process, and what is left of it
 *	shrink.c	the shortest sequence that still fails
 */
#ifndef MITOSIS_FUZZ_H
#define MITOSIS_FUZZ_H

#include "../mitosis_test.h"

#define MAX_STEPS	4096
#define MAX_PROCESSES	4
#define MAX_PAGES	1024	/* of an area, and of an object */

/* Parts of the address space: each has a fixed place. See model.c. */
enum area { SMALL, PMD, PUD, FAR, HIGH, HUGE, NR_AREAS };

struct area_layout {
	const char *name;
	uintptr_t start;
	unsigned int pages;
};

extern struct area_layout areas[NR_AREAS];

/* Steps */

enum op {
	OP_MAP, OP_UNMAP, OP_PROTECT, OP_MOVE, OP_LEAVE, OP_GROW, OP_SHRINK,
	OP_DONTNEED, OP_FREE, OP_COLD, OP_PAGEOUT, OP_HUGEPAGE, OP_NOHUGEPAGE, OP_COLLAPSE,
	OP_POPULATE_READ, OP_POPULATE_WRITE, OP_WILLNEED, OP_REMOVE, OP_MERGEABLE, OP_UNMERGEABLE,
	OP_WRITE, OP_SAME, OP_READ, OP_PEEK, OP_CHECK, OP_AGE, OP_CLEAR, OP_SOFT, OP_TRACK, OP_SMAPS, OP_MINCORE,
	OP_MOVE_PAGES, OP_MBIND, OP_MIGRATE, OP_FORK, OP_SPAWN, OP_EXIT,
	OP_POLICY, OP_VERIFY, OP_PAUSE, NR_OPS,
};

enum policy { POLICY_DEFAULT, POLICY_NONE, POLICY_BIND, POLICY_REPLICATE };

/* What a step needs; the letters of struct operation.args say what is written behind its name. */
struct step {
	uint8_t process;	/* who does it */
	uint8_t node;		/* from a CPU of which node, counted among nodes with CPUs */
	uint8_t op;
	uint8_t area;		/* r: a range of pages */
	uint16_t page, pages;
	uint8_t to_area;	/* t: where it is moved to */
	uint16_t to_page;	/* n: a new number of pages, too */
	uint8_t prot;		/* p: protection */
	uint8_t kind, object;	/* k: what is mapped */
	bool populate;		/* u: at once */
	uint8_t other;		/* q: another process */
	uint8_t policy;		/* y: a policy */
	uint32_t nodes;		/* y, N: nodes, a bit each */
};

struct operation {
	const char *name;
	const char *args;
	bool changes_vmas;
	const char *help;
};

extern const struct operation operations[NR_OPS];

void print_step(FILE *out, const struct step *step);
/* The line is changed; return NULL or what is wrong with it. */
const char *parse_step(char *line, struct step *step);
void list_operations(FILE *out);

/* The model */

enum kind { HOLE, PRIVATE, SHARED, COPY };	/* COPY: a file's pages, mapped privately */
enum soft { SOFT_UNKNOWN, SOFT_CLEAN, SOFT_DIRTY };

#define FIRST_SHARED	3	/* files are the objects before */
#define NR_OBJECTS	10

struct page {
	uint64_t value;		/* what its first word holds; 0 if never written */
	uint16_t offset;	/* in the object */
	uint8_t kind, prot, object, soft;
	bool own;		/* COPY: written, no longer the file's page */
	bool freed;		/* may be zero as well: MADV_FREE */
	bool swapped;		/* reclaimed since it was written */
	bool mergeable;
};

struct space {
	bool alive, leaving;
	int parent;
	pid_t pid;
	bool huge[NR_AREAS];	/* huge pages are possible, whose state is not that of one page */
	int bind_node;		/* level-1 tables are not to come from elsewhere, -1 without */
	long bind_elsewhere;
	long migrated;		/* pages that had moved when soft-dirty was cleared */
	struct page pages[NR_AREAS][MAX_PAGES];
};

struct object {
	int fd;
	uint64_t values[MAX_PAGES];
};

struct world {
	int nr_nodes;
	unsigned int first[NR_AREAS], end[NR_AREAS];	/* the pages that are used */
	bool always_huge;
	bool soft_works;
	struct space spaces[MAX_PROCESSES];
	struct object objects[NR_OBJECTS];
};

struct expected {
	uint64_t value;
	bool or_zero;
};

void model_init(struct world *world, int nr_nodes);
/* What each page of the operation's range has to be. */
typedef bool (*fits_fn)(const struct page *page);
fits_fn model_fits(int op);
/* Does the step make sense now? If not, it is left out. */
bool model_applies(const struct world *world, const struct step *step);
/* What the step does; when the call failed in a legal way, that. @stamp tells its writes apart. */
void model_apply(struct world *world, const struct step *step, unsigned int stamp, bool done);
uint64_t model_value(const struct step *step, unsigned int page, unsigned int stamp);
struct expected model_expect(const struct world *world, int process, int area, unsigned int page);
/* A page that was given up has been seen as zero, and stays so. */
void model_saw_zero(struct world *world, int process, int area, unsigned int page);
void *address(int area, unsigned int page);

static inline struct page *page_of(struct world *world, int process, int area, unsigned int page)
{
	return &world->spaces[process].pages[area][page];
}

/* Generation */

struct random {
	uint64_t state;
};

uint32_t random_below(struct random *random, uint32_t limit);

struct generator {
	struct random random;
	struct world world;
	bool alone;		/* no operation that concerns the whole process */
	struct step last;
	int recipe, place;	/* the recipe under way, -1 for none */
};

void generator_init(struct generator *generator, uint64_t seed, int nr_nodes);
struct step generate(struct generator *generator);
unsigned int generate_all(struct step *steps, unsigned int number, uint64_t seed, int nr_nodes);

/* What was found */

enum finding_kind {
	FOUND_NOTHING, FOUND_CONTENT, FOUND_PERMISSION, FOUND_SOFT_DIRTY, FOUND_TRACKED, FOUND_REFERENCED,
	FOUND_CALL, FOUND_CHECKER, FOUND_PLACE, FOUND_LOG, FOUND_LEAK, FOUND_HANG, FOUND_DEATH,
	FOUND_TROUBLE,
};

extern const char * const finding_names[];

struct finding {
	int kind;
	int step;	/* its index; -1 before, the number of steps at the end */
	char text[512];
};

/* Record it, end the run. */
void found(enum finding_kind kind, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* Execution */

struct job {
	struct world *world;
	const struct step *step;
	unsigned int stamp;
	int member;	/* who executes it: contents are read by all nodes, from here on */
	bool alone;	/* a thread by itself: it goes to a node instead of asking its member */
};

/* Mistakes that option --plant makes in execution, to see that they are found. */
enum plant { PLANT_NOTHING, PLANT_WRITE, PLANT_PROTECT, PLANT_SOFT };

extern enum plant plant;

/* Carry out a step other than fork and exit, which turns.c does. */
void execute(struct job *job);
void open_objects(struct world *world);
void empty_objects(struct world *world);
/* Do a job on a node: by its member of the crew, or in this thread. */
typedef void (*errand_fn)(const struct job *job, void *arg);
void on_node(const struct job *job, int node, errand_fn run, void *arg);

void map_scratch(void);
/* Have all CPUs forget what is in their TLBs. */
void flush_tlb(void);

/* Checks; each ends the run when it finds something. */
void check_page(const struct job *job, int process, int area, unsigned int page, uint64_t value);
void read_range(const struct job *job, void *range);
void check_everything(struct job *job);
void check_soft(struct job *job);
void check_age(struct job *job);
void check_kernel(struct job *job);
void check_kernel_from_all_nodes(struct job *job);
void check_files(struct world *world);
void note_bind(struct world *world, int process);
bool soft_dirty_works(void);
long migrated_pages(void);

/* A sequence */

struct sequence {
	unsigned int nr;
	struct step steps[MAX_STEPS];
};

/* Shared by all processes of a run. */
struct shared_run {
	bool claimed;		/* the first finding counts */
	struct finding finding;
	uint32_t done;		/* the number of steps that are over */
	uint32_t beat;		/* changes when something happens */
	unsigned int applied;	/* steps that made sense */
	pid_t first;
	struct world world;
	struct sequence sequence;
};

extern struct shared_run *run;

__attribute__((noreturn)) void take_turns(void);
void beat(void);

struct race {
	uint64_t seed;
	double seconds;
};

__attribute__((noreturn)) void race(const struct race *race);

/* Run it in a process of its own. */
struct finding run_sequence(const struct sequence *sequence);
struct finding run_race(const struct race *race);
void run_init(int nr_nodes);
extern double patience;	/* seconds without a step after which a run hangs */

/* Reduce a sequence that fails; return how many runs that took. */
unsigned int shrink(struct sequence *sequence, struct finding *finding, unsigned int tries);

#endif
