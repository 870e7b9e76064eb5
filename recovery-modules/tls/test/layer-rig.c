/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "layer-rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "recovery-modules/harness/test/conversation.h"
#include "recovery-modules/host/layer.h"
#include "recovery-modules/http/http-oracle.h"
#include "recovery-modules/http/http.h"
#include "recovery-modules/tls/tls.h"

static struct jeebs_module https;
static struct jeebs_crypto_ops counting;
static const struct layer_kind http_kind = {
	.folder = "http/corpus/http-oracle",
	.module = &https,
	.service = {.protocol = "https", .retain = 1 << 20, .inner = &http_module},
	.oracle = &http_oracle};

/* ---- a recording ---------------------------------------------------------------------------- */

static struct buf read_file(const char *folder, const char *name)
{
	struct buf b = BUF_INIT(1u << 20);
	char path[512];

	snprintf(path, sizeof path, "%s/%s/%s", TEST_RECORDINGS, folder, name);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(buf_reserve(&b, 1u << 20), 0);
	b.n = fread(b.p, 1, 1u << 20, f);
	fclose(f);
	return b;
}

static void change_keys(struct layer *l, unsigned turn)
{
	unsigned every = l->c.updates;

	if (every > 0 && SSL_version(l->rig->end[0]) == TLS1_3_VERSION && turn % every == every / 2)
		tls_rig_key_update(l->rig, turn & 1, turn % 5 == 0);
}

static void record_said(struct layer *l, const struct conversation_record *rec,
			uint64_t off[static 2])
{
	uint32_t dir = rec->kind == 'C' || rec->kind == 'F' ? JEEBS_TO_CLIENT : JEEBS_TO_SERVER;

	if (rec->kind == 'E' || rec->kind == 'F') {
		assert_int_equal(l->c.kind->oracle->fin(l->oracle, dir, off[dir]), 0);
		tls_rig_close(l->rig, dir);
		l->fin[dir] = true;
		return;
	}
	assert_int_equal(l->c.kind->oracle->data(l->oracle, dir, off[dir],
						 (struct jeebs_bytes){rec->b.p, rec->b.n}),
			 0);
	off[dir] += rec->b.n;
	if (l->c.kind->upgraded && dir == JEEBS_TO_CLIENT && l->greeting == 0)
		l->greeting = rec->b.n;
	else
		tls_rig_say(l->rig, dir, rec->b);
}

static void judge_it(struct layer *l)
{
	struct session_secrets s = tls_rig_secrets(l->rig);
	const struct tls_judge_secrets secrets = {s.find, s.ctx};
	const struct bytes wire[2] = {buf_view(&l->rig->wire[0]), buf_view(&l->rig->wire[1])};

	l->judge = tls_judge_new(&secrets, wire);
	assert_non_null(l->judge);
	for (uint32_t dir = 0; dir < 2; dir++)
		assert_true(
			bytes_eq(tls_judge_plain(l->judge, dir), buf_view(&l->rig->plain[dir])));
}

void layer_open(struct layer *l, const struct layer_case *c)
{
	const struct layer_kind *kind = c->kind ? c->kind : &http_kind;
	struct buf file = read_file(kind->folder, c->recording);
	struct reader r = reader_init(buf_view(&file));
	struct conversation_record rec;
	uint64_t off[2] = {0, 0}, unasked;
	unsigned turn = 0;

	*l = (struct layer){.c = *c};
	l->c.kind = kind;
	l->oracle = kind->oracle->open(NULL);
	assert_non_null(l->oracle);
	l->rig = tls_rig_new(&c->tls);
	tls_rig_handshake(l->rig);
	while (conversation_next(&r, &rec)) {
		if (!l->fin[0] && !l->fin[1])
			change_keys(l, turn++);
		record_said(l, &rec, off);
	}
	assert_int_equal(kind->oracle->learned(l->oracle, &unasked), 0);
	l->wire_n = l->rig->wire[0].n + l->rig->wire[1].n;
	judge_it(l);
	buf_deinit(&file);
}

void layer_close(struct layer *l)
{
	l->c.kind->oracle->close(l->oracle);
	tls_judge_free(l->judge);
	tls_rig_free(l->rig);
}

/* ---- keys, and what is sealed with them ----------------------------------------------------- */

static struct {
	uint32_t key;
	uint64_t nonce;
} sealed_log[4096];
static uint32_t sealed_n;
static size_t content_max; /* as the client and the server have agreed */

static void note_sealed(uint32_t key, uint64_t nonce)
{
	for (uint32_t i = 0; i < sealed_n; i++)
		assert_false(sealed_log[i].key == key && sealed_log[i].nonce == nonce);
	assert_true(sealed_n < 4096);
	sealed_log[sealed_n].key = key;
	sealed_log[sealed_n++].nonce = nonce;
}

static int counting_seal(struct jeebs_keys *k, uint32_t key, uint64_t nonce, struct jeebs_bytes aad,
			 struct jeebs_bytes in, uint8_t *out)
{
	note_sealed(key, nonce);
	return session_crypto_ops.seal(k, key, nonce, aad, in, out);
}

/* No IV of our own is there twice. One that was out is to be the same. */
static int counting_seal_cbc(struct jeebs_keys *k, uint32_t key, uint64_t number,
			     struct jeebs_bytes head, struct jeebs_bytes iv, struct jeebs_bytes in,
			     size_t pad, uint8_t *out)
{
	assert_in_range(in.n, 0, content_max);
	int r = session_crypto_ops.seal_cbc(k, key, number, head, iv, in, pad, out);
	uint64_t nonce = 0;

	for (int i = 0; i < 8; i++)
		nonce = nonce << 8 | out[i];
	if (iv.n == 0)
		note_sealed(key, nonce);
	return r;
}

/* Only what the client gets was sealed, and nothing under a number that was in the first @sent
 * bytes. */
static void check_numbers(const struct layer *l, uint64_t sent)
{
	for (uint32_t i = 0; i < sealed_n && sealed_log[i].key == sealed_log[0].key; i++)
		assert_false(tls_judge_is_used(l->judge, 1, sent, sealed_log[i].nonce));
}

static uint32_t count_secrets(struct session_secrets *s, const uint8_t *random,
			      enum tls_secret label)
{
	struct bytes b;
	uint32_t n = 0;

	while (s->find(s->ctx, random, label, n, &b))
		n++;
	return n;
}

static bool find_as_it_comes(void *ctx, const uint8_t random[static TLS_RANDOM_BYTES],
			     enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	static uint8_t wrong[TLS_SECRET_MAX_BYTES];
	const struct layer *l = ctx;
	struct session_secrets s = tls_rig_secrets(l->rig);
	uint32_t n = count_secrets(&s, random, label);
	bool fake = false;

	switch (l->c.keys) {
	case LAYER_KEYS_ONCE:
		break;
	case LAYER_KEYS_TWICE:
		candidate = candidate < 2 * n ? candidate % n : n;
		break;
	case LAYER_KEYS_WRONG_FIRST:
		fake = candidate == 0 && n > 0;
		candidate -= candidate > 0;
		break;
	case LAYER_KEYS_WRONG_LAST:
		fake = candidate == n && n > 0;
		candidate -= fake;
		break;
	case LAYER_KEYS_BACKWARDS:
		candidate = candidate < n ? n - 1 - candidate : n;
		break;
	}
	if (!s.find(s.ctx, random, label, candidate, ret))
		return false;
	if (fake) {
		memcpy(wrong, ret->p, ret->n);
		wrong[3] ^= 1;
		*ret = bytes_of(wrong, ret->n);
	}
	return true;
}

/* ---- one cut -------------------------------------------------------------------------------- */

struct run {
	const struct layer *l;
	struct harness h;
	uint64_t cut[2]; /* how far each direction had come */
	void *connection;
	bool unknown;
	bool more_may_be_out;
	size_t heard;      /* by a backup that has to be asked for TLS, in plain */
	bool greeted;      /* the oracle has, in TLS, to nobody */
	uint64_t received; /* of ciphertext, behind the cut */
	uint32_t piece;    /* of what the client says */
};

#define FAIL(u, ...)                                                                       \
	do {                                                                               \
		printf("%s %s, %s, cut at %u + %u: ", (u)->l->c.name, (u)->l->c.tls.suite, \
		       (u)->l->c.recording, (unsigned)(u)->cut[0], (unsigned)(u)->cut[1]); \
		fail_msg(__VA_ARGS__);                                                     \
	} while (0)

/* @keys NULL: there are none. Until they come they are awaited. */
static void follow(const struct layer *l, struct harness *h, struct jeebs_keys *keys,
		   uint64_t before)
{
	h->live_awaited = keys && before < l->c.follow_at;
	if (keys && before >= l->c.follow_at)
		harness_follow_with(h, keys, &counting);
}

static void live(const struct layer *l, struct harness *h, uint64_t cut, struct jeebs_keys *keys,
		 uint64_t ret[static 2])
{
	const struct tls_rig *r = l->rig;

	ret[0] = ret[1] = 0;
	for (uint32_t i = 0; i < r->order_n && cut > 0; i++) {
		const struct tls_rig_chunk *k = &r->order[i];
		struct bytes b = bytes_of(r->wire[k->dir].p + k->from, (size_t)(k->to - k->from));
		b = bytes_head(b, (size_t)cut);
		follow(l, h, keys, ret[0] + ret[1]);
		harness_data(h, k->dir, b);
		ret[k->dir] += b.n;
		cut -= b.n;
	}
	if (cut == 0)
		return;
	for (uint32_t dir = 0; dir < 2; dir++)
		if (l->fin[dir])
			harness_fin(h, dir);
}

void layer_live(const struct layer *l, struct harness *h, uint64_t cut, uint64_t ret[static 2])
{
	live(l, h, cut, NULL, ret);
}

/* A layer that is followed keeps no more than the records under way, and what http keeps: a head, a
 * request. */
static bool keeps_little(const struct harness *h)
{
	return h->log[0].span.bytes.n + h->log[1].span.bytes.n < 2 * TLS_RECORD_MAX + 4096;
}

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

/* Drops the oracle's greeting from what it has said from @from on. */
static void drop_greeting(struct run *u, struct buf *answer, size_t from)
{
	size_t n = (size_t)u->l->greeting;

	if (u->greeted || answer->n < from + n)
		return;
	u->greeted = true;
	memmove(answer->p + from, answer->p + from + n, answer->n - from - n);
	answer->n -= n;
}

/* Hears in plain what it has to be asked, and says yes to each line. Returns what comes behind. */
static struct bytes ask_in_plain(struct run *u, struct bytes b, struct buf *answer)
{
	const char *asks = u->l->c.kind->asks;
	struct bytes left = bytes_from(bytes_str(asks), u->heard);
	struct bytes part = bytes_head(b, left.n);

	if (u->heard == 0 && b.n == 0)
		buf_printf(answer, "220 in plain\r\n");
	assert_true(bytes_eq(part, bytes_head(left, part.n)));
	for (size_t i = 0; i < part.n; i++)
		if (part.p[i] == '\n')
			buf_printf(answer, "220 yes\r\n");
	u->heard += part.n;
	return bytes_from(b, part.n);
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct run *u = ctx;
	const struct layer_kind *kind = u->l->c.kind;
	size_t before = answer->n;
	uint32_t state;

	if (kind->secures && u->heard < strlen(kind->asks)) {
		b = ask_in_plain(u, b, answer);
		assert_int_equal(b.n, 0);
		return;
	}
	assert_int_equal(u->l->c.kind->oracle->receive(u->connection,
						       (struct jeebs_bytes){b.p, b.n}, eof, take,
						       answer, &state),
			 0);
	if (kind->secures)
		drop_greeting(u, answer, before);
	*close = state == JEEBS_ORACLE_CLOSE;
	*fail = state == JEEBS_ORACLE_RESET;
	u->unknown |= state == JEEBS_ORACLE_UNKNOWN;
}

/* The client goes on piece by piece: with the next one when nothing else moves. */
static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct run *u = ctx;
	const struct tls_rig *r = u->l->rig;

	if (received != u->received) {
		u->received = received;
		return BYTES_NONE;
	}
	while (u->piece < r->order_n) {
		const struct tls_rig_chunk *k = &r->order[u->piece++];
		if (k->dir != JEEBS_TO_SERVER || k->to <= u->cut[0])
			continue;
		uint64_t from = k->from > u->cut[0] ? k->from : u->cut[0];
		return bytes_of(r->wire[0].p + from, (size_t)(k->to - from));
	}
	*ret_eof = u->l->fin[0];
	return BYTES_NONE;
}

/* The cut as the oracle has it: in plaintext. */
static void go_on(struct run *u)
{
	const struct tls *s = u->h.state;
	struct jeebs_cut cut = {.to_server_end = s->plain[JEEBS_TO_SERVER],
				.to_client_end = u->l->greeting + s->plain[JEEBS_TO_CLIENT],
				.client_fin = s->closed[JEEBS_TO_SERVER],
				.server_fin = s->closed[JEEBS_TO_CLIENT]};
	struct harness_backend backend = {.receive = receive, .ctx = u};
	struct harness_client client = {.next = client_says, .ctx = u, .again = true};

	u->connection = u->l->c.kind->oracle->connect(u->l->oracle, &cut);
	assert_non_null(u->connection);
	harness_resume_with(&u->h, &backend, &client);
	u->l->c.kind->oracle->disconnect(u->connection);
	if (u->l->c.kind->secures && u->h.asked && u->h.outcome != HARNESS_ABORTED)
		assert_int_equal(u->h.secured_at, strlen(u->l->c.kind->asks));
}

/* The most that a record behind the cut may have, header, explicit nonce and tag included. */
static size_t record_max(const struct layer *l)
{
	bool tls13 = SSL_version(l->rig->end[0]) == TLS1_3_VERSION;
	size_t content = 16384, limit = l->c.tls.record_size_limit;

	if (l->c.tls.max_fragment)
		content = (size_t)256 << l->c.tls.max_fragment;
	if (limit > 0)
		content = limit - tls13;
	if (!SSL_CIPHER_is_aead(SSL_get_current_cipher(l->rig->end[0])))
		return 5 + 16 + content + 48 + 16;
	return 5 + content + (tls13 ? 1 : 8) + 16;
}

/* Records are no longer than the client wants them; one whose length was out is as long as it was.
 */
static void check_sizes(struct run *u)
{
	struct buf all = BUF_INIT(1u << 24);
	uint64_t cut = u->cut[1];
	size_t n;

	buf_bytes(&all, bytes_head(buf_view(&u->l->rig->wire[1]), (size_t)cut));
	buf_bytes(&all, buf_view(&u->h.client));
	assert_int_equal(buf_error(&all), 0);
	for (struct bytes b = buf_view(&all); b.n >= 5; b = bytes_from(b, n)) {
		n = 5 + (size_t)(b.p[3] << 8 | b.p[4]);
		if ((size_t)(b.p - all.p) + 3 >= cut && n > record_max(u->l))
			FAIL(u, "a record of %zu bytes", n);
	}
	buf_deinit(&all);
}

static void judge(struct run *u, const struct jeebs_plan *plan, struct layer_counts *n)
{
	const struct layer *l = u->l;
	const struct buf *said = &l->rig->plain[JEEBS_TO_CLIENT];
	uint64_t cut = u->cut[JEEBS_TO_CLIENT], had = tls_judge_plain_ended(l->judge, 1, cut);
	struct tls_ear *ear;

	assert_int_equal(tls_ear_new(l->judge, 1, cut, &ear), 0);
	assert_int_equal(tls_ear_hear(ear, buf_view(&u->h.client)), 0);
	if (tls_ear_why(ear))
		FAIL(u, "the client: %s", tls_ear_why(ear));
	struct bytes got = tls_ear_plain(ear), rest = bytes_from(buf_view(said), (size_t)had);
	if (plan->style == JEEBS_STYLE_STANDALONE) {
		n->other++;
	} else if (!bytes_eq(got, bytes_head(rest, got.n))) {
		FAIL(u, "the client got something else");
	} else if (u->h.outcome == HARNESS_ABORTED) {
		n->gave_up++;
		if (!l->c.kind->choosy)
			FAIL(u, "aborted, %s", u->h.abort_reason);
	} else if (u->unknown) {
		n->unknown++;
	} else {
		if (got.n != rest.n)
			FAIL(u, "%zu of %zu bytes", got.n, rest.n);
		if (!tls_ear_between(ear))
			FAIL(u, "ends in the middle of a record");
		assert_int_equal(tls_ear_closed(ear), u->h.outcome == HARNESS_FINISHED);
		n->exact++;
	}
	/* What is behind the cut was on the wire too, if that is not excluded. */
	check_numbers(l, u->more_may_be_out ? l->rig->wire[1].n : cut);
	check_sizes(u);
	tls_ear_free(ear);
}

/* Before the server has spoken another one may speak in its place, to whatever the client said. */
static void answer_anew(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			bool *fail)
{
	if (b.n > 0)
		buf_printf(answer, "[%zu]", b.n);
}

static void check_anew(struct run *u, const struct jeebs_plan *plan, struct layer_counts *n)
{
	struct harness_backend backend = {.receive = answer_anew};
	struct bytes all = buf_view(&u->l->rig->wire[0]);

	assert_string_equal(plan->reason, "handshake-anew");
	harness_resume(&u->h, &backend, bytes_from(all, (size_t)u->cut[0]), false);
	assert_int_equal(u->h.outcome, HARNESS_JOINED);
	assert_true(bytes_eq(buf_view(&u->h.backend), all));
	assert_true(u->h.client.n > 2 && u->h.client.p[0] == '[');
	assert_int_equal(sealed_n, 0);
	n->anew++;
}

static void check_refusal(struct run *u, const struct jeebs_plan *plan, struct layer_counts *n)
{
	const struct tls_rig *r = u->l->rig;

	if (u->l->c.kind->choosy && strcmp(plan->reason, "handshake-cut") != 0) {
		n->gave_up++;
		return;
	}
	if (u->more_may_be_out && strcmp(plan->reason, "record-uncertain") == 0) {
		n->uncertain++;
		return;
	}
	if (strcmp(plan->reason, "handshake-cut") != 0 ||
	    (u->cut[0] >= r->through[0] && u->cut[1] >= r->through[1]))
		FAIL(u, "refused, %s", plan->reason);
	n->handshake++;
}

static void unsealed(struct run *u, struct jeebs_keys *keys, struct layer_counts *n)
{
	struct jeebs_plan plan;

	harness_unseal(&u->h, keys, &counting);
	harness_plan(&u->h, &plan);
	if (plan.verdict == JEEBS_CONTINUE) {
		go_on(u);
		judge(u, &plan, n);
	} else {
		check_refusal(u, &plan, n);
	}
}

void layer_cut(const struct layer *l, uint64_t cut, const struct harness_options *options,
	       bool reopen, struct layer_counts *io)
{
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES], live_room[sizeof room];
	struct jeebs_service service = l->c.kind->service;
	struct session_secrets secrets = {find_as_it_comes, (void *)l};
	struct harness_options o = options ? *options : (struct harness_options){0};
	struct run u = {.l = l, .more_may_be_out = options && options->more_may_be_out};
	struct jeebs_plan plan;

	io->cuts++;
	sealed_n = 0;
	content_max = l->c.tls.max_fragment ? (size_t)256 << l->c.tls.max_fragment : 16384;
	o.service = &service;
	o.secures = l->c.kind->secures;
	if (l->c.retain)
		service.retain = l->c.retain;
	struct jeebs_keys *followed = l->c.follow ? session_crypto_init(live_room, &secrets) : NULL;
	assert_int_equal(harness_init(&u.h, l->c.kind->module, &o), 0);
	live(l, &u.h, cut, followed, u.cut);
	harness_follow_with(&u.h, NULL, NULL);
	session_crypto_deinit(followed); /* in the cut the keys are others */
	bool is_followed = ((const struct tls *)u.h.state)->live;
	io->followed += is_followed;
	if (is_followed && !keeps_little(&u.h))
		FAIL(&u, "%s", "too much is kept");
	if (reopen)
		assert_int_equal(harness_reopen(&u.h), 0);
	harness_plan(&u.h, &plan);
	struct jeebs_keys *keys = session_crypto_init(room, &secrets);
	if (plan.verdict == JEEBS_CONTINUE)
		check_anew(&u, &plan, io);
	else if (reopen && is_followed)
		assert_string_equal(plan.reason, "live-state-lost");
	else if (plan.verdict == JEEBS_REFUSE)
		check_refusal(&u, &plan, io);
	else
		unsealed(&u, keys, io);
	if (u.h.violation)
		FAIL(&u, "%s", u.h.violation);
	session_crypto_deinit(keys);
	harness_deinit(&u.h);
}

void layer_cut_all(const struct layer *l, uint64_t from, uint64_t step,
		   const struct harness_options *o, bool reopen, struct layer_counts *io)
{
	if (getenv("JEEBS_LONG")) {
		step = 1;
		from = 0;
	}
	for (uint64_t cut = from; cut < l->wire_n; cut += step)
		layer_cut(l, cut, o, reopen, io);
	layer_cut(l, l->wire_n, o, reopen, io);
	layer_cut(l, l->wire_n + 1, o, reopen, io);
}

void layer_print(const char *what, const struct layer_counts *n)
{
	printf("%s: %u cuts: %u exact, %u answered, %u before the server spoke, %u in the "
	       "handshake, %u unknown, %u followed, %u given up\n",
	       what, n->cuts, n->exact, n->other, n->anew, n->handshake, n->unknown, n->followed,
	       n->gave_up);
}

void layer_rig_begin(void)
{
	assert_true(layer_compose(&tls_module, &http_module, NULL, "https", &https));
	counting = session_crypto_ops;
	counting.seal = counting_seal;
	counting.seal_cbc = counting_seal_cbc;
}
