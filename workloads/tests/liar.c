// SPDX-License-Identifier: GPL-2.0
/*
 * A memcached that lies: it serves one connection on a unix socket and answers every 100th get
 * wrongly. Usage: liar SOCKET honest|flip|swap|drop|short|flags
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_KEYS	4096
#define LIE_EVERY	100

struct value {
	char key[64];
	unsigned int flags, length;
	char *data;
};

static struct value values[MAX_KEYS];
static unsigned int nr_values, nr_gets;
static const char *mode;
static FILE *in, *out;

static void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static void store(const char *line)
{
	struct value *value = &values[nr_values++];
	char end[2];

	if (nr_values > MAX_KEYS ||
	    sscanf(line, "set %63s %u 0 %u", value->key, &value->flags, &value->length) != 3)
		give_up("set");
	value->data = malloc(value->length);
	if (!value->data || fread(value->data, 1, value->length, in) != value->length ||
	    fread(end, 1, 2, in) != 2)
		give_up("set");
	fputs("STORED\r\n", out);
}

static const struct value *find(const char *key)
{
	for (unsigned int i = 0; i < nr_values; i++)
		if (!strcmp(values[i].key, key))
			return &values[i];
	return NULL;
}

/* Make @value, found for a get, the lie of the mode. Return whether there still is an answer. */
static int lie(struct value *value)
{
	if (!strcmp(mode, "flip"))
		value->data[value->length / 2] ^= 1;
	else if (!strcmp(mode, "swap"))
		*value = values[value->key[4] == '0'];
	else if (!strcmp(mode, "short"))
		value->length--;
	else if (!strcmp(mode, "flags"))
		value->flags ^= 1;
	return strcmp(mode, "drop");
}

static void answer(const char *key)
{
	const struct value *found = find(key);
	struct value value;
	char *copy;

	if (!found)
		return;
	value = *found;
	value.data = copy = malloc(value.length);
	if (!copy)
		give_up("get");
	memcpy(copy, found->data, value.length);
	if (++nr_gets % LIE_EVERY || lie(&value)) {
		fprintf(out, "VALUE %s %u %u\r\n", value.key, value.flags, value.length);
		fwrite(value.data, 1, value.length, out);
		fputs("\r\n", out);
	}
	free(copy);
}

static void serve(void)
{
	char line[8192], *key;

	while (fgets(line, sizeof(line), in)) {
		if (!strncmp(line, "set ", 4)) {
			store(line);
		} else {
			strtok(line, " \r\n");
			while ((key = strtok(NULL, " \r\n")))
				answer(key);
			fputs("END\r\n", out);
		}
		fflush(out);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc != 3 || strlen(argv[1]) >= sizeof(address.sun_path))
		return 2;
	strcpy(address.sun_path, argv[1]);
	mode = argv[2];
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
		give_up(argv[1]);
	fd = accept(fd, NULL, NULL);
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	if (!in || !out)
		give_up("accept");
	serve();
	return 0;
}
