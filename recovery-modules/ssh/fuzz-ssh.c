/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session from hostile bytes. Records of one byte kind, two bytes length, payload:
 *
 *	'S' 'C'  a message of the client, of the server; packed as it has to be
 *	's' 'c'  bytes of theirs, as they are
 *	'R'      checkpoint and restore, the checkpoint xored with the payload from the offset
 *		 on that its first two bytes say
 *
 * Demanded: what is written down is read again as the same; what is sealed opens; a half packet
 * can be finished with what it was.
 */
#include <stdlib.h>

#include "base/demand.h"
#include "jeebs/recovery-module.h"
#include "recovery-modules/harness/test/conversation.h"
#include "ssh-complete.h"
#include "ssh-session.h"
#include "test/null-crypto.h"

const char *const fuzz_outcomes[] = {"packet",   "new keys",  "logged in", "channel",
				     "terminal", "forward",   "refused",   "restored",
				     "altered",  "completed", NULL};

#define CHECKPOINT_MAX 65536
#define STREAM_MAX     (1u << 19)

static struct ssh_session session, other;
static uint8_t room[SSH_WIRE_MAX], sealed[SSH_WIRE_MAX], again[SSH_WIRE_MAX];
static uint8_t written[CHECKPOINT_MAX], compared[CHECKPOINT_MAX];
/* What could not be taken yet, by direction. */
static uint8_t waiting[2][STREAM_MAX];
static size_t waiting_n[2];

static struct bytes checkpoint(const struct ssh_session *s, uint8_t *to)
{
	struct writer w = writer_init(to, CHECKPOINT_MAX);

	ssh_session_write(s, &w);
	demand(writer_ok(&w));
	return writer_view(&w);
}

static void reopen(const struct ssh_crypto *c, struct bytes change)
{
	struct bytes b = checkpoint(&session, written);
	struct reader r = reader_init(change);
	size_t at = reader_u16be(&r), n = b.n;

	for (; reader_left(&r) > 0 && at < n; at++)
		written[at] ^= reader_u8(&r);
	if (!ssh_session_read(b, &other)) {
		demand(change.n > 2);
		reached("altered");
		return;
	}
	demand(bytes_eq(checkpoint(&other, compared), b));
	session = other;
	(void)ssh_session_keys(&session, c);
	reached("restored");
}

static void tell(void)
{
	const struct ssh_connection *s = &session.connection;

	if (session.transport.half[0].key)
		reached("new keys");
	if (s->authenticated)
		reached("logged in");
	for (size_t i = 0; i < SSH_CHANNELS_MAX; i++)
		if (s->channel[i].state != SSH_CHANNEL_FREE) {
			reached("channel");
			if (s->channel[i].pty)
				reached("terminal");
		}
	struct ssh_note it;

	for (size_t at = 0; ssh_notes_next(&s->notes, &at, &it);)
		if (it.kind == SSH_NOTE_FORWARD)
			reached("forward");
}

static bool take(const struct ssh_crypto *c, uint32_t dir)
{
	struct bytes in = bytes_of(waiting[dir], waiting_n[dir]);
	struct ssh_packet p;

	for (;;) {
		if (in.n == 0)
			break;
		int r = ssh_session_take(&session, c, dir, in, room, &p);

		if (r == SSH_TAKEN_REFUSED) {
			demand(session.transport.refused != SSH_REASON_NONE);
			reached("refused");
			return false;
		}
		if (r == SSH_TAKEN_PACKET)
			reached("packet");
		if (r == SSH_TAKEN_MORE)
			demand(p.wire_n > in.n);
		if (r != SSH_TAKEN_PACKET && r != SSH_TAKEN_LINE)
			break;
		tell();
		demand(p.wire_n > 0 && p.wire_n <= in.n);
		in = bytes_from(in, p.wire_n);
	}
	if (in.n > 0)
		memmove(waiting[dir], in.p, in.n);
	waiting_n[dir] = in.n;
	return true;
}

static bool bytes_come(const struct ssh_crypto *c, uint32_t dir, struct bytes b)
{
	if (b.n > STREAM_MAX - waiting_n[dir])
		return false;
	if (b.n > 0)
		memcpy(waiting[dir] + waiting_n[dir], b.p, b.n);
	waiting_n[dir] += b.n;
	return take(c, dir);
}

/* A half of it was on the wire: the rest is as it was. */
static void finish(const struct ssh_crypto *c, const struct ssh_half *h, struct bytes wire,
		   struct bytes payload)
{
	struct ssh_sealer s;
	struct ssh_begun b;
	uint32_t low, high;
	size_t n = 0;

	ssh_sealer_init(&s, h, wire.n / 2);
	demand(ssh_begun_read(h, c, bytes_head(wire, wire.n / 2), room, &b) == SSH_PACKET_OK);
	demand(ssh_begun_payload(h, &b, &low, &high) && payload.n >= low && payload.n <= high);
	uint8_t *out = malloc(SSH_WIRE_MAX);

	demand(out);
	demand(ssh_seal_begun(&s, c, &b, payload, again, out, &n) == SSH_SEAL_OK);
	demand(n == wire.n && memcmp(out, wire.p, n) == 0);
	free(out);
}

/* What completes it is sealed, whatever it is. */
static void complete(const struct ssh_crypto *c, const struct ssh_half *h, struct bytes wire)
{
	static uint8_t payload[SSH_WIRE_MAX], out[SSH_WIRE_MAX];
	static const uint8_t next[SSH_PACKET_MAX];
	struct ssh_complete_data data;
	struct writer w = WRITER_IN(payload);
	struct ssh_sealer s;
	struct ssh_begun b;
	size_t n = 0;

	ssh_sealer_init(&s, h, wire.n);
	demand(ssh_begun_read(h, c, wire, room, &b) == SSH_PACKET_OK);
	if (ssh_complete(&session, h, &b, bytes_of(next, sizeof next), &w, &data) !=
	    SSH_COMPLETE_OK)
		return;
	demand(writer_ok(&w));
	demand(ssh_seal_begun(&s, c, &b, writer_view(&w), again, out, &n) == SSH_SEAL_OK);
	reached("completed");
}

static bool message_comes(const struct ssh_crypto *c, uint32_t dir, struct bytes payload)
{
	const struct ssh_half *h = &session.transport.half[dir];
	struct ssh_sealer s;
	size_t n = 0;

	if (payload.n == 0 || session.transport.phase[dir] != SSH_PHASE_PACKETS)
		return bytes_come(c, dir, payload);
	ssh_sealer_init(&s, h, 0);
	if (ssh_seal(&s, c, payload, room, sealed, &n) != SSH_SEAL_OK)
		return false;
	if (waiting_n[dir] == 0)
		finish(c, h, bytes_of(sealed, n), payload);
	if (dir == JEEBS_TO_CLIENT)
		for (size_t i = 1; i < n && i < 40; i += 1 + i / 4)
			complete(c, h, bytes_of(sealed, i));
	return bytes_come(c, dir, bytes_of(sealed, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct null_crypto null;
	struct ssh_crypto c = null_crypto_of(&null);
	struct reader r = reader_init(bytes_of(data, size));
	struct conversation_record it;
	bool on = true;

	ssh_session_init(&session);
	waiting_n[0] = waiting_n[1] = 0;
	while (on && reader_left(&r) > 0) {
		uint8_t kind = reader_u8(&r);
		uint16_t n = reader_u16be(&r);

		it.b = reader_bytes(&r, n < reader_left(&r) ? n : reader_left(&r));
		switch (kind) {
		case 'S':
		case 'C':
			on = message_comes(&c, kind == 'S' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT,
					   it.b);
			break;
		case 's':
		case 'c':
			on = bytes_come(&c, kind == 's' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT, it.b);
			break;
		case 'R':
			reopen(&c, it.b);
			break;
		default:
			break;
		}
	}
	reopen(&c, BYTES_NONE);
	return 0;
}
