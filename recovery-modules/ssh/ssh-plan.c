/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fnmatch.h>
#include <stdio.h>

#include "ssh-complete.h"
#include "ssh-join.h"
#include "ssh.h"

static void answer(struct jeebs_plan *p, uint32_t verdict, const char *reason, const char *detail)
{
	p->verdict = verdict;
	p->style = JEEBS_STYLE_PROXY;
	p->reason = reason;
	snprintf(p->detail, sizeof p->detail, "%s", detail);
}

bool ssh_has_host_key(const struct ssh_crypto *c)
{
	static const char *const names[] = {"ssh-ed25519", "ecdsa-sha2-nistp256",
					    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
					    "rsa-sha2-512"};
	uint8_t room[2200];
	size_t n;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (c->ops->host_key(c->k, names[i], room, sizeof room, &n) == SSH_CRYPTO_OK)
			return true;
	return false;
}

/* ---- channels ------------------------------------------------------------------------------- */

bool ssh_note_of(const struct ssh_connection *c, uint8_t channel, uint8_t kind,
		 struct ssh_note *ret)
{
	size_t at = 0;

	while (ssh_notes_next(&c->notes, &at, ret))
		if (ret->channel == channel && ret->kind == kind)
			return true;
	return false;
}

/* Whether the operator says that the command may be run again. */
static bool may_run_again(const struct ssh *s, uint8_t channel)
{
	char pattern[SSH_PATTERNS], command[2048];
	const char *p = s->options.restart;
	struct ssh_note note;

	if (!ssh_note_of(&s->session.connection, channel, SSH_NOTE_EXEC, &note))
		return false;
	struct reader r = reader_init(note.data);
	struct bytes b = ssh_string(&r);

	if (b.n >= sizeof command || (b.n > 0 && memchr(b.p, 0, b.n)))
		return false;
	memcpy(command, b.p, b.n);
	command[b.n] = 0;
	while (*p) {
		size_t n = strcspn(p, "\n");

		memcpy(pattern, p, n);
		pattern[n] = 0;
		if (n > 0 && fnmatch(pattern, command, 0) == 0)
			return true;
		p += n + (p[n] == '\n');
	}
	return false;
}

static enum ssh_way refused(const char **ret_why, const char *why)
{
	*ret_why = why;
	return SSH_WAY_REFUSED;
}

static enum ssh_way way_of_session(const struct ssh *s, uint8_t channel, const char **ret_why)
{
	const struct ssh_channel *c = &s->session.connection.channel[channel];

	/* EOF is behind all that the program has said. */
	if (c->closed[JEEBS_TO_CLIENT] || (c->exited && c->eof[JEEBS_TO_CLIENT]))
		return SSH_WAY_END;
	if (c->exited || c->eof[JEEBS_TO_CLIENT] || c->closed[JEEBS_TO_SERVER])
		return refused(ret_why, "ssh-program-ended");
	if (c->incomplete)
		return refused(ret_why, "ssh-channel-incomplete");
	switch (c->program) {
	case SSH_PROGRAM_SHELL:
		/* Without a terminal it is a script that is read, of which the half was run. */
		if (!c->pty)
			return refused(ret_why, "ssh-shell-without-terminal");
		if (s->typed.n > 0 && s->typed.channel == channel && s->typed.over)
			return refused(ret_why, "ssh-input-unanswered");
		return SSH_WAY_SHELL;
	case SSH_PROGRAM_EXEC:
		if (!may_run_again(s, channel))
			return refused(ret_why, "ssh-exec-not-restartable");
		if (c->data[JEEBS_TO_SERVER] > 0)
			return refused(ret_why, "ssh-exec-has-input");
		return SSH_WAY_RESTART;
	case SSH_PROGRAM_SUBSYSTEM:
		return refused(ret_why, "ssh-subsystem");
	default:
		return refused(ret_why, "ssh-channel-opening");
	}
}

enum ssh_way ssh_way_of(const struct ssh *s, uint8_t channel, const char **ret_why)
{
	const struct ssh_channel *c = &s->session.connection.channel[channel];

	if (c->state == SSH_CHANNEL_FREE)
		return SSH_WAY_NONE;
	if (c->state != SSH_CHANNEL_OPEN)
		return refused(ret_why, "ssh-channel-opening");
	if (c->type != SSH_CHANNEL_SESSION)
		return refused(ret_why, "ssh-forwarding");
	return way_of_session(s, channel, ret_why);
}

/* Why the channels cannot go on; NULL: they can. */
static const char *channels_refused(const struct ssh *s, uint32_t ways[static SSH_WAY_REFUSED])
{
	const struct ssh_connection *c = &s->session.connection;
	struct ssh_note note;
	const char *why = NULL;
	uint32_t n = 0;

	for (uint8_t i = 0; i < SSH_CHANNELS_MAX; i++) {
		enum ssh_way way = ssh_way_of(s, i, &why);

		if (way == SSH_WAY_REFUSED)
			return why;
		ways[way]++;
		n += way != SSH_WAY_NONE;
	}
	if (n > SSH_LANES_MAX)
		return "ssh-too-many-channels";
	if (c->incomplete || ssh_note_of(c, SSH_NOTE_GLOBAL, SSH_NOTE_FORWARD, &note) ||
	    ssh_note_of(c, SSH_NOTE_GLOBAL, SSH_NOTE_FORWARD_LOCAL, &note))
		return "ssh-forwarding";
	return NULL;
}

/* ---- the packet that was begun -------------------------------------------------------------- */

/* Why it cannot be completed; NULL: it can, or there is none. */
static const char *begun_refused(const struct ssh *s, const struct jeebs_cut *cut,
				 const struct ssh_crypto *crypto)
{
	const struct ssh_half *half = &s->session.transport.half[JEEBS_TO_CLIENT];
	uint64_t from = s->at[JEEBS_TO_CLIENT];
	size_t n = (size_t)(cut->to_client_end - from);
	struct ssh_complete_data data;
	struct ssh_begun begun;

	if (n == 0)
		return NULL;
	if (n > SSH_ROOM)
		return "ssh-packet-too-long";
	uint8_t *wire = cut->scratch(cut->flow, n), *clear = cut->scratch(cut->flow, n),
		*payload = cut->scratch(cut->flow, SSH_ROOM);

	if (!wire || !clear || !payload)
		return "no-memory";
	if (!ssh_log_copy(cut, JEEBS_TO_CLIENT, from, cut->to_client_end, wire))
		return "log-lost";
	if (ssh_begun_read(half, crypto, bytes_of(wire, n), clear, &begun) != SSH_PACKET_OK)
		return "ssh-forged";
	struct writer w = writer_init(payload, SSH_ROOM);
	int r = ssh_complete(&s->session, half, &begun, BYTES_NONE, &w, &data);

	if (r == SSH_COMPLETE_OK && !writer_ok(&w))
		return "ssh-packet-too-long";
	if (r == SSH_COMPLETE_DATA && data.has + data.needs > SSH_DATA_MAX)
		return "ssh-packet-too-long";
	if (r != SSH_COMPLETE_DATA)
		return r == SSH_COMPLETE_OK ? NULL : "ssh-packet-begun";
	const struct ssh_channel *c = ssh_connection_channel(
		&((struct ssh *)(uintptr_t)s)->session.connection, JEEBS_TO_CLIENT, data.id);
	const char *why;

	if (!c)
		return "ssh-packet-begun";
	switch (ssh_way_of(s, (uint8_t)(c - s->session.connection.channel), &why)) {
	case SSH_WAY_SHELL:
	case SSH_WAY_RESTART:
		return NULL;
	default:
		return "ssh-packet-begun";
	}
}

/* ---- the plan ------------------------------------------------------------------------------- */

/* Without keys: whether they could help. */
static void preview(const struct ssh *s, struct jeebs_plan *ret)
{
	if (s->session.transport.refused)
		answer(ret, JEEBS_REFUSE, ssh_reason_word(s->session.transport.refused),
		       "SSH, and cannot be continued");
	else
		answer(ret, JEEBS_IF_KEYS, "keys-missing", "SSH, of which there are no keys");
}

static const char *refusal(const struct ssh *s, const struct jeebs_cut *cut,
			   struct ssh_keys_of *keys, uint32_t ways[static SSH_WAY_REFUSED])
{
	const struct ssh_transport *t = &s->session.transport;
	const struct ssh_crypto crypto = ssh_keys_crypto(keys);
	uint8_t room[8];
	const char *why;
	size_t n;

	if (t->phase[0] == SSH_PHASE_OVER || t->phase[1] == SSH_PHASE_OVER || cut->client_fin ||
	    cut->server_fin)
		return "ssh-closing";
	if (!s->session.connection.authenticated)
		return "ssh-login-cut";
	/* A number that the old server may have used for a packet that nobody has seen. */
	if (!cut->nothing_more)
		return "ssh-packet-uncertain";
	if (ssh_transport_exchanging(t) || t->phase[0] != SSH_PHASE_PACKETS ||
	    t->phase[1] != SSH_PHASE_PACKETS)
		return "ssh-key-exchange";
	if (crypto.ops->certificate(crypto.k, BYTES_NONE, room, sizeof room, &n) ==
	    SSH_CRYPTO_NO_KEY)
		return "ssh-no-user-ca";
	if (!ssh_has_host_key(&crypto))
		return "ssh-no-host-key";
	why = channels_refused(s, ways);
	return why ? why : begun_refused(s, cut, &crypto);
}

void ssh_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct ssh *s = state;
	struct ssh_keys_of keys = {.keys = cut->keys,
				   .ops = cut->crypto,
				   .side = JEEBS_SSH_FRONT,
				   .candidate = s->candidate};
	uint32_t ways[SSH_WAY_REFUSED] = {0};

	if (s->lost) {
		answer(ret, JEEBS_REFUSE, s->lost, "SSH, and cannot be continued");
		return;
	}
	if (!cut->keys || !s->unsealed) {
		preview(s, ret);
		return;
	}
	const char *why = refusal(s, cut, &keys, ways);

	if (why) {
		answer(ret, JEEBS_REFUSE, why, "SSH, and what is said in it cannot go on");
		return;
	}
	answer(ret, JEEBS_CONTINUE,
	       ways[SSH_WAY_SHELL]     ? "ssh-shell"
	       : ways[SSH_WAY_RESTART] ? "ssh-restart"
				       : "ssh-idle",
	       "");
	snprintf(ret->detail, sizeof ret->detail,
		 "SSH of %.*s under %s: %u shells and %u commands begin again on the backup",
		 s->session.connection.user_n > 40 ? 40 : s->session.connection.user_n,
		 (const char *)s->session.connection.user,
		 ssh_suite_cipher(&s->session.transport.half[JEEBS_TO_CLIENT].suite),
		 ways[SSH_WAY_SHELL], ways[SSH_WAY_RESTART]);
}
