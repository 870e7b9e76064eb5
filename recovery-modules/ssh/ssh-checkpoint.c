/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session as bytes. */
#include "ssh-codec.h"
#include "ssh-session.h"

#define VERSION 1

/* ---- transport ------------------------------------------------------------------------------ */

static void half(struct codec *c, struct ssh_half *h)
{
	bool sealed = h->suite.layout != SSH_LAYOUT_PLAIN;

	codec_flag(c, &sealed);
	codec_u8_max(c, &h->suite.cipher, UINT8_MAX);
	codec_u8_max(c, &h->suite.mac, UINT8_MAX);
	codec_u32(c, &h->next.seq);
	codec_u64(c, &h->next.packets);
	codec_u64(c, &h->next.blocks);
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
		codec_flag(c, &k->init[i]);
		codec_flag(c, &k->newkeys[i]);
		codec_flag(c, &k->early[i]);
		codec_flag(c, &k->skip[i]);
	}
	codec_flag(c, &k->replied);
	codec_sized(c, &k->request.n, k->request.p, sizeof k->request.p);
	codec_sized(c, &k->group.n, k->group.p, sizeof k->group.p);
	codec_sized(c, &k->client.n, k->client.p, sizeof k->client.p);
}

static void transport(struct codec *c, struct ssh_transport *t)
{
	for (int i = 0; i < 2; i++) {
		half(c, &t->half[i]);
		codec_u8_max(c, &t->phase[i], SSH_PHASE_OVER);
		codec_u32(c, &t->generation[i]);
		codec_sized(c, &t->version_n[i], t->version[i], sizeof t->version[i]);
		codec_sized(c, &t->init[i].n, t->init[i].p, sizeof t->init[i].p);
	}
	codec_flag(c, &t->strict);
	codec_u8_max(c, &t->lines, UINT8_MAX);
	exchange(c, &t->kex);
	codec_u8_max(c, &t->refused, SSH_REASON_COUNT - 1);
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
	codec_u8_max(c, &h->state, SSH_CHANNEL_OPEN);
	if (h->state == SSH_CHANNEL_FREE)
		return;
	codec_u8_max(c, &h->type, SSH_CHANNEL_TYPES - 1);
	codec_u8_max(c, &h->opener, 1);
	codec_u8_max(c, &h->program, SSH_PROGRAMS - 1);
	codec_flag(c, &h->pty);
	codec_flag(c, &h->incomplete);
	codec_flag(c, &h->exited);
	for (int i = 0; i < 2; i++) {
		codec_flag(c, &h->eof[i]);
		codec_flag(c, &h->closed[i]);
		codec_u32(c, &h->id[i]);
		codec_u32(c, &h->window[i]);
		codec_u32(c, &h->max_packet[i]);
		codec_u64(c, &h->data[i]);
	}
	codec_u32(c, &h->columns);
	codec_u32(c, &h->rows);
	codec_u32(c, &h->width);
	codec_u32(c, &h->height);
}

static void request(struct codec *c, struct ssh_request *q)
{
	codec_u8_max(c, &q->kind, SSH_REQUEST_KINDS - 1);
	codec_u8_max(c, &q->dir, 1);
	codec_u8_max(c, &q->channel, SSH_NOTE_GLOBAL);
	codec_u32(c, &q->note);
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

	codec_flag(c, &s->authenticated);
	codec_flag(c, &s->no_more_sessions);
	codec_flag(c, &s->incomplete);
	codec_u8_max(c, &s->user_n, SSH_USER_MAX);
	codec_raw(c, s->user, s->user_n);
	codec_u32(c, &s->opened);
	codec_u8_max(c, &n, SSH_CHANNELS_MAX);
	for (uint8_t i = 0; i < n && !c->bad; i++)
		channel(c, &s->channel[i]);
	codec_u8_max(c, &s->request_n, SSH_REQUESTS_MAX);
	for (uint8_t i = 0; i < s->request_n && !c->bad; i++)
		request(c, &s->request[i]);
	codec_u32(c, &s->notes.last);
	codec_sized(c, &s->notes.n, s->notes.p, sizeof s->notes.p);
}

static void session(struct codec *c, struct ssh_session *s)
{
	uint8_t version = VERSION;

	codec_u8_max(c, &version, UINT8_MAX);
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
