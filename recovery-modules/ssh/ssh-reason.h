/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-reason: why an SSH connection cannot be followed. The words are those of plans and reports;
 * the order is in checkpoints.
 */
#ifndef SSH_REASON_H
#define SSH_REASON_H

#include <stdint.h>

#define SSH_REASONS(X)                                \
	X(NONE, "")                                   \
	X(NOT_SSH, "not-ssh")                         \
	X(MALFORMED, "ssh-malformed")                 \
	X(FORGED, "ssh-forged")                       \
	X(COMPRESSION, "ssh-compression")             \
	X(CIPHER_UNKNOWN, "ssh-cipher-unknown")       \
	X(NOTHING_AGREED, "ssh-nothing-agreed")       \
	X(KEXINIT_TOO_LONG, "ssh-kexinit-too-long")   \
	X(KEYS_FAILED, "ssh-keys-failed")             \
	X(USER_UNCLEAR, "ssh-user-unclear")           \
	X(TOO_MANY_CHANNELS, "ssh-too-many-channels") \
	X(TOO_MANY_REQUESTS, "ssh-too-many-requests") \
	X(CHANNEL_UNKNOWN, "ssh-channel-unknown")

enum ssh_reason {
#define X(name, word) SSH_REASON_##name,
	SSH_REASONS(X)
#undef X
	SSH_REASON_COUNT,
};

static inline const char *ssh_reason_word(uint8_t reason)
{
	static const char *const words[] = {
#define X(name, word) word,
		SSH_REASONS(X)
#undef X
	};

	return reason < SSH_REASON_COUNT ? words[reason] : "";
}

#endif
