// SPDX-License-Identifier: GPL-2.0
#include "predictor.h"

#include "guest.h"
#include "test.h"

static struct predictor new_predictor(void)
{
	struct machine *machine = TEST_MACHINE("predictor_bits 12", "branch_targets 16",
					       "return_stack 2");
	struct predictor predictor;

	predictor_init(&predictor, machine);
	machine_free(machine);
	return predictor;
}

static bool branch(struct predictor *predictor, enum insn_branch kind, uint64_t pc, uint64_t next)
{
	struct insn insn = { .pc = pc, .size = 2, .branch = kind };

	return predictor_branch(predictor, &insn, next);
}

/* How many of @count branches of a pattern of directions miss, after as many to learn it. */
static unsigned int misses(const char *pattern, unsigned int count)
{
	struct predictor predictor = new_predictor();
	unsigned int i, missed = 0, length = strlen(pattern);

	for (i = 0; i < 2 * count; i++) {
		bool taken = pattern[i % length] == 't';
		bool right = branch(&predictor, BRANCH_CONDITIONAL, 0x100, taken ? 0x80 : 0x102);

		missed += i >= count && !right;
	}
	predictor_free(&predictor);
	return missed;
}

/* Two-bit counters begin weakly taken: not taken misses once, then taken twice. */
TEST(counters_need_two_surprises)
{
	struct predictor predictor = new_predictor();
	int i;

	predictor.mask = 0;		/* one counter each */
	EXPECT(branch(&predictor, BRANCH_CONDITIONAL, 0, 8));
	for (i = 0; i < 2; i++)
		EXPECT(!branch(&predictor, BRANCH_CONDITIONAL, 0, 2));
	EXPECT(branch(&predictor, BRANCH_CONDITIONAL, 0, 2));
	for (i = 0; i < 2; i++)
		EXPECT(!branch(&predictor, BRANCH_CONDITIONAL, 0, 8));
	EXPECT(branch(&predictor, BRANCH_CONDITIONAL, 0, 8));
	predictor_free(&predictor);
}

TEST(history_learns_a_pattern)
{
	EXPECT_EQUAL(misses("t", 1000), 0);
	EXPECT_EQUAL(misses("tn", 1000), 0);
	EXPECT_EQUAL(misses("tttn", 1000), 0);
}

TEST(a_random_branch_misses_every_other_time)
{
	struct predictor predictor = new_predictor();
	unsigned int i, missed = 0, count = 100000;
	uint64_t random = 1;

	for (i = 0; i < count; i++) {
		random = random * 6364136223846793005 + 1442695040888963407;
		missed += !branch(&predictor, BRANCH_CONDITIONAL, 0x100,
				  random >> 63 ? 0x80 : 0x102);
	}
	EXPECT_NEAR(missed, count / 2, 0.05);
	predictor_free(&predictor);
}

TEST(returns_follow_their_calls)
{
	struct predictor predictor = new_predictor();

	EXPECT(branch(&predictor, BRANCH_CALL, 0x100, 0x1000));
	EXPECT(branch(&predictor, BRANCH_CALL, 0x1000, 0x2000));
	EXPECT(branch(&predictor, BRANCH_RETURN, 0x2000, 0x1002));
	EXPECT(branch(&predictor, BRANCH_RETURN, 0x1002, 0x102));
	/* Three calls are more than the stack has room for. */
	branch(&predictor, BRANCH_CALL, 0x100, 0x1000);
	branch(&predictor, BRANCH_CALL, 0x1000, 0x2000);
	branch(&predictor, BRANCH_CALL, 0x2000, 0x3000);
	EXPECT(branch(&predictor, BRANCH_RETURN, 0x3000, 0x2002));
	EXPECT(branch(&predictor, BRANCH_RETURN, 0x2002, 0x1002));
	EXPECT(!branch(&predictor, BRANCH_RETURN, 0x1002, 0x102));
	predictor_free(&predictor);
}

TEST(an_indirect_branch_goes_where_it_went)
{
	struct predictor predictor = new_predictor();

	EXPECT(!branch(&predictor, BRANCH_INDIRECT, 0x100, 0x1000));
	EXPECT(branch(&predictor, BRANCH_INDIRECT, 0x100, 0x1000));
	EXPECT(!branch(&predictor, BRANCH_INDIRECT, 0x100, 0x2000));
	EXPECT(!branch(&predictor, BRANCH_INDIRECT, 0x110, 0x2000));	/* the same entry */
	EXPECT(branch(&predictor, BRANCH_DIRECT, 0x200, 0x3000));
	predictor_free(&predictor);
}

TEST_MAIN
