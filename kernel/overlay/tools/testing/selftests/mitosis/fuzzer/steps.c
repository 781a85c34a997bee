// SPDX-License-Identifier: GPL-2.0
/*
 * The operations, and steps as text. A line is PROCESS@NODE OPERATION ARGUMENTS, as in
 *
 *	0@2 map small 3+10 rw private populate
 *	0@1 move small 3+4 pud 30
 */
#include "fuzz.h"

const struct operation operations[NR_OPS] = {
	[OP_MAP] = { "map", "rpku", true, "mmap(): private, shared, fileN, or copyN (a file, privately)" },
	[OP_UNMAP] = { "unmap", "r", true, "munmap()" },
	[OP_PROTECT] = { "protect", "rp", true, "mprotect()" },
	[OP_MOVE] = { "move", "rt", true, "mremap() to another place" },
	[OP_LEAVE] = { "leave", "rt", true, "mremap() that leaves an empty mapping behind" },
	[OP_GROW] = { "grow", "rn", true, "mremap() to a larger size" },
	[OP_SHRINK] = { "shrink", "rn", true, "mremap() to a smaller size" },
	[OP_DONTNEED] = { "dontneed", "r", false, "madvise(), as the following" },
	[OP_FREE] = { "free", "r", false, NULL },
	[OP_COLD] = { "cold", "r", false, NULL },
	[OP_PAGEOUT] = { "pageout", "r", false, NULL },
	[OP_HUGEPAGE] = { "hugepage", "r", true, NULL },
	[OP_NOHUGEPAGE] = { "nohugepage", "r", true, NULL },
	[OP_COLLAPSE] = { "collapse", "r", false, NULL },
	[OP_POPULATE_READ] = { "populate_read", "r", false, NULL },
	[OP_POPULATE_WRITE] = { "populate_write", "r", false, NULL },
	[OP_WILLNEED] = { "willneed", "r", false, NULL },
	[OP_REMOVE] = { "remove", "r", false, NULL },
	[OP_MERGEABLE] = { "mergeable", "r", true, NULL },
	[OP_UNMERGEABLE] = { "unmergeable", "r", true, NULL },
	[OP_WRITE] = { "write", "r", false, "write a word of each page" },
	[OP_SAME] = { "same", "r", false, "write the same word to each page" },
	[OP_READ] = { "read", "r", false, "read each page on this node and compare it" },
	[OP_PEEK] = { "peek", "rq", false, "read another process's pages and compare them" },
	[OP_CHECK] = { "check", "", false, "compare contents and permissions, seen from all nodes" },
	[OP_AGE] = { "age", "r", false, "clear Accessed, read pages, and see which count as referenced" },
	[OP_CLEAR] = { "clear", "", false, "clear soft-dirty" },
	[OP_SOFT] = { "soft", "", false, "compare soft-dirty" },
	[OP_TRACK] = { "track", "r", true, "write-protect pages by userfaultfd, write some, and see which count as written" },
	[OP_SMAPS] = { "smaps", "", false, "read smaps and numa_maps" },
	[OP_MINCORE] = { "mincore", "r", false, "mincore()" },
	[OP_MOVE_PAGES] = { "move_pages", "rN", false, "move_pages() to a node" },
	[OP_MBIND] = { "mbind", "rN", true, "mbind() with MPOL_MF_MOVE" },
	[OP_MIGRATE] = { "migrate", "N", false, "migrate_pages() from all nodes to some" },
	[OP_FORK] = { "fork", "q", false, "fork() a process that goes on" },
	[OP_SPAWN] = { "spawn", "r", false, "fork() a process that compares the pages, writes them, and exits" },
	[OP_EXIT] = { "exit", "", false, "exit" },
	[OP_POLICY] = { "policy", "qy", false, "write a policy of a process" },
	[OP_VERIFY] = { "verify", "", false, "have the kernel check all page tables" },
	[OP_PAUSE] = { "pause", "", false, "give the kernel's threads some time" },
};

static const char * const prot_names[] = { "none", "r", "", "rw" };

static void print_kind(FILE *out, const struct step *step)
{
	if (step->kind == PRIVATE)
		fputs(" private", out);
	else if (step->kind == SHARED && step->object >= FIRST_SHARED)
		fputs(" shared", out);
	else
		fprintf(out, " %s%d", step->kind == COPY ? "copy" : "file", step->object);
}

static void print_nodes(FILE *out, uint32_t nodes)
{
	char separator = ' ';

	for (int i = 0; i < 32; i++)
		if (nodes >> i & 1) {
			fprintf(out, "%c%d", separator, i);
			separator = ',';
		}
}

static void print_policy(FILE *out, const struct step *step)
{
	static const char * const names[] = { "default", "none", "bind", "replicate" };

	fprintf(out, " %s", names[step->policy]);
	if (step->policy >= POLICY_BIND)
		print_nodes(out, step->nodes);
}

static void print_argument(FILE *out, char letter, const struct step *step)
{
	switch (letter) {
	case 'r':
		fprintf(out, " %s %d+%d", areas[step->area].name, step->page, step->pages);
		break;
	case 't':
		fprintf(out, " %s %d", areas[step->to_area].name, step->to_page);
		break;
	case 'n':
		fprintf(out, " %d", step->to_page);
		break;
	case 'p':
		fprintf(out, " %s", prot_names[step->prot]);
		break;
	case 'k':
		print_kind(out, step);
		break;
	case 'u':
		fputs(step->populate ? " populate" : "", out);
		break;
	case 'q':
		fprintf(out, " %d", step->other);
		break;
	case 'N':
		print_nodes(out, step->nodes);
		break;
	case 'y':
		print_policy(out, step);
		break;
	}
}

void print_step(FILE *out, const struct step *step)
{
	const struct operation *operation = &operations[step->op];

	fprintf(out, "%d@%d %s", step->process, step->node, operation->name);
	for (const char *letter = operation->args; *letter; letter++)
		print_argument(out, *letter, step);
	fputc('\n', out);
}

/* Reading */

static bool parse_number(const char *text, unsigned int limit, unsigned int *number)
{
	char *end;
	unsigned long value = text ? strtoul(text, &end, 10) : limit;

	if (value >= limit || end == text || *end)
		return false;
	*number = value;
	return true;
}

static bool parse_area(const char *text, uint8_t *area)
{
	for (int i = 0; text && i < NR_AREAS; i++)
		if (!strcmp(text, areas[i].name)) {
			*area = i;
			return true;
		}
	return false;
}

static bool parse_range(char **rest, struct step *step)
{
	unsigned int page, pages;

	if (!parse_area(strsep(rest, " "), &step->area) ||
	    !parse_number(strsep(rest, "+"), areas[step->area].pages, &page) ||
	    !parse_number(strsep(rest, " "), areas[step->area].pages + 1 - page, &pages) || !pages)
		return false;
	step->page = page;
	step->pages = pages;
	return true;
}

static bool parse_target(char **rest, struct step *step)
{
	unsigned int page;

	if (!parse_area(strsep(rest, " "), &step->to_area) ||
	    !parse_number(strsep(rest, " "), areas[step->to_area].pages, &page) ||
	    page + step->pages > areas[step->to_area].pages)
		return false;
	step->to_page = page;
	return true;
}

static bool parse_prot(const char *text, struct step *step)
{
	for (size_t i = 0; text && *text && i < ARRAY_SIZE(prot_names); i++)
		if (!strcmp(text, prot_names[i])) {
			step->prot = i;
			return true;
		}
	return false;
}

static bool parse_kind(const char *text, struct step *step)
{
	unsigned int object = FIRST_SHARED;

	step->kind = PRIVATE;
	if (!text)
		return false;
	if (!strncmp(text, "copy", 4) || !strncmp(text, "file", 4)) {
		step->kind = *text == 'c' ? COPY : SHARED;
		if (!parse_number(text + 4, FIRST_SHARED, &object))
			return false;
	} else if (!strcmp(text, "shared")) {
		step->kind = SHARED;
	} else if (strcmp(text, "private")) {
		return false;
	}
	step->object = object;
	return true;
}

static bool parse_nodes_of(char **rest, struct step *step)
{
	unsigned int node;

	step->nodes = 0;
	while (*rest && **rest) {
		if (!parse_number(strsep(rest, ","), 32, &node))
			return false;
		step->nodes |= 1U << node;
	}
	return step->nodes;
}

static bool parse_policy(char **rest, struct step *step)
{
	static const char * const names[] = { "default", "none", "bind", "replicate" };
	const char *name = strsep(rest, " ");

	for (size_t i = 0; name && i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i])) {
			step->policy = i;
			if (i == POLICY_BIND)
				return parse_nodes_of(rest, step) && !(step->nodes & (step->nodes - 1));
			return i < POLICY_BIND || parse_nodes_of(rest, step);
		}
	return false;
}

static bool parse_argument(char letter, char **rest, struct step *step)
{
	unsigned int number = 0;

	switch (letter) {
	case 'r':
		return parse_range(rest, step);
	case 't':
		return parse_target(rest, step);
	case 'n':
		if (!parse_number(strsep(rest, " "), areas[step->area].pages + 1 - step->page, &number))
			return false;
		step->to_page = number;
		return number;
	case 'p':
		return parse_prot(strsep(rest, " "), step);
	case 'k':
		return parse_kind(strsep(rest, " "), step);
	case 'u':
		step->populate = *rest && !strcmp(*rest, "populate");
		return !*rest || step->populate;
	case 'q':
		if (!parse_number(strsep(rest, " "), MAX_PROCESSES, &number))
			return false;
		step->other = number;
		return true;
	case 'N':
		return parse_nodes_of(rest, step);
	case 'y':
		return parse_policy(rest, step);
	}
	return false;
}

static bool parse_op(const char *name, struct step *step)
{
	for (int i = 0; name && i < NR_OPS; i++)
		if (!strcmp(name, operations[i].name)) {
			step->op = i;
			return true;
		}
	return false;
}

const char *parse_step(char *line, struct step *step)
{
	unsigned int process, node;

	memset(step, 0, sizeof(*step));
	if (!parse_number(strsep(&line, "@"), MAX_PROCESSES, &process) ||
	    !parse_number(strsep(&line, " "), 256, &node))
		return "a step begins with PROCESS@NODE";
	step->process = process;
	step->node = node;
	if (!parse_op(strsep(&line, " "), step))
		return "no such operation, see --list";
	for (const char *letter = operations[step->op].args; *letter; letter++)
		if (!parse_argument(*letter, &line, step))
			return "wrong arguments, see --list";
	return NULL;
}

void list_operations(FILE *out)
{
	static const struct { char letter; const char *text; } arguments[] = {
		{ 'r', "AREA PAGE+PAGES" }, { 't', "AREA PAGE" }, { 'n', "PAGES" }, { 'p', "none|r|rw" },
		{ 'k', "private|shared|fileN|copyN" }, { 'u', "[populate]" }, { 'q', "PROCESS" },
		{ 'N', "NODE,..." }, { 'y', "default|none|bind NODE|replicate NODE,..." },
	};

	for (int i = 0; i < NR_OPS; i++) {
		fprintf(out, "%s", operations[i].name);
		for (const char *letter = operations[i].args; *letter; letter++)
			for (size_t j = 0; j < ARRAY_SIZE(arguments); j++)
				if (arguments[j].letter == *letter)
					fprintf(out, " %s", arguments[j].text);
		fprintf(out, "%s%s\n", operations[i].help ? "   # " : "", operations[i].help ?: "");
	}
	fputs("\nAREA is one of:", out);
	for (int i = 0; i < NR_AREAS; i++)
		fprintf(out, " %s (%u pages)", areas[i].name, areas[i].pages);
	fputc('\n', out);
}
