/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the measure of TLS finds wrong in what a client got. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drill-inside.h"
#include "keyvault/crypto/test/tls-rig.h"

static const struct jeebs_module inner = {.name = "inner"};

static struct {
	struct tls_rig *rig;
	struct drill_flow truth;
	uint64_t cut; /* in the middle of the last record of data */
	struct drill_seals seals;
	struct drill_seal seal[4];
} t;

static int set_up(void **state)
{
	const struct jeebs_service svc = {.protocol = "https", .inner = &inner};
	static const char text[1000] = "a long answer";

	memset(&t, 0, sizeof t);
	t.rig = tls_rig_new(&(struct tls_rig_options){.suite = "TLS_AES_128_GCM_SHA256"});
	tls_rig_handshake(t.rig);
	tls_rig_say(t.rig, JEEBS_TO_SERVER, bytes_str("a question"));
	tls_rig_say(t.rig, JEEBS_TO_CLIENT, bytes_str("one answer"));
	t.cut = t.rig->wire[1].n + 100;
	tls_rig_say(t.rig, JEEBS_TO_CLIENT, bytes_of(text, sizeof text));
	tls_rig_close(t.rig, JEEBS_TO_CLIENT);
	for (int d = 0; d < 2; d++) {
		t.truth.stream[d].bytes = BUF_INIT(1u << 20);
		buf_bytes(&t.truth.stream[d].bytes, buf_view(&t.rig->wire[d]));
	}
	struct session_secrets s = tls_rig_secrets(t.rig);
	const struct tls_judge_secrets secrets = {s.find, s.ctx};
	assert_int_equal(drill_inside_make(&t.truth, &svc, &secrets), 0);
	assert_ptr_equal(t.truth.inside->module, &inner);
	t.seals.v = t.seal;
	return 0;
}

static int tear_down(void **state)
{
	drill_inside_free(t.truth.inside);
	for (int d = 0; d < 2; d++)
		buf_deinit(&t.truth.stream[d].bytes);
	tls_rig_free(t.rig);
	return 0;
}

/* What is found wrong when the client gets @b behind the cut; NULL: nothing. */
static const char *found(struct bytes b, bool finished)
{
	struct drill_got got = {.cut = t.cut, .wire = b, .finished = finished};
	struct drill_finding f = {0};
	struct tls_ear *ear;

	assert_int_equal(drill_inside_listen(t.truth.inside, t.cut, &ear), 0);
	assert_int_equal(tls_ear_hear(ear, b), 0);
	got.ear = ear;
	bool right = drill_inside_right(t.truth.inside, &t.truth, &got, &t.seals, &f);
	assert_int_equal(right, f.verdict != DRILL_WRONG);
	tls_ear_free(ear);
	return right ? NULL : f.reason;
}

static struct bytes rest(void)
{
	return bytes_from(buf_view(&t.rig->wire[1]), (size_t)t.cut);
}

static void test_what_was_said(void **state)
{
	const struct drill_inside *i = t.truth.inside;
	struct jeebs_cut cut = {.to_server_end = t.rig->wire[0].n, .to_client_end = t.cut};

	assert_true(bytes_eq(buf_view(&i->plain.stream[1].bytes), buf_view(&t.rig->plain[1])));
	assert_true(i->plain.stream[1].fin);
	/* Nobody knows how the client ended. */
	assert_false(i->plain.stream[0].fin);
	drill_inside_cut(i, &cut);
	assert_int_equal(cut.to_server_end, strlen("a question"));
	assert_int_equal(cut.to_client_end, strlen("one answer"));
	assert_false(cut.client_fin || cut.server_fin);
	cut = (struct jeebs_cut){.to_client_end = t.rig->wire[1].n};
	drill_inside_cut(i, &cut);
	assert_true(cut.server_fin);
}

static void test_right(void **state)
{
	for (size_t n = 0; n < rest().n; n++)
		assert_null(found(bytes_head(rest(), n), false));
	assert_null(found(rest(), true));
}

static void test_wrong_records(void **state)
{
	uint8_t copy[2000];
	struct bytes b = rest();

	memcpy(copy, b.p, b.n);
	copy[b.n - 1] ^= 1;
	assert_string_equal(found(bytes_of(copy, b.n), false), "record-forged");
	assert_string_equal(found(bytes_head(b, b.n - 1), true), "ends-in-a-record");
	/* Without close_notify, the last record. */
	size_t close = 5 + 2 + 1 + 16;
	assert_string_equal(found(bytes_head(b, b.n - close), true), "no-close-notify");
	copy[b.n - 1] ^= 1;
	memcpy(copy + b.n, b.p + b.n - close, close);
	assert_string_equal(found(bytes_of(copy, b.n + close), true), "behind-close-notify");
	/* Another record under the tag of a client that takes anything: the old server's differs.
	 */
	t.truth.stream[1].bytes.p[t.cut + 20] ^= 1;
	assert_string_equal(found(bytes_of(b.p, b.n), true), "record-differs");
}

static void test_wrong_numbers(void **state)
{
	/* Two tickets and one answer were sealed before the record that was cut. */
	t.seal[0] = (struct drill_seal){7, 3};
	t.seal[1] = (struct drill_seal){7, 4};
	t.seal[2] = (struct drill_seal){8, 0};
	t.seals.n = 3;
	assert_null(found(rest(), true));
	t.seal[2] = (struct drill_seal){7, 4};
	assert_string_equal(found(rest(), true), "number-sealed-twice");
	t.seal[2] = (struct drill_seal){7, 2};
	assert_string_equal(found(rest(), true), "number-was-on-the-wire");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_right, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_numbers, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("drill-inside", tests, NULL, NULL);
}
