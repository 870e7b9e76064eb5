/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-notes.h"

#include "base/reader.h"
#include "base/writer.h"

uint32_t ssh_notes_add(struct ssh_notes *s, uint8_t kind, uint8_t channel, struct bytes data)
{
	struct writer w = writer_init(s->p + s->n, sizeof s->p - s->n);
	uint32_t serial = s->last + 1 ? s->last + 1 : 1;

	if (data.n > sizeof s->p)
		return 0;
	writer_u32be(&w, serial);
	writer_u8(&w, kind);
	writer_u8(&w, channel);
	writer_u16be(&w, (uint16_t)data.n);
	writer_bytes(&w, data);
	if (!writer_ok(&w))
		return 0;
	s->n = (uint16_t)(s->n + writer_pos(&w));
	s->last = serial;
	return serial;
}

bool ssh_notes_next(const struct ssh_notes *s, size_t *io_at, struct ssh_note *ret)
{
	struct reader r = reader_init(bytes_from(bytes_of(s->p, s->n), *io_at));

	if (reader_left(&r) == 0)
		return false;
	ret->serial = reader_u32be(&r);
	ret->kind = reader_u8(&r);
	ret->channel = reader_u8(&r);
	ret->data = reader_bytes(&r, reader_u16be(&r));
	*io_at += reader_pos(&r);
	return reader_ok(&r);
}

bool ssh_notes_sound(const struct ssh_notes *s)
{
	struct ssh_note it;
	size_t at = 0;

	if (s->n > sizeof s->p)
		return false;
	while (ssh_notes_next(s, &at, &it))
		if (it.serial == 0 || it.kind >= SSH_NOTE_KINDS)
			return false;
	return at == s->n;
}

static void cut_out(struct ssh_notes *s, size_t from, size_t to)
{
	memmove(s->p + from, s->p + to, s->n - to);
	s->n = (uint16_t)(s->n - (to - from));
}

void ssh_notes_drop(struct ssh_notes *s, uint32_t serial)
{
	struct ssh_note it;

	for (size_t at = 0, from = 0; ssh_notes_next(s, &at, &it); from = at)
		if (it.serial == serial) {
			cut_out(s, from, at);
			return;
		}
}

void ssh_notes_drop_channel(struct ssh_notes *s, uint8_t channel)
{
	struct ssh_note it;

	for (size_t at = 0, from = 0; ssh_notes_next(s, &at, &it); from = at)
		if (it.channel == channel) {
			cut_out(s, from, at);
			at = from;
		}
}

uint32_t ssh_notes_find(const struct ssh_notes *s, uint8_t kind, struct bytes data)
{
	struct ssh_note it;
	size_t at = 0;

	while (ssh_notes_next(s, &at, &it))
		if (it.kind == kind && bytes_eq(it.data, data))
			return it.serial;
	return 0;
}
