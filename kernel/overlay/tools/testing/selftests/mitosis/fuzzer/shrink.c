// SPDX-License-Identifier: GPL-2.0
/*
 * The shortest sequence that still fails, by leaving out steps: large parts first, then smaller
 * ones, each tried in a fresh process. A step that makes no sense without another one is left out by
 * the model. Then ranges are narrowed. What counts is a finding of the same kind.
 */
#include "fuzz.h"

static struct {
	int kind;
	unsigned int tries, runs;
	struct finding last;
} state;

/* What happens by chance may take more than one try. */
static bool fails(const struct sequence *sequence)
{
	for (unsigned int i = 0; i < state.tries; i++) {
		struct finding finding = run_sequence(sequence);

		state.runs++;
		if (finding.kind == state.kind) {
			state.last = finding;
			return true;
		}
	}
	return false;
}

static void leave_out(struct sequence *to, const struct sequence *from, unsigned int first, unsigned int nr)
{
	to->nr = from->nr - nr;
	memcpy(to->steps, from->steps, first * sizeof(from->steps[0]));
	memcpy(to->steps + first, from->steps + first + nr, (to->nr - first) * sizeof(from->steps[0]));
}

/* From the end, since what comes last depends on what came before. */
static bool leave_out_parts(struct sequence *sequence, unsigned int size)
{
	static struct sequence candidate;
	unsigned int end = sequence->nr;
	bool any = false;

	while (end) {
		unsigned int first = end > size ? end - size : 0;

		leave_out(&candidate, sequence, first, end - first);
		if (fails(&candidate)) {
			*sequence = candidate;
			any = true;
		}
		end = first;
	}
	return any;
}

/* What comes after the step that failed was never done. */
static void cut_end(struct sequence *sequence, const struct finding *finding)
{
	static struct sequence candidate;

	if (finding->step < 0 || finding->step + 1 >= (int)sequence->nr)
		return;
	candidate = *sequence;
	candidate.nr = finding->step + 1;
	if (fails(&candidate))
		*sequence = candidate;
}

static bool try_range(struct sequence *sequence, unsigned int i, unsigned int page, unsigned int pages)
{
	struct step old = sequence->steps[i];
	bool same = page == old.page && pages == old.pages;

	sequence->steps[i].page = page;
	sequence->steps[i].pages = pages;
	if (!same && fails(sequence))
		return true;
	sequence->steps[i] = old;
	return false;
}

static void narrow_step(struct sequence *sequence, unsigned int i)
{
	const struct step *step = &sequence->steps[i];

	if (!strchr(operations[step->op].args, 'r') || step->op == OP_GROW || step->op == OP_SHRINK)
		return;
	while (step->pages > 1) {
		unsigned int half = (step->pages + 1) / 2;

		if (!try_range(sequence, i, step->page, half) &&
		    !try_range(sequence, i, step->page + step->pages - half, half))
			return;
	}
}

unsigned int shrink(struct sequence *sequence, struct finding *finding, unsigned int tries)
{
	bool any = true;

	state.kind = finding->kind;
	state.tries = tries;
	state.runs = 0;
	state.last = *finding;
	cut_end(sequence, finding);
	for (unsigned int size = (sequence->nr + 1) / 2; size > 1; size /= 2)
		leave_out_parts(sequence, size);
	while (any && sequence->nr)
		any = leave_out_parts(sequence, 1);
	for (unsigned int i = 0; i < sequence->nr; i++)
		narrow_step(sequence, i);
	*finding = state.last;
	return state.runs;
}
