/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "replay-mask.h"

static const char begin[] = "HTTP/1.1 101 ", name[] = "date:";

static void go(struct replay_mask *m, enum replay_mask_state state)
{
	m->state = (uint8_t)state;
	m->at = 0;
}

static void in_begin(struct replay_mask *m, uint8_t c)
{
	if (c != (uint8_t)begin[m->at])
		go(m, REPLAY_MASK_OFF);
	else if (++m->at == sizeof begin - 1)
		go(m, REPLAY_MASK_REST);
}

static void in_name(struct replay_mask *m, uint8_t c)
{
	uint8_t lower = c >= 'A' && c <= 'Z' ? c | 0x20 : c;

	if (c == '\n')
		go(m, m->at == 0 ? REPLAY_MASK_OFF : REPLAY_MASK_NAME);
	else if (c == '\r' && m->at == 0)
		go(m, REPLAY_MASK_END);
	else if (lower != (uint8_t)name[m->at])
		go(m, REPLAY_MASK_REST);
	else if (++m->at == sizeof name - 1)
		go(m, REPLAY_MASK_VALUE);
}

/* Takes one byte. Returns whether it is masked. */
static bool step(struct replay_mask *m, uint8_t c)
{
	switch (m->state) {
	case REPLAY_MASK_BEGIN:
		in_begin(m, c);
		return false;
	case REPLAY_MASK_NAME:
		in_name(m, c);
		return false;
	case REPLAY_MASK_VALUE:
		if (c != '\r' && c != '\n')
			return true;
		go(m, c == '\n' ? REPLAY_MASK_NAME : REPLAY_MASK_REST);
		return false;
	case REPLAY_MASK_REST:
		if (c == '\n')
			go(m, REPLAY_MASK_NAME);
		return false;
	case REPLAY_MASK_END:
		go(m, c == '\n' ? REPLAY_MASK_OFF : REPLAY_MASK_REST);
		return false;
	default:
		return false;
	}
}

/* Replaces a real zero byte, which must not look like a masked one. */
#define ZERO 0xffu

void replay_mask_feed(struct replay_mask *m, const uint8_t *p, size_t n, uint8_t *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = !step(m, p[i]) ? p[i] : p[i] ? 0 : ZERO;
}

bool replay_mask_valid(const struct replay_mask *m)
{
	switch (m->state) {
	case REPLAY_MASK_BEGIN:
		return m->at < sizeof begin - 1;
	case REPLAY_MASK_NAME:
		return m->at < sizeof name - 1;
	default:
		return m->state < REPLAY_MASK_STATES_ && m->at == 0;
	}
}
