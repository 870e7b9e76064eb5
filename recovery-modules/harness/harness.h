/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * harness: drives a module over streams in memory, as the appliance does over
 * captured ones. For unit tests, fuzzers and the every-cut drill. Pure: no clock,
 * no I/O, the same input gives the same run.
 *
 *	harness_init(&h, &http_module, &options);
 *	harness_data(&h, JEEBS_TO_SERVER, request);	// live half, any number of times
 *	harness_data(&h, JEEBS_TO_CLIENT, half_a_response);
 *	harness_plan(&h, &plan);			// the server dies here
 *	if (plan.verdict == JEEBS_CONTINUE)
 *		harness_resume(&h, &backend, further_bytes_of_the_client, client_ends);
 *	... h.client holds what the client gets behind the cut ...
 *	harness_deinit(&h);
 *
 * Live: chunks are cut as the options say, logs hold exactly what the module
 * asked for and are shown in views as short as the options say. The client
 * acknowledges everything at once, so that nothing is in a log by luck.
 *
 * Recovery: a join with a backend that is a callback. Queues are drained between
 * two events; what they may hold is bounded by options.queue_max per event, except for
 * what log_to_backend() queues. The logs are readable until the module lets the client's
 * direction pass. A
 * backend that produces more than options.output_max for the client ends the run
 * (outcome HARNESS_OUTPUT_MAX): no run lasts for ever.
 *
 * There is no clock: a timer that is set fires when nothing else moves any more, at most
 * HARNESS_TIMERS_MAX times in one run.
 *
 * A conversation of several connections: what the module expects is in h.expected, and the
 * test says what became of it with harness_relate(), before the plan. Its companion is driven
 * by a harness of its own, see harness_relate_live(). While it is continued each channel is a
 * struct harness_channel; those besides the main one are h.channel[0 .. h.channels), in the
 * order in which they came to be (related ones first), with what their client and their
 * backend got. Their clients come from harness_client.open, their backends from
 * harness_backend.connect. The order of everything is fixed: the main connection first, then
 * the channels by their number, until nothing moves; then timers; then the channels whose client
 * never came fail. So a test may wait for whatever it likes: time passes only when nobody can go
 * on.
 *
 * Instead of the live half, harness_init_cut() begins at a cut that somebody else made
 * (the every-cut drill), and harness_resume_with() lets the client be a callback too.
 *
 * What the module does against its contract is found and kept in h.violation (the
 * first one, static text): tests demand NULL, fuzzers abort.
 */
#ifndef SDK_HARNESS_H
#define SDK_HARNESS_H

#include <stdbool.h>

#include "base/buf.h"
#include "jeebs/recovery-module.h"

#define HARNESS_TIMERS_MAX 1000

/* How a stream is cut in chunks. Zero: not at all. */
struct harness_chunks {
	size_t max;    /* longest chunk; 0: no limit */
	uint64_t seed; /* not 0: lengths are pseudo-random in 1..max (max 0: 1..1500) */
};

struct harness_options {
	struct harness_chunks live;          /* both directions while watching */
	struct harness_chunks backend;       /* what the backend answers */
	size_t view_max;                     /* longest view of a log; 0: no limit */
	size_t log_max;                      /* ceiling of each log; 0: 64 MiB */
	size_t queue_max;                    /* per queue and event; 0: 1 MiB */
	size_t output_max;                   /* for the client in total; 0: 64 MiB */
	const struct jeebs_service *service; /* as configured; NULL: every option at its default */
	struct jeebs_address service_address, client_address; /* of the main connection */
	struct jeebs_address backend_address;                 /* family 0: not known */
};

/*
 * The backend. @receive is called when it was connected, though nothing may have been sent: it may
 * speak first. Then with what the module or the client sent it, and
 * with @eof once when that side has finished. It appends its answer to @answer and
 * sets *close to finish after it, or *fail to reset the connection.
 */
struct harness_backend {
	void (*receive)(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			bool *fail);
	void *ctx;
	bool refuse; /* it cannot be connected */
	/*
	 * Instead of @receive, for answers that are not worth copying: hands them to @answer,
	 * which shows them to the module at once. It returns 0, or -ECANCELED when the run is
	 * over and nobody wants more; then return.
	 */
	void (*stream)(void *ctx, struct bytes b, bool eof, int (*answer)(void *to, struct bytes b),
		       void *to, bool *close, bool *fail);
	/*
	 * A channel is connected to @port of the backend: what is returned goes to @receive or
	 * @stream as its ctx. NULL: nobody listens there. The main connection is not announced
	 * here, its ctx is the one above. Where this is given, what happens on one connection may
	 * make another one speak: each time something was received or connected, all of them are
	 * asked without bytes, until none answers.
	 */
	void *(*connect)(void *ctx, uint16_t port);
	void (*disconnect)(void *connection); /* what connect returned; may be NULL */
};

/*
 * The client. @next is asked whenever all it said so far was dealt with: what it says
 * after it got @received bytes behind the cut; *ret_eof: nothing more will come. Empty
 * without *ret_eof: it waits for more.
 */
struct harness_channel;
struct harness_client {
	struct bytes (*next)(void *ctx, uint64_t received, bool *ret_eof);
	void *ctx;
	/*
	 * The client's end of a channel. A related one: it is there, *ret will be the ctx of
	 * `next` for it. The module connects to channel->client_port: does the client accept? The
	 * module listens on channel->service_port: asked again and again. NULL: there are no
	 * channels, related ones say no more than their FIN.
	 */
	enum harness_opening (*open)(void *ctx, const struct harness_channel *c, void **ret);
};

enum harness_opening {
	HARNESS_THERE,
	HARNESS_NOT_YET, /* of one that is listened for; when nothing else moves it has not come */
	HARNESS_NEVER,
};

enum harness_outcome {
	HARNESS_LIVE,       /* not resumed yet */
	HARNESS_JOINED,     /* nothing more to do; the client's side is open */
	HARNESS_FINISHED,   /* the client was sent a FIN after h.client */
	HARNESS_ABORTED,    /* the client was reset: h.abort_reason */
	HARNESS_OUTPUT_MAX, /* a bound of the options ended the run */
};

enum harness_kind {
	HARNESS_MAIN,
	HARNESS_RELATED,   /* it was there before the cut */
	HARNESS_LISTENED,  /* the client connects */
	HARNESS_CONNECTED, /* the module connects to the client */
};

#define HARNESS_CHANNELS_MAX 64 /* in one run */

/* A connection being continued, each is a struct jeebs_join to the module. */
struct harness_channel {
	/* For the caller to read. */
	enum harness_kind kind;
	uint32_t related; /* index in cut.related */
	uint16_t service_port, client_port;
	uint16_t backend_port; /* as named; 0: not, or the service's */
	bool no_backend;       /* backend_port(0): nothing of it arrives anywhere */
	bool asked;            /* a connection to the backend was wanted */
	enum harness_outcome outcome;
	const char *abort_reason; /* static */
	bool gone;                /* its last event was told */
	struct buf client;        /* what the client gets behind the cut */
	struct buf backend;       /* what the backend got */

	/* Private. */
	struct harness *h;
	void *client_ctx;
	void *backend_ctx;
	bool client_up;
	struct bytes more;            /* of the client, not sent yet */
	bool client_eof, client_over; /* it is to end; it has been told so */
	bool pass[2];
	bool hold;           /* the client is not asked */
	bool timer;          /* set, */
	uint32_t timers;     /* and fired so often */
	bool finish_backend; /* the backend gets no more than what is queued */
	bool connected;
	size_t shown;   /* bytes of `backend` that it has had */
	bool eof_shown; /* and the end */
	bool greeted;   /* it was asked at all: a server may speak first */
	struct buf answer;
	size_t answered; /* bytes of `answer` delivered */
	bool close, fail;
	bool backend_over;                    /* its end or its failure was delivered */
	size_t queued_client, queued_backend; /* in this event */
};

struct harness_run;

struct harness_log {
	struct buf bytes;
	uint64_t base; /* offset of bytes.p[0] */
	uint64_t next; /* end of the stream so far */
	uint64_t keep; /* as asked for */
	bool kept;     /* anything asked for at all */
	bool fin;
};

/* A related connection at the cut. */
struct harness_relation {
	struct harness *h;
	struct jeebs_related seen;
	struct harness_log log[2];
	struct harness_channel *channel; /* NULL: it is over, was refused, or has ended */
};

struct harness {
	/* For the caller to read. */
	bool gave_up;          /* the live half returned JEEBS_GIVE_UP */
	const char *violation; /* of the contract; NULL: none */
	enum harness_outcome outcome;
	const char *abort_reason; /* static */
	struct buf client;        /* what the client gets behind the cut */
	struct buf backend;       /* what the backend got */
	bool asked;               /* a connection to the backend was wanted */
	bool no_backend;          /* backend_port(0): nothing of it arrives anywhere */
	struct harness_channel *channel[HARNESS_CHANNELS_MAX]; /* besides the main one */
	uint32_t channels;
	struct jeebs_expect expected[JEEBS_EXPECT_MAX]; /* by the live half, the newest last */
	uint32_t expected_n;
	bool handed_over; /* the live half did, from here on: */
	uint64_t handed_over_at[2];
	int64_t now_ns; /* told to the live half; the caller's to move */

	/* Private. */
	const struct jeebs_module *module;
	void *state;
	struct harness_options options;
	uint64_t random;
	struct harness_log log[2];
	bool misled;     /* by harness_restore() */
	bool live_call;  /* a live callback is running, */
	uint32_t dir;    /* for this direction, */
	uint64_t end;    /* up to here */
	bool resuming;   /* resume is running */
	bool logs_shown; /* a callback is running that may read the logs */
	struct jeebs_cut cut;
	struct harness_relation relation[JEEBS_EXPECT_MAX];
	struct jeebs_related related[JEEBS_EXPECT_MAX]; /* as the cut shows them */
	uint32_t related_n;
	uint64_t acked;          /* of the client, for the cut; UINT64_MAX: everything */
	struct harness_run *run; /* during harness_resume */
};

/* 0, -ENOMEM, or -EPROTO when the module's open does not return JEEBS_OK. @options may be NULL. */
int harness_init(struct harness *h, const struct jeebs_module *m,
		 const struct harness_options *options);
void harness_deinit(struct harness *h);

/* The live half. After a give-up they only move the end of the stream. */
void harness_data(struct harness *h, uint32_t dir, struct bytes b);
void harness_gap(struct harness *h, uint32_t dir, uint64_t n);
void harness_fin(struct harness *h, uint32_t dir);
/* Checkpoint, a fresh state, restore. 0, -EPROTO when restore refuses, -ENOMEM. */
int harness_reopen(struct harness *h);
/* Appends the state's checkpoint to @out. 0 or -ENOMEM. */
int harness_checkpoint(struct harness *h, struct buf *out);
/*
 * A fresh state from a hostile checkpoint; both logs stay. True when it was accepted.
 * From then on the module believes positions that are not so: what it asks the log
 * to keep is no violation any more.
 */
bool harness_restore(struct harness *h, struct bytes checkpoint);

/*
 * A connection that the module expects, as it is when the server dies. @r has its cut's
 * positions and flags (flow, log and related are filled in), and the companion's state, which
 * stays the caller's; @log ends at the cut and is copied. 0, -ENOMEM, or -ENOSPC (there are
 * JEEBS_EXPECT_MAX).
 */
int harness_relate(struct harness *h, const struct jeebs_related *r,
		   const struct bytes log[static 2]);
/*
 * The same with what @companion, another harness, has come to: its logs and its state (NULL
 * when it gave up). Of @r tag, ports, ended and refused are used. @companion is to stay.
 */
int harness_relate_live(struct harness *h, const struct jeebs_related *r,
			const struct harness *companion);

/* The server dies now. May be called again after further data. */
void harness_plan(struct harness *h, struct jeebs_plan *ret);

/*
 * After a plan that continues. @more: what the client goes on to send, @client_eof:
 * and then finishes. Runs until nothing moves any more.
 */
void harness_resume(struct harness *h, const struct harness_backend *backend, struct bytes more,
		    bool client_eof);

/*
 * As after harness_init() and a live half: @state, which is taken over, is @m's state when
 * the server dies at @cut (positions and FINs; flow and log are filled in here), and @log
 * what the logs hold, ending at the cut. 0 or -ENOMEM; @state is taken in any case.
 */
int harness_init_cut(struct harness *h, const struct jeebs_module *m,
		     const struct harness_options *options, void *state,
		     const struct jeebs_cut *cut, const struct bytes log[static 2]);
void harness_resume_with(struct harness *h, const struct harness_backend *backend,
			 const struct harness_client *client);
/* What the client has got behind the cut; also while it runs. Valid until it gets more. */
struct bytes harness_received(const struct harness *h);

#endif
