/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-kexinit: SSH_MSG_KEXINIT and what two of them agree on (RFC 4253, section 7.1).
 */
#ifndef SSH_KEXINIT_H
#define SSH_KEXINIT_H

#include "ssh-suite.h"
#include "ssh-wire.h"

#define SSH_KEXINIT_MAX 4096u /* OpenSSH's has 1,500 bytes */
#define SSH_COOKIE      16u

enum ssh_list {
	SSH_LIST_KEX = 0,
	SSH_LIST_HOST_KEY = 1,
	SSH_LIST_CIPHER = 2,      /* and 3: by direction */
	SSH_LIST_MAC = 4,         /* and 5 */
	SSH_LIST_COMPRESSION = 6, /* and 7 */
	SSH_LIST_LANGUAGE = 8,    /* and 9 */
	SSH_LISTS = 10,
};

struct ssh_kexinit {
	struct bytes list[SSH_LISTS]; /* names with commas between them */
	bool first_follows;           /* a guessed packet comes next */
};

/* @payload: the whole message. False: it is malformed. */
bool ssh_kexinit_read(struct bytes payload, struct ssh_kexinit *ret);
/* With the same lists as @of but for those that are not NULL in @instead. @cookie: SSH_COOKIE. */
void ssh_kexinit_write(struct writer *w, const struct ssh_kexinit *of,
		       const char *const instead[SSH_LISTS], const uint8_t *cookie);

/* Takes the next name from the front of @io_list. False: there is none. */
bool ssh_list_next(struct bytes *io_list, struct bytes *ret_name);
bool ssh_list_has(struct bytes list, struct bytes name);

enum {
	SSH_AGREED = 0,
	SSH_AGREED_NOTHING = 1,     /* the two have nothing in common */
	SSH_AGREED_COMPRESSION = 2, /* on compression */
	SSH_AGREED_UNKNOWN = 3,     /* on a cipher or a MAC that is not known here */
};

struct ssh_agreed {
	struct bytes kex, host_key; /* views of the client's lists */
	bool guessed_wrong[2];      /* the packet that follows a KEXINIT counts for nothing */
	struct ssh_suite suite[2];  /* by direction */
};

int ssh_kexinit_agree(const struct ssh_kexinit *client, const struct ssh_kexinit *server,
		      struct ssh_agreed *ret);

#endif
