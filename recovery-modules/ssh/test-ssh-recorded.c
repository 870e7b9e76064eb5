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
#include "test/ssh-recording.h"

#define RECORDINGS_MAX 64
#define NEW_KEYS       3 /* key exchanges of the recordings with rekeys, at least */

static char *names[RECORDINGS_MAX];
static size_t names_n;
static uint8_t room[SSH_WIRE_MAX], room2[SSH_WIRE_MAX], room3[SSH_WIRE_MAX], out[SSH_WIRE_MAX];

struct run {
	const struct ssh_recording *r;
	struct crypto_rig rig, sealing;
	struct ssh_transport t;
	unsigned packets[2], sealed;
	bool seal;
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

static size_t take(void *ctx, uint32_t dir, uint64_t off, struct bytes b)
{
	struct run *u = ctx;
	struct ssh_crypto c = crypto_rig_of(&u->rig);
	size_t used = 0;

	for (;;) {
		/* The keys behind NEWKEYS are taken up with the next packet at the latest. */
		ssh_transport_settle(&u->t, &c);
		struct ssh_half before = u->t.half[dir];
		struct bytes left = bytes_from(b, used);
		struct ssh_packet p;

		if (left.n == 0)
			return used;
		switch (ssh_transport_take(&u->t, &c, dir, left, room, &p)) {
		case SSH_TAKEN_PACKET:
			u->packets[dir]++;
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
				 u->t.refused ? u->t.refused : "waits",
				 (unsigned long long)(off + used), dir);
		}
	}
}

static void run(const char *name, size_t chunk, bool seal, struct run *u)
{
	static struct ssh_recording r;

	*u = (struct run){.r = &r, .seal = seal};
	ssh_recording_load(&r, TEST_RECORDINGS, name);
	assert_true(crypto_rig_init(&u->rig, buf_view(&r.keys)));
	assert_true(crypto_rig_init(&u->sealing, buf_view(&r.keys)));
	ssh_transport_init(&u->t);
	ssh_recording_play(&r, chunk, take, u);
	/* The client says farewell in all of them. */
	assert_int_equal(u->t.phase[JEEBS_TO_SERVER], SSH_PHASE_OVER);
	assert_true(u->packets[0] > 8 && u->packets[1] > 8);
	/* An end in the middle of a key exchange is usual. */
	assert_in_range(u->rig.exchange_n - u->t.generation[0], 0,
			ssh_transport_exchanging(&u->t) ? 1 : 0);
	assert_int_equal(u->t.strict, !strstr(name, "not-strict"));
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
		run(names[i], 65535, false, &whole);
		run(names[i], 7, false, &pieces);
		assert_int_equal(whole.packets[0], pieces.packets[0]);
		assert_int_equal(whole.packets[1], pieces.packets[1]);
		packets += whole.packets[0] + whole.packets[1];
		rekeyed += whole.t.generation[0] >= NEW_KEYS;
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
		run(names[i], 65535, true, &u);
		assert_int_equal(u.sealing.twice, 0);
		sealed += u.sealed;
	}
	print_message("%u packets sealed\n", sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packet_opens),
		cmocka_unit_test(every_packet_is_sealed_from_any_byte_on),
	};

	names_n = ssh_recording_names(TEST_RECORDINGS, names, RECORDINGS_MAX);
	if (names_n < 16) {
		fprintf(stderr, "recordings are missing\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
