// SPDX-License-Identifier: GPL-2.0
/* A run in a fresh process: how it ended, what the kernel says of it, and what is left of it. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../lib/runner.h"
#include "fuzz.h"

#define SECONDS_TO_DIE	30
#define SECONDS_TO_FREE	10

struct shared_run *run;
double patience = 20;
const char *test_policy = "";
bool without_mitosis;

const char * const finding_names[] = {
	[FOUND_NOTHING] = "nothing", [FOUND_CONTENT] = "contents", [FOUND_PERMISSION] = "permission",
	[FOUND_SOFT_DIRTY] = "soft-dirty", [FOUND_TRACKED] = "tracked writes",
	[FOUND_REFERENCED] = "referenced", [FOUND_CALL] = "system call", [FOUND_CHECKER] = "checker",
	[FOUND_PLACE] = "place", [FOUND_LOG] = "kernel log", [FOUND_LEAK] = "leak", [FOUND_HANG] = "hang",
	[FOUND_DEATH] = "death", [FOUND_TROUBLE] = "trouble",
};

static struct world fresh;	/* what each run begins with */
static int kernel_log;
static bool in_run;
static char last_note[256];

/* Findings */

static void record(enum finding_kind kind, const char *format, va_list args)
{
	if (__atomic_exchange_n(&run->claimed, true, __ATOMIC_SEQ_CST))
		return;
	run->finding.step = run->done;
	vsnprintf(run->finding.text, sizeof(run->finding.text), format, args);
	__atomic_store_n(&run->finding.kind, kind, __ATOMIC_SEQ_CST);
}

void found(enum finding_kind kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	record(kind, format, args);
	va_end(args);
	/* Who came second waits for the end, so that the first has time to write. */
	while (!__atomic_load_n(&run->finding.kind, __ATOMIC_SEQ_CST))
		usleep(1000);
	kill(run->first, SIGKILL);
	_exit(1);
}

/* What the library of the tests calls when something does not work. */

void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_note, sizeof(last_note), format, args);
	va_end(args);
}

static void __attribute__((noreturn)) give_up(const char *text)
{
	if (in_run)
		found(FOUND_TROUBLE, "%s", text);
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
	undo_all();
	exit(2);
}

void test_fail(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list args;
	int length = snprintf(text, sizeof(text), "%s:%d: ", file, line);

	va_start(args, format);
	vsnprintf(text + length, sizeof(text) - length, format, args);
	va_end(args);
	give_up(text);
}

void test_skip(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	give_up(text);
}

/* The end of a run */

static void set_finding(struct finding *finding, enum finding_kind kind, const char *format, ...)
{
	va_list args;

	if (finding->kind)
		return;
	finding->kind = kind;
	finding->step = run->done;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

/* Return whether the process ended; not so if nothing happens for a while. */
static bool wait_for_end(pid_t pid)
{
	struct pollfd end = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	double since = now();
	uint32_t seen = 0;
	bool ended;

	while (!(ended = poll(&end, 1, 200) == 1) && now() < since + patience) {
		uint32_t beat = __atomic_load_n(&run->beat, __ATOMIC_SEQ_CST);

		if (beat != seen)
			since = now();
		seen = beat;
	}
	close(end.fd);
	return ended;
}

/* With a broken page table even a kill may not end a process. */
static bool all_gone(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		;
	return pid < 0;
}

static void visit_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		sched_yield();
}

/* A CPU that is idle keeps the last root: give it this process's. */
static bool no_more_replicas_than(long bytes)
{
	cpu_set_t all;

	if (replica_bytes_of_all() <= bytes)
		return true;
	sched_getaffinity(0, sizeof(all), &all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all))
			visit_cpu(cpu);
	sched_setaffinity(0, sizeof(all), &all);
	return replica_bytes_of_all() <= bytes;
}

static long findings_of_checker(void)
{
	return without_mitosis ? 0 : read_number("/sys/kernel/debug/mitosis/findings");
}

static void ask_kernel(struct finding *finding, long findings, long replicas)
{
	if (log_complains(kernel_log))
		set_finding(finding, FOUND_LOG, "%s", last_note);
	if (findings_of_checker() != findings)
		set_finding(finding, FOUND_CHECKER, "the checker found something when a table was freed");
	if (!without_mitosis && !finding->kind && !wait_until(no_more_replicas_than(replicas), SECONDS_TO_FREE))
		set_finding(finding, FOUND_LEAK, "%ld bytes of replicas are left over",
			    replica_bytes_of_all() - replicas);
}

/* Judge what became of the process @pid. */
static struct finding judge(pid_t pid, long findings, long replicas)
{
	struct finding finding;
	bool ended = wait_for_end(pid);
	int status = 0;

	if (ended)
		waitpid(pid, &status, 0);
	kill(-pid, SIGKILL);
	finding = run->finding;
	if (!ended)
		set_finding(&finding, FOUND_HANG, "nothing happened for %.0f s", patience);
	else if (status)
		set_finding(&finding, FOUND_DEATH, "the first process ended with status %#x", status);
	if (!wait_until(all_gone(), SECONDS_TO_DIE)) {
		set_finding(&finding, FOUND_HANG, "a process cannot be killed");
		return finding;
	}
	ask_kernel(&finding, findings, replicas);
	return finding;
}

static void prepare(const struct sequence *sequence)
{
	memset(run, 0, offsetof(struct shared_run, world));
	run->world = fresh;
	empty_objects(&run->world);
	run->sequence.nr = sequence ? sequence->nr : 0;
	if (sequence)
		memcpy(run->sequence.steps, sequence->steps, sequence->nr * sizeof(sequence->steps[0]));
}

/* A process that nobody can kill must not keep a pipe open whose reader waits for the end. */
static void leave_output(void)
{
	int nowhere = check_ok(open("/dev/null", O_RDWR));

	check_ok(dup2(nowhere, STDOUT_FILENO));
	check_ok(dup2(nowhere, STDERR_FILENO));
	close(nowhere);
}

/* Begin the process of a run, which prints nothing; returns 0 there. */
static pid_t begin(void)
{
	pid_t pid;

	fflush(stdout);
	pid = check_ok(fork());
	if (pid) {
		setpgid(pid, pid);
		return pid;
	}
	in_run = true;
	setpgid(0, 0);
	run->first = getpid();
	leave_output();
	return 0;
}

struct finding run_sequence(const struct sequence *sequence)
{
	long findings = findings_of_checker(), replicas = replica_bytes_of_all();
	pid_t pid;

	prepare(sequence);
	pid = begin();
	if (!pid)
		take_turns();
	return judge(pid, findings, replicas);
}

struct finding run_race(const struct race *wanted)
{
	long findings = findings_of_checker(), replicas = replica_bytes_of_all();
	pid_t pid;

	prepare(NULL);
	pid = begin();
	if (!pid)
		race(wanted);
	return judge(pid, findings, replicas);
}

void run_init(int nr_nodes)
{
	char enabled[128];

	run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(run != MAP_FAILED);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	model_init(&fresh, nr_nodes ?: 1);
	open_objects(&fresh);
	fresh.soft_works = soft_dirty_works();
	fresh.always_huge = read_file("/sys/kernel/mm/transparent_hugepage/enabled", enabled,
				      sizeof(enabled)) > 0 && strstr(enabled, "[always]");
	kernel_log = open_log();
}
