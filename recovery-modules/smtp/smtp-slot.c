/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies that are owed to the client, and those that it gets from us. */
#include "smtp.h"

#include <string.h>

void smtp_abort(struct smtp_run *x, const char *reason)
{
	if (x->r->phase == SMTP_PHASE_OVER)
		return;
	x->r->phase = SMTP_PHASE_OVER;
	x->ops->abort(x->j, reason);
}

struct jeebs_bytes smtp_own_reply(unsigned code)
{
	static const struct {
		unsigned code;
		const char *text;
	} replies[] = {
		{250, "250 OK\r\n"},
		{354, "354 Go ahead\r\n"},
		{421, "421 4.3.2 The server was replaced, try again\r\n"},
		{451, "451 4.3.0 The server was replaced in between, try again\r\n"},
		{455, "455 4.3.0 A parameter is not supported at the moment, try again\r\n"},
		{550, "550 5.0.0 Refused\r\n"},
	};

	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
		const char *t = replies[i].text;
		if (replies[i].code == code)
			return (struct jeebs_bytes){(const uint8_t *)t, strlen(t)};
	}
	return smtp_own_reply(451);
}

struct smtp_slot *smtp_slot_first(struct smtp_resume *r)
{
	return r->slot_n ? &r->slots[r->slot_first] : NULL;
}

/* Sends our own replies whose turn has come. */
static void answer(struct smtp_run *x)
{
	struct smtp_resume *r = x->r;
	const struct smtp_slot *k;

	while ((k = smtp_slot_first(r)) && k->how == SMTP_LOCAL) {
		x->ops->to_client(x->j, smtp_own_reply(k->expect));
		r->slot_first = (uint8_t)((r->slot_first + 1) % SMTP_QUEUE_MAX);
		r->slot_n--;
	}
}

void smtp_slot_push(struct smtp_run *x, unsigned kind, unsigned how, unsigned expect)
{
	struct smtp_resume *r = x->r;

	if (r->slot_n == SMTP_QUEUE_MAX) { /* the window keeps fewer units under way */
		smtp_abort(x, "pipeline-too-deep");
		return;
	}
	r->slots[(r->slot_first + r->slot_n) % SMTP_QUEUE_MAX] =
		(struct smtp_slot){(uint8_t)kind, (uint8_t)how, (uint16_t)expect};
	r->slot_n++;
	answer(x);
}

void smtp_slot_pop(struct smtp_run *x)
{
	struct smtp_resume *r = x->r;

	r->slot_first = (uint8_t)((r->slot_first + 1) % SMTP_QUEUE_MAX);
	r->slot_n--;
	answer(x);
}

void smtp_doom(struct smtp_run *x)
{
	static const char reset[] = "RSET\r\n";

	x->r->doomed = true;
	if (!x->r->mailing)
		return;
	x->r->mailing = false;
	x->ops->to_backend(x->j, (struct jeebs_bytes){(const uint8_t *)reset, sizeof reset - 1});
	smtp_slot_push(x, SMTP_UNIT_RSET, SMTP_INTERNAL, 0);
}

size_t smtp_delivered(const struct smtp_run *x, char out[static SMTP_REPLY_MAX])
{
	uint64_t at = x->r->said, end = x->cut->to_client_end;
	size_t n = 0;

	while (at < end && n < SMTP_REPLY_MAX) {
		struct jeebs_bytes v = x->cut->log(x->cut->flow, JEEBS_TO_CLIENT, at);
		if (v.n == 0)
			break;
		if (v.n > end - at)
			v.n = (size_t)(end - at);
		if (v.n > SMTP_REPLY_MAX - n)
			v.n = SMTP_REPLY_MAX - n;
		memcpy(out + n, v.p, v.n);
		n += v.n;
		at += v.n;
	}
	return n;
}

void smtp_complete_cut(struct smtp_run *x, struct jeebs_bytes reply, bool hello)
{
	char delivered[SMTP_REPLY_MAX], whole[3 * SMTP_REPLY_MAX];
	size_t had = smtp_delivered(x, delivered);
	static const unsigned usual[] = {250, 354, 451, 550};

	if (had == 0 || delivered[0] < '2' || delivered[0] > '5') {
		smtp_abort(x, "reply-contradicts");
		return;
	}
	if (reply.n == 0 || reply.p[0] != (uint8_t)delivered[0])
		reply = smtp_own_reply(usual[delivered[0] - '2']);
	memcpy(whole, delivered, had);
	size_t n = smtp_complete((struct jeebs_bytes){(const uint8_t *)delivered, had}, reply,
				 hello, whole + had, sizeof whole - had);
	if (n == 0) {
		smtp_abort(x, "reply-contradicts");
		return;
	}
	x->r->said = x->cut->to_client_end;
	x->ops->to_client(x->j, (struct jeebs_bytes){(const uint8_t *)whole + had, n});
	if (hello)
		x->s->caps = smtp_caps((struct jeebs_bytes){(const uint8_t *)whole, had + n});
	if (smtp_code((struct jeebs_bytes){(const uint8_t *)whole, had + n}) == 421) {
		x->r->phase = SMTP_PHASE_OVER;
		x->ops->finish_client(x->j);
	}
}
