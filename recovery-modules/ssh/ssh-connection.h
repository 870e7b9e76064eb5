/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-connection: the connection protocol as it stands (RFC 4254), and who has logged in (RFC
 * 4252): channels with the numbers, windows and largest packets of both sides, what was asked for
 * and has no answer yet, and what another server must be told to have the same channels.
 * It is told of every message, in the order of the wire. Bounded and without pointers.
 */
#ifndef SSH_CONNECTION_H
#define SSH_CONNECTION_H

#include "ssh-notes.h"
#include "ssh-reason.h"
#include "ssh-wire.h"

#define SSH_CHANNELS_MAX 64u
#define SSH_REQUESTS_MAX 64u
#define SSH_USER_MAX     128u

enum ssh_channel_state {
	SSH_CHANNEL_FREE = 0,
	SSH_CHANNEL_OPENING, /* asked for */
	SSH_CHANNEL_OPEN,    /* until both have said CLOSE */
};

enum ssh_channel_type {
	SSH_CHANNEL_SESSION = 0,
	SSH_CHANNEL_DIRECT_TCPIP,
	SSH_CHANNEL_FORWARDED_TCPIP,
	SSH_CHANNEL_DIRECT_STREAMLOCAL,
	SSH_CHANNEL_FORWARDED_STREAMLOCAL,
	SSH_CHANNEL_X11,
	SSH_CHANNEL_AGENT,
	SSH_CHANNEL_OTHER,
	SSH_CHANNEL_TYPES,
};

/* What runs in a session: the request that was granted, or has no answer yet. */
enum ssh_program {
	SSH_PROGRAM_NONE = 0,
	SSH_PROGRAM_SHELL,
	SSH_PROGRAM_EXEC,
	SSH_PROGRAM_SUBSYSTEM,
	SSH_PROGRAMS,
};

/* Pairs are by direction, as JEEBS_TO_*. */
struct ssh_channel {
	uint8_t state;  /* enum ssh_channel_state */
	uint8_t type;   /* enum ssh_channel_type */
	uint8_t opener; /* the direction of its CHANNEL_OPEN */
	uint8_t program;
	bool pty;
	bool incomplete; /* something of it had no room in the notes */
	bool exited;     /* the server has said exit-status or exit-signal */
	bool eof[2], closed[2];
	uint32_t id[2];                        /* by which messages in that direction name it */
	uint32_t window[2];                    /* bytes that may still be sent in that direction */
	uint32_t max_packet[2];                /* of data in that direction */
	uint64_t data[2];                      /* bytes, extended data among them */
	uint32_t columns, rows, width, height; /* of the terminal, as it is now */
};

enum ssh_request_kind {
	SSH_REQUEST_OTHER = 0,
	SSH_REQUEST_PTY,
	SSH_REQUEST_ENV,
	SSH_REQUEST_SHELL,
	SSH_REQUEST_EXEC,
	SSH_REQUEST_SUBSYSTEM,
	SSH_REQUEST_WINDOW_CHANGE,
	SSH_REQUEST_EXIT, /* exit-status, exit-signal */
	SSH_REQUEST_AGENT,
	SSH_REQUEST_X11,
	SSH_REQUEST_FORWARD, /* global from here on */
	SSH_REQUEST_CANCEL_FORWARD,
	SSH_REQUEST_FORWARD_LOCAL,
	SSH_REQUEST_CANCEL_FORWARD_LOCAL,
	SSH_REQUEST_NO_MORE_SESSIONS,
	SSH_REQUEST_PING,
	SSH_REQUEST_KINDS,
};

/* Asked for, and not answered. */
struct ssh_request {
	uint8_t kind;    /* enum ssh_request_kind */
	uint8_t dir;     /* of the request */
	uint8_t channel; /* place of the channel; SSH_NOTE_GLOBAL */
	uint32_t note;   /* what goes when it is refused; of a cancelling: when granted. 0: none */
};

struct ssh_connection {
	bool authenticated;
	bool no_more_sessions; /* the client has said so */
	bool incomplete;       /* a forwarding had no room in the notes */
	uint8_t user_n;
	uint8_t user[SSH_USER_MAX];
	uint32_t opened; /* channels, ever */
	struct ssh_channel channel[SSH_CHANNELS_MAX];
	uint8_t request_n;
	struct ssh_request request[SSH_REQUESTS_MAX]; /* the oldest first */
	struct ssh_notes notes;
};

/* A message that has passed. Returns SSH_REASON_NONE, or why it cannot be followed any more. */
enum ssh_reason ssh_connection_see(struct ssh_connection *s, uint32_t dir, struct bytes payload);

/* The channel that messages in direction @dir name by @id. NULL: there is none. */
struct ssh_channel *ssh_connection_channel(struct ssh_connection *s, uint32_t dir, uint32_t id);

/*
 * The data of a message that has any (CHANNEL_DATA, CHANNEL_EXTENDED_DATA); false: it is no such
 * message. @ret_code: 0 or the data type code.
 */
bool ssh_channel_data(struct bytes payload, uint32_t *ret_id, uint32_t *ret_code,
		      struct bytes *ret);

#endif
