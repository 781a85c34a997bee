// SPDX-License-Identifier: GPL-2.0
#include "machine.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES	(MAX_NODES + 1)
#define MAX_LATENCIES	16
#define MAX_DEPTH	4

const char *const page_size_names[] = { "4k", "2m", "1g" };
static const char *const cache_names[] = { "l1", "l2", "l3" };
static const char *const policy_names[] = { "lru", "srrip", "drrip" };
static const char *const kind_names[] = {
	"simple", "multiply", "divide", "float", "float_divide", "serial",
};
static const char *const address_names[] = { "physical", "virtual" };
static const char *const bool_names[] = { "no", "yes" };

/* What a file says that is not yet in the machine's own form. */
struct draft {
	struct machine *machine;
	unsigned int nr_rows, row_length[MAX_NODES];
	unsigned int nr_latencies;
	struct {
		unsigned int distance;
		double cycles;
	} latency[MAX_LATENCIES];
	unsigned int nr_stlbs;
	bool given[64];		/* keys, in any file */
};

/* Where reading is. */
struct place {
	const char *path;
	unsigned int line;	/* 0: the whole file */
	unsigned int depth;
	unsigned int keys;	/* read so far */
	FILE *errors;
	bool given[64];		/* keys, in this file */
};

__attribute__((format(printf, 2, 3)))
static bool wrong(const struct place *place, const char *format, ...)
{
	va_list arguments;

	fprintf(place->errors, "%s:", place->path);
	if (place->line)
		fprintf(place->errors, "%u:", place->line);
	fputc(' ', place->errors);
	va_start(arguments, format);
	vfprintf(place->errors, format, arguments);
	va_end(arguments);
	fputc('\n', place->errors);
	return false;
}

static bool power_of_two(unsigned int number)
{
	return number && !(number & (number - 1));
}

static bool get_number(const struct place *place, const char *text, double low, double high,
		       double *number)
{
	char *end;

	errno = 0;
	*number = strtod(text, &end);
	if (errno || *end || !isdigit((unsigned char)*text) || *number < low || *number > high)
		return wrong(place, "'%s' is not a number from %g to %g", text, low, high);
	return true;
}

static bool get_count(const struct place *place, const char *text, unsigned int low,
		      unsigned int high, unsigned int *count)
{
	double number;

	if (!get_number(place, text, low, high, &number))
		return false;
	*count = number;
	if (*count != number)
		return wrong(place, "'%s' is not a whole number", text);
	return true;
}

static bool get_name(const struct place *place, const char *text, const char *const *names,
		     unsigned int nr_names, unsigned int *index)
{
	unsigned int i;

	for (i = 0; i < nr_names; i++) {
		if (!strcmp(text, names[i])) {
			*index = i;
			return true;
		}
	}
	fprintf(place->errors, "%s:%u: '%s' is none of", place->path, place->line, text);
	for (i = 0; i < nr_names; i++)
		fprintf(place->errors, " %s", names[i]);
	fputc('\n', place->errors);
	return false;
}

#define GET_NAME(place, text, names, index) \
	get_name(place, text, names, sizeof(names) / sizeof((names)[0]), index)

/* Bytes, with K or M. */
static bool get_size(const struct place *place, const char *text, unsigned long *bytes)
{
	char *end;

	*bytes = strtoul(text, &end, 10);
	if (isdigit((unsigned char)*text) && *bytes && *bytes < 1 << 20) {
		if (!strcmp(end, "K"))
			return *bytes <<= 10;
		if (!strcmp(end, "M"))
			return *bytes <<= 20;
	}
	return wrong(place, "'%s' is not a size like 256K or 35M", text);
}

static bool get_tlb(const struct place *place, char **value, struct tlb_shape *shape)
{
	unsigned int entries;

	if (!get_count(place, value[0], 1, 1 << 20, &entries) ||
	    !get_count(place, value[1], 1, 1 << 20, &shape->ways))
		return false;
	if (entries % shape->ways)
		return wrong(place, "%u entries do not divide into %u ways", entries, shape->ways);
	shape->sets = entries / shape->ways;
	if (!power_of_two(shape->sets))
		return wrong(place, "%u entries in %u ways are %u sets, which is not a power of two",
			     entries, shape->ways, shape->sets);
	return true;
}

struct key {
	const char *name;
	unsigned int nr_values;		/* 0: any number */
	bool repeats;
	bool (*read)(struct draft *draft, const struct place *place, const struct key *key,
		     char **value, unsigned int nr_values);
	size_t offset;
	double low, high;
};

static bool read_count(struct draft *draft, const struct place *place, const struct key *key,
		       char **value, unsigned int nr_values)
{
	(void)nr_values;
	return get_count(place, value[0], key->low, key->high,
			 (unsigned int *)((char *)draft->machine + key->offset));
}

static bool read_number(struct draft *draft, const struct place *place, const struct key *key,
			char **value, unsigned int nr_values)
{
	(void)nr_values;
	return get_number(place, value[0], key->low, key->high,
			  (double *)((char *)draft->machine + key->offset));
}

static bool read_execute(struct draft *draft, const struct place *place, const struct key *key,
			 char **value, unsigned int nr_values)
{
	unsigned int kind;

	(void)key, (void)nr_values;
	return GET_NAME(place, value[0], kind_names, &kind) &&
	       get_number(place, value[1], 1, 10000, &draft->machine->execute[kind]);
}

static bool read_dtlb(struct draft *draft, const struct place *place, const struct key *key,
		      char **value, unsigned int nr_values)
{
	unsigned int size;

	(void)key, (void)nr_values;
	return GET_NAME(place, value[0], page_size_names, &size) &&
	       get_tlb(place, value + 1, &draft->machine->dtlb[size]);
}

/* Page sizes joined by '+' share the entries. */
static bool read_stlb(struct draft *draft, const struct place *place, const struct key *key,
		      char **value, unsigned int nr_values)
{
	struct machine *machine = draft->machine;
	unsigned int size;
	char *save, *name;

	(void)key, (void)nr_values;
	if (draft->nr_stlbs == NR_PAGE_SIZES)
		return wrong(place, "more second-level TLBs than page sizes");
	for (name = strtok_r(value[0], "+", &save); name; name = strtok_r(NULL, "+", &save)) {
		if (!GET_NAME(place, name, page_size_names, &size))
			return false;
		if (machine->stlb_of[size] >= 0)
			return wrong(place, "%s pages have a second-level TLB already", name);
		machine->stlb_of[size] = draft->nr_stlbs;
	}
	return get_tlb(place, value + 1, &machine->stlb[draft->nr_stlbs++]);
}

static bool read_psc(struct draft *draft, const struct place *place, const struct key *key,
		     char **value, unsigned int nr_values)
{
	unsigned int level;

	(void)key, (void)nr_values;
	return get_count(place, value[0], 2, MAX_LEVELS, &level) &&
	       get_tlb(place, value + 1, &draft->machine->psc[level]);
}

/* Sets of a private cache are chosen by bits of the address, those of the L3 by a hash. */
static bool read_cache(struct draft *draft, const struct place *place, const struct key *key,
		       char **value, unsigned int nr_values)
{
	struct cache_shape *shape;
	unsigned int level, policy;
	unsigned long bytes;

	(void)key, (void)nr_values;
	if (!GET_NAME(place, value[0], cache_names, &level))
		return false;
	shape = &draft->machine->cache[level];
	if (!get_size(place, value[1], &bytes) || !get_count(place, value[2], 1, 64, &shape->ways) ||
	    !GET_NAME(place, value[3], policy_names, &policy) ||
	    !get_number(place, value[4], 1, 10000, &shape->latency))
		return false;
	shape->policy = policy;
	if (bytes % ((unsigned long)shape->ways << LINE_SHIFT))
		return wrong(place, "%s does not divide into %u ways of lines of %u bytes", value[1],
			     shape->ways, 1U << LINE_SHIFT);
	shape->sets = bytes / ((unsigned long)shape->ways << LINE_SHIFT);
	if (level != CACHE_L3 && !power_of_two(shape->sets))
		return wrong(place, "%s in %u ways are %u sets, which is not a power of two",
			     value[1], shape->ways, shape->sets);
	return true;
}

static bool read_inclusive(struct draft *draft, const struct place *place, const struct key *key,
			   char **value, unsigned int nr_values)
{
	unsigned int inclusive;

	(void)key, (void)nr_values;
	if (!GET_NAME(place, value[0], bool_names, &inclusive))
		return false;
	draft->machine->inclusive = inclusive;
	return true;
}

static bool read_data_address(struct draft *draft, const struct place *place,
			      const struct key *key, char **value, unsigned int nr_values)
{
	unsigned int address;

	(void)key, (void)nr_values;
	if (!GET_NAME(place, value[0], address_names, &address))
		return false;
	draft->machine->data_address = address;
	return true;
}

static bool read_distance(struct draft *draft, const struct place *place, const struct key *key,
			  char **value, unsigned int nr_values)
{
	unsigned int i, row = draft->nr_rows;

	(void)key;
	if (row == MAX_NODES || nr_values > MAX_NODES)
		return wrong(place, "more than %u nodes", MAX_NODES);
	for (i = 0; i < nr_values; i++) {
		if (!get_count(place, value[i], 10, 254, &draft->machine->distance[row][i]))
			return false;
	}
	draft->row_length[row] = nr_values;
	draft->nr_rows++;
	return true;
}

static bool read_latency(struct draft *draft, const struct place *place, const struct key *key,
			 char **value, unsigned int nr_values)
{
	unsigned int i = draft->nr_latencies;

	(void)key, (void)nr_values;
	if (i == MAX_LATENCIES)
		return wrong(place, "more than %u distances", MAX_LATENCIES);
	draft->nr_latencies++;
	return get_count(place, value[0], 10, 254, &draft->latency[i].distance) &&
	       get_number(place, value[1], 1, 100000, &draft->latency[i].cycles);
}

static bool read_file(struct draft *draft, const struct place *outer, const char *path);

/* The machine of another file, but for what this one says. */
static bool read_like(struct draft *draft, const struct place *place, const struct key *key,
		      char **value, unsigned int nr_values)
{
	const char *slash = strrchr(place->path, '/');
	int directory = slash ? slash - place->path + 1 : 0;
	char path[4096];

	(void)key, (void)nr_values;
	if (place->keys > 1)
		return wrong(place, "'like' has to be the first key of its file");
	if (place->depth == MAX_DEPTH)
		return wrong(place, "'like' goes more than %u files deep", MAX_DEPTH);
	snprintf(path, sizeof(path), "%.*s%s.conf", directory, place->path, value[0]);
	return read_file(draft, place, path);
}

#define COUNT(key, low, high) \
	{ #key, 1, false, read_count, offsetof(struct machine, key), low, high }
#define NUMBER(key, low, high) \
	{ #key, 1, false, read_number, offsetof(struct machine, key), low, high }

static const struct key keys[] = {
	NUMBER(frequency, 1, 100000),
	COUNT(width, 1, 64),
	COUNT(rob, 1, 4096),
	COUNT(scheduler, 1, SCHEDULER_MAX),
	COUNT(load_buffer, 1, 4096),
	COUNT(store_buffer, 1, 4096),
	COUNT(fill_buffers, 1, 64),
	COUNT(walkers, 1, 64),
	{ "execute", 2, true, read_execute, 0, 0, 0 },
	NUMBER(atomic, 0, 10000),
	NUMBER(forward, 0, 1000),
	NUMBER(mispredict, 0, 1000),
	COUNT(predictor_bits, 1, 24),
	COUNT(branch_targets, 1, 1 << 20),
	COUNT(return_stack, 1, 1024),
	{ "dtlb", 3, true, read_dtlb, 0, 0, 0 },
	{ "stlb", 3, true, read_stlb, 0, 0, 0 },
	NUMBER(stlb_latency, 0, 1000),
	{ "psc", 3, true, read_psc, 0, 0, 0 },
	{ "cache", 5, true, read_cache, 0, 0, 0 },
	{ "inclusive", 1, false, read_inclusive, 0, 0, 0 },
	{ "data_address", 1, false, read_data_address, 0, 0, 0 },
	{ "distance", 0, true, read_distance, 0, 0, 0 },
	{ "latency", 2, true, read_latency, 0, 0, 0 },
	NUMBER(service, 0.01, 10000),
	NUMBER(load_queue, 0, 100000),
	NUMBER(load_utilisation, 0, 0.999),
	{ "like", 1, false, read_like, 0, 0, 0 },
};

#define NR_KEYS	(sizeof(keys) / sizeof(keys[0]))

static const struct key *find_key(const char *name)
{
	size_t i;

	for (i = 0; i < NR_KEYS; i++) {
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	}
	return NULL;
}

/* A list that a file begins replaces that of the file that it is like. */
static void begin_list(struct draft *draft, const struct key *key)
{
	struct machine *machine = draft->machine;
	unsigned int size;

	if (key->read == read_distance)
		draft->nr_rows = 0;
	if (key->read == read_latency)
		draft->nr_latencies = 0;
	if (key->read == read_psc)
		memset(machine->psc, 0, sizeof(machine->psc));
	if (key->read == read_stlb) {
		draft->nr_stlbs = 0;
		for (size = 0; size < NR_PAGE_SIZES; size++)
			machine->stlb_of[size] = -1;
	}
}

static bool read_line(struct draft *draft, struct place *place, char *line)
{
	char *word, *save, *value[MAX_VALUES];
	unsigned int nr_values = 0;
	const struct key *key;

	line[strcspn(line, "#\n")] = 0;
	word = strtok_r(line, " \t", &save);
	if (!word)
		return true;
	key = find_key(word);
	if (!key)
		return wrong(place, "unknown key '%s'", word);
	place->keys++;
	while ((word = strtok_r(NULL, " \t", &save)) && nr_values < MAX_VALUES)
		value[nr_values++] = word;
	if (key->nr_values ? nr_values != key->nr_values : !nr_values)
		return wrong(place, "'%s' takes %u value(s), not %u", key->name,
			     key->nr_values ? key->nr_values : 1, nr_values);
	if (!place->given[key - keys])
		begin_list(draft, key);
	else if (!key->repeats)
		return wrong(place, "'%s' is given twice", key->name);
	place->given[key - keys] = draft->given[key - keys] = true;
	return key->read(draft, place, key, value, nr_values);
}

static bool read_file(struct draft *draft, const struct place *outer, const char *path)
{
	struct place place = {
		.path = path, .errors = outer->errors, .depth = outer->depth + 1,
	};
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	bool good = true;

	if (!file) {
		wrong(outer->line ? outer : &place, "cannot read machine '%s': %s", path,
		      strerror(errno));
		return false;
	}
	while (good && getline(&line, &size, file) >= 0) {
		place.line++;
		good = read_line(draft, &place, line);
	}
	free(line);
	fclose(file);
	return good;
}

static bool read_settings(struct draft *draft, FILE *errors, const char *const *settings,
			  size_t nr_settings)
{
	struct place place = { .path = "setting", .errors = errors };
	bool good = true;
	size_t i;

	for (i = 0; good && i < nr_settings; i++) {
		char *line = strdup(settings[i]);

		place.line++;
		good = line && read_line(draft, &place, line);
		free(line);
	}
	return good;
}

static bool check_given(const struct draft *draft, const struct place *place)
{
	size_t i;

	for (i = 0; i < NR_KEYS; i++) {
		if (!draft->given[i] && keys[i].read != read_like && keys[i].read != read_stlb &&
		    keys[i].read != read_psc)
			return wrong(place, "key '%s' is missing", keys[i].name);
	}
	for (i = 0; i < NR_PAGE_SIZES; i++) {
		if (!draft->machine->dtlb[i].ways)
			return wrong(place, "no dtlb for %s pages", page_size_names[i]);
	}
	for (i = 0; i < NR_CACHES; i++) {
		if (!draft->machine->cache[i].ways)
			return wrong(place, "no cache %s", cache_names[i]);
	}
	for (i = 0; i < NR_INSN_KINDS; i++) {
		if (!draft->machine->execute[i])
			return wrong(place, "no execute %s", kind_names[i]);
	}
	return true;
}

static bool find_latency(const struct draft *draft, unsigned int distance, double *cycles)
{
	unsigned int i;

	for (i = 0; i < draft->nr_latencies; i++) {
		if (draft->latency[i].distance == distance) {
			*cycles = draft->latency[i].cycles;
			return true;
		}
	}
	return false;
}

static bool connect_nodes(const struct draft *draft, const struct place *place)
{
	struct machine *machine = draft->machine;
	unsigned int i, j, distance;

	machine->nodes = draft->nr_rows;
	for (i = 0; i < machine->nodes; i++) {
		if (draft->row_length[i] != machine->nodes)
			return wrong(place, "%u rows of distances, but row %u has %u",
				     machine->nodes, i, draft->row_length[i]);
		if (machine->distance[i][i] != 10)
			return wrong(place, "the distance of node %u from itself is not 10", i);
		for (j = 0; j < machine->nodes; j++) {
			distance = machine->distance[i][j];
			if (!find_latency(draft, distance, &machine->latency[i][j]))
				return wrong(place, "no latency for distance %u", distance);
		}
	}
	return true;
}

struct machine *machine_read(const char *path, const char *const *settings, size_t nr_settings,
			     FILE *errors)
{
	struct place place = { .path = path, .errors = errors };
	struct machine *machine = calloc(1, sizeof(*machine));
	struct draft draft = { .machine = machine };
	unsigned int size;

	_Static_assert(NR_KEYS <= sizeof(draft.given), "a flag for each key");
	if (!machine)
		return NULL;
	machine->path = strdup(path);
	for (size = 0; size < NR_PAGE_SIZES; size++)
		machine->stlb_of[size] = -1;
	if (read_file(&draft, &place, path) &&
	    read_settings(&draft, errors, settings, nr_settings) &&
	    check_given(&draft, &place) && connect_nodes(&draft, &place))
		return machine;
	machine_free(machine);
	return NULL;
}

void machine_free(struct machine *machine)
{
	free(machine->path);
	free(machine);
}
