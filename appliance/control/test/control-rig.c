/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control-rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

/* A reply already orders the threads. TSan does not see that, so there is a lock. */
static pthread_mutex_t asked_lock = PTHREAD_MUTEX_INITIALIZER;

static void note(struct asked *a, uid_t uid, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void note(struct asked *a, uid_t uid, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&asked_lock);
	va_start(ap, fmt);
	vsnprintf(a->last, sizeof a->last, fmt, ap);
	va_end(ap);
	a->uid = uid;
	pthread_mutex_unlock(&asked_lock);
}

void assert_asked(const struct asked *a, const char *expected)
{
	char last[sizeof a->last];

	pthread_mutex_lock(&asked_lock);
	memcpy(last, a->last, sizeof last);
	pthread_mutex_unlock(&asked_lock);
	assert_string_equal(last, expected);
}

struct asked control_rig_asked(const struct asked *a)
{
	pthread_mutex_lock(&asked_lock);
	struct asked copy = *a;
	pthread_mutex_unlock(&asked_lock);
	return copy;
}

void set_state(struct asked *a, const char *text)
{
	pthread_mutex_lock(&asked_lock);
	a->state = text;
	pthread_mutex_unlock(&asked_lock);
}

void set_connections(struct asked *a, size_t n)
{
	pthread_mutex_lock(&asked_lock);
	a->connections = n;
	pthread_mutex_unlock(&asked_lock);
}

static json_t *op_status(void *ctx, struct control_error *e)
{
	const struct asked a = control_rig_asked(ctx);

	return json_pack("{s:s s:i s:f s:s s:i s:i s:i s:i s:{s:i s:i} s:{s:i s:i s:i s:b} s:b}",
			 "version", "0.1.0", "pid", 42, "uptime_s", 90061.25, "state", a.state,
			 "servers", 2, "connections", 1300, "live", 1210, "continuable", 1204,
			 "capture", "packets", 5000, "drops", 1, "store", "bytes", 3 << 19,
			 "limit_bytes", 1 << 30, "records", 1204, "failing", 0, "hold", 0);
}

static json_t *op_servers(void *ctx, struct control_error *e)
{
	return json_pack("[{s:s s:s s:b s:n s:[s s] s:s s:[s] s:i s:i s:{s:s s:s s:i} s:f s:b}]",
			 "name", "web1", "state", "healthy", "ready", 1, "not_ready_reason",
			 "addresses", "10.9.0.1", "fd00::1", "interface", "eth0", "backups",
			 "10.9.0.2", "connections", 13, "live", 12, "last_probe", "arp", "ok",
			 "tcp", "refused", "missed", 3, "detection_bound_ms", 400.0, "hold", 0);
}

static json_t *connection(const char *client)
{
	return json_pack("{s:s s:s s:i s:s s:s s:f s:i s:i s:i s:i s:s s:s s:s s:s}", "client",
			 client, "server", "10.9.0.1:80", "service", 80, "protocol", "http",
			 "state", "established", "age_s", 12.34, "bytes_to_client", 1000,
			 "bytes_to_server", 100, "in_flight", 10, "retained", 20, "verdict",
			 strcmp(client, "10.9.0.7:51512") == 0 ? "continue" : "refuse", "module",
			 "http", "reason", "range", "detail", "sent again from byte 1000");
}

static json_t *op_connections(void *ctx, const char *server, struct control_error *e)
{
	struct asked *a = ctx;

	const struct asked want = control_rig_asked(a);

	note(a, 0, "connections of %s", server ? server : "all");
	if (server && strcmp(server, "web1") != 0)
		return control_fail(e, "unknown-server", "there is no server '%.32s'", server);
	json_t *list = json_array();
	if (want.huge) {
		_cleanup_free_ char *text = malloc(CONTROL_REPLY_MAX_BYTES);
		memset(text, 'x', CONTROL_REPLY_MAX_BYTES);
		json_array_append_new(list, json_stringn(text, CONTROL_REPLY_MAX_BYTES));
	}
	for (size_t i = 0; i < want.connections; i++)
		json_array_append_new(list, connection("10.9.0.7:51512"));
	return list;
}

static json_t *op_explain(void *ctx, const struct endpoint *client, struct control_error *e)
{
	struct asked *a = ctx;
	char text[ENDPOINT_STRLEN];

	note(a, 0, "explain %s", endpoint_format(client, text));
	if (client->port == 1)
		return control_fail(e, "unknown-connection", "there is no connection from %s",
				    text);
	json_t *c = connection(text);
	json_object_update_new(c, json_pack("{s:[] s:{s:i s:b} s:[s]}", "marks", "options", "mss",
					    1460, "sack", 1, "sentences",
					    "The handshake was seen.\033[2J"));
	return c;
}

static json_t *op_failover(void *ctx, const char *server, uid_t uid, struct control_error *e)
{
	struct asked *a = ctx;

	note(a, uid, "failover %s", server);
	if (strcmp(server, "web1") != 0)
		return control_fail(e, "unknown-server", "there is no server '%s'", server);
	return json_pack("{s:s}", "server", server);
}

static json_t *op_hold(void *ctx, const char *server, bool on, uid_t uid, struct control_error *e)
{
	struct asked *a = ctx;

	note(a, uid, "hold %s %s", server ? server : "all", on ? "on" : "off");
	return json_pack("{s:b}", "on", on);
}

static json_t *op_failovers(void *ctx, struct control_error *e)
{
	return json_pack("[{s:s, s:s, s:n, s:i, s:i, s:i, s:{s:i, s:i}}]", "server", "web1",
			 "outcome", "taken-over", "called_off_because", "live", 12, "continued", 2,
			 "aborted", 10, "aborted_because", "entity-differs", 9, "backend-failed",
			 1);
}

static json_t *op_approvals(void *ctx, struct control_error *e)
{
	struct asked *a = ctx;

	note(a, a->uid, "approvals");
	return json_pack("[{s:s, s:s, s:s, s:f, s:i, s:[s], s:f}]", "failover", "web1-1", "server",
			 "web1", "cause", "host-down", "since_s", 2.5, "sessions", 120, "protocols",
			 "tls", "left_s", 57.0);
}

static json_t *op_approve(void *ctx, const char *failover, bool alike, uid_t uid,
			  struct control_error *e)
{
	struct asked *a = ctx;

	note(a, uid, "approve %s%s", failover, alike ? " and alike" : "");
	return json_pack("{s:s, s:b}", "failover", failover, "approved", 1);
}

static json_t *op_refuse(void *ctx, const char *failover, uid_t uid, struct control_error *e)
{
	struct asked *a = ctx;

	note(a, uid, "refuse %s", failover);
	if (strcmp(failover, "web1-0") == 0)
		return control_fail(e, "too-late", "the time is over");
	return json_pack("{s:s, s:b}", "failover", failover, "refused", 1);
}

static json_t *op_revoke(void *ctx, const char *server, uid_t uid, struct control_error *e)
{
	struct asked *a = ctx;

	note(a, uid, "revoke %s", server);
	return json_pack("{s:s, s:i}", "server", server, "policies", 2);
}

const struct control_ops control_rig_ops = {op_status,   op_servers, op_connections, op_explain,
					    op_failover, op_hold,    op_failovers,   op_approvals,
					    op_approve,  op_refuse,  op_revoke};

int control_rig_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	strcpy(f->folder, "/tmp/test-control-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof f->path, "%s/run/control.sock", f->folder);
	f->asked.state = "watching";
	f->asked.connections = 1;
	assert_int_equal(control_open(f->path, &control_rig_ops, &f->asked, &f->control), 0);
	*state = f;
	return 0;
}

int control_rig_teardown(void **state)
{
	struct fixture *f = *state;
	char run[96];

	control_close(f->control);
	assert_int_equal(access(f->path, F_OK), -1);
	snprintf(run, sizeof run, "%s/run", f->folder);
	assert_int_equal(rmdir(run), 0);
	assert_int_equal(rmdir(f->folder), 0);
	free(f);
	return 0;
}

int control_rig_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

void control_rig_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

char *control_rig_receive(int fd)
{
	_cleanup_(buf_deinit) struct buf b = BUF_INIT(CONTROL_REPLY_MAX_BYTES * 2);

	for (;;) {
		assert_int_equal(buf_reserve(&b, 65536), 0);
		ssize_t n = recv(fd, b.p + b.n, 65536, MSG_PEEK);
		if (n <= 0)
			return NULL;
		uint8_t *end = memchr(b.p + b.n, '\n', (size_t)n);
		size_t take = end ? (size_t)(end - (b.p + b.n)) + 1 : (size_t)n;
		assert_int_equal(recv(fd, b.p + b.n, take, 0), take);
		b.n += take;
		if (end) {
			*end = 0;
			return (char *)take_ptr(b.p);
		}
	}
}

void assert_receive(int fd, const char *expected)
{
	_cleanup_free_ char *line = control_rig_receive(fd);

	assert_non_null(line);
	if (strncmp(line, expected, strlen(expected)) != 0)
		fail_msg("received %s\n\tand not  %s", line, expected);
}

void assert_end(int fd)
{
	char byte;

	assert_true(recv(fd, &byte, 1, 0) <= 0);
}
