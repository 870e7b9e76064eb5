/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "control-client.h"

/*
 * What the ops were asked, and what they answer. A reply already orders the threads; TSan does not
 * see that, so there is a lock.
 */
static pthread_mutex_t asked_lock = PTHREAD_MUTEX_INITIALIZER;

struct asked {
	char last[200];
	uid_t uid;
	size_t connections;
	bool huge; /* connections: one text as long as the longest reply */
	const char *state;
};

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

static void assert_asked(const struct asked *a, const char *expected)
{
	char last[sizeof a->last];

	pthread_mutex_lock(&asked_lock);
	memcpy(last, a->last, sizeof last);
	pthread_mutex_unlock(&asked_lock);
	assert_string_equal(last, expected);
}

static struct asked answers(const struct asked *a)
{
	pthread_mutex_lock(&asked_lock);
	struct asked copy = *a;
	pthread_mutex_unlock(&asked_lock);
	return copy;
}

static void set_state(struct asked *a, const char *text)
{
	pthread_mutex_lock(&asked_lock);
	a->state = text;
	pthread_mutex_unlock(&asked_lock);
}

static void set_connections(struct asked *a, size_t n)
{
	pthread_mutex_lock(&asked_lock);
	a->connections = n;
	pthread_mutex_unlock(&asked_lock);
}

static json_t *op_status(void *ctx, struct control_error *e)
{
	const struct asked a = answers(ctx);

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

	const struct asked want = answers(a);

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

static const struct control_ops ops = {op_status,   op_servers, op_connections, op_explain,
				       op_failover, op_hold,    op_failovers,   op_approvals,
				       op_approve,  op_refuse,  op_revoke};

static const struct control_peer admin = {0, true}, viewer = {1000, false};

static void assert_handled(struct asked *a, const struct control_peer *peer, const char *line,
			   const char *expected)
{
	json_t *reply = control_handle(bytes_str(line), peer, &ops, a);
	_cleanup_free_ char *text = json_dumps(reply, JSON_COMPACT);

	json_decref(reply);
	assert_non_null(text);
	if (strncmp(text, expected, strlen(expected)) != 0)
		fail_msg("%s\n\tgave     %s\n\tand not  %s", line, text, expected);
}

#define ERROR(code) "{\"api\":1,\"ok\":false,\"error\":{\"code\":\"" code "\",\"message\":\""
#define DONE(data)  "{\"api\":1,\"ok\":true,\"data\":" data

static void test_requests_reach_their_ops(void **state)
{
	struct asked a = {.state = "watching", .connections = 2};

	assert_handled(&a, &admin, "{\"cmd\":\"status\"}", DONE("{\"version\":\"0.1.0\""));
	assert_handled(&a, &admin, "{\"cmd\":\"show\",\"what\":\"servers\"}", DONE("[{\"name\":"));
	assert_handled(&a, &admin, "{\"cmd\":\"show\",\"what\":\"failovers\"}",
		       DONE("[{\"server\":"));
	assert_handled(&a, &admin, "{\"cmd\":\"show\",\"what\":\"connections\",\"server\":null}",
		       DONE("[{\"client\":"));
	assert_asked(&a, "connections of all");
	assert_handled(&a, &admin, "{\"cmd\":\"explain\",\"connection\":\"[fd00::7]:99\"}",
		       DONE("{\"client\":\"[fd00::7]:99\""));
	assert_handled(&a, &admin, "{\"cmd\":\"failover\",\"server\":\"web1\"}", DONE("{"));
	assert_asked(&a, "failover web1");
	assert_handled(&a, &admin, "{\"cmd\":\"show\",\"what\":\"approvals\"}",
		       DONE("[{\"failover\":"));
	assert_handled(&a, &admin, "{\"cmd\":\"approve\",\"failover\":\"web1-1\"}", DONE("{"));
	assert_asked(&a, "approve web1-1");
	assert_handled(&a, &admin, "{\"cmd\":\"approve\",\"failover\":\"web1-1\",\"alike\":true}",
		       DONE("{"));
	assert_asked(&a, "approve web1-1 and alike");
	assert_handled(&a, &admin, "{\"cmd\":\"refuse\",\"failover\":\"web1-1\"}", DONE("{"));
	assert_asked(&a, "refuse web1-1");
	assert_handled(&a, &admin, "{\"cmd\":\"revoke\",\"server\":\"web1\"}", DONE("{"));
	assert_asked(&a, "revoke web1");
	assert_handled(&a, &admin, "{\"cmd\":\"hold\",\"server\":null,\"on\":true}", DONE("{"));
	assert_asked(&a, "hold all on");
	assert_handled(&a, &admin, "{\"cmd\":\"hold\",\"server\":\"web1\",\"on\":false}\r",
		       DONE("{"));
	assert_asked(&a, "hold web1 off");
}

static void test_wrong_requests_are_told_why(void **state)
{
	struct asked a = {.last = "nothing"};
	static const struct {
		const char *line, *reply;
	} cases[] = {
		{"", ERROR("bad-json") "line 1, column 0: "},
		{"{\"cmd\":\"status\"", ERROR("bad-json") "line 1, column 15: "},
		{"{\"cmd\":\"status\"}{}", ERROR("bad-json") "line 1, column 17: "},
		{"{\"cmd\":\"status\",\"cmd\":\"hold\"}", ERROR("bad-json")},
		{"\"status\"", ERROR("bad-json")},
		{"[]", ERROR("bad-request") "a request is a JSON object"},
		{"{}", ERROR("bad-request") "'cmd' must be a text"},
		{"{\"cmd\":1}", ERROR("bad-request")},
		{"{\"cmd\":\"stop\"}", ERROR("unknown-command") "there is no command 'stop'"},
		{"{\"cmd\":\"status\",\"x\":1}", ERROR("bad-request") "'status' has no key 'x'"},
		{"{\"cmd\":\"show\"}", ERROR("bad-request") "'what' must be a text"},
		{"{\"cmd\":\"show\",\"what\":\"doors\"}", ERROR("bad-request")},
		{"{\"cmd\":\"show\",\"what\":\"failovers\",\"server\":\"web1\"}",
		 ERROR("bad-request")},
		{"{\"cmd\":\"show\",\"what\":\"servers\",\"server\":\"web1\"}",
		 ERROR("bad-request")},
		{"{\"cmd\":\"show\",\"what\":\"connections\",\"server\":7}", ERROR("bad-request")},
		{"{\"cmd\":\"explain\",\"connection\":\"10.9.0.7\"}", ERROR("bad-request")},
		{"{\"cmd\":\"failover\",\"server\":null}", ERROR("bad-request")},
		/* a misspelt key must never become "hold everything" */
		{"{\"cmd\":\"approve\",\"failover\":\"web1-1\",\"alike\":1}", ERROR("bad-request")},
		{"{\"cmd\":\"approve\"}", ERROR("bad-request") "'failover' must be"},
		{"{\"cmd\":\"approve\",\"failover\":\"a\",\"all\":true}", ERROR("bad-request")},
		{"{\"cmd\":\"hold\",\"servr\":\"web1\",\"on\":true}", ERROR("bad-request")},
		{"{\"cmd\":\"hold\",\"server\":[\"web1\"],\"on\":true}", ERROR("bad-request")},
		{"{\"cmd\":\"hold\",\"server\":\"web1\"}", ERROR("bad-request") "'on' must be"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_handled(&a, &admin, cases[i].line, cases[i].reply);
	assert_asked(&a, "nothing");
	/* The message's length ends in the middle of a character. */
	assert_handled(
		&a, &admin,
		"{\"cmd\":\"failover\",\"server\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xe2\x82\xac"
		"\xe2\x82\xac\xe2\x82\xac\"}",
		ERROR("unknown-server"));
}

static void test_viewers_only_look(void **state)
{
	struct asked a = {.state = "watching", .last = "nothing"};

	assert_handled(&a, &viewer, "{\"cmd\":\"failover\",\"server\":\"web1\"}",
		       ERROR("permission"));
	assert_handled(&a, &viewer, "{\"cmd\":\"hold\",\"on\":true}", ERROR("permission"));
	assert_handled(&a, &viewer, "{\"cmd\":\"approve\",\"failover\":\"web1-1\"}",
		       ERROR("permission"));
	assert_handled(&a, &viewer, "{\"cmd\":\"refuse\",\"failover\":\"web1-1\"}",
		       ERROR("permission"));
	assert_handled(&a, &viewer, "{\"cmd\":\"revoke\",\"server\":\"web1\"}",
		       ERROR("permission"));
	assert_asked(&a, "nothing");
	assert_handled(&a, &viewer, "{\"cmd\":\"status\"}", DONE(""));
	assert_handled(&a, &viewer, "{\"cmd\":\"explain\",\"connection\":\"10.9.0.7:2\"}",
		       DONE(""));
}

/* The socket. */

struct fixture {
	char folder[64], path[96];
	struct asked asked;
	struct control *control;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	strcpy(f->folder, "/tmp/test-control-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->path, sizeof f->path, "%s/run/control.sock", f->folder);
	f->asked.state = "watching";
	f->asked.connections = 1;
	assert_int_equal(control_open(f->path, &ops, &f->asked, &f->control), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
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

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One line, without its newline; NULL at the end of the stream. */
static char *receive(int fd)
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

static void assert_receive(int fd, const char *expected)
{
	_cleanup_free_ char *line = receive(fd);

	assert_non_null(line);
	if (strncmp(line, expected, strlen(expected)) != 0)
		fail_msg("received %s\n\tand not  %s", line, expected);
}

static void assert_end(int fd)
{
	char byte;

	assert_true(recv(fd, &byte, 1, 0) <= 0);
}

static void test_modes(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char run[96];

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	snprintf(run, sizeof run, "%s/run", f->folder);
	assert_int_equal(stat(run, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
}

static void test_lines_in_any_chunking(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = connect_to(f->path);

	send_text(fd, "{\"cmd\":");
	send_text(fd, "\"status\"}\n{\"cmd\":\"hold\",\"on\":true}\n{]\n{\"cmd\":\"sta");
	assert_receive(fd, DONE("{\"version\""));
	assert_receive(fd, DONE("{\"on\":true}"));
	assert_int_equal(answers(&f->asked).uid, getuid());
	assert_receive(fd, ERROR("bad-json") "line 1, column 2");
	send_text(fd, "tus\"}"); /* the last line may lack its newline */
	shutdown(fd, SHUT_WR);
	assert_receive(fd, DONE("{\"version\""));
	assert_end(fd);
}

static void test_second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct control *second = NULL;

	assert_int_equal(control_open(f->path, &ops, &f->asked, &second), -EADDRINUSE);
	_cleanup_close_ int fd = connect_to(f->path); /* and the first client is still answered */
	send_text(fd, "{\"cmd\":\"status\"}\n");
	assert_receive(fd, DONE("{"));
}

static void test_stale_socket_is_replaced(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct control *c;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s/stale", f->folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd); /* as after SIGKILL */
	assert_int_equal(control_open(address.sun_path, &ops, &f->asked, &c), 0);
	_cleanup_close_ int client = connect_to(address.sun_path);
	send_text(client, "{\"cmd\":\"status\"}\n");
	assert_receive(client, DONE("{"));
	control_close(c);
}

static void test_other_files_are_not_removed(void **state)
{
	struct fixture *f = *state;
	struct control *c;
	char path[96];

	snprintf(path, sizeof path, "%s/file", f->folder);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(control_open(path, &ops, &f->asked, &c), -EEXIST);
	assert_int_equal(unlink(path), 0);
	char longest[200];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	assert_int_equal(control_open(longest, &ops, &f->asked, &c), -ENAMETOOLONG);
}

static void test_line_ceiling(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *line = malloc(CONTROL_LINE_MAX_BYTES + 2);
	_cleanup_close_ int fd = connect_to(f->path);

	memset(line, ' ', CONTROL_LINE_MAX_BYTES);
	memcpy(line, "{\"cmd\":\"status\"}", 16);
	strcpy(line + CONTROL_LINE_MAX_BYTES, "\n");
	send_text(fd, line);
	assert_receive(fd, DONE("{"));

	strcpy(line + CONTROL_LINE_MAX_BYTES, " ");
	send_text(fd, line);
	assert_receive(fd, ERROR("line-too-long"));
	assert_end(fd);
	assert_int_equal(control_stats(f->control).lines_refused, 1);
}

/* Connects as another user. Only this thread becomes that user, and only for the call. */
static int connect_as(const char *path, uid_t uid)
{
	assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
	int fd = connect_to(path);
	assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
	return fd;
}

/*
 * Idle clients never keep root out, however many there are. The clients of one user never keep
 * another user out.
 */
static void test_client_ceiling(void **state)
{
	struct fixture *f = *state;
	int fd[CONTROL_CLIENTS_MAX];
	char run[96];

	if (geteuid() != 0)
		return; /* only root can become another user */
	snprintf(run, sizeof run, "%s/run", f->folder);
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(chmod(run, 0755), 0);
	assert_int_equal(chmod(f->path, 0666), 0);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		fd[i] = connect_as(f->path, 1000 + (uid_t)i / CONTROL_CLIENTS_PER_USER);
		send_text(fd[i], "{\"cmd\":\"status\"}\n");
		assert_receive(fd[i], DONE("{"));
	}
	_cleanup_close_ int one_more = connect_as(f->path, 1000);
	assert_receive(one_more, ERROR("too-many-clients"));
	assert_end(one_more);
	_cleanup_close_ int full = connect_as(f->path, 2000);
	assert_receive(full, ERROR("too-many-clients"));
	assert_end(full);
	assert_int_equal(control_stats(f->control).clients_refused, 2);
	assert_int_equal(control_stats(f->control).clients, CONTROL_CLIENTS_MAX);

	_cleanup_close_ int root = connect_to(f->path);
	send_text(root, "{\"cmd\":\"status\"}\n");
	assert_receive(root, DONE("{"));
	assert_end(fd[0]);

	/* A freed place is given away again. The server decides when. */
	close(fd[1]);
	for (bool served = false; !served;) {
		_cleanup_close_ int again = connect_as(f->path, 2000);
		send(again, "{\"cmd\":\"status\"}\n", 17, MSG_NOSIGNAL);
		_cleanup_free_ char *line = receive(again);
		served = line && strncmp(line, DONE(""), strlen(DONE(""))) == 0;
	}
	close(fd[0]);
	for (int i = 2; i < CONTROL_CLIENTS_MAX; i++)
		close(fd[i]);
}

/* Ten clients that ask for a lot and read nothing do not hold up the eleventh. */
static void test_stuck_clients_block_nobody(void **state)
{
	struct fixture *f = *state;
	int stuck[10];

	set_connections(&f->asked, 5000);
	for (int i = 0; i < 10; i++) {
		stuck[i] = connect_to(f->path);
		for (int k = 0; k < 5; k++)
			send_text(stuck[i], "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
	}
	_cleanup_close_ int fd = connect_to(f->path);
	for (int i = 0; i < 20; i++) {
		send_text(fd, "{\"cmd\":\"status\"}\n");
		assert_receive(fd, DONE("{"));
	}
	assert_receive(stuck[3], DONE("[{\"client\""));
	assert_receive(stuck[3], DONE("[{\"client\""));
	for (int i = 0; i < 10; i++)
		close(stuck[i]);
}

static void test_closing_with_clients(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = connect_to(f->path);

	send_text(fd, "{\"cmd\":\"status\"}\n{\"cmd\":");
	assert_receive(fd, DONE("{"));
	f->control = control_close(f->control);
	assert_end(fd);
}

/* One client, driven by hand: ceilings and time limits are tested without waiting for them. */

static int pair(struct control_client *c, struct control_host *host)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(control_client_open(c, host, fd[0], 0), 0);
	return fd[1];
}

static void test_reply_ceilings(void **state)
{
	struct asked a = {.huge = true};
	struct control_host host = {.ops = &ops, .ctx = &a};
	struct control_client c;
	_cleanup_close_ int fd = pair(&c, &host);

	send_text(fd, "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
	assert_true(control_client_turn(&c, POLLIN, 1));
	assert_receive(fd, ERROR("too-large"));
	assert_int_equal(host.replies_refused, 1);

	a.huge = false; /* the ceiling over all clients */
	a.connections = 1;
	host.queued_bytes = CONTROL_QUEUE_MAX_BYTES - 50;
	send_text(fd, "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
	assert_true(control_client_turn(&c, POLLIN, 1));
	assert_receive(fd, ERROR("too-large"));
	assert_int_equal(host.replies_refused, 2);
	assert_int_equal(host.queued_bytes, CONTROL_QUEUE_MAX_BYTES - 50);
	control_client_close(&c);
}

static void test_time_limits(void **state)
{
	struct asked a = {.connections = 5000};
	struct control_host host = {.ops = &ops, .ctx = &a};
	struct control_client c;
	_cleanup_close_ int fd = pair(&c, &host);

	/* The client has asked nothing. */
	assert_true(control_client_turn(&c, 0, CONTROL_IDLE_TIMEOUT_NS - 1));
	assert_false(control_client_turn(&c, 0, CONTROL_IDLE_TIMEOUT_NS));
	assert_int_equal(host.clients_timed_out, 1);

	/* The client asks one byte at a time. */
	int64_t now = 5;
	for (; now < CONTROL_LINE_TIMEOUT_NS; now += CONTROL_LINE_TIMEOUT_NS / 4) {
		send_text(fd, "{");
		assert_true(control_client_turn(&c, POLLIN, now));
	}
	send_text(fd, "{");
	assert_false(control_client_turn(&c, POLLIN, now + 5));
	assert_int_equal(host.clients_timed_out, 2);
	send_text(fd, "\n");
	assert_true(control_client_turn(&c, POLLIN, now));

	/* The client has asked and does not read the answer. */
	now = 5;
	send_text(fd, "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
	assert_true(control_client_turn(&c, POLLIN, now));
	assert_true(host.queued_bytes > 0);
	assert_int_equal(control_client_events(&c), POLLOUT);
	/* A client that reads a little now and then is not stuck. */
	while (now < CONTROL_WRITE_TIMEOUT_NS) {
		char some[100000];
		now += CONTROL_WRITE_TIMEOUT_NS / 2;
		assert_true(recv(fd, some, sizeof some, 0) > 0);
		assert_true(control_client_turn(&c, POLLOUT, now));
	}
	assert_false(control_client_turn(&c, 0, now + CONTROL_WRITE_TIMEOUT_NS));
	assert_int_equal(host.clients_timed_out, 3);
	control_client_close(&c);
	assert_int_equal(host.queued_bytes, 0);
}

/* jeebsctl itself. */

static int jeebsctl(const struct fixture *f, const char *arguments, char *out, size_t size)
{
	char command[512];

	snprintf(command, sizeof command, "%s -s %s %s 2>&1", JEEBSCTL, f->path, arguments);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	size_t n = fread(out, 1, size - 1, p);
	out[n] = 0;
	int r = pclose(p);
	assert_true(WIFEXITED(r));
	return WEXITSTATUS(r);
}

static void test_jeebsctl_status(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "status", out, sizeof out), 0);
	assert_string_equal(out, "OK 2 servers, 1204 of 1210 live connections continuable\n"
				 "version 0.1.0, pid 42, up 1d 01:01:01\n"
				 "connections: 1300 tracked, 1210 live, 0 carried on\n"
				 "capture: 5000 packets, 1 dropped\n"
				 "store: 1.5 MiB of 1.0 GiB, 1204 records\n"
				 "hold: off\n");
	set_state(&f->asked, "taken-over");
	assert_int_equal(jeebsctl(f, "status", out, sizeof out), 1);
	assert_int_equal(strncmp(out, "TAKEN-OVER 2 servers", 20), 0);
	assert_int_equal(jeebsctl(f, "-o json status", out, sizeof out), 1);
	assert_int_equal(strncmp(out, "{\n  \"api\": 1,\n  \"ok\": true,", 26), 0);
}

static void test_jeebsctl_tables(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "show servers", out, sizeof out), 0);
	assert_string_equal(out, "NAME STATE   READY ADDRESSES        BACKUPS  LIVE ARP TCP     "
				 "MISSED BOUND_MS HOLD REASON\n"
				 "web1 healthy yes   10.9.0.1,fd00::1 10.9.0.2   12 ok  refused    "
				 "  3      400 no   -\n");
	assert_int_equal(jeebsctl(f, "show servers -o interface,Name", out, sizeof out), 0);
	assert_string_equal(out, "INTERFACE NAME\neth0      web1\n");
	assert_int_equal(
		jeebsctl(f, "show connections web1 -o client,age,verdict,reason", out, sizeof out),
		0);
	assert_string_equal(
		out, "CLIENT          AGE VERDICT  REASON\n10.9.0.7:51512 12.3 continue range\n");
	assert_asked(&f->asked, "connections of web1");
	assert_int_equal(jeebsctl(f, "show failovers -o server,outcome,because,aborted,why", out,
				  sizeof out),
			 0);
	assert_string_equal(
		out, "SERVER OUTCOME    BECAUSE ABORTED WHY\n"
		     "web1   taken-over -            10 entity-differs=9,backend-failed=1\n");
	assert_int_equal(jeebsctl(f, "show servers -o nome", out, sizeof out), 64);
	assert_non_null(strstr(out, "no column 'nome'; there are: name state"));
	set_connections(&f->asked, 0);
	assert_int_equal(jeebsctl(f, "show connections", out, sizeof out), 0);
}

static void test_jeebsctl_answers(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "explain 10.9.0.7:51512", out, sizeof out), 0);
	assert_non_null(strstr(out, "10.9.0.7:51512: continue (range): sent again from byte 1000\n"
				    "  The handshake was seen.?[2J\n"));
	assert_non_null(strstr(out, "\n  options: mss=1460 sack=yes\n"));
	assert_int_equal(jeebsctl(f, "explain 10.9.0.8:2", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "-o json explain 10.9.0.8:2", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "explain 10.9.0.8:1", out, sizeof out), 1);
	assert_string_equal(out, "jeebsctl: there is no connection from 10.9.0.8:1\n");
	assert_int_equal(jeebsctl(f, "explain nobody", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "failover web1", out, sizeof out), 0);
	assert_asked(&f->asked, "failover web1");
	assert_int_equal(jeebsctl(f, "failover web9", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "approve", out, sizeof out), 0);
	assert_non_null(strstr(out, "web1-1"));
	assert_non_null(strstr(out, "120"));
	assert_int_equal(jeebsctl(f, "approve web1-1 </dev/null", out, sizeof out), 0);
	assert_asked(&f->asked, "approve web1-1");
	assert_non_null(
		strstr(out, "web1 (host-down), silent for 2 s: keys of 120 sessions (tls)"));
	assert_int_equal(jeebsctl(f, "approve web1-1 alike </dev/null", out, sizeof out), 0);
	assert_asked(&f->asked, "approve web1-1 and alike");
	/* It is not among those that wait: the daemon says why. */
	assert_int_equal(jeebsctl(f, "refuse web1-0", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "refuse web1-1", out, sizeof out), 0);
	assert_asked(&f->asked, "refuse web1-1");
	assert_int_equal(jeebsctl(f, "revoke web1", out, sizeof out), 0);
	assert_asked(&f->asked, "revoke web1");
	assert_int_equal(jeebsctl(f, "approve web1-1 web1-2", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "refuse", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "hold", out, sizeof out), 0);
	assert_asked(&f->asked, "hold all on");
	assert_int_equal(jeebsctl(f, "hold web1 off", out, sizeof out), 0);
	assert_asked(&f->asked, "hold web1 off");
	assert_int_equal(jeebsctl(f, "hold web1 web2", out, sizeof out), 64);
}

static void test_jeebsctl_failures(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "stats", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "status now", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "status -o name", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "status --bogus", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "--version", out, sizeof out), 0);
	assert_string_equal(out, "jeebsctl " JEEBS_VERSION "\n");
	assert_int_equal(jeebsctl(f, "-s /nonexistent/sock status", out, sizeof out), 69);
	assert_int_equal(jeebsctl(f, "status >/dev/full", out, sizeof out), 1);
}

/* As a user whom the file mode keeps out, and as a user who may only read. */
static void test_jeebsctl_permissions(void **state)
{
	struct fixture *f = *state;
	char command[1024];

	if (getuid() != 0) {
		print_message("needs root to become somebody else: NOT CHECKED\n");
		skip();
	}
	assert_int_equal(chmod(f->folder, 0755), 0);
	snprintf(command, sizeof command,
		 "install -m 755 %s %s/ctl && setpriv --reuid=65534 --regid=65534 --clear-groups "
		 "%s/ctl -s %s status 2>/dev/null",
		 JEEBSCTL, f->folder, f->folder, f->path);
	int r = system(command);
	assert_int_equal(WEXITSTATUS(r), 77);

	snprintf(command, sizeof command, "chmod 755 %s/run && chmod 666 %s", f->folder, f->path);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof command,
		 "setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '%s/ctl -s %s status "
		 ">/dev/null || exit 99; %s/ctl -s %s hold 2>/dev/null'; r=$?; rm %s/ctl; exit $r",
		 f->folder, f->path, f->folder, f->path, f->folder);
	r = system(command);
	assert_int_equal(WEXITSTATUS(r), 77);
	assert_asked(&f->asked, "");
}

#define in_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_reach_their_ops),
		cmocka_unit_test(test_wrong_requests_are_told_why),
		cmocka_unit_test(test_viewers_only_look),
		in_fixture(test_modes),
		in_fixture(test_lines_in_any_chunking),
		in_fixture(test_second_daemon_is_refused),
		in_fixture(test_stale_socket_is_replaced),
		in_fixture(test_other_files_are_not_removed),
		in_fixture(test_line_ceiling),
		in_fixture(test_client_ceiling),
		in_fixture(test_stuck_clients_block_nobody),
		in_fixture(test_closing_with_clients),
		cmocka_unit_test(test_reply_ceilings),
		cmocka_unit_test(test_time_limits),
		in_fixture(test_jeebsctl_status),
		in_fixture(test_jeebsctl_tables),
		in_fixture(test_jeebsctl_answers),
		in_fixture(test_jeebsctl_failures),
		in_fixture(test_jeebsctl_permissions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
