// SPDX-License-Identifier: GPL-2.0
/*
 * Policies that change while the process works: threads fault, map, unmap, fork and write; after
 * each change the new policy must hold at once, and in the end nothing that was written is lost.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include "mitosis_test.h"

SETTING(changes, 1000, "policy changes")
SETTING(mbytes, 512, "memory in pages of 4 KB that the threads write")
SETTING(threads, 8, "threads")

static struct {
	char *memory;
	size_t pages;
	uint32_t *writes;	/* how often each page was written */
	bool stop;
} state;

struct worker {
	int index;
	uint64_t random;
	long writes, maps, forks;
	pthread_t thread;
};

static uint64_t next(struct worker *worker)
{
	worker->random = worker->random * 6364136223846793005ULL + 1442695040888963407ULL;
	return worker->random >> 33;
}

static uint64_t *word(size_t page)
{
	return (uint64_t *)(state.memory + page * PAGE);
}

/* A thread owns every nth page, so that pages of all threads share page tables. */
static size_t own_page(struct worker *worker)
{
	size_t nr = state.pages / threads.value;

	return next(worker) % nr * threads.value + worker->index;
}

static void write_page(struct worker *worker, size_t page)
{
	if (*word(page) != (state.writes[page] ? pattern(state.writes[page], page) : 0))
		fail("thread %d: page %zu has lost a write", worker->index, page);
	state.writes[page]++;
	*word(page) = pattern(state.writes[page], page);
	worker->writes++;
}

static void write_pages(struct worker *worker)
{
	for (int i = 0; i < 500; i++)
		write_page(worker, own_page(worker));
}

static void map_and_unmap(struct worker *worker)
{
	size_t size = 64 * PAGE;
	char *p = map_anon(size, PAGE);

	fill_here(p, size, worker->index);
	check_ok(mprotect(p, size / 2, PROT_READ));
	if (!filled_here(p, size, worker->index))
		fail("thread %d: new memory has changed", worker->index);
	unmap(p, size);
	worker->maps++;
}

/* The child sees the pages as they were; the parent's writes are its own. */
static void fork_once(struct worker *worker)
{
	size_t page = own_page(worker);
	uint64_t value = *word(page);
	pid_t pid = check_ok(fork());
	int status;

	if (!pid) {
		for (int i = 0; i < 20; i++)
			(*word(own_page(worker)))++;
		_exit(*word(page) != value && *word(page) - value > 20);
	}
	write_page(worker, page);
	check_eq(waitpid(pid, &status, 0), pid);
	if (status)
		fail("a child of thread %d saw another value", worker->index);
	worker->forks++;
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	pin_to_cpu(crew[worker->index % nr_crew].cpu);
	for (int round = 0; !__atomic_load_n(&state.stop, __ATOMIC_RELAXED); round++) {
		write_pages(worker);
		map_and_unmap(worker);
		if (round % 32 == worker->index)
			fork_once(worker);
	}
	return NULL;
}

static void touch_all(const struct member *member, void *arg)
{
	(void)arg;
	for (size_t page = member->index; page < state.pages; page += nr_crew) {
		state.writes[page] = 1;
		*word(page) = pattern(1, page);
	}
}

static void check_all(const struct member *member, void *arg)
{
	(void)arg;
	for (size_t page = 0; page < state.pages; page++)
		if (*word(page) != pattern(state.writes[page], page))
			fail("node %d: page %zu has lost a write", member->node, page);
}

static struct worker *start(void)
{
	struct worker *workers = calloc(threads.value, sizeof(*workers));

	state.pages = mbytes.value * MB / PAGE;
	state.memory = map_anon(mbytes.value * MB, PMD_SIZE);
	state.writes = calloc(state.pages, sizeof(*state.writes));
	check(workers && state.writes);
	madvise(state.memory, mbytes.value * MB, MADV_NOHUGEPAGE);
	on_all(touch_all, NULL);
	for (int i = 0; i < threads.value; i++) {
		workers[i] = (struct worker){ .index = i, .random = i + 1 };
		check(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	return workers;
}

static void stop(struct worker *workers)
{
	long writes = 0, maps = 0, forks = 0;

	__atomic_store_n(&state.stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < threads.value; i++) {
		check(!pthread_join(workers[i].thread, NULL));
		writes += workers[i].writes;
		maps += workers[i].maps;
		forks += workers[i].forks;
	}
	note("%ld writes, %ld maps, %ld forks meanwhile", writes, maps, forks);
	check(writes && maps && forks);
	on_all(check_all, NULL);
}

/* Policies */

enum verb { NONE, BIND, REPLICATE };

struct policy {
	enum verb verb;
	struct nodes nodes;
	char text[4096];
};

static void choose_nodes(struct policy *policy, uint64_t random)
{
	const struct nodes *full = full_nodes();
	int length = sprintf(policy->text, "replicate ");

	for (int i = 0; i < full->nr; i++)
		if (random >> i % 64 & 1 || (i == full->nr - 1 && !policy->nodes.nr)) {
			policy->nodes.id[policy->nodes.nr++] = full->id[i];
			length += sprintf(policy->text + length, "%s%d", policy->nodes.nr > 1 ? "," : "",
					  full->id[i]);
		}
}

static struct policy choose_policy(uint64_t random)
{
	struct policy policy = { .verb = NONE, .text = "none" };
	const struct nodes *full = full_nodes();

	switch (random % 4) {
	case 0:
		break;
	case 1:
		policy.verb = BIND;
		policy.nodes = (struct nodes){ 1, { full->id[random / 4 % full->nr] } };
		sprintf(policy.text, "bind %d", policy.nodes.id[0]);
		break;
	case 2:
		policy.verb = REPLICATE;
		choose_nodes(&policy, random / 4);
		break;
	case 3:
		policy.verb = REPLICATE;
		policy.nodes = *full;
		sprintf(policy.text, "replicate all");
		break;
	}
	return policy;
}

/* Return what does not hold, or NULL. */
static const char *broken(const struct policy *policy, const struct pgtables *tables)
{
	if (policy->verb == NONE)
		return tables->replica_bytes ? "replicas are left" : NULL;
	for (int i = 0; i < policy->nodes.nr; i++)
		if (!all_tables_on(tables, policy->nodes.id[i], policy->nodes.id[i]))
			return "not all tables are local";
	return NULL;
}

static long fallbacks_before;

/* A fallback excuses a table that lies elsewhere, for 10 s. */
static void expect_in_force(const struct policy *policy)
{
	struct pgtables tables = read_pgtables(SELF);
	const char *what = broken(policy, &tables);

	if (what && policy->verb != NONE && tables.fallbacks > fallbacks_before)
		what = wait_until((free_pgtables(&tables), tables = read_pgtables(SELF),
				   !broken(policy, &tables)), 12) ? NULL : "not repaired in 12 s";
	if (what)
		fail("'%s' has returned: %s (%ld bytes of replicas, %ld fallbacks)", policy->text, what,
		     tables.replica_bytes, tables.fallbacks - fallbacks_before);
	fallbacks_before = tables.fallbacks;
	free_pgtables(&tables);
}

static void change_policies(long nr)
{
	uint64_t random = 1;

	for (long i = 0; i < nr; i++) {
		struct policy policy;

		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		policy = choose_policy(random >> 33);
		must_set_policy(SELF, policy.text);
		expect_in_force(&policy);
	}
}

TEST(switching, .timeout = 1200)
{
	struct worker *workers;

	if (without_mitosis)
		skip("changes policies");
	workers = start();
	change_policies(changes.value);
	stop(workers);
	must_set_policy(SELF, test_policy);
}

/* A signal ends the wait for tables that move; the policy is in force and the rest follows. */

static bool all_local(void)
{
	struct policy policy = choose_policy(3);
	struct pgtables tables = read_pgtables(SELF);
	bool local = !broken(&policy, &tables);

	free_pgtables(&tables);
	return local;
}

TEST(signals, .timeout = 120)
{
	char *p = map_anon(1024 * PMD_SIZE, PMD_SIZE);
	int interrupted = 0;

	if (without_mitosis)
		skip("changes policies");
	need_nodes(2);
	for (size_t i = 0; i < 1024; i++)
		fill_here(p + i * PMD_SIZE, PAGE, i);
	for (int i = 0; i < 10; i++) {
		int error;

		must_set_policy(SELF, "none");
		send_signals(true);
		error = set_policy(SELF, "replicate all");
		send_signals(false);
		if (error && error != EINTR)
			fail("a signal makes the write fail: %s", strerror(error));
		interrupted += error == EINTR;
		check(wait_until(all_local(), 10));
	}
	note("%d of 10 changes were interrupted", interrupted);
	must_set_policy(SELF, test_policy);
}

/* A signal that nobody handles does not: the write goes on after it. */

static pid_t stopper;
static bool *over;	/* shared with it */

static void begin_stops(void)
{
	pid_t self = getpid();

	over = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(over != MAP_FAILED);
	stopper = check_ok(fork());
	if (stopper)
		return;
	while (!__atomic_load_n(over, __ATOMIC_SEQ_CST)) {
		kill(self, SIGSTOP);
		usleep(200);
		kill(self, SIGCONT);
		usleep(1000);
	}
	_exit(0);
}

static void end_stops(void)
{
	__atomic_store_n(over, true, __ATOMIC_SEQ_CST);
	check_eq(waitpid(stopper, NULL, 0), stopper);
}

/* So many tables that no walk ends between two stops: the worker's has to count. */
#define MANY_TABLES	4096

TEST(stops, .timeout = 120)
{
	char *p = map_anon(MANY_TABLES * PMD_SIZE, PMD_SIZE);

	if (without_mitosis)
		skip("changes policies");
	need_nodes(2);
	for (size_t i = 0; i < MANY_TABLES; i++)
		fill_here(p + i * PMD_SIZE, PAGE, i);
	begin_stops();
	for (int i = 0; i < 10; i++) {
		must_set_policy(SELF, "none");
		must_set_policy(SELF, "replicate all");
	}
	end_stops();
	check(all_local());
	must_set_policy(SELF, test_policy);
}
