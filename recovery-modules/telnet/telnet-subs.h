/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-subs: the sub-negotiations of a connection that another server may want to hear again.
 *
 *	asked	the server asked, and the client answered (TTYPE, TSPEED, NEW-ENVIRON
 *		SEND; LINEMODE MODE)
 *	told	the server said something that has no answer
 *	said	the client said something by itself (NAWS: the latest; LINEMODE's characters)
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
	bool used;      /* recovery: the backup has asked or told the same, */
	bool wanted;    /* and waits for the answer */
	uint16_t at, n; /* place and length of the client's words in the arena */
	uint64_t hash;  /* of the server's words */
};

struct telnet_subs {
	uint8_t n;
	uint16_t arena_n;
	struct telnet_sub list[TELNET_SUBS_MAX];
	uint8_t arena[TELNET_ARENA_MAX];
};

/* Whether the server asks with it; whether the client answers with it. */
bool telnet_sub_asks(uint8_t option, struct bytes b);
bool telnet_sub_answers(uint8_t option, struct bytes b);
uint64_t telnet_sub_hash(struct bytes b);

/* Notes words of the server. NULL: there is no room, and they are not noted. */
struct telnet_sub *telnet_subs_add(struct telnet_subs *s, uint8_t option, uint8_t kind,
				   uint64_t hash);
/* The oldest question about @option without an answer. */
struct telnet_sub *telnet_subs_unanswered(struct telnet_subs *s, uint8_t option);
/* The oldest equal words of the server that were not used. */
struct telnet_sub *telnet_subs_unused(struct telnet_subs *s, uint8_t option, uint8_t kind,
				      uint64_t hash);
void telnet_subs_answer(struct telnet_subs *s, struct telnet_sub *e, struct bytes b);
/* Notes the client's own words. A window size replaces the one before. */
void telnet_subs_say(struct telnet_subs *s, uint8_t option, struct bytes b);

static inline struct bytes telnet_sub_words(const struct telnet_subs *s, const struct telnet_sub *e)
{
	return bytes_of(s->arena + e->at, e->n);
}

#endif
