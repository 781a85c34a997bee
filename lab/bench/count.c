// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin that counts what the guest executes between two marks: all instructions, and those
 * of them that are NOPs. Writes a line "INSTRUCTIONS NOPS" for each pair of marks, in order.
 *
 * usage: -plugin count.so,out=FILE
 *
 * The marks are NOPs themselves (mark.h), so a program that has them runs anywhere. Counted are
 * instructions that begin: one that faults and is begun again counts twice, on any kernel alike;
 * each round of a repeated string instruction counts as one.
 *
 * All vCPUs are counted together; those that the program does not use are idle. QEMU 10.0 could not
 * tell them apart: when they share a thread, as with -icount, code that one of them has translated
 * is charged to that one, whoever executes it, and counting without a call writes anywhere.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../model/qemu/qemu-plugin.h"
#include "mark.h"

/* Since the machine exists, and when the last interval began. All vCPUs run on one thread. */
static uint64_t all, nops, all_then, nops_then;
static FILE *out;

static void begin(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	all_then = all;
	nops_then = nops;
}

static void end(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	fprintf(out, "%" PRIu64 " %" PRIu64 "\n", all - all_then, nops - nops_then);
}

static void count(unsigned int vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	all++;
}

static void count_nop(unsigned int vcpu, void *data)
{
	count(vcpu, data);
	nops++;
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
	qemu_plugin_vcpu_udata_cb_t call = is_nop(code, size) ? count_nop : count;

	/* Both marks lie outside of what they enclose. */
	if (is_mark(code, size, MARK_END))
		call = end;
	else if (is_mark(code, size, MARK_BEGIN))
		call = begin;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, call, QEMU_PLUGIN_CB_NO_REGS, NULL);
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
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
