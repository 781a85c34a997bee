/* SPDX-License-Identifier: GPL-2.0 */
/* Included at the end of policy.c: what a text means. */
#include <kunit/test.h>

static int parse(const char *text, struct mitosis_policy *policy)
{
	char buf[128];

	strscpy(buf, text, sizeof(buf));
	return mitosis_parse(buf, policy);
}

static void reads_policies(struct kunit *test)
{
	struct mitosis_policy policy;

	KUNIT_EXPECT_EQ(test, parse("default\n", &policy), 0);
	KUNIT_EXPECT_EQ(test, policy.mode, MITOSIS_DEFAULT);
	KUNIT_EXPECT_EQ(test, parse(" none", &policy), 0);
	KUNIT_EXPECT_EQ(test, policy.mode, MITOSIS_NONE);
	KUNIT_EXPECT_EQ(test, parse("bind 0", &policy), 0);
	KUNIT_EXPECT_EQ(test, policy.mode, MITOSIS_BIND);
	KUNIT_EXPECT_TRUE(test, node_isset(0, policy.nodes));
	KUNIT_EXPECT_EQ(test, parse("replicate\t 0,0-0", &policy), 0);
	KUNIT_EXPECT_EQ(test, nodes_weight(policy.nodes), 1);
	KUNIT_EXPECT_FALSE(test, policy.all);
	KUNIT_EXPECT_EQ(test, parse("replicate all", &policy), 0);
	KUNIT_EXPECT_TRUE(test, policy.all);
}

static void refuses_the_rest(struct kunit *test)
{
	static const char * const texts[] = {
		"", "\n", "\nnone", "none\n\n", "Default", "none 0", "default all", "bind", "bind 0,1",
		"bind all", "bind -1", "replicate", "replicate ", "replicate x",
		"replicate 0 1", "replicate 1-0", "replicate 99999",
	};
	struct mitosis_policy policy;
	int i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		KUNIT_EXPECT_EQ_MSG(test, parse(texts[i], &policy), -EINVAL,
				    "'%s'", texts[i]);
}

static struct kunit_case policy_cases[] = {
	KUNIT_CASE(reads_policies),
	KUNIT_CASE(refuses_the_rest),
	{}
};

static struct kunit_suite policy_suite = {
	.name = "mitosis-policy",
	.test_cases = policy_cases,
};

kunit_test_suite(policy_suite);
