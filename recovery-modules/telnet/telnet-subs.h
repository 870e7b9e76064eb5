/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-subs: the sub-negotiations of a connection that another server may want to hear again.
 *
 *	asked   the server asked, and what the client answered (TTYPE, TSPEED, NEW-ENVIRON, ...
 *SEND; LINEMODE MODE) told    the server said something that has no answer said    the client said
 *something of its own accord (NAWS: the latest; LINEMODE's characters)
 */
#ifndef TELNET_SUBS_H
#define TELNET_SUBS_H

#include "base/bytes.h"

#define TELNET_SUBS_MAX  16u
#define TELNET_ARENA_MAX 640u

#define TELNET_SUB_ASKED 0
#define TELNET_SUB_TOLD  1
#define TELNET_SUB_SAID  2

struct telnet_sub {
	uint8_t option;
	uint8_t kind;
	bool answered;
	bool lost;      /* the answer was too long to keep */
	bool used;      /* recovery: the backup has asked for it, or told it, too; */
	bool wanted;    /* and waits for the answer */
	uint16_t at, n; /* the client's words, in the arena */
	uint64_t hash;  /* of the server's */
};

struct telnet_subs {
	uint8_t n;
	uint16_t arena_n;
	struct telnet_sub list[TELNET_SUBS_MAX];
	uint8_t arena[TELNET_ARENA_MAX];
};

/* Does the server ask with it, the client answer with it? */
bool telnet_sub_asks(uint8_t option, struct bytes b);
bool telnet_sub_answers(uint8_t option, struct bytes b);
uint64_t telnet_sub_hash(struct bytes b);

/* What does not fit is not remembered; then NULL. */
struct telnet_sub *telnet_subs_add(struct telnet_subs *s, uint8_t option, uint8_t kind,
				   uint64_t hash);
/* The oldest question about @option without an answer. */
struct telnet_sub *telnet_subs_unanswered(struct telnet_subs *s, uint8_t option);
/* The oldest of the server's words that is like this and was not used. */
struct telnet_sub *telnet_subs_unused(struct telnet_subs *s, uint8_t option, uint8_t kind,
				      uint64_t hash);
void telnet_subs_answer(struct telnet_subs *s, struct telnet_sub *e, struct bytes b);
/* The client's own words; a window size replaces the one before. */
void telnet_subs_say(struct telnet_subs *s, uint8_t option, struct bytes b);

static inline struct bytes telnet_sub_words(const struct telnet_subs *s, const struct telnet_sub *e)
{
	return bytes_of(s->arena + e->at, e->n);
}

#endif
