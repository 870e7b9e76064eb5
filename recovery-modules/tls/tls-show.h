/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-show: the inner module's live half: what was said is opened, and shown to it. All at once
 * when the keys come in a cut, or record by record while the server lives.
 */
#ifndef TLS_SHOW_H
#define TLS_SHOW_H

#include "tls-plain.h"

/* Notes why nothing can be continued, the first reason. Returns JEEBS_GIVE_UP. */
int tls_lose(struct tls *s, const char *why);

/* Begins where both directions are sealed. False: they are not, or there are no keys (`lost`). */
bool tls_show_begin(struct tls *s, struct tls_plain *p);
/*
 * Shows the whole conversation in its order, from the beginning on. False: it does not go on, for
 * the inner module gives up, or something is `lost`.
 */
bool tls_show_all(struct tls *s, struct tls_plain *p);
/* Shows the records of @dir that are complete and were not shown. Returns as tls_show_all(). */
bool tls_show_more(struct tls *s, struct tls_plain *p, uint32_t dir);
/* Tells the inner module that @dir has ended. */
void tls_show_end(struct tls *s, struct tls_plain *p, uint32_t dir);
/* Where the last complete record of @dir ends. */
uint64_t tls_complete_end(const struct tls *s, uint32_t dir);

#endif
