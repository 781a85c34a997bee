// SPDX-License-Identifier: GPL-2.0
/* Options, runs one after the other, and reports. */
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>

#include "../lib/runner.h"
#include "fuzz.h"

#define SWAP_SIZE	(256 * MB)
#define KSM		"/sys/kernel/mm/ksm/"

static struct {
	uint64_t seed;
	unsigned int steps, runs, tries, nodes;
	double seconds;
	bool shrink, race, print;
	const char *output;
} options = { .seed = 1, .steps = 150, .tries = 1 };

static const char * const plant_names[] = {
	[PLANT_WRITE] = "write", [PLANT_PROTECT] = "protect", [PLANT_SOFT] = "soft",
};

static void usage(FILE *out)
{
	fprintf(out, "Usage: %s [options] [--replay FILE...]\n"
		"Carry out random steps in processes with threads on all nodes, under policies that change,\n"
		"and compare contents, permissions and soft-dirty of their memory with a model, and their\n"
		"page tables by the kernel's checker. Needs root.\n\n"
		" -s, --seed N           the seed of the first run (default 1); others count on\n"
		" -n, --steps N          steps of a run (default %u, at most %d)\n"
		" -r, --runs N           so many runs (default 1)\n"
		" -t, --seconds N        runs for so long\n"
		" -N, --nodes N          make steps for so many nodes (default: those of this machine)\n"
		" -R, --race             threads go on at the same time, each on pages of its own; the seed\n"
		"                        then decides what each does, but not what meets what\n"
		" -f, --replay FILE...   carry out the steps in files\n"
		" -p, --print            print the steps only\n"
		" -S, --shrink           reduce what fails to the fewest steps, and print them\n"
		" -k, --tries N          when shrinking, try each candidate so often (default 1)\n"
		" -o, --output FILE      write the steps that fail to FILE\n"
		" -w, --patience N       a run in which nothing happens for N seconds hangs (default %.0f)\n"
		" -m, --without-mitosis  any kernel, without policies and checker: tests the model\n"
		" -P, --plant MISTAKE    make a mistake on purpose: write, protect or soft\n"
		" -l, --list             list the operations of which steps consist\n"
		" -h, --help             show this\n\n"
		"Exit status: 0 nothing was found, 1 something was, 2 it could not run.\n",
		program_invocation_short_name, options.steps, MAX_STEPS, patience);
}

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

/* The system */

/* Nothing of the kernel's own accord: it would change what a seed does. */
static void set_up_system(void)
{
	static const struct { const char *path, *text; } knobs[] = {
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "madvise" },
		{ "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "100000000" },
		{ "/proc/sys/kernel/numa_balancing", "0" },
		{ KSM "sleep_millisecs", "10" },
		{ KSM "pages_to_scan", "1000" },
		{ KSM "smart_scan", "0" },
		{ KSM "run", "1" },
	};

	if (exists("/sys/class/zram-control/hot_add"))
		need_swap(SWAP_SIZE);
	else
		fputs("# no zram: without swap, reclaim shows nothing of anonymous pages\n", stderr);
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
		if (exists(knobs[i].path))
			set_knob(knobs[i].path, knobs[i].text);
}

static void on_signal(int signal)
{
	(void)signal;
	undo_all();
	_exit(2);
}

static void undo_at_exit(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], on_signal);
}

static const char *cannot_run(void)
{
	if (without_mitosis)
		return NULL;
	if (geteuid())
		return "needs root";
	if (!exists("/proc/self/pgtable_policy"))
		return "this kernel has no /proc/PID/pgtable_policy (CONFIG_MITOSIS); --without-mitosis tests the model alone";
	if (!exists("/sys/kernel/debug/mitosis/verify"))
		return "no checker: debugfs not mounted, or no CONFIG_MITOSIS_DEBUG";
	return NULL;
}

/* Five levels: an area across the border of the topmost tables. */
static void place_high_area(void)
{
	uintptr_t start = areas[HIGH].start, above = (1UL << 48) - 32 * PAGE;
	void *p = mmap((void *)above, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	areas[HIGH].start = p == (void *)above ? above : start;
	if (p != MAP_FAILED)
		munmap(p, PAGE);
}

/* Files of steps */

static void print_steps(FILE *out, const struct sequence *sequence)
{
	for (unsigned int i = 0; i < sequence->nr; i++)
		print_step(out, &sequence->steps[i]);
}

static void read_steps(const char *path, struct sequence *sequence)
{
	FILE *file = fopen(path, "re");
	char line[512];
	int number = 0;

	if (!file)
		die("cannot open %s: %s", path, strerror(errno));
	sequence->nr = 0;
	while (fgets(line, sizeof(line), file)) {
		const char *wrong;

		number++;
		line[strcspn(line, "#\n")] = '\0';
		while (*line && line[strlen(line) - 1] == ' ')
			line[strlen(line) - 1] = '\0';
		if (!*line)
			continue;
		if (sequence->nr == MAX_STEPS)
			die("%s has more than %d steps", path, MAX_STEPS);
		wrong = parse_step(line, &sequence->steps[sequence->nr++]);
		if (wrong)
			die("%s:%d: %s", path, number, wrong);
	}
	fclose(file);
}

static void write_steps(const struct sequence *sequence)
{
	FILE *file = options.output ? fopen(options.output, "we") : stdout;

	if (!file)
		die("cannot write %s: %s", options.output, strerror(errno));
	if (options.output)
		fprintf(file, "# %s-License-Identifier: GPL-2.0\n", "SPDX");
	print_steps(file, sequence);
	if (file != stdout)
		fclose(file);
}

/* Reports */

static void report(const char *what, const struct sequence *sequence, const struct finding *finding)
{
	printf("%s: %s: ", what, finding_names[finding->kind]);
	if (finding->step < (int)sequence->nr) {
		printf("step %d of %u: ", finding->step, sequence->nr);
		print_step(stdout, &sequence->steps[finding->step]);
	} else {
		printf("after the last of %u steps\n", sequence->nr);
	}
	printf("  %s\n", finding->text);
}

static void reproduce(uint64_t seed)
{
	printf("  again: %s --seed %llu --steps %u --nodes %u%s%s%s\n", program_invocation_short_name,
	       (unsigned long long)seed, options.steps, options.nodes, plant ? " --plant " : "",
	       plant ? plant_names[plant] : "", without_mitosis ? " --without-mitosis" : "");
}

static void shrink_and_report(struct sequence *sequence, struct finding *finding)
{
	unsigned int before = sequence->nr, runs = shrink(sequence, finding, options.tries);

	printf("shrunk from %u steps to %u in %u runs\n", before, sequence->nr, runs);
	report("now", sequence, finding);
}

/* Return whether nothing was found. */
static bool run_one(struct sequence *sequence, const char *what, uint64_t seed)
{
	struct finding finding = run_sequence(sequence);

	if (!finding.kind)
		return true;
	report(what, sequence, &finding);
	if (seed)
		reproduce(seed);
	if (options.shrink)
		shrink_and_report(sequence, &finding);
	if (options.shrink || options.output)
		write_steps(sequence);
	return false;
}

static bool run_seed(uint64_t seed)
{
	static struct sequence sequence;
	char what[64];

	sequence.nr = generate_all(sequence.steps, options.steps, seed, options.nodes);
	snprintf(what, sizeof(what), "seed %llu", (unsigned long long)seed);
	if (options.print) {
		print_steps(stdout, &sequence);
		return true;
	}
	return run_one(&sequence, what, seed);
}

static bool run_race_of(uint64_t seed, double seconds)
{
	struct race race = { .seed = seed, .seconds = seconds };
	struct finding finding = run_race(&race);

	if (!finding.kind)
		return true;
	printf("race of seed %llu: %s\n  %s\n  again: %s --race --seed %llu --seconds %.0f\n",
	       (unsigned long long)seed, finding_names[finding.kind], finding.text,
	       program_invocation_short_name, (unsigned long long)seed, seconds < 1 ? 1 : seconds);
	return false;
}

/* Races of a few seconds each, so that many are begun and ended. */
static bool run_races(void)
{
	double end = now() + options.seconds;
	unsigned long steps = 0;
	uint64_t seed = options.seed;

	do {
		double left = end - now();

		if (!run_race_of(seed, left < 10 ? left : 10))
			return false;
		steps += run->applied;
		seed++;
	} while (now() < end);
	printf("races of seeds %llu to %llu, %lu steps: nothing found\n",
	       (unsigned long long)options.seed, (unsigned long long)seed - 1, steps);
	return true;
}

static bool run_seeds(void)
{
	double end = now() + options.seconds;
	unsigned long runs = 0, steps = 0;

	while (options.seconds ? now() < end && (!options.runs || runs < options.runs) : runs < (options.runs ?: 1)) {
		if (!run_seed(options.seed + runs))
			return false;
		steps += run->applied;
		runs++;
	}
	if (!options.print)
		printf("seeds %llu to %llu, %lu steps: nothing found\n", (unsigned long long)options.seed,
		       (unsigned long long)options.seed + runs - 1, steps);
	return true;
}

static bool replay(char **files)
{
	static struct sequence sequence;
	bool good = true;

	for (; *files; files++) {
		read_steps(*files, &sequence);
		if (run_one(&sequence, *files, 0))
			printf("%s, %u of %u steps: nothing found\n", *files, run->applied, sequence.nr);
		else
			good = false;
	}
	return good;
}

/* The program */

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text || *end || value < least || value > most)
		die("'%s' is none of the numbers from %llu to %llu", text, (unsigned long long)least,
		    (unsigned long long)most);
	return value;
}

static void choose_plant(const char *name)
{
	for (size_t i = 1; i < ARRAY_SIZE(plant_names); i++)
		if (!strcmp(name, plant_names[i]))
			plant = i;
	if (!plant)
		die("no mistake is called '%s', see --help", name);
}

static void parse_option(int option, bool *is_replay)
{
	switch (option) {
	case 's':
		options.seed = number(optarg, 0, UINT64_MAX / 1000 - 1);
		break;
	case 'n':
		options.steps = number(optarg, 1, MAX_STEPS);
		break;
	case 'r':
		options.runs = number(optarg, 1, UINT32_MAX);
		break;
	case 'N':
		options.nodes = number(optarg, 1, 32);
		break;
	case 't':
		options.seconds = number(optarg, 1, 1000000);
		break;
	case 'k':
		options.tries = number(optarg, 1, 1000);
		break;
	case 'w':
		patience = number(optarg, 1, 100000);
		break;
	case 'R':
		options.race = true;
		break;
	case 'f':
		*is_replay = true;
		break;
	case 'p':
		options.print = true;
		break;
	case 'S':
		options.shrink = true;
		break;
	case 'o':
		options.output = optarg;
		break;
	case 'm':
		without_mitosis = true;
		break;
	case 'P':
		choose_plant(optarg);
		break;
	case 'l':
		list_operations(stdout);
		exit(0);
	case 'h':
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

static bool fuzz(char **files, bool is_replay)
{
	run_init(options.nodes);
	if (options.print)
		return run_seeds();
	if (!without_mitosis)
		set_up_system();
	mark_log("fuzz", is_replay ? "replay" : options.race ? "race" : "seeds");
	if (is_replay)
		return replay(files);
	return options.race ? run_races() : run_seeds();
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", required_argument, NULL, 's' }, { "steps", required_argument, NULL, 'n' },
		{ "runs", required_argument, NULL, 'r' }, { "seconds", required_argument, NULL, 't' },
		{ "nodes", required_argument, NULL, 'N' }, { "race", no_argument, NULL, 'R' }, { "replay", no_argument, NULL, 'f' },
		{ "print", no_argument, NULL, 'p' }, { "shrink", no_argument, NULL, 'S' },
		{ "tries", required_argument, NULL, 'k' }, { "output", required_argument, NULL, 'o' },
		{ "patience", required_argument, NULL, 'w' },
		{ "without-mitosis", no_argument, NULL, 'm' }, { "plant", required_argument, NULL, 'P' },
		{ "list", no_argument, NULL, 'l' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	bool is_replay = false, good;
	const char *reason;
	int option;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt_long(argc, argv, "s:n:r:t:N:Rfpo:Sk:w:mP:lh", names, NULL)) != -1)
		parse_option(option, &is_replay);
	if (is_replay && optind == argc)
		die("--replay needs a FILE");
	if (!is_replay && optind < argc)
		die("'%s': files are for --replay", argv[optind]);
	if (options.race && !options.seconds)
		options.seconds = 10;
	reason = options.print ? NULL : cannot_run();
	if (reason)
		die("%s", reason);
	if (!options.nodes)
		options.nodes = full_nodes()->nr ?: 1;
	undo_at_exit();
	place_high_area();
	good = fuzz(argv + optind, is_replay);
	undo_all();
	if (fflush(stdout) || ferror(stdout))
		die("cannot write: %s", strerror(errno));
	return good ? 0 : 1;
}
