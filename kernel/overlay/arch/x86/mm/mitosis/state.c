// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces under a policy: their states and where to find them, the
 * static key, the worker, and the hooks of fork, exec and exit.
 */
#include <linux/cpuset.h>
#include <linux/hash.h>
#include <linux/memcontrol.h>
#include <linux/oom.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include "internal.h"

#define KEY_OFF_DELAY	(5 * HZ)

/*
 * The static key.  Switching it interrupts every CPU and any user may start
 * and end a process, so it is switched off only after a while without users.
 */
static DEFINE_MUTEX(key_mutex);
static atomic_t key_users;

static void key_off(struct work_struct *work)
{
	mutex_lock(&key_mutex);
	if (atomic_read(&key_users) || !static_key_enabled(&mitosis_key))
		goto out;
	/* Copies without an owner are freed, and mirrored, by the hooks. */
	if (atomic_long_read(&mitosis_pages))
		schedule_delayed_work(to_delayed_work(work), KEY_OFF_DELAY);
	else
		static_branch_disable(&mitosis_key);
out:
	mutex_unlock(&key_mutex);
}

static DECLARE_DELAYED_WORK(key_off_work, key_off);

/* Sleeps only for the first user. */
void mitosis_hold_key(void)
{
	if (atomic_inc_not_zero(&key_users))
		return;

	mutex_lock(&key_mutex);
	if (!static_key_enabled(&mitosis_key))
		static_branch_enable(&mitosis_key);
	atomic_inc(&key_users);
	mutex_unlock(&key_mutex);
}

/* As mitosis_hold_key() where nothing may sleep: fails if there is no user. */
bool mitosis_share_key(void)
{
	return atomic_inc_not_zero(&key_users);
}

void mitosis_drop_key(void)
{
	if (atomic_dec_and_test(&key_users))
		schedule_delayed_work(&key_off_work, KEY_OFF_DELAY);
}

/*
 * Where to find them all: by parts, so that fork, exec and exit take no lock
 * that is everybody's.
 */
#define PARTS_BITS	5

struct part {
	spinlock_t lock;
	struct hlist_head list;
} ____cacheline_aligned_in_smp;

static struct part parts[1 << PARTS_BITS] = {
	[0 ... (1 << PARTS_BITS) - 1] = {
		.lock = __SPIN_LOCK_UNLOCKED(parts.lock),
	},
};

static struct part *part_of(struct mitosis_mm *m)
{
	return &parts[hash_ptr(m, PARTS_BITS)];
}

/* Whoever finds an address space may take references of it. */
void mitosis_enlist(struct mitosis_mm *m)
{
	struct part *part = part_of(m);

	if (!hlist_unhashed_lockless(&m->link))
		return;
	spin_lock(&part->lock);
	if (hlist_unhashed(&m->link))
		hlist_add_head(&m->link, &part->list);
	spin_unlock(&part->lock);
}

static void delist(struct mitosis_mm *m)
{
	struct part *part = part_of(m);

	spin_lock(&part->lock);
	hlist_del_init(&m->link);
	spin_unlock(&part->lock);
}

/**
 * mitosis_find - look for an address space
 * @match: called under a spinlock; returns whether this is the one
 * @arg: passed to @match
 *
 * Also serves to visit them all, with a @match that never is content.
 *
 * Return: whether there is one.
 */
bool mitosis_find(bool (*match)(struct mitosis_mm *m, void *arg), void *arg)
{
	struct mitosis_mm *m;
	struct part *part;
	bool found = false;

	for (part = parts; part < parts + ARRAY_SIZE(parts) && !found; part++) {
		spin_lock(&part->lock);
		hlist_for_each_entry(m, &part->list, link) {
			found = match(m, arg);
			if (found)
				break;
		}
		spin_unlock(&part->lock);
	}
	return found;
}

static bool pick_dead(struct mitosis_mm *m, void *arg)
{
	struct mitosis_mm **found = arg;

	if (!READ_ONCE(m->quit) || !READ_ONCE(m->in_force) ||
	    !atomic_inc_not_zero(&m->mm->mm_count))
		return false;
	*found = m;
	return true;
}

/*
 * A CPU that is idle may keep the root of a process that is over for as long as
 * it likes, and with it the key.  The primary will do for such a CPU.
 */
static void bury(struct work_struct *work)
{
	struct mitosis_mm *m;

	while (mitosis_find(pick_dead, &m)) {
		mutex_lock(&m->lock);
		mitosis_drop_trees(m);
		mitosis_clear_in_force(m);
		mutex_unlock(&m->lock);
		mmdrop(m->mm);
	}
}

static DECLARE_DELAYED_WORK(bury_work, bury);

static void repair(struct work_struct *work)
{
	struct mitosis_mm *m = container_of(work, struct mitosis_mm, work.work);
	struct mm_struct *mm = m->mm;

	mutex_lock(&m->lock);
	if (!READ_ONCE(m->quit))
		mitosis_apply(m);
	mutex_unlock(&m->lock);

	/* Exit may have come meanwhile, and have found nothing in force yet. */
	smp_mb(); /* pairs with that in __mitosis_exit_mmap() */
	if (READ_ONCE(m->quit))
		schedule_delayed_work(&bury_work, KEY_OFF_DELAY);
	mmdrop(mm);
}

/* Let the worker look at @m after @delay jiffies.  Any context but NMI. */
void mitosis_kick(struct mitosis_mm *m, unsigned long delay)
{
	if (READ_ONCE(m->quit))
		return;

	mmgrab(m->mm);
	if (delay) {
		if (queue_delayed_work(system_unbound_wq, &m->work, delay))
			return;
	} else if (!mod_delayed_work(system_unbound_wq, &m->work, 0)) {
		return;
	}
	mmdrop(m->mm);	/* was queued already, with a reference */
}

static bool kick_one(struct mitosis_mm *m, void *arg)
{
	if (mmget_not_zero(m->mm)) {
		mitosis_kick(m, 0);
		mmput_async(m->mm);
	}
	return false;
}

/* Something changed for everybody. */
void mitosis_kick_all(void)
{
	mitosis_find(kick_one, NULL);
}

/* @payer: the address space whose cgroup pays while @mm has none. */
static struct mitosis_mm *mitosis_alloc(struct mm_struct *mm,
					struct mm_struct *payer)
{
	struct mitosis_mm *m;
	int nid;

	m = kzalloc(struct_size(m, node, nr_node_ids),
		    GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!m)
		return NULL;

	m->mm = mm;
	m->memcg = get_mem_cgroup_from_mm(payer);
	INIT_HLIST_NODE(&m->link);
	INIT_LIST_HEAD(&m->unlinked);
	mutex_init(&m->lock);
	spin_lock_init(&m->policy_lock);
	INIT_DELAYED_WORK(&m->work, repair);
	m->allowed = NODE_MASK_ALL;
	m->prefer = NUMA_NO_NODE;
	m->backoff = MITOSIS_BACKOFF_MIN;
	for (nid = 0; nid < nr_node_ids; nid++) {
		m->node[nid].root = mm->pgd;
		m->node[nid].held = jiffies;
	}
	return m;
}

static void mitosis_free(struct mitosis_mm *m)
{
	mem_cgroup_put(m->memcg);
	kfree(m);
}

/**
 * mitosis_attach - the state of an address space, made on first use
 * @mm: address space with at least one user
 *
 * Return: the state, or NULL without memory.
 */
struct mitosis_mm *mitosis_attach(struct mm_struct *mm)
{
	struct mitosis_mm *old = READ_ONCE(mm->context.mitosis), *m;

	while (!old || old == MITOSIS_OPTED_OUT) {
		m = mitosis_alloc(mm, mm);
		if (!m)
			return NULL;
		if (old)
			m->policy.mode = MITOSIS_NONE;
		if (try_cmpxchg(&mm->context.mitosis, &old, m))
			old = m;
		else
			mitosis_free(m);
	}
	/* New, or made by a fork or exec that was over while the key was off. */
	WRITE_ONCE(old->complete, true);
	mitosis_enlist(old);
	return old;
}

static bool count_one(struct mitosis_mm *m, void *arg)
{
	int *count = arg;

	/* A count for people: that of a moment ago will do. */
	*count += !READ_ONCE(m->quit) && !data_race(nodes_empty(m->nodes));
	return false;
}

/* Address spaces whose tables lie where a policy wants them. */
int mitosis_processes(void)
{
	int count = 0;

	mitosis_find(count_one, &count);
	return count;
}

static struct pid *find_ge_pid_locked(int nr)
{
	struct pid *pid;

	rcu_read_lock();
	pid = get_pid(find_ge_pid(nr, &init_pid_ns));
	rcu_read_unlock();
	return pid;
}

/* The main thread may have ended before the others. */
static struct mm_struct *mm_of_group(struct task_struct *leader)
{
	struct task_struct *task;
	struct mm_struct *mm;

	if (leader->flags & PF_KTHREAD)
		return NULL;
	task = find_lock_task_mm(leader);
	if (!task)
		return NULL;
	mm = task->mm;
	mmget(mm);
	task_unlock(task);
	return mm;
}

static void attach_task(struct task_struct *task)
{
	struct mm_struct *mm = mm_of_group(task);
	struct mitosis_mm *m;

	if (!mm)
		return;

	m = mitosis_attach(mm);
	if (m)
		mitosis_allow(m, task);
	mmput(mm);
}

/* The system's policy comes into force: it concerns those who have none. */
void mitosis_attach_all(void)
{
	struct task_struct *task;
	struct pid *pid;
	int nr = 1;

	while ((pid = find_ge_pid_locked(nr))) {
		nr = pid_nr(pid) + 1;
		task = get_pid_task(pid, PIDTYPE_TGID);
		put_pid(pid);
		if (!task)
			continue;
		attach_task(task);
		put_task_struct(task);
		cond_resched();
	}
}

/* Count freed tables while somebody has numa_pgtables open. */
int mitosis_observe(struct mitosis_mm *m)
{
	int err = 0;

	mitosis_hold_key();
	atomic_inc(&m->observers);
	if (mutex_lock_killable(&m->lock)) {
		mitosis_unobserve(m);
		err = -EINTR;
	} else {
		mitosis_set_in_force(m);
		mutex_unlock(&m->lock);
	}
	mitosis_drop_key();
	return err;
}

/* A file is being closed: do not wait for whoever walks under the lock. */
void mitosis_unobserve(struct mitosis_mm *m)
{
	if (atomic_dec_and_test(&m->observers) &&
	    mitosis_effective_mode(m) <= MITOSIS_NONE)
		mitosis_kick(m, 0);
}

/* The nodes that the current task's cpuset allows, without its lock. */
static nodemask_t current_mems_allowed(void)
{
	unsigned int seq;
	nodemask_t allowed;

	do {
		seq = read_mems_allowed_begin();
		allowed = current->mems_allowed;
	} while (read_mems_allowed_retry(seq));
	return allowed;
}

/*
 * A new address space, by fork or exec, before its first table: it takes over
 * the policy of whoever makes it.  Should there be no memory even for that, it
 * does without.  mm_init() may still fail and free it whatever references there
 * are, so nobody else may find it yet: see __mitosis_enter_mmap().
 */
void __mitosis_init_context(struct mm_struct *mm)
{
	struct mm_struct *oldmm = current->mm;
	struct mitosis_policy policy = { .mode = MITOSIS_DEFAULT };
	nodemask_t allowed;
	struct mitosis_mm *m;
	bool hold;

	if (oldmm)
		mitosis_policy_of(oldmm, &policy);
	if (policy.mode == MITOSIS_DEFAULT && !mitosis_system_has_policy())
		return;
	if (policy.mode == MITOSIS_NONE) {
		mm->context.mitosis = MITOSIS_OPTED_OUT;
		return;
	}

	m = mitosis_alloc(mm, oldmm);
	if (!m)
		return;

	/* Another thread may be dropping the policy that is taken over here. */
	hold = policy.mode > MITOSIS_NONE;
	if (hold)
		mitosis_hold_key();
	allowed = current_mems_allowed();
	mm->context.mitosis = m;
	mutex_lock(&m->lock);
	mitosis_put_policy(m, &policy, &allowed);
	mitosis_start(m);
	mutex_unlock(&m->lock);
	if (hold)
		mitosis_drop_key();
}

/* Did the system's policy, the cpuset or a node change while @m was not listed? */
static bool is_behind(struct mitosis_mm *m)
{
	nodemask_t nodes;

	mitosis_target(m, &nodes);
	/* Who changes them meanwhile does what is asked for here. */
	if (!data_race(nodes_equal(nodes, m->nodes)))
		return true;
	return READ_ONCE(m->short_of_memory) ||
	       (READ_ONCE(m->in_force) &&
		mitosis_effective_mode(m) <= MITOSIS_NONE);
}

/*
 * The address space is complete as far as fork or exec are concerned; from here
 * on it is freed by its reference counts alone.  Whoever changes something for
 * everybody either finds it on the list or did so before it was put there.
 */
void __mitosis_enter_mmap(struct mm_struct *mm)
{
	struct mitosis_mm *m = mitosis_of(mm);

	if (!m) {
		if (mitosis_system_has_policy())
			mitosis_attach_later();	/* it came during the exec */
		return;
	}

	WRITE_ONCE(m->complete, true);
	mitosis_enlist(m);
	/*
	 * While an exec prepared @mm, who changed the cpuset found the old address
	 * space.  From here on they find this one: exec_mmap() holds task_lock()
	 * over this call, as get_task_mm() does.
	 */
	if (current->mm == mm)
		mitosis_allow(m, current);
	if (is_behind(m))
		mitosis_kick(m, READ_ONCE(m->backoff));
}

/* The last user is gone: the worker has nothing left to do. */
void __mitosis_exit_mmap(struct mm_struct *mm)
{
	struct mitosis_mm *m = mitosis_of(mm);

	if (!m)
		return;

	WRITE_ONCE(m->quit, true);
	if (cancel_delayed_work(&m->work))
		mmdrop(mm);
	smp_mb(); /* pairs with that in repair(): one sees the other's store */
	if (READ_ONCE(m->in_force))
		schedule_delayed_work(&bury_work, KEY_OFF_DELAY);
}

void __mitosis_destroy_context(struct mm_struct *mm)
{
	struct mitosis_mm *m = mitosis_of(mm);

	mm->context.mitosis = NULL;
	if (!m)
		return;
	delist(m);
	mitosis_clear_in_force(m);
	mitosis_free(m);
}

/* An exec gained privilege: its tables are nobody's business any more. */
void __mitosis_secure_exec(struct mm_struct *mm)
{
	struct mitosis_policy policy = { .mode = MITOSIS_DEFAULT };
	struct mitosis_mm *m;

	if (cmpxchg(&mm->context.mitosis, MITOSIS_OPTED_OUT, NULL) ==
	    MITOSIS_OPTED_OUT) {
		if (mitosis_system_has_policy())
			mitosis_attach_later();
		return;
	}

	m = mitosis_of(mm);
	if (!m)
		return;

	mutex_lock(&m->lock);
	mitosis_put_policy(m, &policy, NULL);
	mitosis_apply(m);
	mutex_unlock(&m->lock);
}

void __mitosis_cpuset_changed(struct mm_struct *mm, const nodemask_t *mems)
{
	struct mitosis_mm *m = mitosis_of(mm);

	bool same;

	if (!m)
		return;

	spin_lock(&m->policy_lock);
	same = nodes_equal(m->allowed, *mems);
	m->allowed = *mems;
	spin_unlock(&m->policy_lock);
	if (!same)
		mitosis_kick(m, 0);
}

/* A child joins its cpuset, which may have changed since it was copied. */
void __mitosis_cpuset_fork(struct task_struct *task)
{
	struct mitosis_mm *m;

	if (!task->mm || task->mm == current->mm)
		return;
	m = mitosis_of(task->mm);
	if (m && mitosis_allow(m, task))
		mitosis_kick(m, 0);
}

unsigned long mitosis_replica_bytes(const struct mm_struct *mm)
{
	struct mitosis_mm *m = mitosis_of(mm);
	unsigned long pages = 0;
	int nid;

	if (!m)
		return 0;
	for (nid = 0; nid < nr_node_ids; nid++)
		pages += atomic_long_read(&m->node[nid].pages);
	return pages << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(mitosis_replica_bytes);

/* Under bind a new primary goes to the node itself and needs no copy. */
struct page *__mitosis_pte_alloc_one(struct mm_struct *mm, gfp_t gfp)
{
	struct mitosis_mm *m = mitosis_of(mm);
	struct ptdesc *pt;
	struct page *page;
	int nid;

	nid = m ? READ_ONCE(m->prefer) : NUMA_NO_NODE;
	if (nid == NUMA_NO_NODE || mitosis_left_out(MITOSIS_HOOK_NEW_PRIMARY))
		return NULL;

	page = alloc_pages_node(nid, gfp | __GFP_THISNODE | __GFP_NOWARN |
				__GFP_NORETRY, 0);
	if (!page)
		return NULL;

	pt = page_ptdesc(page);
	if (pagetable_pte_ctor(pt))
		return page;
	__free_page(page);
	return NULL;
}
