/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation of several connections inside TLS: FTP, whose data connections are in TLS too,
 * each under keys of its own. OpenSSL says it, and it is cut anywhere; what the client decrypts is
 * compared with the file.
 */
#include "recovery-modules/ftp/test/talk.h"

#include "keyvault/crypto/test/tls-rig.h"
#include "keyvault/judge/tls-judge.h"
#include "recovery-modules/host/layer.h"
#include "tls.h"

/* Every so manieth byte of a data connection is a cut. */
#define STEP 1999

static struct jeebs_module ftps, ftps_data;
static struct jeebs_service control_service, data_service;

/* One connection: OpenSSL's two ends, the harness, and the keys. */
struct end {
	struct tls_rig *rig;
	struct tls_judge *judge;
	struct session_secrets secrets;
	struct jeebs_keys *live, *keys;
	uint64_t cut[2];
	_Alignas(max_align_t) uint8_t live_room[SESSION_CRYPTO_BYTES], room[SESSION_CRYPTO_BYTES];
};

static struct talk t;
static struct end control, data;
static struct backup b;

/* ---- what was said --------------------------------------------------------------------------- */

static void shake_hands(struct end *e, const char *suite)
{
	const struct tls_rig_options o = {.suite = suite, .name = "ftp.example"};

	e->rig = tls_rig_new(&o);
	tls_rig_handshake(e->rig);
	e->secrets = tls_rig_secrets(e->rig);
}

static void say(struct end *e, uint32_t dir, const char *text)
{
	tls_rig_say(e->rig, dir, bytes_str(text));
}

static void ask(const char *command, const char *reply)
{
	say(&control, JEEBS_TO_SERVER, command);
	say(&control, JEEBS_TO_CLIENT, reply);
}

/* Up to the first reply to @transfer. */
static void converse(const char *suite, const char *transfer)
{
	shake_hands(&control, suite);
	say(&control, JEEBS_TO_CLIENT, "220 hi\r\n");
	ask("USER me\r\n", "331 and?\r\n");
	ask("PASS it\r\n", "230 in\r\n");
	ask("PBSZ 0\r\n", "200 so\r\n");
	ask("PROT P\r\n", "200 private\r\n");
	ask("TYPE I\r\n", "200 binary\r\n");
	ask("SIZE f\r\n", "213 200000\r\n");
	ask("EPSV\r\n", "229 there (|||4001|)\r\n");
	ask(transfer, "150 opening\r\n");
}

static void pass_file(uint32_t dir)
{
	for (size_t at = 0; at < FILE_N; at += 20000)
		tls_rig_say(data.rig, dir, bytes_of(file + at, 20000));
}

static void judge_all(struct end *e)
{
	const struct tls_judge_secrets s = {e->secrets.find, e->secrets.ctx};
	const struct bytes wire[2] = {buf_view(&e->rig->wire[0]), buf_view(&e->rig->wire[1])};

	e->judge = tls_judge_new(&s, wire);
	assert_non_null(e->judge);
}

static void end_of(struct end *e)
{
	tls_judge_free(e->judge);
	tls_rig_free(e->rig);
	*e = (struct end){.rig = NULL};
}

/* ---- a cut ----------------------------------------------------------------------------------- */

/* Shows the first @n bytes of the connection, in their order, to @h, which has the keys. */
static void show(struct end *e, struct harness *h, uint64_t n)
{
	e->live = session_crypto_init(e->live_room, &e->secrets);
	harness_follow_with(h, e->live, &session_crypto_ops);
	e->cut[0] = e->cut[1] = 0;
	for (uint32_t i = 0; i < e->rig->order_n && n > 0; i++) {
		const struct tls_rig_chunk *k = &e->rig->order[i];
		struct bytes part =
			bytes_of(e->rig->wire[k->dir].p + k->from, (size_t)(k->to - k->from));
		part = bytes_head(part, (size_t)n);
		harness_data(h, k->dir, part);
		e->cut[k->dir] += part.n;
		n -= part.n;
	}
	harness_follow_with(h, NULL, NULL);
	session_crypto_deinit(e->live); /* in the cut the keys are others */
}

static void unseal(struct end *e, struct harness *h)
{
	e->keys = session_crypto_init(e->room, &e->secrets);
	harness_unseal(h, e->keys, &session_crypto_ops);
}

enum how {
	WITH_KEYS,
	WITHOUT_KEYS, /* of the data connection */
};

/* The server dies when @n bytes have passed on the data connection, and all in the other one. */
static void cut_at(uint64_t n, bool over, enum how how)
{
	memset(&t, 0, sizeof t);
	b = (struct backup){.content_ends = true};
	options.service = &control_service;
	assert_int_equal(harness_init(&t.h, &ftps, &options), 0);
	show(&control, &t.h, UINT64_MAX);
	t.has_data = true;
	options.service = &data_service;
	assert_int_equal(harness_init(&t.data, &ftps_data, &options), 0);
	show(&data, &t.data, n);
	for (uint32_t dir = 0; over && dir < 2; dir++)
		harness_fin(&t.data, dir);
	if (how == WITH_KEYS && !over)
		unseal(&data, &t.data);
	unseal(&control, &t.h);
	plan(&t);
}

static void close_cut(void)
{
	buf_deinit(&b.got);
	end(&t);
	session_crypto_deinit(control.keys);
	session_crypto_deinit(data.keys);
	control.keys = data.keys = NULL;
}

/* What the client of @e reads of @heard, behind what it had; *ret_closed: to its end in order. */
static struct tls_ear *hear(struct end *e, struct bytes heard)
{
	struct tls_ear *ear;

	assert_int_equal(tls_ear_new(e->judge, JEEBS_TO_CLIENT, e->cut[JEEBS_TO_CLIENT], &ear), 0);
	assert_int_equal(tls_ear_hear(ear, heard), 0);
	assert_null(tls_ear_why(ear));
	return ear;
}

static void heard_control(const char *text)
{
	struct tls_ear *ear = hear(&control, buf_view(&t.h.client));

	assert_true(bytes_eq(tls_ear_plain(ear), bytes_str(text)));
	tls_ear_free(ear);
}

static uint64_t had_of_file(void)
{
	return tls_judge_plain_ended(data.judge, JEEBS_TO_CLIENT, data.cut[JEEBS_TO_CLIENT]);
}

/* The related connection got the rest of the file, and its end. */
static void heard_file(void)
{
	struct tls_ear *ear = hear(&data, buf_view(&t.h.channel[0]->client));
	uint64_t had = had_of_file();

	assert_true(bytes_eq(tls_ear_plain(ear), bytes_of(file + had, (size_t)(FILE_N - had))));
	assert_true(tls_ear_closed(ear));
	assert_int_equal(t.h.channel[0]->outcome, HARNESS_FINISHED);
	tls_ear_free(ear);
}

/* The server dies in its handshake, where the client is held to what was said. */
static bool in_handshake(void)
{
	return data.cut[0] < data.rig->through[0] || data.cut[1] < data.rig->through[1];
}

/* ---- downloads ------------------------------------------------------------------------------- */

static void check_failed(const char *why)
{
	assert_int_equal(t.plan.verdict, JEEBS_CONTINUE);
	assert_string_equal(t.plan.reason, "retry");
	resume(&t, &b, NULL);
	heard_control("426 Transfer failed; please try again.\r\n");
	assert_int_equal(t.h.channel[0]->client.n, 0);
	assert_string_equal(t.h.channel[0]->abort_reason, why);
}

static void check_download(uint64_t n)
{
	char asked[256];

	cut_at(n, false, WITH_KEYS);
	if (in_handshake() && data.cut[0] > 0) {
		check_failed("handshake-cut");
		close_cut();
		return;
	}
	uint64_t had = had_of_file(), tail = had > FTP_DATA_TAIL_MAX ? had - FTP_DATA_TAIL_MAX : 0;
	assert_int_equal(t.plan.verdict, JEEBS_CONTINUE);
	assert_string_equal(t.plan.reason, had > 0 ? "download" : "replay");
	b.content = bytes_of(file + tail, (size_t)(FILE_N - tail));
	resume(&t, &b, NULL);
	snprintf(asked, sizeof asked,
		 tail > 0  ? "USER me|PASS it|PBSZ 0|PROT P|TYPE I|SIZE f|EPSV|REST %u|RETR f|"
		 : had > 0 ? "USER me|PASS it|PBSZ 0|PROT P|TYPE I|SIZE f|EPSV|RETR f|"
			   : "USER me|PASS it|PBSZ 0|PROT P|TYPE I|EPSV|RETR f|",
		 (unsigned)tail);
	assert_string_equal(b.asked, asked);
	heard_control("226 done\r\n");
	heard_file();
	close_cut();
}

/* The file goes on behind what the client has, in the middle of a record too. */
static void test_downloads(void **state)
{
	static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
					     "ECDHE-ECDSA-AES256-GCM-SHA384"};

	for (int i = 0; i < 2; i++) {
		converse(suites[i], "RETR f\r\n");
		shake_hands(&data, suites[!i]);
		pass_file(JEEBS_TO_CLIENT);
		judge_all(&control);
		judge_all(&data);
		uint64_t all = data.rig->wire[0].n + data.rig->wire[1].n;
		for (uint64_t n = 300; n < all; n += STEP)
			check_download(n);
		end_of(&control);
		end_of(&data);
	}
}

static void open_download(void)
{
	converse("TLS_AES_128_GCM_SHA256", "RETR f\r\n");
	shake_hands(&data, "TLS_AES_128_GCM_SHA256");
	pass_file(JEEBS_TO_CLIENT);
}

static void close_both(void)
{
	end_of(&control);
	end_of(&data);
}

/* Another file: the client gets no byte of it. */
static void test_another_file(void **state)
{
	static uint8_t other[FILE_N];

	open_download();
	judge_all(&control);
	judge_all(&data);
	cut_at(100000, false, WITH_KEYS);
	uint64_t had = had_of_file();
	memcpy(other, file, FILE_N);
	other[had - 5] ^= 1;
	b.content = bytes_from(bytes_of(other, FILE_N), (size_t)(had - FTP_DATA_TAIL_MAX));
	resume(&t, &b, NULL);
	assert_int_equal(t.h.outcome, HARNESS_ABORTED);
	assert_string_equal(t.h.abort_reason, "content-differs");
	assert_int_equal(t.h.channel[0]->client.n, 0);
	close_cut();
	close_both();
}

/* Without its keys the transfer fails for the client; the session goes on. */
static void test_no_keys(void **state)
{
	open_download();
	judge_all(&control);
	judge_all(&data);
	cut_at(100000, false, WITHOUT_KEYS);
	check_failed("keys-missing");
	close_cut();
	close_both();
}

/* All of it has passed, and its end: it is not asked for again, and no keys are needed for it. */
static void test_delivered(void **state)
{
	open_download();
	tls_rig_close(data.rig, JEEBS_TO_CLIENT);
	judge_all(&control);
	judge_all(&data);
	cut_at(UINT64_MAX, true, WITH_KEYS);
	assert_string_equal(t.plan.reason, "delivered");
	resume(&t, &b, NULL);
	heard_control("226 Transfer complete.\r\n");
	assert_string_equal(b.asked, "USER me|PASS it|PBSZ 0|PROT P|TYPE I|");
	close_cut();
	close_both();
}

/* The old server has said close_notify, but not in TCP that it ends: the box does. */
static void test_closed_in_tls_alone(void **state)
{
	open_download();
	tls_rig_close(data.rig, JEEBS_TO_CLIENT);
	judge_all(&control);
	judge_all(&data);
	cut_at(UINT64_MAX, false, WITH_KEYS);
	assert_string_equal(t.plan.reason, "delivered");
	resume(&t, &b, NULL);
	heard_control("226 Transfer complete.\r\n");
	assert_int_equal(t.h.channel[0]->client.n, 0);
	assert_int_equal(t.h.channel[0]->outcome, HARNESS_FINISHED);
	close_cut();
	close_both();
}

/* ---- others ---------------------------------------------------------------------------------- */

/* What the client has sent so far is sent again, the record under way excepted: its rest comes. */
static void test_uploads(void **state)
{
	converse("TLS_AES_128_GCM_SHA256", "STOR f\r\n");
	shake_hands(&data, "TLS_AES_128_GCM_SHA256");
	pass_file(JEEBS_TO_SERVER);
	tls_rig_close(data.rig, JEEBS_TO_SERVER);
	judge_all(&control);
	judge_all(&data);
	uint64_t all = data.rig->wire[0].n + data.rig->wire[1].n;
	for (uint64_t n = data.rig->through[0] + data.rig->through[1] + 3000; n <= all;
	     n = n < all && n + 3 * STEP > all ? all : n + 3 * STEP) {
		cut_at(n, false, WITH_KEYS);
		uint64_t has = tls_judge_plain_ended(data.judge, JEEBS_TO_SERVER, data.cut[0]);
		assert_string_equal(t.plan.reason, has > 0 ? "upload" : "replay");
		/* The content is the file's, which nobody wants. */
		resume(&t, &b, NULL);
		assert_true(bytes_eq(buf_view(&b.got), bytes_of(file, (size_t)has)));
		assert_int_equal(b.got_end, n == all);
		close_cut();
	}
	close_both();
}

/* A plain data connection (PROT C) beside a conversation in TLS is the host's as it is. */
static void test_plain_data(void **state)
{
	converse("TLS_AES_128_GCM_SHA256", "RETR f\r\n");
	judge_all(&control);
	memset(&t, 0, sizeof t);
	b = (struct backup){.content_ends = true, .content = bytes_of(file + 40000, 160000)};
	options.service = &control_service;
	assert_int_equal(harness_init(&t.h, &ftps, &options), 0);
	show(&control, &t.h, UINT64_MAX);
	options.service = &service;
	harness_data(open_data(&t), JEEBS_TO_CLIENT, bytes_of(file, 40000 + FTP_DATA_TAIL_MAX));
	unseal(&control, &t.h);
	planned(&t, JEEBS_CONTINUE, "download");
	resume(&t, &b, NULL);
	heard_control("226 done\r\n");
	assert_true(bytes_eq(buf_view(&t.h.channel[0]->client),
			     bytes_from(bytes_of(file, FILE_N), 40000 + FTP_DATA_TAIL_MAX)));
	close_cut();
	end_of(&control);
}

/* To a conversation in the clear a data connection in TLS is unknown. */
static void test_in_a_plain_conversation(void **state)
{
	open_download();
	judge_all(&data);
	options.service = &service;
	login(&t);
	client(&t, "EPSV\r\n");
	server(&t, "229 there (|||4001|)\r\n");
	client(&t, "RETR f\r\n");
	server(&t, "150 opening\r\n");
	t.has_data = true;
	options.service = &data_service;
	assert_int_equal(harness_init(&t.data, &ftps_data, &options), 0);
	show(&data, &t.data, 100000);
	planned(&t, JEEBS_CONTINUE, "retry");
	b = (struct backup){.content_ends = true};
	resume(&t, &b, NULL);
	got(&t, "426 Transfer failed; please try again.\r\n");
	close_cut();
	close_both();
}

static int begin_test(void **state)
{
	setup(state);
	control_service = data_service = service;
	control_service.inner = &ftp_module;
	data_service.inner = &ftp_data_module;
	assert_true(layer_compose(&tls_module, &ftp_module, NULL, "ftps", &ftps));
	assert_true(layer_compose(&tls_module, &ftp_data_module, NULL, "tls:ftp-data", &ftps_data));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_downloads, begin_test),
		cmocka_unit_test_setup(test_another_file, begin_test),
		cmocka_unit_test_setup(test_no_keys, begin_test),
		cmocka_unit_test_setup(test_delivered, begin_test),
		cmocka_unit_test_setup(test_closed_in_tls_alone, begin_test),
		cmocka_unit_test_setup(test_uploads, begin_test),
		cmocka_unit_test_setup(test_plain_data, begin_test),
		cmocka_unit_test_setup(test_in_a_plain_conversation, begin_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
