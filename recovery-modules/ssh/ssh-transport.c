/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-transport.h"

#include "jeebs/recovery-module.h"

#define LINES_MAX 64u /* before the server's version */
#define LINE_MAX  1024u

_Static_assert(JEEBS_TO_SERVER == 0 && JEEBS_TO_CLIENT == 1, "lists of KEXINIT are in this order");

void ssh_transport_init(struct ssh_transport *t)
{
	*t = (struct ssh_transport){.half = {SSH_HALF_INIT, SSH_HALF_INIT}};
}

static int refuse(struct ssh_transport *t, enum ssh_reason why)
{
	t->refused = (uint8_t)why;
	return SSH_TAKEN_REFUSED;
}

/* ---- versions ------------------------------------------------------------------------------- */

/* RFC 4253, section 4.2. 1.99 is what servers say that know both. */
static bool is_version(struct bytes line)
{
	return line.n > 8 && (memcmp(line.p, "SSH-2.0-", 8) == 0 ||
			      (line.n > 9 && memcmp(line.p, "SSH-1.99-", 9) == 0));
}

static int take_line(struct ssh_transport *t, uint32_t dir, struct bytes in, struct ssh_packet *ret)
{
	const uint8_t *end = in.n ? memchr(in.p, '\n', in.n < LINE_MAX ? in.n : LINE_MAX) : NULL;

	if (!end) {
		ret->wire_n = in.n + 1;
		return in.n < LINE_MAX ? SSH_TAKEN_MORE : refuse(t, SSH_REASON_NOT_SSH);
	}
	struct bytes line = bytes_head(in, (size_t)(end - in.p));

	ret->wire_n = line.n + 1;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n < 4 || memcmp(line.p, "SSH-", 4) != 0) {
		if (dir == JEEBS_TO_SERVER || ++t->lines > LINES_MAX)
			return refuse(t, SSH_REASON_NOT_SSH);
		return SSH_TAKEN_LINE;
	}
	if (!is_version(line) || line.n > SSH_VERSION_MAX)
		return refuse(t, SSH_REASON_NOT_SSH);
	memcpy(t->version[dir], line.p, line.n);
	t->version_n[dir] = (uint16_t)line.n;
	t->phase[dir] = SSH_PHASE_PACKETS;
	return SSH_TAKEN_LINE;
}

/* ---- key exchanges -------------------------------------------------------------------------- */

int ssh_transport_agreed(const struct ssh_transport *t, struct ssh_agreed *ret)
{
	struct ssh_kexinit init[2];

	for (int i = 0; i < 2; i++)
		if (!ssh_kexinit_read(bytes_of(t->init[i].p, t->init[i].n), &init[i]))
			return SSH_AGREED_NOTHING;
	return ssh_kexinit_agree(&init[0], &init[1], ret);
}

static bool keep(struct ssh_kept *k, struct bytes b)
{
	if (b.n > sizeof k->p)
		return false;
	memcpy(k->p, b.p, b.n);
	k->n = (uint16_t)b.n;
	return true;
}

static bool names_strict(const struct ssh_transport *t, int dir, const char *name)
{
	struct ssh_kexinit k;

	return ssh_kexinit_read(bytes_of(t->init[dir].p, t->init[dir].n), &k) &&
	       ssh_list_has(k.list[SSH_LIST_KEX], bytes_str(name));
}

static bool is_group_exchange(const struct ssh_agreed *a)
{
	static const char name[] = "diffie-hellman-group-exchange-";

	return a->kex.n >= sizeof name - 1 && memcmp(a->kex.p, name, sizeof name - 1) == 0;
}

/* Both KEXINITs are there: what had been guessed before counts, or not. */
static void judge_guesses(struct ssh_exchange *k, const struct ssh_agreed *agreed)
{
	for (int i = 0; i < 2; i++)
		k->skip[i] = agreed->guessed_wrong[i] && !k->early[i];
	if (!k->early[JEEBS_TO_SERVER])
		return;
	if (!agreed->guessed_wrong[JEEBS_TO_SERVER] && is_group_exchange(agreed))
		k->request = k->client;
	if (agreed->guessed_wrong[JEEBS_TO_SERVER] || is_group_exchange(agreed))
		k->client.n = 0;
}

static int see_kexinit(struct ssh_transport *t, uint32_t dir, struct bytes payload)
{
	struct ssh_agreed agreed;
	struct ssh_kexinit init;

	if (!ssh_kexinit_read(payload, &init) || t->kex.init[dir])
		return refuse(t, SSH_REASON_MALFORMED);
	if (!keep(&t->init[dir], payload))
		return refuse(t, SSH_REASON_KEXINIT_TOO_LONG);
	t->kex.init[dir] = true;
	if (!t->kex.init[1 - dir])
		return SSH_TAKEN_PACKET;
	if (t->generation[0] == 0 && t->generation[1] == 0)
		t->strict = names_strict(t, JEEBS_TO_SERVER, "kex-strict-c-v00@openssh.com") &&
			    names_strict(t, JEEBS_TO_CLIENT, "kex-strict-s-v00@openssh.com");
	switch (ssh_transport_agreed(t, &agreed)) {
	case SSH_AGREED:
		judge_guesses(&t->kex, &agreed);
		return SSH_TAKEN_PACKET;
	case SSH_AGREED_COMPRESSION:
		return refuse(t, SSH_REASON_COMPRESSION);
	case SSH_AGREED_UNKNOWN:
		return refuse(t, SSH_REASON_CIPHER_UNKNOWN);
	default:
		return refuse(t, SSH_REASON_NOTHING_AGREED);
	}
}

/* Where a message of a key exchange is kept; NULL: it is the server's answer, or unknown. */
static struct ssh_kex_message *kex_place(struct ssh_exchange *k, uint32_t dir, uint8_t number,
					 bool group)
{
	if (!group)
		return dir == JEEBS_TO_SERVER && number == 30 ? &k->client : NULL;
	switch (number) {
	case 30: /* SSH_MSG_KEX_DH_GEX_REQUEST_OLD */
	case 34:
		return &k->request;
	case 31:
		return &k->group;
	case 32:
		return &k->client;
	default:
		return NULL;
	}
}

static int keep_kex_message(struct ssh_transport *t, struct ssh_kex_message *m,
			    struct bytes payload)
{
	if (payload.n > sizeof m->p)
		return refuse(t, SSH_REASON_MALFORMED);
	memcpy(m->p, payload.p, payload.n);
	m->n = (uint16_t)payload.n;
	return SSH_TAKEN_PACKET;
}

static int see_kex_message(struct ssh_transport *t, uint32_t dir, struct bytes payload)
{
	struct ssh_exchange *k = &t->kex;
	struct ssh_agreed agreed;

	if (!k->init[dir])
		return refuse(t, SSH_REASON_MALFORMED);
	if (!k->init[1 - dir]) {
		k->early[dir] = true;
		return dir == JEEBS_TO_SERVER ? keep_kex_message(t, &k->client, payload)
					      : SSH_TAKEN_PACKET;
	}
	if (k->skip[dir]) {
		k->skip[dir] = false;
		return SSH_TAKEN_PACKET;
	}
	if (ssh_transport_agreed(t, &agreed) != SSH_AGREED)
		return refuse(t, SSH_REASON_MALFORMED);
	struct ssh_kex_message *m = kex_place(k, dir, payload.p[0], is_group_exchange(&agreed));

	if (m)
		return keep_kex_message(t, m, payload);
	k->replied |= dir == JEEBS_TO_CLIENT;
	return SSH_TAKEN_PACKET;
}

/* The keys behind NEWKEYS, when both KEXINITs are known and the keys have come. */
static int begin_keys(struct ssh_transport *t, const struct ssh_crypto *c, uint32_t dir)
{
	struct ssh_agreed agreed;
	uint32_t key = 0;

	if (!t->kex.init[0] || !t->kex.init[1] || ssh_transport_agreed(t, &agreed) != SSH_AGREED)
		return refuse(t, SSH_REASON_MALFORMED);
	const struct ssh_key_spec spec = {
		.exchange = t->generation[dir] - 1,
		.dir = dir,
		.cipher = ssh_suite_cipher(&agreed.suite[dir]),
		.mac = ssh_suite_mac(&agreed.suite[dir]),
	};

	switch (c->ops->derive(c->k, &spec, &key)) {
	case SSH_CRYPTO_OK:
		break;
	case SSH_CRYPTO_NO_KEY:
		return SSH_TAKEN_KEYS;
	case SSH_CRYPTO_NO_SUITE:
		return refuse(t, SSH_REASON_CIPHER_UNKNOWN);
	default:
		return refuse(t, SSH_REASON_KEYS_FAILED);
	}
	t->half[dir].suite = agreed.suite[dir];
	t->half[dir].key = key;
	ssh_number_newkeys(&t->half[dir].next, t->strict);
	t->phase[dir] = SSH_PHASE_PACKETS;
	t->kex.newkeys[dir] = true;
	if (t->kex.newkeys[0] && t->kex.newkeys[1])
		t->kex = (struct ssh_exchange){0};
	return SSH_TAKEN_PACKET;
}

int ssh_transport_settle(struct ssh_transport *t, const struct ssh_crypto *c)
{
	int r = t->refused ? SSH_TAKEN_REFUSED : SSH_TAKEN_PACKET;

	for (uint32_t dir = 0; dir < 2 && r != SSH_TAKEN_REFUSED; dir++)
		if (t->phase[dir] == SSH_PHASE_NEWKEYS) {
			int one = begin_keys(t, c, dir);

			r = one == SSH_TAKEN_PACKET ? r : one;
		}
	return r;
}

int ssh_transport_see(struct ssh_transport *t, const struct ssh_crypto *c, uint32_t dir,
		      struct bytes payload)
{
	uint8_t number = payload.p[0];

	if (number == SSH_MSG_KEXINIT)
		return see_kexinit(t, dir, payload);
	if (number >= SSH_MSG_KEX_FIRST && number <= SSH_MSG_KEX_LAST)
		return see_kex_message(t, dir, payload);
	if (number == SSH_MSG_NEWKEYS) {
		if (!t->kex.init[dir] || t->kex.newkeys[dir])
			return refuse(t, SSH_REASON_MALFORMED);
		t->generation[dir]++;
		t->phase[dir] = SSH_PHASE_NEWKEYS;
		return ssh_transport_settle(t, c) == SSH_TAKEN_REFUSED ? SSH_TAKEN_REFUSED
								       : SSH_TAKEN_PACKET;
	}
	if (number == SSH_MSG_DISCONNECT)
		t->phase[dir] = SSH_PHASE_OVER;
	return SSH_TAKEN_PACKET;
}

int ssh_transport_take(struct ssh_transport *t, const struct ssh_crypto *c, uint32_t dir,
		       struct bytes in, uint8_t *room, struct ssh_packet *ret)
{
	*ret = (struct ssh_packet){0};
	if (t->refused)
		return SSH_TAKEN_REFUSED;
	if (t->phase[dir] == SSH_PHASE_OVER)
		return SSH_TAKEN_OVER;
	if (t->phase[dir] == SSH_PHASE_VERSION)
		return take_line(t, dir, in, ret);
	if (ssh_transport_settle(t, c) == SSH_TAKEN_REFUSED)
		return SSH_TAKEN_REFUSED;
	if (t->phase[dir] == SSH_PHASE_NEWKEYS)
		return SSH_TAKEN_KEYS;
	switch (ssh_packet_open(&t->half[dir], c, in, room, ret)) {
	case SSH_PACKET_OK:
		return ssh_transport_see(t, c, dir, ret->payload);
	case SSH_PACKET_MORE:
		return SSH_TAKEN_MORE;
	case SSH_PACKET_MALFORMED:
		return refuse(t, t->half[dir].key ? SSH_REASON_FORGED : SSH_REASON_MALFORMED);
	case SSH_PACKET_FORGED:
		return refuse(t, SSH_REASON_FORGED);
	default:
		return refuse(t, SSH_REASON_KEYS_FAILED);
	}
}
