// SPDX-License-Identifier: GPL-2.0
/*
 * Policies: what a text means, which nodes follow from it, who changes it.
 */
#include <linux/cpu.h>
#include <linux/cpuset.h>
#include <linux/memory.h>
#include <linux/nodemask.h>
#include <linux/string.h>
#include <asm/setup.h>
#include <trace/events/mitosis.h>
#include "internal.h"

/* The system's policy: changed under both locks, read by each fork and exec. */
static DEFINE_MUTEX(system_mutex);
static DEFINE_SEQLOCK(system_lock);
static struct mitosis_policy system_policy = { .mode = MITOSIS_NONE };

void mitosis_get_system_policy(struct mitosis_policy *policy)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&system_lock);
		*policy = system_policy;
	} while (read_seqretry(&system_lock, seq));
}

bool mitosis_system_has_policy(void)
{
	return READ_ONCE(system_policy.mode) > MITOSIS_NONE;
}

static const char * const mode_names[] = {
	[MITOSIS_DEFAULT]	= "default",
	[MITOSIS_NONE]		= "none",
	[MITOSIS_BIND]		= "bind",
	[MITOSIS_REPLICATE]	= "replicate",
};

static int parse_nodes(char *list, struct mitosis_policy *policy)
{
	policy->all = policy->mode == MITOSIS_REPLICATE && !strcmp(list, "all");
	if (policy->all)
		return 0;

	/* The kernel's list parser takes blanks for commas. */
	if (strpbrk(list, " \t\n") || nodelist_parse(list, policy->nodes) ||
	    nodes_empty(policy->nodes))
		return -EINVAL;
	if (policy->mode == MITOSIS_BIND && nodes_weight(policy->nodes) != 1)
		return -EINVAL;
	return 0;
}

/**
 * mitosis_parse - read a policy
 * @text: one line, changed in place
 * @policy: result
 *
 * Return: 0, or -EINVAL when the text is no policy.
 */
int mitosis_parse(char *text, struct mitosis_policy *policy)
{
	char *end = text + strlen(text), *rest, *word;
	int mode;

	memset(policy, 0, sizeof(*policy));
	if (end > text && end[-1] == '\n')
		end[-1] = '\0';
	if (strchr(text, '\n'))
		return -EINVAL;

	rest = strim(text);
	word = strsep(&rest, " \t");
	mode = match_string(mode_names, ARRAY_SIZE(mode_names), word);
	if (mode < 0)
		return -EINVAL;

	policy->mode = mode;
	if (mode <= MITOSIS_NONE)
		return rest ? -EINVAL : 0;
	return rest ? parse_nodes(skip_spaces(rest), policy) : -EINVAL;
}

/*
 * Nodes where a tree can be: kernel memory to lie in, CPUs to walk it.  N_CPU
 * changes late when a CPU comes or goes, so ask for the CPUs themselves.
 */
static void usable_nodes(nodemask_t *nodes)
{
	int nid;

	nodes_clear(*nodes);
	for_each_node_state(nid, N_NORMAL_MEMORY) {
		if (cpumask_intersects(cpumask_of_node(nid), cpu_online_mask))
			node_set(nid, *nodes);
	}
}

/* One line, without the newline.  Return: its length. */
int mitosis_print(char *buf, size_t size, const struct mitosis_policy *policy)
{
	const char *name = mode_names[policy->mode];
	nodemask_t usable;

	if (policy->mode <= MITOSIS_NONE)
		return scnprintf(buf, size, "%s", name);

	usable_nodes(&usable);
	return scnprintf(buf, size, "%s %*pbl", name,
			 nodemask_pr_args(policy->all ? &usable : &policy->nodes));
}

void mitosis_get_policy(struct mitosis_mm *m, struct mitosis_policy *policy)
{
	spin_lock(&m->policy_lock);
	*policy = m->policy;
	spin_unlock(&m->policy_lock);
}

/* The policy of an address space, whether or not it has a state. */
void mitosis_policy_of(struct mm_struct *mm, struct mitosis_policy *policy)
{
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);

	memset(policy, 0, sizeof(*policy));
	if (m == MITOSIS_OPTED_OUT)
		policy->mode = MITOSIS_NONE;
	else if (m)
		mitosis_get_policy(m, policy);
}

void mitosis_put_policy(struct mitosis_mm *m,
			const struct mitosis_policy *policy,
			const nodemask_t *allowed)
{
	lockdep_assert_held(&m->lock);
	spin_lock(&m->policy_lock);
	m->policy = *policy;
	if (allowed)
		m->allowed = *allowed;
	spin_unlock(&m->policy_lock);
}

/* What holds for @m now, and the nodes that its cpuset allows. */
static void effective(struct mitosis_mm *m, struct mitosis_policy *policy,
		      nodemask_t *allowed)
{
	spin_lock(&m->policy_lock);
	*policy = m->policy;
	*allowed = m->allowed;
	spin_unlock(&m->policy_lock);

	if (policy->mode == MITOSIS_DEFAULT)
		mitosis_get_system_policy(policy);
}

enum mitosis_mode mitosis_effective_mode(struct mitosis_mm *m)
{
	struct mitosis_policy policy;
	nodemask_t allowed;

	effective(m, &policy, &allowed);
	return policy.mode;
}

/* Nodes that shall have a tree now. */
void mitosis_target(struct mitosis_mm *m, nodemask_t *nodes)
{
	struct mitosis_policy policy;
	nodemask_t allowed;
	int nid;

	effective(m, &policy, &allowed);
	nodes_clear(*nodes);
	if (policy.mode <= MITOSIS_NONE || READ_ONCE(m->quit))
		return;

	usable_nodes(nodes);
	nodes_and(*nodes, *nodes, allowed);
	if (!policy.all)
		nodes_and(*nodes, *nodes, policy.nodes);

	for_each_node_mask(nid, *nodes) {
		if (mitosis_node_held(m, nid))
			node_clear(nid, *nodes);
	}
}

static int check_nodes(const struct mitosis_policy *policy)
{
	nodemask_t usable;

	if (policy->mode <= MITOSIS_NONE || policy->all)
		return 0;
	if (!nodes_subset(policy->nodes, node_online_map))
		return -ENODEV;
	usable_nodes(&usable);
	return nodes_intersects(policy->nodes, usable) ? 0 : -ENODEV;
}

static int check_allowed(const struct mitosis_policy *policy,
			 const nodemask_t *allowed)
{
	nodemask_t nodes;

	if (policy->mode <= MITOSIS_NONE || policy->all)
		return 0;
	/* A cpuset never names nodes without memory, and no tree can be there. */
	nodes_and(nodes, policy->nodes, node_states[N_MEMORY]);
	return nodes_subset(nodes, *allowed) ? 0 : -EPERM;
}

/*
 * The nodes of @task's cpuset as they are now; a change of them comes after: it
 * is read under the lock that __mitosis_cpuset_changed() takes.  Return whether
 * they are others than before; who changes them finds that done, so the caller
 * has to see that the trees follow.
 */
bool mitosis_allow(struct mitosis_mm *m, struct task_struct *task)
{
	nodemask_t allowed;
	bool changed;

	spin_lock(&m->policy_lock);
	allowed = cpuset_mems_allowed(task);
	changed = !nodes_equal(m->allowed, allowed);
	m->allowed = allowed;
	spin_unlock(&m->policy_lock);
	return changed;
}

static int replace_policy(struct mitosis_mm *m, struct task_struct *task,
			  const struct mitosis_policy *policy)
{
	bool changed = mitosis_allow(m, task);
	int err;

	spin_lock(&m->policy_lock);
	err = check_allowed(policy, &m->allowed);
	if (!err)
		m->policy = *policy;
	spin_unlock(&m->policy_lock);
	if (err && changed)
		mitosis_kick(m, 0);
	return err;
}

static int change_policy(struct mitosis_mm *m, struct task_struct *task,
			 const struct mitosis_policy *policy)
{
	int err;

	if (mutex_lock_interruptible(&m->lock))
		return -ERESTARTNOHAND;

	err = replace_policy(m, task, policy);
	if (err)
		goto out;
	trace_mitosis_policy(m->mm, policy->mode,
			     policy->all ? nr_node_ids :
					   nodes_weight(policy->nodes));
	while ((err = mitosis_apply(m)) == -EBUSY) {
		mutex_unlock(&m->lock);
		cond_resched();
		mutex_lock(&m->lock);
	}
out:
	mutex_unlock(&m->lock);
	return err;
}

/**
 * mitosis_set_policy - give an address space a policy
 * @m: address space with a user
 * @task: a task of that address space
 * @policy: what it shall be
 *
 * Return: 0; -ENODEV, -EPERM, nothing was changed; -ERESTARTNOHAND, the policy
 * may be in force and the worker goes on; -ESRCH when the address space is going away.
 */
int mitosis_set_policy(struct mitosis_mm *m, struct task_struct *task,
		       const struct mitosis_policy *policy)
{
	nodemask_t allowed = cpuset_mems_allowed(task);
	bool hold = policy->mode > MITOSIS_NONE;
	int err = check_nodes(policy) ?: check_allowed(policy, &allowed);

	if (err)
		return err;

	if (hold)
		mitosis_hold_key();
	err = change_policy(m, task, policy);
	if (hold)
		mitosis_drop_key();
	return err;
}

/*
 * Processes that were being made by fork or exec while the system's policy came
 * into force have no state yet and could not be found.
 */
static void attach_rest(struct work_struct *work)
{
	mutex_lock(&system_mutex);
	if (mitosis_system_has_policy()) {
		mitosis_attach_all();
		mitosis_kick_all();
	}
	mutex_unlock(&system_mutex);
}

static DECLARE_DELAYED_WORK(attach_work, attach_rest);

/* Any context. */
void mitosis_attach_later(void)
{
	schedule_delayed_work(&attach_work, HZ);
}

/* Address spaces follow in the background. */
int mitosis_set_system_policy(const struct mitosis_policy *policy)
{
	int err = check_nodes(policy);
	bool was, is = policy->mode > MITOSIS_NONE;

	if (policy->mode == MITOSIS_DEFAULT)
		return -EINVAL;
	if (err)
		return err;

	mutex_lock(&system_mutex);
	was = mitosis_system_has_policy();
	if (is && !was)
		mitosis_hold_key();
	write_seqlock(&system_lock);
	system_policy = *policy;
	write_sequnlock(&system_lock);
	if (is) {
		mitosis_attach_all();
		mitosis_attach_later();
	}
	mitosis_kick_all();
	if (was && !is)
		mitosis_drop_key();
	mutex_unlock(&system_mutex);
	return 0;
}

static int node_state_changed(struct notifier_block *nb, unsigned long action,
			      void *arg)
{
	if (action == MEM_ONLINE || action == MEM_OFFLINE)
		mitosis_kick_all();
	return NOTIFY_OK;
}

static int cpu_state_changed(unsigned int cpu)
{
	mitosis_kick_all();
	return 0;
}

static struct mitosis_policy boot_policy __initdata;

static int __init boot_policy_setup(char *arg)
{
	static char text[COMMAND_LINE_SIZE] __initdata;

	strscpy(text, arg ?: "", sizeof(text));
	strreplace(text, ':', ' ');
	if (mitosis_parse(text, &boot_policy)) {
		pr_warn("mitosis: boot parameter mitosis_policy=%s is no policy\n",
			arg);
		memset(&boot_policy, 0, sizeof(boot_policy));
	}
	return 0;
}
early_param("mitosis_policy", boot_policy_setup);

static int __init policy_init(void)
{
	int err;

	if (!mitosis_supported())
		return 0;

	/* After a CPU has come, and after it has gone. */
	hotplug_memory_notifier(node_state_changed, DEFAULT_CALLBACK_PRI);
	err = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "mm/mitosis:online",
					cpu_state_changed, NULL);
	if (err >= 0)
		err = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN,
						"mm/mitosis:dead", NULL,
						cpu_state_changed);
	if (err < 0)
		pr_warn("mitosis: no notice of CPU hotplug (%d)\n", err);

	if (boot_policy.mode <= MITOSIS_NONE)
		return 0;
	err = mitosis_set_system_policy(&boot_policy);
	if (err)
		pr_warn("mitosis: boot policy names no usable node (%d)\n", err);
	return 0;
}

/* After the last test that frees tables behind everybody's back: debug_vm_pgtable(). */
late_initcall_sync(policy_init);

#ifdef CONFIG_MITOSIS_KUNIT_TEST
#include "tests/policy-kunit.h"
#endif
