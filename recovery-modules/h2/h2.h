/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * h2: the state of one HTTP/2 connection, shared by the files of this module.
 *
 * THEORY OF OPERATION
 *
 * Live, both directions are read frame by frame (h2-live.c). What every end of the connection keeps
 * is kept here as well: HPACK's dynamic table of each direction, the settings, the windows, the
 * streams that are open. Of a response whose body has begun, its head's essence and a digest of the
 * body (struct h2_body), as http keeps them.
 *
 * The requests themselves are in the log, from the oldest stream on that is open. They can be read
 * only with the dynamic table as it was there: that is the base (h2-base.c).
 *
 * At a failover a stream is asked again of the backup over HTTP/2, on a connection of ours, with
 * stream numbers of ours. From then on the module stands between two connections for good, because
 * the tables, windows and numbers of both are different (h2-resume.c). Towards the client no
 * dynamic table is used, and the backup is not allowed one.
 */
#ifndef H2_H2_H
#define H2_H2_H

#include <stdbool.h>

#include "h2-frame.h"
#include "h2-head.h"
#include "hpack.h"
#include "recovery-modules/http/http-same.h"

#define H2_STREAMS_MAX    128u
#define H2_BODIES_MAX     H2_STREAMS_MAX /* a browser on a slow path has all of them under way */
#define H2_PINGS_MAX      4u
#define H2_WINDOW         65535 /* RFC 9113 section 6.9.2 */
#define H2_WINDOW_MAX     0x7fffffff
#define H2_UP_BLOCK_MAX   HPACK_BLOCK_MAX /* bytes of a header block of the client */
#define H2_DOWN_BLOCK_MAX 8192u           /* of the server, or the backup */
/* While it is continued, in the join's memory, of which a layer below needs a part. */
#define H2_LATE_MAX    32768u /* frames for the client, behind what is owed */
#define H2_KEPT_MAX    98304u /* bytes of the client, behind data that the backend does not take */
#define H2_WAITING_MAX 65536u /* bytes of the server that wait for their request */
#define H2_NO_LIMIT    UINT32_MAX

#define H2_PREFACE   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* RFC 9113 section 3.4 */
#define H2_PREFACE_N (sizeof H2_PREFACE - 1)

/* Why nothing can be recovered any more. The numbers are stored in checkpoints. */
enum h2_reason {
	H2_FINE = 0,
	H2_HPACK_UNKNOWN = 1,
	H2_NOT_H2 = 2,
	H2_TABLE_TOO_LARGE = 3,
	H2_HEAD_TOO_LONG = 4,
	H2_STREAMS_TOO_MANY = 5,
	H2_RESPONSE_UNASKED = 6,
	H2_LOG_LOST = 7,
	H2_REASON_COUNT_,
};

const char *h2_reason_name(enum h2_reason reason);

/* How far the response of a stream has come. */
enum h2_phase {
	H2_ASKED,
	H2_IN_BODY, /* its final head was delivered */
	H2_PHASE_COUNT_,
};

#define H2_STREAM_WHOLE      0x01u /* the request is complete */
#define H2_STREAM_IDEMPOTENT 0x02u
#define H2_STREAM_PUSHED     0x04u /* the server opened it */
#define H2_STREAM_BLIND      0x08u /* not all of the request is in the log */
#define H2_STREAM_FLAGS      0x0fu

/* What is done with an open stream at a failover. */
enum h2_todo {
	H2_TODO_ASK,    /* nothing was delivered: the backup's response is passed on */
	H2_TODO_RANGE,  /* the rest is asked for by a range */
	H2_TODO_DIGEST, /* asked again, and what was delivered is compared */
	H2_TODO_502,    /* it may not be asked again, and nothing was delivered */
	H2_TODO_RESET,
};

struct h2_stream {
	uint64_t start; /* offset of the frame that begins its request */
	uint32_t id;
	int64_t window;  /* bytes that the client takes */
	int64_t allowed; /* bytes that the client may send */
	uint8_t phase;   /* enum h2_phase */
	uint8_t flags;
	uint8_t method;        /* enum llhttp_method, H2_METHOD_UNKNOWN */
	uint8_t informational; /* 1xx responses that were delivered; saturating */
	uint8_t body;          /* index in h2.body plus 1; 0: there is none */
	/* While it is continued. */
	uint8_t todo;     /* enum h2_todo */
	bool answered;    /* the backend's final head has come */
	bool told_end;    /* the client has a frame that ends it: no more data may come */
	uint32_t backend; /* its number at the backend; 0: not asked yet */
	int64_t granted;  /* bytes that the backend may send */
	int64_t room;     /* bytes that the backend takes */
};

/* A response whose body is under way. */
struct h2_body {
	bool used;
	struct http_answer answer;
	struct http_etag etag;
	struct http_digest delivered;
};

/* How such a response is continued. */
struct h2_again {
	struct http_digest got; /* of the backend's bytes that are compared */
	uint64_t skip, verify;  /* as in struct http_same: bytes still to be skipped, compared */
	uint64_t seen;          /* data bytes of the backend */
	uint64_t sent;          /* data bytes that the client has */
	bool part;
	bool total; /* the backend has told the length of its body */
};

/* One direction. */
struct h2_side {
	uint64_t at;   /* offset up to which it was read */
	uint64_t next; /* offset of the next byte that will be shown */
	uint64_t keep;
	uint64_t unit; /* offset of the frame that is being read, or of the block's first frame */
	bool kept;
	struct h2_frames frames;
	struct hpack_table table;
	uint32_t promised; /* with PUSH_PROMISE */
	uint32_t block_stream;
	uint8_t block_flags; /* of the block's first frame */
	uint8_t block_type;
	uint16_t block_n; /* bytes of the block so far, in h2.up_block or h2.down_block */
};

/* The continuing. */
struct h2_resume {
	uint64_t replay;                /* the log is read up to here */
	uint64_t log_end;               /* its end */
	uint32_t next_id;               /* of streams at the backend */
	int64_t granted;                /* bytes that the backend may send on all streams */
	int64_t room;                   /* bytes that the backend takes on all streams */
	int32_t init;                   /* what the backend takes on a new stream */
	uint32_t streams_max, list_max; /* what the backend has said of them */
	/* The rest of a DATA frame whose head the client has. */
	uint32_t owed_stream;
	uint32_t owed;     /* bytes, padding included */
	uint32_t owed_pad; /* of them, padding */
	bool owed_ends;    /* the frame ends its stream */
	bool owed_zero;    /* the client has reset the stream: any bytes will do */
	bool owed_prefix;  /* the length of the padding is owed as well */
	bool owed_head;    /* it is no data, but a whole head (h2-rehead.c) */
	uint64_t said;     /* bytes that the client has got of it */
	bool prefaced;     /* the backend got our preface */
	bool tabled;       /* the client was told that no dynamic table is used */
	bool over, client_over, leaving;
	bool gone; /* the backend is */
	uint32_t late_n, kept_n;
	uint8_t *late, *kept;
	struct hpack_table *old; /* the client's of the server's heads, where it died */
	struct h2_again *again;  /* by the index of the body */
};

struct h2 {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	struct h2_side side[2];
	uint8_t reason; /* enum h2_reason */
	uint8_t replay; /* JEEBS_REPLAY_* */
	uint8_t preface_n;
	bool greeted;       /* the server's first frame was seen */
	bool waiting;       /* the server's bytes from side[].at on have no request yet */
	bool server_leaves; /* it has sent a GOAWAY */
	uint8_t pings_n;
	uint8_t pings[H2_PINGS_MAX][8]; /* of the client, unanswered */
	uint16_t settings_n;            /* of the client, not acknowledged */
	uint32_t last_id;               /* the highest stream of the client */
	/* The client's settings that bind whoever sends to it. */
	int32_t client_init;
	/* The server's. */
	int32_t server_init;
	uint32_t streams_max, list_max;
	int64_t window, allowed; /* as in struct h2_stream, of the connection */
	/* The base: where the log begins, and the client's frame and table there. */
	uint64_t base_off;
	struct h2_frames base_frames;
	struct hpack_table base;
	uint16_t stream_n; /* the open ones come first, in the order of their beginning */
	struct h2_stream stream[H2_STREAMS_MAX];
	uint8_t up_block[H2_UP_BLOCK_MAX];
	uint8_t down_block[H2_DOWN_BLOCK_MAX];
	struct h2_resume resume;
	/* At the end of the state, the first free one first: what is behind is seldom touched. */
	struct h2_body body[H2_BODIES_MAX];
};

struct h2_decision {
	bool refused;
	const char *reason;                /* static text */
	unsigned count[H2_TODO_RESET + 1]; /* streams, by what is done with them */
	const char *why; /* of the first stream that is not continued; static text */
	bool standalone;
};

/* h2-stream.c */
struct h2_stream *h2_stream_find(struct h2 *s, uint32_t id);
/* NULL: there is no room. */
struct h2_stream *h2_stream_open(struct h2 *s, uint32_t id, uint64_t start);
/* Other streams move: pointers to them are no longer valid. */
void h2_stream_close(struct h2 *s, struct h2_stream *t);
/* NULL: the response cannot be continued. */
struct h2_body *h2_body_of(struct h2 *s, const struct h2_stream *t);
struct h2_body *h2_body_new(struct h2 *s, struct h2_stream *t);
/* NULL: there is no body, or the backend has not answered yet. */
struct h2_again *h2_again_of(struct h2 *s, const struct h2_stream *t);
struct http_cut_answer h2_cut_answer(const struct h2 *s, const struct h2_stream *t);

/* h2-live.c */
/* The essence of a response that is being read. */
struct h2_response {
	struct h2_head head;
	struct http_answer answer;
	struct http_etag etag;
};
int h2_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	    const struct jeebs_service *svc);
int h2_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int h2_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int h2_fin(void *state, uint32_t dir, uint64_t off);
/* Adds to the header block of @dir. Returns false when it becomes longer than is read. */
bool h2_block_add(struct h2 *s, uint32_t dir, struct jeebs_bytes b);

/* h2-base.c */
/* A place to read bytes from: the log, and behind it the bytes that are being shown. */
struct h2_source {
	struct jeebs_flow *flow;
	struct jeebs_bytes (*log)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	uint64_t off; /* of `shown` */
	struct jeebs_bytes shown;
};
struct jeebs_bytes h2_source_at(const struct h2_source *src, uint32_t dir, uint64_t off);
/* Moves the base as far as the streams allow, and keeps the log from there on. */
void h2_base_move(struct h2 *s, const struct h2_source *src);
/* Bytes of the client are lost: the base lies behind them, and no open stream can be asked again.
 */
void h2_base_lose(struct h2 *s);

/* h2-apply.c: what a frame changes in the state, live and later. */
enum h2_reason h2_apply_client(struct h2 *s, const struct h2_frames *f, struct jeebs_bytes word);
enum h2_reason h2_apply_server(struct h2 *s, const struct h2_frames *f, struct jeebs_bytes word);
enum h2_reason h2_hpack_reason(enum hpack_outcome r);

/* h2-checkpoint.c */
size_t h2_checkpoint(const void *state, uint8_t *out, size_t cap);
int h2_restore(void *state, struct jeebs_bytes checkpoint);

/* h2-plan.c */
void h2_decide(const struct h2 *s, const struct jeebs_cut *cut, struct h2_decision *ret);
/* What is done with a stream; *ret_why if it is not continued. */
enum h2_todo h2_todo_of(const struct h2 *s, const struct h2_stream *t, const char **ret_why);
bool h2_padding_for(const struct h2 *s, const struct h2_stream *t, uint32_t *ret);
void h2_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);

/* h2-resume.c */
struct h2_run {
	struct h2 *s;
	const struct jeebs_cut *cut;
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
};
void h2_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
	       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);
/* Ends the connection at once. */
void h2_stop(const struct h2_run *x, const char *reason);
/* Gets the memory for what must wait; most connections need none. False: the connection has ended.
 */
bool h2_memory(const struct h2_run *x);
/* Frames for the client: at once, or behind what is owed. */
void h2_say(const struct h2_run *x, struct jeebs_bytes b);
void h2_say_goaway(const struct h2_run *x);
void h2_say_word(const struct h2_run *x, enum h2_type type, uint8_t flags, uint32_t stream,
		 uint32_t word);
/* Frames for the backend, behind our preface. */
void h2_ask(const struct h2_run *x, struct jeebs_bytes b);
void h2_ask_word(const struct h2_run *x, enum h2_type type, uint32_t stream, uint32_t word);
/* Cuts a header block into frames; @flags are those of the first. */
void h2_put_block(const struct h2_run *x, void (*to)(const struct h2_run *x, struct jeebs_bytes b),
		  uint32_t stream, uint8_t flags, struct bytes block);
#define H2_LIST_ROOM (HPACK_LIST_MAX + 4096u)

/* h2-client.c: what the client says, first from the log. */
void h2_client_start(const struct h2_run *x);
/* Reads on in the log, and what came behind it, as far as the backend takes it. */
void h2_client_more(const struct h2_run *x);
void h2_client_data(const struct h2_run *x, struct jeebs_bytes b);
static inline bool h2_replaying(const struct h2 *s)
{
	return s->resume.replay < s->resume.log_end;
}

/* h2-follow.c */
/*
 * Inside a layer the old server may have begun to say what is not proved (jeebs_join_ops.begun). If
 * it can be said by what is known, it is said in the same bytes: data of a stream that goes on, a
 * head, frames of the connection.
 */
void h2_follow(const struct h2_run *x);
/* Before anything else is said. */
void h2_follow_start(const struct h2_run *x);

/* h2-backend.c */
void h2_backend_start(const struct h2_run *x);
void h2_backend_data(const struct h2_run *x, struct jeebs_bytes b);
/* To the client at once, whatever is owed. */
void h2_to_client(const struct h2_run *x, struct jeebs_bytes b);
/* Pays what is owed with zeros, if the client has reset the stream. */
void h2_pay_zeros(const struct h2_run *x);
/* What was owed is paid: what had to wait for it follows. */
void h2_paid(const struct h2_run *x);

/* h2-rehead.c: a head that the old server had begun to say, see h2_follow(). */
/* Whether @b begins with one. Then it is owed from now on, or the connection has ended. */
bool h2_rehead_begin(const struct h2_run *x, struct jeebs_bytes b);
/* The backend's head of the stream of which one is owed: @block, by static tables alone. */
void h2_rehead_answer(const struct h2_run *x, struct h2_stream *t, struct bytes block, bool ends);

/* h2-window.c: makes both sides' windows agree. */
void h2_windows(const struct h2_run *x);

/* h2-detect.c */
uint32_t h2_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client);

/* h2.c */
extern const struct jeebs_module h2_module;

#endif
