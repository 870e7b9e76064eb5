/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls.h"

#include "base/reader.h"
#include "base/writer.h"

static int lose(struct tls *s, const char *why)
{
	s->lost = why;
	return JEEBS_GIVE_UP;
}

int tls_live_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		  const struct jeebs_service *svc)
{
	struct tls *s = state;

	s->flow = f;
	s->ops = ops;
	s->service = *svc;
	s->inner = svc->inner;
	return JEEBS_OK;
}

bool tls_log_copy(const struct tls_log *log, uint32_t dir, uint64_t from, uint64_t to, uint8_t *out)
{
	while (from < to) {
		struct jeebs_bytes b = log->read(log->flow, dir, log->begin[dir] + from);
		struct bytes part = bytes_head(bytes_of(b.p, b.n), (size_t)(to - from));
		if (part.n == 0)
			return false;
		memcpy(out, part.p, part.n);
		out += part.n;
		from += part.n;
	}
	return true;
}

bool tls_session_from_log(const struct tls_log *log, const uint64_t end[static 2],
			  struct tls_session *ret)
{
	static const uint32_t order[] = {JEEBS_TO_CLIENT, JEEBS_TO_SERVER};

	*ret = (struct tls_session){0};
	for (int i = 0; i < 2; i++) {
		uint32_t dir = order[i];
		for (uint64_t off = 0; off < end[dir];) {
			struct jeebs_bytes b = log->read(log->flow, dir, log->begin[dir] + off);
			if (b.n == 0)
				return false;
			struct bytes part =
				bytes_head(bytes_of(b.p, b.n), (size_t)(end[dir] - off));
			tls_session_take(ret, dir, part, NULL, NULL);
			off += part.n;
		}
	}
	return true;
}

/* After a restore the session is what the logs say. */
static bool make_session_again(struct tls *s)
{
	struct tls_log log = {s->ops->log, s->flow, s->service.begin};

	s->restored = false;
	return tls_session_from_log(&log, s->end, &s->session);
}

static void note_turn(struct tls *s, uint32_t dir)
{
	if (dir == s->speaks)
		return;
	s->speaks = (uint8_t)dir;
	if (s->turns < TLS_TURNS)
		s->turn[s->turns++] = (struct tls_turn){{s->end[0], s->end[1]}};
}

/* What is not opened is kept, whether its keys are missing or the end of a record. */
static bool keeps_too_much(const struct tls *s, uint32_t dir)
{
	uint64_t kept = s->end[dir] - (s->live ? s->to[dir].wire : 0);

	if (dir == JEEBS_TO_CLIENT && !s->live && (s->holed || tls_hole_is_enough(s)))
		return !tls_hole_is_enough(s);
	uint64_t enough = s->awaited ? TLS_AWAIT_MAX : s->live ? TLS_RECORD_MAX : 0;

	return kept > s->service.retain && kept > enough;
}

/* Without keys everything is kept, or the beginning, which is elsewhere, and the end. */
static void keep_sealed(struct tls *s, uint32_t dir)
{
	bool end = dir == JEEBS_TO_CLIENT && !s->awaited && tls_hole_keeps(s);

	s->ops->keep_from(s->flow, dir, s->service.begin[dir] + (end ? s->hole.to : 0));
}

int tls_live_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct tls *s = state;

	if (s->lost)
		return JEEBS_GIVE_UP;
	if (s->restored && !make_session_again(s))
		return lose(s, "log-lost");
	if (!s->live)
		note_turn(s, dir);
	off -= s->service.begin[dir];
	s->end[dir] = off + b.n;
	if (dir == JEEBS_TO_CLIENT && !s->live)
		tls_hole_take(s, off, bytes_of(b.p, b.n));
	else
		tls_session_take(&s->session, dir, bytes_of(b.p, b.n), NULL, NULL);
	if (s->session.refused)
		return lose(s, s->session.refused);
	if (!s->live)
		keep_sealed(s, dir);
	off += s->service.begin[dir];
	if (tls_live_follow(s, dir, off, b, now_ns) != JEEBS_OK)
		return JEEBS_GIVE_UP;
	return keeps_too_much(s, dir) ? lose(s, "retain-exceeded") : JEEBS_OK;
}

int tls_live_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	return lose(state, from == 0 && to == 0 ? "handshake-not-seen" : "gap");
}

int tls_live_fin(void *state, uint32_t dir, uint64_t off)
{
	struct tls *s = state;

	s->fin[dir] = true;
	return JEEBS_OK;
}

void tls_close(void *state)
{
	struct tls *s = state;

	if (s->inner_open)
		s->inner->close(tls_inner_state(s));
	s->inner_open = false;
}

/*
 * ---- as bytes: before unseal; what the session was, the logs say ----------------------------
 *
 * What the inner module knows is plaintext, and not for the store. So whoever was followed live
 * cannot be followed by another box, or after a restart.
 */

#define CHECKPOINT_VERSION 1

static const char *const reasons[] = {
	"retain-exceeded", "handshake-not-seen", "gap",
	"not-tls",         "tls-version",        "cipher-not-continuable",
	"renegotiation",   "heartbeat",          "handshake-failed",
	"early-data",      "log-lost",           "compression",
	"live-state-lost",
};
#define REASONS (sizeof reasons / sizeof reasons[0])

static uint8_t number_of(const char *reason)
{
	for (uint8_t i = 0; reason && i < REASONS; i++)
		if (strcmp(reason, reasons[i]) == 0)
			return (uint8_t)(i + 1);
	return 0;
}

size_t tls_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct tls *s = state;
	struct writer w = writer_init(out, cap);

	writer_u8(&w, CHECKPOINT_VERSION);
	writer_u8(&w, number_of(s->lost    ? s->lost
				: s->live  ? "live-state-lost"
				: s->holed ? "retain-exceeded"
					   : NULL));
	writer_u8(&w, (uint8_t)(s->fin[0] | s->fin[1] << 1 | s->speaks << 2));
	writer_u64be(&w, s->end[0]);
	writer_u64be(&w, s->end[1]);
	writer_u8(&w, (uint8_t)s->turns);
	for (uint32_t i = 0; i < s->turns; i++) {
		writer_u64be(&w, s->turn[i].end[0]);
		writer_u64be(&w, s->turn[i].end[1]);
	}
	return writer_pos(&w);
}

static bool turns_ok(const struct tls *s)
{
	struct tls_turn last = {{0, 0}};

	for (uint32_t i = 0; i < s->turns; i++) {
		for (int dir = 0; dir < 2; dir++)
			if (s->turn[i].end[dir] < last.end[dir] ||
			    s->turn[i].end[dir] > s->end[dir])
				return false;
		last = s->turn[i];
	}
	return true;
}

int tls_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));
	struct tls *s = state;
	uint8_t version = reader_u8(&r), lost = reader_u8(&r), flags = reader_u8(&r);

	s->end[0] = reader_u64be(&r);
	s->end[1] = reader_u64be(&r);
	s->turns = reader_u8(&r);
	if (version != CHECKPOINT_VERSION || lost > REASONS || flags > 7 || s->turns > TLS_TURNS)
		return JEEBS_GIVE_UP;
	for (uint32_t i = 0; i < s->turns; i++) {
		s->turn[i].end[0] = reader_u64be(&r);
		s->turn[i].end[1] = reader_u64be(&r);
	}
	if (!reader_ok(&r) || reader_left(&r) > 0 || !turns_ok(s))
		return JEEBS_GIVE_UP;
	s->fin[0] = flags & 1;
	s->fin[1] = flags >> 1 & 1;
	s->speaks = flags >> 2 & 1;
	s->lost = lost ? reasons[lost - 1] : NULL;
	s->restored = true;
	s->hole.lost = true; /* the beginning is in the log alone */
	return JEEBS_OK;
}
