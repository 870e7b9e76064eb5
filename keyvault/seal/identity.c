/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "secret.h"

#define URI_PREFIX "jeebs:"

struct identity {
	X509 *certificate;
	EVP_PKEY *key;
	struct subject subject;
};

static const char *const role_names[] = {"none", "vault", "recovery", "origin"};

const char *identity_role_name(enum identity_role role)
{
	return role >= IDENTITY_NONE && role <= IDENTITY_ORIGIN ? role_names[role] : "none";
}

bool identity_name_valid(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t n = strlen(name);

	return n > 0 && n <= IDENTITY_NAME_MAX && name[0] != '.' && strspn(name, allowed) == n;
}

/* "jeebs:origin:web1". False: a role of nobody. */
static bool read_role(struct bytes uri, struct subject *io)
{
	char text[sizeof URI_PREFIX + sizeof "recovery:" + IDENTITY_NAME_MAX] = "";

	if (io->role != IDENTITY_NONE || uri.n >= sizeof text || memchr(uri.p, 0, uri.n))
		return false;
	memcpy(text, uri.p, uri.n);
	const char *role = text + sizeof URI_PREFIX - 1;
	const char *colon = strchr(role, ':');
	size_t n = colon ? (size_t)(colon - role) : strlen(role);
	for (enum identity_role i = IDENTITY_VAULT; i <= IDENTITY_ORIGIN; i++) {
		if (strlen(role_names[i]) == n && strncmp(role_names[i], role, n) == 0)
			io->role = i;
	}
	if (colon && identity_name_valid(colon + 1))
		memcpy(io->name, colon + 1, strlen(colon + 1) + 1);
	bool named = io->name[0] != 0;
	/* An origin has a name, the vault has none, a recovery identity may. */
	return io->role != IDENTITY_NONE && (!colon || named) &&
	       (io->role != IDENTITY_ORIGIN || named) && (io->role != IDENTITY_VAULT || !named);
}

static bool read_address(struct bytes ip, struct subject *io)
{
	struct netaddr *a = &io->address[io->addresses];

	if (io->addresses == IDENTITY_ADDRESSES_MAX || (ip.n != 4 && ip.n != 16))
		return false;
	a->family = ip.n == 4 ? NETADDR_V4 : NETADDR_V6;
	memcpy(a->b, ip.p, ip.n);
	io->addresses++;
	return true;
}

static struct bytes string_view(const ASN1_STRING *s)
{
	return bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static bool read_name(const GENERAL_NAME *name, struct subject *io)
{
	int type;
	const void *value = GENERAL_NAME_get0_value(name, &type);

	if (type == GEN_IPADD)
		return read_address(string_view(value), io);
	if (type != GEN_URI)
		return true;
	struct bytes uri = string_view(value);
	if (!bytes_eq(bytes_head(uri, sizeof URI_PREFIX - 1), bytes_str(URI_PREFIX)))
		return true;
	return read_role(uri, io);
}

bool subject_of(X509 *certificate, struct subject *ret)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	struct subject s = {0};
	bool ours = names;

	for (int i = 0; ours && i < sk_GENERAL_NAME_num(names); i++)
		ours = read_name(sk_GENERAL_NAME_value(names, i), &s);
	GENERAL_NAMES_free(names);
	if (!ours || s.role == IDENTITY_NONE)
		return false;
	*ret = s;
	return true;
}

bool subject_has_address(const struct subject *s, const struct netaddr *a)
{
	for (size_t i = 0; i < s->addresses; i++) {
		if (netaddr_eq(&s->address[i], a))
			return true;
	}
	return false;
}

int identity_new(X509 *certificate, EVP_PKEY *key, struct identity **ret)
{
	struct identity *i = calloc(1, sizeof *i);

	if (!i)
		return -ENOMEM;
	if (!subject_of(certificate, &i->subject)) {
		free(i);
		return -EINVAL;
	}
	if (X509_up_ref(certificate))
		i->certificate = certificate;
	if (EVP_PKEY_up_ref(key))
		i->key = key;
	if (!i->certificate || !i->key) {
		identity_close(i);
		return -EIO;
	}
	*ret = i;
	return 0;
}

void identity_close(struct identity *i)
{
	if (!i)
		return;
	X509_free(i->certificate);
	EVP_PKEY_free(i->key);
	free(i);
}

X509 *identity_certificate(const struct identity *i)
{
	return i->certificate;
}

EVP_PKEY *identity_key(const struct identity *i)
{
	return i->key;
}

const struct subject *identity_subject(const struct identity *i)
{
	return &i->subject;
}

bool identity_agrees(X509 *certificate, EVP_PKEY *key)
{
	_cleanup_secret_ struct secret shared = {0};
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	size_t n = 32;
	bool done = c && secret_new(n, &shared) == 0 && EVP_PKEY_derive_init(c) > 0 &&
		    EVP_PKEY_CTX_set_ecdh_kdf_type(c, EVP_PKEY_ECDH_KDF_X9_63) > 0 &&
		    EVP_PKEY_CTX_set_ecdh_kdf_md(c, EVP_sha256()) > 0 &&
		    EVP_PKEY_CTX_set_ecdh_kdf_outlen(c, (int)n) > 0 &&
		    EVP_PKEY_derive_set_peer(c, X509_get0_pubkey(certificate)) > 0 &&
		    EVP_PKEY_derive(c, shared.p, &n) > 0;

	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return done;
}
