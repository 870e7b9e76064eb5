/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet: recovery of Telnet (RFC 854, 855, 1143). Private to the module; see its README.
 *
 * THEORY OF OPERATION
 *
 * Live: a parser for each direction, the agreed options of both sides, the sub-negotiations that
 * another server would ask for again, and the login dialogue. All of that is state; the logs are
 * not used.
 *
 * Recovery: the module is the backup's client and the client's server. If the backup asks what the
 * client was asked before, the answer is in the record; the client answers what is new. Before a
 * session the backup's text is compared with what the client has seen. In a session it is left out
 * until the login was repeated and the user was told. When both sides have agreed on the same
 * options, both directions pass.
 *
 * An option that either side has asked for vouches for Telnet. Without it nothing is assumed: text
 * may be of any protocol, so it is compared and never answered, and anything that is not text is
 * refused.
 */
#ifndef TELNET_H
#define TELNET_H

#include "jeebs/recovery-module.h"
#include "telnet-login.h"
#include "telnet-options.h"
#include "telnet-parser.h"
#include "telnet-subs.h"

#define TELNET_NOTICE_MAX    160u
#define TELNET_HELD_MAX      1024u
#define TELNET_COLLECTED_MAX 512u

enum telnet_reason {
	TELNET_FINE,
	TELNET_GAP,
	TELNET_OLDER,
	TELNET_OPTION_UNKNOWN,
	TELNET_ENCRYPTED,
	TELNET_AUTHENTICATED,
	TELNET_NOT_TELNET,
	TELNET_REASON_COUNT_
};

enum telnet_mode {
	TELNET_MODE_FINISHED,
	TELNET_MODE_GREETING,    /* nothing was answered: the backup's words are compared */
	TELNET_MODE_LOGIN,       /* compared too, and the typed lines are repeated */
	TELNET_MODE_LOGIN_AGAIN, /* an attempt had failed: the dialogue begins again */
	TELNET_MODE_SESSION,     /* log in, and tell the user */
};

struct telnet_decision {
	bool refused;
	enum telnet_mode mode;
	const char *reason;
};

/* State of the recovery: the backup's side, and what the client waits for. */
struct telnet_join {
	uint8_t mode;     /* enum telnet_mode */
	bool over;        /* both directions pass, or it is finished or aborted */
	bool shown;       /* the backup's words go to the client */
	bool beyond;      /* the client was told something that the old server had not said */
	bool differs;     /* the backup said something other than the old server */
	bool settled;     /* what the backup does not want was withdrawn */
	bool typing;      /* the client has typed since the cut */
	bool client_over; /* the client has finished: nothing more goes to the backup */
	uint8_t sent;     /* the lines that were sent, TELNET_SENT_* */
	uint16_t matched; /* how much of what was seen the backup has said */
	struct telnet_parser parser;
	struct telnet_options options;
	struct telnet_line line;
	uint16_t partial_n; /* length of the token that the old server had begun */
	bool partial_unknown;
	uint8_t partial[TELNET_PARTIAL_MAX];
	uint16_t held_n; /* bytes of the client that wait until the backup is ready */
	uint8_t held[TELNET_HELD_MAX];
	uint16_t collected_n; /* bytes of the backup that wait until the user was told */
	uint8_t collected[TELNET_COLLECTED_MAX];
};
#define TELNET_SENT_USER     1u
#define TELNET_SENT_PASSWORD 2u
#define TELNET_SENT_TYPED    4u

struct telnet {
	const struct jeebs_live_ops *ops;
	struct jeebs_flow *flow;
	bool replay_all;
	bool login_replay;
	char notice[TELNET_NOTICE_MAX];
	uint64_t next[2];
	uint8_t reason; /* enum telnet_reason */
	bool vouched;   /* an option was asked for: it is Telnet and not only configured so */
	bool cr[2];     /* by direction, until then: the last byte was a CR */
	struct telnet_parser parser[2];
	struct telnet_options options; /* towards the client */
	struct telnet_subs subs;
	struct telnet_login login;
	struct telnet_join join;
};

/* telnet-live.c */
int telnet_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		const struct jeebs_service *svc);
int telnet_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int telnet_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int telnet_fin(void *state, uint32_t dir, uint64_t off);
uint32_t telnet_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client);
/* Why the module cannot follow this option or sub-negotiation; TELNET_FINE: it can. */
enum telnet_reason telnet_beyond(uint8_t option, struct bytes sub);
static inline struct telnet_option *telnet_option(struct telnet_options *o, unsigned side,
						  uint8_t option)
{
	return &o->side[side][option];
}

/* telnet-plan.c */
void telnet_decide(const struct telnet *s, const struct jeebs_cut *cut,
		   struct telnet_decision *ret);
void telnet_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);
const char *telnet_reason_name(enum telnet_reason reason);

/* telnet-checkpoint.c */
size_t telnet_checkpoint(const void *state, uint8_t *out, size_t cap);
int telnet_restore(void *state, struct jeebs_bytes checkpoint);

/* telnet-resume.c */
void telnet_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		   const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

/* What functions of the recovery half work on. */
struct telnet_run {
	struct telnet *s;
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
};

void telnet_abort(struct telnet_run *r, const char *reason);
void telnet_to_client(struct telnet_run *r, struct bytes b);
void telnet_to_backend(struct telnet_run *r, struct bytes b);

/*
 * telnet-plain.c: only text was said. The backup's words are compared, then both directions pass.
 */
void telnet_plain_start(struct telnet_run *r);
void telnet_plain_backend(struct telnet_run *r, struct bytes b);
void telnet_plain_client_over(struct telnet_run *r);

/* telnet-proxy.c: options and sub-negotiations between the two. */
void telnet_proxy_start(struct telnet_run *r);
/*
 * The backup has come as far as the old server. Sends it what the client began or ended by itself.
 */
void telnet_proxy_caught_up(struct telnet_run *r);
void telnet_proxy_backend(struct telnet_run *r, const struct telnet_token *t);
void telnet_proxy_client(struct telnet_run *r, const struct telnet_token *t);
/* The backup has said what it wants. Withdraws from the client what it does not want. */
void telnet_proxy_settle(struct telnet_run *r);
/* Whether both sides have agreed on the same, and neither waits for an answer that the other
 * would not expect. */
bool telnet_proxy_agrees(const struct telnet *s);

/* telnet-relogin.c: the text between the two. */
void telnet_relogin_start(struct telnet_run *r);
/* Sends the lines that were typed when as much had been seen as `matched` says. */
void telnet_relogin_type(struct telnet_run *r);
/* How long the backup may be silent. */
#define TELNET_SILENCE_MS 15000u
void telnet_relogin_backend(struct telnet_run *r, struct bytes b);
void telnet_relogin_client(struct telnet_run *r, struct bytes b);
/* The backup has been silent for TELNET_SILENCE_MS. */
void telnet_relogin_silence(struct telnet_run *r);

extern const struct jeebs_module telnet_module;

#endif
