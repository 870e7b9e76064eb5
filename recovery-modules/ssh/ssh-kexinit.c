/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-kexinit.h"

bool ssh_kexinit_read(struct bytes payload, struct ssh_kexinit *ret)
{
	struct reader r = reader_init(payload);

	if (reader_u8(&r) != SSH_MSG_KEXINIT)
		return false;
	reader_skip(&r, SSH_COOKIE);
	for (int i = 0; i < SSH_LISTS; i++)
		ret->list[i] = ssh_string(&r);
	ret->first_follows = reader_u8(&r) != 0;
	(void)reader_u32be(&r);
	return reader_ok(&r);
}

void ssh_kexinit_write(struct writer *w, const struct ssh_kexinit *of,
		       const char *const instead[SSH_LISTS], const uint8_t *cookie)
{
	writer_u8(w, SSH_MSG_KEXINIT);
	writer_copy(w, cookie, SSH_COOKIE);
	for (int i = 0; i < SSH_LISTS; i++)
		ssh_put_string(w, instead[i] ? bytes_str(instead[i]) : of->list[i]);
	writer_u8(w, 0);
	writer_u32be(w, 0);
}

bool ssh_list_next(struct bytes *io_list, struct bytes *ret_name)
{
	size_t n = 0;

	if (io_list->n == 0)
		return false;
	while (n < io_list->n && io_list->p[n] != ',')
		n++;
	*ret_name = bytes_head(*io_list, n);
	*io_list = bytes_from(*io_list, n + 1);
	return true;
}

bool ssh_list_has(struct bytes list, struct bytes name)
{
	struct bytes one;

	while (ssh_list_next(&list, &one))
		if (bytes_eq(one, name))
			return true;
	return false;
}

/* The client's first that the server has too. */
static bool choose(struct bytes client, struct bytes server, struct bytes *ret)
{
	while (ssh_list_next(&client, ret))
		if (ret->n > 0 && ssh_list_has(server, *ret))
			return true;
	return false;
}

static bool same_first(struct bytes a, struct bytes b)
{
	struct bytes x = BYTES_NONE, y = BYTES_NONE;

	return ssh_list_next(&a, &x) && ssh_list_next(&b, &y) && bytes_eq(x, y);
}

static int agree_direction(const struct ssh_kexinit *c, const struct ssh_kexinit *s, int dir,
			   struct ssh_suite *ret)
{
	struct bytes cipher = BYTES_NONE, mac = BYTES_NONE, compression = BYTES_NONE;

	if (!choose(c->list[SSH_LIST_CIPHER + dir], s->list[SSH_LIST_CIPHER + dir], &cipher))
		return SSH_AGREED_NOTHING;
	/* With a cipher that has its own nobody need agree on a MAC. */
	if (!choose(c->list[SSH_LIST_MAC + dir], s->list[SSH_LIST_MAC + dir], &mac))
		mac = BYTES_NONE;
	if (!choose(c->list[SSH_LIST_COMPRESSION + dir], s->list[SSH_LIST_COMPRESSION + dir],
		    &compression))
		return SSH_AGREED_NOTHING;
	if (!ssh_is(compression, "none"))
		return SSH_AGREED_COMPRESSION;
	return ssh_suite_find(cipher, mac, ret) ? SSH_AGREED : SSH_AGREED_UNKNOWN;
}

int ssh_kexinit_agree(const struct ssh_kexinit *client, const struct ssh_kexinit *server,
		      struct ssh_agreed *ret)
{
	int r = SSH_AGREED;

	if (!choose(client->list[SSH_LIST_KEX], server->list[SSH_LIST_KEX], &ret->kex) ||
	    !choose(client->list[SSH_LIST_HOST_KEY], server->list[SSH_LIST_HOST_KEY],
		    &ret->host_key))
		return SSH_AGREED_NOTHING;
	bool wrong = !same_first(client->list[SSH_LIST_KEX], server->list[SSH_LIST_KEX]) ||
		     !same_first(client->list[SSH_LIST_HOST_KEY], server->list[SSH_LIST_HOST_KEY]);

	ret->guessed_wrong[0] = wrong && client->first_follows;
	ret->guessed_wrong[1] = wrong && server->first_follows;
	for (int dir = 0; dir < 2 && r == SSH_AGREED; dir++)
		r = agree_direction(client, server, dir, &ret->suite[dir]);
	return r;
}
