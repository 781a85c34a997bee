// SPDX-License-Identifier: GPL-2.0
/*
 * Decoding, against what Intel's manuals say of each instruction. Bytes are those that GNU as
 * makes of the text beside them.
 */
#include <stdio.h>
#include <string.h>

#include "decode.h"
#include "test.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };
#define XMM(n)	(REG_VECTOR + (n))
#define FLAGS	REG_FLAGS
#define END	REG_NONE

struct example {
	const char *text, *code;
	size_t size;
	uint8_t kind, branch;
	const char *flags;	/* Loads, Stores, Atomic, Prefetch, Indirect */
	uint8_t address[4], source[7], result[5];	/* each up to END, in the order of numbers */
};

#define CODE(bytes)	bytes, sizeof(bytes) - 1
#define ADDRESS(...)	.address = { __VA_ARGS__ __VA_OPT__(,) END }
#define SOURCE(...)	.source = { __VA_ARGS__ __VA_OPT__(,) END }
#define RESULT(...)	.result = { __VA_ARGS__ __VA_OPT__(,) END }

static const struct example examples[] = {
	{ "mov (%rax,%rbx,8),%rcx", CODE("\x48\x8b\x0c\xd8"), 0, 0, "L",
	  ADDRESS(RAX, RBX), SOURCE(), RESULT(RCX) },
	{ "mov %rcx,8(%rax)", CODE("\x48\x89\x48\x08"), 0, 0, "S",
	  ADDRESS(RAX), SOURCE(RCX), RESULT() },
	{ "mov %rax,(%rax)", CODE("\x48\x89\x00"), 0, 0, "S",
	  ADDRESS(RAX), SOURCE(RAX), RESULT() },
	{ "add %rdx,(%rdi)", CODE("\x48\x01\x17"), 0, 0, "LS",
	  ADDRESS(RDI), SOURCE(RDX), RESULT(FLAGS) },
	{ "add (%rax),%rax", CODE("\x48\x03\x00"), 0, 0, "L",
	  ADDRESS(RAX), SOURCE(RAX), RESULT(RAX, FLAGS) },
	{ "lock cmpxchg %rcx,(%rdi)", CODE("\xf0\x48\x0f\xb1\x0f"), 0, 0, "LSA",
	  ADDRESS(RDI), SOURCE(RAX, RCX), RESULT(RAX, FLAGS) },
	{ "xchg %rax,(%rsi)", CODE("\x48\x87\x06"), 0, 0, "LSA",
	  ADDRESS(RSI), SOURCE(RAX), RESULT(RAX) },
	{ "cmp (%rax),%rcx", CODE("\x48\x3b\x08"), 0, 0, "L",
	  ADDRESS(RAX), SOURCE(RCX), RESULT(FLAGS) },
	{ "cmp %rcx,(%rax)", CODE("\x48\x39\x08"), 0, 0, "L",
	  ADDRESS(RAX), SOURCE(RCX), RESULT(FLAGS) },
	{ "lea 4(%rax,%rbx),%rcx", CODE("\x48\x8d\x4c\x18\x04"), 0, 0, "",
	  ADDRESS(), SOURCE(RAX, RBX), RESULT(RCX) },
	{ "nopl 0x12345678(%rax,%rax)", CODE("\x0f\x1f\x84\x00\x78\x56\x34\x12"), 0, 0, "",
	  ADDRESS(), SOURCE(), RESULT() },
	{ "mov %fs:0,%rax", CODE("\x64\x48\x8b\x04\x25\0\0\0\0"), 0, 0, "L",
	  ADDRESS(), SOURCE(), RESULT(RAX) },
	{ "mov 8(%rip),%rax", CODE("\x48\x8b\x05\x08\0\0\0"), 0, 0, "L",
	  ADDRESS(), SOURCE(), RESULT(RAX) },
	{ "prefetcht0 (%rax)", CODE("\x0f\x18\x08"), 0, 0, "LP",
	  ADDRESS(RAX), SOURCE(), RESULT() },

	/* Idioms of zero, and parts of registers. */
	{ "xor %eax,%eax", CODE("\x31\xc0"), 0, 0, "", ADDRESS(), SOURCE(), RESULT(RAX, FLAGS) },
	{ "xor %ebx,%eax", CODE("\x31\xd8"), 0, 0, "", ADDRESS(), SOURCE(RAX, RBX), RESULT(RAX, FLAGS) },
	{ "vpxor %xmm1,%xmm1,%xmm2", CODE("\xc5\xf1\xef\xd1"), 0, 0, "",
	  ADDRESS(), SOURCE(), RESULT(XMM(2)) },
	{ "mov %al,%bl", CODE("\x88\xc3"), 0, 0, "", ADDRESS(), SOURCE(RAX, RBX), RESULT(RBX) },
	{ "sete %al", CODE("\x0f\x94\xc0"), 0, 0, "", ADDRESS(), SOURCE(RAX, FLAGS), RESULT(RAX) },
	{ "movzbl (%rax),%ecx", CODE("\x0f\xb6\x08"), 0, 0, "L",
	  ADDRESS(RAX), SOURCE(), RESULT(RCX) },
	{ "adc %rbx,%rcx", CODE("\x48\x11\xd9"), 0, 0, "",
	  ADDRESS(), SOURCE(RCX, RBX, FLAGS), RESULT(RCX, FLAGS) },

	/* The stack engine keeps RSP. */
	{ "push %rbx", CODE("\x53"), 0, 0, "S", ADDRESS(RSP), SOURCE(RBX), RESULT() },
	{ "push %rsp", CODE("\x54"), 0, 0, "S", ADDRESS(RSP), SOURCE(RSP), RESULT() },
	{ "push (%rax)", CODE("\xff\x30"), 0, 0, "LS", ADDRESS(RAX, RSP), SOURCE(), RESULT() },
	{ "pop %rbx", CODE("\x5b"), 0, 0, "L", ADDRESS(RSP), SOURCE(), RESULT(RBX) },
	{ "pop %rsp", CODE("\x5c"), 0, 0, "L", ADDRESS(RSP), SOURCE(), RESULT(RSP) },
	{ "leave", CODE("\xc9"), 0, 0, "L", ADDRESS(RBP), SOURCE(), RESULT(RSP, RBP) },

	{ "ret", CODE("\xc3"), 0, BRANCH_RETURN, "LI", ADDRESS(RSP), SOURCE(), RESULT() },
	{ "call .", CODE("\xe8\xfb\xff\xff\xff"), 0, BRANCH_CALL, "S",
	  ADDRESS(RSP), SOURCE(), RESULT() },
	{ "call *8(%rax)", CODE("\xff\x50\x08"), 0, BRANCH_CALL, "LSI",
	  ADDRESS(RAX, RSP), SOURCE(), RESULT() },
	{ "jne .", CODE("\x75\xfe"), 0, BRANCH_CONDITIONAL, "", ADDRESS(), SOURCE(FLAGS), RESULT() },
	{ "loop .", CODE("\xe2\xfe"), 0, BRANCH_CONDITIONAL, "", ADDRESS(), SOURCE(RCX), RESULT(RCX) },
	{ "jmp .", CODE("\xeb\xfe"), 0, BRANCH_DIRECT, "", ADDRESS(), SOURCE(), RESULT() },
	{ "jmp *%rax", CODE("\xff\xe0"), 0, BRANCH_INDIRECT, "I", ADDRESS(), SOURCE(RAX), RESULT() },

	{ "imul %rbx,%rax", CODE("\x48\x0f\xaf\xc3"), INSN_MULTIPLY, 0, "",
	  ADDRESS(), SOURCE(RAX, RBX), RESULT(RAX, FLAGS) },
	{ "div %rcx", CODE("\x48\xf7\xf1"), INSN_DIVIDE, 0, "",
	  ADDRESS(), SOURCE(RAX, RCX, RDX), RESULT(RAX, RDX, FLAGS) },
	{ "shl %cl,%rax", CODE("\x48\xd3\xe0"), 0, 0, "",
	  ADDRESS(), SOURCE(RAX, RCX), RESULT(RAX, FLAGS) },

	/* Vectors and x87. */
	{ "movsd (%rax),%xmm0", CODE("\xf2\x0f\x10\x00"), 0, 0, "L",
	  ADDRESS(RAX), SOURCE(), RESULT(XMM(0)) },
	{ "vmovdqu %ymm0,(%rdi)", CODE("\xc5\xfe\x7f\x07"), 0, 0, "S",
	  ADDRESS(RDI), SOURCE(XMM(0)), RESULT() },
	{ "movntdq %xmm1,(%rax)", CODE("\x66\x0f\xe7\x08"), 0, 0, "S",
	  ADDRESS(RAX), SOURCE(XMM(1)), RESULT() },
	{ "mulsd (%rax),%xmm1", CODE("\xf2\x0f\x59\x08"), INSN_FLOAT, 0, "L",
	  ADDRESS(RAX), SOURCE(XMM(1)), RESULT(XMM(1)) },
	{ "cmpltsd %xmm1,%xmm2", CODE("\xf2\x0f\xc2\xd1\x01"), INSN_FLOAT, 0, "",
	  ADDRESS(), SOURCE(XMM(1), XMM(2)), RESULT(XMM(2)) },
	{ "vfmadd213pd %ymm1,%ymm2,%ymm3", CODE("\xc4\xe2\xed\xa8\xd9"), INSN_FLOAT, 0, "",
	  ADDRESS(), SOURCE(XMM(1), XMM(2), XMM(3)), RESULT(XMM(3)) },
	{ "divsd %xmm2,%xmm1", CODE("\xf2\x0f\x5e\xca"), INSN_FLOAT_DIVIDE, 0, "",
	  ADDRESS(), SOURCE(XMM(1), XMM(2)), RESULT(XMM(1)) },
	{ "sqrtsd %xmm2,%xmm1", CODE("\xf2\x0f\x51\xca"), INSN_FLOAT_DIVIDE, 0, "",
	  ADDRESS(), SOURCE(XMM(2)), RESULT(XMM(1)) },
	{ "vpgatherqq %ymm1,(%rax,%ymm2,8),%ymm3", CODE("\xc4\xe2\xf5\x91\x1c\xd0"), 0, 0, "L",
	  ADDRESS(RAX, XMM(2)), SOURCE(XMM(1)), RESULT(XMM(3)) },
	{ "fdivp", CODE("\xde\xf1"), INSN_FLOAT_DIVIDE, 0, "",
	  ADDRESS(), SOURCE(REG_X87), RESULT(REG_X87) },
	{ "fldl (%rax)", CODE("\xdd\x00"), 0, 0, "L", ADDRESS(RAX), SOURCE(REG_X87), RESULT(REG_X87) },
	{ "fstpl (%rax)", CODE("\xdd\x18"), 0, 0, "S", ADDRESS(RAX), SOURCE(REG_X87), RESULT(REG_X87) },

	/* String instructions. */
	{ "rep movsq", CODE("\xf3\x48\xa5"), 0, 0, "LS",
	  ADDRESS(RSI, RDI), SOURCE(RCX, FLAGS), RESULT() },
	{ "movsl", CODE("\xa5"), 0, 0, "LS", ADDRESS(RSI, RDI), SOURCE(FLAGS), RESULT() },
	{ "lodsq", CODE("\x48\xad"), 0, 0, "L", ADDRESS(RSI), SOURCE(FLAGS), RESULT(RAX) },
	{ "stosq", CODE("\x48\xab"), 0, 0, "S", ADDRESS(RDI), SOURCE(RAX, RCX, FLAGS), RESULT() },
	{ "cmpsl", CODE("\xa7"), 0, 0, "L", ADDRESS(RSI, RDI), SOURCE(FLAGS), RESULT(FLAGS) },

	{ "cpuid", CODE("\x0f\xa2"), INSN_SERIAL, 0, "",
	  ADDRESS(), SOURCE(RAX, RCX), RESULT(RAX, RCX, RDX, RBX) },
	{ "mfence", CODE("\x0f\xae\xf0"), INSN_SERIAL, 0, "", ADDRESS(), SOURCE(), RESULT() },
	{ "mov %rax,%cr3", CODE("\x0f\x22\xd8"), INSN_SERIAL, 0, "", ADDRESS(), SOURCE(RAX), RESULT() },
	{ "invlpg (%rax)", CODE("\x0f\x01\x38"), INSN_SERIAL, 0, "", ADDRESS(), SOURCE(RAX), RESULT() },
	{ "syscall", CODE("\x0f\x05"), INSN_SERIAL, BRANCH_DIRECT, "",
	  ADDRESS(), SOURCE(), RESULT() },
	{ "iretq", CODE("\x48\xcf"), INSN_SERIAL, BRANCH_DIRECT, "", ADDRESS(), SOURCE(), RESULT() },
};

static void expect(bool holds, const struct example *example, const char *what)
{
	if (holds)
		return;
	printf("# %s: %s\n", example->text, what);
	test_failed = true;
}

/* The same registers, in whatever order. */
static bool same(const uint8_t *wanted, const uint8_t *list, size_t length)
{
	size_t nr = 0;

	for (; wanted[nr] != END; nr++)
		if (!memchr(list, wanted[nr], length))
			return false;
	return nr == length;
}

static bool same_flags(const char *wanted, const struct insn *insn)
{
	char flags[6] = "", *end = flags;

	if (insn->loads)
		*end++ = 'L';
	if (insn->stores)
		*end++ = 'S';
	if (insn->atomic)
		*end++ = 'A';
	if (insn->prefetch)
		*end++ = 'P';
	if (insn->indirect)
		*end++ = 'I';
	return !strcmp(flags, wanted);
}

static void check(struct decoder *decoder, const struct example *example)
{
	struct insn insn;

	expect(decode(decoder, 0x1000, (const uint8_t *)example->code, example->size, &insn),
	       example, "is not decoded");
	expect(insn.pc == 0x1000 && insn.size == example->size, example, "size");
	expect(insn.kind == example->kind, example, "kind");
	expect(insn.branch == example->branch, example, "branch");
	expect(same_flags(example->flags, &insn), example, "flags");
	expect(same(example->address, insn.address, insn.nr_address), example, "address registers");
	expect(same(example->source, insn.source, insn.nr_sources), example, "source registers");
	expect(same(example->result, insn.result, insn.nr_results), example, "result registers");
}

TEST(known_instructions)
{
	struct decoder *decoder = decoder_new();

	EXPECT(decoder);
	for (size_t i = 0; decoder && i < sizeof(examples) / sizeof(examples[0]); i++)
		check(decoder, &examples[i]);
	decoder_free(decoder);
}

TEST(unknown_bytes)
{
	struct decoder *decoder = decoder_new();
	struct insn insn;

	EXPECT(!decode(decoder, 0, (const uint8_t *)"\x06", 1, &insn));
	EXPECT(insn.size == 1 && !insn.nr_sources && !insn.nr_results);
	decoder_free(decoder);
}

static struct flush_insn flush_of(const char *code, size_t size, bool *flushes)
{
	struct decoder *decoder = decoder_new();
	struct flush_insn flush = { 0 };

	*flushes = decode_flush(decoder, 0x1000, (const uint8_t *)code, size, &flush);
	decoder_free(decoder);
	return flush;
}

#define FLUSH(bytes)	flush_of(bytes, sizeof(bytes) - 1, &flushes)

TEST(flushes)
{
	struct flush_insn flush;
	bool flushes;

	flush = FLUSH("\x0f\x22\xd8");		/* mov %rax,%cr3 */
	EXPECT(flushes && flush.kind == FLUSH_INSN_CR3 && flush.source == RAX);
	flush = FLUSH("\x41\x0f\x22\xe3");	/* mov %r11,%cr4 */
	EXPECT(flushes && flush.kind == FLUSH_INSN_CR4 && flush.source == 11);
	flush = FLUSH("\x66\x0f\x38\x82\x08");	/* invpcid (%rax),%rcx */
	EXPECT(flushes && flush.kind == FLUSH_INSN_INVPCID && flush.source == RCX &&
	       flush.memory.base == RAX && flush.memory.index == REG_NONE);
	flush = FLUSH("\x0f\x01\x7c\xcb\xf8");	/* invlpg -8(%rbx,%rcx,8) */
	EXPECT(flushes && flush.kind == FLUSH_INSN_INVLPG && flush.memory.base == RBX &&
	       flush.memory.index == RCX && flush.memory.scale == 8 &&
	       flush.memory.displacement == -8);
	flush = FLUSH("\x0f\x01\x3d\x00\x01\x00\x00");	/* invlpg 0x100(%rip) */
	EXPECT(flushes && flush.memory.base == REG_NONE && flush.memory.displacement == 0x1107);
}

TEST(no_flushes)
{
	bool flushes;

	FLUSH("\x0f\x22\xc0");	/* mov %rax,%cr0 */
	EXPECT(!flushes);
	FLUSH("\x0f\x20\xd8");	/* mov %cr3,%rax */
	EXPECT(!flushes);
	FLUSH("\x0f\x01\xf8");	/* swapgs */
	EXPECT(!flushes);
	FLUSH("\x48\x89\xd8");	/* mov %rbx,%rax */
	EXPECT(!flushes);
	FLUSH("\xf3");			/* nothing but a prefix */
	EXPECT(!flushes);
}

TEST_MAIN
