// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin that tells the model what the guest's CPUs execute and access.
 *
 * usage: -plugin model.so,NAME=VALUE...    options.c has the names
 *
 * Outside of regions only marks, and instructions that flush a TLB, call back; when the first
 * region begins or the last one ends, all code is translated anew.
 *
 * Which CPU executes. QEMU 10 tells callbacks a vCPU index that is wrong when vCPUs share a thread
 * (-icount): it is a constant of the translated code, which the vCPUs share. Registers are right.
 * So a CPU is identified by Linux' base of its per-CPU data, which GS holds in the kernel and
 * IA32_KERNEL_GS_BASE while a program runs; and a mark tells the number that goes with it. The
 * index is used where QEMU keeps one thread for each vCPU only: for idling and going on.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "blocks.h"
#include "mark.h"
#include "qemu-plugin.h"
#include "source.h"

#define MAX_INSNS	512	/* of a block; QEMU's TCG_MAX_INSNS */
#define KERNEL		(1ull << 63)	/* of an address */
#define CR4_PGE		(1ull << 7)
#define CR4_LA57	(1ull << 12)
#define CR4_PCIDE	(1ull << 17)

/* Longer, and QEMU's own waiting for all vCPUs to stop could wait for us. */
#define PATIENCE_NS	1000000

static qemu_plugin_id_t plugin;
static struct options options;
static struct source *source;
static struct blocks *blocks;
static struct decoder *decoder;

/* Guards source, blocks and decoder. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t advanced = PTHREAD_COND_INITIALIZER;

/* Whether blocks are translated with callbacks from now on. */
static bool observing;

/* Of the thread's current vCPU: whose block is being executed, if that is wanted. */
static __thread int running = NO_CPU;

/* By the numbers in instructions, then those that are read for other reasons. */
enum {
	REGISTER_RAX, REGISTER_GS_BASE = 16, REGISTER_KERNEL_GS_BASE, REGISTER_CR3, REGISTER_CR4,
	NR_REGISTERS,
};

static const char *const register_names[NR_REGISTERS] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
	"gs_base", "k_gs_base", "cr3", "cr4",
};

static struct qemu_plugin_register *registers[NR_REGISTERS];

static void find_registers(void)
{
	GArray *all = qemu_plugin_get_registers();

	for (unsigned int i = 0; i < all->len; i++)
		for (unsigned int k = 0; k < NR_REGISTERS; k++)
			if (!strcmp(all->data[i].name, register_names[k]))
				registers[k] = all->data[i].handle;
	g_array_free(all, true);
	for (unsigned int k = 0; k < NR_REGISTERS; k++)
		if (!registers[k])
			source_refuse(source, "this QEMU does not name the register %s: one from 9.0 on does",
				      register_names[k]);
}

/* Of the vCPU that executes. Four bytes only while it executes 32-bit code. */
static uint64_t read_register(unsigned int number)
{
	static __thread GByteArray *buffer;
	uint64_t value = 0;

	if (!buffer)
		buffer = g_byte_array_new();
	buffer->len = 0;
	if (qemu_plugin_read_register(registers[number], buffer) > 0)
		memcpy(&value, buffer->data, buffer->len < 8 ? buffer->len : 8);
	return value;
}

/* A program may set its own GS base, but not to an address of the kernel's. 0: not Linux yet. */
static uint64_t identity(void)
{
	uint64_t base = read_register(REGISTER_KERNEL_GS_BASE);

	if (!(base & KERNEL))
		base = read_register(REGISTER_GS_BASE);
	return base & KERNEL ? base : 0;
}

static uint64_t root(void *context, unsigned int cpu)
{
	(void)context;
	(void)cpu;	/* the source asks for the one that executes */
	return read_register(REGISTER_CR3);
}

static struct paging paging(void)
{
	uint64_t cr4 = read_register(REGISTER_CR4);

	return (struct paging){ .levels = cr4 & CR4_LA57 ? 5 : 4, .pcid = cr4 & CR4_PCIDE };
}

static void install_callbacks(qemu_plugin_id_t id);

/* Have all code translated anew if that makes a difference. Called with the lock. */
static void observe(void)
{
	if (observing == source_active(source))
		return;
	observing = !observing;
	qemu_plugin_reset(plugin, install_callbacks);
}

/* When vCPUs share a thread, none may wait for another, and they take turns of unknown length. */
static void check_threads(void)
{
	static pthread_t first;
	static bool known;
	static int cpu;
	int now = source_cpu(source, identity());

	if (!known || !source_in_region(source, cpu)) {
		first = pthread_self();
		cpu = now;
		known = now != NO_CPU;
	} else if (now != cpu && pthread_equal(first, pthread_self())) {
		source_refuse(source, "several CPUs are measured on one thread of QEMU: leave out -icount, or measure one");
	}
}

static void mark_executed(unsigned int vcpu, void *data)
{
	uintptr_t word = (uintptr_t)data;
	unsigned int number = word >> 8 & 0xff;
	uint64_t value = read_register(REGISTER_RAX);

	(void)vcpu;
	pthread_mutex_lock(&lock);
	switch (word & 0xff) {
	case MARK_WARM:
		source_warm(source, value, identity(), paging());
		check_threads();
		break;
	case MARK_BEGIN:
		source_begin(source, number, value, identity(), paging());
		check_threads();
		break;
	case MARK_END:
		source_end(source, number, value, identity());
		break;
	case MARK_PAGE_FREED:
		source_page_freed(source, value);
		break;
	}
	observe();
	pthread_cond_broadcast(&advanced);
	pthread_mutex_unlock(&lock);
}

static uint64_t effective_address(const struct memory_operand *operand)
{
	uint64_t address = operand->displacement;

	if (operand->base != REG_NONE)
		address += read_register(operand->base);
	if (operand->index != REG_NONE)
		address += read_register(operand->index) * operand->scale;
	return address;
}

/* The types of INVPCID. Without PCIDs, 0 is INVLPG and 1 all but global ones. */
static enum flush invpcid(unsigned int cpu, const struct flush_insn *insn, uint64_t *virtual)
{
	switch (read_register(insn->source)) {
	case 0:
		if (source_read(source, cpu, effective_address(&insn->memory) + 8, virtual))
			return FLUSH_ADDRESS;
		return FLUSH_ALL;
	case 2:
		return FLUSH_ALL;
	default:
		return FLUSH_CONTEXT;
	}
}

/* Before the instruction is executed. */
static void flush_executed(unsigned int vcpu, void *data)
{
	const struct flush_insn *insn = data;
	uint64_t virtual = 0;
	int cpu;

	(void)vcpu;
	pthread_mutex_lock(&lock);
	cpu = source_cpu(source, identity());
	if (cpu == NO_CPU)
		goto out;
	switch (insn->kind) {
	case FLUSH_INSN_INVLPG:
		source_flush(source, cpu, FLUSH_ADDRESS, effective_address(&insn->memory));
		break;
	case FLUSH_INSN_CR3:
		source_flush(source, cpu, FLUSH_CONTEXT, 0);
		break;
	case FLUSH_INSN_CR4:
		/* Linux flushes global pages by switching them off and on. */
		if ((read_register(REGISTER_CR4) ^ read_register(insn->source)) & CR4_PGE)
			source_flush(source, cpu, FLUSH_ALL, 0);
		break;
	case FLUSH_INSN_INVPCID: {
		enum flush what = invpcid(cpu, insn, &virtual);

		source_flush(source, cpu, what, virtual);
		break;
	}
	case FLUSH_INSN_NONE:
		break;
	}
out:
	pthread_mutex_unlock(&lock);
}

/* Called with the lock. Whoever is behind may be stopped by QEMU: then go on, and say so. */
static void keep_pace(unsigned int cpu)
{
	struct timespec until;

	if (!source_ahead(source, cpu))
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (source_ahead(source, cpu))
		if (pthread_cond_timedwait(&advanced, &lock, &until) == ETIMEDOUT)
			break;
	source_went_on(source, cpu);
}

static void block_executed(unsigned int vcpu, void *data)
{
	uint64_t base = identity();

	(void)vcpu;
	pthread_mutex_lock(&lock);
	running = source_cpu(source, base);
	if (running != NO_CPU && !source_in_region(source, running))
		running = NO_CPU;
	if (running != NO_CPU) {
		source_block(source, running, data);
		if (source_advanced(source))
			pthread_cond_broadcast(&advanced);
		keep_pace(running);
	}
	pthread_mutex_unlock(&lock);
}

static void memory_accessed(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t virtual,
			    void *data)
{
	struct qemu_plugin_hwaddr *address;

	(void)vcpu;
	if (running == NO_CPU)
		return;
	/* Devices are no memory, and no cache holds what is theirs. */
	address = qemu_plugin_get_hwaddr(info, virtual);
	if (!address || qemu_plugin_hwaddr_is_io(address))
		return;
	pthread_mutex_lock(&lock);
	source_access(source, running, data, virtual, qemu_plugin_hwaddr_phys_addr(address),
		      1u << qemu_plugin_mem_size_shift(info), qemu_plugin_mem_is_store(info));
	pthread_mutex_unlock(&lock);
}

/* The word of a mark, or 0. */
static uint32_t mark_word(const uint8_t *byte, size_t size)
{
	uint32_t word;

	if (size != 8 || memcmp(byte, "\x0f\x1f\x84\x00", 4))
		return 0;
	memcpy(&word, byte + 4, sizeof(word));
	return (word & 0xffff0000) == MARK_WORD ? word : 0;
}

/* Instructions that call back whether or not a region is being measured. */
static void translate_special(struct qemu_plugin_insn *insn, const uint8_t *byte, size_t size)
{
	uint64_t pc = qemu_plugin_insn_vaddr(insn);
	uint32_t word = mark_word(byte, size);
	struct flush_insn flush, *kept;

	if (word)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, mark_executed,
						       QEMU_PLUGIN_CB_R_REGS,
						       (void *)(uintptr_t)word);
	if (!decode_flush(decoder, pc, byte, size, &flush))
		return;
	/* As long-lived as QEMU's translation, that is for ever: there are few, all in the kernel. */
	kept = malloc(sizeof(*kept));
	if (!kept)
		return;
	*kept = flush;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, flush_executed, QEMU_PLUGIN_CB_R_REGS, kept);
}

static void translate_block(struct qemu_plugin_tb *tb, const struct code *code)
{
	const struct block *block = blocks_find(blocks, code);

	if (!block) {
		source_refuse(source, "no memory for a block");
		return;
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_executed, QEMU_PLUGIN_CB_R_REGS,
					     (void *)block);
	for (size_t i = 0; i < code->nr_insns; i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), memory_accessed,
						 QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_MEM_RW,
						 (void *)&block->insn[i]);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static __thread union {
		struct code code;
		uint8_t room[sizeof(struct code) + MAX_INSNS * sizeof(((struct code *)0)->insn[0])];
	} block;
	size_t nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	nr = nr < MAX_INSNS ? nr : MAX_INSNS;
	memset(&block, 0, sizeof(struct code) + nr * sizeof(block.code.insn[0]));
	block.code.nr_insns = nr;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < nr; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t *byte = block.code.insn[i].byte;

		block.code.insn[i].pc = qemu_plugin_insn_vaddr(insn);
		block.code.insn[i].size = qemu_plugin_insn_data(insn, byte,
								sizeof(block.code.insn[i].byte));
		translate_special(insn, byte, block.code.insn[i].size);
	}
	if (observing)
		translate_block(tb, &block.code);
	pthread_mutex_unlock(&lock);
}

static void cpu_created(qemu_plugin_id_t id, unsigned int vcpu)
{
	(void)id;
	if (vcpu == 0)
		find_registers();
}

static void cpu_idle(qemu_plugin_id_t id, unsigned int vcpu)
{
	(void)id;
	pthread_mutex_lock(&lock);
	if (vcpu < options.nr_cpus)
		source_idle(source, vcpu);
	pthread_cond_broadcast(&advanced);
	pthread_mutex_unlock(&lock);
}

static void cpu_resumed(qemu_plugin_id_t id, unsigned int vcpu)
{
	(void)id;
	pthread_mutex_lock(&lock);
	if (vcpu < options.nr_cpus)
		source_resume(source, vcpu);
	pthread_mutex_unlock(&lock);
}

static void finish(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	pthread_mutex_lock(&lock);
	source_finish(source);
	pthread_mutex_unlock(&lock);
}

/* A reset forgets them. */
static void install_callbacks(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_vcpu_idle_cb(id, cpu_idle);
	qemu_plugin_register_vcpu_resume_cb(id, cpu_resumed);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
}

/* QEMU itself refuses a plugin that is too new for it. */
static bool check_emulator(const qemu_info_t *info)
{
	if (!info->system_emulation || strcmp(info->target_name, "x86_64"))
		fprintf(stderr, "model: only qemu-system-x86_64 will do, not an emulator of %s\n",
			info->target_name);
	else if (info->system.max_vcpus != (int)options.nr_cpus)
		fprintf(stderr, "model: the guest has %d CPUs, but option cpus= names %u\n",
			info->system.max_vcpus, options.nr_cpus);
	else
		return true;
	return false;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
					   char **argv)
{
	if (!options_parse(&options, argc, argv, stderr) || !check_emulator(info))
		return 1;
	plugin = id;
	blocks = blocks_new();
	source = source_new(&options, root, NULL, stderr);
	decoder = decoder_new();
	if (!blocks || !source || !decoder) {
		fprintf(stderr, "model: no memory\n");
		return 1;
	}
	qemu_plugin_register_vcpu_init_cb(id, cpu_created);
	install_callbacks(id);
	return 0;
}
