/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-notes: the part of a conversation that is worth saying again to another server, in its order:
 * what a client had asked for, as it was on the wire behind the fields that all requests have.
 * Bounded: what has no room is not noted, and its channel is known to be incomplete.
 */
#ifndef SSH_NOTES_H
#define SSH_NOTES_H

#include "base/bytes.h"

#define SSH_NOTES_BYTES 8192u
#define SSH_NOTE_HEAD   8u

enum ssh_note_kind {
	SSH_NOTE_OPEN = 0,          /* of a channel: what follows its maximum packet */
	SSH_NOTE_PTY = 1,           /* pty-req */
	SSH_NOTE_ENV = 2,           /* env */
	SSH_NOTE_SHELL = 3,         /* shell */
	SSH_NOTE_EXEC = 4,          /* exec */
	SSH_NOTE_SUBSYSTEM = 5,     /* subsystem */
	SSH_NOTE_AGENT = 6,         /* auth-agent-req@openssh.com */
	SSH_NOTE_X11 = 7,           /* x11-req */
	SSH_NOTE_FORWARD = 8,       /* tcpip-forward */
	SSH_NOTE_FORWARD_LOCAL = 9, /* streamlocal-forward@openssh.com */
	SSH_NOTE_PING = 10,         /* ping@openssh.com that has no answer yet */
	SSH_NOTE_KINDS,
};

/* The channel of what belongs to none. */
#define SSH_NOTE_GLOBAL 0xffu

struct ssh_note {
	uint32_t serial; /* never 0 */
	uint8_t kind;    /* enum ssh_note_kind */
	uint8_t channel;
	struct bytes data;
};

struct ssh_notes {
	uint32_t last; /* serial */
	uint16_t n;
	uint8_t p[SSH_NOTES_BYTES];
};

/* 0: there is no room. */
uint32_t ssh_notes_add(struct ssh_notes *s, uint8_t kind, uint8_t channel, struct bytes data);
void ssh_notes_drop(struct ssh_notes *s, uint32_t serial);
void ssh_notes_drop_channel(struct ssh_notes *s, uint8_t channel);
/* The first of that kind with the same data; 0: there is none. */
uint32_t ssh_notes_find(const struct ssh_notes *s, uint8_t kind, struct bytes data);
/* Goes through all: *io_at begins as 0. False: there is no more. Valid until a note is dropped. */
bool ssh_notes_next(const struct ssh_notes *s, size_t *io_at, struct ssh_note *ret);
/* Whether what a checkpoint said can be gone through. */
bool ssh_notes_sound(const struct ssh_notes *s);

#endif
