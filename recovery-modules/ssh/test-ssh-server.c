/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations of stock OpenSSH whose server dies at each of its packets, and at bytes of each:
 * what the client then gets is what it had, and goes on lawfully. Stock clients are in
 * bench/netns/test-ssh-takeover.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jeebs/recovery-module.h"
#include "recovery-modules/ssh/ssh-complete.h"
#include "recovery-modules/ssh/ssh-server.h"
#include "test/ssh-recording.h"

#define NAMES_MAX 64

static uint8_t room[SSH_WIRE_MAX], room2[SSH_WIRE_MAX], room3[SSH_WIRE_MAX], sealed[SSH_WIRE_MAX];
static uint8_t got[2 * SSH_WIRE_MAX];
static size_t got_n;

static struct run {
	const struct ssh_recording *r;
	struct crypto_rig reading, dying;
	struct ssh_session s;
	unsigned continued, refused, data, exchanging;
} run;

static void send_bytes(void *ctx, struct bytes wire)
{
	(void)ctx;
	assert_true(wire.n <= sizeof got - got_n);
	memcpy(got + got_n, wire.p, wire.n);
	got_n += wire.n;
}

static void cookie(void *ctx, uint8_t to[SSH_COOKIE])
{
	(void)ctx;
	memset(to, 7, SSH_COOKIE);
}

/* The client opens what it has got from the packet on that was half said. */
static void client_reads(struct ssh_half *half, unsigned packets, uint8_t last)
{
	struct ssh_crypto c = crypto_rig_of(&run.reading);
	struct bytes b = bytes_of(got, got_n);
	struct ssh_packet p = {0};

	for (; packets > 0; packets--) {
		assert_int_equal(ssh_packet_open(half, &c, b, room2, &p), SSH_PACKET_OK);
		b = bytes_from(b, p.wire_n);
	}
	assert_int_equal(b.n, 0);
	assert_int_equal(p.payload.p[0], last);
}

static int finish(struct ssh_server *v, struct bytes *ret_payload)
{
	static const uint8_t next[SSH_PACKET_MAX];
	static uint8_t payload[SSH_WIRE_MAX];
	struct ssh_complete_data data;
	struct writer w = WRITER_IN(payload);
	int r = ssh_complete(v->session, &v->sealer.half, &v->begun, BYTES_NONE, &w, &data);

	if (r == SSH_COMPLETE_DATA) {
		run.data++;
		assert_true(data.needs > 0);
		assert_int_equal(ssh_complete(v->session, &v->sealer.half, &v->begun,
					      bytes_of(next, data.needs - 1), &w, &data),
				 SSH_COMPLETE_DATA);
		r = ssh_complete(v->session, &v->sealer.half, &v->begun, bytes_of(next, data.needs),
				 &w, &data);
	}
	if (r != SSH_COMPLETE_OK)
		return r;
	*ret_payload = writer_view(&w);
	return ssh_server_finish(v, *ret_payload) == SSH_SERVER_OK ? SSH_COMPLETE_OK : -1;
}

/* The server has said so much of a packet, and dies. */
static void die(const struct ssh_session *before, struct bytes begun)
{
	static struct ssh_session s;
	struct ssh_half half = before->transport.half[JEEBS_TO_CLIENT];
	struct bytes payload;

	s = *before;
	crypto_rig_again(&run.dying);
	for (int i = 0; i < 2; i++)
		s.transport.half[i].key = 0;
	struct ssh_server v = {.session = &s,
			       .crypto = crypto_rig_of(&run.dying),
			       .room = room3,
			       .sealed = sealed,
			       .send = send_bytes,
			       .cookie = cookie};

	assert_int_equal(ssh_session_keys(&s, &v.crypto), SSH_TAKEN_PACKET);
	assert_int_equal(ssh_server_init(&v, begun, room), SSH_SERVER_OK);
	memcpy(got, begun.p, begun.n);
	got_n = begun.n;
	if (begun.n > 0) {
		const uint8_t ignore[] = {SSH_MSG_IGNORE, 0, 0, 0, 0};

		assert_int_equal(ssh_server_say(&v, bytes_of(ignore, sizeof ignore)),
				 SSH_SERVER_BUSY);
		switch (finish(&v, &payload)) {
		case SSH_COMPLETE_OK:
			break;
		case SSH_COMPLETE_NOTHING:
			run.refused++;
			return;
		default:
			fail_msg("%s: what completes it is not sealed", run.r->name);
		}
		client_reads(&half, 1, payload.p[0]);
	}
	run.continued++;
	run.exchanging += ssh_transport_exchanging(&s.transport);
	/* What follows is under keys that the reader asks for later. */
	if (begun.n > 0 && payload.p[0] == SSH_MSG_NEWKEYS)
		return;
	/* Whatever is under way, a farewell is heard. */
	const uint8_t disconnect[] = {SSH_MSG_DISCONNECT, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0};

	got_n = 0;
	if (!ssh_transport_exchanging(&s.transport)) {
		assert_int_equal(ssh_server_rekey(&v), SSH_SERVER_OK);
		assert_int_equal(ssh_server_say(&v, bytes_of("\2\0\0\0\0", 5)), SSH_SERVER_BUSY);
		client_reads(&half, 1, SSH_MSG_KEXINIT);
		got_n = 0;
	}
	assert_int_equal(ssh_server_say(&v, bytes_of(disconnect, sizeof disconnect)),
			 SSH_SERVER_OK);
	client_reads(&half, 1, SSH_MSG_DISCONNECT);
	assert_int_equal(run.dying.twice, 0);
}

static size_t take(void *ctx, uint32_t dir, uint64_t off, struct bytes b)
{
	static struct ssh_session before;
	struct ssh_crypto c = crypto_rig_of(&run.reading);
	size_t used = 0;

	(void)ctx;
	(void)off;
	for (;;) {
		struct bytes left = bytes_from(b, used);
		struct ssh_packet p;

		ssh_transport_settle(&run.s.transport, &c);
		before = run.s;
		int r = left.n ? ssh_session_take(&run.s, &c, dir, left, room2, &p)
			       : SSH_TAKEN_MORE;

		if (r != SSH_TAKEN_PACKET && r != SSH_TAKEN_LINE)
			return used;

		if (r == SSH_TAKEN_PACKET && dir == JEEBS_TO_CLIENT &&
		    before.connection.authenticated)
			for (size_t n = 0; n < p.wire_n; n += n < 7 || n + 18 > p.wire_n ? 1 : 11)
				die(&before, bytes_head(left, n));
		used += p.wire_n;
	}
}

static void dies_at_every_packet(void **state)
{
	static struct ssh_recording r;
	char *names[NAMES_MAX], host[512];
	uint8_t text[8192];
	size_t n = ssh_recording_names(TEST_RECORDINGS, names, NAMES_MAX);

	(void)state;
	assert_true(n >= 22);
	snprintf(host, sizeof host, "%s/ed25519", TEST_HOST_KEYS);
	FILE *f = fopen(host, "rb");

	assert_non_null(f);
	size_t text_n = fread(text, 1, sizeof text, f);

	fclose(f);
	for (size_t i = 0; i < n; i++) {
		ssh_recording_load(&r, TEST_RECORDINGS, names[i]);
		run.r = &r;
		assert_true(crypto_rig_init(&run.reading, buf_view(&r.keys)));
		assert_true(crypto_rig_init(&run.dying, buf_view(&r.keys)));
		assert_int_equal(ssh_host_key_read(bytes_of(text, text_n), &run.dying.host_key[0]),
				 0);
		run.dying.host_key_n = 1;
		ssh_session_init(&run.s);
		ssh_recording_play(&r, 65535, take, NULL);
		crypto_rig_deinit(&run.reading);
		crypto_rig_deinit(&run.dying);
		ssh_recording_free(&r);
		free(names[i]);
	}
	print_message("%u continued (%u with data, %u in a key exchange), %u refused\n",
		      run.continued, run.data, run.exchanging, run.refused);
	assert_true(run.continued > 10 * run.refused && run.data > 100 && run.exchanging > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dies_at_every_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
