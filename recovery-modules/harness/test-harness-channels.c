/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conversations of several connections in the harness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "harness.h"

/* What the test does in the module's place, and notes of what happened. */
static struct play {
	void (*step)(const struct jeebs_cut *cut, struct jeebs_join *j,
		     const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);
	struct jeebs_join *main, *data;
	int (*live)(struct jeebs_flow *f, const struct jeebs_live_ops *ops, struct jeebs_bytes b);
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *live_ops;
	char seen[256]; /* m or d, and a letter of the event */
	uint32_t made;
	char said[64];     /* to the backend's data connection */
	bool data_done;    /* the data connection got its end */
	bool told;         /* the backend's main connection reported that */
	bool client_waits; /* the client has not connected */
	enum harness_opening opening;
	uint16_t port;
} play;

static struct jeebs_bytes text(const char *s)
{
	return (struct jeebs_bytes){(const uint8_t *)s, strlen(s)};
}

static int m_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		  const struct jeebs_service *svc)
{
	play.flow = f;
	play.live_ops = ops;
	return JEEBS_OK;
}

static int m_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	play.live_ops->keep_from(play.flow, dir, 0);
	return play.live ? play.live(play.flow, play.live_ops, b) : JEEBS_OK;
}

static int m_fin(void *state, uint32_t dir, uint64_t off)
{
	return JEEBS_OK;
}

static void m_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	*ret = (struct jeebs_plan){.verdict = JEEBS_CONTINUE, .reason = "play"};
}

static void m_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		     const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	size_t n = strlen(play.seen);

	if (event == JEEBS_EV_START)
		play.main = j;
	if (n < sizeof play.seen - 3) {
		play.seen[n] = j == play.main ? 'm' : 'd';
		play.seen[n + 1] = "SdeUDEFufCT"[event];
	}
	play.step(cut, j, ops, event, b);
}

static void m_close(void *state) {}

static const struct jeebs_module player = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "player",
	.version = "1",
	.open = m_open,
	.data = m_data,
	.fin = m_fin,
	.plan = m_plan,
	.resume = m_resume,
	.close = m_close,
	.companion = "player-data",
};

/*
 * The backend. On the main connection it sends "ready", and "done" once a data connection has
 * ended.
 */
static int data_connection;

static void *backend_connect(void *ctx, uint16_t port)
{
	return port == 2020 ? &data_connection : NULL;
}

static void backend_receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			    bool *fail)
{
	if (ctx != &data_connection) {
		if (b.n > 0)
			buf_append(answer, "ready\n", 6);
		if (play.data_done && !play.told)
			buf_append(answer, "done\n", 5);
		play.told |= play.data_done;
		return;
	}
	assert_true(strlen(play.said) + b.n < sizeof play.said);
	if (b.n > 0)
		strncat(play.said, (const char *)b.p, b.n);
	if (!play.data_done && bytes_eq(b, bytes_str("get"))) {
		buf_append(answer, "content", 7);
		*close = play.data_done = true;
	}
	play.data_done |= eof;
}

static const struct harness_backend backend = {.receive = backend_receive,
					       .connect = backend_connect};

/* The client. It sends the prepared words, once. */
struct talker {
	const char *words;
	bool eof;
};
static struct talker main_client, data_client;

static struct bytes client_next(void *ctx, uint64_t received, bool *ret_eof)
{
	struct talker *t = ctx;
	struct bytes b = t->words ? bytes_str(t->words) : BYTES_NONE;

	t->words = NULL;
	*ret_eof = t->eof;
	return b;
}

static enum harness_opening client_open(void *ctx, const struct harness_channel *c, void **ret)
{
	play.port = c->kind == HARNESS_CONNECTED ? c->client_port : c->service_port;
	*ret = &data_client;
	return play.opening;
}

static const struct harness_client client = {
	.next = client_next, .ctx = &main_client, .open = client_open};

static void begin(struct harness *h,
		  void (*step)(const struct jeebs_cut *, struct jeebs_join *,
			       const struct jeebs_join_ops *, uint32_t, struct jeebs_bytes))
{
	play = (struct play){.step = step};
	main_client = data_client = (struct talker){0};
	assert_int_equal(harness_init(h, &player, NULL), 0);
	harness_data(h, JEEBS_TO_SERVER, bytes_str("hello"));
}

static void relate(struct harness *h, const char *log, bool ended)
{
	const struct jeebs_related r = {
		.tag = 7,
		.server_port = 5001,
		.client_port = 6001,
		.cut = {.to_server_end = 100 + strlen(log), .to_client_end = 9, .ended = ended},
		.state = &play,
	};
	const struct span logs[2] = {span_lend(100, bytes_str(log)), span_lend(9, BYTES_NONE)};

	assert_int_equal(harness_relate(h, &r, logs), 0);
}

static void assert_bytes(struct buf b, const char *want)
{
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

/* ---- an upload goes on ------------------------------------------------------------------- */

static void step_upload(const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	const struct jeebs_related *r = &cut->related[0];

	if (event == JEEBS_EV_START) {
		assert_int_equal(cut->related_n, 2);
		assert_int_equal(r->tag, 7);
		assert_ptr_equal(r->state, &play);
		assert_null(ops->related(j, 1));
		play.data = ops->related(j, 0);
		ops->hold_client(play.data, 1);
		ops->to_backend(j, text("store"));
		ops->log_to_backend(play.data, 101, 104); /* queued until a port is set */
	}
	if (j == play.main && event == JEEBS_EV_BACKEND_DATA) {
		ops->to_client(j, b);
		if (b.p[0] == 'r') {
			ops->backend_port(play.data, 2020);
			ops->pass(play.data, JEEBS_TO_SERVER);
			ops->pass(play.data, JEEBS_TO_CLIENT);
		}
	}
	/* The log stays readable while the channel exists, although the client's direction
	 * passes. */
	if (event != JEEBS_EV_CHANNEL_CLOSED)
		assert_int_equal(r->cut.log(r->cut.flow, JEEBS_TO_SERVER, 100).n, 4);
}

static void test_an_upload_goes_on(void **state)
{
	struct harness h;

	begin(&h, step_upload);
	relate(&h, "0123", false);
	relate(&h, "x", true);
	play.opening = HARNESS_THERE;
	data_client = (struct talker){"4567", true};
	/* The backend waits for the end of the data connection, and then closes its side. */
	harness_resume_with(&h, &backend, &client);
	assert_null(h.violation);
	assert_int_equal(h.outcome, HARNESS_JOINED);
	assert_int_equal(h.channels, 1);
	assert_string_equal(play.said, "1234567");
	assert_bytes(h.channel[0]->backend, "1234567");
	assert_bytes(h.client, "ready\ndone\n");
	assert_string_equal(play.seen, "mSmUmDmD");
	harness_deinit(&h);
}

/* ---- a download over a new connection ------------------------------------------------------ */

static void step_listen(const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct jeebs_address a;
	uint16_t port = 0;

	if (event == JEEBS_EV_START) {
		ops->address(j, JEEBS_END_CLIENT, &a);
		a.port = 6002;
		play.data =
			play.made ? ops->connect_client(j, &a, 20) : ops->listen_client(j, &port);
		assert_non_null(play.data);
		ops->to_client(play.data, text("begin "));
		ops->to_backend(play.data, text("get"));
		ops->backend_port(play.data, 2020);
		ops->timer(j, 1000);
	} else if (event == JEEBS_EV_CLIENT_DATA && j == play.main) {
		ops->finish_client(j); /* the other channels continue */
	} else if (event == JEEBS_EV_BACKEND_DATA) {
		ops->to_client(j, b);
	} else if (event == JEEBS_EV_BACKEND_EOF) {
		ops->finish_client(j);
	}
}

static void test_a_download_over_a_new_connection(void **state)
{
	for (int active = 0; active < 2; active++) {
		struct harness h;
		begin(&h, step_listen);
		play.made = active;
		play.opening = HARNESS_THERE;
		main_client.words = "quit";
		harness_resume_with(&h, &backend, &client);
		assert_null(h.violation);
		assert_int_equal(h.outcome, HARNESS_FINISHED);
		assert_int_equal(h.channel[0]->outcome, HARNESS_FINISHED);
		assert_int_equal(play.port, active ? 6002 : h.channel[0]->service_port);
		assert_int_equal(h.channel[0]->service_port == 20, active);
		assert_true(h.channel[0]->gone);
		assert_bytes(h.channel[0]->client, "begin content");
		assert_string_equal(play.seen, "mSmddudUdDdEdedC");
		harness_deinit(&h);
	}
}

static void test_a_client_that_does_not_come(void **state)
{
	struct harness h;

	/* The client comes too late: after the timers. */
	begin(&h, step_listen);
	play.opening = HARNESS_NOT_YET;
	harness_resume_with(&h, &backend, &client);
	assert_null(h.violation);
	assert_string_equal(play.seen, "mSdUdDdEmTdf");
	assert_int_equal(h.outcome, HARNESS_JOINED);
	harness_deinit(&h);
	/* The client never comes. The module gets the event at once. */
	begin(&h, step_listen);
	play.opening = HARNESS_NEVER;
	harness_resume_with(&h, &backend, &client);
	assert_string_equal(play.seen, "mSdfmT");
	harness_deinit(&h);
	/* The test gives no client. */
	begin(&h, step_listen);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_string_equal(play.seen, "mSdfmT");
	harness_deinit(&h);
}

static void step_nobody(const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	uint16_t port = 0;

	if (event == JEEBS_EV_START) {
		play.data = ops->listen_client(j, &port);
		ops->backend_port(play.data, 1);
		ops->connect_backend(play.data);
	}
	if (event == JEEBS_EV_BACKEND_FAILED && play.made)
		ops->abort(play.made == 1 ? j : play.main, "no-data");
}

static void test_aborts(void **state)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct harness h;
		begin(&h, step_nobody);
		play.made = i;
		play.opening = HARNESS_THERE;
		harness_resume_with(&h, &backend, &client);
		assert_null(h.violation);
		assert_string_equal(play.seen, i == 1 ? "mSdudFdC" : "mSdudF");
		assert_int_equal(h.outcome, i == 2 ? HARNESS_ABORTED : HARNESS_JOINED);
		assert_int_equal(h.channel[0]->outcome, i ? HARNESS_ABORTED : HARNESS_JOINED);
		harness_deinit(&h);
	}
}

/* ---- bounds and violations ------------------------------------------------------------------- */

static void step_many(const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	uint16_t port = 0;

	if (event == JEEBS_EV_START || event == JEEBS_EV_CLIENT_FAILED)
		while (ops->listen_client(play.main, &port))
			play.made++;
	if (event == JEEBS_EV_START)
		assert_int_equal(play.made, JEEBS_CHANNELS_MAX);
}

static void test_channels_have_a_ceiling(void **state)
{
	struct harness h;

	begin(&h, step_many);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_null(h.violation);
	assert_int_equal(play.made, HARNESS_CHANNELS_MAX);
	harness_deinit(&h);
}

static void step_wrong(const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct jeebs_join *d = play.data;
	uint16_t port = 0;

	if (event == JEEBS_EV_START) {
		d = play.data = ops->related(j, 0);
		switch (play.made) {
		case 0:
			ops->related(j, 1);
			break;
		case 1:
			ops->backend_port(d, 2020);
			ops->backend_port(d, 2021);
			break;
		case 2:
			ops->log_to_backend(ops->listen_client(j, &port), 0, 1);
			break;
		case 3:
			ops->log_to_backend(d, 99, 100);
			break;
		case 4:
			ops->finish_client(d);
			ops->to_client(d, text("x"));
			break;
		case 5:
		case 6:
			ops->abort(d, "x");
			break;
		case 7:
			ops->pass(j, JEEBS_TO_SERVER);
			ops->abort(d, "x");
			break;
		}
	}
	if (event == JEEBS_EV_CHANNEL_CLOSED && play.made == 5)
		ops->to_client(j, text("x"));
	if (event == JEEBS_EV_CHANNEL_CLOSED && play.made == 6)
		ops->timer(play.main, 10);
	if (event == JEEBS_EV_TIMER)
		ops->to_backend(d, text("x"));
	if (event == JEEBS_EV_CHANNEL_CLOSED && play.made == 7) {
		/* The log is still readable. */
		(void)cut->related[0].cut.log(cut->related[0].cut.flow, 0, 100);
		ops->timer(play.main, 10);
	}
}

static void test_finds_violations(void **state)
{
	for (uint32_t i = 0; i <= 7; i++) {
		struct harness h;
		begin(&h, step_wrong);
		relate(&h, "0123", false);
		play.made = i;
		harness_resume(&h, &backend, BYTES_NONE, false);
		if (!h.violation)
			fail_msg("fault %u was not found", (unsigned)i);
		if (i == 6)
			assert_string_equal(h.violation, "a channel was used that is gone");
		harness_deinit(&h);
	}
}

/* ---- the live half ----------------------------------------------------------------- */

static int live_expects(struct jeebs_flow *f, const struct jeebs_live_ops *ops,
			struct jeebs_bytes b)
{
	for (uint32_t i = 0; i < 6; i++)
		ops->expect(f, &(struct jeebs_expect){.tag = i, .client_port = (uint16_t)(i + 1)});
	ops->expect(f, &(struct jeebs_expect){.tag = 3, .server_port = 33});
	ops->expect(f, &(struct jeebs_expect){.tag = 4});
	return JEEBS_OK;
}

static void test_expectations_are_remembered(void **state)
{
	static const uint32_t tags[] = {2, 5, 3};
	struct harness h;

	begin(&h, step_many);
	play.live = live_expects;
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("x"));
	assert_null(h.violation);
	assert_int_equal(h.expected_n, 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(h.expected[i].tag, tags[i]);
	assert_int_equal(h.expected[2].server_port, 33);
	harness_deinit(&h);
}

static int live_hands_over(struct jeebs_flow *f, const struct jeebs_live_ops *ops,
			   struct jeebs_bytes b)
{
	return ops->hand_over(f, b.p[0] == 'x' ? 6 : 8, 0) ? JEEBS_HAND_OVER : JEEBS_GIVE_UP;
}

static void test_handing_over(void **state)
{
	static const struct jeebs_service nobody = {.protocol = "player"},
					  somebody = {.protocol = "player", .upgrade = "replay"};
	static const char *const words[] = {"x", "x", "far"};

	for (int i = 0; i < 3; i++) {
		struct harness h;
		begin(&h, step_many);
		h.options.service = i == 0 ? &nobody : &somebody;
		play.live = live_hands_over;
		harness_data(&h, JEEBS_TO_SERVER, bytes_str(words[i]));
		assert_int_equal(h.violation != NULL, 0);
		assert_true(h.gave_up);
		assert_int_equal(h.handed_over, i != 0);
		assert_int_equal(h.handed_over_at[JEEBS_TO_SERVER], i == 0 ? 0 : i == 1 ? 6 : 8);
		harness_deinit(&h);
	}
	/* A hand-over without a known position is a violation. */
	struct harness h;
	begin(&h, step_many);
	h.options.service = &somebody;
	play.live = live_hands_over;
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("y"));
	assert_non_null(h.violation);
	harness_deinit(&h);
}

/* The companion module is tested in a harness of its own. */
static void test_a_companion(void **state)
{
	const struct jeebs_related r = {.tag = 1, .client_port = 5};
	struct harness h, data;
	struct jeebs_plan plan;

	begin(&h, step_many);
	assert_int_equal(harness_init(&data, &player, NULL), 0);
	play.flow = (struct jeebs_flow *)&data;
	harness_data(&data, JEEBS_TO_SERVER, bytes_str("file"));
	harness_fin(&data, JEEBS_TO_CLIENT);
	for (uint32_t i = 0; i < JEEBS_EXPECT_MAX; i++)
		assert_int_equal(harness_relate_live(&h, &r, &data), 0);
	assert_int_equal(harness_relate_live(&h, &r, &data), -ENOSPC);
	harness_plan(&h, &plan);
	assert_int_equal(h.cut.related_n, JEEBS_EXPECT_MAX);
	assert_int_equal(h.cut.related[0].cut.to_server_end, 4);
	assert_true(h.cut.related[0].cut.server_fin);
	assert_ptr_equal(h.cut.related[0].state, data.state);
	assert_null(h.violation);
	harness_deinit(&data);
	harness_deinit(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_upload_goes_on),
		cmocka_unit_test(test_a_download_over_a_new_connection),
		cmocka_unit_test(test_a_client_that_does_not_come),
		cmocka_unit_test(test_aborts),
		cmocka_unit_test(test_channels_have_a_ceiling),
		cmocka_unit_test(test_finds_violations),
		cmocka_unit_test(test_expectations_are_remembered),
		cmocka_unit_test(test_handing_over),
		cmocka_unit_test(test_a_companion),
	};
	return cmocka_run_group_tests_name("harness-channels", tests, NULL, NULL);
}
