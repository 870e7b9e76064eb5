/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session as bytes. What is written and what is read is one list: it cannot differ. */
#include "ssh-session.h"

#define VERSION 1

/* Writes, or reads, what it is shown. */
struct codec {
	struct writer *w;
	struct reader *r; /* NULL: it writes */
	bool bad;
};

static void u8_max(struct codec *c, uint8_t *v, uint8_t max)
{
	if (!c->r)
		writer_u8(c->w, *v);
	else if ((*v = reader_u8(c->r)) > max)
		c->bad = true;
}

static void flag(struct codec *c, bool *v)
{
	uint8_t b = *v;

	u8_max(c, &b, 1);
	*v = b;
}

static void u16(struct codec *c, uint16_t *v, size_t max)
{
	if (!c->r)
		writer_u16be(c->w, *v);
	else if ((*v = reader_u16be(c->r)) > max)
		c->bad = true;
}

static void u32(struct codec *c, uint32_t *v)
{
	if (c->r)
		*v = reader_u32be(c->r);
	else
		writer_u32be(c->w, *v);
}

static void u64(struct codec *c, uint64_t *v)
{
	if (c->r)
		*v = reader_u64be(c->r);
	else
		writer_u64be(c->w, *v);
}

/* As many bytes as @n, which has been read and is lawful, or the codec is bad. */
static void raw(struct codec *c, uint8_t *p, size_t n)
{
	if (!c->r)
		writer_copy(c->w, p, n);
	else if (!c->bad)
		reader_copy(c->r, p, n);
}

static void sized(struct codec *c, uint16_t *n, uint8_t *p, size_t max)
{
	u16(c, n, max);
	raw(c, p, *n);
}

/* ---- transport ------------------------------------------------------------------------------ */

static void half(struct codec *c, struct ssh_half *h)
{
	bool sealed = h->suite.layout != SSH_LAYOUT_PLAIN;

	flag(c, &sealed);
	u8_max(c, &h->suite.cipher, UINT8_MAX);
	u8_max(c, &h->suite.mac, UINT8_MAX);
	u32(c, &h->next.seq);
	u64(c, &h->next.packets);
	u64(c, &h->next.blocks);
	if (!c->r)
		return;
	h->key = 0;
	if (!sealed && h->suite.cipher == 0 && h->suite.mac == 0)
		h->suite = SSH_SUITE_PLAIN;
	else if (!sealed || !ssh_suite_of(h->suite.cipher, h->suite.mac, &h->suite))
		c->bad = true;
}

static void exchange(struct codec *c, struct ssh_exchange *k)
{
	for (int i = 0; i < 2; i++) {
		flag(c, &k->init[i]);
		flag(c, &k->newkeys[i]);
		flag(c, &k->early[i]);
		flag(c, &k->skip[i]);
	}
	flag(c, &k->replied);
	sized(c, &k->request.n, k->request.p, sizeof k->request.p);
	sized(c, &k->group.n, k->group.p, sizeof k->group.p);
	sized(c, &k->client.n, k->client.p, sizeof k->client.p);
}

static void transport(struct codec *c, struct ssh_transport *t)
{
	for (int i = 0; i < 2; i++) {
		half(c, &t->half[i]);
		u8_max(c, &t->phase[i], SSH_PHASE_OVER);
		u32(c, &t->generation[i]);
		sized(c, &t->version_n[i], t->version[i], sizeof t->version[i]);
		sized(c, &t->init[i].n, t->init[i].p, sizeof t->init[i].p);
	}
	flag(c, &t->strict);
	u8_max(c, &t->lines, UINT8_MAX);
	exchange(c, &t->kex);
	u8_max(c, &t->refused, SSH_REASON_COUNT - 1);
}

/* Whether keys that are in use, or are to be, can have been agreed on. */
static bool transport_sound(const struct ssh_transport *t)
{
	for (int i = 0; i < 2; i++) {
		bool sealed = t->half[i].suite.layout != SSH_LAYOUT_PLAIN;
		uint32_t before = t->phase[i] == SSH_PHASE_NEWKEYS ? 1 : 0;

		if (t->generation[i] < before + sealed)
			return false;
	}
	return true;
}

/* ---- connection ----------------------------------------------------------------------------- */

static void channel(struct codec *c, struct ssh_channel *h)
{
	u8_max(c, &h->state, SSH_CHANNEL_OPEN);
	if (h->state == SSH_CHANNEL_FREE)
		return;
	u8_max(c, &h->type, SSH_CHANNEL_TYPES - 1);
	u8_max(c, &h->opener, 1);
	u8_max(c, &h->program, SSH_PROGRAMS - 1);
	flag(c, &h->pty);
	flag(c, &h->incomplete);
	flag(c, &h->exited);
	for (int i = 0; i < 2; i++) {
		flag(c, &h->eof[i]);
		flag(c, &h->closed[i]);
		u32(c, &h->id[i]);
		u32(c, &h->window[i]);
		u32(c, &h->max_packet[i]);
		u64(c, &h->data[i]);
	}
	u32(c, &h->columns);
	u32(c, &h->rows);
	u32(c, &h->width);
	u32(c, &h->height);
}

static void request(struct codec *c, struct ssh_request *q)
{
	u8_max(c, &q->kind, SSH_REQUEST_KINDS - 1);
	u8_max(c, &q->dir, 1);
	u8_max(c, &q->channel, SSH_NOTE_GLOBAL);
	u32(c, &q->note);
	if (q->channel >= SSH_CHANNELS_MAX && q->channel != SSH_NOTE_GLOBAL)
		c->bad = true;
}

/* Free places behind the last channel are not written. */
static uint8_t channels_n(const struct ssh_connection *s)
{
	uint8_t n = SSH_CHANNELS_MAX;

	while (n > 0 && s->channel[n - 1].state == SSH_CHANNEL_FREE)
		n--;
	return n;
}

static void connection(struct codec *c, struct ssh_connection *s)
{
	uint8_t n = channels_n(s);

	flag(c, &s->authenticated);
	flag(c, &s->no_more_sessions);
	flag(c, &s->incomplete);
	u8_max(c, &s->user_n, SSH_USER_MAX);
	raw(c, s->user, s->user_n);
	u32(c, &s->opened);
	u8_max(c, &n, SSH_CHANNELS_MAX);
	for (uint8_t i = 0; i < n && !c->bad; i++)
		channel(c, &s->channel[i]);
	u8_max(c, &s->request_n, SSH_REQUESTS_MAX);
	for (uint8_t i = 0; i < s->request_n && !c->bad; i++)
		request(c, &s->request[i]);
	u32(c, &s->notes.last);
	sized(c, &s->notes.n, s->notes.p, sizeof s->notes.p);
}

static void session(struct codec *c, struct ssh_session *s)
{
	uint8_t version = VERSION;

	u8_max(c, &version, UINT8_MAX);
	if (version != VERSION)
		c->bad = true;
	transport(c, &s->transport);
	connection(c, &s->connection);
}

void ssh_session_write(const struct ssh_session *s, struct writer *w)
{
	struct codec c = {.w = w};

	session(&c, (struct ssh_session *)s); /* only read */
}

bool ssh_session_read(struct bytes b, struct ssh_session *ret)
{
	struct reader r = reader_init(b);
	struct codec c = {.r = &r};

	ssh_session_init(ret);
	session(&c, ret);
	return !c.bad && reader_ok(&r) && reader_left(&r) == 0 &&
	       transport_sound(&ret->transport) && ssh_notes_sound(&ret->connection.notes);
}
