/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The library with real sockets; the box is played by this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <errno.h>
#include <jeebs/adopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "adopt-wire.h"

struct rig {
	char dir[32], path[48];
	int listener;
	int box;    /* the box's end of the channel */
	int client; /* the far end of the connection that is handed over */
	int server; /* the box's descriptor of that connection */
	struct jeebs_adopt *a;
};

static void make_connection(struct rig *r)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sa;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	assert_return_code(bind(l, (struct sockaddr *)&sa, n), errno);
	assert_return_code(listen(l, 1), errno);
	assert_return_code(getsockname(l, (struct sockaddr *)&sa, &n), errno);
	r->client = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(connect(r->client, (struct sockaddr *)&sa, n), errno);
	r->server = accept(l, NULL, NULL);
	assert_true(r->server >= 0);
	close(l);
}

static int set_up(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	uint8_t hello[64];

	strcpy(r->dir, "/tmp/jeebs-adopt-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->path, sizeof r->path, "%s/s", r->dir);
	r->listener = jeebs_adopt_listen(r->path, 0600);
	assert_true(r->listener >= 0);
	assert_int_equal(jeebs_adopt_begin(r->listener, NULL, &r->a), -EAGAIN);
	make_connection(r);
	r->box = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	strcpy(sa.sun_path, r->path);
	assert_return_code(connect(r->box, (struct sockaddr *)&sa, sizeof sa), errno);
	assert_int_equal(jeebs_adopt_begin(r->listener, NULL, &r->a), 0);
	ssize_t n = recv(r->box, hello, sizeof hello, 0);
	assert_int_equal(adopt_wire_read_hello(bytes_of(hello, (size_t)n)), ADOPT_WIRE_OK);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *r = *state;

	close(r->listener);
	close(r->box);
	close(r->client);
	close(r->server);
	unlink(r->path);
	rmdir(r->dir);
	free(r);
	return 0;
}

/* Sends one message with @count copies of the descriptor @fd, and empties the writer. */
static void say(struct rig *r, struct writer *w, int fd, int count)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct iovec iov = {w->start, writer_view(w).n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		for (int i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.h) + (size_t)i * sizeof fd, &fd, sizeof fd);
	}
	assert_int_equal(sendmsg(r->box, &m, 0), (ssize_t)iov.iov_len);
	*w = writer_init(w->start, w->room);
}

#define LOG_IN  "one\ntwo\nthr"
#define LOG_OUT "1\n2\n"

static struct adopt_connection usual(void)
{
	struct adopt_connection c = {
		.to_server_end = 11,
		.to_client_end = 4,
		.to_client_acked = 1,
		.n = {11, 4},
		.unsent = 2,
		.protocol_n = 5,
		.protocol = "tally",
	};

	endpoint_parse("10.9.0.1:7000", false, &c.server);
	endpoint_parse("10.9.0.10:40000", false, &c.client);
	return c;
}

static void offer(struct rig *r, const struct adopt_connection *c, int descriptors)
{
	uint8_t room[ADOPT_MESSAGE_MAX];
	struct writer w = WRITER_IN(room);
	struct adopt_bytes in = {ADOPT_PART_TO_SERVER, 0, bytes_str(LOG_IN)};
	struct adopt_bytes out = {ADOPT_PART_TO_CLIENT, 0, bytes_str(LOG_OUT)};

	adopt_wire_connection(&w, c);
	say(r, &w, r->server, descriptors);
	assert_int_equal(jeebs_adopt_step(r->a), descriptors > 1 ? -EPROTO : JEEBS_ADOPT_WAIT);
	adopt_wire_bytes(&w, &in);
	say(r, &w, -1, 0);
	adopt_wire_bytes(&w, &out);
	say(r, &w, -1, 0);
	adopt_wire_end(&w);
	say(r, &w, -1, 0);
}

static struct adopt_verdict verdict(struct rig *r)
{
	uint8_t m[256];
	struct adopt_verdict v = {0};
	ssize_t n = recv(r->box, m, sizeof m, MSG_DONTWAIT);

	assert_true(n > 0);
	assert_int_equal(adopt_wire_read_verdict(bytes_of(m, (size_t)n), &v), ADOPT_WIRE_OK);
	return v;
}

static void expect_client(struct rig *r, const char *want)
{
	char got[64] = "";

	assert_int_equal(recv(r->client, got, sizeof got - 1, MSG_DONTWAIT), strlen(want));
	assert_string_equal(got, want);
}

static void test_taken(void **state)
{
	struct rig *r = *state;
	const struct adopt_connection c = usual();
	char word[8];

	offer(r, &c, 1);
	assert_int_equal(jeebs_adopt_send(r->a), -EINVAL);
	assert_int_equal(jeebs_adopt_step(r->a), JEEBS_ADOPT_OFFERED);
	const struct jeebs_adopt_connection *k = jeebs_adopt_connection(r->a);
	assert_true(k->complete);
	assert_int_equal(k->to_server_end, 11);
	assert_int_equal(k->retained[0].n, 11);
	assert_memory_equal(k->retained[0].p, LOG_IN, 11);
	assert_memory_equal(k->retained[1].p, LOG_OUT, 4);
	assert_string_equal(k->protocol, "tally");
	assert_int_equal(k->server.ss_family, AF_INET);
	assert_int_equal(ntohs(((const struct sockaddr_in *)&k->server)->sin_port), 7000);
	assert_int_equal(jeebs_adopt_take(r->a), 0);
	assert_true(verdict(r).taken);
	/* Only what the socket has not yet been given is sent. */
	assert_int_equal(jeebs_adopt_send(r->a), JEEBS_ADOPT_DONE);
	assert_int_equal(jeebs_adopt_send(r->a), JEEBS_ADOPT_DONE);
	expect_client(r, "2\n");
	assert_int_equal(send(r->client, "ee\n", 3, 0), 3);
	struct pollfd p = {.fd = k->socket, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(k->socket, word, sizeof word, 0), 3);
	jeebs_adopt_close(r->a);
	uint8_t m[16];
	ssize_t n = recv(r->box, m, sizeof m, MSG_DONTWAIT);
	assert_int_equal(n, ADOPT_END_BYTES);
	assert_int_equal(adopt_wire_type(bytes_of(m, (size_t)n)), ADOPT_DONE);
	assert_int_equal(recv(r->box, m, sizeof m, MSG_DONTWAIT), 0);
}

static void test_finished_by_server(void **state)
{
	struct rig *r = *state;
	struct adopt_connection c = usual();
	char word[8];

	c.server_fin = true;
	c.older = true;
	offer(r, &c, 1);
	assert_int_equal(jeebs_adopt_step(r->a), JEEBS_ADOPT_OFFERED);
	assert_false(jeebs_adopt_connection(r->a)->complete);
	assert_int_equal(jeebs_adopt_take(r->a), 0);
	assert_int_equal(jeebs_adopt_send(r->a), JEEBS_ADOPT_DONE);
	expect_client(r, "2\n");
	assert_int_equal(recv(r->client, word, sizeof word, 0), 0);
	jeebs_adopt_close(r->a);
}

static void test_refused(void **state)
{
	struct rig *r = *state;
	const struct adopt_connection c = usual();
	uint8_t m[16];

	offer(r, &c, 1);
	assert_int_equal(jeebs_adopt_step(r->a), JEEBS_ADOPT_OFFERED);
	jeebs_adopt_refuse(r->a, "history-incomplete");
	struct adopt_verdict v = verdict(r);
	assert_false(v.taken);
	assert_string_equal(v.reason, "history-incomplete");
	assert_int_equal(recv(r->box, m, sizeof m, MSG_DONTWAIT), 0);
}

static void expect_reset(struct rig *r)
{
	struct pollfd p = {.fd = r->client, .events = POLLIN};
	char c;

	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(r->client, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void test_box_gives_up(void **state)
{
	struct rig *r = *state;
	const struct adopt_connection c = usual();

	offer(r, &c, 1);
	assert_int_equal(jeebs_adopt_step(r->a), JEEBS_ADOPT_OFFERED);
	close(r->box);
	assert_int_equal(jeebs_adopt_take(r->a), -ECONNRESET);
	assert_int_equal(jeebs_adopt_send(r->a), -EINVAL);
	jeebs_adopt_abort(r->a);
	expect_reset(r); /* although others hold the socket, too */
	r->box = dup(0);
}

static void test_box_dies_halfway(void **state)
{
	struct rig *r = *state;
	const struct adopt_connection c = usual();
	uint8_t room[ADOPT_MESSAGE_MAX];
	struct writer w = WRITER_IN(room);

	adopt_wire_connection(&w, &c);
	say(r, &w, r->server, 1);
	assert_int_equal(jeebs_adopt_step(r->a), JEEBS_ADOPT_WAIT);
	assert_int_equal(shutdown(r->box, SHUT_RDWR), 0);
	assert_int_equal(jeebs_adopt_step(r->a), -ECONNRESET);
	jeebs_adopt_abort(r->a);
}

static void test_no_descriptor(void **state)
{
	struct rig *r = *state;
	const struct adopt_connection c = usual();

	offer(r, &c, 0);
	assert_int_equal(jeebs_adopt_step(r->a), -EPROTO);
	jeebs_adopt_abort(r->a);
}

static void test_two_descriptors(void **state)
{
	struct rig *r = *state;
	const struct adopt_connection c = usual();

	offer(r, &c, 2);
	jeebs_adopt_abort(r->a);
}

static void test_too_large(void **state)
{
	struct rig *r = *state;
	struct jeebs_adopt_options o = {.size = sizeof o, .max_bytes = 14};
	const struct adopt_connection c = usual();
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	uint8_t room[ADOPT_MESSAGE_MAX];
	struct writer w = WRITER_IN(room);
	uint8_t hello[64];

	jeebs_adopt_abort(r->a);
	close(r->box);
	r->box = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	strcpy(sa.sun_path, r->path);
	assert_return_code(connect(r->box, (struct sockaddr *)&sa, sizeof sa), errno);
	assert_int_equal(jeebs_adopt_begin(r->listener, &o, &r->a), 0);
	assert_true(recv(r->box, hello, sizeof hello, 0) > 0);
	adopt_wire_connection(&w, &c);
	say(r, &w, r->server, 1);
	assert_int_equal(jeebs_adopt_step(r->a), -EMSGSIZE);
	struct adopt_verdict v = verdict(r);
	assert_false(v.taken);
	assert_string_equal(v.reason, "too-large");
	jeebs_adopt_abort(r->a);
}

/* The peer is another user. This needs root. */
static void test_peer(void **state)
{
	struct rig *r = *state;
	struct jeebs_adopt *a = NULL;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	jeebs_adopt_abort(r->a);
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(r->dir, 0755), 0);
	assert_int_equal(chmod(r->path, 0666), 0);
	strcpy(sa.sun_path, r->path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(seteuid(65534), 0);
	int e = connect(fd, (struct sockaddr *)&sa, sizeof sa);
	int f = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int g = connect(f, (struct sockaddr *)&sa, sizeof sa);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(e | g, 0);
	assert_int_equal(jeebs_adopt_begin(r->listener, NULL, &a), -EPERM);
	const uid_t nobody = 65534;
	const struct jeebs_adopt_options o = {.size = sizeof o, .uids = &nobody, .uid_count = 1};
	assert_int_equal(jeebs_adopt_begin(r->listener, &o, &a), 0);
	jeebs_adopt_abort(a);
	close(fd);
	close(f);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_taken),           TEST(test_finished_by_server), TEST(test_refused),
		TEST(test_box_gives_up),    TEST(test_box_dies_halfway),   TEST(test_no_descriptor),
		TEST(test_two_descriptors), TEST(test_too_large),          TEST(test_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
