/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-inside.h"

#include <errno.h>
#include <stdlib.h>

/* ---- what was said -------------------------------------------------------------------------- */

static uint64_t inside(const struct drill_inside *i, uint32_t dir, uint64_t off)
{
	return off > i->begin[dir] ? off - i->begin[dir] : 0;
}

/* The wire of a direction as far as it is known without a gap. */
static struct bytes known_wire(const struct drill_stream *s, uint64_t begin)
{
	uint64_t known;

	drill_stream_known(s, begin, s->bytes.n, &known);
	return bytes_head(bytes_from(buf_view(&s->bytes), (size_t)begin), (size_t)known);
}

/* What is not understood, or was lost, is a gap behind the end. */
static int make_stream(struct drill_inside *i, const struct drill_flow *truth, uint32_t dir)
{
	const struct drill_stream *wire = &truth->stream[dir];
	struct drill_stream *s = &i->plain.stream[dir];
	uint64_t n = inside(i, dir, wire->bytes.n), end = tls_judge_understood(i->judge, dir);
	bool closed = tls_judge_closed(i->judge, dir, end);

	s->bytes = BUF_INIT(SIZE_MAX);
	if (buf_bytes(&s->bytes, tls_judge_plain(i->judge, dir)) < 0)
		return -ENOMEM;
	s->fin = closed || (wire->fin && end == n);
	if (closed || end == n)
		return 0;
	s->gap = malloc(sizeof *s->gap);
	if (!s->gap)
		return -ENOMEM;
	s->gap[0] = (struct drill_gap){s->bytes.n, s->bytes.n + 1};
	s->gap_count = 1;
	return buf_u8(&s->bytes, 0);
}

/*
 * An end has received what is in complete records. What the client has under way nobody can act on
 * before its record is complete, while all of a record of the server's was said when it began.
 */
static int make_order(struct drill_inside *i, const struct drill_flow *truth)
{
	const struct tls_judge *j = i->judge;
	struct drill_flow *p = &i->plain;

	p->said = calloc(truth->said_count + 1, sizeof *p->said);
	p->answered = calloc(truth->answered_count + 1, sizeof *p->answered);
	if (!p->said || !p->answered)
		return -ENOMEM;
	p->said_count = truth->said_count;
	p->answered_count = truth->answered_count;
	for (uint32_t n = 0; n < p->said_count; n++)
		p->said[n] = (struct drill_said){
			tls_judge_plain_ended(j, 0, inside(i, 0, truth->said[n].end)),
			tls_judge_plain_ended(j, 1, inside(i, 1, truth->said[n].received))};
	for (uint32_t n = 0; n < p->answered_count; n++)
		p->answered[n] = (struct drill_said){
			tls_judge_plain_begun(j, 1, inside(i, 1, truth->answered[n].end)),
			tls_judge_plain_ended(j, 0, inside(i, 0, truth->answered[n].received))};
	p->fin_received = tls_judge_plain_ended(j, 1, inside(i, 1, truth->fin_received));
	return 0;
}

static void choose_module(struct drill_inside *i, const struct jeebs_service *svc)
{
	bool h2 = strcmp(tls_judge_alpn(i->judge), "h2") == 0;

	i->module = h2 ? svc->inner_h2 : svc->inner;
	i->service = *svc;
	if (svc->begin[0] > 0 || svc->begin[1] > 0)
		i->service.flags |= JEEBS_SERVICE_UPGRADED;
	i->service.begin[0] = i->service.begin[1] = 0;
	i->service.inner = i->service.inner_h2 = NULL;
	i->service.inner_any = NULL;
	i->service.upgrade = NULL;
	if (i->module)
		i->service.protocol = i->module->name;
}

int drill_inside_make(struct drill_flow *truth, const struct jeebs_service *svc,
		      const struct tls_judge_secrets *secrets)
{
	struct drill_inside *i = calloc(1, sizeof *i);

	if (!i)
		return -ENOMEM;
	memcpy(i->begin, svc->begin, sizeof i->begin);
	i->plain.server = truth->server;
	i->plain.client = truth->client;
	i->plain.reset = truth->reset;
	const struct bytes wire[2] = {known_wire(&truth->stream[0], i->begin[0]),
				      known_wire(&truth->stream[1], i->begin[1])};
	i->judge = tls_judge_new(secrets, wire);
	if (!i->judge || make_stream(i, truth, 0) < 0 || make_stream(i, truth, 1) < 0 ||
	    make_order(i, truth) < 0) {
		drill_inside_free(i);
		return -ENOMEM;
	}
	choose_module(i, svc);
	truth->inside = i;
	return 0;
}

struct drill_inside *drill_inside_free(struct drill_inside *i)
{
	if (!i)
		return NULL;
	if (i->plain.oracle)
		i->plain.oracle_kind->close(i->plain.oracle);
	for (int d = 0; d < 2; d++) {
		buf_deinit(&i->plain.stream[d].bytes);
		free(i->plain.stream[d].gap);
	}
	free(i->plain.said);
	free(i->plain.answered);
	tls_judge_free(i->judge);
	free(i);
	return NULL;
}

void drill_inside_cut(const struct drill_inside *i, struct jeebs_cut *io)
{
	uint64_t s = inside(i, 0, io->to_server_end), c = inside(i, 1, io->to_client_end);

	io->to_server_end = tls_judge_plain_ended(i->judge, 0, s);
	io->to_client_end = tls_judge_plain_ended(i->judge, 1, c);
	io->to_client_acked = 0;
	io->client_fin |= tls_judge_closed(i->judge, 0, s);
	io->server_fin |= tls_judge_closed(i->judge, 1, c);
}

int drill_inside_listen(const struct drill_inside *i, uint64_t cut, struct tls_ear **ret)
{
	return tls_ear_new(i->judge, 1, inside(i, 1, cut), ret);
}

/* ---- what is sealed ------------------------------------------------------------------------- */

static struct drill_seals *seals_of(struct jeebs_keys *k)
{
	return (struct drill_seals *)(void *)k;
}

static int count_derive(struct jeebs_keys *k, const struct jeebs_key_spec *spec, uint32_t *ret)
{
	return seals_of(k)->ops->derive(seals_of(k)->keys, spec, ret);
}

static int count_next(struct jeebs_keys *k, uint32_t key, uint32_t *ret)
{
	return seals_of(k)->ops->next(seals_of(k)->keys, key, ret);
}

static int count_open(struct jeebs_keys *k, uint32_t key, uint64_t nonce, struct jeebs_bytes aad,
		      struct jeebs_bytes in, uint8_t *out)
{
	return seals_of(k)->ops->open(seals_of(k)->keys, key, nonce, aad, in, out);
}

static int count_open_pieces(struct jeebs_keys *k, uint32_t key, uint64_t nonce,
			     struct jeebs_bytes aad, const struct jeebs_bytes *in, size_t n,
			     uint8_t *out)
{
	return seals_of(k)->ops->open_pieces(seals_of(k)->keys, key, nonce, aad, in, n, out);
}

static int count_peek(struct jeebs_keys *k, uint32_t key, uint64_t nonce, uint64_t off,
		      struct jeebs_bytes in, uint8_t *out)
{
	return seals_of(k)->ops->peek(seals_of(k)->keys, key, nonce, off, in, out);
}

/* Remembers that something is sealed. False: no memory. */
static bool note_seal(struct drill_seals *s, uint32_t key, uint64_t nonce)
{
	/* The array doubles at powers of two. */
	if ((s->n & (s->n - 1)) == 0) {
		void *p = reallocarray(s->v, s->n ? 2 * s->n : 1, sizeof *s->v);
		s->lost |= !p;
		if (p)
			s->v = p;
	}
	if (!s->lost)
		s->v[s->n++] = (struct drill_seal){key, nonce};
	return !s->lost;
}

static int count_seal(struct jeebs_keys *k, uint32_t key, uint64_t nonce, struct jeebs_bytes aad,
		      struct jeebs_bytes in, uint8_t *out)
{
	struct drill_seals *s = seals_of(k);

	if (!note_seal(s, key, nonce))
		return JEEBS_CRYPTO_FAILED;
	return s->ops->seal(s->keys, key, nonce, aad, in, out);
}

static int count_open_cbc(struct jeebs_keys *k, uint32_t key, uint64_t number,
			  struct jeebs_bytes head, struct jeebs_bytes in, uint8_t *out,
			  size_t *ret_n)
{
	return seals_of(k)->ops->open_cbc(seals_of(k)->keys, key, number, head, in, out, ret_n);
}

/* What counts as the nonce is the beginning of a fresh IV. One that was out is to be the same. */
static int count_seal_cbc(struct jeebs_keys *k, uint32_t key, uint64_t number,
			  struct jeebs_bytes head, struct jeebs_bytes iv, struct jeebs_bytes in,
			  size_t pad, uint8_t *out)
{
	struct drill_seals *s = seals_of(k);
	int r = s->ops->seal_cbc(s->keys, key, number, head, iv, in, pad, out);
	uint64_t nonce = 0;

	for (int i = 0; r == JEEBS_CRYPTO_OK && i < 8; i++)
		nonce = nonce << 8 | out[i];
	if (r == JEEBS_CRYPTO_OK && iv.n == 0 && !note_seal(s, key, nonce))
		return JEEBS_CRYPTO_FAILED;
	return r;
}

const struct jeebs_crypto_ops drill_seals_ops = {
	.size = sizeof(struct jeebs_crypto_ops),
	.derive = count_derive,
	.next = count_next,
	.open = count_open,
	.peek = count_peek,
	.seal = count_seal,
	.open_pieces = count_open_pieces,
	.open_cbc = count_open_cbc,
	.seal_cbc = count_seal_cbc,
};

void drill_seals_deinit(struct drill_seals *s)
{
	free(s->v);
	s->v = NULL;
	s->n = 0;
}

/* ---- judging -------------------------------------------------------------------------------- */

static int by_key_and_nonce(const void *a, const void *b)
{
	const struct drill_seal *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->nonce < y->nonce ? -1 : x->nonce > y->nonce;
}

/*
 * The first key that seals is the one in force at the cut: a change of keys is sealed under the old
 * one. Behind it nothing was on the wire under the keys.
 */
static bool numbers_right(const struct drill_inside *i, uint64_t cut, const struct drill_seals *s,
			  struct drill_finding *f)
{
	for (size_t n = 0; n < s->n; n++) {
		if (s->v[n].key == s->v[0].key &&
		    tls_judge_is_used(i->judge, 1, inside(i, 1, cut), s->v[n].nonce)) {
			drill_wrong(f, "number-was-on-the-wire", cut);
			return false;
		}
	}
	if (s->n > 1)
		qsort(s->v, s->n, sizeof *s->v, by_key_and_nonce);
	for (size_t n = 1; n < s->n; n++) {
		if (by_key_and_nonce(&s->v[n - 1], &s->v[n]) == 0) {
			drill_wrong(f, "number-sealed-twice", cut);
			return false;
		}
	}
	return true;
}

/*
 * The record that was open at the cut, if it was of data and some of its content was out. Otherwise
 * another one may lawfully stand in its place: what it says is compared.
 */
static bool record_right(const struct drill_inside *i, const struct drill_flow *truth,
			 const struct drill_got *got, struct drill_finding *f)
{
	uint64_t cut = inside(i, 1, got->cut), end = tls_judge_record_end(i->judge, 1, cut);

	if (got->other_bytes || !tls_judge_open_is_data(i->judge, 1, cut))
		return true;
	return drill_same(&truth->stream[1], got->cut, bytes_head(got->wire, (size_t)(end - cut)),
			  "record-differs", f);
}

bool drill_inside_right(const struct drill_inside *i, const struct drill_flow *truth,
			const struct drill_got *got, const struct drill_seals *seals,
			struct drill_finding *f)
{
	uint64_t end = got->cut + got->wire.n;

	if (tls_ear_why(got->ear)) {
		drill_wrong(f, tls_ear_why(got->ear), end);
		return false;
	}
	if (got->finished && !tls_ear_between(got->ear)) {
		drill_wrong(f, "ends-in-a-record", end);
		return false;
	}
	if (got->finished && !tls_ear_closed(got->ear) && !got->fin_was_out) {
		drill_wrong(f, "no-close-notify", end);
		return false;
	}
	return numbers_right(i, got->cut, seals, f) && record_right(i, truth, got, f);
}
