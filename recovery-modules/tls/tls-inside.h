/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-inside: the cut as the inner module has it, with the other connections of the conversation:
 * those that are in TLS in plaintext, each under keys of its own.
 */
#ifndef TLS_INSIDE_H
#define TLS_INSIDE_H

#include "tls-plain.h"

struct tls_inside {
	struct jeebs_cut cut;
	struct tls_plain *main;
	struct jeebs_related related[JEEBS_EXPECT_MAX];
	struct tls_plain *of[JEEBS_EXPECT_MAX]; /* NULL: it is not read here */
};

/*
 * Lives during a callback of the host. A related connection that cannot be opened is shown as
 * refused. False: there is no scratch.
 */
bool tls_inside_make(struct tls_inside *in, const struct tls *s, const struct jeebs_cut *cut);
/* As tls_plain_next_call(), of all of them. */
void tls_inside_next_call(struct tls_inside *in);
/* Whether a log that is there could not be shown. */
bool tls_inside_failed(const struct tls_inside *in);
/* Whether @r is in TLS, and can be gone on with. */
bool tls_inside_is_open(const struct jeebs_related *r);

#endif
