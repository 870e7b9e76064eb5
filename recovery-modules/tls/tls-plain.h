/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-plain: plaintext of the logs, while a callback of the host runs. All of it lives in the cut's
 * scratch.
 *
 * To the inner module a struct tls_plain is its flow. What the module is shown of its logs lives
 * until its own callback returns: tls_plain_next_call().
 */
#ifndef TLS_PLAIN_H
#define TLS_PLAIN_H

#include "tls-fill.h"
#include "tls.h"

/* Plaintext that may be in the module's hands at once is in blocks, taken as they are needed: each
 * byte of scratch that was taken is zeroed. A log may be longer than all of them: the oldest are
 * used again. What was looked at is there until TLS_VIEWS_LIVE bytes more were. */
#define TLS_VIEWS_LIVE  ((size_t)128 << 10)
#define TLS_VIEW_BLOCK  ((size_t)64 << 10)
#define TLS_VIEW_BLOCKS 8

struct tls_plain {
	const struct tls *s;
	const struct jeebs_cut *cut;
	struct tls_crypto crypto;
	struct tls_log log;
	struct tls_session session; /* written to by what is read again, which is the same */
	struct tls_place at[2];     /* where the last view was found */
	uint64_t limit[2];          /* of records: the end of the last that may be opened */
	uint64_t end[2];            /* of plaintext: what the inner module may read */
	int64_t now_ns;             /* of what is shown, if it is known */
	struct tls_place shown[2];  /* before the record that is being shown */
	struct {
		uint64_t off;
		struct bytes b;
	} seen[2];   /* the last view */
	bool failed; /* a log that is there could not be shown */
	uint8_t *block[TLS_VIEW_BLOCKS];
	uint32_t at_block, pinned; /* so many are not used again: scratch of the module is there */
	size_t used;               /* of that block */
	uint8_t *beginning;        /* of the server, before the hole; NULL: it is in the log */
	uint8_t *wire;             /* room for a record, where its bytes are not in one piece */
	uint8_t *skipped; /* room for a payload that nobody looks at; NULL: not taken yet */
	uint8_t text[TLS_PAYLOAD_MAX];
};

/* NULL: there is no scratch. */
struct tls_plain *tls_plain_new(const struct tls *s, const struct jeebs_cut *cut);
/* As tls_plain_new(), with @wire, of TLS_RECORD_MAX bytes, for ciphertext. */
struct tls_plain *tls_plain_with(const struct tls *s, const struct jeebs_cut *cut, uint8_t *wire);
/* @n bytes at @from are what the server said first, which the log does not have. They are copied.
 * False: there is no scratch. */
bool tls_plain_keep_beginning(struct tls_plain *p, const uint8_t *from, uint64_t n);
/* The views that the inner module has, and its scratch, are void from here on. */
void tls_plain_next_call(struct tls_plain *p);
struct jeebs_bytes tls_plain_log(struct jeebs_flow *f, uint32_t dir, uint64_t off);
/* Of that, if it is in the last view. */
struct bytes tls_plain_seen(const struct tls_plain *p, uint32_t dir, uint64_t off);
uint8_t *tls_plain_scratch(struct jeebs_flow *f, size_t n);
/*
 * Opens records at @io until one has data, and moves behind it. @text has room for a payload and
 * gets the data, *ret. False: there is no further one before the limit, or it cannot be opened
 * (`failed`).
 */
bool tls_plain_step(struct tls_plain *p, uint32_t dir, struct tls_place *io, uint8_t *text,
		    struct bytes *ret);
/* Moves @io on to the record that has the byte at @off. */
void tls_plain_seek(struct tls_plain *p, uint32_t dir, struct tls_place *io, uint64_t off);
/* The same of @p->at, also back. The log has it: s->from is not behind it. */
void tls_plain_go(struct tls_plain *p, uint32_t dir, uint64_t off);
/*
 * What is known of the record that was cut: *ret, and what it could be besides data. False: it
 * cannot be gone on with, *ret_reason says why. @text as above. What it shows is not proved; so the
 * inner module is not shown it, says it again, and is compared with it.
 */
bool tls_plain_owed(struct tls_plain *p, struct tls_protect *io, uint8_t *text, struct bytes wire,
		    struct tls_owed *ret, enum tls_fill *ret_fill, const char **ret_reason);
/* Whether the record is to be completed as it is: it says nothing that the inner module could, and
 * what was out of its tag proves it. */
bool tls_plain_is_proved(const struct tls_owed *o);
/* Whether the inner module may say what the record says: it is one of data, or may be one. */
bool tls_plain_is_said_again(const struct tls_owed *o);
/* The cut as the inner module has it. */
void tls_plain_cut(struct tls_plain *p, struct jeebs_cut *ret);

#endif
