/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-joined: a connection that goes on, shared by tls-resume, tls-say and tls-channel.
 */
#ifndef TLS_JOINED_H
#define TLS_JOINED_H

#include "tls-ask.h"
#include "tls-inside.h"

/*
 * What the inner module has in its hands as a connection: the main one, or another of the
 * conversation. It lies in the memory of the host's channel.
 */
struct tls_handle {
	/* Its operations, and what they are called with. Of a connection that is not in TLS, or
	 * whose two ends have TLS with each other, they are the host's own. */
	const struct jeebs_join_ops *by;
	struct jeebs_join *as;
	/* The host's. */
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
	struct tls *main; /* of the main connection */
};

/* A handle of a connection that is sealed and opened here. */
struct tls_joined {
	struct tls_handle h;
	const struct tls *s;
	struct tls_plain *p; /* during an event */
	bool related;        /* it is not the main connection */
	struct tls_crypto crypto;
	struct tls_session session;
	struct tls_follow follow[2];
	struct tls_place at[2]; /* where the logs were read last */
	bool begun, over;
	bool pass[2];     /* by direction: the inner module is through with it */
	bool asked;       /* for a backend */
	bool client_over; /* the end of what the client says has been told */
	bool finished;    /* close_notify was said to the client */
	bool update_due;  /* a KeyUpdate has to go to the client before anything else */
	bool inner_timer, rest_timer;
	struct tls_ask ask;
	bool inner_holds, holding; /* the client: the inner module, and in all */
	bool inner_wants_room;     /* to the backend */
	/* The record to the client that was cut. */
	bool owes;
	struct tls_owed owed;
	enum tls_fill fill;       /* what it could be besides data */
	struct tls_follow before; /* in front of it */
	size_t content_n, enough;
	size_t begun_n; /* of `prefix`: what the inner module may follow */
	size_t whole_n; /* of the record, when it is complete */
	size_t in_n;    /* of a record of the client under way */
	uint8_t wire[TLS_RECORD_MAX], prefix[TLS_PAYLOAD_MAX], content[TLS_PLAIN_MAX];
	uint8_t in[TLS_RECORD_MAX], out[TLS_RECORD_MAX], text[TLS_PAYLOAD_MAX];
	_Alignas(max_align_t) uint8_t inner_memory[];
};
_Static_assert(sizeof(struct tls_joined) <= JEEBS_MEMORY_MAX / 2,
	       "the inner module has half of it");

static inline struct jeebs_bytes tls_given(const uint8_t *p, size_t n)
{
	return (struct jeebs_bytes){p, n};
}

/* tls-say.c */
/* Resets the connection; @why is static text. Nothing is done with it from then on. */
void tls_fail(struct tls_joined *m, const char *why);
/* Seals what is said. The record that was cut has it first. */
void tls_say(struct tls_joined *m, struct bytes b);
/* Ends the conversation in order, with close_notify. */
void tls_say_end(struct tls_joined *m);
/* Answers a KeyUpdate, if one is due and nothing is in its way. */
void tls_say_update(struct tls_joined *m);
/*
 * The record that was cut says @content, nothing that the inner module knows. A KeyUpdate is
 * followed as if it had been seen.
 */
void tls_say_message(struct tls_joined *m, struct bytes content);
/* Seals the record that was cut with the content that there is. */
void tls_say_complete(struct tls_joined *m);
/* Makes the record that was cut a message. What was said for it is said behind it. */
void tls_stand_aside(struct tls_joined *m);
/* Whether it may be completed as a message, whatever the inner module goes on to say. */
bool tls_can_fill_in(const struct tls_joined *m);
/* Whether it may be completed as close_notify, as the conversation is over. */
bool tls_can_close(const struct tls_joined *m);
/* Whether it, as one of data, may end with what was said of it. */
bool tls_may_end(const struct tls_joined *m);
/* How much the client takes in a record. */
size_t tls_record_limit(const struct tls_joined *m);

/* tls-resume.c: of a handle that is sealed and opened here. */
extern const struct jeebs_join_ops tls_sealed_ops;
static inline bool tls_is_sealed(const struct tls_handle *h)
{
	return h->by == &tls_sealed_ops;
}

/* tls-channel.c: the other connections of the conversation. */
/* What the inner module does with any handle. */
extern const struct jeebs_join_ops tls_channel_ops;
/* Makes the handles of the related connections. The main one begins. */
void tls_channels_begin(struct tls_joined *main, const struct jeebs_cut *cut);
/* The handle of the related connection @i if it is sealed here; NULL: it is not, or is gone. */
struct tls_joined *tls_channel_sealed(const struct jeebs_join_ops *ops, struct jeebs_join *j,
				      const struct jeebs_cut *cut, uint32_t i);
/* tls-resume.c: begins at the cut. False: it cannot, and was reset. */
bool tls_joined_begin(struct tls_joined *m, const struct tls *s, const struct jeebs_cut *cut);

#endif
