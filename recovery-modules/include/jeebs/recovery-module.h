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
 * readable (the log). It must cope with gaps: bytes the capture lost. The host may
 * show the beginning of a connection some time after it passed; of a connection that
 * ends before, it may show nothing, and not even open the module.
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
 *   keys       secrets of an encrypted connection: recovery-crypto.h
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

#include "recovery-crypto.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JEEBS_MODULE_ABI 3u

/*
 * Whether a struct that begins with its size has @member: within an ABI members are added at the
 * end, so whoever was built with an older header has a shorter one.
 */
#define JEEBS_HAS(object, member) \
	((object)->size >= (size_t)((const char *)(&(object)->member + 1) - (const char *)(object)))

#define JEEBS_TO_SERVER 0u
#define JEEBS_TO_CLIENT 1u

/* Both are opaque to a module. */
struct jeebs_flow; /* a watched connection */
struct jeebs_join; /* a connection being continued */

/* Which unanswered requests may be asked again, although the old server may have acted on them. */
#define JEEBS_REPLAY_IDEMPOTENT 0u /* those that may be repeated without harm */
#define JEEBS_REPLAY_ALL        1u
#define JEEBS_REPLAY_NONE       2u

/* Whether a login that was seen may be repeated towards the backup. */
#define JEEBS_LOGIN_REFUSE 0u
#define JEEBS_LOGIN_REPLAY 1u

/*
 * Inside a layer: the conversation began in plain and turned to it in its middle, by its own word
 * (STARTTLS). What is shown begins behind that.
 */
#define JEEBS_SERVICE_UPGRADED (1u << 0)

struct jeebs_module;

/* The service's configuration. Valid during open(); a module copies what it needs. */
struct jeebs_service {
	uint16_t port;
	uint8_t replay;       /* JEEBS_REPLAY_* */
	uint8_t login;        /* JEEBS_LOGIN_* */
	uint32_t flags;       /* JEEBS_SERVICE_* */
	const char *protocol; /* the name in the configuration, e.g. "http" */
	const char
		*notice; /* a line for people at the client's end, without line end; NULL: none */
	const char *upgrade; /* the module to hand over to, see hand_over(); NULL: none */
	/* Bytes of each direction that a module may keep to the end of the connection. */
	uint64_t retain;
	/* By direction, the offset of the first byte that this module is shown. Only after
	 * hand_over() it is not 0. */
	uint64_t begin[2];
	/* For a layer: the module of the conversation inside. Otherwise NULL. */
	const struct jeebs_module *inner;
	/* The same, if both sides have agreed on HTTP/2 (ALPN); NULL: there is none. */
	const struct jeebs_module *inner_h2;
	/*
	 * For a layer whose inside the configuration does not say (`protocol: auto`): the modules
	 * that may be inside, NULL behind the last. ALPN chooses, and without it the port: see alpn
	 * and tls_ports. Otherwise NULL.
	 */
	const struct jeebs_module *const *inner_any;
	/* For SSH: commands that may be run again, as patterns (fnmatch(3)), NULL behind the last;
	 * NULL: none. */
	char *const *exec_restart;
	const char *shell; /* a command in place of the user's shell; NULL: that */
};

/* Results of the live callbacks. */
#define JEEBS_OK 0 /* go on */
/* Nothing can be recovered any more: no further calls until plan, which says why. */
#define JEEBS_GIVE_UP   1
#define JEEBS_HAND_OVER 2 /* hand_over() was called: no further calls except close */

/*
 * Describes a connection between the same two hosts that belongs to this conversation. Its address
 * family is that of the main connection; IPv4-mapped addresses do not occur.
 */
struct jeebs_expect {
	uint32_t tag;         /* chosen by the module; appears in struct jeebs_related */
	uint16_t server_port; /* 0: any */
	uint16_t client_port; /* 0: any */
};
#define JEEBS_EXPECT_MAX 4u

/* What keys() returns. Awaited: they may come at any moment; what is kept until then is worth it.
 */
#define JEEBS_KEYS_NONE    0
#define JEEBS_KEYS_THERE   1
#define JEEBS_KEYS_AWAITED 2

/* Services for the live half. Callable in open, data, gap and fin, if nothing else is said. */
struct jeebs_live_ops {
	uint32_t size; /* sizeof(struct jeebs_live_ops), see JEEBS_HAS() */
	uint32_t reserved_;
	/*
	 * Asks that the log of @dir keeps everything from @off on. The offset moves forward only
	 * and is at most the end of the bytes shown so far. Before the first call nothing of
	 * JEEBS_TO_SERVER is kept; of JEEBS_TO_CLIENT always at least what the client has not
	 * acknowledged. To keep bytes of the chunk being shown, @off must lie inside it before the
	 * callback returns: what was not asked for by then is dropped.
	 */
	void (*keep_from)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	/*
	 * A contiguous view of the log from @off on. It may be shorter than the log: call again at
	 * off + n. It is empty at the end of the log and outside of it. The chunk being shown is
	 * not in the log yet. Valid until the callback returns.
	 */
	struct jeebs_bytes (*log)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	/*
	 * Announces that the connection @e, whichever side opens it, belongs to this conversation:
	 * in a takeover it is in cut.related. It may come later or be there already. The newest
	 * JEEBS_EXPECT_MAX are remembered. One with the tag of an earlier one replaces it; ports 0
	 * and 0 withdraw it. Only for a module that names a companion.
	 */
	void (*expect)(struct jeebs_flow *f, const struct jeebs_expect *e);
	/*
	 * Announces that from these offsets on the conversation is in another protocol. The module
	 * named by jeebs_service.upgrade continues, and is shown everything from there on. Both
	 * offsets must be in the log or in the chunk being shown, so call this before keep_from()
	 * moves on. Only in data(). Return JEEBS_HAND_OVER afterwards. Returns false when there is
	 * no such module, or a byte is missing.
	 */
	int (*hand_over)(struct jeebs_flow *f, uint64_t to_server, uint64_t to_client);
	/*
	 * The keys of a service whose connections are followed with them (`keys: live`). Returns
	 * JEEBS_KEYS_*: they come some time after the handshake, and may be gone again. A handle is
	 * valid as long as the same struct jeebs_keys is returned; in a cut it is another. Only in
	 * data().
	 */
	int (*keys)(struct jeebs_flow *f, struct jeebs_keys **ret_keys,
		    const struct jeebs_crypto_ops **ret_crypto);
	/* As in struct jeebs_cut. Only in data(). */
	uint8_t *(*scratch)(struct jeebs_flow *f, size_t n);
	/*
	 * Says that the bytes of @dir from @from, the end of the chunk being shown, to @to matter
	 * only if the conversation does not get beyond them: the rest of a body. A drill need not
	 * show them then: if all of them come before anything else does, data() is called with no
	 * bytes at @to; otherwise they are shown as ever. NULL: all are shown. Only in data().
	 */
	void (*pass)(struct jeebs_flow *f, uint32_t dir, uint64_t from, uint64_t to);
};

struct jeebs_related;

/* How far a connection had come when the server died. For plan and resume. */
struct jeebs_cut {
	/*
	 * to_server_end: every byte of the client before this offset was captured. The client will
	 * be told by TCP that they arrived, so all of them must be dealt with.
	 * to_client_end: the offset of the next byte to be produced. Everything before it was on
	 * the wire; what the client lacks of it, the host sends itself.
	 * to_client_acked: what the client has acknowledged, at most to_client_end.
	 */
	uint64_t to_server_end;
	uint64_t to_client_end;
	uint64_t to_client_acked;
	uint8_t client_fin; /* the client has sent its FIN, at to_server_end */
	uint8_t server_fin; /* the old server had sent its FIN, at to_client_end */
	uint8_t ended;      /* of a related connection: it is over, and nothing is restored */
	/* Of a related connection: it cannot be restored, and its client is reset. */
	uint8_t refused;
	/*
	 * Proved: the old server had sent nothing behind to_client_end that anybody could have. The
	 * capture has lost nothing since the server said so, and the client, asked, knows of
	 * nothing.
	 */
	uint8_t nothing_more;
	/*
	 * Of a related connection: its companion is a layer with another module inside
	 * (JEEBS_MODULE_LAYERED), so that its bytes and its state are for the same layer alone. To
	 * the module inside they are shown as that one's.
	 */
	uint8_t layered;
	uint8_t reserved_[2];
	struct jeebs_flow *flow;
	struct jeebs_bytes (*log)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	uint32_t related_n; /* at most JEEBS_EXPECT_MAX */
	uint32_t reserved2_;
	const struct jeebs_related *related;
	/* The connection's keys; NULL: none have come. */
	struct jeebs_keys *keys;
	const struct jeebs_crypto_ops *crypto; /* NULL as long as keys is */
	/*
	 * Memory for what was decrypted, until the callback returns: then it is zeroed. Each call
	 * gives further @n bytes, aligned for any type, their content undefined. NULL: beyond
	 * JEEBS_SCRATCH_MAX of one callback, or there is no memory. Wherever the logs can be read.
	 */
	uint8_t *(*scratch)(struct jeebs_flow *f, size_t n);
};

/* Whether the log of the cut has all of [from, to): the host may have dropped bytes at a ceiling.
 */
static inline int jeebs_log_holds(const struct jeebs_cut *cut, uint32_t dir, uint64_t from,
				  uint64_t to)
{
	while (from < to) {
		struct jeebs_bytes v = cut->log(cut->flow, dir, from);
		if (v.n == 0)
			return 0;
		if (v.n >= to - from)
			return 1;
		from += v.n;
	}
	return 1;
}
#define JEEBS_SCRATCH_MAX (1u << 20)

/* A related connection that was expected and has been seen. */
struct jeebs_related {
	uint32_t tag;
	uint16_t server_port, client_port;
	struct jeebs_cut cut; /* its own related_n is 0 */
	const void *state;    /* of the companion module; NULL: the companion gave up */
};

/* An address of the client's or the service's host. */
struct jeebs_address {
	uint8_t family; /* 4 or 6 */
	uint8_t reserved_;
	uint16_t port;
	uint8_t addr[16]; /* in network order; IPv4: the first four bytes */
};

#define JEEBS_CONTINUE 0u
#define JEEBS_REFUSE   1u
/*
 * Only in a cut without keys: everything else is there, and with the keys there will be another
 * plan. Without them the connection is refused.
 */
#define JEEBS_IF_KEYS 2u

/* Asks the backup again, drops what was delivered, then passes bytes through. */
#define JEEBS_STYLE_PROXY      0u
#define JEEBS_STYLE_STANDALONE 1u /* the module answers itself */
#define JEEBS_STYLE_INTEGRATED 2u /* a local program takes over: resume is not called */

#define JEEBS_DETAIL_MAX 160

struct jeebs_plan {
	uint32_t verdict; /* JEEBS_CONTINUE, JEEBS_REFUSE or JEEBS_IF_KEYS */
	uint32_t style;
	/*
	 * A stable word with dashes, static text. The reason of a refusal
	 * ("request-not-idempotent"), or the way of continuing ("range", "idle", "replay"). It
	 * appears in logs, metrics and reports.
	 */
	const char *reason;
	/* One sentence for people, terminated, without payload bytes. */
	char detail[JEEBS_DETAIL_MAX];
};

/* Events of a connection that is being continued. */
#define JEEBS_EV_START          0u /* the first event; the cut and both logs can be read */
#define JEEBS_EV_CLIENT_DATA    1u /* bytes from the client, from offset to_server_end on */
#define JEEBS_EV_CLIENT_EOF     2u
#define JEEBS_EV_BACKEND_UP     3u /* the connection to the backend is established */
#define JEEBS_EV_BACKEND_DATA   4u
#define JEEBS_EV_BACKEND_EOF    5u
#define JEEBS_EV_BACKEND_FAILED 6u /* the connection failed, or was reset */
/* Events of a channel made by listen_client() or connect_client(). */
#define JEEBS_EV_CLIENT_UP     7u /* the client is connected */
#define JEEBS_EV_CLIENT_FAILED 8u /* the client did not come, or refused: the channel is gone */
/* The last event of a channel that is not the main one: all was sent, or it was reset. */
#define JEEBS_EV_CHANNEL_CLOSED 9u
/* The time set by timer() has passed. */
#define JEEBS_EV_TIMER 10u
/* There is room again in a queue that room() has found full. */
#define JEEBS_EV_CLIENT_ROOM  11u
#define JEEBS_EV_BACKEND_ROOM 12u

/*
 * Services for resume. to_client() and to_backend() copy the bytes into a queue. While the queue
 * for one side is long, the host does not read from the other side.
 */
struct jeebs_join_ops {
	uint32_t size; /* sizeof(struct jeebs_join_ops), see JEEBS_HAS() */
	uint32_t reserved_;
	void (*to_client)(struct jeebs_join *j, struct jeebs_bytes b);
	/* May be called before the connection is up; the bytes are sent later. Connects if
	 * needed. */
	void (*to_backend)(struct jeebs_join *j, struct jeebs_bytes b);
	/* Ends that direction with a FIN, after everything that is queued. */
	void (*finish_client)(struct jeebs_join *j);
	void (*finish_backend)(struct jeebs_join *j);
	/*
	 * From now on bytes of @dir pass through unchanged and unseen, and so does the end of the
	 * stream: for JEEBS_TO_SERVER from client to backend, for JEEBS_TO_CLIENT from backend to
	 * client. With JEEBS_TO_SERVER the backend is connected when the first byte comes. In a
	 * data event the chunk being shown does not pass. When both directions pass, the module is
	 * not called again except for close.
	 */
	void (*pass)(struct jeebs_join *j, uint32_t dir);
	/* Resets the client's connection at once. @reason: see struct jeebs_plan; static text. */
	void (*abort)(struct jeebs_join *j, const char *reason);
	/*
	 * Queues the client's bytes [from, to) in the log for the backend. They are not copied, and
	 * their number has no ceiling. All of them must be in the log. If there are none, no
	 * backend is connected. Callable in any event while the logs can be read.
	 */
	void (*log_to_backend)(struct jeebs_join *j, uint64_t from, uint64_t to);
	/*
	 * While @on is set, nothing is read from the client. Called in JEEBS_EV_START, it keeps all
	 * of JEEBS_EV_CLIENT_DATA away. An end of the client's stream that is in the cut is still
	 * reported. pass(JEEBS_TO_SERVER) ends the hold.
	 */
	void (*hold_client)(struct jeebs_join *j, int on);
	/*
	 * Asks for one JEEBS_EV_TIMER after @ms milliseconds, or up to 50 ms later; 0: none.
	 * Replaces an earlier timer. It is meant for an answer that may never come.
	 */
	void (*timer)(struct jeebs_join *j, uint32_t ms);

	/* ---- conversations of several connections ----------------------------------------- */
	/*
	 * Each channel is a struct jeebs_join of its own. The calls above act on the channel that
	 * they are given, and each event comes with its channel. State and cut are those of the
	 * main connection. The module sees the bytes of a channel until pass(). Aborting the main
	 * channel aborts all; when it ends in order, the others go on. In its last event,
	 * JEEBS_EV_CHANNEL_CLOSED or JEEBS_EV_CLIENT_FAILED, a channel can still be compared with
	 * others, and its memory() be read, but it cannot be used. The memory of the main channel
	 * lives as long as any of them.
	 */
	/* The channel of cut->related[i]; NULL if it was ended or refused. Callable from
	 * JEEBS_EV_START on. */
	struct jeebs_join *(*related)(struct jeebs_join *j, uint32_t i);
	/*
	 * Names another port than the service's, on which the backend of this channel listens.
	 * Callable before anything was sent to it. @port 0: there is no backend, and what is sent
	 * to it is lost.
	 */
	void (*backend_port)(struct jeebs_join *j, uint16_t port);
	/* Connects to the backend even if nothing is to be sent. */
	void (*connect_backend)(struct jeebs_join *j);
	/*
	 * Makes a channel to which the client will connect. It listens on the service's address and
	 * port *io_port, which the old server may have told the client. If *io_port is 0 or taken,
	 * the box chooses a port and writes it there. Only connections from the client's address
	 * are accepted. NULL: no channel can be had.
	 */
	struct jeebs_join *(*listen_client)(struct jeebs_join *j, uint16_t *io_port);
	/* Makes a channel by connecting to @to, from the service's address and @from_port; from
	 * any port if that is 0 or taken. NULL: no channel can be had. */
	struct jeebs_join *(*connect_client)(struct jeebs_join *j, const struct jeebs_address *to,
					     uint16_t from_port);
	/* Reads the address of the service or the client in the main connection, or that of the
	 * backend of @j; family 0: it is not known. */
	void (*address)(struct jeebs_join *j, uint32_t end, struct jeebs_address *ret);

	/* ---- what is sent in steps --------------------------------------------------------- */
	/*
	 * How many bytes of @dir, to the client or to the backend, fit into a queue that is not
	 * long yet: JEEBS_ROOM if it is empty. 0: it is long; once it is empty, one
	 * JEEBS_EV_CLIENT_ROOM or JEEBS_EV_BACKEND_ROOM comes. It is no ceiling, but who obeys it
	 * meets none, and neither do the bytes grow old in the queue.
	 */
	size_t (*room)(struct jeebs_join *j, uint32_t dir);
	/*
	 * Memory for this channel until its end: zeroed at first, and at the end again. The first
	 * call decides how much it is, at most JEEBS_MEMORY_MAX; the same is returned by all
	 * others. NULL: it cannot be had.
	 */
	void *(*memory)(struct jeebs_join *j, size_t n);
	/*
	 * Inside a layer: what the old server had begun to say behind to_client_end, as far as it
	 * was on the wire, in a record that nothing proves. The client gets nothing that
	 * contradicts it. Only its form may be followed, where the same can be said in several;
	 * what is said must come from elsewhere. The view is valid as long as the channel. NULL, or
	 * empty: there is nothing.
	 */
	struct jeebs_bytes (*begun)(struct jeebs_join *j);
	/*
	 * Of a conversation that was in TLS: the server name that the client asked for, and the
	 * protocol inside that was agreed on (ALPN); each NULL or empty: none. The backup is spoken
	 * to in TLS then, if the operator does not want it plain; the module says and hears
	 * plaintext in both cases. Callable before anything was sent to the backend.
	 */
	void (*backend_tls)(struct jeebs_join *j, const char *name, const char *alpn);
	/*
	 * As backend_tls(), of a conversation that turned to TLS in its middle
	 * (JEEBS_SERVICE_UPGRADED): the backend, too, is spoken to in plain first, until
	 * secure_backend().
	 */
	void (*backend_tls_later)(struct jeebs_join *j, const char *name, const char *alpn);
	/*
	 * Inside the layer of such a conversation. JEEBS_SECURE_ASK: returns whether the backend
	 * has to be asked for TLS, in the words of the protocol; if not, it stays plain.
	 * JEEBS_SECURE_BEGIN: it has agreed. What was said to it is out, and nothing is said until
	 * JEEBS_EV_BACKEND_UP comes for the second time; from then on it is spoken to in TLS.
	 */
	int (*secure_backend)(struct jeebs_join *j, uint32_t step);
};
#define JEEBS_SECURE_ASK   0u
#define JEEBS_SECURE_BEGIN 1u
#define JEEBS_ROOM         (256u << 10)
#define JEEBS_MEMORY_MAX   (512u << 10) /* inside a layer: half of it */
#define JEEBS_END_SERVICE  0u
#define JEEBS_END_CLIENT   1u
#define JEEBS_END_BACKEND  2u

/*
 * It is a layer: another module continues the conversation that is inside. The host makes one
 * module of both, whose state has the inner one's behind the layer's, and names the inner one in
 * jeebs_service.inner. state_size is a multiple of what any type is aligned to.
 */
#define JEEBS_MODULE_LAYER (1u << 0)
/* It is a layer with another module inside, as the host has made it of both. */
#define JEEBS_MODULE_LAYERED (1u << 1)

/* Ceiling of new channels of one conversation at the same time; beyond it no channel can be had. */
#define JEEBS_CHANNELS_MAX 16u

struct jeebs_module {
	uint32_t abi; /* JEEBS_MODULE_ABI; the host refuses anything else */
	/* sizeof(struct jeebs_module); within an ABI members are added at the end. */
	uint32_t size;
	const char *name; /* the value of `protocol` */
	const char *version;
	uint32_t state_size; /* bytes of state for each flow */
	uint32_t flags;      /* JEEBS_MODULE_* */

	/* The live half. */
	int (*open)(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		    const struct jeebs_service *svc);
	/* @now_ns is the time at which the bytes passed. No bytes: see pass(). */
	int (*data)(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
	/*
	 * The bytes [from, to) were lost, and data goes on at @to. A connection whose handshake was
	 * not seen begins, directly after open, with gap(0, 0) for each direction. Then an unknown
	 * number of bytes came before offset 0, which is the first byte seen.
	 */
	int (*gap)(void *state, uint32_t dir, uint64_t from, uint64_t to);
	int (*fin)(void *state, uint32_t dir, uint64_t off);
	/*
	 * Writes the state, versioned and big-endian, to @out of @cap bytes. Returns the length. If
	 * that exceeds @cap, so much room is needed and @out is useless.
	 */
	size_t (*checkpoint)(const void *state, uint8_t *out, size_t cap);
	/*
	 * Reads a checkpoint into a state fresh from open. Returns JEEBS_OK, or JEEBS_GIVE_UP when
	 * it does not understand it. The logs hold what was kept when the checkpoint was made.
	 */
	int (*restore)(void *state, struct jeebs_bytes checkpoint);

	/* The recovery half. */
	void (*plan)(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);
	/*
	 * Called after a plan that continues, with the same cut. @b is empty except in data events.
	 * The cut and its logs are valid until the module lets JEEBS_TO_SERVER of the main channel
	 * pass; those of a related connection as long as its channel exists.
	 */
	void (*resume)(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

	void (*close)(void *state);

	/*
	 * For `protocol: auto`: whether these bytes, all that the sides have sent so far, begin a
	 * conversation in this protocol. Pure. Returns JEEBS_DETECT_*. NULL: `auto` never chooses
	 * this module.
	 */
	uint32_t (*detect)(struct jeebs_bytes to_server, struct jeebs_bytes to_client);
	/*
	 * Names a module, in a file of its own, that watches the server's connections on all ports
	 * without a configured service; related connections are among them. NULL: none. Of a
	 * companion only the live half is used; its plan refuses.
	 */
	const char *companion;
	/*
	 * The usual ports of such servers, the most usual first, 0 after the last. NULL: there are
	 * none. They are for a drill that was not told which port speaks which protocol.
	 */
	const uint16_t *ports;
	/*
	 * For encrypted protocols: the keys have come, and are in the cut. Called once, after the
	 * last byte was shown and before a plan: the state may take from the logs what only the
	 * keys show. Returns JEEBS_OK or JEEBS_GIVE_UP; in both cases a plan follows. NULL: keys
	 * make no difference to this module.
	 */
	int (*unseal)(void *state, const struct jeebs_cut *cut);
	/*
	 * The protocol, as in the configuration, that this module hands over to (hand_over()) where
	 * the operator names none and the keys of the service are kept: "tls:smtp" for one that has
	 * STARTTLS. NULL: none.
	 */
	const char *upgrade;
	/* As ports, of servers that speak it in TLS from the first byte on. */
	const uint16_t *tls_ports;
	/* What it is called in ALPN (RFC 7301), NULL behind the last. NULL: nothing. */
	const char *const *alpn;
	/*
	 * What unseal() does besides reading the logs, in bytes of a log that take as long: who has
	 * least to do is shown its keys first. Pure, without keys. NULL: nothing.
	 */
	uint64_t (*unseal_more)(const void *state);
};

#define JEEBS_DETECT_NO    0u
#define JEEBS_DETECT_MAYBE 1u /* more bytes are needed */
#define JEEBS_DETECT_YES   2u

/* Used in exactly one source file of the module: JEEBS_MODULE_EXPORT(http_module) */
#ifdef JEEBS_MODULE_STATIC
/* Tests and fuzzers link several modules directly, by their own names. */
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
