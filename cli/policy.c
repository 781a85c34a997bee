// SPDX-License-Identifier: GPL-2.0
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "policy.h"
#include "proc.h"
#include "util.h"

static const char *mode_of(int option)
{
	switch (option) {
	case 'r':
		return "replicate";
	case 'b':
		return "bind";
	case 'n':
		return "none";
	case 'd':
		return "default";
	default:
		return NULL;
	}
}

void policy_option(struct policy_request *request, const char *command, int option,
		   const char *argument)
{
	const char *mode = mode_of(option);

	if (!mode)
		try_help(command);
	if (request->mode)
		usage_error(command, "give one policy: --%s and --%s exclude each other",
			    request->mode, mode);
	request->mode = mode;
	request->text = argument;
}

void policy_validate(struct policy_request *request)
{
	system_nodes("online", &request->online);
	if (request->text &&
	    !node_list_parse(request->text, &request->list, &request->online))
		exit(EXIT_FAILURE);
}

void policy_free(struct policy_request *request)
{
	node_list_free(&request->list);
	nodes_free(&request->online);
}

static bool one_node(const struct policy_request *request, const struct nodes *nodes)
{
	if (nodes->count == 1 || strcmp(request->mode, "bind"))
		return true;
	warnx("--bind takes one node, '%s' names %zu", request->text, nodes->count);
	return false;
}

static char *text_of(const struct policy_request *request, const struct nodes *nodes)
{
	char *list, *text = NULL;

	if (one_node(request, nodes)) {
		list = nodes_text(nodes);
		text = xformat("%s %s", request->mode, list);
		free(list);
	}
	return text;
}

/* Only the kernel can follow the nodes of "all" as the cpuset changes. */
static bool leave_to_kernel(const struct policy_request *request)
{
	return request->list.all && !request->list.inverse &&
	       !strcmp(request->mode, "replicate");
}

char *policy_for(const struct policy_request *request, pid_t pid)
{
	struct nodes allowed, nodes;
	char *text = NULL;

	if (!request->text)
		return xstrdup(request->mode);
	if (leave_to_kernel(request))
		return xformat("%s all", request->mode);

	allowed_nodes(pid, &allowed);
	if (node_list_resolve(&request->list, &allowed, &nodes))
		text = text_of(request, &nodes);
	nodes_free(&nodes);
	nodes_free(&allowed);
	return text;
}

static void nodes_with_tables(struct nodes *nodes)
{
	struct nodes memory;

	system_nodes("has_cpu", nodes);
	system_nodes("has_normal_memory", &memory);
	nodes_intersect(nodes, &memory);
	nodes_free(&memory);
}

/* The kernel tells "all" as the nodes that it means now. */
static char *as_read_back(const char *policy)
{
	struct nodes nodes;
	char *list, *text;

	if (strcmp(policy, "replicate all"))
		return xstrdup(policy);
	nodes_with_tables(&nodes);
	list = nodes_text(&nodes);
	text = xformat("replicate %s", list);
	free(list);
	nodes_free(&nodes);
	return text;
}

static bool is_in_force(pid_t pid, const char *policy)
{
	char *now = proc_read(pid, "pgtable_policy"), *expected = as_read_back(policy);
	bool same = now && (!strcmp(now, policy) || !strcmp(now, expected));

	free(expected);
	free(now);
	return same;
}

static int write_line(int fd, const char *text)
{
	char *line = xformat("%s\n", text);
	int error = write(fd, line, strlen(line)) < 0 ? -errno : 0;

	free(line);
	return error;
}

int policy_write(pid_t pid, const char *policy)
{
	int fd = proc_open(pid, "pgtable_policy", O_WRONLY), error;

	if (fd < 0)
		return -errno;
	error = write_line(fd, policy);
	close(fd);
	if (error == -EINTR && is_in_force(pid, policy))
		return -EINPROGRESS;
	return error;
}

void usable_nodes(pid_t pid, struct nodes *nodes)
{
	struct nodes allowed;

	nodes_with_tables(nodes);
	allowed_nodes(pid, &allowed);
	nodes_intersect(nodes, &allowed);
	nodes_free(&allowed);
}

static char *nodes_to_choose(pid_t pid)
{
	struct nodes nodes;
	char *text;

	usable_nodes(pid, &nodes);
	text = nodes.count ? nodes_text(&nodes) : xstrdup("none");
	nodes_free(&nodes);
	return text;
}

static void explain_nodes(pid_t pid, const char *policy, const char *why)
{
	char process[PROCESS_TEXT], *nodes = nodes_to_choose(pid);

	warnx("'%s': %s; nodes that %s can have: %s", policy, why,
	      process_text(process, pid), nodes);
	free(nodes);
}

static int explain_interrupted(pid_t pid, const char *policy)
{
	char process[PROCESS_TEXT], *now = proc_read(pid, "pgtable_policy");

	if (!now)
		return explain_process(pid, "pgtable_policy", errno);
	warnx("a signal came while %s waited for an earlier change: its policy is '%s', not '%s'; try again",
	      process_text(process, pid), now, policy);
	free(now);
	return EXIT_FAILURE;
}

int policy_explain(pid_t pid, const char *policy, int error)
{
	char process[PROCESS_TEXT];

	process_text(process, pid);
	switch (error) {
	case EINVAL:
		warnx("the kernel takes '%s' for no policy: those are default, none, bind N and replicate LIST, with node numbers that it knows",
		      policy);
		break;
	case ENODEV:
		explain_nodes(pid, policy,
			      "a node is not online, or no node has both CPUs and memory for the kernel");
		break;
	case EPERM:
		explain_nodes(pid, policy,
			      "a node is outside the cpuset; 'all' leaves such nodes out");
		break;
	case E2BIG:
		warnx("the policy is %zu bytes long, with the newline, and the kernel takes 4095: write ranges, or 'all'",
		      strlen(policy) + 1);
		break;
	case ESRCH:
		warnx("%s has exited, or has run another program meanwhile: nothing was changed",
		      process);
		break;
	case EINTR:
		return explain_interrupted(pid, policy);
	case EINPROGRESS:
		warnx("a signal came while the page tables of %s were being moved: the policy '%s' is in force and the kernel finishes in the background",
		      process, policy);
		break;
	default:
		return explain_process(pid, "pgtable_policy", error);
	}
	return EXIT_FAILURE;
}

int policy_take(const char *policy)
{
	int error = -policy_write(0, policy), status = EXIT_SUCCESS;

	if (error)
		status = policy_explain(0, policy, error);
	return error == EINPROGRESS ? EXIT_SUCCESS : status;
}
