// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces under a policy: attach, bring the tables where the policy
 * wants them, repair in the background, let go.
 *
 * mitosis_apply() is the only place that changes where the tables of a live
 * address space lie.  It compares what is with what shall be and takes the
 * difference in small steps, so a new policy, a changed cpuset, a hot-plugged
 * node, reclaim and memory that returns are all the same to it.
 */
#include <linux/cpuset.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/vmstat.h>
#include <asm/tlbflush.h>
#include "internal.h"

#define BACKOFF_MIN	(HZ / 2)
#define BACKOFF_MAX	(4 * HZ)
#define KEY_OFF_DELAY	(5 * HZ)
#define HELD_AFTER_RECLAIM	(3 * HZ)

LIST_HEAD(mitosis_list);
DEFINE_SPINLOCK(mitosis_list_lock);

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

void mitosis_drop_key(void)
{
	if (atomic_dec_and_test(&key_users))
		schedule_delayed_work(&key_off_work, KEY_OFF_DELAY);
}

static void repair(struct work_struct *work)
{
	struct mitosis_mm *m = container_of(work, struct mitosis_mm, work.work);
	struct mm_struct *mm = m->mm;

	mutex_lock(&m->lock);
	if (!READ_ONCE(m->quit))
		mitosis_apply(m);
	mutex_unlock(&m->lock);
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

/* Something changed for everybody, or will have in @delay jiffies. */
void mitosis_kick_all(unsigned long delay)
{
	struct mitosis_mm *m;

	spin_lock(&mitosis_list_lock);
	list_for_each_entry(m, &mitosis_list, list) {
		if (!mmget_not_zero(m->mm))
			continue;
		mitosis_kick(m, delay);
		mmput_async(m->mm);
	}
	spin_unlock(&mitosis_list_lock);
}

static struct mitosis_mm *mitosis_alloc(struct mm_struct *mm)
{
	struct mitosis_mm *m;
	int nid;

	m = kzalloc(struct_size(m, node, nr_node_ids),
		    GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!m)
		return NULL;

	m->mm = mm;
	INIT_LIST_HEAD(&m->list);
	INIT_LIST_HEAD(&m->unlinked);
	mutex_init(&m->lock);
	spin_lock_init(&m->policy_lock);
	INIT_DELAYED_WORK(&m->work, repair);
	m->allowed = NODE_MASK_ALL;
	m->prefer = NUMA_NO_NODE;
	m->backoff = BACKOFF_MIN;
	for (nid = 0; nid < nr_node_ids; nid++) {
		m->node[nid].root = mm->pgd;
		m->node[nid].held = jiffies;
	}
	return m;
}

/* Whoever finds an address space on the list may take references of it. */
static void enlist(struct mitosis_mm *m)
{
	spin_lock(&mitosis_list_lock);
	if (list_empty(&m->list))
		list_add_tail(&m->list, &mitosis_list);
	spin_unlock(&mitosis_list_lock);
}

/**
 * mitosis_attach - the state of an address space, made on first use
 * @mm: address space with at least one user
 *
 * Return: the state, or NULL without memory.
 */
struct mitosis_mm *mitosis_attach(struct mm_struct *mm)
{
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis), *old;

	if (m) {
		enlist(m);	/* made by a fork while the key was off */
		return m;
	}

	m = mitosis_alloc(mm);
	if (!m)
		return NULL;

	old = cmpxchg(&mm->context.mitosis, NULL, m);
	if (old) {
		kfree(m);
		return old;
	}

	enlist(m);
	return m;
}

/* Address spaces whose tables lie where a policy wants them. */
int mitosis_processes(void)
{
	struct mitosis_mm *m;
	int count = 0;

	spin_lock(&mitosis_list_lock);
	list_for_each_entry(m, &mitosis_list, list)
		count += !READ_ONCE(m->quit) && !nodes_empty(m->nodes);
	spin_unlock(&mitosis_list_lock);
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

static void attach_task(struct task_struct *task)
{
	struct mm_struct *mm = get_task_mm(task);
	struct mitosis_mm *m;

	if (!mm)
		return;

	if (!READ_ONCE(mm->context.mitosis)) {
		m = mitosis_attach(mm);
		if (m)
			m->allowed = cpuset_mems_allowed(task);
	}
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

/*
 * Hold the key while there is anything for the hooks to do.  Switching it may
 * wait for memory and for CPU hotplug, which must not happen below m->lock: who
 * makes a first policy holds the key already.  Without one the policy that was
 * followed is the system's, and whoever ended that has kicked everybody.
 */
static bool set_in_force(struct mitosis_mm *m)
{
	lockdep_assert_held(&m->lock);
	if (!m->in_force)
		m->in_force = atomic_inc_not_zero(&key_users);
	return m->in_force;
}

static void clear_in_force(struct mitosis_mm *m)
{
	if (m->in_force)
		mitosis_drop_key();
	m->in_force = false;
}

static void grow_root(struct mitosis_mm *m, int nid)
{
	struct ptdesc *pt = virt_to_ptdesc(m->mm->pgd), *copy;

	if (m->node[nid].tree)
		return;

	spin_lock(&m->mm->page_table_lock);
	copy = mitosis_grow(m, pt, mitosis_top_level(), nid);
	spin_unlock(&m->mm->page_table_lock);
	if (copy)
		m->node[nid].tree = ptdesc_address(copy);
}

static void shrink_root(struct mitosis_mm *m, int nid)
{
	struct ptdesc *pt = virt_to_ptdesc(m->mm->pgd);

	spin_lock(&m->mm->page_table_lock);
	mitosis_shrink(m, pt, mitosis_top_level(), nid);
	spin_unlock(&m->mm->page_table_lock);
	m->node[nid].tree = NULL;
}

static struct ptdesc *parent_of(struct mitosis_table *t)
{
	return virt_to_ptdesc(t->slot);
}

struct grow_pass {
	nodemask_t nodes;	/* still worth trying */
	unsigned long grown;
	bool missing;
};

/* One failure is enough: the node is full, and the worker comes back. */
static void grow_one(struct mitosis_mm *m, struct mitosis_table *t, int nid,
		     struct grow_pass *pass)
{
	if (mitosis_grow(m, t->pt, t->level, nid)) {
		pass->grown++;
		return;
	}
	pass->missing = true;
	node_clear(nid, pass->nodes);
}

/* Whoever walks under m->lock lets reclaim have it. */
static int make_way(struct mitosis_mm *m)
{
	if (current->flags & PF_MEMALLOC)
		return 0;
	return atomic_read(&m->reclaimers) ? -EBUSY : 0;
}

static int grow_visit(struct mitosis_mm *m, struct mitosis_table *t, void *arg)
{
	struct grow_pass *pass = arg;
	int nid;

	for_each_node_mask(nid, pass->nodes) {
		struct ptdesc *parent = ring_find(parent_of(t), nid, m);

		if (!parent)
			continue;
		if (!ring_find(t->pt, nid, m) &&
		    mitosis_may_grow(m, t->pt, t->level, nid))
			grow_one(m, t, nid, pass);
		entry_relink(parent, t->slot, t->level + 1);
	}
	return make_way(m);
}

static int shrink_visit(struct mitosis_mm *m, struct mitosis_table *t, void *arg)
{
	nodemask_t *nodes = arg;
	int nid;

	if (!ring_next(t->pt))
		return make_way(m);

	for_each_node_mask(nid, *nodes) {
		struct ptdesc *parent = ring_find(parent_of(t), nid, m);

		mitosis_shrink(m, t->pt, t->level, nid);
		if (parent)
			entry_relink(parent, t->slot, t->level + 1);
	}
	return make_way(m);
}

/* Top down, so that a copy always hangs below its parent's. */
static int grow_trees(struct mitosis_mm *m, struct grow_pass *pass)
{
	int level, err;

	for (level = mitosis_top_level() - 1; level >= MITOSIS_PTE; level--) {
		err = mitosis_walk(m, level, grow_visit, pass);
		if (err)
			return err;
	}
	return 0;
}

/* Bottom up.  No CPU can reach these trees any more. */
static int shrink_trees(struct mitosis_mm *m, nodemask_t *nodes)
{
	int level, nid, err;

	for (level = MITOSIS_PTE; level < mitosis_top_level(); level++) {
		err = mitosis_walk(m, level, shrink_visit, nodes);
		if (err)
			return err;
	}
	for_each_node_mask(nid, *nodes)
		shrink_root(m, nid);
	return 0;
}

/*
 * Nodes with copies that are not wanted.  A table that khugepaged has taken out
 * for a moment is not found by a walk and keeps its copies for another round.
 */
static void surplus(struct mitosis_mm *m, nodemask_t *nodes)
{
	int nid;

	nodes_clear(*nodes);
	for (nid = 0; nid < nr_node_ids; nid++) {
		if (atomic_long_read(&m->node[nid].pages) > 0 &&
		    !node_isset(nid, m->nodes))
			node_set(nid, *nodes);
	}
}

static bool any_surplus(struct mitosis_mm *m)
{
	nodemask_t nodes;

	surplus(m, &nodes);
	return !nodes_empty(nodes);
}

/* Where tables may lie from now on.  Return: whether hooks have work to do. */
static bool set_target(struct mitosis_mm *m)
{
	enum mitosis_mode mode = mitosis_effective_mode(m);
	nodemask_t target;

	mitosis_target(m, &target);
	m->nodes = target;
	m->prefer = mode == MITOSIS_BIND && !nodes_empty(target) ?
		    first_node(target) : NUMA_NO_NODE;
	return mode > MITOSIS_NONE || m->observers;
}

/* Give up the trees that are not wanted any more. */
static int retreat(struct mitosis_mm *m)
{
	nodemask_t gone;
	int err;

	if (mitosis_publish_roots(m))
		mitosis_reload_roots(m);

	surplus(m, &gone);
	if (nodes_empty(gone))
		return 0;

	err = shrink_trees(m, &gone);
	mitosis_free_unlinked(m);
	return err;
}

/* Complete the trees that are wanted. */
static int advance(struct mitosis_mm *m)
{
	struct grow_pass pass = { .nodes = m->nodes };
	bool repairing = xchg(&m->short_of_memory, false);
	int nid, err;

	if (nodes_empty(m->nodes))
		return 0;

	for_each_node_mask(nid, m->nodes) {
		grow_root(m, nid);
		pass.missing |= !m->node[nid].tree;
	}
	if (mitosis_publish_roots(m))
		mitosis_reload_roots(m);

	err = grow_trees(m, &pass);

	/* Paging-structure caches may still lead to the primaries. */
	if (pass.grown)
		flush_tlb_mm(m->mm);
	if (repairing)
		count_vm_events(PGTABLE_REPAIRED, pass.grown);
	if (pass.missing)
		WRITE_ONCE(m->short_of_memory, true);
	return err;
}

/* Is a node kept free of copies after reclaim? */
bool mitosis_node_held(struct mitosis_mm *m, int nid)
{
	return time_before(jiffies, m->node[nid].held);
}

static bool any_held(struct mitosis_mm *m)
{
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		if (mitosis_node_held(m, nid))
			return true;
	}
	return false;
}

/* When to look again: soon at first, then every few seconds. */
static void plan_repair(struct mitosis_mm *m, int err)
{
	if (err == -ESRCH)
		return;
	if (err == -EINTR) {
		mitosis_kick(m, 0);
	} else if (err == -EBUSY) {
		mitosis_kick(m, BACKOFF_MIN);
	} else if (READ_ONCE(m->short_of_memory) || any_held(m) ||
		   any_surplus(m)) {
		mitosis_kick(m, m->backoff);
		m->backoff = min(2 * m->backoff, (unsigned long)BACKOFF_MAX);
	} else {
		m->backoff = BACKOFF_MIN;
	}
}

/**
 * mitosis_apply - bring the tables where the policy wants them
 * @m: address space; its lock is held
 *
 * Publishes first, so that tables installed from now on obey, then walks.
 *
 * Return: 0, also when memory is short and the worker goes on; -EINTR when a
 * signal came, -EBUSY when reclaim wants the lock, the worker goes on; -ESRCH
 * when the address space is going away.
 */
int mitosis_apply(struct mitosis_mm *m)
{
	bool want;
	int err = 0;

	lockdep_assert_held(&m->lock);
	want = set_target(m);
	if (want && !set_in_force(m))
		return 0;	/* the system's policy has just gone: see there */
	if (m->in_force)
		err = retreat(m) ?: advance(m);

	plan_repair(m, err);
	if (!err && !want && !any_surplus(m))
		clear_in_force(m);
	return err;
}

/* Count freed tables while somebody has numa_pgtables open. */
int mitosis_observe(struct mitosis_mm *m)
{
	mitosis_hold_key();
	if (mutex_lock_killable(&m->lock)) {
		mitosis_drop_key();
		return -EINTR;
	}
	m->observers++;
	set_in_force(m);
	mutex_unlock(&m->lock);
	mitosis_drop_key();
	return 0;
}

void mitosis_unobserve(struct mitosis_mm *m)
{
	mutex_lock(&m->lock);
	m->observers--;
	if (!m->observers && mitosis_effective_mode(m) <= MITOSIS_NONE)
		mitosis_kick(m, 0);
	mutex_unlock(&m->lock);
}

/**
 * mitosis_reclaim_node - give a node's copies back to reclaim
 * @m: address space with a user
 * @nid: node
 *
 * Waits for the lock, whose holder waits for no memory and lets go soon.
 *
 * Return: pages freed, after a grace period.
 */
unsigned long mitosis_reclaim_node(struct mitosis_mm *m, int nid)
{
	long before = atomic_long_read(&m->node[nid].pages);

	atomic_inc(&m->reclaimers);
	mutex_lock(&m->lock);
	atomic_dec(&m->reclaimers);
	m->node[nid].held = jiffies + HELD_AFTER_RECLAIM;
	set_target(m);
	retreat(m);
	mitosis_kick(m, HELD_AFTER_RECLAIM);
	mutex_unlock(&m->lock);
	return max(before - atomic_long_read(&m->node[nid].pages), 0L);
}

/* The user half is empty, so the roots are all there is to grow. */
static void start(struct mitosis_mm *m)
{
	int nid;

	if (!set_target(m) || !set_in_force(m))
		return;

	for_each_node_mask(nid, m->nodes)
		grow_root(m, nid);
	mitosis_publish_roots(m);
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
	struct mitosis_mm *from = oldmm ? READ_ONCE(oldmm->context.mitosis) : NULL;
	struct mitosis_policy policy = { .mode = MITOSIS_DEFAULT };
	struct mitosis_policy system;
	nodemask_t allowed = cpuset_mems_allowed(current);
	struct mitosis_mm *m;

	if (from)
		mitosis_get_policy(from, &policy);
	if (policy.mode == MITOSIS_DEFAULT) {
		mitosis_get_system_policy(&system);
		if (system.mode == MITOSIS_NONE)
			return;
	}

	m = mitosis_alloc(mm);
	if (!m)
		return;

	mm->context.mitosis = m;
	mutex_lock(&m->lock);
	mitosis_put_policy(m, &policy, &allowed);
	start(m);
	mutex_unlock(&m->lock);
}

/*
 * The address space is complete as far as fork or exec are concerned; from here
 * on it is freed by its reference counts alone.
 */
void __mitosis_enter_mmap(struct mm_struct *mm)
{
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);

	if (!m)
		return;

	enlist(m);
	if (READ_ONCE(m->short_of_memory))
		mitosis_kick(m, m->backoff);
}

/* The last user is gone: the worker has nothing left to do. */
void __mitosis_exit_mmap(struct mm_struct *mm)
{
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);

	if (!m)
		return;

	WRITE_ONCE(m->quit, true);
	if (cancel_delayed_work(&m->work))
		mmdrop(mm);
}

void __mitosis_destroy_context(struct mm_struct *mm)
{
	struct mitosis_mm *m = mm->context.mitosis;

	mm->context.mitosis = NULL;
	spin_lock(&mitosis_list_lock);
	list_del_init(&m->list);
	spin_unlock(&mitosis_list_lock);
	clear_in_force(m);
	kfree(m);
}

/* An exec gained privilege: its tables are nobody's business any more. */
void __mitosis_secure_exec(struct mm_struct *mm)
{
	struct mitosis_policy policy = { .mode = MITOSIS_DEFAULT };
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);

	if (!m)
		return;

	mutex_lock(&m->lock);
	mitosis_put_policy(m, &policy, NULL);
	mitosis_apply(m);
	mutex_unlock(&m->lock);
}

void __mitosis_cpuset_changed(struct mm_struct *mm, const nodemask_t *mems)
{
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);

	if (!m)
		return;

	spin_lock(&m->policy_lock);
	m->allowed = *mems;
	spin_unlock(&m->policy_lock);
	mitosis_kick(m, 0);
}

unsigned long mitosis_replica_bytes(const struct mm_struct *mm)
{
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);
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
	struct mitosis_mm *m = READ_ONCE(mm->context.mitosis);
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
