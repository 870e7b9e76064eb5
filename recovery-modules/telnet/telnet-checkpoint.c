/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state as bytes: for the store, and back. */
#include "telnet.h"

#include "base/reader.h"
#include "base/writer.h"

#define VERSION 3u

static void put_parser(struct writer *w, const struct telnet_parser *p)
{
	bool sub = p->step == TELNET_IN_SUB || p->step == TELNET_IN_SUB_IAC;

	writer_u8(w, p->step);
	writer_u8(w, p->step == TELNET_IN_VERB ? p->verb : 0);
	writer_u8(w, sub ? p->option : 0);
	writer_u8(w, sub && p->sub_long);
	writer_u16be(w, sub ? p->sub_n : 0);
	writer_copy(w, p->sub, sub ? p->sub_n : 0);
}

static bool is_zero(const struct telnet_option *o)
{
	return o->agreed == TELNET_NO && o->on_n == 0 && o->off_n == 0 && o->idle_n == 0 &&
	       !o->began && !o->wanted && !o->ended;
}

static uint16_t options_count(const struct telnet_option side[static TELNET_OPTION_COUNT])
{
	uint16_t n = 0;

	for (unsigned i = 0; i < TELNET_OPTION_COUNT; i++)
		n = (uint16_t)(n + !is_zero(&side[i]));
	return n;
}

static void put_options(struct writer *w, const struct telnet_options *all)
{
	for (unsigned side = 0; side < 2; side++) {
		writer_u16be(w, options_count(all->side[side]));
		for (unsigned i = 0; i < TELNET_OPTION_COUNT; i++) {
			const struct telnet_option *o = &all->side[side][i];
			if (is_zero(o))
				continue;
			writer_u8(w, (uint8_t)i);
			writer_u8(w, o->agreed);
			writer_u8(w, o->on_n);
			writer_u8(w, o->off_n);
			writer_u8(w, o->idle_n);
			writer_u8(w, o->answered_n);
			writer_u8(w, o->accepted);
			writer_u8(w, o->began);
			writer_u8(w, o->wanted);
			writer_u8(w, o->ended);
		}
	}
}

static void put_subs(struct writer *w, const struct telnet_subs *s)
{
	writer_u8(w, s->n);
	for (unsigned i = 0; i < s->n; i++) {
		const struct telnet_sub *e = &s->list[i];
		writer_u8(w, e->option);
		writer_u8(w, e->kind);
		writer_u8(w, e->answered);
		writer_u8(w, e->lost);
		writer_u16be(w, e->at);
		writer_u16be(w, e->n);
		writer_u64be(w, e->hash);
	}
	writer_u16be(w, s->arena_n);
	writer_copy(w, s->arena, s->arena_n);
}

static void put_typed(struct writer *w, const struct telnet_typed *t)
{
	writer_u8(w, t->lost);
	writer_u8(w, t->n);
	writer_copy(w, t->text, t->n);
}

static void put_login(struct writer *w, const struct telnet_login *l)
{
	writer_u8(w, l->phase);
	writer_u8(w, l->withheld);
	writer_u8(w, l->again);
	writer_u8(w, l->line_over);
	writer_u8(w, l->cr);
	writer_u8(w, l->unanswered);
	writer_u8(w, l->line.fresh);
	writer_u8(w, l->line.muted);
	writer_u8(w, l->line.prompt);
	writer_u8(w, l->line.n);
	writer_copy(w, l->line.text, l->line.n);
	put_typed(w, &l->user);
	put_typed(w, &l->password);
	put_typed(w, &l->typed);
	put_typed(w, &l->last);
	writer_u8(w, l->echoed);
	writer_u16be(w, l->user_at);
	writer_u16be(w, l->password_at);
	writer_u16be(w, l->typed_at);
	writer_u8(w, l->seen_lost);
	writer_u16be(w, l->seen_n);
	writer_copy(w, l->seen, l->seen_n);
}

size_t telnet_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct telnet *s = state;
	struct writer w = writer_init(out, cap);

	writer_u8(&w, VERSION);
	writer_u8(&w, s->reason);
	/* Of a connection that was given up, only the reason is stored. */
	if (s->reason == TELNET_FINE) {
		writer_u8(&w, s->vouched);
		for (unsigned dir = 0; dir < 2; dir++) {
			writer_u8(&w, s->cr[dir]);
			writer_u64be(&w, s->next[dir]);
			put_parser(&w, &s->parser[dir]);
		}
		put_options(&w, &s->options);
		put_subs(&w, &s->subs);
		put_login(&w, &s->login);
	}
	return writer_pos(&w);
}

/* ---- reading --------------------------------------------------------------------------- */

static bool get_bool(struct reader *r)
{
	uint8_t v = reader_u8(r);

	if (v > 1)
		r->failed = true;
	return v == 1;
}

/* Reads a number of at most @max. */
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
		unsigned n = get_u16(r, TELNET_OPTION_COUNT);
		for (unsigned i = 0; i < n; i++) {
			struct telnet_option *o = &all->side[side][reader_u8(r)];
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
	/* A checkpoint may contain a password from before the operator forbade to keep them. It
	 * is not used. */
	if (s->login.password.n > 0 && !s->login_replay) {
		explicit_bzero(&s->login.password, sizeof s->login.password);
		s->login.withheld = true;
	}
	return JEEBS_OK;
}
