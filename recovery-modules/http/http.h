/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http: the state of one HTTP/1 connection, shared by the files of this module.
 *
 * THEORY OF OPERATION
 *
 * Live, each direction is a sequence of messages: between messages, in a head, in a body. Heads
 * stay in the log until they are complete, and then only numbers are kept of them. Bodies are
 * skipped by counting. Requests wait in a queue until their response is complete; the log has the
 * client's bytes from the oldest request on, so that they can be asked again. The body of the
 * current response is digested without its chunk framing, see http-digest.h.
 *
 * At a failover the state tells which response was cut, and where. http_decide() chooses how to
 * continue, for plan and resume alike.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>

#include "http-body.h"
#include "http-digest.h"
#include "http-head.h"
#include "http-parts.h"
#include "http-rehead.h"
#include "http-same.h"
#include "jeebs/recovery-module.h"

#define HTTP_QUEUE_MAX     16u
#define HTTP_PASS_MIN      16384u /* of a body: less is read faster than noted */
#define HTTP_SYNC_PROOFS   2u
#define HTTP_SYNC_QUIET_NS INT64_C(1000000000)
#define HTTP_BACKLOG_MAX   (UINT64_C(256) << 10) /* bytes of requests beyond the queue */
/* Ceiling of the server's bytes that wait for their request. */
#define HTTP_WAITING_MAX 65536u
/* How much of an upload for nobody is read, so that the client comes to read why. */
#define HTTP_DISCARD_MAX (UINT64_C(256) << 20)

/* Why nothing can be recovered any more. http_reason_name() has the names. The numbers are
 * stored in checkpoints. */
enum http_reason {
	HTTP_FINE = 0,
	HTTP_REQUEST_GAP = 1,
	HTTP_RESPONSE_GAP = 2,
	HTTP_PIPELINE_TOO_DEEP = 3,
	HTTP_UPGRADED = 4,
	HTTP_NOT_HTTP = 5,
	HTTP_HEAD_TOO_LONG = 6,
	HTTP_LOG_LOST = 7,
	HTTP_RESPONSE_UNASKED = 8,
	HTTP_REASON_COUNT_,
	/* Not a reason: another module has taken over. */
	HTTP_HANDED_OVER = 255,
};

/*
 * Whether it is known where messages begin, see http-sync.c. The numbers are stored in checkpoints.
 */
enum http_sync {
	HTTP_IN_SYNC = 0,
	HTTP_SYNC_LOST = 1,
	HTTP_SYNC_TRIAL = 2, /* a guess is being tried out */
	HTTP_SYNC_COUNT_,
};

enum http_phase {
	HTTP_BETWEEN, /* between messages */
	HTTP_IN_HEAD,
	HTTP_IN_BODY,
	HTTP_PHASE_COUNT_,
};

/* A request whose response is not complete. */
struct http_request {
	uint64_t start; /* offset of its first byte */
	uint32_t head_n;
	uint8_t method; /* enum llhttp_method */
	uint8_t flags;  /* HTTP_ASK_* */
	uint16_t reserved_;
};

/* State of one direction. */
struct http_side {
	uint64_t next;  /* offset of the next byte that will be shown */
	uint64_t start; /* offset of the current message */
	uint64_t keep;  /* offset from which the log was asked to keep bytes */
	struct http_body body;
	bool kept;     /* the log was asked at all */
	uint8_t phase; /* enum http_phase */
	uint8_t scan;  /* for http_head_end() */
};

enum http_mode {
	HTTP_MODE_IDLE,
	HTTP_MODE_FINISHED,
	HTTP_MODE_REPLAY,
	HTTP_MODE_HEAD,
	HTTP_MODE_RANGE,
	HTTP_MODE_DIGEST,
	HTTP_MODE_PARTS,
	HTTP_MODE_ANSWERED, /* the client gets a 502 */
};

/* Recovery of a response whose body was cut. */
struct http_rebody {
	struct http_answer answer; /* the backend's */
	struct http_body in;       /* position in the backend's body */
	uint64_t skip;             /* data bytes before those that the client has or gets */
	uint64_t verify;           /* data bytes still to be compared with what was delivered */
	uint64_t seen;             /* data bytes so far */
	struct http_digest got;    /* of the bytes to be compared */
	uint64_t head_bytes;       /* length of the backend's current head */
	union {
		struct http_head head;
		struct http_parts parts; /* with `several`: the position in its parts */
	};
	uint8_t scan;
	bool in_body;
	bool several; /* several ranges, converted to the old server's form */
	bool part;    /* the client asked for a range, and the backend sends the whole */
	bool raw;     /* both positions are equal: the backend's framing is forwarded unchanged */
	bool holding; /* `held` is the body's last byte, kept until its end is proven */
	uint8_t held;
};

/*
 * Forwards the backend's responses unchanged and counts them. http.answer and the side's body are
 * those of the current response.
 */
struct http_follow {
	struct http_head head;
	uint64_t head_bytes;
	uint8_t scan;
	bool in_body;
};

struct http_resume {
	uint8_t mode;   /* enum http_mode */
	uint8_t method; /* of the request that is asked again */
	bool over;      /* nothing is left to do */
	bool finish;    /* the client gets a FIN after this response */
	bool discards;  /* the client's further bytes are dropped */
	bool following; /* the cut response is complete, or nothing of it was delivered */
	/* Why the next request is not asked again but answered with 502; static text. */
	const char *forbidden;
	uint8_t left;       /* responses before that */
	bool headless;      /* the request answered with 502 is a HEAD */
	uint16_t heads;     /* which of those responses answer a HEAD; bit 0 is the next one */
	uint64_t discarded; /* dropped bytes of the client */
	union {
		struct {
			struct http_rehead rehead;
			struct http_follow follow;
		};
		struct http_rebody rebody;
	};
};

struct http {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	struct http_side side[2];
	uint8_t reason; /* enum http_reason */
	bool closed;    /* a response that ends the connection is complete */
	bool waiting;   /* bytes of the server, from side[].start on, have no request yet */
	bool backlog; /* the queue is full: bytes of the client, from side[].start on, are unread */
	bool uploading; /* the request in side[JEEBS_TO_SERVER] was answered before its end */
	uint8_t informational; /* 1xx responses to the oldest request; saturating */
	uint8_t sync;          /* enum http_sync; during a trial: */
	uint8_t proofs;        /* exchanges that fitted */
	bool after_pause;      /* the current exchange began after a pause */
	int64_t last_ns;       /* time of the last bytes; only while not in sync */
	uint8_t queue_first, queue_n;
	uint8_t replay; /* JEEBS_REPLAY_*, from the configuration */
	bool upgrade;   /* the configuration names a module for upgrades */
	bool passes;    /* bytes may pass unread */
	/* The current response, from the end of its head to the end of its body. */
	struct http_digest delivered; /* data bytes of its body that were on the wire */
	struct http_answer answer;
	struct http_etag etag;
	union {
		struct http_request queue[HTTP_QUEUE_MAX];
		struct http_resume resume; /* from JEEBS_EV_START on, instead of the queue */
	};
};

/* The decision how to continue. */
struct http_decision {
	bool refused;
	enum http_mode mode;
	const char *reason; /* static text */
	/* How many requests are asked again. If `forbidden` is set, the next one is answered
	 * with 502. */
	unsigned asked;
	const char *forbidden; /* why; static text */
};

static inline const struct http_request *http_oldest(const struct http *s)
{
	return s->queue_n ? &s->queue[s->queue_first] : NULL;
}

static inline const struct http_request *http_queued(const struct http *s, unsigned i)
{
	return &s->queue[(s->queue_first + i) % HTTP_QUEUE_MAX];
}

/* The response whose body was cut, the answer to a request of @method. */
static inline struct http_cut_answer http_cut_answer(const struct http *s, uint8_t method)
{
	return (struct http_cut_answer){&s->answer, &s->etag, &s->delivered, method,
					s->side[JEEBS_TO_CLIENT].body.kind};
}

/* Whether the configuration allows asking this request again. */
static inline bool http_may_ask(const struct http *s, const struct http_request *q)
{
	return s->replay == JEEBS_REPLAY_ALL ||
	       (s->replay == JEEBS_REPLAY_IDEMPOTENT && q->flags & HTTP_ASK_IDEMPOTENT);
}

/* http-live.c */
int http_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	      const struct jeebs_service *svc);
int http_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int http_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int http_fin(void *state, uint32_t dir, uint64_t off);

/* Reads the bytes at @off, up to their end or as far as they are understood. */
enum http_reason http_read(struct http *s, uint32_t dir, uint64_t off, struct jeebs_bytes b);

/* http-backlog.c */
/* The request at @off does not fit into the queue. */
void http_backlog_begin(struct http *s, uint64_t off);
/* Called when the queue has room. */
enum http_reason http_backlog_read(struct http *s);
/* Why the requests that wait in the log cannot be asked again; NULL: they can. Static text. */
const char *http_backlog_forbids(const struct http *s, const struct jeebs_cut *cut);

/* http-sync.c */
/* It is not known any more where messages begin. */
void http_sync_lose(struct http *s);
bool http_synced(const struct http *s);
/* Replaces http_read() while not in sync. A result other than HTTP_FINE is final. */
enum http_reason http_sync_data(struct http *s, uint32_t dir, uint64_t off, struct jeebs_bytes b,
				int64_t now_ns);
/* The response to the oldest request has ended by its own length. */
void http_sync_answered(struct http *s);

/* http-checkpoint.c */
size_t http_checkpoint(const void *state, uint8_t *out, size_t cap);
int http_restore(void *state, struct jeebs_bytes checkpoint);

/* http-plan.c */
void http_decide(const struct http *s, const struct jeebs_cut *cut, struct http_decision *ret);
/* Offset from which the client's bytes are asked again; to_server_end: nothing is. */
uint64_t http_ask_from(const struct http *s, const struct jeebs_cut *cut);
/* Offset up to which they are asked again, when @asked requests are. */
uint64_t http_ask_to(const struct http *s, const struct jeebs_cut *cut, unsigned asked);
void http_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);

/* http-resume.c */
void http_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

/* Each returns false when it has aborted the connection. */
void http_rebody_start(struct http *s);
bool http_rebody_data(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		      struct jeebs_bytes b);
bool http_rebody_eof(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops);

/* http-ask.c */
/* Queues the client's bytes in the log up to @to. The Range and If-Range fields of the oldest
 * request are replaced: they ask for the rest of the cut response. */
void http_ask_rest(const struct http *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		   const struct jeebs_join_ops *ops, uint64_t to);

/* http-follow.c: ends a connection of which not everything may be asked again. */
/* Begins to follow resume.left responses; without any the end is there. @b are the backend's
 * first bytes. */
void http_follow_begin(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		       struct jeebs_bytes b);
void http_follow_init(struct http *s);
/* @quiet: the client gets the bytes in another way. */
void http_follow_data(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		      struct jeebs_bytes b, bool quiet);
void http_follow_eof(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops);
/* Sends the answer 502, and ends. */
void http_follow_end(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops);

/* http-detect.c */
uint32_t http_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client);

/* http.c */
extern const struct jeebs_module http_module;

#endif
