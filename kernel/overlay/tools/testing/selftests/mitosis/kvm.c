// SPDX-License-Identifier: GPL-2.0
/* The process is a hypervisor: its CPUs leave a guest to the root of their own node. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "mitosis_test.h"

#define GUEST_SIZE	(64 * PAGE)
#define PORT		0xf4
#define LOAD		0x1000

/*
 * A program in real mode: for (i = 1; i <= 60; i++) { memory[i * 4096] += 1; out(PORT, i); } hlt.
 * The segment register moves by one page a round, so that all of the memory is used.
 */
static const unsigned char program[] = {
	0xb1, 0x01,			/* mov $1, %cl */
	0x31, 0xdb,			/* xor %bx, %bx */
	0xb8, 0x00, 0x02,		/* mov $0x200, %ax: page 2 */
	/* next: */
	0x8e, 0xd8,			/* mov %ax, %ds */
	0xfe, 0x07,			/* incb (%bx) */
	0x50,				/* push %ax */
	0x88, 0xc8,			/* mov %cl, %al */
	0xe6, PORT,			/* out %al, $PORT */
	0x58,				/* pop %ax */
	0x05, 0x00, 0x01,		/* add $0x100, %ax */
	0xfe, 0xc1,			/* inc %cl */
	0x80, 0xf9, 60,			/* cmp $60, %cl */
	0x76, 0xec,			/* jbe next */
	0xf4,				/* hlt */
};

struct guest {
	int vm, vcpu;
	struct kvm_run *run;
	unsigned char *memory;
};

static int open_kvm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		skip("no /dev/kvm: %s", strerror(errno));
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		skip("/dev/kvm speaks another version");
	return kvm;
}

static void set_up(struct guest *guest, int kvm)
{
	struct kvm_userspace_memory_region region = { .memory_size = GUEST_SIZE };
	long run_size;

	guest->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (guest->vm < 0)
		skip("KVM_CREATE_VM: %s", strerror(errno));
	guest->memory = map_anon(GUEST_SIZE, PAGE);
	memcpy(guest->memory + LOAD, program, sizeof(program));
	region.userspace_addr = (uintptr_t)guest->memory;
	check_ok(ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region));
	guest->vcpu = check_ok(ioctl(guest->vm, KVM_CREATE_VCPU, 0));
	run_size = check_ok(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	guest->run = check_ok((struct kvm_run *)mmap(NULL, run_size, PROT_READ | PROT_WRITE,
						     MAP_SHARED, guest->vcpu, 0));
}

static void start_at_load(struct guest *guest)
{
	struct kvm_regs regs = { .rip = LOAD, .rsp = LOAD, .rflags = 2 };
	struct kvm_sregs sregs;

	check_ok(ioctl(guest->vcpu, KVM_GET_SREGS, &sregs));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	check_ok(ioctl(guest->vcpu, KVM_SET_SREGS, &sregs));
	check_ok(ioctl(guest->vcpu, KVM_SET_REGS, &regs));
}

/* Run until the guest halts; it must write 1 to 60 to the port. */
static void run_guest(const struct member *member, void *arg)
{
	struct guest *guest = arg;
	int expected = 1;

	for (;;) {
		check_ok(ioctl(guest->vcpu, KVM_RUN, 0));
		if (guest->run->exit_reason == KVM_EXIT_HLT)
			break;
		if (guest->run->exit_reason != KVM_EXIT_IO || guest->run->io.port != PORT)
			fail("node %d: the guest left for reason %d", member->node, guest->run->exit_reason);
		check_eq(*((unsigned char *)guest->run + guest->run->io.data_offset), expected);
		expected++;
	}
	check_eq(expected, 61);
}

static void expect_counts(const struct guest *guest, int count)
{
	for (int page = 2; page < 62; page++)
		check_eq(guest->memory[page * PAGE], count);
}

TEST(run_on_each_node)
{
	struct guest guest;

	set_up(&guest, open_kvm());
	for (int i = 0; i < nr_crew; i++) {
		start_at_load(&guest);
		on_member(i, run_guest, &guest);
		expect_counts(&guest, i + 1);
		check_tables(SELF);
	}
}

static void run_own_guest(const struct member *member, void *arg)
{
	struct guest *guests = arg;

	for (int round = 0; round < 5; round++) {
		start_at_load(&guests[member->index]);
		run_guest(member, &guests[member->index]);
	}
}

TEST(run_on_all_nodes_while_policy_changes)
{
	struct guest *guests = calloc(nr_crew, sizeof(*guests));
	int kvm = open_kvm();

	for (int i = 0; i < nr_crew; i++)
		set_up(&guests[i], kvm);
	crew_begin(run_own_guest, guests);
	for (int i = 0; i < 6; i++)
		must_set_policy(SELF, i % 2 ? test_policy : "none");
	crew_end();
	for (int i = 0; i < nr_crew; i++)
		expect_counts(&guests[i], 5);
}

/* Pages that the kernel takes away must be gone for the guest as well. */
TEST(memory_taken_away)
{
	struct guest guest;

	set_up(&guest, open_kvm());
	start_at_load(&guest);
	on_member(0, run_guest, &guest);
	check_ok(madvise(guest.memory + 2 * PAGE, 60 * PAGE, MADV_DONTNEED));
	start_at_load(&guest);
	on_member(nr_crew - 1, run_guest, &guest);
	expect_counts(&guest, 1);
}
