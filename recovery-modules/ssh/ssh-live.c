/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh.h"

static int lose(struct ssh *s, const char *why)
{
	if (!s->lost)
		s->lost = why;
	return JEEBS_GIVE_UP;
}

static void copy_option(char *out, size_t size, const char *from)
{
	size_t n = from ? strnlen(from, size - 1) : 0;

	if (n > 0)
		memcpy(out, from, n);
	out[n] = 0;
}

/* One that has no room is none: its command is not run again. */
static void copy_patterns(struct ssh_options *o, char *const *patterns)
{
	struct writer w = writer_init((uint8_t *)o->restart, sizeof o->restart - 1);

	for (; patterns && *patterns; patterns++) {
		struct bytes one = bytes_str(*patterns);

		if (one.n + 1 > sizeof o->restart - 1 - writer_pos(&w) ||
		    memchr(one.p, '\n', one.n))
			continue;
		writer_bytes(&w, one);
		writer_u8(&w, '\n');
	}
	o->restart[writer_pos(&w)] = 0;
}

int ssh_live_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		  const struct jeebs_service *svc)
{
	struct ssh *s = state;

	s->flow = f;
	s->ops = ops;
	s->options.retain = svc->retain;
	copy_option(s->options.notice, sizeof s->options.notice, svc->notice);
	copy_option(s->options.shell, sizeof s->options.shell, svc->shell);
	copy_patterns(&s->options, svc->exec_restart);
	ssh_session_init(&s->session);
	return JEEBS_OK;
}

/* What is not opened is kept, whether its keys are missing or the end of a packet. */
static bool keeps_too_much(const struct ssh *s, uint32_t dir, bool awaited)
{
	uint64_t kept = s->end[dir] - s->at[dir];
	uint64_t enough = awaited ? SSH_AWAIT_MAX : s->opened ? SSH_WIRE_MAX : 0;

	return kept > s->options.retain && kept > enough;
}

int ssh_live_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct ssh *s = state;
	struct ssh_keys_of keys = {.side = JEEBS_SSH_FRONT};
	struct ssh_source src = {.log = s->ops->log,
				 .scratch = s->ops->scratch,
				 .flow = s->flow,
				 .dir = dir,
				 .off = off,
				 .chunk = bytes_of(b.p, b.n)};

	(void)now_ns;
	if (s->lost || !ssh_follow_turn(s, dir, off + b.n))
		return JEEBS_GIVE_UP;
	int there = s->ops->keys(s->flow, &keys.keys, &keys.ops);

	if (there != JEEBS_KEYS_THERE)
		keys = (struct ssh_keys_of){.side = JEEBS_SSH_FRONT};
	if (!ssh_follow(s, &src, &keys))
		return JEEBS_GIVE_UP;
	for (uint32_t d = 0; d < 2; d++) {
		s->ops->keep_from(s->flow, d, s->at[d]);
		if (keeps_too_much(s, d, there == JEEBS_KEYS_AWAITED))
			return lose(s, "retain-exceeded");
	}
	return JEEBS_OK;
}

int ssh_live_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	(void)dir;
	return lose(state, from == 0 && to == 0 ? "handshake-not-seen" : "ssh-gap");
}

int ssh_live_fin(void *state, uint32_t dir, uint64_t off)
{
	(void)state;
	(void)dir;
	(void)off;
	return JEEBS_OK;
}

void ssh_live_close(void *state)
{
	explicit_bzero(state, sizeof(struct ssh)); /* what was typed may be a password */
}

/*
 * ---- as bytes
 * ------------------------------------------------------------------------------------
 *
 * What only keys show is not for the store. So whoever was followed with keys cannot be followed by
 * another box, or after a restart; of the others the logs have what was sealed.
 */

#define CHECKPOINT_VERSION 1

static const char *const reasons[] = {
	"handshake-not-seen", "ssh-gap",  "retain-exceeded", "ssh-sealed-too-long",
	"live-state-lost",    "log-lost", "no-memory",       "ssh-keys-incomplete",
};
#define REASONS (sizeof reasons / sizeof *reasons)

/* Behind these come those of the core. */
static uint8_t number_of(const char *why)
{
	for (uint8_t i = 0; why && i < REASONS; i++)
		if (strcmp(reasons[i], why) == 0)
			return (uint8_t)(i + 1);
	for (uint8_t i = 1; why && i < SSH_REASON_COUNT; i++)
		if (strcmp(ssh_reason_word(i), why) == 0)
			return (uint8_t)(REASONS + i);
	return 0;
}

static const char *reason_of(uint8_t number)
{
	return number > REASONS ? ssh_reason_word((uint8_t)(number - REASONS))
				: reasons[number - 1];
}

size_t ssh_live_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct ssh *s = state;
	struct writer w = writer_init(out, cap);
	uint8_t lost = number_of(s->lost ? s->lost : s->opened ? "live-state-lost" : NULL);

	writer_u8(&w, CHECKPOINT_VERSION);
	writer_u8(&w, lost);
	if (lost)
		return writer_pos(&w);
	for (int dir = 0; dir < 2; dir++) {
		writer_u64be(&w, s->end[dir]);
		writer_u64be(&w, s->at[dir]);
	}
	writer_u32be(&w, s->turns);
	for (uint32_t i = 0; i < s->turns; i++)
		writer_u64be(&w, s->turn[i]);
	ssh_session_write(&s->session, &w);
	return writer_pos(&w);
}

static bool turns_ok(const struct ssh *s)
{
	uint64_t last[2] = {s->at[0], s->at[1]};

	for (uint32_t i = 0; i < s->turns; i++) {
		uint32_t dir = s->turn[i] & 1;

		if (s->turn[i] >> 1 < last[dir] || s->turn[i] >> 1 > s->end[dir])
			return false;
		last[dir] = s->turn[i] >> 1;
	}
	return s->at[0] <= s->end[0] && s->at[1] <= s->end[1];
}

int ssh_live_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));
	struct ssh *s = state;
	uint8_t version = reader_u8(&r), lost = reader_u8(&r);

	if (version != CHECKPOINT_VERSION || lost >= REASONS + SSH_REASON_COUNT)
		return JEEBS_GIVE_UP;
	if (lost) {
		s->lost = reason_of(lost);
		return reader_ok(&r) && reader_left(&r) == 0 ? JEEBS_OK : JEEBS_GIVE_UP;
	}
	for (int dir = 0; dir < 2; dir++) {
		s->end[dir] = reader_u64be(&r);
		s->at[dir] = reader_u64be(&r);
	}
	s->turns = reader_u32be(&r);
	if (s->turns > SSH_TURNS_MAX)
		return JEEBS_GIVE_UP;
	for (uint32_t i = 0; i < s->turns; i++)
		s->turn[i] = reader_u64be(&r);
	if (!reader_ok(&r) || !turns_ok(s) ||
	    !ssh_session_read(reader_bytes(&r, reader_left(&r)), &s->session))
		return JEEBS_GIVE_UP;
	return JEEBS_OK;
}
