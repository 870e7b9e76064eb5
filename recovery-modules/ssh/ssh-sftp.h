/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-sftp: what stands open in an SFTP session (draft-ietf-secsh-filexfer-02, version 3, and
 * OpenSSH's extensions): handles with what they were opened for and how far they were read and
 * written, and the requests without a reply, each with its place in the client's data. It is shown
 * the data of the channel in both directions, in any chunking. Bounded and without pointers.
 */
#ifndef SSH_SFTP_H
#define SSH_SFTP_H

#include "ssh-notes.h"
#include "ssh-wire.h"

#define SFTP_HANDLES_MAX      64u
#define SFTP_REQUESTS_MAX     256u /* OpenSSH's client has 64 in flight, sshfs a few more */
#define SFTP_HANDLE_BYTES_MAX 32u  /* OpenSSH's have 4; the draft allows 256 */
#define SFTP_HEAD_MAX         1280u
#define SFTP_MESSAGE_MAX      (4u << 20)

enum sftp_message {
	SFTP_INIT = 1,
	SFTP_VERSION = 2,
	SFTP_OPEN = 3,
	SFTP_CLOSE = 4,
	SFTP_READ = 5,
	SFTP_WRITE = 6,
	SFTP_OPENDIR = 11,
	SFTP_READDIR = 12,
	SFTP_STATUS = 101,
	SFTP_HANDLE = 102,
	SFTP_DATA = 103,
	SFTP_NAME = 104,
	SFTP_EXTENDED_REPLY = 201,
};

#define SFTP_STATUS_OK  0u
#define SFTP_STATUS_EOF 1u

enum sftp_reason {
	SFTP_FOLLOWED = 0,
	SFTP_MALFORMED,
	SFTP_TOO_MANY_REQUESTS,
	SFTP_TOO_MANY_HANDLES,
	SFTP_HANDLE_TOO_LONG,
	SFTP_REPLY_UNKNOWN, /* a reply to nothing that was asked */
	SFTP_REASONS,
};

struct sftp_handle {
	bool used, directory;
	bool incomplete; /* what it was opened for had no room in the notes */
	bool ended;      /* reading has come to the end */
	uint8_t n;
	uint8_t p[SFTP_HANDLE_BYTES_MAX];
	uint32_t note; /* OPEN or OPENDIR behind its id: path, and of a file flags and attributes */
	uint64_t read_to;    /* the end of what was delivered */
	uint64_t written_to; /* the end of what the server has acknowledged */
	uint64_t read_bytes, written_bytes;
	uint32_t listings; /* replies to READDIR that had names */
};

#define SFTP_NO_HANDLE 0xffu

struct sftp_request {
	uint32_t id;
	uint8_t type;
	uint8_t handle; /* place; SFTP_NO_HANDLE */
	uint32_t note;
	uint64_t at;     /* of its length field, in the client's data */
	uint32_t n;      /* bytes of the whole message */
	uint64_t offset; /* READ, WRITE */
	uint32_t length;
};

/* One direction: the message that is coming. */
struct sftp_stream {
	uint64_t at;     /* of its length field */
	uint64_t seen;   /* bytes shown so far */
	uint32_t n;      /* of the whole message; 0: not known */
	uint16_t head_n; /* of its beginning, which is kept */
	uint8_t head[SFTP_HEAD_MAX];
};

struct ssh_sftp {
	uint8_t refused;  /* enum sftp_reason */
	uint32_t version; /* what the two have agreed on; 0: not yet */
	uint32_t asked_version;
	struct sftp_stream stream[2];
	struct sftp_handle handle[SFTP_HANDLES_MAX];
	uint16_t request_n;
	struct sftp_request request[SFTP_REQUESTS_MAX]; /* the oldest first */
	struct ssh_notes notes;
};

/* The next data of the channel. Returns enum sftp_reason; if it is not SFTP_FOLLOWED, for good. */
enum sftp_reason ssh_sftp_data(struct ssh_sftp *s, uint32_t dir, struct bytes b);
/* Where in the client's data begins what is still needed: requests without a reply, and the message
 * that is coming. */
uint64_t ssh_sftp_needs_from(const struct ssh_sftp *s);
/* "sftp-malformed" ... */
const char *ssh_sftp_word(uint8_t reason);

void ssh_sftp_write(const struct ssh_sftp *s, struct writer *w);
/* Reads all of @b. False: it is none, or says what cannot be. */
bool ssh_sftp_read(struct bytes b, struct ssh_sftp *ret);

#endif
