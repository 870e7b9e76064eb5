/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-fill: the rest of a record that was cut and says nothing the inner module could say again: a
 * ticket, a KeyUpdate, an alert of TLS 1.3; an alert of TLS 1.2.
 *
 * What was out of such a record is in the client's hands, so the record has to begin with it. The
 * rest nobody knows, and nobody needs: a ticket that no server accepts leads to a full handshake, a
 * KeyUpdate says one bit, and close_notify one thing.
 *
 * What was out is not proved, and whoever could change bytes on the wire has chosen it. So only
 * that is completed which does no harm whoever has begun it: a ticket (the key that goes with it
 * only the two ends have), or a change of keys. In TLS 1.3 even that the record was one of data
 * does not matter: all data that was in no complete record is said again. An alert ends the
 * conversation, so it is completed only where the inner module ends it as well.
 */
#ifndef TLS_FILL_H
#define TLS_FILL_H

#include "tls-protect.h"

enum tls_fill {
	TLS_FILL_NONE,
	TLS_FILL_TICKET,
	TLS_FILL_UPDATE,
	TLS_FILL_CLOSE,
};

/*
 * What the record that is owed could be. @text is its plaintext, as far as it was out, which is at
 * least one byte, or the type is known.
 */
enum tls_fill tls_fill_find(const struct tls_suite *s, const struct tls_owed *o,
			    const uint8_t *text);
/*
 * Makes all of its content, in @out of TLS_PLAIN_MAX bytes, beginning with what was out. Returns
 * its length; 0: there is no such content. To be sealed with tls_fill_type().
 */
size_t tls_fill_make(enum tls_fill what, const struct tls_owed *o, const uint8_t *text,
		     uint8_t *out);
uint8_t tls_fill_type(enum tls_fill what);
/* Whether the content can end after @n bytes: behind them only @type and zeros were out, or
 * nothing.
 */
bool tls_fill_ends(const struct tls_owed *o, const uint8_t *text, size_t n, uint8_t type);

#endif
