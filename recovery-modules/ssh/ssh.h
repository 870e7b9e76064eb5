/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh: the module: a session that survives its server, by Controlled Partial Replay. It is followed
 * with keys that are elsewhere; towards the client it goes on as the old server (ssh-server.h), and
 * on the backup, an ordinary sshd, it logs in as the same user by a certificate that lives a minute
 * (ssh-client.h) and says again the useful part: terminal, environment, shell or command.
 *
 *	live      keeps what no key has opened yet; with keys, packets that are not whole
 *	unseal    opens the rest
 *	plan      says what would be begun again, and refuses what cannot be
 *	resume    joins the two, channel by channel (ssh-join.h)
 */
#ifndef SSH_H
#define SSH_H

/* For the size of its state. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "jeebs/recovery-module.h"
#include "ssh-keys.h"
#include "ssh-session.h"

extern const struct jeebs_module ssh_module;

#define SSH_TURNS_MAX  2048
#define SSH_TYPED_MAX  1024
#define SSH_PATTERNS   1024
#define SSH_OPTION_MAX 257
#define SSH_STREAMS    2 /* what a program says, and its errors */
/* What is kept of a direction while keys are awaited. */
#define SSH_AWAIT_MAX ((uint64_t)16 << 20)

/* What a program has said in one stream, and the client may have. */
struct ssh_said {
	uint64_t n;
	XXH64_state_t digest;
};

struct ssh_options {
	char notice[SSH_OPTION_MAX]; /* "": none */
	char shell[SSH_OPTION_MAX];  /* "": the user's own */
	char restart[SSH_PATTERNS];  /* commands that may be run again, a pattern a line */
	uint64_t retain;
};

struct ssh {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	struct ssh_options options;
	uint64_t end[2]; /* bytes seen */
	uint64_t at[2];  /* where the next packet begins */
	size_t needs[2]; /* so many bytes from there on, before there is any use in looking */
	/* What was not looked at yet, in the order in which it was said: ends of what one side
	 * said, the side in the lowest bit. */
	uint32_t turns;
	uint64_t turn[SSH_TURNS_MAX];
	const char *lost;              /* why nothing can be continued; NULL: it can. Static text */
	const struct jeebs_keys *seen; /* that were there the last time */
	uint32_t candidate;
	bool opened;   /* a packet was opened with a key */
	bool unsealed; /* all was, with the keys of the cut */
	struct ssh_session session;
	/* By channel. */
	struct ssh_said said[SSH_CHANNELS_MAX][SSH_STREAMS];
	/* What was typed in a shell, and the server has not answered. */
	struct {
		uint8_t channel;
		bool over; /* there was more, or of several */
		uint16_t n;
		uint8_t p[SSH_TYPED_MAX];
	} typed;
};

/* ---- ssh-live.c ----------------------------------------------------------------------------- */

int ssh_live_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		  const struct jeebs_service *svc);
int ssh_live_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int ssh_live_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int ssh_live_fin(void *state, uint32_t dir, uint64_t off);
size_t ssh_live_checkpoint(const void *state, uint8_t *out, size_t cap);
int ssh_live_restore(void *state, struct jeebs_bytes checkpoint);
void ssh_live_close(void *state);

/* ---- ssh-follow.c --------------------------------------------------------------------------- */

/* The logs, and the chunk being shown behind that of its direction. */
struct ssh_source {
	struct jeebs_bytes (*log)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	uint8_t *(*scratch)(struct jeebs_flow *f, size_t n);
	struct jeebs_flow *flow;
	uint32_t dir;
	uint64_t off;
	struct bytes chunk;
	uint8_t *room[2]; /* for what is opened, and for a packet in pieces */
	size_t room_n[2];
};

/* Looks at all that was said, as far as there are keys. False: s->lost says why not. */
bool ssh_follow(struct ssh *s, struct ssh_source *src, struct ssh_keys_of *keys);
/* @dir has said everything up to @end. False as above. */
bool ssh_follow_turn(struct ssh *s, uint32_t dir, uint64_t end);
/* Data in a message that has passed, if it has any. */
void ssh_note_data(struct ssh *s, uint32_t dir, struct bytes payload);
int ssh_unseal(void *state, const struct jeebs_cut *cut);
/* Copies [from, to) of a log. False: it does not have all of it. */
bool ssh_log_copy(const struct jeebs_cut *cut, uint32_t dir, uint64_t from, uint64_t to,
		  uint8_t *out);

/* ---- ssh-plan.c ----------------------------------------------------------------------------- */

/* What becomes of a channel. */
enum ssh_way {
	SSH_WAY_NONE = 0, /* there is none */
	SSH_WAY_SHELL,    /* a new shell */
	SSH_WAY_RESTART,  /* its command is run again */
	SSH_WAY_END,      /* all was said: it is closed */
	SSH_WAY_REFUSED,
};

enum ssh_way ssh_way_of(const struct ssh *s, uint8_t channel, const char **ret_why);
void ssh_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);

/* ---- ssh-resume.c --------------------------------------------------------------------------- */

void ssh_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

#endif
