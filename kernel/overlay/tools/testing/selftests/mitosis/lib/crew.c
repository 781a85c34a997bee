// SPDX-License-Identifier: GPL-2.0
/* Threads pinned to all nodes, and other processes that have such threads. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "../mitosis_test.h"

struct member *crew;
int nr_crew;

/* What the members do, all under the lock. The job counts as done when running is zero. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t change;
	job_fn *jobs;
	void **args;
	int running;
} work;

void pin_to_cpu(int cpu)
{
	size_t size = CPU_ALLOC_SIZE(cpu + 1);
	cpu_set_t *set = CPU_ALLOC(cpu + 1);

	check(set);
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	if (sched_setaffinity(0, size, set))
		fail("cannot run on CPU %d: %s", cpu, strerror(errno));
	CPU_FREE(set);
}

static void *member_thread(void *arg)
{
	const struct member *member = arg;
	int i = member->index;

	pin_to_cpu(member->cpu);
	pthread_mutex_lock(&work.lock);
	for (;;) {
		job_fn job;

		while (!work.jobs[i])
			pthread_cond_wait(&work.change, &work.lock);
		job = work.jobs[i];
		pthread_mutex_unlock(&work.lock);
		job(member, work.args[i]);
		pthread_mutex_lock(&work.lock);
		work.jobs[i] = NULL;
		work.running--;
		pthread_cond_broadcast(&work.change);
	}
	return NULL;
}

static int first_cpu(int node)
{
	char path[96], text[4096];
	struct nodes cpus;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	if (read_file(path, text, sizeof(text)) <= 0)
		return -1;
	cpus = parse_nodes(text);
	return cpus.nr ? cpus.id[0] : -1;
}

static void find_members(void)
{
	char text[4096];
	struct nodes nodes;

	if (read_file("/sys/devices/system/node/has_cpu", text, sizeof(text)) < 0)
		fail("no /sys/devices/system/node/has_cpu");
	nodes = parse_nodes(text);
	nr_crew = nodes.nr;
	crew = calloc(nodes.nr, sizeof(*crew));
	work.jobs = calloc(nodes.nr, sizeof(*work.jobs));
	work.args = calloc(nodes.nr, sizeof(*work.args));
	check(crew && work.jobs && work.args);
	for (int i = 0; i < nodes.nr; i++)
		crew[i] = (struct member){ .index = i, .node = nodes.id[i], .cpu = first_cpu(nodes.id[i]) };
}

void crew_start(void)
{
	pthread_t thread;

	pthread_mutex_init(&work.lock, NULL);
	pthread_cond_init(&work.change, NULL);
	work.running = 0;
	find_members();
	for (int i = 0; i < nr_crew; i++)
		if (pthread_create(&thread, NULL, member_thread, &crew[i]))
			fail("cannot start the thread for node %d", crew[i].node);
}

static void pin_member(const struct member *member, void *arg)
{
	(void)arg;
	pin_to_cpu(member->cpu);
}

/* Put a member back on its CPU after the CPU was away. */
void crew_pin(int index)
{
	on_member(index, pin_member, NULL);
}

static void begin(int first, int last, job_fn job, void *arg)
{
	pthread_mutex_lock(&work.lock);
	for (int i = first; i <= last; i++) {
		work.jobs[i] = job;
		work.args[i] = arg;
		work.running++;
	}
	pthread_cond_broadcast(&work.change);
	pthread_mutex_unlock(&work.lock);
}

void crew_begin(job_fn job, void *arg)
{
	begin(0, nr_crew - 1, job, arg);
}

void crew_end(void)
{
	pthread_mutex_lock(&work.lock);
	while (work.running)
		pthread_cond_wait(&work.change, &work.lock);
	pthread_mutex_unlock(&work.lock);
}

void on_member(int index, job_fn job, void *arg)
{
	begin(index, index, job, arg);
	crew_end();
}

void on_all(job_fn job, void *arg)
{
	crew_begin(job, arg);
	crew_end();
}

static void do_nothing(const struct member *member, void *arg)
{
	(void)member;
	(void)arg;
}

/*
 * A scan that has begun is work that a thread does on its way back to user space: it is over when
 * each thread has been there once more.
 */
void stop_balancing(void)
{
	if (!exists("/proc/sys/kernel/numa_balancing"))
		return;
	set_knob("/proc/sys/kernel/numa_balancing", "0");
	on_all(do_nothing, NULL);
}

/* Return the member on @node, -1 if it has no CPU. */
int member_of_node(int node)
{
	for (int i = 0; i < nr_crew; i++)
		if (crew[i].node == node)
			return i;
	return -1;
}

/* Return a member on a node with a page table of its own other than @node's. */
int member_far_from(int node)
{
	for (int i = 0; i < nr_crew; i++)
		if (crew[i].node != node && has_node(full_nodes(), crew[i].node))
			return i;
	return -1;
}

static volatile bool roots_seen;

static void spin(const struct member *member, void *arg)
{
	(void)member;
	(void)arg;
	while (!roots_seen)
		sched_yield();
}

/* Return how many members have a node whose tree is in force. */
static int wanted_roots(void)
{
	struct nodes nodes = effective_nodes(SELF);
	int wanted = 0;

	for (int i = 0; i < nr_crew; i++)
		wanted += has_node(&nodes, crew[i].node);
	return wanted ? wanted : 1;
}

static bool runs_with_roots(int wanted, struct verdict *verdict)
{
	*verdict = verify(SELF);
	return verdict->roots >= wanted;
}

void check_roots(void)
{
	struct verdict verdict;
	int wanted;

	if (without_mitosis)
		return;
	wanted = wanted_roots();
	roots_seen = false;
	crew_begin(spin, NULL);
	if (!wait_until(runs_with_roots(wanted, &verdict), 20))
		fail("CPUs of %d nodes run this process with %ld roots, not %d",
		     nr_crew, verdict.roots, wanted);
	check(verdict.cpus >= wanted);
	roots_seen = true;
	crew_end();
}

static void rest(const struct member *member, void *arg)
{
	(void)member;
	(void)arg;
	usleep(1000);
}

long replica_bytes_of_all(void)
{
	return without_mitosis ? 0 : read_number("/sys/kernel/mm/mitosis/replica_bytes");
}

static bool no_more_replicas_than(long bytes)
{
	/* An idle CPU keeps the roots of the last process: give it this one's. */
	on_all(rest, NULL);
	return replica_bytes_of_all() <= bytes;
}

void expect_no_leak(long before)
{
	/* CPUs that have no member may rest on roots of a process that is over. */
	long spare = sysconf(_SC_NPROCESSORS_ONLN) - nr_crew;
	long slack = spare * full_nodes()->nr * 2 * (long)PAGE;

	if (!wait_until(no_more_replicas_than(before + slack), 20))
		fail("%ld bytes of replicas before, %ld left over", before, replica_bytes_of_all() - before);
}

/* Signals */

static void ignore(int signal)
{
	(void)signal;
}

void send_signals(bool on)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval timer = { { 0, on ? 1000 : 0 }, { 0, on ? 1000 : 0 } };

	sigaction(SIGALRM, &action, NULL);
	check_ok(setitimer(ITIMER_REAL, &timer, NULL));
}

/* Other processes */

pid_t start_child(void (*run)(void *arg), void *arg)
{
	pid_t pid = check_ok(fork());

	if (pid)
		return pid;
	crew_start();
	run(arg);
	_exit(0);
}

void end_child(pid_t pid)
{
	int status;

	check_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		fail("a child was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

int *new_stage(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED);
	return p;
}

void set_stage(int *stage, int value)
{
	__atomic_store_n(stage, value, __ATOMIC_SEQ_CST);
}

/* End this process as a child ended that failed or skipped, rather than wait for it in vain. */
static void follow_dead_child(void)
{
	siginfo_t info = { 0 };

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
		return;
	if (info.si_code != CLD_EXITED)
		fail("a child was ended by signal %d", info.si_status);
	if (info.si_status)
		_exit(info.si_status);
}

void await_stage(int *stage, int value)
{
	while (__atomic_load_n(stage, __ATOMIC_SEQ_CST) < value) {
		follow_dead_child();
		usleep(1000);
	}
}
