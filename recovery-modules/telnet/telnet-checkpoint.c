/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state as bytes: for the store, and back. */
#include "telnet.h"

#include "base/reader.h"

#define VERSION 2u
#define MAX     8192u

struct writer {
	uint8_t p[MAX]; /* more than the largest state needs */
	size_t n;
};

static void put(struct writer *w, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		w->p[w->n++] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static void put_bytes(struct writer *w, const void *p, size_t n)
{
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void put_parser(struct writer *w, const struct telnet_parser *p)
{
	bool sub = p->step == TELNET_IN_SUB || p->step == TELNET_IN_SUB_IAC;

	put(w, p->step, 1);
	put(w, p->step == TELNET_IN_VERB ? p->verb : 0, 1);
	put(w, sub ? p->option : 0, 1);
	put(w, sub && p->sub_long, 1);
	put(w, sub ? p->sub_n : 0, 2);
	put_bytes(w, p->sub, sub ? p->sub_n : 0);
}

static bool is_zero(const struct telnet_option *o)
{
	return o->agreed == TELNET_NO && o->on_n == 0 && o->off_n == 0 && o->idle_n == 0 &&
	       !o->began && !o->wanted && !o->ended;
}

static void put_options(struct writer *w, const struct telnet_options *all)
{
	for (unsigned side = 0; side < 2; side++) {
		size_t count = w->n++;
		uint8_t n = 0;
		for (unsigned i = 0; i < TELNET_OPTION_MAX; i++) {
			const struct telnet_option *o = &all->side[side][i];
			if (is_zero(o))
				continue;
			put(w, i, 1);
			put(w, o->agreed, 1);
			put(w, o->on_n, 1);
			put(w, o->off_n, 1);
			put(w, o->idle_n, 1);
			put(w, o->answered_n, 1);
			put(w, o->accepted, 1);
			put(w, o->began, 1);
			put(w, o->wanted, 1);
			put(w, o->ended, 1);
			n++;
		}
		w->p[count] = n;
	}
}

static void put_subs(struct writer *w, const struct telnet_subs *s)
{
	put(w, s->n, 1);
	for (unsigned i = 0; i < s->n; i++) {
		const struct telnet_sub *e = &s->list[i];
		put(w, e->option, 1);
		put(w, e->kind, 1);
		put(w, e->answered, 1);
		put(w, e->lost, 1);
		put(w, e->at, 2);
		put(w, e->n, 2);
		put(w, e->hash, 8);
	}
	put(w, s->arena_n, 2);
	put_bytes(w, s->arena, s->arena_n);
}

static void put_typed(struct writer *w, const struct telnet_typed *t)
{
	put(w, t->lost, 1);
	put(w, t->n, 1);
	put_bytes(w, t->text, t->n);
}

static void put_login(struct writer *w, const struct telnet_login *l)
{
	put(w, l->phase, 1);
	put(w, l->withheld, 1);
	put(w, l->again, 1);
	put(w, l->line_over, 1);
	put(w, l->cr, 1);
	put(w, l->unanswered, 1);
	put(w, l->line.fresh, 1);
	put(w, l->line.muted, 1);
	put(w, l->line.prompt, 1);
	put(w, l->line.n, 1);
	put_bytes(w, l->line.text, l->line.n);
	put_typed(w, &l->user);
	put_typed(w, &l->password);
	put_typed(w, &l->typed);
	put_typed(w, &l->last);
	put(w, l->echoed, 1);
	put(w, l->user_at, 2);
	put(w, l->password_at, 2);
	put(w, l->typed_at, 2);
	put(w, l->seen_lost, 1);
	put(w, l->seen_n, 2);
	put_bytes(w, l->seen, l->seen_n);
}

size_t telnet_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct telnet *s = state;
	struct writer w;

	w.n = 0;
	put(&w, VERSION, 1);
	put(&w, s->reason, 1);
	/* Of a connection that was given up, only the reason matters. */
	if (s->reason == TELNET_FINE) {
		put(&w, s->vouched, 1);
		for (unsigned dir = 0; dir < 2; dir++) {
			put(&w, s->cr[dir], 1);
			put(&w, s->next[dir], 8);
			put_parser(&w, &s->parser[dir]);
		}
		put_options(&w, &s->options);
		put_subs(&w, &s->subs);
		put_login(&w, &s->login);
	}
	if (w.n <= cap)
		memcpy(out, w.p, w.n);
	explicit_bzero(w.p, w.n);
	return w.n;
}

/* ---- back ---------------------------------------------------------------------------- */

static bool get_bool(struct reader *r)
{
	uint8_t v = reader_u8(r);

	if (v > 1)
		r->failed = true;
	return v == 1;
}

/* At most @max. */
static uint8_t get_u8(struct reader *r, unsigned max)
{
	uint8_t v = reader_u8(r);

	if (v > max)
		r->failed = true;
	return v > max ? 0 : v;
}

static uint16_t get_u16(struct reader *r, unsigned max)
{
	uint16_t v = reader_u16be(r);

	if (v > max)
		r->failed = true;
	return v > max ? 0 : v;
}

static void get_parser(struct reader *r, struct telnet_parser *p)
{
	p->step = get_u8(r, TELNET_IN_SUB_IAC);
	p->verb = reader_u8(r);
	p->option = reader_u8(r);
	p->sub_long = get_bool(r);
	p->sub_n = get_u16(r, TELNET_SUB_MAX);
	reader_copy(r, p->sub, p->sub_n);
	if (p->step == TELNET_IN_VERB && (p->verb < TELNET_WILL || p->verb > TELNET_DONT))
		r->failed = true;
	if (p->step < TELNET_IN_SUB && p->sub_n > 0)
		r->failed = true;
}

static void get_options(struct reader *r, struct telnet_options *all)
{
	for (unsigned side = 0; side < 2; side++) {
		unsigned n = get_u8(r, TELNET_OPTION_MAX);
		for (unsigned i = 0; i < n; i++) {
			struct telnet_option *o =
				&all->side[side][get_u8(r, TELNET_OPTION_MAX - 1)];
			o->agreed = get_u8(r, TELNET_AGREED_COUNT_ - 1);
			o->on_n = reader_u8(r);
			o->off_n = reader_u8(r);
			o->idle_n = reader_u8(r);
			o->answered_n = reader_u8(r);
			o->accepted = reader_u8(r);
			o->began = get_bool(r);
			o->wanted = get_bool(r);
			o->ended = get_bool(r);
		}
	}
}

static void get_subs(struct reader *r, struct telnet_subs *s)
{
	s->n = get_u8(r, TELNET_SUBS_MAX);
	for (unsigned i = 0; i < s->n; i++) {
		struct telnet_sub *e = &s->list[i];
		e->option = reader_u8(r);
		e->kind = get_u8(r, TELNET_SUB_SAID);
		e->answered = get_bool(r);
		e->lost = get_bool(r);
		e->at = reader_u16be(r);
		e->n = get_u16(r, TELNET_SUB_MAX);
		e->hash = reader_u64be(r);
	}
	s->arena_n = get_u16(r, TELNET_ARENA_MAX);
	reader_copy(r, s->arena, s->arena_n);
	for (unsigned i = 0; i < s->n; i++) {
		if (s->list[i].n > s->arena_n || s->list[i].at > s->arena_n - s->list[i].n)
			r->failed = true;
	}
}

static void get_typed(struct reader *r, struct telnet_typed *t)
{
	t->lost = get_bool(r);
	t->n = get_u8(r, TELNET_USER_MAX);
	reader_copy(r, t->text, t->n);
}

static void get_login(struct reader *r, struct telnet_login *l)
{
	l->phase = get_u8(r, TELNET_PHASE_COUNT_ - 1);
	l->withheld = get_bool(r);
	l->again = get_bool(r);
	l->line_over = get_bool(r);
	l->cr = get_bool(r);
	l->unanswered = get_bool(r);
	l->line.fresh = get_bool(r);
	l->line.muted = get_bool(r);
	l->line.prompt = get_u8(r, TELNET_SHELL_PROMPT);
	l->line.n = get_u8(r, TELNET_LINE_MAX);
	reader_copy(r, l->line.text, l->line.n);
	get_typed(r, &l->user);
	get_typed(r, &l->password);
	get_typed(r, &l->typed);
	get_typed(r, &l->last);
	l->echoed = get_u8(r, l->last.n);
	l->user_at = get_u16(r, TELNET_SEEN_MAX);
	l->password_at = get_u16(r, TELNET_SEEN_MAX);
	l->typed_at = get_u16(r, TELNET_SEEN_MAX);
	l->seen_lost = get_bool(r);
	l->seen_n = get_u16(r, TELNET_SEEN_MAX);
	reader_copy(r, l->seen, l->seen_n);
}

int telnet_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct telnet *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));

	if (reader_u8(&r) != VERSION)
		return JEEBS_GIVE_UP;
	s->reason = get_u8(&r, TELNET_REASON_COUNT_ - 1);
	if (s->reason == TELNET_FINE) {
		s->vouched = get_bool(&r);
		for (unsigned dir = 0; dir < 2; dir++) {
			s->cr[dir] = get_bool(&r);
			s->next[dir] = reader_u64be(&r);
			get_parser(&r, &s->parser[dir]);
		}
		get_options(&r, &s->options);
		get_subs(&r, &s->subs);
		get_login(&r, &s->login);
	}
	if (!reader_ok(&r) || reader_left(&r) > 0)
		return JEEBS_GIVE_UP;
	/* Passwords from before the operator forbade to keep them are not used. */
	if (s->login.password.n > 0 && !s->login_replay) {
		explicit_bzero(&s->login.password, sizeof s->login.password);
		s->login.withheld = true;
	}
	return JEEBS_OK;
}
