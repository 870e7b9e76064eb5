/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-derivation.h"

void ssh_derivation_forget(struct ssh_derivation *d)
{
	if (d->parts > 0)
		explicit_bzero(d, sizeof *d);
	d->digest = NULL;
}

void ssh_derivation_begin(struct ssh_derivation *d, const void *digest, enum ssh_hash hash)
{
	ssh_derivation_forget(d);
	d->digest = digest;
	d->hash = hash;
}

static bool keep(uint8_t *to, uint16_t *ret_bytes, size_t room, struct bytes part)
{
	if (part.n == 0 || part.n > room)
		return false;
	memcpy(to, part.p, part.n);
	*ret_bytes = (uint16_t)part.n;
	return true;
}

static bool is_k(struct bytes part)
{
	struct reader r = reader_init(part);
	uint32_t n = reader_u32be(&r);

	return reader_ok(&r) && n > 0 && n == reader_left(&r);
}

static bool may_be(struct ssh_derivation *d, struct bytes part)
{
	switch (d->parts) {
	case 0:
		return is_k(part) && keep(d->k, &d->k_bytes, sizeof d->k, part);
	case 1:
		return part.n == ssh_hash_bytes(d->hash) &&
		       keep(d->h, &d->h_bytes, sizeof d->h, part);
	case 2:
		return part.n == 1 && part.p[0] == 'A';
	case 3:
		return keep(d->session_id, &d->id_bytes, sizeof d->session_id, part);
	default:
		return false;
	}
}

void ssh_derivation_part(struct ssh_derivation *d, const void *digest, struct bytes part)
{
	if (!d->digest || d->digest != digest)
		return;
	if (may_be(d, part))
		d->parts++;
	else
		ssh_derivation_forget(d);
}

bool ssh_derivation_end(struct ssh_derivation *d, const void *digest, struct ssh_keys *ret)
{
	if (!d->digest || d->digest != digest)
		return false;
	if (d->parts != SSH_DERIVATION_PARTS) {
		ssh_derivation_forget(d);
		return false;
	}
	*ret = (struct ssh_keys){d->hash, bytes_of(d->k, d->k_bytes), bytes_of(d->h, d->h_bytes),
				 bytes_of(d->session_id, d->id_bytes)};
	return true;
}
