// SPDX-License-Identifier: GPL-2.0
/*
 * Decoding with capstone, which lists operands and implicit registers. Where it is wrong for
 * the model's purposes (capstone 4 and 5), or where hardware waits for less than the
 * architecture says, is corrected here, each with its reason.
 */
#include <stdlib.h>
#include <string.h>

#include <capstone/capstone.h>

#include "decode.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

struct decoder {
	csh handle;
	cs_insn *insn;
};

/* Parts of general registers count as the whole, in the order of their encoding. */
static const uint16_t general[][5] = {
	{ X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH },
	{ X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH },
	{ X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH },
	{ X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH },
	{ X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL },
	{ X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL },
	{ X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL },
	{ X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL },
	{ X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B },
	{ X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B },
	{ X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B },
	{ X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B },
	{ X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B },
	{ X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B },
	{ X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B },
	{ X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B },
};

static bool within(unsigned int reg, unsigned int first, unsigned int last)
{
	return reg >= first && reg <= last;
}

/* REG_NONE for what nothing waits for: segment bases, the instruction pointer, control ones. */
static uint8_t number(unsigned int reg)
{
	if (reg == X86_REG_EFLAGS)
		return REG_FLAGS;
	if (within(reg, X86_REG_XMM0, X86_REG_XMM31))
		return REG_VECTOR + reg - X86_REG_XMM0;
	if (within(reg, X86_REG_YMM0, X86_REG_YMM31))
		return REG_VECTOR + reg - X86_REG_YMM0;
	if (within(reg, X86_REG_ZMM0, X86_REG_ZMM31))
		return REG_VECTOR + reg - X86_REG_ZMM0;
	if (within(reg, X86_REG_K0, X86_REG_K7))
		return REG_MASK + reg - X86_REG_K0;
	if (within(reg, X86_REG_ST0, X86_REG_ST7) || within(reg, X86_REG_FP0, X86_REG_FP7) ||
	    within(reg, X86_REG_MM0, X86_REG_MM7) || reg == X86_REG_FPSW)
		return REG_X87;
	for (size_t i = 0; reg != X86_REG_INVALID && i < ARRAY_SIZE(general); i++)
		for (size_t part = 0; part < ARRAY_SIZE(general[i]); part++)
			if (general[i][part] == reg)
				return REG_GENERAL + i;
	return REG_NONE;
}

/* Registers beyond what the list holds are left out: FXSAVE and the like, rare and slow anyway. */
static void add(uint8_t *list, uint8_t *length, size_t capacity, uint8_t reg)
{
	if (reg == REG_NONE || *length == capacity || memchr(list, reg, *length))
		return;
	list[(*length)++] = reg;
}

static void add_address(struct insn *insn, uint8_t reg)
{
	add(insn->address, &insn->nr_address, INSN_MAX_ADDRESS, reg);
}

static void add_source(struct insn *insn, uint8_t reg)
{
	add(insn->source, &insn->nr_sources, INSN_MAX_SOURCES, reg);
}

static void add_result(struct insn *insn, uint8_t reg)
{
	add(insn->result, &insn->nr_results, INSN_MAX_RESULTS, reg);
}

static bool in_group(const cs_insn *cs, unsigned int group)
{
	return memchr(cs->detail->groups, group, cs->detail->groups_count);
}

static bool is_string(const cs_insn *cs)
{
	switch (cs->id) {
	case X86_INS_MOVSB: case X86_INS_MOVSW: case X86_INS_MOVSQ:
	case X86_INS_STOSB: case X86_INS_STOSW: case X86_INS_STOSD: case X86_INS_STOSQ:
	case X86_INS_LODSB: case X86_INS_LODSW: case X86_INS_LODSD: case X86_INS_LODSQ:
	case X86_INS_SCASB: case X86_INS_SCASW: case X86_INS_SCASD: case X86_INS_SCASQ:
	case X86_INS_CMPSB: case X86_INS_CMPSW: case X86_INS_CMPSQ:
		return true;
	case X86_INS_MOVSD: case X86_INS_CMPSD:
		/* These are names of vector instructions too, whose opcodes have two bytes. */
		return cs->detail->x86.opcode[0] != 0x0f;
	default:
		return false;
	}
}

static bool is_prefetch(const cs_insn *cs)
{
	switch (cs->id) {
	case X86_INS_PREFETCH: case X86_INS_PREFETCHW: case X86_INS_PREFETCHNTA:
	case X86_INS_PREFETCHT0: case X86_INS_PREFETCHT1: case X86_INS_PREFETCHT2:
		return true;
	default:
		return false;
	}
}

/* A memory operand that is an address only. */
static bool touches_memory(const cs_insn *cs)
{
	return cs->id != X86_INS_LEA && cs->id != X86_INS_NOP && cs->id != X86_INS_INVLPG;
}

static bool has_vector(const cs_insn *cs)
{
	const cs_x86 *x86 = &cs->detail->x86;

	for (int i = 0; i < x86->op_count; i++)
		if (x86->operands[i].type == X86_OP_REG &&
		    within(number(x86->operands[i].reg), REG_VECTOR, REG_MASK - 1))
			return true;
	return false;
}

static bool begins_with(const char *name, const char *const *words, size_t nr_words)
{
	for (size_t i = 0; i < nr_words; i++)
		if (!strncmp(name, words[i], strlen(words[i])))
			return true;
	return false;
}

#define BEGINS_WITH(name, words)	begins_with(name, words, ARRAY_SIZE(words))

/* Moves, logic and shuffles of vectors, and integer additions, take a cycle: INSN_SIMPLE. */
static enum insn_kind vector_kind(const cs_insn *cs)
{
	static const char *const slow[] = { "div", "sqrt" };
	static const char *const math[] = {
		"add", "sub", "mul", "min", "max", "cvt", "cmp", "hadd", "hsub", "round",
		"dpp", "fmadd", "fmsub", "fnmadd", "fnmsub", "comis", "ucomis", "rcp", "rsqrt",
		"pmul", "pmadd", "psad", "pclmul", "aes",
	};
	const char *name = cs->mnemonic;

	name += *name == 'v';
	if (BEGINS_WITH(name, slow))
		return INSN_FLOAT_DIVIDE;
	return BEGINS_WITH(name, math) ? INSN_FLOAT : INSN_SIMPLE;
}

static enum insn_kind x87_kind(const cs_insn *cs)
{
	static const char *const slow[] = { "fdiv", "fidiv", "fsqrt", "fprem" };
	static const char *const move[] = { "fld", "fst", "fxch", "fild", "fist" };

	if (BEGINS_WITH(cs->mnemonic, slow))
		return INSN_FLOAT_DIVIDE;
	return BEGINS_WITH(cs->mnemonic, move) ? INSN_SIMPLE : INSN_FLOAT;
}

static bool writes_control_register(const cs_insn *cs)
{
	const cs_x86_op *target = cs->detail->x86.operands;

	return cs->id == X86_INS_MOV && target->type == X86_OP_REG &&
	       within(target->reg, X86_REG_CR0, X86_REG_CR15);
}

static enum insn_kind kind(const cs_insn *cs)
{
	switch (cs->id) {
	case X86_INS_MUL: case X86_INS_IMUL: case X86_INS_MULX:
		return INSN_MULTIPLY;
	case X86_INS_DIV: case X86_INS_IDIV:
		return INSN_DIVIDE;
	/*
	 * Serializing as Intel's manual lists them (volume 3, "Serializing Instructions"), the
	 * fences that hold back what follows, and the ways into and out of the kernel, which
	 * drain the pipeline in practice.
	 */
	case X86_INS_CPUID: case X86_INS_IRET: case X86_INS_IRETD: case X86_INS_IRETQ:
	case X86_INS_INVLPG: case X86_INS_INVPCID: case X86_INS_INVD: case X86_INS_WBINVD:
	case X86_INS_WRMSR: case X86_INS_LGDT: case X86_INS_LIDT: case X86_INS_LLDT:
	case X86_INS_LTR: case X86_INS_RSM: case X86_INS_HLT:
	case X86_INS_MFENCE: case X86_INS_LFENCE:
	case X86_INS_SYSCALL: case X86_INS_SYSRET: case X86_INS_SYSENTER: case X86_INS_SYSEXIT:
	case X86_INS_INT: case X86_INS_INT3:
		return INSN_SERIAL;
	default:
		break;
	}
	if (writes_control_register(cs))
		return INSN_SERIAL;
	if (in_group(cs, X86_GRP_FPU))
		return x87_kind(cs);
	return has_vector(cs) ? vector_kind(cs) : INSN_SIMPLE;
}

static enum insn_branch branch(const cs_insn *cs)
{
	bool indirect = cs->detail->x86.operands[0].type != X86_OP_IMM;

	switch (cs->id) {
	case X86_INS_RET: case X86_INS_RETF: case X86_INS_RETFQ:
		return BRANCH_RETURN;
	case X86_INS_JMP: case X86_INS_LJMP:
		return indirect ? BRANCH_INDIRECT : BRANCH_DIRECT;
	case X86_INS_LOOP: case X86_INS_LOOPE: case X86_INS_LOOPNE:
		return BRANCH_CONDITIONAL;
	default:
		break;
	}
	if (in_group(cs, X86_GRP_CALL))
		return BRANCH_CALL;
	if (in_group(cs, X86_GRP_JUMP))
		return BRANCH_CONDITIONAL;
	/* Into and out of the kernel: what that costs is INSN_SERIAL's. */
	if (in_group(cs, X86_GRP_INT) || in_group(cs, X86_GRP_IRET))
		return BRANCH_DIRECT;
	return BRANCH_NONE;
}

/*
 * CMPXCHG, x87 and vector stores are listed as if they only read their memory operand. An
 * instruction with a memory operand first stores to it, but for the few that compare.
 */
static void operand_access(const cs_insn *cs, const cs_x86_op *op, bool *load, bool *store)
{
	bool first = op == cs->detail->x86.operands && cs->detail->x86.op_count > 1;

	*load = op->access & CS_AC_READ;
	*store = op->access & CS_AC_WRITE;
	switch (cs->id) {
	case X86_INS_CMP: case X86_INS_TEST: case X86_INS_BT:
		return;
	case X86_INS_CMPXCHG: case X86_INS_CMPXCHG8B: case X86_INS_CMPXCHG16B:
		*load = *store = true;
		return;
	case X86_INS_FST: case X86_INS_FSTP: case X86_INS_FIST: case X86_INS_FISTP:
	case X86_INS_FISTTP:
		first = true;
		break;
	default:
		break;
	}
	if (first && !*store && !is_string(cs)) {
		*load = false;
		*store = true;
	}
}

static void add_memory(struct insn *insn, const cs_insn *cs, const cs_x86_op *op)
{
	bool load, store;

	if (!touches_memory(cs)) {
		if (cs->id == X86_INS_NOP)
			return;
		add_source(insn, number(op->mem.base));
		add_source(insn, number(op->mem.index));
		return;
	}
	add_address(insn, number(op->mem.base));
	add_address(insn, number(op->mem.index));
	operand_access(cs, op, &load, &store);
	insn->loads |= load;
	insn->stores |= store;
}

/* A write to 8 or 16 bits merges with the rest of the register; one to 32 bits clears it. */
static bool merges(const cs_x86_op *op)
{
	return op->size < 4 && number(op->reg) < REG_VECTOR;
}

static void add_register(struct insn *insn, const cs_x86_op *op)
{
	uint8_t reg = number(op->reg);

	/* Capstone does not know the access of some AVX-512 sources: those only read. */
	if (op->access & CS_AC_READ || !op->access)
		add_source(insn, reg);
	if (op->access & CS_AC_WRITE) {
		add_result(insn, reg);
		if (merges(op))
			add_source(insn, reg);
	}
}

static void add_operands(struct insn *insn, const cs_insn *cs)
{
	const cs_x86 *x86 = &cs->detail->x86;

	for (int i = 0; i < x86->op_count; i++) {
		const cs_x86_op *op = &x86->operands[i];

		if (op->type == X86_OP_MEM)
			add_memory(insn, cs, op);
		else if (op->type == X86_OP_REG)
			add_register(insn, op);
	}
}

static void add_implicit(struct insn *insn, const cs_insn *cs)
{
	const cs_detail *detail = cs->detail;

	for (int i = 0; i < detail->regs_read_count; i++)
		if (!memchr(insn->address, number(detail->regs_read[i]), insn->nr_address))
			add_source(insn, number(detail->regs_read[i]));
	for (int i = 0; i < detail->regs_write_count; i++)
		add_result(insn, number(detail->regs_write[i]));
	if (in_group(cs, X86_GRP_FPU)) {
		add_source(insn, REG_X87);
		add_result(insn, REG_X87);
	}
	if (cs->id == X86_INS_CMPXCHG) {
		add_result(insn, REG_FLAGS);
		add_result(insn, number(X86_REG_RAX));
	}
}

static void drop(uint8_t *list, uint8_t *length, uint8_t reg)
{
	uint8_t *found = memchr(list, reg, *length);

	if (!found)
		return;
	memmove(found, found + 1, list + *length - found - 1);
	(*length)--;
}

/*
 * PUSH, POP, CALL and RET address memory by RSP, and change it without waiting for that memory:
 * a stack engine in the front end does (Intel's optimization manual, "Stack Pointer Tracker").
 * As a result it would make each RET wait for the load of the last POP.
 */
static void stack(struct insn *insn, const cs_insn *cs)
{
	switch (cs->id) {
	case X86_INS_PUSH: case X86_INS_PUSHFQ:
		insn->stores = true;
		break;
	case X86_INS_POP: case X86_INS_POPFQ:
		insn->loads = true;
		break;
	default:
		if (insn->branch == BRANCH_CALL)
			insn->stores = true;
		else if (insn->branch == BRANCH_RETURN)
			insn->loads = true;
		else
			return;
	}
	/* POP RSP does load it. */
	if (cs->id != X86_INS_POP || number(cs->detail->x86.operands[0].reg) != REG_STACK)
		drop(insn->result, &insn->nr_results, REG_STACK);
	if (cs->id != X86_INS_PUSH || number(cs->detail->x86.operands[0].reg) != REG_STACK)
		drop(insn->source, &insn->nr_sources, REG_STACK);
	add_address(insn, REG_STACK);
}

/* LEAVE loads RBP from where RBP pointed to; the new RSP does not wait for that load. */
static void leave(struct insn *insn)
{
	insn->loads = true;
	insn->nr_address = insn->nr_sources = insn->nr_results = 0;
	add_address(insn, number(X86_REG_RBP));
	add_result(insn, number(X86_REG_RBP));
	add_result(insn, REG_STACK);
}

/*
 * Pointers and the counter of string instructions advance without waiting for memory. CMPS,
 * alone of those with two pointers, makes flags; it is listed as if it stored.
 */
static void string(struct insn *insn)
{
	if (insn->nr_address == 2 && memchr(insn->result, REG_FLAGS, insn->nr_results)) {
		insn->loads = true;
		insn->stores = false;
	}
	for (size_t i = 0; i < insn->nr_address; i++) {
		drop(insn->source, &insn->nr_sources, insn->address[i]);
		drop(insn->result, &insn->nr_results, insn->address[i]);
	}
	drop(insn->result, &insn->nr_results, number(X86_REG_RCX));
}

/* XOR, SUB and the like of a register with itself: zero, whatever it held. */
static bool is_zero_idiom(const cs_insn *cs)
{
	static const char *const names[] = {
		"xor", "sub", "pxor", "vpxor", "vxorp", "psub", "vpsub",
	};
	const cs_x86 *x86 = &cs->detail->x86;
	const cs_x86_op *last;

	if (x86->op_count < 2 || !BEGINS_WITH(cs->mnemonic, names))
		return false;
	last = &x86->operands[x86->op_count - 1];
	return last->type == X86_OP_REG && last[-1].type == X86_OP_REG && last->reg == last[-1].reg;
}

static void translate(struct insn *insn, const cs_insn *cs)
{
	const cs_x86 *x86 = &cs->detail->x86;
	bool in_memory;

	insn->size = cs->size;
	insn->kind = kind(cs);
	insn->branch = branch(cs);
	insn->indirect = insn->branch == BRANCH_INDIRECT || insn->branch == BRANCH_RETURN ||
			 (insn->branch == BRANCH_CALL && x86->operands[0].type != X86_OP_IMM);
	add_operands(insn, cs);
	in_memory = insn->loads && insn->stores;
	add_implicit(insn, cs);
	stack(insn, cs);
	if (cs->id == X86_INS_LEAVE)
		leave(insn);
	if (is_string(cs))
		string(insn);
	if (is_zero_idiom(cs))
		insn->nr_sources = 0;
	insn->prefetch = is_prefetch(cs);
	insn->atomic = x86->prefix[0] == X86_PREFIX_LOCK || (cs->id == X86_INS_XCHG && in_memory);
}

bool decode(struct decoder *decoder, uint64_t pc, const uint8_t *code, size_t size,
	    struct insn *insn)
{
	uint64_t address = pc;

	*insn = (struct insn){ .pc = pc, .size = size };
	if (!cs_disasm_iter(decoder->handle, &code, &size, &address, decoder->insn))
		return false;
	translate(insn, decoder->insn);
	return true;
}

/* The opcodes of MOV to a control register, INVLPG and INVPCID, behind any prefixes. */
static bool may_flush(const uint8_t *code, size_t size)
{
	while (size && (memchr("\x66\xf2\xf3\x2e\x36\x3e\x26\x64\x65\x67\xf0", *code, 11) ||
			(*code & 0xf0) == 0x40)) {
		code++;
		size--;
	}
	if (size < 3 || code[0] != 0x0f)
		return false;
	return code[1] == 0x22 || code[1] == 0x01 || (code[1] == 0x38 && code[2] == 0x82);
}

static enum flush_kind flush_kind(const cs_insn *cs)
{
	const cs_x86_op *target = cs->detail->x86.operands;

	switch (cs->id) {
	case X86_INS_INVLPG:
		return FLUSH_INSN_INVLPG;
	case X86_INS_INVPCID:
		return FLUSH_INSN_INVPCID;
	case X86_INS_MOV:
		if (target->type == X86_OP_REG && target->reg == X86_REG_CR3)
			return FLUSH_INSN_CR3;
		if (target->type == X86_OP_REG && target->reg == X86_REG_CR4)
			return FLUSH_INSN_CR4;
		return FLUSH_INSN_NONE;
	default:
		return FLUSH_INSN_NONE;
	}
}

static struct memory_operand memory_operand(const cs_insn *cs, const x86_op_mem *memory)
{
	struct memory_operand operand = {
		.base = number(memory->base), .index = number(memory->index),
		.scale = memory->scale, .displacement = memory->disp,
	};

	if (memory->base == X86_REG_RIP)
		operand.displacement += cs->address + cs->size;
	return operand;
}

bool decode_flush(struct decoder *decoder, uint64_t pc, const uint8_t *code, size_t size,
		  struct flush_insn *flush)
{
	const cs_insn *cs = decoder->insn;
	const cs_x86 *x86;

	if (!may_flush(code, size) ||
	    !cs_disasm_iter(decoder->handle, &code, &size, &pc, decoder->insn))
		return false;
	*flush = (struct flush_insn){ .kind = flush_kind(cs), .source = REG_NONE };
	x86 = &cs->detail->x86;
	for (int i = 0; i < x86->op_count; i++) {
		if (x86->operands[i].type == X86_OP_MEM)
			flush->memory = memory_operand(cs, &x86->operands[i].mem);
		else if (x86->operands[i].type == X86_OP_REG && number(x86->operands[i].reg) != REG_NONE)
			flush->source = number(x86->operands[i].reg);
	}
	return flush->kind != FLUSH_INSN_NONE;
}

struct decoder *decoder_new(void)
{
	struct decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder || cs_open(CS_ARCH_X86, CS_MODE_64, &decoder->handle) != CS_ERR_OK)
		goto no_handle;
	if (cs_option(decoder->handle, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK)
		goto no_insn;
	decoder->insn = cs_malloc(decoder->handle);
	if (decoder->insn)
		return decoder;
no_insn:
	cs_close(&decoder->handle);
no_handle:
	free(decoder);
	return NULL;
}

void decoder_free(struct decoder *decoder)
{
	if (!decoder)
		return;
	cs_free(decoder->insn, 1);
	cs_close(&decoder->handle);
	free(decoder);
}
