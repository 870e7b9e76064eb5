/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-rig.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tls-rig: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

#define REQUIRE(what) require((what), #what)

/* ---- key log -------------------------------------------------------------------------------- */

static const char *const labels[TLS_SECRETS] = {
	[TLS_MASTER] = "CLIENT_RANDOM",
	[TLS_CLIENT_HANDSHAKE] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
	[TLS_SERVER_HANDSHAKE] = "SERVER_HANDSHAKE_TRAFFIC_SECRET",
	[TLS_CLIENT_APPLICATION] = "CLIENT_TRAFFIC_SECRET_0",
	[TLS_SERVER_APPLICATION] = "SERVER_TRAFFIC_SECRET_0",
};

static size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = strspn(hex, "0123456789abcdefABCDEF") / 2;

	REQUIRE(n <= cap);
	for (size_t i = 0; i < n; i++)
		REQUIRE(sscanf(hex + 2 * i, "%2hhx", &out[i]) == 1);
	return n;
}

static void heard_secret(const SSL *ssl, const char *line)
{
	struct tls_rig *r = SSL_get_app_data(ssl);
	struct tls_rig_secret *s = &r->secret[r->secret_n];
	char label[64], random[128], secret[256];

	buf_bytes(&r->key_log, bytes_str(line));
	buf_bytes(&r->key_log, bytes_str("\n"));
	REQUIRE(sscanf(line, "%63s %127s %255s", label, random, secret) == 3);
	for (int i = 0; i < TLS_SECRETS; i++) {
		if (strcmp(label, labels[i]) != 0)
			continue;
		REQUIRE(r->secret_n < TLS_RIG_SECRETS);
		s->label = (enum tls_secret)i;
		REQUIRE(from_hex(random, s->client_random, sizeof s->client_random) == 32);
		s->n = from_hex(secret, s->bytes, sizeof s->bytes);
		r->secret_n++;
	}
}

static bool find(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
		 enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	const struct tls_rig *r = ctx;

	for (uint32_t i = 0; i < r->secret_n; i++) {
		const struct tls_rig_secret *s = &r->secret[i];
		if (s->label != label ||
		    memcmp(s->client_random, client_random, TLS_RANDOM_BYTES) != 0 ||
		    candidate-- > 0)
			continue;
		*ret = bytes_of(s->bytes, s->n);
		return true;
	}
	return false;
}

struct session_secrets tls_rig_secrets(struct tls_rig *r)
{
	return (struct session_secrets){.find = find, .ctx = r};
}

/* ---- the two ends --------------------------------------------------------------------------- */

/* A key and a certificate of it, made once. */
static void identity(EVP_PKEY **ret_key, X509 **ret_cert)
{
	static EVP_PKEY *key;
	static X509 *cert;

	if (!key) {
		key = EVP_EC_gen("P-256");
		cert = X509_new();
		REQUIRE(key && cert);
		X509_set_version(cert, 2);
		ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
		X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
		X509_gmtime_adj(X509_getm_notAfter(cert), 3600 * 24);
		X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					   (const unsigned char *)"rig", -1, -1, 0);
		X509_set_issuer_name(cert, X509_get_subject_name(cert));
		X509_set_pubkey(cert, key);
		REQUIRE(X509_sign(cert, key, EVP_sha256()) > 0);
	}
	*ret_key = key;
	*ret_cert = cert;
}

static int any_certificate(int ok, X509_STORE_CTX *c)
{
	return 1;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		       const unsigned char *in, unsigned int n, void *arg)
{
	*out = in + 1;
	*out_n = in[0];
	return SSL_TLSEXT_ERR_OK;
}

#define RECORD_SIZE_LIMIT 28

static int say_limit(SSL *ssl, unsigned int type, unsigned int context, const unsigned char **out,
		     size_t *out_n, X509 *x, size_t chain, int *alert, void *arg)
{
	*out = arg;
	*out_n = 2;
	return 1;
}

static void free_limit(SSL *ssl, unsigned int type, unsigned int context, const unsigned char *out,
		       void *arg)
{
}

static int hear_limit(SSL *ssl, unsigned int type, unsigned int context, const unsigned char *in,
		      size_t n, X509 *x, size_t chain, int *alert, void *arg)
{
	return n == 2;
}

static void set_limit(SSL_CTX *c, uint8_t limit[static 2])
{
	unsigned where = SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO |
			 SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS;

	REQUIRE(SSL_CTX_add_custom_ext(c, RECORD_SIZE_LIMIT, where, say_limit, free_limit, limit,
				       hear_limit, NULL) == 1);
}

static void set_suite(SSL_CTX *c, const char *suite)
{
	bool tls13 = strncmp(suite, "TLS_", 4) == 0;
	int version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;

	SSL_CTX_set_security_level(c, 0);
	SSL_CTX_set_min_proto_version(c, version);
	SSL_CTX_set_max_proto_version(c, version);
	REQUIRE(tls13 ? SSL_CTX_set_ciphersuites(c, suite) : SSL_CTX_set_cipher_list(c, suite));
}

static void set_ctx(SSL_CTX *c, const struct tls_rig_options *o, bool server)
{
	EVP_PKEY *key;
	X509 *cert;

	set_suite(c, o->suite);
	if (o->no_encrypt_then_mac)
		SSL_CTX_set_options(c, SSL_OP_NO_ENCRYPT_THEN_MAC);
	if (o->no_middlebox)
		SSL_CTX_clear_options(c, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	if (o->no_tickets)
		SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
	if (o->padding)
		SSL_CTX_set_block_padding(c, o->padding);
	if (server || o->client_certificate) {
		identity(&key, &cert);
		REQUIRE(SSL_CTX_use_certificate(c, cert) == 1);
		REQUIRE(SSL_CTX_use_PrivateKey(c, key) == 1);
	}
	if (server) {
		REQUIRE(SSL_CTX_set1_groups_list(c, "P-256") == 1);
		SSL_CTX_set_alpn_select_cb(c, choose_alpn, NULL);
		SSL_CTX_set_session_id_context(c, (const unsigned char *)"rig", 3);
		if (o->client_certificate)
			SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
					   any_certificate);
		SSL_CTX_set_keylog_callback(c, heard_secret);
	} else {
		const char *groups = o->client_groups ? o->client_groups : "P-256";
		REQUIRE(SSL_CTX_set1_groups_list(c, groups) == 1);
	}
}

static void set_client(SSL *s, const struct tls_rig_options *o)
{
	unsigned char alpn[64];

	if (o->name)
		SSL_set_tlsext_host_name(s, o->name);
	if (o->alpn) {
		alpn[0] = (unsigned char)strlen(o->alpn);
		memcpy(alpn + 1, o->alpn, alpn[0]);
		REQUIRE(SSL_set_alpn_protos(s, alpn, alpn[0] + 1u) == 0);
	}
	if (o->max_fragment)
		REQUIRE(SSL_set_tlsext_max_fragment_length(s, (uint8_t)o->max_fragment) == 1);
	if (o->session)
		REQUIRE(SSL_set_session(s, o->session) == 1);
}

/* All servers have the same key for tickets, so that a session can be resumed at another one. */
static void set_tickets(SSL_CTX *c)
{
	unsigned char keys[80] = {1};

	REQUIRE(SSL_CTX_set_tlsext_ticket_keys(c, keys, sizeof keys) == 1);
}

/* A server of TLS 1.2 that has the session itself. */
static void set_session_id(SSL_CTX *c, const SSL_SESSION *session)
{
	SSL_SESSION *s = SSL_SESSION_dup(session);

	REQUIRE(s && SSL_SESSION_set1_id_context(s, (const unsigned char *)"rig", 3) == 1);
	REQUIRE(SSL_CTX_add_session(c, s) == 1);
	SSL_SESSION_free(s);
}

struct tls_rig *tls_rig_new(const struct tls_rig_options *o)
{
	struct tls_rig *r = calloc(1, sizeof *r);

	REQUIRE(r);
	r->key_log = BUF_INIT(1 << 20);
	for (int i = 0; i < 2; i++) {
		r->wire[i] = r->plain[i] = BUF_INIT(64u << 20);
		r->ctx[i] = SSL_CTX_new(i ? TLS_server_method() : TLS_client_method());
		REQUIRE(r->ctx[i]);
		set_ctx(r->ctx[i], o, i);
		r->limit[0] = (uint8_t)(o->record_size_limit >> 8);
		r->limit[1] = (uint8_t)o->record_size_limit;
		if (o->record_size_limit)
			set_limit(r->ctx[i], r->limit);
		if (i)
			set_tickets(r->ctx[i]);
		r->end[i] = SSL_new(r->ctx[i]);
		REQUIRE(r->end[i]);
		SSL_set_app_data(r->end[i], r);
		SSL_set_bio(r->end[i], BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	}
	set_client(r->end[0], o);
	if (o->no_tickets && o->session)
		set_session_id(r->ctx[1], o->session);
	SSL_set_connect_state(r->end[0]);
	SSL_set_accept_state(r->end[1]);
	return r;
}

void tls_rig_free(struct tls_rig *r)
{
	for (int i = 0; i < 2; i++) {
		SSL_free(r->end[i]);
		SSL_CTX_free(r->ctx[i]);
		buf_deinit(&r->wire[i]);
		buf_deinit(&r->plain[i]);
	}
	buf_deinit(&r->key_log);
	free(r);
}

/* ---- what they say -------------------------------------------------------------------------- */

/* Moves the first @most bytes of what the sender of @dir has written; the rest is lost. Returns
 * whether there was anything. */
static bool carry_part(struct tls_rig *r, uint32_t dir, size_t most)
{
	BIO *from = SSL_get_wbio(r->end[dir]), *to = SSL_get_rbio(r->end[!dir]);
	char *p;
	long n = BIO_get_mem_data(from, &p);

	if (n <= 0)
		return false;
	n = (size_t)n > most ? (long)most : n;
	REQUIRE(r->order_n < TLS_RIG_CHUNKS);
	r->order[r->order_n++] =
		(struct tls_rig_chunk){dir, r->wire[dir].n, r->wire[dir].n + (uint64_t)n};
	buf_bytes(&r->wire[dir], bytes_of(p, (size_t)n));
	REQUIRE(n == 0 || BIO_write(to, p, (int)n) == n);
	BIO_reset(from);
	return true;
}

static bool carry(struct tls_rig *r, uint32_t dir)
{
	return carry_part(r, dir, SIZE_MAX);
}

/* The receiver of @dir reads all there is. */
static void listen_to(struct tls_rig *r, uint32_t dir)
{
	uint8_t piece[16384];
	int n;

	ERR_clear_error();
	while ((n = SSL_read(r->end[!dir], piece, sizeof piece)) > 0)
		buf_bytes(&r->plain[dir], bytes_of(piece, (size_t)n));
	int e = SSL_get_error(r->end[!dir], n);
	require(e == SSL_ERROR_WANT_READ || e == SSL_ERROR_ZERO_RETURN, "reads what was sent");
}

static void settle(struct tls_rig *r)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t dir = 0; dir < 2; dir++) {
			if (!carry(r, dir))
				continue;
			moved = true;
			listen_to(r, dir);
		}
	}
}

void tls_rig_handshake(struct tls_rig *r)
{
	for (int i = 0; i < 10; i++) {
		for (uint32_t dir = 0; dir < 2; dir++) {
			SSL_do_handshake(r->end[dir]);
			if (!r->through[!dir] && SSL_is_init_finished(r->end[dir]))
				r->through[!dir] = r->wire[!dir].n;
			carry(r, dir);
		}
	}
	REQUIRE(SSL_is_init_finished(r->end[0]) && SSL_is_init_finished(r->end[1]));
	settle(r);
}

void tls_rig_say(struct tls_rig *r, uint32_t dir, struct bytes b)
{
	REQUIRE(SSL_write(r->end[dir], b.p, (int)b.n) == (int)b.n);
	settle(r);
}

void tls_rig_say_part(struct tls_rig *r, uint32_t dir, struct bytes b, size_t n)
{
	REQUIRE(SSL_write(r->end[dir], b.p, (int)b.n) == (int)b.n);
	carry_part(r, dir, n);
	listen_to(r, dir);
}

static void write_message(struct tls_rig *r, enum tls_rig_message m)
{
	if (m == TLS_RIG_CLOSE) {
		REQUIRE(SSL_shutdown(r->end[1]) >= 0);
		return;
	}
	if (m == TLS_RIG_TICKET)
		REQUIRE(SSL_new_session_ticket(r->end[1]) == 1);
	else
		REQUIRE(SSL_key_update(r->end[1], m == TLS_RIG_UPDATE_BOTH
							  ? SSL_KEY_UPDATE_REQUESTED
							  : SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
	REQUIRE(SSL_do_handshake(r->end[1]) == 1);
}

size_t tls_rig_message_part(struct tls_rig *r, enum tls_rig_message m, size_t n)
{
	char *p;

	write_message(r, m);
	long whole = BIO_get_mem_data(SSL_get_wbio(r->end[1]), &p);
	REQUIRE(whole > 0);
	carry_part(r, JEEBS_TO_CLIENT, n);
	listen_to(r, JEEBS_TO_CLIENT);
	return (size_t)whole;
}

void tls_rig_renegotiate(struct tls_rig *r)
{
	REQUIRE(SSL_renegotiate(r->end[1]) == 1);
	tls_rig_handshake(r);
}

void tls_rig_key_update(struct tls_rig *r, uint32_t dir, bool both)
{
	REQUIRE(SSL_key_update(r->end[dir], both ? SSL_KEY_UPDATE_REQUESTED
						 : SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
	REQUIRE(SSL_do_handshake(r->end[dir]) == 1);
	settle(r);
}

void tls_rig_close(struct tls_rig *r, uint32_t dir)
{
	REQUIRE(SSL_shutdown(r->end[dir]) >= 0);
	settle(r);
}

SSL_SESSION *tls_rig_session(struct tls_rig *r)
{
	/* A copy: the session itself is spoilt when its connection ends without close_notify. */
	SSL_SESSION *s = SSL_SESSION_dup(SSL_get0_session(r->end[0]));

	REQUIRE(s && SSL_SESSION_is_resumable(s));
	return s;
}

void tls_rig_deliver(struct tls_rig *r, uint32_t dir, struct bytes wire)
{
	REQUIRE(BIO_write(SSL_get_rbio(r->end[!dir]), wire.p, (int)wire.n) == (int)wire.n);
	listen_to(r, dir);
}
