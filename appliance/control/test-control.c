/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "control-client.h"
#include "test/control-rig.h"

static const struct control_peer admin = {0, true}, viewer = {1000, false};

static void assert_handled(struct asked *a, const struct control_peer *peer, const char *line,
			   const char *expected)
{
	json_t *reply = control_handle(bytes_str(line), peer, &control_rig_ops, a);
	_cleanup_free_ char *text = json_dumps(reply, JSON_COMPACT);

	json_decref(reply);
	assert_non_null(text);
	if (strncmp(text, expected, strlen(expected)) != 0)
		fail_msg("%s\n\tgave     %s\n\tand not  %s", line, text, expected);
}

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
	_cleanup_close_ int fd = control_rig_connect(f->path);

	control_rig_send(fd, "{\"cmd\":");
	control_rig_send(fd, "\"status\"}\n{\"cmd\":\"hold\",\"on\":true}\n{]\n{\"cmd\":\"sta");
	assert_receive(fd, DONE("{\"version\""));
	assert_receive(fd, DONE("{\"on\":true}"));
	assert_int_equal(control_rig_asked(&f->asked).uid, getuid());
	assert_receive(fd, ERROR("bad-json") "line 1, column 2");
	control_rig_send(fd, "tus\"}"); /* the last line may lack its newline */
	shutdown(fd, SHUT_WR);
	assert_receive(fd, DONE("{\"version\""));
	assert_end(fd);
}

static void test_second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct control *second = NULL;

	assert_int_equal(control_open(f->path, &control_rig_ops, &f->asked, &second), -EADDRINUSE);
	_cleanup_close_ int fd =
		control_rig_connect(f->path); /* and the first client is still answered */
	control_rig_send(fd, "{\"cmd\":\"status\"}\n");
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
	assert_int_equal(control_open(address.sun_path, &control_rig_ops, &f->asked, &c), 0);
	_cleanup_close_ int client = control_rig_connect(address.sun_path);
	control_rig_send(client, "{\"cmd\":\"status\"}\n");
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
	assert_int_equal(control_open(path, &control_rig_ops, &f->asked, &c), -EEXIST);
	assert_int_equal(unlink(path), 0);
	char longest[200];
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	assert_int_equal(control_open(longest, &control_rig_ops, &f->asked, &c), -ENAMETOOLONG);
}

static void test_line_ceiling(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *line = malloc(CONTROL_LINE_MAX_BYTES + 2);
	_cleanup_close_ int fd = control_rig_connect(f->path);

	memset(line, ' ', CONTROL_LINE_MAX_BYTES);
	memcpy(line, "{\"cmd\":\"status\"}", 16);
	strcpy(line + CONTROL_LINE_MAX_BYTES, "\n");
	control_rig_send(fd, line);
	assert_receive(fd, DONE("{"));

	strcpy(line + CONTROL_LINE_MAX_BYTES, " ");
	control_rig_send(fd, line);
	assert_receive(fd, ERROR("line-too-long"));
	assert_end(fd);
	assert_int_equal(control_stats(f->control).lines_refused, 1);
}

/* Connects as another user. Only this thread becomes that user, and only for the call. */
static int connect_as(const char *path, uid_t uid)
{
	assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
	int fd = control_rig_connect(path);
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
		control_rig_send(fd[i], "{\"cmd\":\"status\"}\n");
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

	_cleanup_close_ int root = control_rig_connect(f->path);
	control_rig_send(root, "{\"cmd\":\"status\"}\n");
	assert_receive(root, DONE("{"));
	assert_end(fd[0]);

	/* A freed place is given away again. The server decides when. */
	close(fd[1]);
	for (bool served = false; !served;) {
		_cleanup_close_ int again = connect_as(f->path, 2000);
		send(again, "{\"cmd\":\"status\"}\n", 17, MSG_NOSIGNAL);
		_cleanup_free_ char *line = control_rig_receive(again);
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
		stuck[i] = control_rig_connect(f->path);
		for (int k = 0; k < 5; k++)
			control_rig_send(stuck[i], "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
	}
	_cleanup_close_ int fd = control_rig_connect(f->path);
	for (int i = 0; i < 20; i++) {
		control_rig_send(fd, "{\"cmd\":\"status\"}\n");
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
	_cleanup_close_ int fd = control_rig_connect(f->path);

	control_rig_send(fd, "{\"cmd\":\"status\"}\n{\"cmd\":");
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
	struct control_host host = {.ops = &control_rig_ops, .ctx = &a};
	struct control_client c;
	_cleanup_close_ int fd = pair(&c, &host);

	control_rig_send(fd, "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
	assert_true(control_client_turn(&c, POLLIN, 1));
	assert_receive(fd, ERROR("too-large"));
	assert_int_equal(host.replies_refused, 1);

	a.huge = false; /* the ceiling over all clients */
	a.connections = 1;
	host.queued_bytes = CONTROL_QUEUE_MAX_BYTES - 50;
	control_rig_send(fd, "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
	assert_true(control_client_turn(&c, POLLIN, 1));
	assert_receive(fd, ERROR("too-large"));
	assert_int_equal(host.replies_refused, 2);
	assert_int_equal(host.queued_bytes, CONTROL_QUEUE_MAX_BYTES - 50);
	control_client_close(&c);
}

static void test_time_limits(void **state)
{
	struct asked a = {.connections = 5000};
	struct control_host host = {.ops = &control_rig_ops, .ctx = &a};
	struct control_client c;
	_cleanup_close_ int fd = pair(&c, &host);

	/* The client has asked nothing. */
	assert_true(control_client_turn(&c, 0, CONTROL_IDLE_TIMEOUT_NS - 1));
	assert_false(control_client_turn(&c, 0, CONTROL_IDLE_TIMEOUT_NS));
	assert_int_equal(host.clients_timed_out, 1);

	/* The client asks one byte at a time. */
	int64_t now = 5;
	for (; now < CONTROL_LINE_TIMEOUT_NS; now += CONTROL_LINE_TIMEOUT_NS / 4) {
		control_rig_send(fd, "{");
		assert_true(control_client_turn(&c, POLLIN, now));
	}
	control_rig_send(fd, "{");
	assert_false(control_client_turn(&c, POLLIN, now + 5));
	assert_int_equal(host.clients_timed_out, 2);
	control_rig_send(fd, "\n");
	assert_true(control_client_turn(&c, POLLIN, now));

	/* The client has asked and does not read the answer. */
	now = 5;
	control_rig_send(fd, "{\"cmd\":\"show\",\"what\":\"connections\"}\n");
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

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, control_rig_setup, control_rig_teardown)

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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
