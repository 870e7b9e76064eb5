/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backup-tls.h"
#include "base/buf.h"
#include "test/backup-rig.h"

/* One conversation: the connection under test, and a server of OpenSSL. */
struct talk {
	struct backup_tls_conn *c;
	SSL *server;
	struct buf heard;     /* of the backup, opened */
	struct buf at_server; /* what the server has understood */
	size_t cut;           /* the connection is given so many bytes at a time; 0: all */
	bool shaken;
};

static struct backup_tls *shared_of(const char *ca, const char *name)
{
	struct backup_tls *t = NULL;
	char error[256];

	assert_int_equal(
		backup_tls_new(&(struct backup_tls_config){ca, name}, &t, error, sizeof error), 0);
	return t;
}

static void talk_open(struct talk *k, struct backup_tls *t, SSL_CTX *x, const char *name,
		      const char *alpn)
{
	*k = (struct talk){.heard = BUF_INIT(8 << 20), .at_server = BUF_INIT(8 << 20)};
	assert_int_equal(backup_tls_open(t, &(struct backup_tls_ask){name, alpn}, &k->c), 0);
	k->server = SSL_new(x);
	SSL_set_bio(k->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(k->server);
}

static void talk_close(struct talk *k)
{
	backup_tls_close(k->c);
	SSL_free(k->server);
	buf_deinit(&k->heard);
	buf_deinit(&k->at_server);
}

static void server_reads(struct talk *k)
{
	uint8_t room[4096];
	int n;

	if (!SSL_is_init_finished(k->server))
		SSL_do_handshake(k->server);
	k->shaken = SSL_is_init_finished(k->server);
	while (k->shaken && (n = SSL_read(k->server, room, sizeof room)) > 0)
		assert_int_equal(buf_append(&k->at_server, room, (size_t)n), 0);
}

static void give(struct talk *k, struct bytes b)
{
	uint8_t room[1000];
	size_t n;

	backup_tls_take(k->c, b);
	while ((n = backup_tls_read(k->c, room, sizeof room)) > 0)
		assert_int_equal(buf_append(&k->heard, room, n), 0);
}

/* Until neither has anything to say. */
static void talk_on(struct talk *k)
{
	bool moved = true;

	while (moved) {
		struct bytes b;
		char *p;
		moved = false;
		while ((b = backup_tls_out(k->c)).n > 0) {
			assert_int_equal(BIO_write(SSL_get_rbio(k->server), b.p, (int)b.n), b.n);
			backup_tls_sent(k->c, b.n);
			moved = true;
		}
		server_reads(k);
		b.n = (size_t)BIO_get_mem_data(SSL_get_wbio(k->server), &p);
		b.p = (uint8_t *)p;
		moved |= b.n > 0;
		while (b.n > 0) {
			struct bytes part = bytes_head(b, k->cut ? k->cut : b.n);
			give(k, part);
			b = bytes_from(b, part.n);
		}
		(void)BIO_reset(SSL_get_wbio(k->server));
	}
}

static void shake(struct talk *k)
{
	assert_true(backup_tls_begin(k->c, true));
	talk_on(k);
}

static void server_says(struct talk *k, const void *p, size_t n)
{
	assert_int_equal(SSL_write(k->server, p, (int)n), n);
	talk_on(k);
}

/* A whole conversation; returns whether it began with another one's ticket. */
static bool converse(struct backup_tls *t, SSL_CTX *x, const char *name)
{
	struct talk k;

	talk_open(&k, t, x, name, NULL);
	shake(&k);
	assert_null(backup_tls_failure(k.c));
	server_says(&k, "hello", 5);
	bool resumed = backup_tls_is_resumed(k.c);
	assert_int_equal(resumed, SSL_session_reused(k.server));
	talk_close(&k);
	return resumed;
}

static void test_says_and_hears(void **state)
{
	static const size_t cuts[] = {0, 1, 2, 5, 17, 100, 1000};
	uint8_t *big = malloc(BACKUP_TLS_PIECE);

	for (size_t i = 0; i < BACKUP_TLS_PIECE; i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
	for (int tls12 = 0; tls12 < 2; tls12++) {
		SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){.tls12 = tls12});
		for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
			struct backup_tls *t = shared_of(backup_rig_ca(), NULL);
			struct talk k;
			talk_open(&k, t, x, "web.example", "http/1.1");
			k.cut = cuts[i];
			assert_false(backup_tls_is_up(k.c));
			assert_false(backup_tls_write(k.c, bytes_str("too early")));
			shake(&k);
			assert_true(backup_tls_is_up(k.c) && k.shaken);
			assert_string_equal(SSL_get_servername(k.server, TLSEXT_NAMETYPE_host_name),
					    "web.example");
			assert_true(backup_tls_write(k.c, bytes_str("GET /")));
			assert_true(backup_tls_write(k.c, bytes_of(big, BACKUP_TLS_PIECE)));
			talk_on(&k);
			assert_int_equal(k.at_server.n, 5 + BACKUP_TLS_PIECE);
			assert_memory_equal(k.at_server.p + 5, big, BACKUP_TLS_PIECE);
			server_says(&k, big, BACKUP_TLS_PIECE);
			assert_true(bytes_eq(buf_view(&k.heard), bytes_of(big, BACKUP_TLS_PIECE)));
			assert_false(backup_tls_is_closed(k.c));
			SSL_shutdown(k.server);
			talk_on(&k);
			assert_true(backup_tls_is_closed(k.c));
			assert_null(backup_tls_failure(k.c));
			backup_tls_finish(k.c);
			talk_on(&k);
			assert_int_equal(SSL_get_shutdown(k.server) & SSL_RECEIVED_SHUTDOWN,
					 SSL_RECEIVED_SHUTDOWN);
			talk_close(&k);
			backup_tls_free(t);
		}
		SSL_CTX_free(x);
	}
	free(big);
}

/* Client's own KeyUpdate answers, in the middle of what is being sent. */
static void test_key_update_is_answered(void **state)
{
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct backup_tls *t = shared_of(backup_rig_ca(), NULL);
	struct talk k;

	talk_open(&k, t, x, "web.example", NULL);
	shake(&k);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(SSL_key_update(k.server, SSL_KEY_UPDATE_REQUESTED), 1);
		server_says(&k, "x", 1);
		assert_true(backup_tls_write(k.c, bytes_str("y")));
		talk_on(&k);
	}
	assert_int_equal(k.heard.n, 5);
	assert_int_equal(k.at_server.n, 5);
	talk_close(&k);
	backup_tls_free(t);
	SSL_CTX_free(x);
}

static void test_who_is_believed(void **state)
{
	static const struct {
		struct backup_rig_options o;
		bool other_ca;
		const char *name, *asked, *alpn, *failure, *detail;
	} cases[] = {
		{.asked = "web.example"},
		{.asked = "10.9.0.1"},
		{.asked = NULL},
		{.asked = "evil.example", .name = "web.example"},
		{.asked = "web.example", .alpn = "h2", .o.alpn = "h2"},
		{.asked = "web.example", .alpn = "http/1.1", .o.alpn = "http/1.1"},
		{.asked = "web.example", .alpn = "http/1.1"},
		{.asked = "web.example",
		 .other_ca = true,
		 .failure = "backup-tls-verify",
		 .detail = "unable to get local issuer certificate"},
		{.asked = "other.example",
		 .failure = "backup-tls-verify",
		 .detail = "hostname mismatch"},
		{.asked = "web.example",
		 .name = "other.example",
		 .failure = "backup-tls-verify",
		 .detail = "hostname mismatch"},
		{.asked = "10.9.0.2",
		 .failure = "backup-tls-verify",
		 .detail = "IP address mismatch"},
		{.asked = "web.example",
		 .o.expired = true,
		 .failure = "backup-tls-verify",
		 .detail = "certificate has expired"},
		{.asked = "web.example", .alpn = "h2", .failure = "backup-tls-alpn"},
		{.asked = "web.example",
		 .alpn = "h2",
		 .o.alpn = "http/1.1",
		 .failure = "backup-tls-alpn"},
		{.asked = "web.example",
		 .o.wants_certificate = true,
		 .failure = "backup-tls-failed"},
	};

	for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
		struct backup_rig_options o = cases[i / 2].o;
		o.tls12 = i % 2;
		SSL_CTX *x = backup_rig_server(&o);
		struct backup_tls *t =
			shared_of(cases[i / 2].other_ca ? backup_rig_other_ca() : backup_rig_ca(),
				  cases[i / 2].name);
		struct backup_tls_stats n;
		struct talk k;
		talk_open(&k, t, x, cases[i / 2].asked, cases[i / 2].alpn);
		shake(&k);
		backup_tls_stats(t, &n);
		if (cases[i / 2].failure) {
			assert_non_null(backup_tls_failure(k.c));
			assert_string_equal(backup_tls_failure(k.c), cases[i / 2].failure);
			if (cases[i / 2].detail)
				assert_string_equal(backup_tls_detail(k.c), cases[i / 2].detail);
			assert_false(backup_tls_write(k.c, bytes_str("x")));
			assert_int_equal(n.failed, 1);
			assert_int_equal(k.at_server.n, 0);
		} else {
			assert_null(backup_tls_failure(k.c));
			assert_true(backup_tls_is_up(k.c));
			assert_int_equal(n.full, 1);
			assert_int_equal(n.failed, 0);
		}
		talk_close(&k);
		backup_tls_free(t);
		SSL_CTX_free(x);
	}
}

static void test_no_tls_is_refused(void **state)
{
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct backup_tls *t = shared_of(backup_rig_ca(), NULL);
	struct talk k;

	talk_open(&k, t, x, "web.example", NULL);
	assert_true(backup_tls_begin(k.c, true));
	give(&k, bytes_str("HTTP/1.1 400 Bad Request\r\n\r\n"));
	assert_string_equal(backup_tls_failure(k.c), "backup-tls-failed");
	talk_close(&k);
	/* The end of TCP in a handshake is a failure too. */
	talk_open(&k, t, x, "web.example", NULL);
	assert_true(backup_tls_begin(k.c, true));
	talk_close(&k);
	struct backup_tls_stats n;
	backup_tls_stats(t, &n);
	assert_int_equal(n.failed, 2);
	backup_tls_free(t);
	SSL_CTX_free(x);
}

static void test_tickets_are_shared(void **state)
{
	for (int tls12 = 0; tls12 < 2; tls12++) {
		SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){
			.tls12 = tls12, .name = "DNS:web.example,DNS:b.example"});
		struct backup_tls *t = shared_of(backup_rig_ca(), NULL);
		struct backup_tls_stats n;
		assert_false(converse(t, x, "web.example"));
		for (int i = 0; i < 20; i++)
			assert_true(converse(t, x, "web.example"));
		/* A ticket is for a name. */
		assert_false(converse(t, x, "b.example"));
		assert_true(converse(t, x, "b.example"));
		backup_tls_stats(t, &n);
		assert_int_equal(n.full, 2);
		assert_int_equal(n.resumed, 21);
		assert_int_equal(n.failed, 0);
		/* The backup was started anew, and knows its tickets no more. */
		SSL_CTX_free(x);
		x = backup_rig_server(&(struct backup_rig_options){.tls12 = tls12});
		assert_false(converse(t, x, "web.example"));
		assert_true(converse(t, x, "web.example"));
		backup_tls_free(t);
		SSL_CTX_free(x);
	}
}

/* Names are the clients' choice: however many there are, little is kept, and each handshake
 * succeeds. */
static void test_many_names(void **state)
{
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){.name = "DNS:*.rig.example"});
	struct backup_tls *t = shared_of(backup_rig_ca(), NULL);
	char name[32];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "n%d.rig.example", i);
		assert_false(converse(t, x, name));
	}
	assert_true(converse(t, x, "n39.rig.example"));
	assert_false(converse(t, x, "n0.rig.example"));
	backup_tls_free(t);
	SSL_CTX_free(x);
}

/* The others wait for the first one's ticket. */
static void test_one_goes_first(void **state)
{
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct backup_tls *t = shared_of(backup_rig_ca(), NULL);
	struct talk k[3];

	for (int i = 0; i < 3; i++)
		talk_open(&k[i], t, x, "web.example", NULL);
	assert_true(backup_tls_begin(k[0].c, false));
	assert_false(backup_tls_begin(k[1].c, false));
	assert_int_equal(backup_tls_out(k[1].c).n, 0);
	/* Who has waited long enough does not wait for one that hangs. */
	assert_true(backup_tls_begin(k[2].c, true));
	talk_on(&k[2]);
	assert_true(backup_tls_is_up(k[2].c));
	assert_true(backup_tls_begin(k[1].c, false));
	talk_on(&k[1]);
	assert_true(backup_tls_is_resumed(k[1].c));
	for (int i = 0; i < 3; i++)
		talk_close(&k[i]);
	/* One that ends lets another one go first. */
	struct backup_tls *other = shared_of(backup_rig_ca(), NULL);
	for (int i = 0; i < 2; i++)
		talk_open(&k[i], other, x, "web.example", NULL);
	assert_true(backup_tls_begin(k[0].c, false));
	assert_false(backup_tls_begin(k[1].c, false));
	talk_close(&k[0]);
	assert_true(backup_tls_begin(k[1].c, false));
	talk_close(&k[1]);
	backup_tls_free(other);
	backup_tls_free(t);
	SSL_CTX_free(x);
}

/* A backup that gives no tickets is waited for once. */
static void test_no_tickets(void **state)
{
	for (int tls12 = 0; tls12 < 2; tls12++) {
		SSL_CTX *x = backup_rig_server(
			&(struct backup_rig_options){.tls12 = tls12, .no_tickets = true});
		struct backup_tls *t = shared_of(backup_rig_ca(), NULL);
		struct talk k[2];
		assert_false(converse(t, x, "web.example"));
		for (int i = 0; i < 2; i++)
			talk_open(&k[i], t, x, "web.example", NULL);
		for (int i = 0; i < 2; i++)
			assert_true(backup_tls_begin(k[i].c, false));
		for (int i = 0; i < 2; i++)
			talk_close(&k[i]);
		backup_tls_free(t);
		SSL_CTX_free(x);
	}
}

static void test_what_cannot_be_believed(void **state)
{
	struct backup_tls *t = NULL;
	char error[256];

	assert_int_equal(backup_tls_new(&(struct backup_tls_config){"/nowhere/ca.pem", NULL}, &t,
					error, sizeof error),
			 -EINVAL);
	assert_non_null(strstr(error, "/nowhere/ca.pem: "));
	assert_int_equal(backup_tls_new(&(struct backup_tls_config){"/dev/null", NULL}, &t, error,
					sizeof error),
			 -EINVAL);
	assert_non_null(strstr(error, "/dev/null: "));
	assert_null(t);
	/* The system's are there, and do not believe the rig's. */
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct talk k;
	t = shared_of(NULL, NULL);
	talk_open(&k, t, x, "web.example", NULL);
	shake(&k);
	assert_string_equal(backup_tls_failure(k.c), "backup-tls-verify");
	talk_close(&k);
	backup_tls_free(t);
	SSL_CTX_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_says_and_hears),
		cmocka_unit_test(test_key_update_is_answered),
		cmocka_unit_test(test_who_is_believed),
		cmocka_unit_test(test_no_tls_is_refused),
		cmocka_unit_test(test_tickets_are_shared),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_one_goes_first),
		cmocka_unit_test(test_no_tickets),
		cmocka_unit_test(test_what_cannot_be_believed),
	};

	return cmocka_run_group_tests(tests, NULL, backup_rig_deinit);
}
