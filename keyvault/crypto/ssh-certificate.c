/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-certificate.h"

#include <errno.h>

#include <openssl/rand.h>

#include "base/reader.h"
#include "base/writer.h"

#define TYPE_USER       1u
#define NONCE_BYTES     32
#define SIGNATURE_MAX   2200
#define EXTENSIONS_ROOM 256

static void put_string(struct writer *w, struct bytes b)
{
	writer_u32be(w, (uint32_t)b.n);
	writer_bytes(w, b);
}

/* What a login by password may do: sshd_config says what of it is allowed. */
static void put_extensions(struct writer *w)
{
	static const char *const names[] = {"permit-X11-forwarding", "permit-agent-forwarding",
					    "permit-port-forwarding", "permit-pty",
					    "permit-user-rc"};
	uint8_t room[EXTENSIONS_ROOM];
	struct writer all = WRITER_IN(room);

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		put_string(&all, bytes_str(names[i]));
		put_string(&all, BYTES_NONE);
	}
	put_string(w, writer_view(&all));
}

/* A public key is its type and the key: here only the latter is wanted. */
static struct bytes key_alone(const struct ssh_host_key *k)
{
	struct reader r = reader_init(ssh_host_key_public(k));

	reader_skip(&r, reader_u32be(&r));
	uint32_t n = reader_u32be(&r);
	return reader_bytes(&r, n);
}

static const char *algorithm_of(const struct ssh_host_key *ca)
{
	static const char *const names[] = {"ssh-ed25519", "ecdsa-sha2-nistp256",
					    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
					    "rsa-sha2-512"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (ssh_host_key_can(ca, names[i]))
			return names[i];
	return NULL;
}

int ssh_certificate_make(const struct ssh_certificate *c, uint8_t *out, size_t cap, size_t *ret_n)
{
	struct writer w = writer_init(out, cap);
	uint8_t nonce[NONCE_BYTES], signature[SIGNATURE_MAX], principals[260];
	struct writer list = WRITER_IN(principals);
	const char *algorithm = algorithm_of(c->ca);
	size_t n = 0;

	if (!algorithm || !ssh_host_key_can(c->key, "ssh-ed25519"))
		return SSH_HOST_KEY_ALGORITHM;
	if (RAND_bytes(nonce, sizeof nonce) != 1)
		return -ENOMEM;
	put_string(&list, c->user);
	put_string(&w, bytes_str("ssh-ed25519-cert-v01@openssh.com"));
	put_string(&w, bytes_of(nonce, sizeof nonce));
	put_string(&w, key_alone(c->key));
	writer_u64be(&w, 0); /* serial */
	writer_u32be(&w, TYPE_USER);
	put_string(&w, bytes_str(c->id));
	put_string(&w, writer_view(&list));
	writer_u64be(&w, (uint64_t)(c->now_s - SSH_CERTIFICATE_SKEW_S));
	writer_u64be(&w, (uint64_t)(c->now_s + SSH_CERTIFICATE_LIVES_S));
	put_string(&w, BYTES_NONE); /* critical options */
	put_extensions(&w);
	put_string(&w, BYTES_NONE); /* reserved */
	put_string(&w, ssh_host_key_public(c->ca));
	/* No principal at all would be every user. */
	if (!writer_ok(&w) || !writer_ok(&list) || c->user.n == 0)
		return -ENOBUFS;
	int r = ssh_host_key_sign(c->ca, algorithm, writer_view(&w), signature, sizeof signature,
				  &n);

	if (r != SSH_HOST_KEY_OK)
		return r;
	put_string(&w, bytes_of(signature, n));
	*ret_n = writer_pos(&w);
	return writer_ok(&w) ? SSH_HOST_KEY_OK : -ENOBUFS;
}
