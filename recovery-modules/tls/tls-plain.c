/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-plain.h"

_Static_assert(sizeof(struct tls_plain) <= JEEBS_SCRATCH_MAX, "it fits into the scratch");

struct tls_plain *tls_plain_new(const struct tls *s, const struct jeebs_cut *cut)
{
	uint8_t *wire = cut->scratch(cut->flow, TLS_RECORD_MAX);

	return wire ? tls_plain_with(s, cut, wire) : NULL;
}

struct tls_plain *tls_plain_with(const struct tls *s, const struct jeebs_cut *cut, uint8_t *wire)
{
	struct tls_plain *p = (void *)cut->scratch(cut->flow, sizeof *p);

	if (!p)
		return NULL;
	memset(p, 0, offsetof(struct tls_plain, text));
	p->wire = wire;
	p->s = s;
	p->cut = cut;
	p->crypto = (struct tls_crypto){cut->keys, cut->crypto};
	p->log = (struct tls_log){cut->log, cut->flow, s->service.begin};
	p->session = s->session;
	for (int dir = 0; dir < 2; dir++) {
		p->at[dir] = s->from[dir];
		p->limit[dir] = s->to[dir].wire;
		p->end[dir] = s->plain[dir];
	}
	return p;
}

static struct jeebs_bytes log_with_beginning(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	const struct tls_plain *p = (const struct tls_plain *)(const void *)f;
	uint64_t at = off - p->log.begin[dir], n = p->s->hole.from;

	if (dir == JEEBS_TO_CLIENT && at < n)
		return (struct jeebs_bytes){p->beginning + at, (size_t)(n - at)};
	return p->cut->log(p->cut->flow, dir, off);
}

bool tls_plain_keep_beginning(struct tls_plain *p, const uint8_t *from, uint64_t n)
{
	p->beginning = p->cut->scratch(p->cut->flow, (size_t)n);
	if (!p->beginning)
		return false;
	memcpy(p->beginning, from, (size_t)n);
	p->log.read = log_with_beginning;
	p->log.flow = (struct jeebs_flow *)(void *)p;
	return true;
}

void tls_plain_next_call(struct tls_plain *p)
{
	p->at_block = 0;
	p->pinned = 0;
	p->used = 0;
	p->seen[0].b = p->seen[1].b = BYTES_NONE;
}

/* What was seen last, if it is in a block that is used again, is seen no more. */
static void forget(struct tls_plain *p, const uint8_t *block)
{
	for (int dir = 0; dir < 2; dir++) {
		const uint8_t *b = p->seen[dir].b.p;
		if (b && (uintptr_t)b - (uintptr_t)block < TLS_VIEW_BLOCK)
			p->seen[dir].b = BYTES_NONE;
	}
}

/* The next block, or, when all were taken, the oldest with nothing but views. A block may end with
 * room for a payload. */
static bool next_block(struct tls_plain *p)
{
	const size_t filled = TLS_VIEW_BLOCK - TLS_PAYLOAD_MAX;
	uint32_t next = p->at_block + 1 < TLS_VIEW_BLOCKS ? p->at_block + 1 : p->pinned;

	if (p->at_block + 1 == TLS_VIEW_BLOCKS &&
	    (p->pinned + 1) * filled + TLS_VIEWS_LIVE > TLS_VIEW_BLOCKS * filled)
		return false; /* the module holds too many of them itself */
	if (p->block[next])
		forget(p, p->block[next]);
	p->at_block = next;
	p->used = 0;
	return true;
}

static uint8_t *take(struct tls_plain *p, size_t n)
{
	uint8_t **block = &p->block[p->at_block];

	if (n > TLS_VIEW_BLOCK - p->used) {
		if (n > TLS_VIEW_BLOCK || !next_block(p))
			return NULL;
		block = &p->block[p->at_block];
	}
	if (!*block)
		*block = p->cut->scratch(p->cut->flow, TLS_VIEW_BLOCK);
	if (!*block)
		return NULL;
	p->used += n;
	return *block + p->used - n;
}

uint8_t *tls_plain_scratch(struct jeebs_flow *f, size_t n)
{
	struct tls_plain *p = (struct tls_plain *)(void *)f;
	const size_t align = _Alignof(max_align_t);
	uint8_t *v;

	p->used = (p->used + align - 1) / align * align;
	v = take(p, n);
	p->failed |= !v;
	if (v && p->pinned <= p->at_block)
		p->pinned = p->at_block + 1;
	return v;
}

/* [at, to) of the log, where it is; copied if it is in several pieces. Empty: it is not there. */
static struct bytes piece(struct tls_plain *p, uint32_t dir, uint64_t at, uint64_t to)
{
	struct jeebs_bytes b = p->log.read(p->log.flow, dir, p->log.begin[dir] + at);

	if (b.n >= to - at)
		return bytes_of(b.p, (size_t)(to - at));
	return tls_log_copy(&p->log, dir, at, to, p->wire) ? bytes_of(p->wire, (size_t)(to - at))
							   : BYTES_NONE;
}

/*
 * [at, at + n) of the log, where it is. False: it is in too many pieces, or its beginning is, or it
 * is not there.
 */
static bool find_pieces(struct tls_plain *p, uint32_t dir, uint64_t at, size_t n,
			struct tls_wire *ret)
{
	*ret = (struct tls_wire){.n = 0};
	while (ret->bytes < n && ret->n < TLS_WIRE_PIECES) {
		struct jeebs_bytes b =
			p->log.read(p->log.flow, dir, p->log.begin[dir] + at + ret->bytes);
		if (b.n > n - ret->bytes)
			b.n = n - ret->bytes;
		if (b.n == 0)
			return false;
		ret->piece[ret->n++] = b;
		ret->bytes += b.n;
	}
	return ret->bytes == n && (ret->n == 1 || ret->piece[0].n >= TLS_WIRE_FIRST);
}

/* The record at @wire. False: it does not end before the limit, or it is not there (`failed`). */
static bool record_at(struct tls_plain *p, uint32_t dir, uint64_t wire, struct tls_wire *ret)
{
	uint64_t left = p->limit[dir] > wire ? p->limit[dir] - wire : 0;
	struct bytes header, all;
	size_t n = 0;

	if (left < TLS_HEADER_BYTES)
		return false;
	header = piece(p, dir, wire, wire + TLS_HEADER_BYTES);
	if (header.n > 0)
		n = TLS_HEADER_BYTES + (size_t)(header.p[3] << 8 | header.p[4]);
	if (n > 0 && n <= TLS_RECORD_MAX && n > left)
		return false;
	if (n == 0 || n > TLS_RECORD_MAX) {
		p->failed = true;
		return false;
	}
	if (!tls_suite_is_cbc(p->session.suite) && JEEBS_HAS(p->crypto.ops, open_pieces) &&
	    p->crypto.ops->open_pieces && find_pieces(p, dir, wire, n, ret))
		return true;
	all = piece(p, dir, wire, wire + n);
	*ret = tls_wire_of(all);
	p->failed |= all.n == 0;
	return all.n > 0;
}

bool tls_plain_step(struct tls_plain *p, uint32_t dir, struct tls_place *io, uint8_t *text,
		    struct bytes *ret)
{
	struct tls_text t = {0};

	while (t.type != TLS_DATA || t.n == 0) {
		struct tls_wire wire;
		if (!record_at(p, dir, io->wire, &wire))
			return false;
		if (p->session.suite->tls13 && wire.piece[0].p[0] == TLS_CHANGE_CIPHER_SPEC) {
			io->wire += wire.bytes;
			continue;
		}
		if (!tls_follow_wire(&io->follow, &p->session, &p->crypto, &wire, text, &t)) {
			p->failed = true;
			return false;
		}
		io->wire += wire.bytes;
	}
	io->plain += t.n;
	*ret = bytes_of(text, t.n);
	return true;
}

static bool can_skip(struct tls_plain *p)
{
	if (!p->skipped)
		p->skipped = p->cut->scratch(p->cut->flow, TLS_PAYLOAD_MAX);
	p->failed |= !p->skipped;
	return p->skipped;
}

void tls_plain_seek(struct tls_plain *p, uint32_t dir, struct tls_place *io, uint64_t off)
{
	struct tls_place next = *io;
	struct bytes b;

	if (!can_skip(p))
		return;
	while (tls_plain_step(p, dir, &next, p->skipped, &b) && next.plain <= off)
		*io = next;
}

/* Bytes of a tag that nobody makes up. */
#define PROOF_BYTES 8

bool tls_plain_is_said_again(const struct tls_owed *o)
{
	return o->type == TLS_DATA && o->most > 0;
}

bool tls_plain_is_proved(const struct tls_owed *o)
{
	return o->whole && !tls_plain_is_said_again(o) && o->tag >= PROOF_BYTES;
}

/* Whether it may become a record. */
static bool can_be_made(const struct tls_owed *o, enum tls_fill fill)
{
	return tls_plain_is_said_again(o) || tls_plain_is_proved(o) || fill != TLS_FILL_NONE;
}

bool tls_plain_owed(struct tls_plain *p, struct tls_protect *io, uint8_t *text, struct bytes wire,
		    struct tls_owed *ret, enum tls_fill *ret_fill, const char **ret_reason)
{
	enum tls_outcome r = tls_owe(io, &p->crypto, wire, text, ret);

	*ret_fill = r == TLS_OK ? tls_fill_find(io->suite, ret, text) : TLS_FILL_NONE;
	*ret_reason = r == TLS_NO_NONCE ? "nonce-unknown"
		      : r != TLS_OK     ? "record-not-completable"
		      /* What it was to say nobody says again. */
		      : !can_be_made(ret, *ret_fill) ? "record-uncertain"
						     : NULL;
	return !*ret_reason;
}

void tls_plain_go(struct tls_plain *p, uint32_t dir, uint64_t off)
{
	if (p->at[dir].plain > off)
		p->at[dir] = p->s->from[dir];
	tls_plain_seek(p, dir, &p->at[dir], off);
}

static struct bytes view(struct tls_plain *p, uint32_t dir, uint64_t off)
{
	struct bytes b;

	if (p->s->from[dir].plain > off)
		return BYTES_NONE; /* the inner module did not keep it */
	tls_plain_go(p, dir, off);
	struct tls_place behind = p->at[dir];
	if (!can_skip(p) || !tls_plain_step(p, dir, &behind, p->skipped, &b) ||
	    behind.plain <= off) {
		p->failed = true;
		return BYTES_NONE;
	}
	b = bytes_from(b, (size_t)(off - (behind.plain - b.n)));
	uint8_t *v = take(p, b.n);
	p->failed |= !v;
	if (!v)
		return BYTES_NONE;
	memcpy(v, b.p, b.n);
	return bytes_of(v, b.n);
}

struct bytes tls_plain_seen(const struct tls_plain *p, uint32_t dir, uint64_t off)
{
	uint64_t first = p->seen[dir].off;
	struct bytes b = p->seen[dir].b;

	return off < first || off - first >= b.n ? BYTES_NONE
						 : bytes_from(b, (size_t)(off - first));
}

struct jeebs_bytes tls_plain_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct tls_plain *p = (struct tls_plain *)(void *)f;

	if (dir > 1 || off >= p->end[dir] || p->failed)
		return (struct jeebs_bytes){NULL, 0};
	struct bytes b = tls_plain_seen(p, dir, off);
	if (b.n == 0) {
		b = view(p, dir, off);
		p->seen[dir].off = off;
		p->seen[dir].b = b;
	}
	b = bytes_head(b, (size_t)(p->end[dir] - off));
	return (struct jeebs_bytes){b.p, b.n};
}

void tls_plain_cut(struct tls_plain *p, struct jeebs_cut *ret)
{
	const struct tls *s = p->s;

	*ret = (struct jeebs_cut){
		.to_server_end = s->plain[JEEBS_TO_SERVER],
		.to_client_end = s->plain[JEEBS_TO_CLIENT],
		/* How much of it the client has acknowledged is not looked for: the host sends
		 * again what it lacks, sealed as it was. */
		.to_client_acked = 0,
		.client_fin = s->closed[JEEBS_TO_SERVER],
		.server_fin = s->closed[JEEBS_TO_CLIENT],
		.flow = (struct jeebs_flow *)(void *)p,
		.log = tls_plain_log,
		.scratch = tls_plain_scratch,
	};
}
