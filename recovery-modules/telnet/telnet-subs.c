/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telnet-subs.h"

#include "telnet-options.h"

#define SEND     1u
#define IS       0u
#define MODE     1u
#define MODE_ACK 4u

static bool has_send(uint8_t option)
{
	return option == TELNET_TTYPE || option == TELNET_TSPEED || option == TELNET_XDISPLOC ||
	       option == TELNET_ENVIRON || option == TELNET_NEW_ENV;
}

bool telnet_sub_asks(uint8_t option, struct bytes b)
{
	if (option == TELNET_LINEMODE)
		return b.n == 2 && b.p[0] == MODE && !(b.p[1] & MODE_ACK);
	return has_send(option) && b.n > 0 && b.p[0] == SEND;
}

bool telnet_sub_answers(uint8_t option, struct bytes b)
{
	if (option == TELNET_LINEMODE)
		return b.n == 2 && b.p[0] == MODE && b.p[1] & MODE_ACK;
	return has_send(option) && b.n > 0 && b.p[0] == IS;
}

/* FNV-1a is good enough: the bytes are those of one's own server. */
uint64_t telnet_sub_hash(struct bytes b)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < b.n; i++)
		h = (h ^ b.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

struct telnet_sub *telnet_subs_add(struct telnet_subs *s, uint8_t option, uint8_t kind,
				   uint64_t hash)
{
	if (s->n == TELNET_SUBS_MAX)
		return NULL;
	struct telnet_sub *e = &s->list[s->n++];
	*e = (struct telnet_sub){.option = option, .kind = kind, .hash = hash};
	return e;
}

struct telnet_sub *telnet_subs_unanswered(struct telnet_subs *s, uint8_t option)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct telnet_sub *e = &s->list[i];
		if (e->kind == TELNET_SUB_ASKED && e->option == option && !e->answered)
			return e;
	}
	return NULL;
}

struct telnet_sub *telnet_subs_unused(struct telnet_subs *s, uint8_t option, uint8_t kind,
				      uint64_t hash)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct telnet_sub *e = &s->list[i];
		if (e->kind == kind && e->option == option && !e->used && e->hash == hash)
			return e;
	}
	return NULL;
}

void telnet_subs_answer(struct telnet_subs *s, struct telnet_sub *e, struct bytes b)
{
	e->answered = true;
	e->lost = b.n > TELNET_ARENA_MAX - s->arena_n;
	if (e->lost)
		return;
	e->at = s->arena_n;
	e->n = (uint16_t)b.n;
	memcpy(s->arena + e->at, b.p, b.n);
	s->arena_n = (uint16_t)(s->arena_n + b.n);
}

void telnet_subs_say(struct telnet_subs *s, uint8_t option, struct bytes b)
{
	struct telnet_sub *e = NULL;

	if (b.n == 0)
		return;
	for (unsigned i = 0; option == TELNET_NAWS && i < s->n && !e; i++) {
		if (s->list[i].kind == TELNET_SUB_SAID && s->list[i].option == option)
			e = &s->list[i];
	}
	if (e && e->n == b.n) {
		memcpy(s->arena + e->at, b.p, b.n);
		return;
	}
	if (!e)
		e = telnet_subs_add(s, option, TELNET_SUB_SAID, 0);
	if (e)
		telnet_subs_answer(s, e, b);
}
