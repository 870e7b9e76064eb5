/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dry runs on conversations in TLS, made by OpenSSL, with keys and without. */
#include "capture/pcap-file.h"
#include "keyvault/crypto/test/tls-rig.h"
#include "recovery-modules/harness/test/conversation.h"
#include "test/dry-run-rig.h"

static size_t segment = 1400;

static const char *const suites[] = {
	"TLS_AES_128_GCM_SHA256",       "ECDHE-ECDSA-AES256-GCM-SHA384",
	"TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
	"TLS_AES_256_GCM_SHA384",       "ECDHE-ECDSA-AES128-CCM8",
	"ECDHE-ECDSA-AES128-SHA",       "ECDHE-ECDSA-AES256-SHA384"};

/* Writes what OpenSSL has said, in segments. */
static void send_chunks(struct talk *t, const struct tls_rig *r, uint32_t *io_chunk)
{
	for (; *io_chunk < r->order_n; ++*io_chunk) {
		const struct tls_rig_chunk *c = &r->order[*io_chunk];
		for (uint64_t at = c->from; at < c->to;) {
			size_t n = c->to - at < segment ? (size_t)(c->to - at) : segment;
			struct bytes b = bytes_of(r->wire[c->dir].p + at, n);
			if (c->dir == JEEBS_TO_SERVER) {
				packet_bytes(&t->client, &t->server, TCP_ACK, t->client_seq,
					     t->server_seq, b);
				t->client_seq += (uint32_t)n;
			} else {
				packet_bytes(&t->server, &t->client, TCP_ACK, t->server_seq,
					     t->client_seq, b);
				t->server_seq += (uint32_t)n;
			}
			at += n;
		}
	}
}

/* A GET with half of its answer, which ends in the middle of a record. */
static struct tls_rig *half_an_answer(const char *suite, const char *client)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: \"x\"\r\n"
				     "Accept-Ranges: bytes\r\n\r\nhello";
	struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suite});
	struct talk t = talk_open(client, "10.9.0.1:443");
	uint32_t chunk = 0;

	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str(GET));
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str(answer));
	tls_rig_say_part(r, JEEBS_TO_CLIENT, bytes_str("and so on, and on"), 20);
	send_chunks(&t, r, &chunk);
	acknowledge(&t);
	return r;
}

static void use_https(void)
{
	options.protocol = "https";
	options.server.port = 443;
}

static void test_without_keys(void **state)
{
	use_https();
	for (unsigned i = 0; i < 2; i++) {
		begin_capture();
		tls_rig_free(half_an_answer(suites[i], "10.1.0.7:40000"));
		assert_int_equal(run(), 1);
		assert_int_equal(number("totals.live"), 1);
		assert_int_equal(number("totals.continue"), 0);
		assert_int_equal(number("totals.refuse"), 0);
		assert_int_equal(number("totals.if_keys"), 1);
		assert_string_equal(word(connection(0), "verdict"), "refuse");
		assert_string_equal(word(connection(0), "reason"), "keys-missing");
		assert_true(json_is_true(json_object_get(connection(0), "if_keys")));
		assert_string_equal(word(connection(0), "module"), "https");
	}
}

static void test_table_without_keys(void **state)
{
	use_https();
	options.json = false;
	tls_rig_free(half_an_answer(suites[0], "10.1.0.7:40000"));
	assert_int_equal(run(), 1);
	assert_non_null(strstr(ran.out, " https  if keys keys-missing"));
	assert_non_null(strstr(ran.out, "continue 0\nif keys come 1: keys-missing 1\nrefuse 0\n"));
}

/* Two connections, and a key log of both. */
static void test_with_keys(void **state)
{
	char keys[80];

	use_https();
	struct tls_rig *a = half_an_answer(suites[0], "10.1.0.7:40000"),
		       *b = half_an_answer(suites[1], "10.1.0.8:40000");
	buf_bytes(&a->key_log, buf_view(&b->key_log));
	snprintf(keys, sizeof keys, "%s/keys", folder);
	write_file(keys, a->key_log.p, a->key_log.n);
	options.keys = keys;
	assert_int_equal(run(), 0);
	assert_int_equal(number("totals.if_keys"), 0);
	assert_int_equal(number("totals.continue_by_reason.range"), 2);
	/* The key log has the lines of one connection only. */
	write_file(keys, b->key_log.p, b->key_log.n);
	assert_int_equal(run(), 1);
	assert_int_equal(number("totals.continue"), 1);
	assert_string_equal(word(connection(0), "reason"), "keys-missing");
	/* A file that is no key log has no keys. A file that does not exist is an error. */
	write_file(keys, "hello\n", 6);
	assert_int_equal(run(), 1);
	assert_int_equal(number("totals.if_keys"), 2);
	unlink(keys);
	assert_int_equal(run(), 66);
	assert_non_null(strstr(ran.err, keys));
	tls_rig_free(a);
	tls_rig_free(b);
}

/* A pcapng file has the keys itself. */
static void test_secrets_in_the_capture(void **state)
{
	struct tls_rig *r;
	struct buf ng = BUF_INIT(1u << 20);

	use_https();
	r = half_an_answer(suites[0], "10.1.0.7:40000");
	while (r->key_log.n % 4)
		buf_append(&r->key_log, "\n", 1);
	static const uint32_t head[] = {0x0a0d0d0a, 28,         0x1a2b3c4d, 0x00010000,
					0xffffffff, 0xffffffff, 28};
	for (unsigned i = 0; i < 7; i++)
		buf_u32be(&ng, head[i]);
	const uint32_t n = 20 + (uint32_t)r->key_log.n;
	buf_u32be(&ng, 10);
	buf_u32be(&ng, n);
	buf_u32be(&ng, PCAP_SECRETS_TLS);
	buf_u32be(&ng, (uint32_t)r->key_log.n);
	buf_bytes(&ng, buf_view(&r->key_log));
	buf_u32be(&ng, n);
	static const uint32_t interface[] = {1, 20, FRAME_LINK_RAW << 16, 0, 20};
	for (unsigned i = 0; i < 5; i++)
		buf_u32be(&ng, interface[i]);
	for (uint32_t i = 1; i <= packets; i++) {
		struct bytes rec = bytes_from(buf_view(&capture), offset[i] + 8);
		uint32_t len = (uint32_t)rec.p[2] << 8 | rec.p[3], pad = (4 - len % 4) % 4;
		buf_u32be(&ng, 6);
		buf_u32be(&ng, 32 + len + pad);
		buf_u32be(&ng, 0);
		buf_u32be(&ng, 0);
		buf_u32be(&ng, i * 1000);
		buf_u32be(&ng, len);
		buf_u32be(&ng, len);
		buf_bytes(&ng, bytes_head(bytes_from(rec, 8), len));
		buf_append(&ng, "\0\0\0", pad);
		buf_u32be(&ng, 32 + len + pad);
	}
	assert_int_equal(buf_error(&ng), 0);
	write_file(path, ng.p, ng.n);
	assert_int_equal(run_file(), 0);
	assert_int_equal(number("totals.continue_by_reason.range"), 1);
	/* The default cut reads the file more than once. */
	options.cut = DRY_RUN_CUT_BUSIEST;
	run_file();
	assert_int_equal(number("totals.live"), 1);
	assert_int_equal(number("totals.continue") + number("totals.refuse"),
			 1); /* the handshake */
	tls_rig_free(r);
	buf_deinit(&ng);
}

/* ---- every cut ------------------------------------------------------------------------------ */

/*
 * Two answers, the first one in two records. In TLS 1.3 keys change in between. Segments are short,
 * so that there are cuts everywhere in records.
 */
static struct tls_rig *whole_conversation(const char *suite, const char *client)
{
	struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suite});
	struct talk t = talk_open(client, "10.9.0.1:443");
	uint32_t chunk = 0;
	char body[601];

	for (size_t i = 0; i < sizeof body - 1; i++)
		body[i] = (char)('a' + i * i % 23);
	body[sizeof body - 1] = 0;
	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str(GET));
	if (SSL_version(r->end[0]) == TLS1_3_VERSION)
		tls_rig_key_update(r, JEEBS_TO_SERVER, true);
	tls_rig_say(r, JEEBS_TO_CLIENT,
		    bytes_str("HTTP/1.1 200 OK\r\nContent-Length: 700\r\nETag: \"x\"\r\n"
			      "Accept-Ranges: bytes\r\n\r\n"));
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(body, 600));
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(body, 100));
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str(GET));
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str(OK));
	tls_rig_close(r, JEEBS_TO_CLIENT);
	send_chunks(&t, r, &chunk);
	from_server(&t, TCP_ACK | TCP_FIN, "");
	return r;
}

static void test_every_cut(void **state)
{
	char keys[80];

	use_https();
	options.cut = DRY_RUN_CUT_EVERY;
	options.cut_packet = 1;
	segment = 37;
	for (unsigned i = 0; i < sizeof suites / sizeof suites[0]; i++) {
		begin_capture();
		struct tls_rig *r = whole_conversation(suites[i], "10.1.0.7:40000");
		snprintf(keys, sizeof keys, "%s/keys", folder);
		write_file(keys, r->key_log.p, r->key_log.n);
		options.keys = NULL;
		assert_int_equal(run(), 1);
		long long cuts = number("cuts"), if_keys = number("if_keys");
		long long anew = number("exact"); /* the server had not spoken */
		assert_in_range(anew, 1, cuts / 4);
		assert_in_range(if_keys, cuts / 4, cuts);
		assert_int_equal(number("refused.handshake-cut"), cuts - if_keys - anew);
		options.keys = keys;
		assert_int_equal(run(), 1); /* the handshake */
		assert_int_equal(number("cuts"), cuts);
		assert_int_equal(number("wrong"), 0);
		assert_int_equal(number("if_keys"), 0);
		assert_int_equal(number("exact") + number("refused.handshake-cut"), cuts);
		assert_in_range(number("exact") - anew, if_keys * 2 / 3, if_keys);
		unlink(keys);
		tls_rig_free(r);
	}
	segment = 1400;
}

/* ---- the capture lacks what the server said last -------------------------------------------- */

static struct talk talk_with_sack(const char *client)
{
	static const uint8_t sack_ok[] = {1, 1, 4, 2};
	struct talk t = talk(client, "10.9.0.1:443");

	packet_with(&t.client, &t.server, TCP_SYN, t.client_seq++, 0, bytes_of(sack_ok, 4),
		    BYTES_NONE);
	packet_with(&t.server, &t.client, TCP_SYN | TCP_ACK, t.server_seq++, t.client_seq,
		    bytes_of(sack_ok, 4), BYTES_NONE);
	acknowledge(&t);
	return t;
}

/*
 * The client's last ACK is of @acked bytes behind what was captured. @sacked: it has so many more,
 * behind a hole of ten bytes. @behind: the capture has ten bytes of the server behind such a hole.
 */
static void check_end(const char *suite, uint32_t acked, uint32_t sacked, bool behind,
		      const char *reason)
{
	struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suite});
	char keys[80];

	begin_capture();
	struct talk t = talk_with_sack("10.1.0.7:40000");
	uint32_t chunk = 0;
	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str(GET));
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str(OK));
	send_chunks(&t, r, &chunk);
	if (behind)
		packet(&t.server, &t.client, TCP_ACK, t.server_seq + 10, t.client_seq,
		       "0123456789");
	t.server_seq += acked;
	struct buf option = BUF_INIT(16);
	buf_u32be(&option, 0x0101050a);
	buf_u32be(&option, t.server_seq + 10);
	buf_u32be(&option, t.server_seq + 10 + sacked);
	packet_with(&t.client, &t.server, TCP_ACK, t.client_seq, t.server_seq,
		    sacked ? buf_view(&option) : BYTES_NONE, BYTES_NONE);
	snprintf(keys, sizeof keys, "%s/keys", folder);
	write_file(keys, r->key_log.p, r->key_log.n);
	options.keys = keys;
	int code = run();
	if (code != (strcmp(reason, "idle") != 0) ||
	    strcmp(word(connection(0), "reason"), reason) != 0)
		fail_msg("%s: %d, %s, not %s", suite, code, word(connection(0), "reason"), reason);
	unlink(keys);
	buf_deinit(&option);
	tls_rig_free(r);
}

static void test_the_end_is_missing(void **state)
{
	use_https();
	for (unsigned i = 0; i < sizeof suites / sizeof suites[0]; i++) {
		bool again = strstr(suites[i], "GCM-") || strstr(suites[i], "CCM8") ||
			     strstr(suites[i], "-SHA");
		check_end(suites[i], 0, 0, false, "idle");
		check_end(suites[i], 33, 0, false, "gap");
		check_end(suites[i], 0, 10, false, "server-bytes-lost");
		/* The server has sent more, the client has none of it. */
		check_end(suites[i], 0, 0, true, again ? "idle" : "record-uncertain");
	}
}

/* The keys of another session do not count. */
static void test_every_cut_with_other_keys(void **state)
{
	char keys[80];

	use_https();
	struct tls_rig *r = whole_conversation(suites[0], "10.1.0.7:40000");
	begin_capture();
	struct tls_rig *other = whole_conversation(suites[0], "10.1.0.7:40000");
	snprintf(keys, sizeof keys, "%s/keys", folder);
	write_file(keys, r->key_log.p, r->key_log.n);
	options.cut = DRY_RUN_CUT_EVERY;
	options.cut_packet = 1;
	options.keys = keys;
	assert_int_equal(run(), 1);
	assert_int_equal(number("exact") + number("if_keys") + number("refused.handshake-cut"),
			 number("cuts"));
	assert_in_range(number("if_keys"), number("cuts") / 4, number("cuts"));
	unlink(keys);
	tls_rig_free(r);
	tls_rig_free(other);
}

/* ---- conversations that were recorded with real servers ------------------------------------- */

static struct buf read_recording(const char *name)
{
	struct buf b = BUF_INIT(1u << 20);
	char file[512];

	snprintf(file, sizeof file, "%s/%s", RECORDINGS, name);
	FILE *f = fopen(file, "re");
	assert_non_null(f);
	assert_int_equal(buf_reserve(&b, 1u << 20), 0);
	b.n = fread(b.p, 1, 1u << 20, f);
	fclose(f);
	return b;
}

static void say_recorded(struct talk *t, struct tls_rig *r, struct bytes recording)
{
	struct reader rd = reader_init(recording);
	struct conversation_record rec;
	uint32_t chunk = 0;

	tls_rig_handshake(r);
	while (conversation_next(&rd, &rec)) {
		bool fin = rec.kind == 'E' || rec.kind == 'F';
		uint32_t dir = rec.kind == 'C' || rec.kind == 'F';
		if (fin)
			tls_rig_close(r, dir);
		else
			tls_rig_say(r, dir, rec.b);
		send_chunks(t, r, &chunk);
		acknowledge(t);
		if (fin && dir == JEEBS_TO_CLIENT)
			from_server(t, TCP_ACK | TCP_FIN, "");
		else if (fin)
			from_client(t, TCP_ACK | TCP_FIN, "");
	}
}

static long long refused(const char *why)
{
	return json_integer_value(json_object_get(get("refused"), why));
}

/* Inside TLS every cut is proved as it is in the clear; the oracle of HTTP/2 compares what is
 * said. */
static void test_recorded(void **state)
{
	static const struct {
		const char *name, *alpn;
	} recordings[] = {
		{"http/corpus/http-oracle/nginx-keep-alive", NULL},
		{"http/corpus/http-oracle/apache-range", "http/1.1"},
		{"http/corpus/http-oracle/lighttpd-parts", NULL},
		{"http/corpus/http-oracle/nginx-pipelined", NULL},
		{"http/corpus/http-oracle/apache-close", NULL},
		{"h2/corpus/h2-oracle/nginx-curl", "h2"},
		{"h2/corpus/h2-oracle/nginx-nghttp-parallel", "h2"},
		{"h2/corpus/h2-oracle/nghttpd-curl-range", "h2"},
		{"h2/corpus/h2-oracle/nghttpd-nghttp-small-window", "h2"},
	};
	long long cuts = 0, exact = 0;
	char keys[80];

	use_https();
	options.cut = DRY_RUN_CUT_EVERY;
	options.cut_packet = 1;
	options.keys = keys;
	snprintf(keys, sizeof keys, "%s/keys", folder);
	for (unsigned i = 0; i < sizeof recordings / sizeof recordings[0]; i++) {
		struct buf file = read_recording(recordings[i].name);
		struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){
			.suite = suites[i % 6], .alpn = recordings[i].alpn});
		segment = recordings[i].alpn && strcmp(recordings[i].alpn, "h2") == 0 ? 31 : 211;
		begin_capture();
		struct talk t = talk_open("10.1.0.7:40000", "10.9.0.1:443");
		say_recorded(&t, r, buf_view(&file));
		write_file(keys, r->key_log.p, r->key_log.n);
		run();
		/* Of HTTP/2 a head that was begun, and not its end, nobody says again in the same
		 * bytes. */
		bool h2 = strstr(recordings[i].name, "h2/");
		long long head = refused("resume: head-contradicts"),
			  record = refused("resume: record-contradicts"),
			  sealed = number("cuts") - refused("handshake-cut");
		if (number("wrong") != 0 || number("exact") + head + record != sealed ||
		    (!h2 && head + record > 0) || record > 2 || head > sealed * 3 / 10)
			fail_msg("%s: %s", recordings[i].name, ran.out);
		cuts += number("cuts");
		exact += number("exact");
		unlink(keys);
		tls_rig_free(r);
		buf_deinit(&file);
	}
	segment = 1400;
	printf("%lld cuts, %lld exact\n", cuts, exact);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_without_keys), CASE(test_table_without_keys),
		CASE(test_with_keys),    CASE(test_secrets_in_the_capture),
		CASE(test_every_cut),    CASE(test_the_end_is_missing),
		CASE(test_recorded),     CASE(test_every_cut_with_other_keys),
	};
	return cmocka_run_group_tests_name("dry-run-keys", tests, NULL, NULL);
}
