/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conversations of several connections. */
#include "test/join-rig.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "join-channel-sys.h"

#define KIB (size_t)1024
#define MIB (1024 * KIB)

/* Shared by the test and its step functions. Does not change after the join has ended. */
static struct scene {
	struct jeebs_join *main, *channel[32];
	uint32_t channels;
	uint16_t data_port; /* the backend's */
	uint16_t client_port;
	uint16_t from_port;
	_Atomic uint16_t listens; /* port at which the client is expected */
	_Atomic uint32_t closed, failed;
	uint32_t states_freed;
} scene;

static struct join_config config(void)
{
	return JOIN_CONFIG_DEFAULT;
}

static void companion_free(void *ctx, void *state)
{
	assert_ptr_equal(ctx, &scene);
	scene.states_freed++;
	free(state);
}

static void count_ends(uint32_t event)
{
	if (event == JEEBS_EV_CHANNEL_CLOSED)
		scene.closed++;
	if (event == JEEBS_EV_CLIENT_FAILED)
		scene.failed++;
}

static struct join_related related(struct rig *r, int *ret_client, const char *log)
{
	struct join_request q = {.client_fd = -1};
	if (ret_client != NULL)
		q = rig_request(r, 0, ret_client);
	return (struct join_related){
		.tag = 5,
		.server_port = 20,
		.client_port = 3000,
		.client_fd = q.client_fd,
		.cut = {.to_server_end = 100 + strlen(log), .ended = ret_client == NULL},
		.log = {rig_log(100, log, strlen(log))},
		.state = rig_copy("state", 6),
		.ctx = &scene,
		.state_free = companion_free,
	};
}

static void wait_for(_Atomic uint32_t *count, uint32_t n)
{
	for (int64_t limit = clock_mono_ns() + 60 * NS_PER_S; *count < n;)
		assert_true(clock_mono_ns() < limit);
}

static uint16_t wait_for_port(void)
{
	for (int64_t limit = clock_mono_ns() + 60 * NS_PER_S; scene.listens == 0;)
		assert_true(clock_mono_ns() < limit);
	return scene.listens;
}

static int accept_at(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	rig_time_limit(fd);
	return fd;
}

/* ---- related connections ------------------------------------------------------------------ */

/* The main connection says what it does. The upload goes on when the backup has named a port. */
static void step_upload(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	const struct jeebs_related *up = &cut->related[0], *over = &cut->related[1];

	count_ends(event);
	if (event == JEEBS_EV_START) {
		assert_int_equal(cut->related_n, 2);
		assert_int_equal(up->tag, 5);
		assert_string_equal(up->state, "state");
		assert_true(over->cut.ended);
		assert_null(ops->related(j, 1));
		assert_null(ops->related(j, 2));
		scene.main = j;
		scene.channel[0] = ops->related(j, 0);
		ops->to_backend(j, rig_text("STOR"));
		ops->log_to_backend(scene.channel[0], 102, 106);
		ops->pass(scene.channel[0], JEEBS_TO_SERVER);
		ops->pass(scene.channel[0], JEEBS_TO_CLIENT);
	} else if (j == scene.main && event == JEEBS_EV_BACKEND_DATA) {
		if (b.p[0] == '1')
			ops->backend_port(scene.channel[0], scene.data_port);
		ops->to_client(j, b);
		if (b.p[0] == '2') {
			ops->pass(j, JEEBS_TO_CLIENT);
			ops->pass(j, JEEBS_TO_SERVER);
		}
	}
	if (event != JEEBS_EV_CHANNEL_CLOSED)
		assert_int_equal(up->cut.log(up->cut.flow, JEEBS_TO_SERVER, 104).n,
				 scene.closed ? 0 : 2);
	assert_int_equal(over->cut.log(over->cut.flow, JEEBS_TO_SERVER, 100).n, 4);
}

static void test_an_upload_goes_on(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_upload};
	struct endpoint other;
	int client, upload, listener = rig_listen(1, &other);
	struct join_request q = rig_request(r, 1, &client);
	struct join_related rel[2] = {related(r, &upload, "012345"), related(r, NULL, "over")};

	scene = (struct scene){.data_port = other.port};
	rig_with_script(&q, &s);
	q.related = rel;
	q.related_n = 2;
	rig_submit(r, &q);
	assert_int_equal(join_active(r->pool), 2);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "STOR");
	struct rig_flow up = {.fd = upload, .seed = 8, .n = 4 * MIB, .finish = true};
	rig_start_send(&up); /* before the backup has named a port */
	struct pollfd asked = {.fd = listener, .events = POLLIN};
	assert_int_equal(poll(&asked, 1, 20), 0);
	rig_send(backend, "150 ok", 6);
	rig_expect_bytes(client, "150 ok");
	int data = accept_at(listener);
	rig_expect_bytes(data, "2345");
	rig_recv_stream(data, 8, 4 * MIB);
	rig_expect_eof(data);
	close(data);
	rig_join(&up);
	rig_expect_eof(upload);
	close(upload);
	wait_for(&scene.closed, 1);
	rig_send(backend, "226 done", 8);
	rig_expect_bytes(client, "226 done");
	close(client);
	rig_expect_eof(backend);
	close(backend);
	rig_expect(r, 1, NULL);
	assert_string_equal(s.seen, "SUDCD");
	assert_int_equal(r->end[1].to_server_bytes, 4 + 4 + 4 * MIB);
	assert_int_equal(r->states_freed, 1);
	assert_int_equal(scene.states_freed, 2);
	close(listener);
	rig_free(r);
}

/* ---- new connections ------------------------------------------------------------------------ */

static void step_open(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct jeebs_address a;
	uint16_t port = 0;

	count_ends(event);
	if (event == JEEBS_EV_START) {
		scene.main = j;
		ops->address(j, JEEBS_END_CLIENT, &a);
		a.port = scene.client_port;
		struct jeebs_join *c = a.port ? ops->connect_client(j, &a, scene.from_port)
					      : ops->listen_client(j, &port);
		assert_non_null(c);
		ops->to_client(c, rig_text("first "));
		ops->pass(c, JEEBS_TO_SERVER);
		if (scene.data_port)
			ops->backend_port(c, scene.data_port);
		scene.channel[scene.channels++] = c;
		scene.listens = port;
	} else if (event == JEEBS_EV_CLIENT_UP) {
		ops->connect_backend(j);
	} else if (j == scene.main && event == JEEBS_EV_CLIENT_EOF) {
		ops->finish_client(j); /* the others go on */
	} else if (event == JEEBS_EV_BACKEND_DATA) {
		ops->to_client(j, b);
	} else if (event == JEEBS_EV_BACKEND_EOF) {
		ops->finish_client(j);
	}
}

static int connect_from(const char *address, uint16_t port, int reuse)
{
	struct endpoint from, to;
	struct sockaddr_storage ss;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(endpoint_parse(address, true, &from), 0);
	assert_int_equal(endpoint_parse("127.0.0.1", true, &to), 0);
	to.port = port;
	socklen_t n = endpoint_to_sockaddr(&from, &ss);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
	n = endpoint_to_sockaddr(&to, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, n), 0);
	rig_time_limit(fd);
	return fd;
}

/* A download: the backup sends and finishes, then the client finishes. */
static void download(int client, int listener)
{
	int data = accept_at(listener);
	struct rig_flow down = {.fd = data, .seed = 4, .n = 2 * MIB, .finish = true};

	rig_start_send(&down);
	rig_expect_bytes(client, "first ");
	rig_recv_stream(client, 4, 2 * MIB);
	rig_expect_eof(client);
	rig_join(&down);
	rig_send(client, "thanks", 6);
	close(client);
	rig_expect_bytes(data, "thanks");
	rig_expect_eof(data);
	close(data);
}

static void test_a_client_that_connects(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_open};
	struct endpoint other;
	struct join_stats stats;
	int main_client, listener = rig_listen(1, &other);
	struct join_request q = rig_request(r, 1, &main_client);

	scene = (struct scene){.data_port = other.port};
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	uint16_t port = wait_for_port();
	assert_true(port != r->service.port);
	for (int i = 0; i < 3; i++) {
		int stranger = connect_from("127.0.0.2", port, 0);
		rig_expect_reset(stranger);
		close(stranger);
	}
	int client = connect_from("127.0.0.1", port, 0);
	rig_send(client, "early ", 6);
	/* The conversation ends, its transfer goes on. */
	close(main_client);
	int data = accept_at(listener);
	rig_expect_bytes(data, "early ");
	assert_int_equal(join_active(r->pool), 2);
	rig_send(data, "x", 1);
	rig_expect_bytes(client, "first x");
	assert_false(rig_has_ended(r, 1));
	close(data);
	rig_expect_eof(client);
	close(client);
	rig_expect(r, 1, NULL);
	assert_int_equal(scene.closed, 1);
	join_pool_stats(r->pool, &stats);
	assert_int_equal(stats.strangers, 3);
	assert_int_equal(stats.channels, 1);
	assert_int_equal(stats.closed, 1);
	assert_int_equal(r->end[1].to_client_bytes, 7);
	assert_int_equal(r->end[1].to_server_bytes, 6);
	close(listener);
	rig_free(r);
}

static uint16_t port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage ss;
	struct endpoint e;
	socklen_t n = sizeof ss;

	assert_int_equal(name(fd, (struct sockaddr *)&ss, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &e), 0);
	return e.port;
}

/* From a free port; from one that may not be shared; from one that is already used towards this
 * client. */
static void test_a_client_that_is_called(void **st)
{
	struct endpoint other, at;
	int listener = rig_listen(4, &other), waits = rig_listen(4, &at), keeper = -1;

	for (int i = 0; i < 3; i++) {
		struct rig *r = rig_new(config());
		struct rig_script s = {.step = step_open};
		int main_client;
		struct join_request q = rig_request(r, 1, &main_client);
		if (i > 0) {
			keeper = connect_from("127.0.0.1", at.port, i == 2);
			close(accept_at(waits));
		} else {
			keeper = rig_listen(1, &q.backend); /* a free port */
		}
		uint16_t from = port_of(keeper, getsockname);
		if (i == 0)
			close(keeper);
		scene = (struct scene){
			.data_port = other.port, .client_port = at.port, .from_port = from};
		rig_with_script(&q, &s);
		rig_submit(r, &q);
		int client = accept_at(waits);
		assert_int_equal(port_of(client, getpeername) == from, i == 0);
		download(client, listener);
		wait_for(&scene.closed, 1);
		close(main_client);
		rig_expect(r, 1, NULL);
		assert_memory_equal(s.seen, "SuUD", 4);
		if (i > 0)
			close(keeper);
		rig_free(r);
	}
	close(listener);
	close(waits);
}

/* The client does not come, does not answer, or its port is closed. */
static void test_a_client_that_does_not_come(void **st)
{
	for (int i = 0; i < 2; i++) {
		struct join_config c = config();
		c.client_timeout_ns = 100 * NS_PER_MS;
		struct rig *r = rig_new(c);
		struct rig_script s = {.step = step_open};
		struct join_stats stats;
		struct endpoint closed;
		int main_client;
		struct join_request q = rig_request(r, 1, &main_client);
		close(rig_listen(1, &closed));
		scene = (struct scene){.client_port = i ? closed.port : 0};
		rig_with_script(&q, &s);
		rig_submit(r, &q);
		wait_for(&scene.failed, 1);
		assert_false(rig_has_ended(r, 1));
		close(main_client);
		rig_expect(r, 1, NULL);
		assert_string_equal(s.seen, "Sfe");
		join_pool_stats(r->pool, &stats);
		assert_int_equal(stats.channel_failed, 1);
		rig_free(r);
	}
}

/* Connections of strangers do not extend the wait. */
static void test_strangers_win_no_time(void **st)
{
	struct join_config c = config();
	c.client_timeout_ns = 200 * NS_PER_MS;
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_open};
	int main_client;
	struct join_request q = rig_request(r, 1, &main_client);

	scene = (struct scene){0};
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	uint16_t port = wait_for_port();
	int64_t begun = clock_mono_ns();
	while (scene.failed == 0) {
		struct endpoint to;
		struct sockaddr_storage ss;
		assert_int_equal(endpoint_parse("127.0.0.1", true, &to), 0);
		to.port = port;
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in from = {.sin_family = AF_INET,
					   .sin_addr.s_addr = htonl(0x7f000003)};
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
		socklen_t n = endpoint_to_sockaddr(&to, &ss);
		(void)connect(fd, (struct sockaddr *)&ss, n); /* refused when the wait is over */
		close(fd);
		assert_true(clock_mono_ns() - begun < 30 * NS_PER_S);
	}
	close(main_client);
	rig_expect(r, 1, NULL);
	rig_free(r);
}

/* The client connects and leaves before it is looked at. It is still recognised as the client. */
static void step_hasty(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	uint16_t port = 0;

	count_ends(event);
	if (event == JEEBS_EV_START) {
		assert_non_null(ops->listen_client(j, &port));
		rig_reset(connect_from("127.0.0.1", port, 0));
	}
}

static void test_a_client_that_is_gone_at_once(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_hasty};
	int client;
	struct join_request q = rig_request(r, 1, &client);

	scene = (struct scene){0};
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	wait_for(&scene.closed, 1);
	rig_reset(client);
	rig_expect(r, 1, "client-reset");
	assert_string_equal(s.seen, "SuC");
	rig_free(r);
}

/* ---- ends ----------------------------------------------------------------------------------- */

/* One related channel, and one that waits. The client's first word causes what s->number says. */
static void step_ends(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	uint16_t port = 0;

	count_ends(event);
	if (event == JEEBS_EV_START) {
		scene.main = j;
		scene.channel[0] = ops->related(j, 0);
		ops->backend_port(scene.channel[0], scene.data_port);
		ops->pass(scene.channel[0], JEEBS_TO_SERVER);
		ops->pass(scene.channel[0], JEEBS_TO_CLIENT);
		scene.channel[1] = ops->listen_client(j, &port);
		scene.listens = port;
	}
	if (event != JEEBS_EV_CLIENT_DATA || j != scene.main)
		return;
	switch (s->number) {
	case 0:
		ops->abort(j, "main-aborted");
		break;
	case 1:
		ops->abort(scene.channel[0], "data-aborted");
		ops->abort(scene.channel[1], "data-aborted");
		break;
	case 2:
		ops->to_client(scene.channel[0],
			       rig_text("after pass")); /* the pool may still send it */
		ops->finish_client(scene.channel[0]);
		ops->to_client(scene.channel[0], rig_text("after the end"));
		break;
	}
}

static void ends(uint32_t how)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_ends, .number = how};
	struct endpoint other;
	int client, data, listener = rig_listen(1, &other);
	struct join_request q = rig_request(r, 1, &client);
	struct join_related rel = related(r, &data, "log");

	scene = (struct scene){.data_port = other.port};
	rig_with_script(&q, &s);
	q.related = &rel;
	q.related_n = 1;
	rig_submit(r, &q);
	rig_send(data, "x", 1);
	int backend = accept_at(listener);
	rig_expect_bytes(backend, "x");
	wait_for_port();
	if (how <= 2)
		rig_send(client, "go", 2);
	if (how == 3) {
		rig_reset(data);
		rig_expect_reset(backend);
	} else if (how == 4) {
		rig_reset(client);
		rig_expect_reset(data);
		rig_expect_reset(backend);
	} else {
		rig_expect_reset(data);
		rig_expect_reset(backend);
	}
	if (how == 0)
		rig_expect_reset(client);
	if (how == 1 || how == 2 || how == 3) {
		wait_for(&scene.closed, 1);
		assert_false(rig_has_ended(r, 1));
		rig_reset(client);
	}
	rig_expect(r, 1, how == 0 ? "main-aborted" : "client-reset");
	if (how == 0 || how == 4)
		assert_int_equal(scene.closed + scene.failed, 0);
	assert_int_equal(scene.failed, how == 1);
	assert_int_equal(r->states_freed, 1);
	assert_int_equal(scene.states_freed, 1);
	if (how != 3)
		close(data);
	if (how == 0)
		close(client);
	close(backend);
	close(listener);
	rig_free(r);
}

static void test_ends_of_a_conversation(void **st)
{
	for (uint32_t how = 0; how <= 4; how++)
		ends(how);
}

/* When the module is told of the last channel's end, it may open another one, even if the main
 * connection is gone. */
static void step_again(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	uint16_t port = 0;

	count_ends(event);
	if (event == JEEBS_EV_START) {
		scene.main = j;
		ops->finish_client(j);
	}
	if (event == JEEBS_EV_START || (event == JEEBS_EV_CLIENT_FAILED && scene.failed < 3))
		assert_non_null(ops->listen_client(scene.main, &port));
	if (event == JEEBS_EV_CLIENT_FAILED)
		ops->to_client(scene.main, rig_text("nobody is there"));
}

static void test_channels_after_the_main_one(void **st)
{
	struct join_config c = config();
	c.client_timeout_ns = 20 * NS_PER_MS;
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_again};
	int client;
	struct join_request q = rig_request(r, 1, &client);

	scene = (struct scene){0};
	rig_with_script(&q, &s);
	q.cut.client_fin = 1;
	rig_submit(r, &q);
	rig_expect_eof(client);
	assert_false(rig_has_ended(r, 1));
	rig_expect(r, 1, NULL);
	assert_string_equal(s.seen, "Sefff");
	assert_int_equal(r->states_freed, 1);
	close(client);
	rig_free(r);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void step_many(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct jeebs_address third = {.family = 4, .port = 80, .addr = {127, 0, 0, 2}};
	uint16_t port = 0;

	if (event == JEEBS_EV_START) {
		assert_null(ops->connect_client(j, &third, 0));
		while (s->number < 100 && ops->listen_client(j, &port))
			s->number++;
		ops->finish_client(j);
	}
}

static void test_ceilings(void **st)
{
	for (int i = 0; i < 2; i++) {
		struct join_config c = config();
		c.max_joins = i ? 5 : 100;
		struct rig *r = rig_new(c);
		struct rig_script s = {.step = step_many};
		struct join_stats stats;
		int client, extra = -1;
		struct join_request q = rig_request(r, 1, &client), q2;
		rig_with_script(&q, &s);
		rig_submit(r, &q);
		rig_expect_eof(client);
		join_pool_stats(r->pool, &stats);
		assert_int_equal(stats.channels, i ? 4 : JEEBS_CHANNELS_MAX);
		assert_int_equal(stats.channel_ceiling, 1);
		assert_int_equal(stats.active, 1 + stats.channels);
		if (i) {
			q2 = rig_request(r, 2, &extra);
			assert_int_equal(join_submit(r->pool, &q2), -ENOSPC);
			close(q2.client_fd);
			close(extra);
		}
		close(client);
		r->pool = join_pool_free(r->pool); /* they are still waiting */
		rig_expect(r, 1, NULL);
		assert_int_equal(s.number, stats.channels);
		rig_free(r);
	}
}

/* A refused request remains the caller's. */
static void test_bad_families(void **st)
{
	struct join_config c = config();
	c.max_joins = 2;
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_ends};
	int client, data[5];
	struct join_request q = rig_request(r, 1, &client);
	struct join_related rel[5];

	for (int i = 0; i < 5; i++) {
		rel[i] = related(r, &data[i], "log");
		rel[i].first_out = rig_copy("out", 3);
		rel[i].first_out_n = 3;
	}
	q.related = rel;
	q.related_n = 1;
	assert_int_equal(join_submit(r->pool, &q), -EINVAL); /* without a module */
	rig_with_script(&q, &s);
	q.related_n = 5;
	assert_int_equal(join_submit(r->pool, &q), -ENOSPC);
	q.related_n = 2;
	assert_int_equal(join_submit(r->pool, &q), -ENOSPC);
	q.related_n = 1;
	q.backend.addr.family = NETADDR_NONE;
	assert_int_equal(join_submit(r->pool, &q), -EAFNOSUPPORT);
	assert_int_equal(join_active(r->pool), 0);
	free(q.module_state);
	close(q.client_fd);
	close(client);
	for (int i = 0; i < 5; i++) {
		close(rel[i].client_fd);
		close(data[i]);
		free(rel[i].first_out);
		span_free(&rel[i].log[0]);
		free(rel[i].state);
	}
	rig_free(r);
}

/* The pool ends while one conversation is held, and another one waits for everything. */
static void test_the_pool_ends(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_ends};
	struct endpoint silent;
	int client[2], data[2], full = rig_listen(0, &silent), filler = rig_connect(&silent);

	scene = (struct scene){.data_port = silent.port};
	for (uint64_t i = 0; i < 2; i++) {
		struct join_request q = rig_request(r, i, &client[i]);
		struct join_related rel = related(r, &data[i], "log");
		rig_with_script(&q, &s);
		q.related = &rel;
		q.related_n = 1;
		q.hold = i == 1;
		rel.first_out = rig_copy("first", 5);
		rel.first_out_n = 5;
		rig_submit(r, &q);
	}
	rig_expect_bytes(data[0], "first");
	rig_send(data[0], "x", 1); /* connects to a backup that does not answer */
	wait_for_port();
	int waiting = connect_from("127.0.0.1", scene.listens, 0);
	r->pool = join_pool_free(r->pool);
	for (uint64_t i = 0; i < 2; i++) {
		rig_expect_reset(client[i]);
		rig_expect_reset(data[i]);
		close(client[i]);
		close(data[i]);
		rig_expect(r, i, "pool-closed");
	}
	close(waiting);
	assert_int_equal(r->states_freed, 2);
	assert_int_equal(scene.states_freed, 2);
	close(filler);
	close(full);
	rig_free(r);
}

static void test_sockets_of_channels(void **st)
{
	static const char *const addresses[] = {"127.0.0.1", "::1"};

	for (int i = 0; i < 2; i++) {
		struct endpoint at;
		struct sockaddr_storage ss;
		uint16_t port = 0;
		assert_int_equal(endpoint_parse(addresses[i], true, &at), 0);
		int listener = join_channel_listening_socket(&at, &port);
		int client = join_channel_client_socket(&at);
		assert_true(listener >= 0 && client >= 0 && port != 0);
		at.port = port;
		socklen_t n = endpoint_to_sockaddr(&at, &ss);
		assert_int_equal(connect(client, (struct sockaddr *)&ss, n), 0);
		int fd = accept_at(listener);
		assert_int_equal(port_of(fd, getpeername), port_of(client, getsockname));
		join_channel_reset(fd);
		rig_expect_reset(client);
		close(client);
		close(listener);
	}
}

static void test_a_wanted_port(void **st)
{
	struct endpoint at;
	uint16_t port = 0, wanted;

	assert_int_equal(endpoint_parse("127.0.0.1", true, &at), 0);
	int first = join_channel_listening_socket(&at, &port);
	assert_true(first >= 0);
	wanted = port;
	int second = join_channel_listening_socket(&at, &wanted);
	assert_true(second >= 0 && wanted != port && wanted != 0);
	close(second);
	close(first);
	wanted = port;
	first = join_channel_listening_socket(&at, &wanted);
	assert_true(first >= 0);
	assert_int_equal(wanted, port);
	/* Even while a connection uses it, as after a transfer. */
	int client = connect_from("127.0.0.1", port, 0), served = accept_at(first);
	close(first);
	first = join_channel_listening_socket(&at, &wanted);
	assert_int_equal(wanted, port);
	close(first);
	close(served);
	close(client);
	/* The port of the service is never given. */
	at.port = wanted;
	first = join_channel_listening_socket(&at, &wanted);
	assert_true(first >= 0 && wanted != at.port);
	close(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_upload_goes_on),
		cmocka_unit_test(test_a_client_that_connects),
		cmocka_unit_test(test_a_client_that_is_called),
		cmocka_unit_test(test_a_client_that_does_not_come),
		cmocka_unit_test(test_strangers_win_no_time),
		cmocka_unit_test(test_a_client_that_is_gone_at_once),
		cmocka_unit_test(test_ends_of_a_conversation),
		cmocka_unit_test(test_channels_after_the_main_one),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_bad_families),
		cmocka_unit_test(test_the_pool_ends),
		cmocka_unit_test(test_sockets_of_channels),
		cmocka_unit_test(test_a_wanted_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
