/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake-sshd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "jeebs/recovery-module.h"

#define PIECE 1000 /* of what a command says */

static const char ciphers[] = "aes256-gcm@openssh.com";
static const char macs[] = "hmac-sha2-256";

static void send_bytes(void *ctx, struct bytes wire)
{
	struct fake_sshd *f = ctx;

	assert_int_equal(buf_bytes(f->answer, wire), 0);
}

static void cookie(void *ctx, uint8_t out[SSH_COOKIE])
{
	(void)ctx;
	memset(out, 5, SSH_COOKIE);
}

/* The lists that the server half begins with are those of a server before it. */
static void set_lists(struct fake_sshd *f)
{
	const char *const lists[SSH_LISTS] = {"curve25519-sha256,kex-strict-s-v00@openssh.com",
					      "ssh-ed25519",
					      ciphers,
					      ciphers,
					      macs,
					      macs,
					      "none",
					      "none",
					      "",
					      ""};
	struct ssh_kept *k = &f->session.transport.init[JEEBS_TO_CLIENT];
	struct writer w = WRITER_IN(k->p);
	const struct ssh_kexinit none = {0};
	const uint8_t zero[SSH_COOKIE] = {0};

	ssh_kexinit_write(&w, &none, lists, zero);
	k->n = (uint16_t)writer_pos(&w);
}

void fake_sshd_init(struct fake_sshd *f, struct ssh_host_key *host_key)
{
	assert_true(crypto_rig_init(&f->rig, BYTES_NONE));
	f->rig.host_key[f->rig.host_key_n++] = host_key;
	f->in = BUF_INIT(1 << 22);
	f->typed = BUF_INIT(1 << 16);
	ssh_session_init(&f->session);
	set_lists(f);
	f->server = (struct ssh_server){.session = &f->session,
					.crypto = crypto_rig_of(&f->rig),
					.room = f->room,
					.sealed = f->sealed,
					.send = send_bytes,
					.ctx = f,
					.cookie = cookie};
}

void fake_sshd_deinit(struct fake_sshd *f)
{
	f->rig.host_key_n = 0; /* the caller's */
	crypto_rig_deinit(&f->rig);
	buf_deinit(&f->in);
	buf_deinit(&f->typed);
}

static void say(struct fake_sshd *f, const struct writer *w)
{
	assert_true(writer_ok(w));
	assert_int_equal(ssh_server_say(&f->server, writer_view(w)), SSH_SERVER_OK);
}

static void say_number(struct fake_sshd *f, uint8_t number, bool about_channel)
{
	uint8_t room[8];
	struct writer w = WRITER_IN(room);

	writer_u8(&w, number);
	if (about_channel)
		writer_u32be(&w, f->channel);
	say(f, &w);
}

static void say_data(struct fake_sshd *f, struct bytes data)
{
	uint8_t room[4096];
	struct writer w = WRITER_IN(room);

	writer_u8(&w, SSH_MSG_CHANNEL_DATA);
	writer_u32be(&w, f->channel);
	ssh_put_string(&w, data);
	say(f, &w);
}

/* As far as the window allows; then how it has ended. */
static void run(struct fake_sshd *f)
{
	while (f->running && f->said < f->output.n) {
		const struct ssh_channel *c =
			ssh_connection_channel(&f->session.connection, JEEBS_TO_CLIENT, f->channel);
		size_t n = f->output.n - f->said;

		assert_non_null(c);
		n = n < PIECE ? n : PIECE;
		n = n < c->window[JEEBS_TO_CLIENT] ? n : c->window[JEEBS_TO_CLIENT];
		if (n == 0)
			return;
		say_data(f, bytes_of(f->output.p + f->said, n));
		f->said += n;
	}
	if (!f->running)
		return;
	uint8_t room[64];
	struct writer w = WRITER_IN(room);

	f->running = false;
	say_number(f, SSH_MSG_CHANNEL_EOF, true);
	writer_u8(&w, SSH_MSG_CHANNEL_REQUEST);
	writer_u32be(&w, f->channel);
	ssh_put_word(&w, "exit-status");
	writer_u8(&w, 0);
	writer_u32be(&w, 0);
	say(f, &w);
	say_number(f, SSH_MSG_CHANNEL_CLOSE, true);
}

static void login(struct fake_sshd *f, struct reader *r)
{
	struct bytes user = ssh_string(r);

	assert_true(ssh_is(ssh_string(r), "ssh-connection"));
	assert_true(ssh_is(ssh_string(r), "publickey"));
	assert_int_equal(reader_u8(r), 1);
	assert_true(ssh_is(ssh_string(r), "ssh-ed25519-cert-v01@openssh.com"));
	struct bytes blob = ssh_string(r), signature = ssh_string(r);

	assert_true(reader_ok(r) && reader_left(r) == 0 && signature.n > 64);
	assert_non_null(memmem(blob.p, blob.n, user.p, user.n));
	snprintf(f->user, sizeof f->user, "%.*s", (int)user.n, (const char *)user.p);
	f->logins++;
	if (f->shuts_out) {
		uint8_t room[32];
		struct writer w = WRITER_IN(room);

		writer_u8(&w, SSH_MSG_USERAUTH_FAILURE);
		ssh_put_word(&w, "publickey");
		writer_u8(&w, 0);
		say(f, &w);
	} else {
		say_number(f, SSH_MSG_USERAUTH_SUCCESS, false);
	}
}

static void opened(struct fake_sshd *f, struct reader *r)
{
	uint8_t room[32];
	struct writer w = WRITER_IN(room);

	assert_true(ssh_is(ssh_string(r), "session"));
	f->channel = reader_u32be(r);
	writer_u8(&w, SSH_MSG_CHANNEL_OPEN_CONFIRMATION);
	writer_u32be(&w, f->channel);
	writer_u32be(&w, 77);
	writer_u32be(&w, 1 << 21);
	writer_u32be(&w, 32768);
	say(f, &w);
}

static void requested(struct fake_sshd *f, struct reader *r)
{
	assert_int_equal(reader_u32be(r), 77);
	struct bytes name = ssh_string(r);
	bool want = reader_u8(r);

	if (ssh_is(name, "pty-req")) {
		(void)ssh_string(r);
		f->columns = reader_u32be(r);
	}
	if (want)
		say_number(f, SSH_MSG_CHANNEL_SUCCESS, true);
	if (ssh_is(name, "shell")) {
		f->shells++;
		say_data(f, bytes_str("new-prompt "));
	} else if (ssh_is(name, "exec")) {
		struct bytes command = ssh_string(r);

		f->commands++;
		snprintf(f->command, sizeof f->command, "%.*s", (int)command.n,
			 (const char *)command.p);
		f->running = true;
	}
}

static void typed(struct fake_sshd *f, struct bytes payload)
{
	uint32_t id, code;
	struct bytes data;

	assert_true(ssh_channel_data(payload, &id, &code, &data));
	assert_int_equal(id, 77);
	buf_bytes(&f->typed, data);
	say_data(f, data);
}

static void message(struct fake_sshd *f, struct bytes payload)
{
	struct reader r = reader_init(payload);

	switch (reader_u8(&r)) {
	case SSH_MSG_SERVICE_REQUEST: {
		uint8_t room[32];
		struct writer w = WRITER_IN(room);

		writer_u8(&w, SSH_MSG_SERVICE_ACCEPT);
		ssh_put_word(&w, "ssh-userauth");
		say(f, &w);
		return;
	}
	case SSH_MSG_USERAUTH_REQUEST:
		login(f, &r);
		return;
	case SSH_MSG_CHANNEL_OPEN:
		opened(f, &r);
		return;
	case SSH_MSG_CHANNEL_REQUEST:
		requested(f, &r);
		return;
	case SSH_MSG_CHANNEL_DATA:
		typed(f, payload);
		return;
	default:
		return;
	}
}

static void greet(struct fake_sshd *f)
{
	static const char line[] = "SSH-2.0-fake";
	struct ssh_transport *t = &f->session.transport;

	f->greeted = true;
	send_bytes(f, bytes_str(line));
	send_bytes(f, bytes_str("\r\n"));
	memcpy(t->version[JEEBS_TO_CLIENT], line, sizeof line - 1);
	t->version_n[JEEBS_TO_CLIENT] = sizeof line - 1;
	t->phase[JEEBS_TO_CLIENT] = SSH_PHASE_PACKETS;
	assert_int_equal(ssh_server_init(&f->server, BYTES_NONE, f->none), SSH_SERVER_OK);
	assert_int_equal(ssh_server_rekey(&f->server), SSH_SERVER_OK);
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct fake_sshd *f = ctx;
	struct ssh_packet p;
	int r = SSH_TAKEN_PACKET;

	(void)fail;
	f->answer = answer;
	*close = eof;
	if (!f->greeted)
		greet(f);
	assert_int_equal(buf_bytes(&f->in, b), 0);
	while (r == SSH_TAKEN_PACKET || r == SSH_TAKEN_LINE) {
		r = ssh_session_take(&f->session, &f->server.crypto, JEEBS_TO_SERVER,
				     buf_view(&f->in), f->open, &p);
		if (r == SSH_TAKEN_LINE)
			buf_consume(&f->in, p.wire_n);
		if (r != SSH_TAKEN_PACKET)
			continue;
		assert_int_equal(ssh_server_exchange(&f->server), SSH_SERVER_OK);
		message(f, p.payload);
		buf_consume(&f->in, p.wire_n);
		run(f);
	}
	assert_true(r == SSH_TAKEN_MORE || r == SSH_TAKEN_OVER);
}

struct harness_backend fake_sshd_backend(struct fake_sshd *f)
{
	return (struct harness_backend){.receive = receive, .ctx = f};
}
