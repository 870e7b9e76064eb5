/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recovery-module.h: the contract between the appliance and a recovery module.
 *
 * THEORY OF OPERATION
 *
 * A module knows one protocol. It is a shared object that exports one constant,
 * `jeebs_module` (see JEEBS_MODULE_EXPORT). It has two halves.
 *
 * Live: while the protected server lives, the host shows the module the bytes of
 * both directions of each connection, in order, each byte once, in chunks of any
 * size. The module keeps a small state and tells the host which bytes must stay
 * readable (the log). It must cope with gaps: bytes the capture lost.
 *
 * Recovery: when the server has died, the host asks `plan`, which is pure: given
 * the state and the logs, continue how, or refuse why. The dry run prints exactly
 * this answer. If the plan is to continue, the connection to the client is
 * restored and `resume` drives it as an event-driven state machine between the
 * client's side and a connection to the backup ("backend"). Both sides are bytes,
 * never descriptors: they may come from TCP or from a decrypting layer below.
 *
 * GLOSSARY
 *   flow       one connection between a client and the protected service
 *   direction  JEEBS_TO_SERVER (client's bytes) or JEEBS_TO_CLIENT (server's bytes)
 *   offset     position in a direction; 0 is the first data byte
 *   log        bytes of a direction that the host still holds
 *   gap        bytes that were on the wire but not captured; at the beginning, of unknown length
 *   cut        the instant of death: how far each direction had come
 *   related    another connection of the same conversation (FTP data): see expect()
 *   channel    a connection between this client and the service while it is continued: the
 *              main one, a related one that was restored, or a new one; each with its backend
 *
 * RULES
 *   - Truth of the byte stream: at an offset the old server has put on the wire,
 *     the client gets exactly the same byte or nothing. A module that cannot
 *     prove what it would send refuses, with a reason.
 *   - The host owns every buffer; a view is valid during the call that hands it
 *     over. A module copies what it needs later into its state.
 *   - No threads, files, sockets, clocks, globals that change, no allocation: the
 *     host gives each flow `state_size` zeroed bytes, aligned for any type, and
 *     moves them never. A module may be called from several threads, but for one
 *     flow never from two at once.
 *   - The same bytes in any chunking give the same state, plan and output.
 *   - `close` is called once for each successful `open`, also after a failure.
 *   - All bytes shown are hostile. So is what `restore` is given.
 */
#ifndef JEEBS_RECOVERY_MODULE_H
#define JEEBS_RECOVERY_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JEEBS_MODULE_ABI 2u

#define JEEBS_TO_SERVER 0u
#define JEEBS_TO_CLIENT 1u

struct jeebs_bytes {
	const uint8_t *p;
	size_t n;
};

/* Opaque to a module. */
struct jeebs_flow; /* a watched connection */
struct jeebs_join; /* a connection being continued */

/* Which requests may be asked again though the old server may have acted on them. */
#define JEEBS_REPLAY_IDEMPOTENT 0u /* those that do no harm twice */
#define JEEBS_REPLAY_ALL        1u
#define JEEBS_REPLAY_NONE       2u

/* May a login that was watched be repeated towards the backup? */
#define JEEBS_LOGIN_REFUSE 0u
#define JEEBS_LOGIN_REPLAY 1u

/* The service as configured. Valid during open; a module copies what it needs. */
struct jeebs_service {
	uint16_t port;
	uint8_t replay; /* JEEBS_REPLAY_* */
	uint8_t login;  /* JEEBS_LOGIN_* */
	uint32_t reserved_;
	const char *protocol; /* the configured name, e.g. "http" */
	const char
		*notice; /* a line for people at the client's end, without line end; NULL: none */
	const char *upgrade; /* who goes on after hand_over(); NULL: nobody */
	uint64_t retain;     /* bytes of each direction that a module may ask to keep for good */
	/* By direction: the first byte that this module is shown. 0 but after hand_over(). */
	uint64_t begin[2];
};

/* Outcomes of the live callbacks. */
#define JEEBS_OK 0 /* go on */
#define JEEBS_GIVE_UP \
	1 /* nothing can be recovered any more: no further calls until plan, which says why */
#define JEEBS_HAND_OVER 2 /* hand_over() was called: no further calls but close */

/*
 * A connection between the same two hosts that belongs to this conversation. An IPv4-mapped
 * address never occurs: both have the family of the main connection.
 */
struct jeebs_expect {
	uint32_t tag;         /* the module's: given back in struct jeebs_related */
	uint16_t server_port; /* 0: any */
	uint16_t client_port; /* 0: any */
};
#define JEEBS_EXPECT_MAX 4u

/* Live services. Callable from open, data, gap and fin. */
struct jeebs_live_ops {
	/*
	 * The log of @dir must hold everything from @off on. At first nothing is kept
	 * of JEEBS_TO_SERVER; JEEBS_TO_CLIENT always keeps at least what the client has
	 * not acknowledged. Moves forward only. @off may be at most the end of the bytes
	 * shown so far. To keep bytes of the current chunk, @off lies inside it: what
	 * has not been asked for when the callback returns is forgotten.
	 */
	void (*keep_from)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	/*
	 * A contiguous view of the log at @off; shorter than asked for at a buffer's end
	 * (call again at off + n), empty where the log ends or does not reach. The chunk
	 * being shown is not in the log yet. Valid until the callback returns.
	 */
	struct jeebs_bytes (*log)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	/*
	 * The connection @e, whoever opens it, belongs to this one: in a takeover it is in
	 * cut.related. It may come later, or be there already. The newest JEEBS_EXPECT_MAX are
	 * remembered; one with the tag of an earlier one replaces it, and ports 0 and 0 take it
	 * back. Only for a module that names a companion.
	 */
	void (*expect)(struct jeebs_flow *f, const struct jeebs_expect *e);
	/*
	 * From these offsets on the conversation is in another protocol: the module named by
	 * jeebs_service.upgrade goes on, and is shown everything from there. Both offsets must be
	 * in the log or in the chunk being shown, so ask before keep_from moves on. Only from data.
	 * Return JEEBS_HAND_OVER next. False: there is nobody, or a byte is not there.
	 */
	int (*hand_over)(struct jeebs_flow *f, uint64_t to_server, uint64_t to_client);
};

struct jeebs_related;

/* The instant of death, for plan and resume. */
struct jeebs_cut {
	/*
	 * to_server_end: every byte of the client before it was captured; the client
	 * will be told (TCP ACK) that they arrived, so they must all be dealt with.
	 * to_client_end: the next byte to be produced has this offset. Everything before
	 * it was on the wire, and what the client does not have yet the host sends itself.
	 * to_client_acked: what the client has acknowledged, at most to_client_end.
	 */
	uint64_t to_server_end;
	uint64_t to_client_end;
	uint64_t to_client_acked;
	uint8_t client_fin; /* the client has finished sending, at to_server_end */
	uint8_t server_fin; /* the old server had finished sending, at to_client_end */
	uint8_t ended;      /* of a related one: it is over, there is nothing to restore */
	uint8_t refused;    /* of a related one: it cannot be restored, its client is reset */
	uint8_t reserved_[4];
	struct jeebs_flow *flow;
	struct jeebs_bytes (*log)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	uint32_t related_n; /* at most JEEBS_EXPECT_MAX */
	uint32_t reserved2_;
	const struct jeebs_related *related;
};

/* A connection that was expected and has been seen. */
struct jeebs_related {
	uint32_t tag;
	uint16_t server_port, client_port;
	struct jeebs_cut cut; /* has no related ones itself */
	const void *state;    /* of the companion module; NULL: it gave up */
};

/* An address of the client's or the service's host. */
struct jeebs_address {
	uint8_t family; /* 4 or 6 */
	uint8_t reserved_;
	uint16_t port;
	uint8_t addr[16]; /* network order; IPv4: the first four */
};

#define JEEBS_CONTINUE 0u
#define JEEBS_REFUSE   1u

#define JEEBS_STYLE_PROXY      0u /* re-ask the backup, suppress what was delivered, pass through */
#define JEEBS_STYLE_STANDALONE 1u /* the module answers itself */
#define JEEBS_STYLE_INTEGRATED 2u /* it is handed to a local program: resume is not called */

#define JEEBS_DETAIL_MAX 160

struct jeebs_plan {
	uint32_t verdict; /* JEEBS_CONTINUE or JEEBS_REFUSE */
	uint32_t style;
	/*
	 * A stable word with dashes, static text: the reason of a refusal
	 * ("request-not-idempotent") or the manner of continuing ("range", "idle",
	 * "replay"). Shows in logs, metrics and reports.
	 */
	const char *reason;
	char detail[JEEBS_DETAIL_MAX]; /* one sentence for people, terminated; no payload bytes */
};

/* What happens to a connection being continued. */
#define JEEBS_EV_START          0u /* first call; both logs are readable, `cut` is valid */
#define JEEBS_EV_CLIENT_DATA    1u /* bytes from the client, offsets continue at to_server_end */
#define JEEBS_EV_CLIENT_EOF     2u
#define JEEBS_EV_BACKEND_UP     3u /* the connection asked for is established */
#define JEEBS_EV_BACKEND_DATA   4u
#define JEEBS_EV_BACKEND_EOF    5u
#define JEEBS_EV_BACKEND_FAILED 6u /* could not connect, or it was reset */
/* Of a channel made by listen_client or connect_client. */
#define JEEBS_EV_CLIENT_UP 7u /* the client is there */
#define JEEBS_EV_CLIENT_FAILED                                            \
	8u /* it did not come, or refused; nothing of the channel remains \
	    */
/* The last event of a channel that is not the main one: everything was sent, or it was reset. */
#define JEEBS_EV_CHANNEL_CLOSED 9u
/* The time set by timer() is over. */
#define JEEBS_EV_TIMER 10u

/*
 * Services of resume. What to_client and to_backend queue is copied. The host
 * reads no further from one side while too much is queued for the other.
 */
struct jeebs_join_ops {
	void (*to_client)(struct jeebs_join *j, struct jeebs_bytes b);
	/* May be used before the connection is up: it is sent when it is. Connects if needed. */
	void (*to_backend)(struct jeebs_join *j, struct jeebs_bytes b);
	/* After everything queued: no more data in that direction (TCP FIN). */
	void (*finish_client)(struct jeebs_join *j);
	void (*finish_backend)(struct jeebs_join *j);
	/*
	 * From now on bytes of @dir go through untouched and unseen, end of stream
	 * included: JEEBS_TO_SERVER client to backend, JEEBS_TO_CLIENT backend to client.
	 * With JEEBS_TO_SERVER the backend is connected when the first byte comes. In a
	 * data event it applies to bytes after the chunk being shown. Once both
	 * directions pass through, the module is not called again except for close.
	 */
	void (*pass)(struct jeebs_join *j, uint32_t dir);
	/* Resets the client's connection at once. @reason: as in struct jeebs_plan, static text. */
	void (*abort)(struct jeebs_join *j, const char *reason);
	/*
	 * Queues [from, to) of the log of the client's bytes for the backend, however much it is,
	 * without a copy, and asks nobody where that is empty. All of it must be in the log. In any
	 * event while the logs are there.
	 */
	void (*log_to_backend)(struct jeebs_join *j, uint64_t from, uint64_t to);
	/*
	 * While @on nothing is read from the client. For who must not be told yet what it goes on
	 * to say: from JEEBS_EV_START on, when nothing was read, no JEEBS_EV_CLIENT_DATA comes.
	 * The end of the client's stream, if it was in the cut already, is told all the same.
	 * pass(JEEBS_TO_SERVER) ends it.
	 */
	void (*hold_client)(struct jeebs_join *j, int on);
	/*
	 * JEEBS_EV_TIMER comes once, @ms from now or up to 50 ms later; 0: not at all. What was
	 * set before is forgotten. For an answer that may never come.
	 */
	void (*timer)(struct jeebs_join *j, uint32_t ms);

	/* ---- conversations of several connections ----------------------------------------- */
	/*
	 * Each channel is a struct jeebs_join of its own: every call above is for the channel it
	 * names, every event is told with its channel. State and cut are the main one's. A channel
	 * without `pass` is seen by the module. Aborting the main one aborts all; when it ends in
	 * order the others go on. A channel is gone when its JEEBS_EV_CHANNEL_CLOSED (or
	 * _CLIENT_FAILED) was told, and in that event may still be named but for nothing used.
	 */
	/* cut->related[i], restored; NULL when it was ended or refused. From JEEBS_EV_START on. */
	struct jeebs_join *(*related)(struct jeebs_join *j, uint32_t i);
	/*
	 * The backend of this channel listens on another port than the service's. Before anything
	 * was sent to it. @port 0: none, what is sent to the backend is lost.
	 */
	void (*backend_port)(struct jeebs_join *j, uint16_t port);
	/* Connects to the backend though nothing is to be sent. */
	void (*connect_backend)(struct jeebs_join *j);
	/*
	 * A new channel: the client will connect to the service's address, on port *io_port (told
	 * to it by the old server), or where that is 0 or taken, on one of the box's choice, from
	 * the address of its main connection. *io_port: the port it is. NULL: none is to be had.
	 */
	struct jeebs_join *(*listen_client)(struct jeebs_join *j, uint16_t *io_port);
	/* A new channel: connects to @to, from the service's address and @from_port, or from any
	 * port where that is 0 or taken. NULL: none is to be had. */
	struct jeebs_join *(*connect_client)(struct jeebs_join *j, const struct jeebs_address *to,
					     uint16_t from_port);
	/* The service's or the client's end of the main connection; or where its backend is, family
	 * 0 where that is not known. */
	void (*address)(struct jeebs_join *j, uint32_t end, struct jeebs_address *ret);
};
#define JEEBS_END_SERVICE 0u
#define JEEBS_END_CLIENT  1u
#define JEEBS_END_BACKEND 2u

/* New channels of one conversation at the same time: then none is to be had. */
#define JEEBS_CHANNELS_MAX 16u

struct jeebs_module {
	uint32_t abi;     /* JEEBS_MODULE_ABI; the host refuses anything else */
	uint32_t size;    /* sizeof(struct jeebs_module); it grows at its end within an ABI */
	const char *name; /* the `protocol` it serves */
	const char *version;
	uint32_t state_size; /* bytes of state per flow */
	uint32_t reserved_;

	/* Live half. */
	int (*open)(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		    const struct jeebs_service *svc);
	int (*data)(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
	/*
	 * [from, to) was lost; data goes on at @to. A connection that is older than the box begins,
	 * right after open, with gap(0, 0) of each direction: an unknown number of bytes came
	 * before offset 0, which is the first byte that was seen, anywhere in the stream.
	 */
	int (*gap)(void *state, uint32_t dir, uint64_t from, uint64_t to);
	int (*fin)(void *state, uint32_t dir, uint64_t off);
	/*
	 * Serialises the state, versioned, big-endian, into @out of @cap bytes. Returns
	 * the length; more than @cap: so much is needed, and @out is of no use.
	 */
	size_t (*checkpoint)(const void *state, uint8_t *out, size_t cap);
	/*
	 * Into a state fresh from open. JEEBS_OK, or JEEBS_GIVE_UP for input it does not
	 * understand. Logs hold what was kept when the checkpoint was made.
	 */
	int (*restore)(void *state, struct jeebs_bytes checkpoint);

	/* Recovery half. */
	void (*plan)(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);
	/*
	 * After a plan that continues, with the same cut. @b is empty except for the data
	 * events. The cut and its logs are valid until the module lets JEEBS_TO_SERVER of
	 * the channel pass; those of a related one as long as its channel is there.
	 */
	void (*resume)(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

	void (*close)(void *state);

	/*
	 * For `protocol: auto`: do these bytes, all that either side has said so far, begin a
	 * conversation in this protocol? Pure. JEEBS_DETECT_*. NULL: never chosen by that.
	 */
	uint32_t (*detect)(struct jeebs_bytes to_server, struct jeebs_bytes to_client);
	/*
	 * The name of a module, in a file of its own, that watches the server's connections on
	 * ports which are no configured services: related ones may be among them. NULL: none.
	 * A companion has only the live half; its recovery half is there, and refuses.
	 */
	const char *companion;
	/*
	 * The ports on which its servers are usually found, the most usual one first, 0 behind the
	 * last; NULL: none in particular. For a drill that was not told which port speaks what.
	 */
	const uint16_t *ports;
};

#define JEEBS_DETECT_NO    0u
#define JEEBS_DETECT_MAYBE 1u /* more bytes will tell */
#define JEEBS_DETECT_YES   2u

/* In exactly one source file of the module: JEEBS_MODULE_EXPORT(http_module) */
#ifdef JEEBS_MODULE_STATIC
/* Tests and fuzzers link several modules directly, each under its own name. */
#define JEEBS_MODULE_EXPORT(object) struct jeebs_module_static_unused_
#else
#define JEEBS_MODULE_EXPORT(object)                                                          \
	__attribute__((visibility("default"))) extern const struct jeebs_module jeebs_module \
		__attribute__((alias(#object)))
#endif

#ifdef __cplusplus
}
#endif

#endif
