/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-tap.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector-link.h"
#include "tap.h"

/* <openssl/obj_mac.h> */
#define NID_SHA1   64
#define NID_SHA256 672
#define NID_SHA384 673
#define NID_SHA512 674

/* sshd moves its connection away from standard input. */
static int connection_fd = -1;

bool ssh_tap_is_on(void)
{
	return tap_is_on() && tap_one_connection();
}

enum ssh_hash ssh_tap_hash(int nid)
{
	switch (nid) {
	case NID_SHA1:
		return SSH_SHA1;
	case NID_SHA256:
		return SSH_SHA256;
	case NID_SHA384:
		return SSH_SHA384;
	case NID_SHA512:
		return SSH_SHA512;
	}
	return (enum ssh_hash)0;
}

void ssh_tap_dup(int from, int to)
{
	if (from == STDIN_FILENO && to > STDERR_FILENO && connection_fd < 0 && ssh_tap_is_on())
		connection_fd = to;
}

/*
 * The session must not go on. A connection that is shut lets sshd end as it does when a client
 * has gone; where it is not known which one that is, only the process can end.
 */
static void fail_connection(void)
{
	int error = errno;

	if (connection_fd < 0 || shutdown(connection_fd, SHUT_RDWR) < 0)
		_exit(255);
	errno = error;
}

void ssh_tap_end(struct ssh_derivation *d, const void *digest)
{
	const struct socket_ends *ends = tap_one_connection();
	struct session_keys k = {.protocol = KEYS_SSH};

	if (!ssh_derivation_end(d, digest, &k.ssh))
		return;
	if (ends) {
		k.server = ends->server;
		k.client = ends->client;
		if (!collector_link_keys(&k))
			fail_connection();
	}
	ssh_derivation_forget(d);
}
