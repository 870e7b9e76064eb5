/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Joins whose backup is spoken to in TLS. The backups are OpenSSL's server on sockets of loopback.
 */
#include "test/join-rig.h"

#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backup-tls/backup-tls.h"
#include "backup-tls/test/backup-rig.h"
#include "base/clock.h"

static struct backup_tls *shared_of(const char *ca)
{
	struct backup_tls *t = NULL;
	char error[256];

	assert_int_equal(
		backup_tls_new(&(struct backup_tls_config){.ca = ca}, &t, error, sizeof error), 0);
	return t;
}

/* A module that asks once, and hands on what it hears. */
static void step_ask(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		     const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START) {
		ops->backend_tls(j, "web.example", "http/1.1");
		ops->to_backend(j, rig_text("ask"));
	} else if (event == JEEBS_EV_CLIENT_DATA && b.n == 1 && b.p[0] == '.') {
		ops->finish_backend(j); /* the client says that it has ended before it does */
	} else if (event == JEEBS_EV_CLIENT_DATA) {
		ops->to_backend(j, b);
	} else if (event == JEEBS_EV_BACKEND_DATA) {
		ops->to_client(j, b);
	} else if (event == JEEBS_EV_CLIENT_EOF) {
		ops->finish_backend(j);
	} else if (event == JEEBS_EV_BACKEND_EOF) {
		ops->finish_client(j);
	} else if (event == JEEBS_EV_BACKEND_FAILED) {
		ops->abort(j, "backend-failed");
	}
}

static int submit(struct rig *r, uint64_t id, struct rig_script *s, struct backup_tls *t)
{
	int client;
	struct join_request q = rig_request(r, id, &client);

	rig_with_script(&q, s);
	q.backup_tls = t;
	rig_submit(r, &q);
	return client;
}

static SSL *server_on(int fd, SSL_CTX *x)
{
	SSL *ssl = SSL_new(x);

	assert_non_null(ssl);
	assert_int_equal(SSL_set_fd(ssl, fd), 1);
	return ssl;
}

static void hears(SSL *ssl, const char *text)
{
	char got[256];
	size_t n = strlen(text), have = 0, part;

	assert_true(n < sizeof got);
	while (have < n) {
		assert_int_equal(SSL_read_ex(ssl, got + have, n - have, &part), 1);
		have += part;
	}
	assert_memory_equal(got, text, n);
}

static void says(SSL *ssl, const void *p, size_t n)
{
	size_t written;

	assert_int_equal(SSL_write_ex(ssl, p, n, &written), 1);
	assert_int_equal(written, n);
}

/* In both directions, then both ends in order. */
static void test_a_conversation(void **state)
{
	for (int tls12 = 0; tls12 < 2; tls12++) {
		struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
		struct backup_tls *t = shared_of(backup_rig_ca());
		SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){.tls12 = tls12});
		struct rig_script s = {.step = step_ask};
		char c;

		int client = submit(r, 1, &s, t);
		int fd = rig_accept(r);
		SSL *ssl = server_on(fd, x);
		assert_int_equal(SSL_accept(ssl), 1);
		assert_string_equal(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
				    "web.example");
		hears(ssl, "ask");
		says(ssl, "answer", 6);
		rig_expect_bytes(client, "answer");
		rig_send(client, "more", 4);
		hears(ssl, "more");
		shutdown(client, SHUT_WR);
		assert_int_equal(SSL_read(ssl, &c, 1), 0);
		assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN); /* close_notify */
		rig_expect_eof(fd);
		says(ssl, "last", 4);
		SSL_shutdown(ssl);
		close(fd);
		SSL_free(ssl);
		rig_expect_bytes(client, "last");
		rig_expect_eof(client);
		close(client);
		rig_expect(r, 1, NULL);
		struct rig_end e = rig_wait(r, 1);
		assert_int_equal(e.to_server_bytes, 7); /* of what was said */
		assert_int_equal(e.to_client_bytes, 10);
		rig_free(r);
		assert_string_equal(s.seen, "SUDdeDE");
		backup_tls_free(t);
		SSL_CTX_free(x);
	}
}

/* What cannot be believed is told nothing, and the reason is TLS's own. */
static void test_reasons(void **state)
{
	static const struct {
		struct backup_rig_options o;
		bool other_ca;
		const char *reason;
	} cases[] = {
		{.other_ca = true, .reason = "backup-tls-verify"},
		{.o.expired = true, .reason = "backup-tls-verify"},
		{.o.name = "DNS:other.example", .reason = "backup-tls-verify"},
		{.o.alpn = "h2", .reason = "backup-tls-alpn"},
		{.o.wants_certificate = true, .reason = "backup-tls-failed"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
		struct backup_tls *t =
			shared_of(cases[i].other_ca ? backup_rig_other_ca() : backup_rig_ca());
		SSL_CTX *x = backup_rig_server(&cases[i].o);
		struct rig_script s = {.step = step_ask};
		char got[4];

		int client = submit(r, 1, &s, t);
		int fd = rig_accept(r);
		SSL *ssl = server_on(fd, x);
		if (SSL_accept(ssl) == 1)
			assert_true(SSL_read(ssl, got, sizeof got) <= 0);
		rig_expect(r, 1, cases[i].reason);
		rig_expect_reset(client);
		close(client);
		SSL_free(ssl);
		close(fd);
		ERR_clear_error();
		rig_free(r);
		backup_tls_free(t);
		SSL_CTX_free(x);
	}
}

static void test_no_tls(void **state)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct backup_tls *t = shared_of(backup_rig_ca());
	struct rig_script s[3] = {{.step = step_ask}, {.step = step_ask}, {.step = step_ask}};

	for (int i = 0; i < 3; i++) {
		int client = submit(r, (uint64_t)i, &s[i], t);
		int fd = rig_accept(r);
		char hello;
		rig_recv(fd, &hello, 1);
		if (i == 0)
			rig_send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
		else if (i == 1)
			shutdown(fd, SHUT_WR);
		else
			rig_reset(fd);
		rig_expect(r, (uint64_t)i, "backup-tls-failed");
		rig_expect_reset(client);
		close(client);
		if (i < 2)
			close(fd);
	}
	rig_free(r);
	backup_tls_free(t);
}

/* A backup accepts and does not answer. Others of the same thread do not wait for it. */
static void test_a_handshake_that_hangs(void **state)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.handshake_timeout_ns = 400 * NS_PER_MS;
	struct rig *r = rig_new(c);
	struct backup_tls *hangs = shared_of(backup_rig_ca()), *good = shared_of(backup_rig_ca());
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct rig_script s[4] = {
		{.step = step_ask}, {.step = step_ask}, {.step = step_ask}, {.step = step_ask}};
	int client[4], fd[4];

	/* The second and third would wait for the first one's ticket for ever. */
	for (int i = 0; i < 3; i++) {
		client[i] = submit(r, (uint64_t)i, &s[i], hangs);
		fd[i] = rig_accept(r);
	}
	client[3] = submit(r, 3, &s[3], good);
	fd[3] = rig_accept(r);
	SSL *ssl = server_on(fd[3], x);
	assert_int_equal(SSL_accept(ssl), 1);
	hears(ssl, "ask");
	says(ssl, "answer", 6);
	rig_expect_bytes(client[3], "answer");
	for (int i = 0; i < 3; i++) {
		rig_expect(r, (uint64_t)i, "backup-tls-timeout");
		rig_expect_reset(client[i]);
		close(client[i]);
		close(fd[i]);
	}
	assert_false(rig_has_ended(r, 3));
	says(ssl, "more", 4);
	rig_expect_bytes(client[3], "more");
	close(client[3]);
	SSL_free(ssl);
	close(fd[3]);
	rig_free(r);
	backup_tls_free(hangs);
	backup_tls_free(good);
	SSL_CTX_free(x);
}

/* A conversation up to the backup's @answer, which the client has. Returns the backup's TLS. */
static SSL *answered(struct rig *r, struct rig_script *s, struct backup_tls *t, SSL_CTX *x,
		     const char *answer, int *ret_client, int *ret_fd)
{
	*ret_client = submit(r, 1, s, t);
	*ret_fd = rig_accept(r);
	SSL *ssl = server_on(*ret_fd, x);

	assert_int_equal(SSL_accept(ssl), 1);
	hears(ssl, "ask");
	says(ssl, answer, strlen(answer));
	rig_expect_bytes(*ret_client, answer);
	return ssl;
}

/* Stock servers do not answer close_notify. The module is not told that all was said. */
static void close_notify_is_not_answered(bool word)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct backup_tls *t = shared_of(backup_rig_ca());
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct rig_script s = {.step = step_ask};

	int client, fd;
	SSL *ssl = answered(r, &s, t, x, "answer", &client, &fd);
	if (word)
		rig_send(client, ".", 1);
	else
		shutdown(client, SHUT_WR);
	char c;
	assert_int_equal(SSL_read(ssl, &c, 1), 0);
	SSL_free(ssl);
	close(fd);
	rig_expect_eof(client);
	close(client);
	rig_expect(r, 1, NULL);
	rig_free(r);
	assert_string_equal(s.seen, word ? "SUDde" : "SUDe");
	backup_tls_free(t);
	SSL_CTX_free(x);
}

static void test_close_notify_is_not_answered(void **state)
{
	close_notify_is_not_answered(false);
	close_notify_is_not_answered(true);
}

/* The backup is asked for TLS in its own words. */
static void step_later(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START) {
		ops->backend_tls_later(j, "web.example", "");
		assert_int_equal(ops->secure_backend(j, JEEBS_SECURE_ASK), s->number);
		ops->to_backend(j, rig_text("may I\n"));
	} else if (event == JEEBS_EV_BACKEND_UP && !ops->secure_backend(j, JEEBS_SECURE_ASK) &&
		   s->number) {
		ops->to_backend(j, rig_text("ask")); /* the handshake is done */
	} else if (event == JEEBS_EV_BACKEND_DATA && b.n == 4 && memcmp(b.p, "yes\n", 4) == 0) {
		if (ops->secure_backend(j, JEEBS_SECURE_ASK))
			ops->secure_backend(j, JEEBS_SECURE_BEGIN);
		else
			ops->to_backend(j, rig_text("ask"));
	} else if (event != JEEBS_EV_BACKEND_UP) {
		step_ask(s, cut, j, ops, event, b);
	}
}

static void expect_text(int fd, const char *text)
{
	char got[16];

	for (size_t i = 0; i < strlen(text); i++)
		rig_recv(fd, &got[i], 1);
	assert_memory_equal(got, text, strlen(text));
}

static void test_tls_later(void **state)
{
	static const char *const reasons[] = {NULL, "backup-tls-verify"};

	for (int other_ca = 0; other_ca < 2; other_ca++) {
		struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
		struct backup_tls *t =
			shared_of(other_ca ? backup_rig_other_ca() : backup_rig_ca());
		SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
		struct rig_script s = {.step = step_later, .number = 1};
		char c;

		int client = submit(r, 1, &s, t);
		int fd = rig_accept(r);
		expect_text(fd, "may I\n");
		rig_send(fd, "yes\n", 4);
		SSL *ssl = server_on(fd, x);
		if (other_ca) {
			if (SSL_accept(ssl) == 1)
				assert_true(SSL_read(ssl, &c, 1) <= 0);
			rig_expect(r, 1, reasons[other_ca]);
			rig_expect_reset(client);
		} else {
			assert_int_equal(SSL_accept(ssl), 1);
			hears(ssl, "ask");
			says(ssl, "answer", 6);
			rig_expect_bytes(client, "answer");
		}
		close(client);
		SSL_free(ssl);
		close(fd);
		ERR_clear_error();
		rig_free(r);
		backup_tls_free(t);
		SSL_CTX_free(x);
	}
}

/* The operator wants the backup plain: nothing is asked for. */
static void test_tls_never(void **state)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct rig_script s = {.step = step_later};

	int client = submit(r, 1, &s, NULL);
	int fd = rig_accept(r);
	expect_text(fd, "may I\n");
	rig_send(fd, "yes\n", 4);
	expect_text(fd, "ask");
	rig_send(fd, "answer", 6);
	rig_expect_bytes(client, "answer");
	close(client);
	close(fd);
	rig_free(r);
}

/* It agrees, and goes on in plain: nothing of that reaches the client. */
static void test_tls_later_and_plain_text(void **state)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct backup_tls *t = shared_of(backup_rig_ca());
	struct rig_script s = {.step = step_later, .number = 1};
	char hello;

	int client = submit(r, 1, &s, t);
	int fd = rig_accept(r);
	expect_text(fd, "may I\n");
	rig_send(fd, "yes\n", 4);
	rig_recv(fd, &hello, 1);
	assert_int_equal(hello, 22);
	rig_send(fd, "answer", 6);
	rig_expect(r, 1, "backup-tls-failed");
	rig_expect_reset(client);
	close(client);
	close(fd);
	rig_free(r);
	backup_tls_free(t);
}

/* Who ends without close_notify may have been cut. */
static void test_truncated(void **state)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct backup_tls *t = shared_of(backup_rig_ca());
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct rig_script s = {.step = step_ask};

	int client, fd;
	SSL *ssl = answered(r, &s, t, x, "half of", &client, &fd);
	shutdown(fd, SHUT_WR);
	rig_expect(r, 1, "backup-tls-truncated");
	rig_expect_reset(client);
	close(client);
	SSL_free(ssl);
	close(fd);
	rig_free(r);
	backup_tls_free(t);
	SSL_CTX_free(x);
}

/* One makes a full handshake, all others have its ticket. */
static void test_many_at_once(void **state)
{
	enum {
		MANY = 200
	};
	static struct rig_script s[MANY];
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.ticket_wait_ns = c.handshake_timeout_ns = 60 * NS_PER_S;
	struct rig *r = rig_new(c);
	struct backup_tls *t = shared_of(backup_rig_ca());
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct backup_tls_stats n;
	struct pollfd fds[MANY];
	int client[MANY];

	for (int i = 0; i < MANY; i++) {
		s[i] = (struct rig_script){.step = step_ask};
		client[i] = submit(r, (uint64_t)i, &s[i], t);
	}
	for (int i = 0; i < MANY; i++)
		fds[i] = (struct pollfd){.fd = rig_accept(r), .events = POLLIN};
	/* In the order in which they begin. */
	for (int served = 0; served < MANY;) {
		assert_true(poll(fds, MANY, 60000) > 0);
		for (int i = 0; i < MANY; i++) {
			if (!fds[i].revents)
				continue;
			SSL *ssl = server_on(fds[i].fd, x);
			assert_int_equal(SSL_accept(ssl), 1);
			hears(ssl, "ask");
			says(ssl, "answer", 6);
			SSL_shutdown(ssl);
			SSL_free(ssl);
			close(fds[i].fd);
			fds[i].fd = -1;
			served++;
		}
	}
	for (int i = 0; i < MANY; i++) {
		rig_expect_bytes(client[i], "answer");
		rig_expect_eof(client[i]);
		close(client[i]);
	}
	rig_wait_all(r, MANY);
	rig_free(r);
	backup_tls_stats(t, &n);
	assert_int_equal(n.full, 1);
	assert_int_equal(n.resumed, MANY - 1);
	assert_int_equal(n.failed, 0);
	backup_tls_free(t);
	SSL_CTX_free(x);
}

#define BULK ((size_t)24 << 20)

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
}

static void step_pass(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event != JEEBS_EV_START)
		return;
	ops->backend_tls(j, "web.example", NULL);
	ops->to_backend(j, rig_text("ask"));
	ops->pass(j, JEEBS_TO_SERVER);
	ops->pass(j, JEEBS_TO_CLIENT);
}

struct echo {
	int fd;
	SSL_CTX *x;
};

/* A backup that sends back what it is sent. */
static void *echo_main(void *arg)
{
	struct echo *e = arg;
	SSL *ssl = server_on(e->fd, e->x);
	static uint8_t room[64 << 10];
	size_t n, written;

	if (SSL_accept(ssl) == 1)
		while (SSL_read_ex(ssl, room, sizeof room, &n) == 1 &&
		       SSL_write_ex(ssl, room, n, &written) == 1)
			;
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(e->fd);
	return NULL;
}

struct sender {
	int fd;
	const uint8_t *p;
};

static void *sender_main(void *arg)
{
	struct sender *s = arg;

	rig_send(s->fd, s->p, BULK);
	shutdown(s->fd, SHUT_WR);
	return NULL;
}

/* More than any buffer holds, seen by the module or passing, to a client that reads late. */
static void bulk(void (*step)(struct rig_script *, const struct jeebs_cut *, struct jeebs_join *,
			      const struct jeebs_join_ops *, uint32_t, struct jeebs_bytes))
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct backup_tls *t = shared_of(backup_rig_ca());
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct rig_script s = {.step = step};
	uint8_t *out = malloc(BULK), *in = malloc(BULK);
	pthread_t echo, sender;

	fill(out, BULK, 7);
	int client = submit(r, 1, &s, t);
	struct echo e = {rig_accept(r), x};
	struct sender d = {client, out};
	assert_int_equal(pthread_create(&echo, NULL, echo_main, &e), 0);
	assert_int_equal(pthread_create(&sender, NULL, sender_main, &d), 0);
	rig_expect_bytes(client, "ask");
	rig_recv(client, in, BULK);
	assert_memory_equal(in, out, BULK);
	rig_expect_eof(client);
	pthread_join(sender, NULL);
	pthread_join(echo, NULL);
	close(client);
	rig_expect(r, 1, NULL);
	struct rig_end end = rig_wait(r, 1);
	assert_int_equal(end.to_server_bytes, BULK + 3);
	assert_int_equal(end.to_client_bytes, BULK + 3);
	rig_free(r);
	backup_tls_free(t);
	SSL_CTX_free(x);
	free(out);
	free(in);
}

static void test_bulk(void **state)
{
	bulk(step_ask);
}

static void test_bulk_passes(void **state)
{
	bulk(step_pass);
}

/* A log is sent from where it lies, whatever becomes of it on the way. */
static void step_log(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		     const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START) {
		ops->backend_tls(j, NULL, NULL);
		ops->log_to_backend(j, 0, s->number);
	} else {
		step_ask(s, cut, j, ops, event, b);
	}
}

static void test_a_log(void **state)
{
	const size_t n = 3 << 20;
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct backup_tls *t = shared_of(backup_rig_ca());
	/* Without a name it is the address of the service that is believed. */
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){.name = "IP:127.0.0.1"});
	struct rig_script s = {.step = step_log, .number = (uint32_t)n};
	uint8_t *log = malloc(n), *got = malloc(n);
	size_t have = 0, part;
	int client;

	fill(log, n, 9);
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	q.backup_tls = t;
	q.log[JEEBS_TO_SERVER] = rig_log(0, log, n);
	q.cut.to_server_end = n;
	rig_submit(r, &q);
	int fd = rig_accept(r);
	SSL *ssl = server_on(fd, x);
	assert_int_equal(SSL_accept(ssl), 1);
	assert_null(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	while (have < n && SSL_read_ex(ssl, got + have, n - have, &part) == 1)
		have += part;
	assert_int_equal(have, n);
	assert_memory_equal(got, log, n);
	SSL_shutdown(ssl);
	rig_expect_eof(client);
	close(client);
	rig_expect(r, 1, NULL);
	SSL_free(ssl);
	close(fd);
	rig_free(r);
	backup_tls_free(t);
	SSL_CTX_free(x);
	free(log);
	free(got);
}

/* Without what its service shares, nothing changes. */
static void test_plain(void **state)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct rig_script s = {.step = step_ask};
	int client = submit(r, 1, &s, NULL);
	int fd = rig_accept(r);

	rig_expect_bytes(fd, "ask");
	rig_send(fd, "answer", 6);
	rig_expect_bytes(client, "answer");
	close(client);
	close(fd);
	rig_wait(r, 1);
	rig_free(r);
}

/* The pool ends in the middle of handshakes, begun and waiting. */
static void test_the_pool_ends(void **state)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct backup_tls *t = shared_of(backup_rig_ca());
	struct rig_script s[3] = {{.step = step_ask}, {.step = step_ask}, {.step = step_ask}};
	int client[3], fd[3];
	char hello;

	for (int i = 0; i < 3; i++) {
		client[i] = submit(r, (uint64_t)i, &s[i], t);
		fd[i] = rig_accept(r);
	}
	rig_recv(fd[0], &hello, 1);
	r->pool = join_pool_free(r->pool);
	for (int i = 0; i < 3; i++) {
		rig_expect(r, (uint64_t)i, "pool-closed");
		close(client[i]);
		close(fd[i]);
	}
	rig_free(r);
	backup_tls_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_conversation),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_a_handshake_that_hangs),
		cmocka_unit_test(test_close_notify_is_not_answered),
		cmocka_unit_test(test_tls_later),
		cmocka_unit_test(test_tls_later_and_plain_text),
		cmocka_unit_test(test_tls_never),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_bulk_passes),
		cmocka_unit_test(test_a_log),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_the_pool_ends),
	};

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets */
	return cmocka_run_group_tests(tests, NULL, backup_rig_deinit);
}
