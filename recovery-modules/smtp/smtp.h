/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * smtp: the state of one SMTP session, shared by the files of this module.
 *
 * THEORY OF OPERATION
 *
 * Live, the client's bytes are a sequence of units: command lines, the content after DATA, chunks
 * after BDAT, lines of an AUTH exchange. Each unit gets one reply, in order (RFC 2920); the first
 * reply is the greeting. Units without a complete reply wait in a queue. The client's next bytes
 * stay unread in the log when their meaning depends on a reply (DATA, AUTH, EHLO, STARTTLS), or
 * when the queue is full.
 *
 * The state contains the client's name, the extensions it was offered, and its login if that may be
 * repeated. The logs keep the open transaction from its MAIL on, and the replies to it. Between
 * transactions nothing is kept.
 *
 * At a failover the session is built again with the backup: greeting, EHLO, AUTH, then the units in
 * the log. Replies that the client has are compared by their class, the one that was cut is
 * completed, further ones go to the client. Then both directions pass, unless the client was
 * offered an extension that the backup lacks: then smtp-resume.c stays in between.
 *
 * A transaction can always be failed with a 4xx before its last reply; the client then keeps the
 * mail and tries again. Whatever cannot be proven ends in this way.
 */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include <stdbool.h>

#include "jeebs/recovery-module.h"
#include "smtp-text.h"

#define SMTP_QUEUE_MAX   32u
#define SMTP_NAME_MAX    256u
#define SMTP_LOGIN_MAX   512u
#define SMTP_LINE_MAX    1024u  /* of a command line */
#define SMTP_REPLY_MAX   1536u  /* of a reply that is completed or compared */
#define SMTP_PENDING_MAX 2048u  /* commands that wait for a backup without PIPELINING */
#define SMTP_WAITING_MAX 65536u /* bytes of the server that wait for their command */

/* Why nothing can be recovered any more. The numbers are stored in checkpoints. */
enum smtp_reason {
	SMTP_FINE = 0,
	SMTP_CLIENT_GAP = 1,
	SMTP_SERVER_GAP = 2,
	SMTP_OLDER = 3,
	SMTP_STARTTLS = 4,
	SMTP_AUTH = 5,
	SMTP_AUTH_MECHANISM = 6,
	SMTP_NOT_SMTP = 7,
	SMTP_LOG_LOST = 8,
	SMTP_UNASKED = 9,
	SMTP_LINE_TOO_LONG = 10,
	SMTP_REASON_COUNT_,
};

/* What the client's next bytes are. The numbers are stored in checkpoints. */
enum smtp_in {
	SMTP_IN_LINE,
	SMTP_IN_CONTENT, /* after DATA */
	SMTP_IN_CHUNK,   /* after BDAT */
	SMTP_IN_LOGIN,   /* a line of an AUTH exchange */
	SMTP_IN_TLS,     /* TLS, after STARTTLS; the server has not spoken since */
	SMTP_IN_COUNT_,
};

/* The position in the client's bytes. */
struct smtp_parse {
	uint64_t left; /* in a chunk: bytes left */
	uint8_t in;    /* enum smtp_in */
	uint8_t dot;   /* in content: enum smtp_dot */
	uint8_t chunk; /* in a chunk: enum smtp_unit */
	uint8_t reserved_;
	uint16_t line_n; /* length of the line; a longer line saturates */
};

/* State of one direction. */
struct smtp_side {
	uint64_t next; /* offset of the next byte that will be shown */
	uint64_t read; /* bytes before this offset were read; the others wait in the log */
	uint64_t keep; /* offset from which the log was asked to keep bytes */
	bool kept;     /* the log was asked at all */
};

/* A unit whose reply is not complete. */
struct smtp_waiting {
	uint64_t start; /* offset of its first byte; of content, of the first byte after DATA */
	uint8_t kind;   /* enum smtp_unit */
};

/* What must be in the logs completely. The numbers are stored in checkpoints. */
enum smtp_open {
	SMTP_OPEN_NOTHING,
	SMTP_OPEN_MAIL,  /* a transaction */
	SMTP_OPEN_LOGIN, /* an AUTH exchange */
	SMTP_OPEN_TLS,   /* STARTTLS, and the client's first words in TLS */
	SMTP_OPEN_COUNT_,
};

/* How the backup's reply to a unit is handled. */
enum smtp_how {
	SMTP_FORWARD,  /* the client gets it */
	SMTP_SUPPRESS, /* the client already has one, of the class of `expect` */
	SMTP_COMPLETE, /* the client has the beginning of one */
	SMTP_INTERNAL, /* the client did not send the unit */
	SMTP_LOCAL,    /* the backup did not get the unit; the client gets `expect` */
};

struct smtp_slot {
	uint8_t kind;    /* enum smtp_unit */
	uint8_t how;     /* enum smtp_how */
	uint16_t expect; /* a reply code */
};

enum smtp_phase {
	SMTP_PHASE_GREETING,
	SMTP_PHASE_OFFER,    /* EHLO was said in plain, for STARTTLS */
	SMTP_PHASE_AGREE,    /* STARTTLS was */
	SMTP_PHASE_SECURING, /* the backup has agreed, and shakes hands */
	SMTP_PHASE_HELLO,
	SMTP_PHASE_LOGIN,
	SMTP_PHASE_RUN,
	SMTP_PHASE_OVER,
};

struct smtp_resume {
	uint8_t phase;    /* enum smtp_phase */
	uint8_t greeting; /* enum smtp_how */
	uint8_t slot_first, slot_n;
	bool doomed;       /* the open transaction must fail with a 4xx */
	bool skip;         /* the content or chunk being read is dropped, */
	bool skip_quietly; /* and the client already has its reply */
	bool mailing;      /* MAIL was sent to the backup */
	bool turned;       /* the backup has agreed to STARTTLS: the client shakes hands with it */
	bool client_eof, finished;
	uint32_t caps;   /* SMTP_CAP_* of the backup */
	uint32_t missed; /* extensions that the client may use and the backup lacks */
	uint64_t at;     /* offset of the client's next byte to be read */
	uint64_t said;   /* offset of the next reply in the server's log */
	struct smtp_parse parse;
	struct smtp_reply reply; /* the backup's, while it arrives */
	uint16_t login_at;       /* how much of smtp.login was sent */
	uint16_t text_n, pending_n;
	struct smtp_slot slots[SMTP_QUEUE_MAX];
	char line[SMTP_LINE_MAX]; /* the client's line; parse.line_n is its length */
	char text[SMTP_REPLY_MAX];
	char pending[SMTP_PENDING_MAX];
};

struct smtp {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	uint64_t retain;
	bool login_allowed, can_upgrade;
	bool upgraded; /* it began in plain, and this is what was said behind STARTTLS */

	struct smtp_side side[2];
	uint8_t reason;  /* enum smtp_reason */
	bool closed;     /* the server has sent 221 or 421 */
	bool lost;       /* the log lacks bytes of the open transaction */
	bool blocked;    /* the client's bytes wait for the reply to the newest unit */
	bool ext_hello;  /* EHLO, not HELO */
	bool introduced; /* the hello was accepted */
	bool logged_in;
	bool odd_login; /* the open exchange uses a mechanism that cannot be repeated */
	uint8_t open;   /* enum smtp_open; if something is open: */
	uint64_t open_start, open_reply;
	uint64_t line_start; /* offset of the line or content being read */
	struct smtp_parse parse;
	struct smtp_reply reply; /* the server's, while it arrives */
	uint64_t reply_start;
	uint32_t caps, new_caps; /* offered; and those in the reply being read */
	uint8_t queue_first, queue_n;
	struct smtp_waiting queue[SMTP_QUEUE_MAX];
	uint16_t name_n, login_n;
	char name[SMTP_NAME_MAX];   /* the client's name in EHLO */
	char login[SMTP_LOGIN_MAX]; /* the client's lines of AUTH, with line ends */
	union {
		struct { /* in the live half */
			char line[SMTP_LINE_MAX];
			char cap[SMTP_CAP_LINE_MAX]; /* of the reply being read, the line */
			uint64_t cap_start;          /* that begins at this offset */
			uint8_t cap_n;               /* and has so many bytes here */
		};
		struct smtp_resume resume; /* from JEEBS_EV_START on */
	};

	/* Set during data(). */
	struct jeebs_bytes chunk;
	uint64_t chunk_off;
	uint32_t chunk_dir;
};

enum smtp_mode {
	SMTP_MODE_IDLE,
	SMTP_MODE_FINISHED,
	SMTP_MODE_REPLAY,
	SMTP_MODE_GREETING,
	SMTP_MODE_REPLY,
	SMTP_MODE_LOGIN,
	SMTP_MODE_ANEW, /* STARTTLS was agreed on, and the server has not spoken since */
	SMTP_MODE_ENVELOPE,
	SMTP_MODE_MESSAGE,
	SMTP_MODE_UNCERTAIN, /* a message was sent completely, and its reply is not known */
	SMTP_MODE_SETTLED,   /* the first digit of its reply was delivered */
	SMTP_MODE_LOST,      /* the log does not have the whole message */
};

/* The decision how to continue. */
struct smtp_decision {
	bool refused;
	enum smtp_mode mode;
	const char *reason; /* static text */
};

static inline const struct smtp_waiting *smtp_queued(const struct smtp *s, unsigned i)
{
	return &s->queue[(s->queue_first + i) % SMTP_QUEUE_MAX];
}

/* The number of units up to the last one that ends a message, inclusive. */
static inline unsigned smtp_uncertain(const struct smtp *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->queue_n; i++) {
		if (smtp_unit_ends_message(smtp_queued(s, i)->kind))
			n = i + 1;
	}
	return n;
}

/* smtp-live.c */
int smtp_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	      const struct jeebs_service *svc);
int smtp_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int smtp_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int smtp_fin(void *state, uint32_t dir, uint64_t off);

/* smtp-checkpoint.c */
size_t smtp_checkpoint(const void *state, uint8_t *out, size_t cap);
int smtp_restore(void *state, struct jeebs_bytes checkpoint);

/* smtp-plan.c */
void smtp_decide(const struct smtp *s, const struct jeebs_cut *cut, struct smtp_decision *ret);
/* Offset of the units that are sent to the backup; to_server_end: there are none. */
uint64_t smtp_replay_from(const struct smtp *s);
void smtp_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);

/* One call of resume. */
struct smtp_run {
	struct smtp *s;
	struct smtp_resume *r;
	const struct jeebs_cut *cut;
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
	struct jeebs_bytes chunk; /* the client's bytes that were not read */
};

/* smtp-client.c */
/* Reads on in the client's bytes, as far as the backup's replies allow. */
void smtp_client_read(struct smtp_run *x);
/* Whether the client's next bytes must wait for a reply. */
bool smtp_client_waits(const struct smtp_run *x);

/* smtp-slot.c */
struct smtp_slot *smtp_slot_first(struct smtp_resume *r);
void smtp_slot_push(struct smtp_run *x, unsigned kind, unsigned how, unsigned expect);
void smtp_slot_pop(struct smtp_run *x);
void smtp_abort(struct smtp_run *x, const char *reason);
/* Makes the open transaction fail. */
void smtp_doom(struct smtp_run *x);
/*
 * Copies what the client has of the reply at r->said. Returns the length, at most SMTP_REPLY_MAX.
 */
size_t smtp_delivered(const struct smtp_run *x, char out[static SMTP_REPLY_MAX]);
/* Completes that reply: as @reply, or as a reply of the class that was delivered. */
void smtp_complete_cut(struct smtp_run *x, struct jeebs_bytes reply, bool hello);
/* One of our own replies, chosen by the code. */
struct jeebs_bytes smtp_own_reply(unsigned code);

/* smtp-resume.c */
void smtp_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

/* smtp.c */
uint32_t smtp_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client);
extern const struct jeebs_module smtp_module;

#endif
