/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-reader: for scenarios: fetches what a vault has, opens it, and prints the keys as lines of
 * JSON, as bench/netns/keytap-prove.py reads them. "answered" is when the vault told of the record:
 * by then it was stored.
 *
 *	vault-reader DIR ADDRESS:PORT          what is there now
 *	vault-reader DIR ADDRESS:PORT follow   and what comes, until it is ended
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/demand.h"
#include "base/log.h"
#include "keyvault/seal/seal.h"
#include "keyvault/vault/vault-tls.h"

#define NUMBERS_MAX (1u << 16)

struct known {
	int64_t told_ns;
	bool ended;
	struct session_index index;
};

struct vault_reader {
	struct trust *trust;
	struct identity *recovery;
	struct opener *opener;
	SSL_CTX *context;
	struct vault_tls *tls;
	struct known *known; /* by number */
	uint64_t wanted[VAULT_LIST_MAX];
	size_t wanted_n;
	uint8_t epoch[VAULT_LIST_MAX][EPOCH_ID_BYTES]; /* asked for */
	size_t epochs;
	uint32_t request;
	size_t open; /* records that were asked for and have not come */
	bool live;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "vault-reader: %s: %s\n", what, why);
	exit(1);
}

/* ---- what is printed ------------------------------------------------------------------------- */

static void hex(const char *name, struct bytes b, const char *behind)
{
	printf("\"%s\": \"", name);
	for (size_t i = 0; i < b.n; i++)
		printf("%02x", b.p[i]);
	printf("\"%s", behind);
}

static void end_of(const char *name, const struct endpoint *e)
{
	char text[NETADDR_STRLEN];

	printf("\"%s\": [\"%s\", %u], ", name, netaddr_format(&e->addr, text), e->port);
}

static void seconds(const char *name, int64_t ns)
{
	printf("\"%s\": %" PRId64 ".%09" PRId64 ", ", name, ns / NS_PER_S, ns % NS_PER_S);
}

static void print_tls(const struct tls_keys *t)
{
	static const char *const label[TLS_SECRETS] = {
		"CLIENT_RANDOM", "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
		"SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0",
		"SERVER_TRAFFIC_SECRET_0"};
	const char *between = "";

	printf("\"version\": %u, \"suite\": %u, \"resumed\": %d, ", t->version, t->suite,
	       t->resumed);
	hex("random", bytes_of(t->client_random, TLS_RANDOM_BYTES), ", \"secrets\": {");
	for (int i = 0; i < TLS_SECRETS; i++) {
		if (t->secret[i].n == 0)
			continue;
		printf("%s", between);
		hex(label[i], t->secret[i], "");
		between = ", ";
	}
	printf("}");
}

static void print_ssh(const struct ssh_keys *s)
{
	static const char *const name[] = {"", "sha1", "sha256", "sha384", "sha512"};

	printf("\"hash\": \"%s\", ", name[s->hash]);
	hex("k", s->k, ", ");
	hex("h", s->h, ", ");
	hex("id", s->session_id, "");
}

static void print_record(uint64_t number, const struct known *k, const struct opened *o)
{
	printf("{\"record\": {\"number\": %" PRIu64 ", \"origin\": \"%s\", \"ended\": %s, ", number,
	       o->origin, k->ended ? "true" : "false");
	seconds("at", o->index.time_ns);
	seconds("answered", k->told_ns);
	end_of("server", &o->keys.server);
	end_of("client", &o->keys.client);
	printf("\"protocol\": \"%s\", ", o->keys.protocol == KEYS_TLS ? "tls" : "ssh");
	if (o->keys.protocol == KEYS_TLS)
		print_tls(&o->keys.tls);
	else
		print_ssh(&o->keys.ssh);
	puts("}}");
	fflush(stdout);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static bool is_asked_for(const struct vault_reader *r, const uint8_t id[EPOCH_ID_BYTES])
{
	for (size_t i = 0; i < r->epochs; i++) {
		if (memcmp(r->epoch[i], id, EPOCH_ID_BYTES) == 0)
			return true;
	}
	return false;
}

static void take_index(struct vault_reader *r, const struct vault_frame *f)
{
	const uint8_t *id = f->index.index.epoch;

	demand(f->index.number < NUMBERS_MAX && r->wanted_n < VAULT_LIST_MAX);
	r->known[f->index.number] = (struct known){clock_real_ns(), f->index.ended, f->index.index};
	if (!is_asked_for(r, id)) {
		demand(r->epochs < VAULT_LIST_MAX);
		memcpy(r->epoch[r->epochs++], id, EPOCH_ID_BYTES);
		vault_wire_put_epochs(vault_tls_out(r->tls), ++r->request, VAULT_FOR_DRILL, "test",
				      (const uint8_t(*)[EPOCH_ID_BYTES])id, 1);
	}
	r->wanted[r->wanted_n++] = f->index.number;
}

static void take_epoch(struct vault_reader *r, const struct vault_frame *f)
{
	uint8_t id[EPOCH_ID_BYTES];
	int reason = opener_epoch(r->opener, f->epoch.blob, clock_real_ns(), id);

	if (reason != SEAL_OK)
		die("an epoch", seal_reason_name(reason));
}

static void take_blob(struct vault_reader *r, const struct vault_frame *f)
{
	static uint8_t room[SESSION_KEYS_MAX_BYTES];
	const struct known *k = &r->known[f->blob.number];
	struct opened o;
	int reason = opener_record(r->opener, f->blob.blob, &k->index, clock_real_ns(),
				   SEAL_AGE_ANY, room, &o);

	if (reason != SEAL_OK)
		die("a record", seal_reason_name(reason));
	print_record(f->blob.number, k, &o);
	r->open--;
}

static void take_frame(struct vault_reader *r, const struct vault_frame *f)
{
	switch (f->type) {
	case VAULT_INDEX:
		take_index(r, f);
		return;
	case VAULT_LIVE:
		r->live = true;
		return;
	case VAULT_EPOCH_BLOB:
		take_epoch(r, f);
		return;
	case VAULT_BLOB:
		take_blob(r, f);
		return;
	case VAULT_DONE:
	case VAULT_GONE:
		return;
	default:
		die("the vault", "an answer that was not expected");
	}
}

static void ask(struct vault_reader *r)
{
	if (r->wanted_n == 0)
		return;
	vault_wire_put_fetch(vault_tls_out(r->tls), VAULT_FETCH, ++r->request, VAULT_FOR_DRILL,
			     "test", r->wanted, r->wanted_n);
	r->open += r->wanted_n;
	r->wanted_n = 0;
}

static void read_all(struct vault_reader *r, bool follow)
{
	struct vault_frame f;
	bool watching = false, more = true; /* the first step begins the handshake */
	int outcome = VAULT_WIRE_MORE;

	while (follow || !r->live || r->open > 0) {
		struct pollfd p = {vault_tls_fd(r->tls), vault_tls_events(r->tls), 0};
		if (poll(&p, 1, more ? 0 : 10000) == 0 && !more && !follow)
			die("the vault", "it does not answer");
		if (vault_tls_step(r->tls) != VAULT_TLS_OK)
			die("the vault", vault_tls_error(r->tls));
		if (vault_tls_ready(r->tls) && !watching) {
			watching = true;
			vault_wire_put_watch(vault_tls_out(r->tls), ++r->request, 0);
		}
		while (r->wanted_n < VAULT_LIST_MAX &&
		       (outcome = vault_tls_frame(r->tls, &f)) == VAULT_WIRE_OK)
			take_frame(r, &f);
		if (outcome != VAULT_WIRE_MORE && outcome != VAULT_WIRE_OK)
			die("the vault", "malformed");
		ask(r);
		more = vault_tls_out(r->tls)->n > 0;
	}
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int connect_to(const char *text)
{
	struct endpoint at;
	struct sockaddr_storage a;

	if (endpoint_parse(text, false, &at) < 0)
		die(text, "no ADDRESS:PORT");
	socklen_t n = endpoint_to_sockaddr(&at, &a);
	int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, n) < 0)
		die(text, strerror(errno));
	demand(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return fd;
}

static void open_files(struct vault_reader *r, const char *dir)
{
	char ca[4096], crl[4096], crt[4096], key[4096], error[512] = "";

	snprintf(ca, sizeof ca, "%s/ca.crt", dir);
	snprintf(crl, sizeof crl, "%s/ca.crl", dir);
	snprintf(crt, sizeof crt, "%s/recovery.crt", dir);
	snprintf(key, sizeof key, "%s/recovery.key", dir);
	if (trust_open(ca, crl, &r->trust, error, sizeof error) < 0 ||
	    identity_open(crt, key, IDENTITY_RECOVERY, &r->recovery, error, sizeof error) < 0)
		die(dir, error);
	demand(opener_new(r->trust, &r->opener) == 0);
	demand(opener_add_identity(r->opener, r->recovery) == 0);
	demand(vault_tls_context(r->recovery, r->trust, &r->context) == 0);
}

int main(int argc, char **argv)
{
	static struct vault_reader r;

	if (argc < 3 || argc > 4)
		die("usage", "DIR ADDRESS:PORT [follow]");
	log_init(LOG_FORMAT_TEXT, LOG_WARNING);
	r.known = calloc(NUMBERS_MAX, sizeof *r.known);
	demand(r.known);
	open_files(&r, argv[1]);
	demand(vault_tls_new(r.context, connect_to(argv[2]), false, &r.tls) == 0);
	read_all(&r, argc == 4);
	vault_tls_free(r.tls);
	SSL_CTX_free(r.context);
	opener_free(r.opener);
	identity_close(r.recovery);
	trust_close(r.trust);
	free(r.known);
	return 0;
}
