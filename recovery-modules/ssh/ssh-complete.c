/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-complete.h"

#include "jeebs/recovery-module.h"

#define DIR JEEBS_TO_CLIENT

/* Whether a message of @n bytes, which begins with @known, may be the packet. */
static bool fits(const struct ssh_begun *b, uint32_t low, uint32_t high, struct bytes message)
{
	return message.n >= low && message.n <= high && b->payload.n <= message.n &&
	       bytes_eq(bytes_head(message, b->payload.n), b->payload);
}

/* SSH_MSG_IGNORE: as long as it has to be, and it says nothing. */
static bool ignore(const struct ssh_half *h, const struct ssh_begun *b, uint32_t low, uint32_t high,
		   struct writer *w)
{
	for (uint32_t n = low < 5 ? 5 : low; n <= high; n++) {
		if (!ssh_begun_packs(h, b, n))
			continue;
		writer_u8(w, SSH_MSG_IGNORE);
		writer_u32be(w, n - 5);
		for (uint32_t i = 5; i < n; i++)
			writer_u8(w, 0);
		return true;
	}
	return false;
}

/* A message of a number, and of a channel if it is about one. */
static struct bytes about(uint8_t number, const struct ssh_channel *c, uint8_t room[5])
{
	struct writer w = writer_init(room, 5);

	writer_u8(&w, number);
	if (c)
		writer_u32be(&w, c->id[DIR]);
	return writer_view(&w);
}

/*
 * Short messages of which one may have been begun: NEWKEYS behind the server's value, answers to
 * what was asked. That something was granted is said only if that had been said.
 */
static bool answer(const struct ssh_session *s, const struct ssh_begun *b, uint32_t low,
		   uint32_t high, struct writer *w)
{
	const struct ssh_connection *c = &s->connection;
	const struct ssh_exchange *k = &s->transport.kex;
	bool granted = b->payload.n > 0 && b->payload.p[0] == SSH_MSG_CHANNEL_SUCCESS;
	uint8_t room[5];
	struct bytes one = about(SSH_MSG_NEWKEYS, NULL, room);

	for (size_t i = 0; !(k->replied && !k->newkeys[DIR] && fits(b, low, high, one)); i++) {
		if (i == c->request_n)
			return false;
		const struct ssh_request *q = &c->request[i];

		if (q->dir == DIR || q->kind == SSH_REQUEST_PING)
			continue;
		if (q->channel == SSH_NOTE_GLOBAL)
			one = about(SSH_MSG_REQUEST_FAILURE, NULL, room);
		else
			one = about(granted ? SSH_MSG_CHANNEL_SUCCESS : SSH_MSG_CHANNEL_FAILURE,
				    &c->channel[q->channel], room);
		if (fits(b, low, high, one))
			break;
	}
	writer_bytes(w, one);
	return true;
}

/* EOF and CLOSE: of the one channel that they can be of. */
static bool ending(const struct ssh_session *s, const struct ssh_begun *b, uint32_t n,
		   struct writer *w)
{
	uint8_t number = b->payload.p[0], room[5];
	const struct ssh_channel *found = NULL;

	for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
		const struct ssh_channel *c = &s->connection.channel[i];
		bool said = number == SSH_MSG_CHANNEL_EOF ? c->eof[DIR] : c->closed[DIR];

		if (c->state != SSH_CHANNEL_OPEN || said || !fits(b, n, n, about(number, c, room)))
			continue;
		if (found)
			return false;
		found = c;
	}
	if (found)
		writer_bytes(w, about(number, found, room));
	return found;
}

/* The old server's lists do not change, nor is it known what else of it would. */
static bool kexinit(const struct ssh_session *s, const struct ssh_begun *b, uint32_t low,
		    uint32_t high, struct writer *w)
{
	const struct ssh_kept *k = &s->transport.init[DIR];
	size_t known = b->payload.n < 1 + SSH_COOKIE ? b->payload.n : 1 + SSH_COOKIE;

	if (k->n < low || k->n > high ||
	    (b->payload.n > known &&
	     (b->payload.n > k->n ||
	      memcmp(b->payload.p + known, k->p + known, b->payload.n - known) != 0)))
		return false;
	writer_copy(w, b->payload.p, known);
	writer_copy(w, k->p + known, k->n - known);
	return true;
}

/* An open channel that the begun bytes of its number may be of. */
static const struct ssh_channel *begun_channel(const struct ssh_session *s,
					       const struct ssh_begun *b)
{
	struct bytes known = bytes_head(bytes_from(b->payload, 1), 4);

	for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
		const struct ssh_channel *c = &s->connection.channel[i];
		uint32_t id = c->id[DIR];
		const uint8_t wire[] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16),
					(uint8_t)(id >> 8), (uint8_t)id};

		if (c->state == SSH_CHANNEL_OPEN && !c->closed[DIR] &&
		    bytes_eq(bytes_of(wire, known.n), known))
			return c;
	}
	return NULL;
}

/* What is in the beginning stays; the data that is missing is that of @next. */
static int data(const struct ssh_session *s, const struct ssh_begun *b, uint32_t n,
		struct bytes next, struct writer *w, struct ssh_complete_data *ret)
{
	const struct ssh_channel *c = begun_channel(s, b);
	bool extended = b->payload.p[0] == SSH_MSG_CHANNEL_EXTENDED_DATA;
	size_t head = extended ? 13 : 9, known = b->payload.n;
	uint8_t room[13];
	struct writer front = WRITER_IN(room);
	uint32_t code = extended ? 1 : 0;

	if (!c || n < head || c->eof[DIR])
		return SSH_COMPLETE_NOTHING;
	writer_u8(&front, b->payload.p[0]);
	writer_u32be(&front, c->id[DIR]);
	if (extended)
		writer_u32be(&front, code);
	writer_u32be(&front, (uint32_t)(n - head));
	if (!bytes_eq(bytes_of(room, known < head ? known : head), bytes_head(b->payload, head)))
		return SSH_COMPLETE_NOTHING;
	size_t has = known > head ? known - head : 0, needs = n - head - has;

	*ret = (struct ssh_complete_data){c->id[DIR], code, has, needs};
	if (next.n < needs)
		return SSH_COMPLETE_DATA;
	writer_bytes(w, writer_view(&front));
	writer_bytes(w, bytes_from(b->payload, head));
	writer_bytes(w, bytes_head(next, needs));
	return SSH_COMPLETE_OK;
}

/* As small a step as the beginning allows: who is allowed more than there is room for is not told
 * so. */
static bool adjust(const struct ssh_session *s, const struct ssh_begun *b, uint32_t n,
		   struct writer *w)
{
	const struct ssh_channel *c = begun_channel(s, b);

	if (!c || n != 9)
		return false;
	writer_u8(w, SSH_MSG_CHANNEL_WINDOW_ADJUST);
	writer_u32be(w, c->id[DIR]);
	writer_bytes(w, bytes_from(b->payload, 5));
	for (size_t i = b->payload.n < 5 ? 5 : b->payload.n; i < n; i++)
		writer_u8(w, 0);
	return true;
}

/* A channel of ours: its number and window are as they were begun, and else as small as can be. */
static bool confirmation(const struct ssh_session *s, const struct ssh_begun *b, uint32_t n,
			 struct writer *w)
{
	for (size_t i = 0; n == 17 && i < SSH_CHANNELS_MAX; i++) {
		const struct ssh_channel *c = &s->connection.channel[i];
		uint8_t room[17];
		struct writer one = WRITER_IN(room);

		if (c->state != SSH_CHANNEL_OPENING || c->opener == DIR)
			continue;
		writer_u8(&one, SSH_MSG_CHANNEL_OPEN_CONFIRMATION);
		writer_u32be(&one, c->id[DIR]);
		writer_u32be(&one, (uint32_t)i);
		writer_u32be(&one, 0);
		writer_u32be(&one, 32768);
		if (!bytes_eq(bytes_of(room, b->payload.n < 5 ? b->payload.n : 5),
			      bytes_head(b->payload, 5)))
			continue;
		memcpy(room, b->payload.p, b->payload.n);
		writer_copy(w, room, sizeof room);
		return true;
	}
	return false;
}

/* SSH_MSG_DEBUG: a text of blanks. */
static bool debug(const struct ssh_begun *b, uint32_t n, struct writer *w)
{
	struct reader r = reader_init(bytes_from(b->payload, 2));
	uint32_t text = reader_u32be(&r);

	if (!reader_ok(&r)) /* its length may still be chosen */
		text = n - 10;
	if (n < 10 || text > n - 10)
		return false;
	struct writer all = writer_init(w->start, w->room);

	writer_u8(&all, SSH_MSG_DEBUG);
	writer_u8(&all, b->payload.n > 1 ? b->payload.p[1] : 0);
	writer_u32be(&all, text);
	for (uint32_t i = 0; i < text; i++)
		writer_u8(&all, ' ');
	writer_u32be(&all, n - 10 - text);
	for (uint32_t i = 0; i < n - 10 - text; i++)
		writer_u8(&all, ' ');
	if (!writer_ok(&all) || !bytes_eq(bytes_head(bytes_from(writer_view(&all), 2),
						     b->payload.n < 2   ? 0
						     : b->payload.n < 6 ? b->payload.n - 2
									: 4),
					  bytes_head(bytes_from(b->payload, 2), 4)))
		return false;
	/* What is there of the text stays. */
	memcpy(w->start, b->payload.p, b->payload.n);
	*w = all;
	return true;
}

/* What is of no meaning is filled. */
static bool filled(const struct ssh_begun *b, uint32_t n, struct writer *w)
{
	uint8_t front[5] = {SSH_MSG_IGNORE, (uint8_t)((n - 5) >> 24), (uint8_t)((n - 5) >> 16),
			    (uint8_t)((n - 5) >> 8), (uint8_t)(n - 5)};
	size_t known = b->payload.n < 5 ? b->payload.n : 5;

	if (n < 5 || memcmp(front, b->payload.p, known) != 0)
		return false;
	writer_copy(w, front, 5);
	writer_bytes(w, bytes_from(b->payload, 5));
	for (size_t i = b->payload.n < 5 ? 5 : b->payload.n; i < n; i++)
		writer_u8(w, 0);
	return true;
}

int ssh_complete(const struct ssh_session *s, const struct ssh_half *h, const struct ssh_begun *b,
		 struct bytes next, struct writer *w, struct ssh_complete_data *ret_data)
{
	uint32_t low, high;
	bool ok = false;

	if (!ssh_begun_payload(h, b, &low, &high))
		return SSH_COMPLETE_NOTHING;
	if (b->payload.n == 0)
		return ignore(h, b, low, high, w) || answer(s, b, low, high, w)
			       ? SSH_COMPLETE_OK
			       : SSH_COMPLETE_NOTHING;
	/* All is known: only padding, or the tag, was missing. */
	if (b->payload.n == low) {
		writer_bytes(w, b->payload);
		return SSH_COMPLETE_OK;
	}
	switch (b->payload.p[0]) {
	case SSH_MSG_CHANNEL_DATA:
	case SSH_MSG_CHANNEL_EXTENDED_DATA:
		return data(s, b, low, next, w, ret_data);
	case SSH_MSG_CHANNEL_WINDOW_ADJUST:
		ok = adjust(s, b, low, w);
		break;
	case SSH_MSG_IGNORE:
		ok = filled(b, low, w);
		break;
	case SSH_MSG_DEBUG:
		ok = debug(b, low, w);
		break;
	case SSH_MSG_CHANNEL_OPEN_CONFIRMATION:
		ok = confirmation(s, b, low, w);
		break;
	case SSH_MSG_CHANNEL_EOF:
	case SSH_MSG_CHANNEL_CLOSE:
		ok = ending(s, b, low, w);
		break;
	case SSH_MSG_KEXINIT:
		ok = kexinit(s, b, low, high, w);
		break;
	default:
		ok = answer(s, b, low, high, w);
		break;
	}
	return ok ? SSH_COMPLETE_OK : SSH_COMPLETE_NOTHING;
}
