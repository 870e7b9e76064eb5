/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-ask.h"

static void to_backend(const struct tls_ask *a, struct bytes b)
{
	a->ops->to_backend(a->j, (struct jeebs_bytes){b.p, b.n});
}

/* The place moves on with the log; only a module that goes back in it begins anew. */
static void go_to(struct tls_ask *a, uint64_t off)
{
	const struct tls_place *last = &a->p->at[JEEBS_TO_SERVER];

	if (!a->placed || a->at.plain > off)
		a->at = last->plain <= off ? *last : a->p->s->from[JEEBS_TO_SERVER];
	a->placed = true;
	tls_plain_seek(a->p, JEEBS_TO_SERVER, &a->at, off);
}

/* What of [@q->from, to) one record has. Empty: it cannot be opened. */
static struct bytes next_of_log(struct tls_ask *a, const struct tls_ask_part *q)
{
	/* What the module was shown last it often lets go to the backend: that is opened already.
	 */
	struct bytes b = tls_plain_seen(a->p, JEEBS_TO_SERVER, q->from);
	struct tls_place behind;

	if (b.n == 0) {
		go_to(a, q->from);
		behind = a->at;
		if (a->p->failed || !tls_plain_step(a->p, JEEBS_TO_SERVER, &behind, a->p->text, &b))
			return BYTES_NONE;
		b = bytes_from(b, (size_t)(q->from - (behind.plain - b.n)));
		if (behind.plain <= q->to)
			a->at = behind;
	}
	return q->to - q->from < b.n ? bytes_head(b, (size_t)(q->to - q->from)) : b;
}

static struct bytes next_piece(struct tls_ask *a, const struct tls_ask_part *q)
{
	return q->log ? next_of_log(a, q) : bytes_of(a->said + q->from, (size_t)(q->to - q->from));
}

static void part_is_out(struct tls_ask *a)
{
	a->parts--;
	memmove(&a->part[0], &a->part[1], a->parts * sizeof a->part[0]);
	if (a->parts > 0)
		return;
	a->said_n = 0;
	if (a->finish)
		a->ops->finish_backend(a->j);
}

static void say_parts(struct tls_ask *a, bool all)
{
	while (a->parts > 0 && (all || a->ops->room(a->j, JEEBS_TO_SERVER) > 0)) {
		struct tls_ask_part *q = &a->part[0];
		struct bytes b = next_piece(a, q);
		if (b.n == 0) {
			a->failed = true;
			tls_ask_forget(a);
			return;
		}
		to_backend(a, b);
		q->from += b.n;
		if (q->from == q->to)
			part_is_out(a);
	}
}

static void wait_behind(struct tls_ask *a, bool log, uint64_t from, uint64_t to)
{
	struct tls_ask_part *last = a->parts > 0 ? &a->part[a->parts - 1] : NULL;

	if (last && last->log == log && last->to == from)
		last->to = to;
	else
		a->part[a->parts++] = (struct tls_ask_part){log, from, to};
}

void tls_ask_log(struct tls_ask *a, uint64_t from, uint64_t to)
{
	if (a->parts == TLS_ASK_PARTS)
		tls_ask_flush(a);
	wait_behind(a, true, from, to);
	tls_ask_go_on(a);
}

void tls_ask_say(struct tls_ask *a, struct bytes b)
{
	if (b.n > TLS_ASK_BYTES - a->said_n || a->parts == TLS_ASK_PARTS)
		tls_ask_flush(a);
	if (a->parts == 0) {
		to_backend(a, b);
		return;
	}
	memcpy(a->said + a->said_n, b.p, b.n);
	wait_behind(a, false, a->said_n, a->said_n + b.n);
	a->said_n += b.n;
}

void tls_ask_finish(struct tls_ask *a)
{
	if (a->parts > 0)
		a->finish = true;
	else
		a->ops->finish_backend(a->j);
}

void tls_ask_go_on(struct tls_ask *a)
{
	say_parts(a, false);
}

void tls_ask_flush(struct tls_ask *a)
{
	say_parts(a, true);
}

void tls_ask_forget(struct tls_ask *a)
{
	a->parts = 0;
	a->said_n = 0;
	a->finish = false;
}
