/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hostile ends that have shaken hands, with another module inside. Input: the suite (its highest
 * bit: more may have been out; 16: all of it stands behind STARTTLS, and mail is inside); how many
 * bytes the capture lacks at the end of each direction; and records of one byte kind, one byte
 * length, payload:
 *
 *	'S' 'C'  data of the client, of the server
 *	's' 'c'  its KeyUpdate; the payload's first byte says whether it wants one
 *	'H' 'h'  any record of the client, of the server, sealed: type, content
 *	'R' 'r'  bytes that are not sealed
 *	'E' 'F'  the client, the server finishes
 *	'O'      checkpoint and restore
 *	'M'      data of the client behind the cut
 *	'B'      what the backend answers
 *
 * Whatever is made of it, the client, which is keyvault/judge, understands all that it gets. If the
 * server has not spoken, the backend gets what the client says, and the client what it answers.
 */
#include <stdlib.h>

#include "base/demand.h"
#include "keyvault/crypto/session-crypto.h"
#include "keyvault/judge/tls-judge.h"
#include "recovery-modules/harness/harness.h"
#include "recovery-modules/host/layer.h"
#include "recovery-modules/http/http.h"
#include "recovery-modules/smtp/smtp.h"
#include "tls.h"

const char *const fuzz_outcomes[] = {
	"refused",     "if keys come",  "refused with keys", "goes on",
	"finished",    "aborted",       "record completed",  "passes on",
	"over a hole", "hole-not-data", "behind STARTTLS",   "asked for TLS",
	NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RANDOM "0123456789abcdef0123456789abcdef"
static const char hello[] = "\x16\3\1\0\x2d\1\0\0\x29\3\3" RANDOM "\0\0\2\x13\1\1\0";
static const char answer_13[] =
	"\x16\3\3\0\x32\2\0\0\x2e\3\3" RANDOM "\0\x13\1\0\0\6\0\x2b\0\2\3\4\x14\3\3\0\1\1";
static const char answer_12[] = "\x16\3\3\0\x2a\2\0\0\x26\3\3" RANDOM "\0\xc0\x2b\0";
static const uint16_t numbers[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xcca9, 0xc0ae};
static const uint16_t numbers_cbc[] = {0xc009, 0xc024}; /* with the MAC inside */

static bool find(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
		 enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	static const uint8_t secrets[TLS_SECRETS][48] = {{1}, {2}, {3}, {4}, {5}};
	const struct tls_suite *suite = ctx;

	*ret = bytes_of(secrets[label],
			suite->tls13 ? tls_suite_hash_bytes(suite) : TLS_MASTER_BYTES);
	return candidate == 0;
}

/* One end's keys for what it says, and the session as all see it. */
struct end {
	_Alignas(max_align_t) uint8_t room[SESSION_CRYPTO_BYTES];
	struct tls_crypto c;
	struct tls_follow f;
};

struct piece {
	uint32_t dir;
	size_t from, to;
	bool fin, reopen;
};

struct talk {
	const struct tls_suite *suite;
	struct end end[2];
	struct buf wire[2], more, backend;
	struct piece piece[512];
	uint32_t pieces;
	size_t lacks[2];
	bool client_fin, more_may_be_out, upgraded;
	bool keeps_little; /* less than a long answer is kept of the server */
};

static void put(struct talk *t, uint32_t dir, struct bytes b)
{
	if (t->pieces == 512)
		return;
	t->piece[t->pieces++] =
		(struct piece){.dir = dir, .from = t->wire[dir].n, .to = t->wire[dir].n + b.n};
	buf_bytes(&t->wire[dir], b);
}

static void put_sealed(struct talk *t, struct buf *to, uint32_t dir, uint8_t type, struct bytes b)
{
	static uint8_t out[TLS_RECORD_MAX];
	struct end *e = &t->end[dir];

	demand(tls_seal(&e->f.protect, &e->c, type, b, 0, out) == TLS_OK);
	struct bytes wire = bytes_of(out, tls_sealed_bytes(t->suite, b.n, 0));
	if (to)
		buf_bytes(to, wire);
	else
		put(t, dir, wire);
}

static void set_key(struct talk *t, uint32_t dir, uint32_t kind)
{
	struct jeebs_key_spec spec = {.kind = kind, .dir = dir, .suite = t->suite->number};
	struct end *e = &t->end[dir];
	uint32_t key;

	memcpy(spec.client_random, RANDOM, 32);
	memcpy(spec.server_random, RANDOM, 32);
	demand(e->c.ops->derive(e->c.keys, &spec, &key) == JEEBS_CRYPTO_OK);
	tls_protect_key(&e->f.protect, t->suite, key);
	e->f.protect.has_nonce = true;
}

static void shake_hands(struct talk *t)
{
	const char *answer = t->suite->tls13 ? answer_13 : answer_12;
	size_t n = t->suite->tls13 ? sizeof answer_13 - 1 : sizeof answer_12 - 1;
	uint8_t finished[52] = {TLS_FINISHED, 0, 0, 12};
	static uint8_t copy[128];

	memcpy(copy, answer, n);
	copy[44] = (uint8_t)(t->suite->number >> 8);
	copy[45] = (uint8_t)t->suite->number;
	put(t, JEEBS_TO_SERVER, bytes_of(hello, sizeof hello - 1));
	put(t, JEEBS_TO_CLIENT, bytes_of(copy, n));
	if (t->suite->tls13)
		finished[3] = (uint8_t)tls_suite_hash_bytes(t->suite);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t dir = !i;
		if (!t->suite->tls13)
			put(t, dir, bytes_of("\x14\3\3\0\1\1", 6));
		set_key(t, dir, t->suite->tls13 ? JEEBS_KEY_TLS13_HANDSHAKE : JEEBS_KEY_TLS12);
		put_sealed(t, NULL, dir, TLS_HANDSHAKE, bytes_of(finished, 4u + finished[3]));
		if (t->suite->tls13)
			set_key(t, dir, JEEBS_KEY_TLS13_APPLICATION);
	}
}

static void update(struct talk *t, uint32_t dir, bool wants)
{
	uint8_t out[TLS_UPDATE_BYTES];
	struct end *e = &t->end[dir];
	size_t n = t->suite->tls13 ? tls_follow_update(&e->f, &e->c, wants, out) : 0;

	if (n > 0)
		put(t, dir, bytes_of(out, n));
}

static void say(struct talk *t, uint8_t kind, struct bytes b)
{
	uint32_t dir = kind == 'C' || kind == 'c' || kind == 'h' || kind == 'r' || kind == 'F';

	switch (kind) {
	case 'S':
	case 'C':
		put_sealed(t, NULL, dir, TLS_DATA, b);
		break;
	case 's':
	case 'c':
		update(t, dir, b.n > 0 && (b.p[0] & 1));
		break;
	case 'H':
	case 'h':
		if (b.n > 0)
			put_sealed(t, NULL, dir, b.p[0], bytes_from(b, 1));
		break;
	case 'R':
	case 'r':
		put(t, dir, b);
		break;
	case 'M':
		put_sealed(t, &t->more, JEEBS_TO_SERVER, TLS_DATA, b);
		break;
	case 'B':
		buf_bytes(&t->backend, b);
		break;
	case 'E':
	case 'F':
	case 'O':
		put(t, dir, BYTES_NONE);
		t->piece[t->pieces - 1].fin = kind != 'O';
		t->piece[t->pieces - 1].reopen = kind == 'O';
		t->client_fin |= kind == 'E';
		break;
	}
}

static void talk_open(struct talk *t, struct reader *r)
{
	uint8_t suite = reader_u8(r);

	*t = (struct talk){.suite = tls_suite_find(suite & 32 ? numbers_cbc[suite % 2]
							      : numbers[suite % 128 % 6]),
			   .more_may_be_out = suite & 128,
			   .upgraded = suite & 16,
			   .keeps_little = suite & 64};
	t->lacks[0] = reader_u8(r);
	t->lacks[1] = reader_u16be(r);
	t->wire[0] = t->wire[1] = t->more = t->backend = BUF_INIT(1u << 20);
	for (int i = 0; i < 2; i++) {
		struct session_secrets secrets = {find, (void *)(uintptr_t)t->suite};
		t->end[i].c = (struct tls_crypto){session_crypto_init(t->end[i].room, &secrets),
						  &session_crypto_ops};
	}
	shake_hands(t);
	while (reader_left(r) > 0) {
		uint8_t kind = reader_u8(r), n = reader_u8(r);
		say(t, kind, reader_bytes(r, n < reader_left(r) ? n : reader_left(r)));
	}
}

static void show(struct harness *h, const struct talk *t)
{
	for (uint32_t i = 0; i < t->pieces; i++) {
		const struct piece *p = &t->piece[i];
		size_t end = t->wire[p->dir].n > t->lacks[p->dir]
				     ? t->wire[p->dir].n - t->lacks[p->dir]
				     : 0;
		size_t to = p->to < end ? p->to : end;
		if (p->from < to)
			harness_data(h, p->dir,
				     bytes_of(t->wire[p->dir].p + p->from, to - p->from));
		/* A FIN stands behind all bytes. */
		if (p->fin && t->lacks[p->dir] == 0 && p->from == t->wire[p->dir].n)
			harness_fin(h, p->dir);
		if (p->reopen)
			demand(harness_reopen(h) == 0);
	}
}

/* ---- what the client gets ------------------------------------------------------------------- */

/* A conversation that the judge does not understand to the cut proves nothing. */
static void check_client(const struct talk *t, const struct harness *h, size_t before)
{
	const struct tls_judge_secrets secrets = {find, (void *)(uintptr_t)t->suite};
	if (t->upgraded)
		reached("behind STARTTLS");
	if (t->upgraded && h->secured_at > 0)
		reached("asked for TLS");
	const struct bytes wire[2] = {buf_view(&t->wire[0]),
				      bytes_head(buf_view(&t->wire[1]), before)};
	struct tls_judge *j = tls_judge_new(&secrets, wire);
	const struct tls *s = h->state;
	struct tls_ear *ear;

	demand(j);
	if (tls_judge_understood(j, JEEBS_TO_CLIENT) >= s->to[JEEBS_TO_CLIENT].wire)
		demand(tls_judge_plain_ended(j, JEEBS_TO_CLIENT, s->to[JEEBS_TO_CLIENT].wire) ==
		       s->plain[JEEBS_TO_CLIENT]);
	if (s->holed)
		reached("over a hole");
	if (tls_ear_new(j, JEEBS_TO_CLIENT, before, &ear) == 0) {
		demand(tls_ear_hear(ear, buf_view(&h->client)) == 0);
		/* What the old server had begun may be no TLS; when that shows the client is reset.
		 */
		demand(h->outcome == HARNESS_ABORTED || !tls_ear_why(ear));
		demand(h->outcome != HARNESS_FINISHED || tls_ear_between(ear));
		tls_ear_free(ear);
	}
	tls_judge_free(j);
}

/* Of a backend that is to be asked for TLS each line is answered at once. */
static void answer(void *ctx, struct bytes b, bool eof, struct buf *out, bool *close, bool *fail)
{
	struct talk *t = ctx;

	for (size_t i = 0; t->upgraded && i < b.n; i++)
		if (b.p[i] == '\n')
			buf_bytes(out, bytes_str("250 STARTTLS\r\n"));
	buf_bytes(out, buf_view(&t->backend));
	buf_reset(&t->backend);
	*close = eof;
}

static void go_on(struct talk *t, struct harness *h)
{
	const struct harness_backend backend = {.receive = answer, .ctx = t};
	const struct tls *s = h->state;
	size_t before = (size_t)s->end[JEEBS_TO_CLIENT];
	bool partial = s->to[JEEBS_TO_CLIENT].wire < before;

	/* The client goes on from where the capture ends. */
	struct buf more = BUF_INIT(1u << 20);
	buf_bytes(&more, bytes_from(buf_view(&t->wire[0]), (size_t)s->end[JEEBS_TO_SERVER]));
	buf_bytes(&more, buf_view(&t->more));
	harness_resume(h, &backend, buf_view(&more), t->client_fin);
	check_client(t, h, before);
	reached(h->outcome == HARNESS_ABORTED    ? "aborted"
		: h->outcome == HARNESS_FINISHED ? "finished"
						 : "goes on");
	if (partial && h->client.n > 0)
		reached("record completed");
	buf_deinit(&more);
}

/* The server has not spoken. */
static void pass_on(struct talk *t, struct harness *h)
{
	const struct harness_backend backend = {.receive = answer, .ctx = t};
	struct buf said = BUF_INIT(1u << 20), back = BUF_INIT(1u << 20);
	size_t had = t->wire[0].n > t->lacks[0] ? t->wire[0].n - t->lacks[0] : 0;

	buf_bytes(&said, buf_view(&t->wire[0]));
	buf_bytes(&back, buf_view(&t->backend));
	harness_resume(h, &backend, bytes_from(buf_view(&said), had), t->client_fin);
	demand(bytes_eq(buf_view(&h->backend), buf_view(&said)));
	demand(bytes_eq(buf_view(&h->client), buf_view(&back)));
	reached("passes on");
	buf_deinit(&said);
	buf_deinit(&back);
}

static void run(struct talk *t, const struct jeebs_module *m)
{
	const struct jeebs_service web = {.protocol = "https",
					  .retain = t->keeps_little ? 1000 : 1 << 16,
					  .inner = &http_module};
	const struct jeebs_service mail = {.protocol = "tls:smtp",
					   .retain = web.retain,
					   .login = JEEBS_LOGIN_REPLAY,
					   .begin = {31, 47},
					   .inner = &smtp_module};
	const struct harness_options options = {.service = t->upgraded ? &mail : &web,
						.more_may_be_out = t->more_may_be_out,
						.secures = t->upgraded};
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct session_secrets secrets = {find, (void *)(uintptr_t)t->suite};
	struct jeebs_plan plan;
	struct harness h;

	demand(harness_init(&h, m, &options) == 0);
	show(&h, t);
	harness_plan(&h, &plan);
	if (plan.verdict == JEEBS_CONTINUE)
		pass_on(t, &h);
	else
		reached(plan.verdict == JEEBS_REFUSE ? "refused" : "if keys come");
	struct jeebs_keys *keys = session_crypto_init(room, &secrets);
	if (plan.verdict == JEEBS_IF_KEYS) {
		harness_unseal(&h, keys, &session_crypto_ops);
		harness_plan(&h, &plan);
		if (plan.verdict == JEEBS_CONTINUE)
			go_on(t, &h);
		else
			reached(strcmp(plan.reason, "hole-not-data") == 0 ? plan.reason
									  : "refused with keys");
	}
	demand(!h.violation);
	harness_deinit(&h);
	session_crypto_deinit(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jeebs_module https, mail;
	static struct talk t;
	struct reader r = reader_init(bytes_of(data, size));

	demand(layer_compose(&tls_module, &http_module, NULL, "https", &https));
	demand(layer_compose(&tls_module, &smtp_module, NULL, "tls:smtp", &mail));
	talk_open(&t, &r);
	run(&t, t.upgraded ? &mail : &https);
	for (int i = 0; i < 2; i++)
		buf_deinit(&t.wire[i]);
	buf_deinit(&t.more);
	buf_deinit(&t.backend);
	return 0;
}
