// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin that counts what a vCPU executes between two marks: all instructions, and those
 * of them that are NOPs. Writes a line "INSTRUCTIONS NOPS" for each pair of marks, in order.
 *
 * usage: -plugin count.so,out=FILE
 *
 * The marks are NOPs themselves (mark.h), so a program that has them runs anywhere. Counted are
 * instructions that begin: one that faults and is begun again counts twice, on any kernel alike;
 * each round of a repeated string instruction counts as one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "qemu-plugin.h"

struct count {
	uint64_t all, nops;		/* since the vCPU exists */
	uint64_t all_then, nops_then;	/* when the last interval began */
};

static struct qemu_plugin_scoreboard *counts;
static FILE *out;

static qemu_plugin_u64 field(size_t offset)
{
	return (qemu_plugin_u64){ counts, offset };
}

#define FIELD(name) field(offsetof(struct count, name))

static void begin(unsigned int vcpu, void *data)
{
	struct count *count = qemu_plugin_scoreboard_find(counts, vcpu);

	(void)data;
	count->all_then = count->all;
	count->nops_then = count->nops;
}

static void end(unsigned int vcpu, void *data)
{
	struct count *count = qemu_plugin_scoreboard_find(counts, vcpu);

	(void)data;
	fprintf(out, "%" PRIu64 " %" PRIu64 "\n", count->all - count->all_then,
		count->nops - count->nops_then);
}

/* 90 and 0f 1f, behind any prefixes that mean nothing there; f3 90 is PAUSE. */
static bool is_nop(const uint8_t *code, size_t size)
{
	while (size && (*code == 0x66 || *code == 0x2e || *code == 0x3e)) {
		code++;
		size--;
	}
	return (size == 1 && code[0] == 0x90) || (size >= 3 && code[0] == 0x0f && code[1] == 0x1f);
}

static bool is_mark(const uint8_t *code, size_t size, uint32_t mark)
{
	uint32_t word;

	if (size != 8 || memcmp(code, "\x0f\x1f\x84\x00", 4))
		return false;
	memcpy(&word, code + 4, sizeof(word));
	return word == mark;
}

static void translate_insn(struct qemu_plugin_insn *insn)
{
	uint8_t code[16];
	size_t size = qemu_plugin_insn_data(insn, code, sizeof(code));

	/* Both marks lie outside of what they enclose. */
	if (is_mark(code, size, MARK_END)) {
		qemu_plugin_register_vcpu_insn_exec_cb(insn, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
		return;
	}
	if (is_mark(code, size, MARK_BEGIN)) {
		qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
		return;
	}
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							    FIELD(all), 1);
	if (is_nop(code, size))
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64,
								    FIELD(nops), 1);
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		translate_insn(qemu_plugin_tb_get_insn(tb, i));
}

static void finish(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	if (fclose(out))
		perror("count");
}

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
					   char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "count: say where to write: -plugin count.so,out=FILE\n");
		return 1;
	}
	out = fopen(argv[0] + 4, "w");
	if (!out) {
		perror(argv[0] + 4);
		return 1;
	}
	counts = qemu_plugin_scoreboard_new(sizeof(struct count));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
