/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "keyvault/seal/test/seal-rig.h"
#include "vault-tls.h"

#define CENTURY_DAYS 36500 /* handshakes go by the clock of the wall */

struct ends {
	struct seal_rig rig;
	struct identity *vault, *origin;
	SSL_CTX *server_context, *client_context;
	struct vault_tls *server, *client;
	int client_fd, server_fd;
};

static SSL_CTX *context(const struct identity *who, struct trust *trust)
{
	SSL_CTX *c;

	assert_int_equal(vault_tls_context(who, trust, &c), 0);
	return c;
}

static int setup(void **state)
{
	static const char *const address[] = {"10.9.0.1", NULL};
	struct ends *e = calloc(1, sizeof *e);

	seal_rig_init(&e->rig);
	e->vault = seal_rig_identity(&e->rig.ca, IDENTITY_VAULT, "", NULL, CENTURY_DAYS);
	e->origin = seal_rig_identity(&e->rig.ca, IDENTITY_ORIGIN, "web1", address, CENTURY_DAYS);
	e->server_context = context(e->vault, e->rig.trust);
	e->client_context = context(e->origin, e->rig.trust);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct ends *e = *state;

	vault_tls_free(e->client);
	vault_tls_free(e->server);
	SSL_CTX_free(e->client_context);
	SSL_CTX_free(e->server_context);
	identity_close(e->vault);
	identity_close(e->origin);
	seal_rig_deinit(&e->rig);
	free(e);
	return 0;
}

static void join(struct ends *e)
{
	int fd[2], small = 4096;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	assert_int_equal(vault_tls_new(e->client_context, fd[0], false, &e->client), 0);
	assert_int_equal(vault_tls_new(e->server_context, fd[1], true, &e->server), 0);
	e->client_fd = fd[0];
	e->server_fd = fd[1];
}

/* Both in turns, until one of them is not OK, or @done. Returns what was not OK. */
static int run(struct ends *e, bool (*done)(struct ends *e))
{
	for (int i = 0; i < 10000; i++) {
		int c = vault_tls_step(e->client), s = vault_tls_step(e->server);
		if (c != 0 || s != 0)
			return c != 0 ? c : s;
		if (done(e))
			return 0;
	}
	fail_msg("it never ends");
	return 0;
}

static bool both_ready(struct ends *e)
{
	return vault_tls_ready(e->client) && vault_tls_ready(e->server);
}

static void test_who_is_who(void **state)
{
	struct ends *e = *state;

	join(e);
	assert_int_equal(run(e, both_ready), 0);
	assert_int_equal(vault_tls_peer(e->client)->role, IDENTITY_VAULT);
	assert_int_equal(vault_tls_peer(e->server)->role, IDENTITY_ORIGIN);
	assert_string_equal(vault_tls_peer(e->server)->name, "web1");
	assert_int_equal(vault_tls_peer(e->server)->addresses, 1);
	assert_int_equal(vault_tls_events(e->client), POLLIN);
}

static int frames_seen;

/* Epochs come in order, each with its number in its first byte; the third and every third is small.
 */
static bool hundred_frames(struct ends *e)
{
	struct vault_frame f;
	int outcome;

	while ((outcome = vault_tls_frame(e->server, &f)) == VAULT_WIRE_OK) {
		assert_int_equal(f.type, VAULT_EPOCH);
		assert_int_equal(f.request, frames_seen);
		assert_int_equal(f.epoch.blob.n, frames_seen % 3 ? VAULT_BLOB_MAX_BYTES : 1);
		assert_int_equal(f.epoch.blob.p[0], frames_seen);
		frames_seen++;
	}
	assert_int_equal(outcome, VAULT_WIRE_MORE);
	return frames_seen == 100;
}

static void test_frames_come_in_order(void **state)
{
	static uint8_t blob[VAULT_BLOB_MAX_BYTES];
	static const uint8_t id[EPOCH_ID_BYTES];
	struct ends *e = *state;

	join(e);
	frames_seen = 0;
	for (uint8_t i = 0; i < 100; i++) { /* before there is a connection */
		blob[0] = i;
		vault_wire_put_epoch(vault_tls_out(e->client), VAULT_EPOCH, i, id,
				     bytes_of(blob, i % 3 ? sizeof blob : 1));
	}
	assert_int_equal(buf_error(vault_tls_out(e->client)), 0);
	assert_int_equal(run(e, hundred_frames), 0);
}

/* A sender that reads nothing is not read from without end: what is read has a ceiling. */
static void test_ceilings(void **state)
{
	static uint8_t blob[VAULT_BLOB_MAX_BYTES];
	static const uint8_t id[EPOCH_ID_BYTES];
	struct ends *e = *state;
	int n = 0;

	join(e);
	assert_int_equal(run(e, both_ready), 0);
	while (buf_error(vault_tls_out(e->server)) == 0 && ++n < 1000)
		vault_wire_put_epoch(vault_tls_out(e->server), VAULT_EPOCH_BLOB, 1, id,
				     bytes_of(blob, sizeof blob));
	assert_int_equal(buf_error(vault_tls_out(e->server)), -ENOBUFS);
	for (int i = 0; i < 10000 && vault_tls_events(e->client) & POLLIN; i++) {
		assert_int_equal(vault_tls_step(e->server), 0);
		assert_int_equal(vault_tls_step(e->client), 0);
	}
	assert_int_equal(vault_tls_events(e->client) & POLLIN, 0);
	assert_true(vault_tls_out(e->server)->n > VAULT_TLS_OUT_MAX_BYTES / 2);
	struct vault_frame f;
	for (n = 0; vault_tls_frame(e->client, &f) == VAULT_WIRE_OK; n++)
		assert_int_equal(f.epoch.blob.n, sizeof blob);
	assert_true(n > 50);
	assert_int_equal(vault_tls_events(e->client) & POLLIN, POLLIN);
}

static void test_nonsense_in_the_frames(void **state)
{
	struct ends *e = *state;
	struct vault_frame f;

	join(e);
	assert_int_equal(run(e, both_ready), 0);
	buf_append(vault_tls_out(e->server), "GET / HTTP/1.1\r\n\r\n", 18);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(vault_tls_step(e->server), 0);
		assert_int_equal(vault_tls_step(e->client), 0);
	}
	assert_int_equal(vault_tls_frame(e->client, &f), VAULT_WIRE_MALFORMED);
}

static bool never(struct ends *e)
{
	return false;
}

/* The server's side must fail as well: a stranger's client believes it, it does not believe him. */
static void refused_by_server(struct ends *e)
{
	int r = 0;

	join(e);
	for (int i = 0; i < 100 && r == 0; i++) {
		(void)vault_tls_step(e->client);
		r = vault_tls_step(e->server);
		assert_false(vault_tls_ready(e->server));
	}
	assert_int_equal(r, VAULT_TLS_REFUSED);
	assert_true(strlen(vault_tls_error(e->server)) > 0);
}

static void test_a_stranger(void **state)
{
	struct ends *e = *state;
	struct issuer other = seal_rig_ca();
	struct identity *stranger =
		seal_rig_identity(&other, IDENTITY_ORIGIN, "web1", NULL, CENTURY_DAYS);

	SSL_CTX_free(e->client_context);
	e->client_context = context(stranger, e->rig.trust);
	refused_by_server(e);
	identity_close(stranger);
	seal_rig_issuer_free(&other);
}

static void test_a_false_vault(void **state)
{
	struct ends *e = *state;
	struct issuer other = seal_rig_ca();
	struct identity *stranger =
		seal_rig_identity(&other, IDENTITY_VAULT, "", NULL, CENTURY_DAYS);

	SSL_CTX_free(e->server_context);
	e->server_context = context(stranger, e->rig.trust);
	join(e);
	assert_int_equal(run(e, never), VAULT_TLS_REFUSED);
	assert_false(vault_tls_ready(e->client));
	identity_close(stranger);
	seal_rig_issuer_free(&other);
}

static void test_who_is_revoked(void **state)
{
	struct ends *e = *state;

	seal_rig_revoke(&e->rig, e->origin); /* makes the trust anew */
	SSL_CTX_free(e->client_context);
	e->client_context = context(e->origin, e->rig.trust);
	SSL_CTX_free(e->server_context);
	e->server_context = context(e->vault, e->rig.trust);
	refused_by_server(e);
}

static void test_who_has_expired(void **state)
{
	static const char *const address[] = {"10.9.0.1", NULL};
	struct ends *e = *state;
	struct identity *old = seal_rig_identity(&e->rig.ca, IDENTITY_ORIGIN, "web1", address, 1);

	SSL_CTX_free(e->client_context);
	e->client_context = context(old, e->rig.trust);
	refused_by_server(e);
	identity_close(old);
}

static void test_no_certificate(void **state)
{
	struct ends *e = *state;

	SSL_CTX_free(e->client_context);
	e->client_context = SSL_CTX_new(TLS_client_method());
	refused_by_server(e);
}

static void test_another_protocol(void **state)
{
	static const uint8_t h2[] = {2, 'h', '2'};
	struct ends *e = *state;

	SSL_CTX_set_alpn_protos(e->client_context, h2, sizeof h2);
	refused_by_server(e);
}

static void test_an_older_tls(void **state)
{
	struct ends *e = *state;

	SSL_CTX_set_min_proto_version(e->client_context, 0);
	SSL_CTX_set_max_proto_version(e->client_context, TLS1_2_VERSION);
	refused_by_server(e);
}

static void test_goodbye_and_vanishing(void **state)
{
	struct ends *e = *state;

	join(e);
	assert_int_equal(run(e, both_ready), 0);
	vault_tls_free(e->client);
	e->client = NULL;
	assert_int_equal(vault_tls_step(e->server), VAULT_TLS_CLOSED);
	assert_int_equal(vault_tls_step(e->server), VAULT_TLS_CLOSED);
	vault_tls_free(e->server);
	join(e);
	assert_int_equal(run(e, both_ready), 0);
	shutdown(e->client_fd, SHUT_RDWR);
	int r = 0;
	for (int i = 0; i < 10 && r == 0; i++)
		r = vault_tls_step(e->server);
	assert_true(r < 0);
	assert_false(vault_tls_ready(e->server));
}

/* Bytes of no TLS at all. */
static void test_noise(void **state)
{
	struct ends *e = *state;

	join(e);
	assert_int_equal(write(e->client_fd, "hello, is anybody there?\r\n", 26), 26);
	assert_int_equal(vault_tls_step(e->server), VAULT_TLS_REFUSED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_who_is_who),     TEST(test_frames_come_in_order),
		TEST(test_ceilings),       TEST(test_nonsense_in_the_frames),
		TEST(test_a_stranger),     TEST(test_a_false_vault),
		TEST(test_who_is_revoked), TEST(test_who_has_expired),
		TEST(test_no_certificate), TEST(test_another_protocol),
		TEST(test_an_older_tls),   TEST(test_goodbye_and_vanishing),
		TEST(test_noise),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
