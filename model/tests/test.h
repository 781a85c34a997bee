/* SPDX-License-Identifier: GPL-2.0 */
/* A test program: TEST(name) { EXPECT(condition); ... }, and TEST_MAIN at its end. */
#ifndef MODEL_TESTS_TEST_H
#define MODEL_TESTS_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *tests, **last_test = &tests;
static bool test_failed;

#define TEST(name)								\
	static void name(void);							\
	__attribute__((constructor)) static void add_##name(void)		\
	{									\
		static struct test test = { #name, name, NULL };		\
										\
		*last_test = &test;						\
		last_test = &test.next;						\
	}									\
	static void name(void)

#define EXPECT(condition) do {							\
	if (!(condition)) {							\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);	\
		test_failed = true;						\
	}									\
} while (0)

/* Numbers: tells what it got. */
#define EXPECT_EQUAL(got, wanted) do {						\
	double got_ = (got), wanted_ = (wanted);				\
										\
	if (got_ != wanted_) {							\
		printf("# %s:%d: %s is %.15g, not %.15g\n", __FILE__, __LINE__, \
		       #got, got_, wanted_);					\
		test_failed = true;						\
	}									\
} while (0)

#define EXPECT_NEAR(got, wanted, tolerance) do {				\
	double got_ = (got), wanted_ = (wanted);				\
										\
	if (got_ < wanted_ * (1 - (tolerance)) || got_ > wanted_ * (1 + (tolerance))) { \
		printf("# %s:%d: %s is %.15g, not about %.15g\n", __FILE__, __LINE__, \
		       #got, got_, wanted_);					\
		test_failed = true;						\
	}									\
} while (0)

/* One line a test, as 'ok NAME': tests/run numbers those of all programs. */
#define TEST_MAIN								\
int main(void)									\
{										\
	bool any_failed = false;						\
	struct test *test;							\
										\
	for (test = tests; test; test = test->next) {				\
		test_failed = false;						\
		test->run();							\
		printf("%sok %s\n", test_failed ? "not " : "", test->name);	\
		fflush(stdout);							\
		any_failed |= test_failed;					\
	}									\
	return any_failed;							\
}

#endif
