// SPDX-License-Identifier: GPL-2.0
/*
 * A client of memcached (text protocol) that can tell whether it was told the truth: flags, length
 * and bytes of every value follow from its key.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../model/mark.h"
#include "common.h"

#define MAX_VALUE	(512 * 1024)
#define MAX_BATCH	64

struct options {
	const char *path;
	uint16_t port;
	unsigned int threads;
	struct ids nodes;
	uint64_t keys;
	uint64_t gets, warmup;
	unsigned int value_size;
	unsigned int batch;
	unsigned int wait, settle;
};

struct client {
	const struct options *opt;
	unsigned int index;
	pthread_t thread;
	FILE *in, *out;
	uint64_t random;
	uint64_t sets, gets, not_stored, misses, wrong;
	double get_seconds;
	char *expected, *received;
};

/* Clients meet when all keys are stored, and when all are warm. */
static pthread_barrier_t barrier;

static void usage(FILE *out)
{
	fputs("Usage: mcclient [options]\n"
	      "Store values in a memcached, get keys at random and check every value.\n\n"
	      " -s, --socket PATH     unix socket of the server\n"
	      " -p, --port PORT       TCP port of the server on 127.0.0.1 (default 11211)\n"
	      " -w, --wait SECONDS    wait so long for the server to come up (default 10)\n"
	      " -t, --threads NR      threads (default: one for each node of --nodes, else 1)\n"
	      " -N, --nodes LIST      pin threads round robin to CPUs of these nodes; 'all' for all\n"
	      " -k, --keys NR         keys to store (default 10000)\n"
	      " -g, --gets NR         keys to get, by all threads together (default 100000)\n"
	      "     --settle SECONDS  get keys for so long before, for the kernel to move memory (default 0)\n"
	      "     --warmup NR       keys to get after that, not measured (default 0)\n"
	      " -v, --value-size NR   largest value in bytes (default 1000)\n"
	      " -b, --batch NR        keys in one request (default 16)\n"
	      " -h, --help            show this\n\n"
	      "Exit status: 0 all right, 1 a value was wrong or missing, 2 could not be run.\n", out);
}

enum { OPT_WARMUP = 256, OPT_SETTLE };

static const struct option long_options[] = {
	{ "socket",	required_argument, NULL, 's' },
	{ "port",	required_argument, NULL, 'p' },
	{ "wait",	required_argument, NULL, 'w' },
	{ "threads",	required_argument, NULL, 't' },
	{ "nodes",	required_argument, NULL, 'N' },
	{ "keys",	required_argument, NULL, 'k' },
	{ "gets",	required_argument, NULL, 'g' },
	{ "settle",	required_argument, NULL, OPT_SETTLE },
	{ "warmup",	required_argument, NULL, OPT_WARMUP },
	{ "value-size",	required_argument, NULL, 'v' },
	{ "batch",	required_argument, NULL, 'b' },
	{ "help",	no_argument,	   NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void set_option(struct options *opt, int option, const char *value)
{
	switch (option) {
	case 's':
		opt->path = value;
		break;
	case 'p':
		opt->port = parse_number("--port", value, 1, 65535);
		break;
	case 'w':
		opt->wait = parse_number("--wait", value, 0, 3600);
		break;
	case 't':
		opt->threads = parse_number("--threads", value, 1, 4096);
		break;
	case 'N':
		opt->nodes = parse_nodes(value);
		break;
	case 'k':
		opt->keys = parse_number("--keys", value, 1, UINT32_MAX);
		break;
	case 'g':
		opt->gets = parse_number("--gets", value, 0, UINT64_MAX);
		break;
	case OPT_SETTLE:
		opt->settle = parse_number("--settle", value, 0, 86400);
		break;
	case OPT_WARMUP:
		opt->warmup = parse_number("--warmup", value, 0, UINT64_MAX);
		break;
	case 'v':
		opt->value_size = parse_number("--value-size", value, 1, MAX_VALUE);
		break;
	case 'b':
		opt->batch = parse_number("--batch", value, 1, MAX_BATCH);
		break;
	case 'h':
		usage(stdout);
		exit(EXIT_SUCCESS);
	default:
		fputs("Try 'mcclient --help'.\n", stderr);
		exit(EXIT_CANNOT);
	}
}

static struct options parse_options(int argc, char **argv)
{
	struct options opt = {
		.port = 11211, .wait = 10, .keys = 10000, .gets = 100000, .value_size = 1000, .batch = 16,
	};
	int option;

	while ((option = getopt_long(argc, argv, "s:p:w:t:N:k:g:v:b:h", long_options, NULL)) != -1)
		set_option(&opt, option, optarg);
	if (optind < argc)
		die("unexpected argument '%s'", argv[optind]);
	if (!opt.threads)
		opt.threads = opt.nodes.nr ? opt.nodes.nr : 1;
	return opt;
}

/* One step of splitmix64: *@state counts, the result is its hash. */
static uint64_t mix(uint64_t *state)
{
	return scramble(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* Write the value of @key to @value; return its length. */
static unsigned int make_value(const struct options *opt, uint64_t key, char *value, uint32_t *flags)
{
	uint64_t state = ~key, word = 0;
	unsigned int length = 1 + mix(&state) % opt->value_size;

	*flags = mix(&state);
	for (unsigned int i = 0; i < length; i++, word >>= 8) {
		if (i % 8 == 0)
			word = mix(&state);
		value[i] = word;
	}
	return length;
}

static int connect_once(const struct options *opt)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct sockaddr_in inet = {
		.sin_family = AF_INET, .sin_port = htons(opt->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const struct sockaddr *address = opt->path ? (void *)&local : (void *)&inet;
	socklen_t length = opt->path ? sizeof(local) : sizeof(inet);
	int one = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("cannot make a socket: %s", strerror(errno));
	if (opt->path && strlen(opt->path) >= sizeof(local.sun_path))
		die("--socket: the path is too long");
	if (opt->path)
		strcpy(local.sun_path, opt->path);
	else
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(fd, address, length))
		return fd;
	close(fd);
	return -1;
}

static void connect_client(struct client *client)
{
	const struct options *opt = client->opt;
	double end = seconds_now() + opt->wait;
	int fd;

	while ((fd = connect_once(opt)) < 0) {
		if (seconds_now() > end)
			die("no server answers at %s after %u s: %s",
			    opt->path ? opt->path : "127.0.0.1", opt->wait, strerror(errno));
		usleep(50000);
	}
	client->in = fdopen(fd, "r");
	client->out = fdopen(dup(fd), "w");
	if (!client->in || !client->out)
		die("out of memory");
}

static void read_line(struct client *client, char *line, int size)
{
	if (!fgets(line, size, client->in))
		die("the server closed the connection");
	line[strcspn(line, "\r\n")] = '\0';
}

static void send_requests(struct client *client)
{
	if (fflush(client->out))
		die("cannot write to the server: %s", strerror(errno));
}

static void send_set(struct client *client, uint64_t key)
{
	uint32_t flags;
	unsigned int length = make_value(client->opt, key, client->expected, &flags);

	fprintf(client->out, "set key-%" PRIu64 " %" PRIu32 " 0 %u\r\n", key, flags, length);
	fwrite(client->expected, 1, length, client->out);
	fputs("\r\n", client->out);
}

/* Store the keys @index, @index + threads, ... in batches. */
static void fill(struct client *client)
{
	const struct options *opt = client->opt;
	uint64_t key = client->index;
	char line[256];

	while (key < opt->keys) {
		unsigned int nr = 0;

		for (; nr < opt->batch && key < opt->keys; nr++, key += opt->threads)
			send_set(client, key);
		send_requests(client);
		client->sets += nr;
		while (nr--) {
			read_line(client, line, sizeof(line));
			client->not_stored += strcmp(line, "STORED") != 0;
		}
	}
}

/*
 * Check one "VALUE key flags length" and the data after it. A server that does not keep to the
 * protocol cannot be followed any further.
 */
static bool check_value(struct client *client, const char *line, uint64_t *key)
{
	unsigned int length, expected;
	uint32_t flags, expected_flags;
	char end[3];

	if (sscanf(line, "VALUE key-%" SCNu64 " %" SCNu32 " %u", key, &flags, &length) != 3 ||
	    length > MAX_VALUE)
		die("the server answered '%s' to a get", line);
	if (fread(client->received, 1, length, client->in) != length ||
	    fread(end, 1, 2, client->in) != 2 || memcmp(end, "\r\n", 2))
		die("the server's value of key-%" PRIu64 " has not the length it says", *key);
	expected = make_value(client->opt, *key, client->expected, &expected_flags);
	return length == expected && flags == expected_flags &&
	       !memcmp(client->received, client->expected, length);
}

/*
 * Read the answer to a get of @keys. Values come in the order of the keys; a key that is passed
 * over is a miss, a key that was not asked for is wrong.
 */
static void read_values(struct client *client, const uint64_t *keys, unsigned int nr)
{
	unsigned int next = 0;
	char line[512];
	uint64_t key;

	for (;;) {
		read_line(client, line, sizeof(line));
		if (!strcmp(line, "END"))
			break;
		if (!check_value(client, line, &key))
			client->wrong++;
		while (next < nr && keys[next] != key) {
			client->misses++;
			next++;
		}
		client->wrong += next == nr;
		next += next < nr;
	}
	client->misses += nr - next;
}

static void get_batch(struct client *client, unsigned int nr)
{
	uint64_t keys[MAX_BATCH];

	fputs("get", client->out);
	for (unsigned int i = 0; i < nr; i++) {
		keys[i] = mix(&client->random) % client->opt->keys;
		fprintf(client->out, " key-%" PRIu64, keys[i]);
	}
	fputs("\r\n", client->out);
	send_requests(client);
	read_values(client, keys, nr);
}

/* Get the client's share of @all keys; return how many that is. */
static uint64_t get_share(struct client *client, uint64_t all)
{
	const struct options *opt = client->opt;
	uint64_t share = part(all, client->index + 1, opt->threads) -
			 part(all, client->index, opt->threads);

	for (uint64_t left = share; left; left -= left < opt->batch ? left : opt->batch)
		get_batch(client, left < opt->batch ? left : opt->batch);
	return share;
}

static void settle(struct client *client)
{
	double end = seconds_now() + client->opt->settle;

	while (seconds_now() < end)
		get_batch(client, client->opt->batch);
}

static void get(struct client *client)
{
	double start;

	settle(client);
	mark_warm();
	get_share(client, client->opt->warmup);
	pthread_barrier_wait(&barrier);
	start = seconds_now();
	mark_begin(0);
	client->gets = get_share(client, client->opt->gets);
	mark_end(0);
	client->get_seconds = seconds_now() - start;
}

static void *run_client(void *arg)
{
	struct client *client = arg;

	pin_thread(&client->opt->nodes, client->index);
	client->random = client->index;
	client->expected = allocate(1, MAX_VALUE);
	client->received = allocate(1, MAX_VALUE);
	fill(client);
	pthread_barrier_wait(&barrier);
	get(client);
	fclose(client->in);
	fclose(client->out);
	free(client->expected);
	free(client->received);
	return NULL;
}

static struct client run_clients(const struct options *opt)
{
	struct client *clients = allocate(opt->threads, sizeof(*clients));
	struct client total = { .opt = opt };

	pthread_barrier_init(&barrier, NULL, opt->threads);
	/* In order, because memcached gives its threads a connection each, in turn. */
	for (unsigned int i = 0; i < opt->threads; i++) {
		clients[i] = (struct client){ .opt = opt, .index = i };
		connect_client(&clients[i]);
	}
	for (unsigned int i = 0; i < opt->threads; i++) {
		if (pthread_create(&clients[i].thread, NULL, run_client, &clients[i]))
			die("cannot start thread %u", i);
	}
	for (unsigned int i = 0; i < opt->threads; i++) {
		struct client *client = &clients[i];

		pthread_join(client->thread, NULL);
		total.sets += client->sets;
		total.gets += client->gets;
		total.not_stored += client->not_stored;
		total.misses += client->misses;
		total.wrong += client->wrong;
		if (total.get_seconds < client->get_seconds)
			total.get_seconds = client->get_seconds;
	}
	free(clients);
	return total;
}

static bool report(const struct client *total)
{
	const struct options *opt = total->opt;
	bool passed = !total->not_stored && !total->misses && !total->wrong;

	printf("threads  %u on %s", opt->threads, opt->nodes.nr ? "nodes " : "any node");
	print_ids(&opt->nodes);
	printf("\nsets     %" PRIu64 ", not stored %" PRIu64 "\n", total->sets, total->not_stored);
	printf("gets     %" PRIu64 " in %.3f s\n", total->gets, total->get_seconds);
	if (total->gets)
		printf("rate     %.0f gets/s\n", total->gets / total->get_seconds);
	printf("misses   %" PRIu64 "\n", total->misses);
	printf("wrong    %" PRIu64 "\n", total->wrong);
	printf("verification %s\n", passed ? "passed" : "failed");
	if (!total->wrong && !passed)
		fputs("mcclient: the server did not keep everything; give it more memory (memcached -m)\n",
		      stderr);
	return passed;
}

int main(int argc, char **argv)
{
	struct options opt = parse_options(argc, argv);
	struct client total;
	bool right;

	signal(SIGPIPE, SIG_IGN);
	total = run_clients(&opt);
	right = report(&total);
	free(opt.nodes.id);
	return right ? EXIT_SUCCESS : EXIT_WRONG;
}
