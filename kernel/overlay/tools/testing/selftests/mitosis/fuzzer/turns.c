// SPDX-License-Identifier: GPL-2.0
/*
 * A sequence in processes that take turns. All go through the same steps; each carries out its own
 * and waits while others are at theirs, so that the order is the same each time. The model lies in
 * memory that they share, and is changed by the one whose turn it is.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "fuzz.h"

static int me;

/* Turns */

void beat(void)
{
	__atomic_fetch_add(&run->beat, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &run->beat, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static unsigned int done(void)
{
	return __atomic_load_n(&run->done, __ATOMIC_SEQ_CST);
}

static void end_turn(unsigned int i)
{
	__atomic_store_n(&run->done, i + 1, __ATOMIC_SEQ_CST);
	beat();
}

static void wait_for_beat(uint32_t seen)
{
	const struct timespec second = { .tv_sec = 1 };

	syscall(SYS_futex, &run->beat, FUTEX_WAIT, seen, &second, NULL, 0);
}

/* Others */

static struct space *space(int process)
{
	return &run->world.spaces[process];
}

/* The parent, or else the first process. */
static int reaper_of(int process)
{
	return space(space(process)->parent)->alive ? space(process)->parent : 0;
}

static void reap(int process)
{
	int status;

	if (waitpid(space(process)->pid, &status, 0) != space(process)->pid || status)
		found(FOUND_DEATH, "process %d ended with status %#x", process, status);
}

static void leave(int process)
{
	__atomic_store_n(&space(process)->leaving, true, __ATOMIC_SEQ_CST);
	beat();
	_exit(0);
}

static bool is_leaving(int process)
{
	return __atomic_load_n(&space(process)->leaving, __ATOMIC_SEQ_CST);
}

/* Wait until step @i is over; whoever has to reap the process that it ends says that it is. */
static void watch(unsigned int i, const struct step *step)
{
	while (done() <= i) {
		uint32_t seen = __atomic_load_n(&run->beat, __ATOMIC_SEQ_CST);

		if (done() <= i && step->op == OP_EXIT && is_leaving(step->process) &&
		    reaper_of(step->process) == me) {
			reap(step->process);
			model_apply(&run->world, step, i, true);
			end_turn(i);
		} else if (done() <= i) {
			wait_for_beat(seen);
		}
	}
}

static void fork_process(unsigned int i, const struct step *step)
{
	pid_t pid;

	pin_to_cpu(crew[step->node % nr_crew].cpu);
	model_apply(&run->world, step, i, true);
	space(step->other)->pid = 0;
	pid = fork();
	if (pid < 0)
		found(FOUND_CALL, "fork: %s", strerror(errno));
	if (!pid) {
		me = step->other;
		space(me)->pid = getpid();
		crew_start();
		note_bind(&run->world, me);
		end_turn(i);
		return;
	}
	watch(i, step);
}

static void take_turn(unsigned int i, const struct step *step)
{
	struct job job = { .world = &run->world, .step = step, .stamp = i };

	if (!model_applies(&run->world, step)) {
		end_turn(i);
		return;
	}
	run->applied++;
	if (step->op == OP_FORK) {
		fork_process(i, step);
		return;
	}
	if (step->op == OP_EXIT)
		leave(me);
	execute(&job);
	end_turn(i);
}

/* A step of a process that is not there is left out by the first. */
static void go_through(unsigned int i, const struct step *step)
{
	if (done() > i)
		return;
	if (step->process == me)
		take_turn(i, step);
	else if (me == 0 && !space(step->process)->alive && done() == i)
		end_turn(i);
	else
		watch(i, step);
}

/* The end: each process in turn, then the first alone */

static void page_out(const struct job *job, void *unused)
{
	struct step step = { .process = me, .op = OP_PAGEOUT, .pages = 1 };

	(void)unused;
	if (job->world->nr_nodes > 1)
		drain_lists();
	for (step.area = 0; step.area < NR_AREAS; step.area++)
		for (step.page = 0; step.page < areas[step.area].pages; step.page += step.pages) {
			struct page *page = page_of(job->world, me, step.area, step.page);

			for (step.pages = 1; step.page + step.pages < (int)areas[step.area].pages &&
			     page[step.pages].kind == page->kind; step.pages++)
				;
			if (page->kind == HOLE)
				continue;
			if (madvise(address(step.area, step.page), step.pages * PAGE, MADV_PAGEOUT))
				found(FOUND_CALL, "madvise(MADV_PAGEOUT): %s", strerror(errno));
			model_apply(job->world, &step, 0, true);
		}
}

/* The first time around, reclaim notices which of the pages that were given up are dirty. */
static void check_end(unsigned int i)
{
	const struct step step = { .process = me };
	struct job job = { .world = &run->world, .step = &step, .stamp = i };

	check_soft(&job);
	check_kernel_from_all_nodes(&job);
	check_everything(&job);
	on_node(&job, 0, page_out, NULL);
	on_node(&job, 1, page_out, NULL);
	check_everything(&job);
	if (me == 0)
		check_kernel(&job);
}

static void end(void)
{
	unsigned int i = run->sequence.nr;

	for (int process = 0; process < MAX_PROCESSES; process++, i++) {
		const struct step step = { .process = process };

		if (process == me && done() == i) {
			check_end(i);
			end_turn(i);
		} else if (me == 0 && !space(process)->alive && done() == i) {
			end_turn(i);
		} else {
			watch(i, &step);
		}
	}
}

static void end_alone(void)
{
	for (int area = 0; area < NR_AREAS; area++)
		check_ok(munmap(address(area, 0), areas[area].pages * PAGE));
	for (int process = 1; process < MAX_PROCESSES; process++)
		if (space(process)->alive) {
			pid_t pid = space(process)->pid;
			int status;

			if (waitpid(pid, &status, 0) == pid && status)
				found(FOUND_DEATH, "process %d ended with status %#x", process, status);
		}
	check_files(&run->world);
}

/* A process that was forked by another one than the first is left to that one, which then exits. */
static void reap_own(void)
{
	for (int process = 1; process < MAX_PROCESSES; process++)
		if (space(process)->alive && space(process)->parent == me)
			waitpid(space(process)->pid, NULL, 0);
}

void take_turns(void)
{
	me = 0;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	crew_start();
	map_scratch();
	space(0)->pid = getpid();
	for (unsigned int i = 0; i < run->sequence.nr; i++)
		go_through(i, &run->sequence.steps[i]);
	end();
	if (me) {
		reap_own();
		_exit(0);
	}
	end_alone();
	_exit(0);
}
