/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-recording: a conversation of stock programs (record-conversation), with its keys.
 */
#ifndef SSH_TEST_SSH_RECORDING_H
#define SSH_TEST_SSH_RECORDING_H

#include "crypto-rig.h"
#include "recovery-modules/ssh/ssh-transport.h"

struct ssh_recording {
	const char *name;
	struct buf file, keys;
	struct buf all[2]; /* what was said, by direction */
};

/* @folder: with conversations/ and keys/ in it. Fails the test if it is not there. */
void ssh_recording_load(struct ssh_recording *r, const char *folder, const char *name);
void ssh_recording_free(struct ssh_recording *r);
/* Names in @folder/conversations, at most @max of them, to be freed by free(). */
size_t ssh_recording_names(const char *folder, char **ret, size_t max);

/*
 * Goes through a recording as it was on the wire, and gives what can be taken to @take, which says
 * how much it has used; what is left comes again with more. @chunk: bytes at a time, at most.
 */
void ssh_recording_play(const struct ssh_recording *r, size_t chunk,
			size_t (*take)(void *ctx, uint32_t dir, uint64_t off, struct bytes b),
			void *ctx);

#endif
