// SPDX-License-Identifier: GPL-2.0
/* What only x86 has: PTI, five levels, LDT, protection keys. */
#include <asm/ldt.h>
#include <sys/syscall.h>

#include "mitosis_test.h"

static void touch_far_apart(const uintptr_t *places, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		char *p = mmap((void *)places[i], PMD_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (p != (char *)places[i])
			fail("cannot map at %lx: %s", (unsigned long)places[i], strerror(errno));
		fill(p, 16 * PAGE, i);
	}
	check_tables(SELF);
	for (size_t i = 0; i < nr; i++) {
		expect_filled((char *)places[i], 16 * PAGE, i);
		unmap((char *)places[i], PMD_SIZE);
		expect_unreadable((char *)places[i], 16 * PAGE);
	}
}

/* New entries of the top level must reach the user's half of each root. */
TEST(pti)
{
	static const uintptr_t places[] = { 0x08000000000, 0x110000000000, 0x600000000000 };

	/* The flag tells; the file vulnerabilities/meltdown says "Not affected" to a forced PTI. */
	if (!cpu_has("pti"))
		skip("PTI is off: boot with pti=on");
	for (int round = 0; round < 3; round++)
		touch_far_apart(places, ARRAY_SIZE(places));
}

TEST(five_levels)
{
	static const uintptr_t places[] = {
		0x00f0123400000000, 0x0002000000000000, 0x0080000040000000,
	};
	struct pgtables tables;

	if (!cpu_has("la57"))
		skip("the CPU has no five-level paging (la57)");
	tables = read_pgtables(SELF);
	if (tables.levels != 5)
		skip("five-level paging is not in use");
	free_pgtables(&tables);
	touch_far_apart(places, ARRAY_SIZE(places));
}

/* LDT: with PTI its pages are mapped by the process's own page table, in the kernel's half. */

static void set_ldt(int entry, unsigned long base)
{
	struct user_desc desc = {
		.entry_number = entry, .base_addr = base, .limit = 0xfffff, .seg_32bit = 1,
		.limit_in_pages = 1, .useable = 1,
	};

	if (syscall(SYS_modify_ldt, 1, &desc, sizeof(desc)))
		skip("modify_ldt: %s", strerror(errno));
}

/* Read a word through entry @arg of the LDT. */
static void read_through_ldt(const struct member *member, void *arg)
{
	int entry = (long)arg;
	unsigned int word;

	asm volatile("mov %1, %%gs\n\tmov %%gs:0, %0\n\txor %%eax, %%eax\n\tmov %%eax, %%gs"
		     : "=&r" (word) : "r" (entry << 3 | 7) : "eax", "memory");
	if (word != 0xabc00000 + (unsigned int)entry)
		fail("node %d reads %x through entry %d", member->node, word, entry);
}

static unsigned int *map_low(void)
{
	unsigned int *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	check(p != MAP_FAILED);
	return p;
}

TEST(ldt)
{
	unsigned int *words = map_low();

	for (int entry = 0; entry < 8; entry++) {
		words[entry] = 0xabc00000 + entry;
		set_ldt(entry, (unsigned long)(words + entry));
		on_all(read_through_ldt, (void *)(long)entry);
		check_tables(SELF);
	}
	/* A larger table lies on other pages. */
	words[600] = 0xabc00000 + 600;
	set_ldt(600, (unsigned long)(words + 600));
	on_all(read_through_ldt, (void *)600L);
	on_all(read_through_ldt, (void *)3L);
}

static void use_inherited_ldt(void *arg)
{
	unsigned int *words = arg;

	on_all(read_through_ldt, (void *)1L);
	words[2] = 0xabc00002;
	set_ldt(2, (unsigned long)(words + 2));
	on_all(read_through_ldt, (void *)2L);
	check_tables(SELF);
}

TEST(ldt_after_fork)
{
	unsigned int *words = map_low();

	words[1] = 0xabc00001;
	set_ldt(1, (unsigned long)(words + 1));
	end_child(start_child(use_inherited_ldt, words));
	on_all(read_through_ldt, (void *)1L);
}

TEST(ldt_policy_changes)
{
	unsigned int *words = map_low();

	words[1] = 0xabc00001;
	set_ldt(1, (unsigned long)(words + 1));
	for (int i = 0; i < 4; i++) {
		must_set_policy(SELF, i % 2 ? test_policy : "none");
		on_all(read_through_ldt, (void *)1L);
		check_tables(SELF);
	}
}

/* Protection keys are bits of the entries in all copies. */

struct keyed {
	char *p;
	int key;
};

static void forbid_and_try(const struct member *member, void *arg)
{
	struct keyed *keyed = arg;

	check_ok(pkey_set(keyed->key, PKEY_DISABLE_WRITE));
	if (try_write(keyed->p))
		fail("node %d writes in spite of the key", member->node);
	/* The handler was left without putting the rights back. */
	check_ok(pkey_set(keyed->key, PKEY_DISABLE_WRITE));
	check(try_read(keyed->p));
	check_ok(pkey_set(keyed->key, 0));
	if (!try_write(keyed->p))
		fail("node %d cannot write with the key", member->node);
}

TEST(protection_keys)
{
	struct keyed keyed = { .p = map_anon(PAGE, PAGE), .key = pkey_alloc(0, 0) };

	if (keyed.key < 0)
		skip("no protection keys: %s", strerror(errno));
	for (int i = 0; i < nr_crew; i++)
		fill_by(i, keyed.p, PAGE, i);
	check_ok(pkey_mprotect(keyed.p, PAGE, PROT_READ | PROT_WRITE, keyed.key));
	on_all(forbid_and_try, &keyed);
}
