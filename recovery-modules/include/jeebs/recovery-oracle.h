/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recovery-oracle.h: a backup made from a capture, for proving a module's plans.
 *
 * The every-cut drill kills the server at each packet of a capture, lets the module
 * resume, and compares what the client would get with what the real server went on
 * to send. The backup it resumes against is an oracle: it has read the whole
 * conversation of one connection and answers as a stock server with the same content
 * would. An oracle knows one protocol; it is a shared object of its own beside the
 * module, <protocol>-oracle.so, that exports the constant `jeebs_oracle`.
 *
 * It is test equipment, not a module: it may allocate, and it shares no code with the
 * module it judges, or both would make the same mistake. It never invents a byte: what
 * it cannot know from the capture it says it cannot answer. Hostile bytes come here too.
 */
#ifndef JEEBS_RECOVERY_ORACLE_H
#define JEEBS_RECOVERY_ORACLE_H

#include "recovery-module.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JEEBS_ORACLE_ABI 3u

/* State of a connection to the oracle. */
#define JEEBS_ORACLE_OPEN  0u /* the connection goes on */
#define JEEBS_ORACLE_CLOSE 1u /* the server finishes after this answer */
#define JEEBS_ORACLE_RESET 2u /* the server resets the connection */
#define JEEBS_ORACLE_UNKNOWN \
	3u /* the request asks for what the capture does not show: this cut proves nothing */

struct jeebs_oracle {
	uint32_t abi;     /* JEEBS_ORACLE_ABI */
	uint32_t size;    /* sizeof(struct jeebs_oracle) */
	const char *name; /* the protocol */

	/* Makes an oracle for one recorded connection. NULL: no memory. */
	void *(*open)(const struct jeebs_service *svc);
	/*
	 * Show the oracle the whole conversation: each direction in order from offset 0, in any
	 * chunks, the directions interleaved as captured. Then learned() is called once. Gaps are
	 * bytes that the capture lost. All return 0 or a negative errno (-ENOMEM).
	 */
	int (*data)(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b);
	int (*gap)(void *oracle, uint32_t dir, uint64_t from, uint64_t to);
	int (*fin)(void *oracle, uint32_t dir, uint64_t off);
	/*
	 * *ret_unasked is an offset of the server's bytes. What comes from there on was not asked
	 * for: a greeting, a message about a timeout, another protocol. No module can be expected
	 * to obtain it. UINT64_MAX: everything was asked for.
	 */
	int (*learned)(void *oracle, uint64_t *ret_unasked);

	/*
	 * Makes a connection from the box to this backup. There may be several, one after the
	 * other, and they do not influence each other. @cut tells how far the recorded conversation
	 * had come when the server died; only its positions and FINs may be read. NULL: no memory.
	 */
	void *(*connect)(void *oracle, const struct jeebs_cut *cut);
	/*
	 * Receives bytes from the box, in any chunks, and @eof once when the box has finished.
	 * Answers by calling @answer any number of times; a negative errno from it must be
	 * returned. *ret_state is JEEBS_ORACLE_*. Returns 0 or a negative errno.
	 */
	int (*receive)(void *connection, struct jeebs_bytes b, int eof,
		       int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
		       uint32_t *ret_state);
	void (*disconnect)(void *connection);

	void (*close)(void *oracle);

	/*
	 * For conversations of several connections: all three functions, or all NULL.
	 *
	 * related() shows all that was said on a connection that the module expected. It is called
	 * for each of them, before learned(). @who has the real ports. @fin: that side ended in
	 * order. A gap ends @b.
	 *
	 * connect_related() makes a connection from the box to @port of this backup, while the main
	 * @connection, whose answers named the port, exists. NULL: nobody listens there. It is used
	 * like the main one, and disconnected before it. What happens on one connection may make
	 * another one speak. So after each receive() on one of them, and after connect_related(),
	 * receive() is called without bytes on all of them until none answers.
	 *
	 * asks_related() tells whether the recorded conversation, as far as it is known, leads to
	 * what was said on this connection. If not, what asked for it was lost, and nobody can be
	 * expected to come to it. It is called after learned().
	 */
	int (*related)(void *oracle, const struct jeebs_expect *who, uint32_t dir,
		       struct jeebs_bytes b, int fin);
	void *(*connect_related)(void *connection, uint16_t port);
	int (*asks_related)(void *oracle, const struct jeebs_expect *who);

	/*
	 * For protocols in which the same can be said in other bytes; NULL: the client must get the
	 * very bytes. @got is what the client got behind @cut. *ret_wrong is NULL when, read
	 * together with what it had before, it says what the real server went on to say, or a
	 * beginning of that; otherwise what is wrong, as a stable word. *ret_missing: something
	 * that the client has asked for in the whole conversation did not come to its end.
	 */
	int (*judge)(void *oracle, const struct jeebs_cut *cut, struct jeebs_bytes got,
		     const char **ret_wrong, uint32_t *ret_missing);
};

#ifdef JEEBS_MODULE_STATIC
/* For tests that link oracles directly, by their own names. */
#define JEEBS_ORACLE_EXPORT(object) struct jeebs_oracle_static_unused_
#else
#define JEEBS_ORACLE_EXPORT(object)                                                          \
	__attribute__((visibility("default"))) extern const struct jeebs_oracle jeebs_oracle \
		__attribute__((alias(#object)))
#endif

#ifdef __cplusplus
}
#endif

#endif
