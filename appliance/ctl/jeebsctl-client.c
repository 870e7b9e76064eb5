/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "jeebsctl-client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "control/control.h"
#include "base/log.h"

#define ANSWER_TIMEOUT_S 30
#define READ_BYTES       ((size_t)64 << 10)

static int unavailable(const char *path, const char *what, int error)
{
	fprintf(stderr, "jeebsctl: %s: %s: %s\n", path, what, log_strerror(-error));
	return error == EACCES || error == EPERM ? EXIT_PERMISSION : EXIT_UNAVAILABLE;
}

static int connect_to(const char *path, int *ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_TIMEOUT_S};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return unavailable(path, "cannot make a socket", errno);
	if (strlen(path) >= sizeof address.sun_path)
		return unavailable(path, "cannot connect", ENAMETOOLONG);
	strcpy(address.sun_path, path);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return unavailable(path, "cannot set a time limit", errno);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return unavailable(path, "cannot reach the daemon", errno);
	*ret = take_fd(&fd);
	return EXIT_OK;
}

/* Returns 0 or a positive errno. A daemon that refuses the client may close early; its reply is
 * still read. */
static int send_line(int fd, const json_t *request)
{
	_cleanup_free_ char *line = json_dumps(request, JSON_COMPACT);
	size_t n = line ? strlen(line) : 0;

	if (!line)
		return ENOMEM;
	line[n++] = '\n'; /* replaces the terminating zero */
	for (size_t sent = 0; sent < n;) {
		ssize_t r = send(fd, line + sent, n - sent, MSG_NOSIGNAL);
		if (r < 0 && errno == EPIPE)
			return 0;
		if (r < 0 && errno != EINTR)
			return errno;
		sent += r < 0 ? 0 : (size_t)r;
	}
	return 0;
}

/* Reads up to the newline. Returns 0 or a positive errno. */
static int receive_line(int fd, struct buf *b)
{
	while (b->n == 0 || b->p[b->n - 1] != '\n') {
		int r = buf_reserve(b, READ_BYTES);
		if (r < 0)
			return -r;
		ssize_t n = recv(fd, b->p + b->n, READ_BYTES, 0);
		if (n == 0)
			return ECONNRESET;
		if (n < 0 && errno == EAGAIN)
			return ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return errno;
		b->n += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

int ctl_call(const char *path, const json_t *request, json_t **ret)
{
	_cleanup_(buf_deinit) struct buf answer = BUF_INIT(CONTROL_REPLY_MAX_BYTES + READ_BYTES);
	_cleanup_close_ int fd = -1;
	json_error_t where;
	int error;

	int r = connect_to(path, &fd);
	if (r != EXIT_OK)
		return r;
	if ((error = send_line(fd, request)) > 0 || (error = receive_line(fd, &answer)) > 0)
		return unavailable(path, "no answer", error);
	json_t *reply = json_loadb((const char *)answer.p, answer.n, 0, &where);
	if (json_integer_value(json_object_get(reply, "api")) != CONTROL_API) {
		fprintf(stderr, "jeebsctl: %s: the daemon speaks another protocol\n", path);
		json_decref(reply);
		return EXIT_UNAVAILABLE;
	}
	*ret = reply;
	return EXIT_OK;
}

int ctl_check(const json_t *reply)
{
	static const struct {
		const char *code;
		int exit_code;
	} codes[] = {
		{"permission", EXIT_PERMISSION},
		{"bad-request", EXIT_USAGE},
		{"too-many-clients", EXIT_UNAVAILABLE},
		{"no-memory", EXIT_UNAVAILABLE},
	};
	const json_t *error = json_object_get(reply, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (json_is_true(json_object_get(reply, "ok")))
		return EXIT_OK;
	fprintf(stderr, "jeebsctl: %s\n", message ? message : "refused without a reason");
	for (size_t i = 0; code && i < sizeof codes / sizeof *codes; i++)
		if (strcmp(codes[i].code, code) == 0)
			return codes[i].exit_code;
	return EXIT_NEGATIVE;
}
