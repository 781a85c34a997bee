// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/mm/mitosis/: one value a file. */
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/vmstat.h>
#include "internal.h"

static ssize_t policy_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	struct mitosis_policy policy;
	int len;

	if (!mitosis_supported())
		return sysfs_emit(buf, "off\n");
	mitosis_get_system_policy(&policy);
	len = mitosis_print(buf, PAGE_SIZE - 1, &policy);
	return len + sysfs_emit_at(buf, len, "\n");
}

static ssize_t policy_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t count)
{
	struct mitosis_policy policy;
	char *text;
	int err;

	if (!mitosis_supported())
		return -EOPNOTSUPP;
	/* A page is all that is handed over of a line that is longer. */
	if (count >= PAGE_SIZE)
		return -E2BIG;

	text = kmemdup_nul(buf, count, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	err = strlen(text) == count ? mitosis_parse(text, &policy) : -EINVAL;
	kfree(text);
	err = err ?: mitosis_set_system_policy(&policy);
	return err ?: count;
}

static ssize_t active_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%d\n", static_key_enabled(&mitosis_key));
}

static ssize_t processes_show(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%d\n", mitosis_processes());
}

static ssize_t replica_bytes_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&mitosis_pages) << PAGE_SHIFT);
}

static struct kobj_attribute policy_attr = __ATTR_RW(policy);
static struct kobj_attribute active_attr = __ATTR_RO(active);
static struct kobj_attribute processes_attr = __ATTR_RO(processes);
static struct kobj_attribute replica_bytes_attr = __ATTR_RO(replica_bytes);

/* The counters of /proc/vmstat, for those who look here. */
static ssize_t event_show(enum vm_event_item event, char *buf)
{
	unsigned long *events = kcalloc(NR_VM_EVENT_ITEMS, sizeof(*events),
					GFP_KERNEL);
	ssize_t len;

	if (!events)
		return -ENOMEM;
	all_vm_events(events);
	len = sysfs_emit(buf, "%lu\n", events[event]);
	kfree(events);
	return len;
}

#define EVENT_ATTR(_name, _event)					\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	return event_show(_event, buf);					\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

EVENT_ATTR(grown, PGTABLE_GROWN);
EVENT_ATTR(shrunk, PGTABLE_SHRUNK);
EVENT_ATTR(fallbacks, PGTABLE_FALLBACK);
EVENT_ATTR(repairs, PGTABLE_REPAIRED);

static struct attribute *mitosis_attrs[] = {
	&policy_attr.attr,
	&active_attr.attr,
	&processes_attr.attr,
	&replica_bytes_attr.attr,
	&grown_attr.attr,
	&shrunk_attr.attr,
	&fallbacks_attr.attr,
	&repairs_attr.attr,
	NULL,
};

static const struct attribute_group mitosis_group = {
	.name = "mitosis",
	.attrs = mitosis_attrs,
};

static int __init mitosis_sysfs_init(void)
{
	return sysfs_create_group(mm_kobj, &mitosis_group);
}
late_initcall(mitosis_sysfs_init);
