/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-suite.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The order of both tables is in checkpoints: what is new comes last. */
static const struct {
	const char *name;
	enum ssh_layout layout; /* PLAIN: the MAC says */
	uint8_t block;
} ciphers[] = {
	{"chacha20-poly1305@openssh.com", SSH_LAYOUT_CHACHA, 8},
	{"aes128-gcm@openssh.com", SSH_LAYOUT_GCM, 16},
	{"aes256-gcm@openssh.com", SSH_LAYOUT_GCM, 16},
	{"aes128-ctr", SSH_LAYOUT_PLAIN, 16},
	{"aes192-ctr", SSH_LAYOUT_PLAIN, 16},
	{"aes256-ctr", SSH_LAYOUT_PLAIN, 16},
};

static const struct {
	const char *name;
	enum ssh_layout layout;
	uint8_t tag;
} macs[] = {
	{"", SSH_LAYOUT_PLAIN, 16}, /* the cipher's own */
	{"umac-64-etm@openssh.com", SSH_LAYOUT_ETM, 8},
	{"umac-128-etm@openssh.com", SSH_LAYOUT_ETM, 16},
	{"hmac-sha2-256-etm@openssh.com", SSH_LAYOUT_ETM, 32},
	{"hmac-sha2-512-etm@openssh.com", SSH_LAYOUT_ETM, 64},
	{"hmac-sha1-etm@openssh.com", SSH_LAYOUT_ETM, 20},
	{"umac-64@openssh.com", SSH_LAYOUT_MTE, 8},
	{"umac-128@openssh.com", SSH_LAYOUT_MTE, 16},
	{"hmac-sha2-256", SSH_LAYOUT_MTE, 32},
	{"hmac-sha2-512", SSH_LAYOUT_MTE, 64},
	{"hmac-sha1", SSH_LAYOUT_MTE, 20},
};

bool ssh_suite_of(uint8_t cipher, uint8_t mac, struct ssh_suite *ret)
{
	if (cipher >= COUNT(ciphers) || mac >= COUNT(macs))
		return false;
	enum ssh_layout own = ciphers[cipher].layout;

	if ((own == SSH_LAYOUT_PLAIN) != (mac != 0))
		return false;
	*ret = (struct ssh_suite){
		.layout = (uint8_t)(own == SSH_LAYOUT_PLAIN ? macs[mac].layout : own),
		.cipher = cipher,
		.mac = mac,
		.block = ciphers[cipher].block,
		.tag = macs[mac].tag,
	};
	return true;
}

bool ssh_suite_find(struct bytes cipher, struct bytes mac, struct ssh_suite *ret)
{
	for (uint8_t i = 0; i < COUNT(ciphers); i++) {
		if (!bytes_eq(cipher, bytes_str(ciphers[i].name)))
			continue;
		if (ciphers[i].layout != SSH_LAYOUT_PLAIN)
			return ssh_suite_of(i, 0, ret);
		for (uint8_t k = 1; k < COUNT(macs); k++)
			if (bytes_eq(mac, bytes_str(macs[k].name)))
				return ssh_suite_of(i, k, ret);
	}
	return false;
}

const char *ssh_suite_cipher(const struct ssh_suite *s)
{
	return s->layout == SSH_LAYOUT_PLAIN ? "none" : ciphers[s->cipher].name;
}

const char *ssh_suite_mac(const struct ssh_suite *s)
{
	return s->layout == SSH_LAYOUT_PLAIN ? "none" : macs[s->mac].name;
}

struct ssh_nonce ssh_number_of(const struct ssh_suite *s, const struct ssh_number *n)
{
	uint32_t seq = n->seq;

	switch ((enum ssh_layout)s->layout) {
	case SSH_LAYOUT_PLAIN:
		break;
	case SSH_LAYOUT_CHACHA:
		return (struct ssh_nonce){.nonce = seq};
	case SSH_LAYOUT_GCM:
		return (struct ssh_nonce){.nonce = n->packets};
	case SSH_LAYOUT_ETM:
	case SSH_LAYOUT_MTE:
		return (struct ssh_nonce){.nonce = n->blocks,
					  .aad = {(uint8_t)(seq >> 24), (uint8_t)(seq >> 16),
						  (uint8_t)(seq >> 8), (uint8_t)seq},
					  .aad_n = 4};
	}
	return (struct ssh_nonce){0};
}

void ssh_number_next(const struct ssh_suite *s, struct ssh_number *n, uint32_t length)
{
	n->seq++;
	n->packets++;
	n->blocks += (4 + (uint64_t)length - ssh_suite_apart(s)) / 16;
}

void ssh_number_newkeys(struct ssh_number *n, bool strict)
{
	n->packets = 0;
	n->blocks = 0;
	if (strict)
		n->seq = 0;
}
