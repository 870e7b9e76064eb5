/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "adopt-module.h"
#include "recovery-modules/harness/harness.h"

static const char client_says[] = "one\ntwo\nthree\nand a rather longer line\nfive\n";
static const char server_says[] = "1 ok\n2 ok\n3 ok\n4 this takes a little more room\n5 ok\n";
#define CLIENT_N (sizeof client_says - 1)
#define SERVER_N (sizeof server_says - 1)

static void begin(struct harness *h, uint64_t retain, size_t chunk)
{
	static struct jeebs_service service;
	const struct harness_options o = {.live = {.max = chunk}, .service = &service};

	service = (struct jeebs_service){.port = 7000, .protocol = "adopt", .retain = retain};
	assert_int_equal(harness_init(h, &adopt_module, &o), 0);
}

static void say(struct harness *h, size_t in, size_t out)
{
	harness_data(h, JEEBS_TO_SERVER, bytes_of(client_says, in));
	harness_data(h, JEEBS_TO_CLIENT, bytes_of(server_says, out));
}

/*
 * The log is the end of the conversation, as long as the ceiling allows. The plan says whether it
 * is the whole.
 */
static void check(struct harness *h, uint64_t retain, size_t in, size_t out)
{
	const size_t said[2] = {in, out};
	const char *text[2] = {client_says, server_says};
	struct jeebs_plan plan;

	assert_null(h->violation);
	for (int d = 0; d < 2; d++) {
		size_t n = said[d] < retain ? said[d] : (size_t)retain;
		assert_int_equal(span_end(&h->log[d].span), said[d]);
		assert_int_equal(h->log[d].keep, said[d] - n);
		if (n > 0)
			assert_memory_equal(h->log[d].span.bytes.p +
						    (said[d] - n - h->log[d].span.off),
					    text[d] + said[d] - n, n);
	}
	harness_plan(h, &plan);
	assert_int_equal(plan.verdict, JEEBS_CONTINUE);
	assert_int_equal(plan.style, JEEBS_STYLE_INTEGRATED);
	assert_string_equal(plan.reason,
			    in <= retain && out <= retain ? "integrated" : "integrated-tail");
}

/*
 * Each cut of the conversation, with each ceiling and several chunkings, before and after a
 * checkpoint.
 */
static void test_every_cut(void **unused)
{
	static const size_t chunks[] = {0, 1, 3, 7};

	for (uint64_t retain = 1; retain <= 60; retain += 7) {
		for (size_t in = 0; in <= CLIENT_N; in++) {
			for (size_t c = 0; c < 4; c++) {
				size_t out = in * SERVER_N / CLIENT_N;
				struct harness h;
				begin(&h, retain, chunks[c]);
				say(&h, in, out);
				check(&h, retain, in, out);
				assert_int_equal(harness_reopen(&h), 0);
				check(&h, retain, in, out);
				harness_deinit(&h);
			}
		}
	}
}

/* After a checkpoint in the middle the module continues as without. */
static void test_goes_on_after_checkpoint(void **unused)
{
	for (size_t cut = 0; cut <= CLIENT_N; cut++) {
		struct harness h;
		begin(&h, 20, 5);
		harness_data(&h, JEEBS_TO_SERVER, bytes_of(client_says, cut));
		assert_int_equal(harness_reopen(&h), 0);
		harness_data(&h, JEEBS_TO_SERVER, bytes_of(client_says + cut, CLIENT_N - cut));
		harness_data(&h, JEEBS_TO_CLIENT, bytes_of(server_says, SERVER_N));
		check(&h, 20, CLIENT_N, SERVER_N);
		harness_deinit(&h);
	}
}

static void expect(struct harness *h, const char *reason, const char *detail)
{
	struct jeebs_plan plan;

	harness_plan(h, &plan);
	assert_null(h->violation);
	assert_int_equal(plan.verdict, JEEBS_CONTINUE);
	assert_string_equal(plan.reason, reason);
	assert_string_equal(plan.detail, detail);
}

static void test_gap(void **unused)
{
	struct harness h;

	begin(&h, 1000, 0);
	harness_data(&h, JEEBS_TO_SERVER, bytes_of(client_says, 8));
	harness_gap(&h, JEEBS_TO_SERVER, 100);
	harness_data(&h, JEEBS_TO_SERVER, bytes_of(client_says, 3));
	assert_int_equal(h.log[0].keep, 108);
	expect(&h, "integrated-tail",
	       "handed to the program with 3 bytes of the client and 0 of the server, the "
	       "beginning "
	       "not among them");
	harness_deinit(&h);
}

static void test_older(void **unused)
{
	struct harness h;

	begin(&h, 1000, 0);
	harness_gap(&h, JEEBS_TO_SERVER, 0);
	harness_gap(&h, JEEBS_TO_CLIENT, 0);
	say(&h, 3, 4);
	assert_int_equal(harness_reopen(&h), 0);
	expect(&h, "integrated-tail",
	       "handed to the program with 3 bytes of the client and 4 of the server, the "
	       "beginning "
	       "not among them");
	harness_deinit(&h);
}

static uint64_t kept[2];

static void keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	kept[dir] = off;
}

static struct jeebs_bytes log_of_cut(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct jeebs_bytes b = {(const uint8_t *)client_says, off >= kept[dir]};

	return b;
}

/*
 * The module begins where another one handed the conversation over. Its log is whole from there on.
 */
static void test_begins_in_the_middle(void **unused)
{
	static _Alignas(16) char state[512];
	const struct jeebs_live_ops ops = {.keep_from = keep_from};
	const struct jeebs_service svc = {.retain = 100, .begin = {300, 70}};
	const struct jeebs_cut cut = {.to_server_end = 308, .to_client_end = 70, .log = log_of_cut};
	struct jeebs_bytes b = {(const uint8_t *)client_says, 8};
	struct jeebs_plan plan = {0};

	assert_true(adopt_module.state_size <= sizeof state);
	assert_int_equal(adopt_module.open(state, NULL, &ops, &svc), JEEBS_OK);
	adopt_module.data(state, JEEBS_TO_SERVER, 300, b, 0);
	assert_int_equal(kept[JEEBS_TO_SERVER], 300);
	adopt_module.plan(state, &cut, &plan);
	assert_string_equal(plan.reason, "integrated");
	assert_string_equal(plan.detail,
			    "handed to the program with 8 bytes of the client and 0 of the server");
}

static void test_nothing_said(void **unused)
{
	struct harness h;

	begin(&h, 1000, 0);
	expect(&h, "integrated",
	       "handed to the program with 0 bytes of the client and 0 of the server");
	harness_deinit(&h);
}

static void test_nothing_retained(void **unused)
{
	struct harness h;

	begin(&h, 0, 0);
	say(&h, 8, 5);
	assert_int_equal(h.log[0].keep, 8);
	expect(&h, "integrated-tail",
	       "handed to the program with 0 bytes of the client and 0 of the server, the "
	       "beginning "
	       "not among them");
	harness_deinit(&h);
}

static void test_hostile_checkpoints(void **unused)
{
	struct buf b = BUF_INIT(64);
	struct harness h;

	begin(&h, 1000, 0);
	say(&h, 8, 5);
	assert_int_equal(harness_checkpoint(&h, &b), 0);
	assert_int_equal(b.n, 50);
	for (size_t n = 0; n < b.n; n++)
		assert_false(harness_restore(&h, bytes_of(b.p, n)));
	b.p[0]++;
	assert_false(harness_restore(&h, buf_view(&b)));
	b.p[0]--;
	/* A log that begins behind its end is refused. One to be kept from behind its end is not.
	 */
	for (int i = 2; i < 20; i += 8) {
		b.p[i] = 1;
		assert_int_equal(harness_restore(&h, buf_view(&b)), i == 18);
		b.p[i] = 0;
	}
	assert_true(harness_restore(&h, buf_view(&b)));
	buf_deinit(&b);
	harness_deinit(&h);
}

/* A box that resumes the module by mistake resets the client. The module invents no byte. */
static void test_resume_resets(void **unused)
{
	const struct harness_backend backend = {.refuse = true};
	struct jeebs_plan plan;
	struct harness h;

	begin(&h, 1000, 0);
	say(&h, 8, 5);
	harness_plan(&h, &plan);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "adopt-unavailable");
	assert_int_equal(h.client.n, 0);
	harness_deinit(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_goes_on_after_checkpoint),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_older),
		cmocka_unit_test(test_begins_in_the_middle),
		cmocka_unit_test(test_nothing_said),
		cmocka_unit_test(test_nothing_retained),
		cmocka_unit_test(test_hostile_checkpoints),
		cmocka_unit_test(test_resume_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
