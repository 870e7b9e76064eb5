/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations of stock OpenSSH, every packet of them opened, its tag proved, and sealed again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jeebs/recovery-module.h"
#include "recovery-modules/ssh/ssh-session.h"
#include "test/ssh-recording.h"

#define RECORDINGS_MAX 64
#define NEW_KEYS       3 /* key exchanges of the recordings with rekeys, at least */

static char *names[RECORDINGS_MAX];
static size_t names_n;
static uint8_t room[SSH_WIRE_MAX], room2[SSH_WIRE_MAX], room3[SSH_WIRE_MAX], out[SSH_WIRE_MAX];

struct run {
	const struct ssh_recording *r;
	struct crypto_rig rig, sealing;
	struct ssh_session s;
	unsigned packets[2], sealed;
	bool seal, reopen;
	unsigned together; /* channels at the same time, at most */
	unsigned seen[SSH_NOTE_KINDS];
	struct ssh_channel last; /* the one that was seen last when its program had ended */
};

/* The packet that has just been opened, sealed again where all but @known bytes are to be made. */
static void seal_again(struct run *u, const struct ssh_half *before, struct bytes wire,
		       struct bytes payload, size_t known)
{
	struct ssh_crypto c = crypto_rig_of(&u->sealing);
	struct ssh_sealer s;
	struct ssh_begun b;
	size_t n = 0;
	uint32_t low, high;

	crypto_rig_again(&u->sealing);
	ssh_sealer_init(&s, before, known);
	if (before->key) {
		/* The same key, with no history. */
		const struct crypto_rig_key *k = &u->rig.key[before->key - 1];

		assert_int_equal(c.ops->derive(c.k, &k->spec, &s.half.key), SSH_CRYPTO_OK);
	}
	assert_int_equal(ssh_begun_read(&s.half, &c, bytes_head(wire, known), room2, &b),
			 SSH_PACKET_OK);
	assert_true(ssh_begun_payload(&s.half, &b, &low, &high));
	assert_in_range(payload.n, low, high);
	assert_int_equal(ssh_seal(&s, &c, payload, room3, out, &n),
			 known ? SSH_SEAL_BEGUN : SSH_SEAL_OK);
	if (known)
		assert_int_equal(ssh_seal_begun(&s, &c, &b, payload, room3, out, &n), SSH_SEAL_OK);
	assert_memory_equal(out, wire.p, known);
	/* With the padding all is known. */
	if (known == wire.n || known > 5 + payload.n + 255)
		assert_int_equal(n, wire.n);
	struct ssh_half again = *before;
	struct ssh_packet p;
	struct ssh_crypto opening = crypto_rig_of(&u->rig);

	assert_int_equal(ssh_packet_open(&again, &opening, bytes_of(out, n), room3, &p),
			 SSH_PACKET_OK);
	assert_true(bytes_eq(p.payload, payload));
	assert_int_equal(again.next.seq, s.half.next.seq);
	assert_int_equal(again.next.blocks, s.half.next.blocks);
	u->sealed++;
}

/* The session is written down, forgotten, and read again. */
static void reopen(struct run *u, const struct ssh_crypto *c)
{
	static uint8_t written[65536], again[65536];
	static struct ssh_session other;
	struct writer w = WRITER_IN(written), w2 = WRITER_IN(again);

	ssh_session_write(&u->s, &w);
	assert_true(writer_ok(&w));
	memset(&other, 0x55, sizeof other);
	assert_true(ssh_session_read(writer_view(&w), &other));
	ssh_session_write(&other, &w2);
	assert_true(bytes_eq(writer_view(&w), writer_view(&w2)));
	for (size_t n = 0; n < w.n; n += n < 64 ? 1 : 509)
		assert_false(ssh_session_read(bytes_of(written, n), &other));
	assert_true(ssh_session_read(writer_view(&w), &u->s));
	assert_int_not_equal(ssh_session_keys(&u->s, c), SSH_TAKEN_REFUSED);
}

/* What the connection looks like behind each packet. */
static void look(struct run *u, uint32_t dir, struct bytes payload,
		 const struct ssh_channel before[SSH_CHANNELS_MAX])
{
	struct ssh_connection *s = &u->s.connection;
	unsigned open_n = 0;
	struct ssh_note it;
	uint32_t id, code;
	struct bytes data;

	for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
		open_n += s->channel[i].state == SSH_CHANNEL_OPEN;
		if (s->channel[i].exited)
			u->last = s->channel[i];
	}
	u->together = open_n > u->together ? open_n : u->together;
	for (size_t at = 0; ssh_notes_next(&s->notes, &at, &it);)
		u->seen[it.kind]++;
	if (!ssh_channel_data(payload, &id, &code, &data))
		return;
	/* Stock programs keep to the windows that we have counted. */
	const struct ssh_channel *c = ssh_connection_channel(s, dir, id);

	assert_non_null(c);
	assert_true(before[c - s->channel].window[dir] >= data.n);
	assert_true(c->max_packet[dir] >= data.n);
}

static size_t take(void *ctx, uint32_t dir, uint64_t off, struct bytes b)
{
	struct run *u = ctx;
	struct ssh_crypto c = crypto_rig_of(&u->rig);
	size_t used = 0;

	for (;;) {
		/* The keys behind NEWKEYS are taken up with the next packet at the latest. */
		ssh_transport_settle(&u->s.transport, &c);
		struct ssh_half before = u->s.transport.half[dir];
		struct bytes left = bytes_from(b, used);
		struct ssh_packet p;

		if (left.n == 0)
			return used;
		struct ssh_channel channels[SSH_CHANNELS_MAX];

		memcpy(channels, u->s.connection.channel, sizeof channels);
		switch (ssh_session_take(&u->s, &c, dir, left, room, &p)) {
		case SSH_TAKEN_PACKET:
			u->packets[dir]++;
			look(u, dir, p.payload, channels);
			if (u->reopen)
				reopen(u, &c);
			if (u->seal)
				for (size_t known = 0; known <= p.wire_n;
				     known += known < 70              ? 1
					      : p.wire_n - known < 90 ? 1
								      : 61)
					seal_again(u, &before, bytes_head(left, p.wire_n),
						   p.payload, known);
			used += p.wire_n;
			break;
		case SSH_TAKEN_LINE:
			used += p.wire_n;
			break;
		case SSH_TAKEN_MORE:
			assert_true(p.wire_n > left.n);
			return used;
		default:
			fail_msg("%s: %s at %llu of direction %u", u->r->name,
				 ssh_reason_word(u->s.transport.refused),
				 (unsigned long long)(off + used), dir);
		}
	}
}

static void run(const char *name, size_t chunk, struct run *u)
{
	static struct ssh_recording r;

	u->r = &r;
	ssh_recording_load(&r, TEST_RECORDINGS, name);
	assert_true(crypto_rig_init(&u->rig, buf_view(&r.keys)));
	assert_true(crypto_rig_init(&u->sealing, buf_view(&r.keys)));
	ssh_session_init(&u->s);
	ssh_recording_play(&r, chunk, take, u);
	/* The client says farewell in all of them. */
	assert_int_equal(u->s.transport.phase[JEEBS_TO_SERVER], SSH_PHASE_OVER);
	assert_true(u->packets[0] > 8 && u->packets[1] > 8);
	/* An end in the middle of a key exchange is usual. */
	assert_in_range(u->rig.exchange_n - u->s.transport.generation[0], 0,
			ssh_transport_exchanging(&u->s.transport) ? 1 : 0);
	assert_int_equal(u->s.transport.strict, !strstr(name, "not-strict"));
	crypto_rig_deinit(&u->rig);
	crypto_rig_deinit(&u->sealing);
	ssh_recording_free(&r);
}

static void every_packet_opens(void **state)
{
	static struct run whole, pieces;
	unsigned packets = 0, rekeyed = 0;

	(void)state;
	for (size_t i = 0; i < names_n; i++) {
		whole = (struct run){0};
		pieces = (struct run){0};
		run(names[i], 65535, &whole);
		run(names[i], 7, &pieces);
		assert_int_equal(whole.packets[0], pieces.packets[0]);
		assert_int_equal(whole.packets[1], pieces.packets[1]);
		packets += whole.packets[0] + whole.packets[1];
		rekeyed += whole.s.transport.generation[0] >= NEW_KEYS;
	}
	print_message("%u packets of %zu conversations\n", packets, names_n);
	assert_true(rekeyed >= 6);
}

static void every_packet_is_sealed_from_any_byte_on(void **state)
{
	static struct run u;
	unsigned sealed = 0;

	(void)state;
	for (size_t i = 0; i < names_n; i++) {
		u = (struct run){.seal = true};
		run(names[i], 65535, &u);
		assert_int_equal(u.sealing.twice, 0);
		sealed += u.sealed;
	}
	print_message("%u packets sealed\n", sealed);
}

static void every_session_is_read_again(void **state)
{
	static struct run u;

	(void)state;
	for (size_t i = 0; i < names_n; i++) {
		u = (struct run){.reopen = true};
		run(names[i], 65535, &u);
		assert_true(u.s.connection.authenticated);
		assert_true(bytes_eq(bytes_of(u.s.connection.user, u.s.connection.user_n),
				     bytes_str("root")));
		assert_false(u.s.connection.incomplete);
	}
}

static void what_runs_is_known(void **state)
{
	static struct run u;

	(void)state;
	u = (struct run){0};
	run("shell", 100, &u);
	assert_true(u.last.pty);
	assert_int_equal(u.last.program, SSH_PROGRAM_SHELL);
	assert_int_equal(u.last.columns, 100); /* it was 80 x 24 first */
	assert_int_equal(u.last.rows, 30);
	assert_true(u.seen[SSH_NOTE_PTY] > 0 && u.seen[SSH_NOTE_SHELL] > 0);
	u = (struct run){0};
	run("chacha20", 100, &u);
	assert_false(u.last.pty);
	assert_int_equal(u.last.program, SSH_PROGRAM_EXEC);
	u = (struct run){0};
	run("sftp", 100, &u);
	assert_int_equal(u.last.program, SSH_PROGRAM_SUBSYSTEM);
	assert_true(u.last.data[JEEBS_TO_SERVER] > 5000 && u.last.data[JEEBS_TO_CLIENT] > 5000);
}

static void channels_and_forwardings_are_known(void **state)
{
	static struct run u;
	struct ssh_note it;
	unsigned n = 0;

	(void)state;
	u = (struct run){0};
	run("channels", 100, &u);
	assert_int_equal(u.s.connection.opened, 4);
	assert_int_equal(u.together, 3);
	u = (struct run){0};
	run("forwarding", 100, &u);
	assert_int_equal(u.s.connection.opened, 3); /* the program; one that came, one refused */
	assert_int_equal(u.together, 2);
	for (size_t at = 0; ssh_notes_next(&u.s.connection.notes, &at, &it);) {
		struct reader r = reader_init(it.data);

		if (it.kind != SSH_NOTE_FORWARD)
			continue;
		n++;
		(void)ssh_string(&r);
		/* One was for any port: the server has said which. */
		assert_true(reader_u32be(&r) != 0 && reader_ok(&r));
	}
	assert_int_equal(n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_opens),
		cmocka_unit_test(every_packet_is_sealed_from_any_byte_on),
		cmocka_unit_test(every_session_is_read_again),
		cmocka_unit_test(what_runs_is_known),
		cmocka_unit_test(channels_and_forwardings_are_known),
	};

	names_n = ssh_recording_names(TEST_RECORDINGS, names, RECORDINGS_MAX);
	if (names_n < 22) {
		fprintf(stderr, "recordings are missing\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
