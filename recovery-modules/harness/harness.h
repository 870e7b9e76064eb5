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

#include "base/span.h"
#include "jeebs/recovery-module.h"

#define HARNESS_TIMERS_MAX 1000

/* How a stream is divided into chunks. All zero: it is one chunk. */
struct harness_chunks {
	size_t max;    /* longest chunk; 0: no limit */
	uint64_t seed; /* not 0: lengths are pseudo-random in 1..max (max 0: 1..1500) */
};

struct harness_options {
	struct harness_chunks live;    /* both directions in the live half */
	struct harness_chunks backend; /* the backend's answers */
	size_t view_max;               /* longest view of a log; 0: no limit */
	size_t log_max;                /* ceiling of each log; 0: 64 MiB */
	size_t queue_max;              /* bytes per queue and event; 0: 1 MiB */
	size_t output_max;             /* bytes for the client in total; 0: 64 MiB */
	size_t room_max;               /* what room() gives at most; 0: JEEBS_ROOM */
	bool more_may_be_out;          /* cut.nothing_more is not set */
	/* A backend to which the module has to say that it wants TLS; what is said in it is shown
	 * to it as it is. */
	bool secures;
	const struct jeebs_service *service; /* as configured; NULL: every option at its default */
	struct jeebs_address service_address, client_address; /* of the main connection */
	struct jeebs_address backend_address;                 /* family 0: it is not known */
};

/*
 * The backend. @receive is called first when the backend is connected, perhaps without bytes: it
 * may speak first. Then it is called with what the module or the client sent, and with @eof once
 * when that side has finished. It appends its answer to @answer. It sets *close to finish after the
 * answer, or *fail to reset the connection.
 */
struct harness_backend {
	void (*receive)(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			bool *fail);
	void *ctx;
	bool refuse; /* connecting fails */
	/*
	 * Used instead of @receive for answers that are not worth copying. It passes them to
	 * @answer, which shows them to the module at once. @answer returns 0, or -ECANCELED when
	 * the run is over; then @stream must return.
	 */
	void (*stream)(void *ctx, struct bytes b, bool eof, int (*answer)(void *to, struct bytes b),
		       void *to, bool *close, bool *fail);
	/*
	 * Called when a channel connects to @port of the backend. The result becomes the ctx of
	 * @receive or @stream. NULL: nobody listens there. The main connection is not reported
	 * here; its ctx is the one above. If `connect` is set, what happens on one connection may
	 * make another one speak: after each receive or connect all connections are asked, without
	 * bytes, until none answers.
	 */
	void *(*connect)(void *ctx, uint16_t port);
	void (*disconnect)(void *connection); /* gets what connect returned; may be NULL */
};

/*
 * The client. @next is called whenever all that the client has said was dealt with. It gives what
 * the client says after receiving @received bytes behind the cut. *ret_eof: the client finishes.
 * Empty without *ret_eof: the client waits for more.
 */
struct harness_channel;
struct harness_client {
	struct bytes (*next)(void *ctx, uint64_t received, bool *ret_eof);
	void *ctx;
	/*
	 * Opens the client's end of a channel; *ret becomes the ctx of its `next`. For a related
	 * connection, which is open already, it gives only the ctx. When the module connects to
	 * channel->client_port, it says whether the client accepts. When the module listens on
	 * channel->service_port, it is called again and again. NULL: there are no new channels, and
	 * related connections send only their FIN.
	 */
	enum harness_opening (*open)(void *ctx, const struct harness_channel *c, void **ret);
	bool again; /* @next is called once more when nothing else moves */
};

enum harness_opening {
	HARNESS_THERE,
	/* Listening: the client has not come; if nothing else moves, it never comes. */
	HARNESS_NOT_YET,
	HARNESS_NEVER,
};

enum harness_outcome {
	HARNESS_LIVE,       /* not resumed yet */
	HARNESS_JOINED,     /* nothing is left to do, and the client's side is open */
	HARNESS_FINISHED,   /* the client gets a FIN after h.client */
	HARNESS_ABORTED,    /* the client is reset, see h.abort_reason */
	HARNESS_OUTPUT_MAX, /* a bound of the options has ended the run */
};

enum harness_kind {
	HARNESS_MAIN,
	HARNESS_RELATED,   /* it existed before the cut */
	HARNESS_LISTENED,  /* the client connects to the module */
	HARNESS_CONNECTED, /* the module connects to the client */
};

#define HARNESS_CHANNELS_MAX 64 /* ceiling for one run */

/* A connection being continued. To the module it is a struct jeebs_join. */
struct harness_channel {
	/* For the caller to read. */
	enum harness_kind kind;
	uint32_t related; /* index in cut.related */
	uint16_t service_port, client_port;
	uint16_t backend_port; /* named by the module; 0: not named, or the service's */
	bool no_backend;       /* the module called backend_port(0) */
	bool asked;            /* a connection to the backend was asked for */
	bool later;            /* backend_tls_later() was called, */
	bool securing;         /* and secure_backend(), which is not done, */
	uint64_t secured_at;   /* or was when so much had been said to the backend; 0: not */
	enum harness_outcome outcome;
	const char *abort_reason; /* static text */
	bool gone;                /* the last event was delivered */
	struct buf client;        /* what the client gets behind the cut */
	struct buf backend;       /* what the backend got */

	/* Private. */
	struct harness *h;
	void *client_ctx;
	void *backend_ctx;
	bool client_up;
	struct bytes more;            /* bytes of the client that were not delivered yet */
	bool client_eof, client_over; /* the client is to finish; and the module has been told */
	bool pass[2];
	bool hold;           /* the client is not asked for bytes */
	bool timer;          /* a timer is set */
	uint32_t timers;     /* how often timers have fired */
	bool finish_backend; /* the backend gets no more than is queued */
	bool connected;
	size_t shown;   /* how many bytes of `backend` it has been given */
	bool eof_shown; /* it has been given the FIN */
	bool greeted;   /* it was called once: a server may speak first */
	struct buf answer;
	size_t answered; /* bytes of `answer` that were delivered */
	bool close, fail;
	bool backend_over;                    /* the backend's end or failure was delivered */
	size_t queued_client, queued_backend; /* bytes queued in this event, */
	size_t queued_log;                    /* and of a log for the backend */
	bool wants_room[2];                   /* by direction: room() has found the queue long */
	void *memory;                         /* of memory(); zeroed at the end */
	size_t memory_n;
};

struct harness_run;

struct harness_log {
	struct span span; /* ends where the stream does so far */
	uint64_t keep;    /* where the module asked to keep from */
	bool kept;        /* the module has asked at all */
	bool fin;
};

/* A related connection at the cut. */
struct harness_relation {
	struct harness *h;
	struct jeebs_related seen;
	struct harness_log log[2];
	/* NULL: the connection was over or refused, or the channel has ended */
	struct harness_channel *channel;
};

struct harness {
	/* For the caller to read. */
	bool gave_up;          /* the live half returned JEEBS_GIVE_UP */
	const char *violation; /* the first violation of the contract, static text; NULL: none */
	enum harness_outcome outcome;
	const char *abort_reason; /* static text */
	struct buf client;        /* what the client gets behind the cut */
	struct buf backend;       /* what the backend got */
	bool asked;               /* a connection to the backend was asked for */
	bool no_backend;          /* the module called backend_port(0) */
	uint64_t secured_at;      /* of the main connection, see there */
	struct harness_channel *channel[HARNESS_CHANNELS_MAX]; /* all but the main one */
	uint32_t channels;
	/* Announced by the live half, the newest last. */
	struct jeebs_expect expected[JEEBS_EXPECT_MAX];
	uint32_t expected_n;
	bool handed_over; /* the live half has called hand_over() with the offsets below */
	uint64_t handed_over_at[2];
	int64_t now_ns; /* the time that the live half sees; the caller moves it */

	/* Private. */
	const struct jeebs_module *module;
	void *state;
	struct harness_options options;
	uint64_t random;
	struct harness_log log[2];
	bool misled;     /* by harness_restore() */
	bool live_call;  /* a live callback is running, */
	uint32_t dir;    /* which shows this direction */
	uint64_t end;    /* up to this offset */
	bool resuming;   /* a call of resume is running */
	bool logs_shown; /* a callback is running that may read the logs */
	struct jeebs_cut cut;
	struct harness_relation relation[JEEBS_EXPECT_MAX];
	struct jeebs_related related[JEEBS_EXPECT_MAX]; /* in the form of the cut */
	uint32_t related_n;
	uint64_t acked;          /* the client's ACK in the cut; UINT64_MAX: everything */
	struct harness_run *run; /* during harness_resume() */
	struct jeebs_keys *keys; /* NULL: none have come */
	const struct jeebs_crypto_ops *crypto;
	bool live_awaited;            /* they have not come, and may; set by the caller */
	struct jeebs_keys *live_keys; /* while the server lives; see harness_follow_with() */
	const struct jeebs_crypto_ops *live_crypto;
};

/*
 * Starts a live half. @options may be NULL. Returns 0, -ENOMEM, or -EPROTO when the module's open
 * does not return JEEBS_OK.
 */
int harness_init(struct harness *h, const struct jeebs_module *m,
		 const struct harness_options *options);
void harness_deinit(struct harness *h);

/* Both belong to the live half. After JEEBS_GIVE_UP they only move the end of the stream. */
void harness_data(struct harness *h, uint32_t dir, struct bytes b);
void harness_gap(struct harness *h, uint32_t dir, uint64_t n);
void harness_fin(struct harness *h, uint32_t dir);
/*
 * Makes a checkpoint and restores it into a fresh state. Returns 0, -EPROTO when restore refuses,
 * or -ENOMEM.
 */
int harness_reopen(struct harness *h);
/* Appends a checkpoint of the state to @out. Returns 0 or -ENOMEM. */
int harness_checkpoint(struct harness *h, struct buf *out);
/*
 * Restores a hostile checkpoint into a fresh state; both logs stay. Returns whether the module
 * accepted it. From then on the module may believe wrong positions, so what it asks the log to keep
 * is no violation any more.
 */
bool harness_restore(struct harness *h, struct bytes checkpoint);

/*
 * Adds an expected connection in its state at the server's death. @r has its cut's positions and
 * flags (flow, log and related are filled in) and the companion's state, which stays the caller's.
 * @log ends at the cut and is copied. Returns 0, -ENOMEM, or -ENOSPC beyond JEEBS_EXPECT_MAX.
 */
int harness_relate(struct harness *h, const struct jeebs_related *r,
		   const struct span log[static 2]);
/*
 * As harness_relate(), with the logs and the state of @companion, another harness (state NULL: it
 * gave up). Of @r the tag, ports, ended and refused are used. @companion must outlive @h.
 */
int harness_relate_live(struct harness *h, const struct jeebs_related *r,
			const struct harness *companion);

/* From now on the live half has these keys, which must outlive it. NULL: none any more. */
static inline void harness_follow_with(struct harness *h, struct jeebs_keys *keys,
				       const struct jeebs_crypto_ops *crypto)
{
	h->live_keys = keys;
	h->live_crypto = crypto;
}

/*
 * The connection's keys have come: they are in the cut from now on, and the module is told. @keys
 * must outlive @h.
 */
void harness_unseal(struct harness *h, struct jeebs_keys *keys,
		    const struct jeebs_crypto_ops *crypto);

/* Makes the plan, as if the server died now. May be called again after further data. */
void harness_plan(struct harness *h, struct jeebs_plan *ret);

/*
 * Resumes after a plan that continues. The client goes on to send @more and then, if @client_eof,
 * finishes. Runs until nothing moves any more.
 */
void harness_resume(struct harness *h, const struct harness_backend *backend, struct bytes more,
		    bool client_eof);

/*
 * Begins at a cut, in place of harness_init() and a live half. @state is @m's state when the server
 * dies at @cut, @log is what the logs hold, up to the cut. Both are taken over. Of @cut positions,
 * FINs, nothing_more and keys are used; keys have been shown to @state.
 */
void harness_init_cut(struct harness *h, const struct jeebs_module *m,
		      const struct harness_options *options, void *state,
		      const struct jeebs_cut *cut, struct span log[static 2]);
void harness_resume_with(struct harness *h, const struct harness_backend *backend,
			 const struct harness_client *client);
/*
 * What the client has received behind the cut, also during the run. Valid until it receives more.
 */
struct bytes harness_received(const struct harness *h);

#endif
