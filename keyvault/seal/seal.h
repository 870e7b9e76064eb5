/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * seal: the keys of a session, encrypted to the recovery identity and signed by the origin.
 *
 * *Epoch*: CMS AuthEnvelopedData (RFC 5083, AES-256-GCM, ECDH on P-256 with each recovery
 * certificate) of a CMS SignedData by the origin, its certificate in it, of
 *	version (1), kind (1), origin's name, epoch id (16), not before, not after (ns), a KEK (32).
 * One per hour or SEAL_EPOCH_RECORDS records of an origin.
 *
 * *Record*: CMS AuthEnvelopedData, AES-256-GCM, its key wrapped by the epoch's KEK
 * (KEKRecipientInfo, the key identifier is the epoch id), of
 *	version (1), kind (2), origin's name, epoch id, number, time (ns), session-keys, proof.
 * A proof is the path from the record (all before the proof) to the root of a Merkle tree (RFC 9162
 * section 2.1.1: SHA-256, leaves behind 0x00, nodes behind 0x01), and a SignedData by the origin of
 *	version (1), kind (3), epoch id, root.
 * So a batch of records has one signature, and each is whole without the others: they are erased
 * one by one.
 *
 * Both have one form only, in DER, which the opener checks before anything is decrypted; AES-GCM's
 * tag has 16 bytes.
 *
 * Secrets: a KEK is in OPENSSL_secure_malloc() as long as its epoch is in use; so is what goes in
 * and comes out on the way. What cannot be had otherwise of OpenSSL's CMS: while one object is made
 * or opened the KEK, the content's key, their key schedules, and blocks of the content pass through
 * ordinary heap and stack; OpenSSL clears the heap when it frees it. A process with such a heap is
 * not to be dumpable, and is locked (mlockall()) where it can be. Of the content of an epoch CMS
 * keeps a copy in heap, which is cleared here.
 */
#ifndef KEYVAULT_SEAL_H
#define KEYVAULT_SEAL_H

#include "identity.h"
#include "session-index.h"
#include "trust.h"

#define SEAL_RECORD_MAX_BYTES 8192
#define SEAL_EPOCH_MAX_BYTES  16384
#define SEAL_BATCH_MAX        256
#define SEAL_RECIPIENTS_MAX   8
#define SEAL_EPOCH_RECORDS    (1u << 20)
#define SEAL_EPOCH_DEFAULT_NS (INT64_C(3600) * 1000000000)
#define SEAL_OPENER_EPOCHS                                                    \
	1024 /* epochs an opener holds; the one unused for longest makes room \
	      */
#define SEAL_OPENER_SEEN    (1u << 20) /* records it remembers, of all epochs; likewise */
#define SEAL_IDENTITIES_MAX 16 /* of an opener: the one in use, and those before rotations */
#define SEAL_CLOCK_SKEW_NS  (INT64_C(120) * 1000000000)
#define SEAL_AGE_ANY        INT64_MAX

enum seal_reason {
	SEAL_OK = 0,
	SEAL_TRUNCATED,     /* its own length says more */
	SEAL_MALFORMED,     /* not of the one form, or more than that */
	SEAL_NOT_FOR_US,    /* an epoch for none of our identities */
	SEAL_UNKNOWN_EPOCH, /* of a record: opener_epoch() has not had it, or it made room */
	SEAL_FORGED,        /* a tag, a path, a digest or a signature is wrong */
	SEAL_STRANGER,      /* signed by whom the CA does not know */
	SEAL_NOT_AN_ORIGIN, /* signed in another role */
	SEAL_REVOKED,       /* signed by whom the CA has revoked */
	SEAL_EXPIRED,       /* a record outside of its epoch, an epoch outside of its certificate */
	SEAL_STALE,         /* older than the caller takes */
	SEAL_FUTURE,        /* of a time that is not yet */
	SEAL_FOREIGN_ORIGIN,  /* names another origin than its signer is */
	SEAL_FOREIGN_ADDRESS, /* of a server that is not the origin's */
	SEAL_REPLAYED,        /* this number of the epoch had another content before */
	SEAL_OTHER_SESSION,   /* not what the index said */
	SEAL_EPOCH_DUE,       /* sealer: opens no more in this epoch; sealer_epoch() first */
	SEAL_REASONS,
};

/* "truncated", "not-for-us", ...: for logs and metrics. */
const char *seal_reason_name(int reason);

/*
 * Makes OpenSSL's secure heap (locked, not dumped, cleared): once, early. @bytes is a power of two;
 * 256 KiB hold some hundred epochs and each thread's record. 0, or -ENOMEM: cannot be locked
 * (RLIMIT_MEMLOCK).
 */
int seal_secure_heap(size_t bytes);

/* What was sealed. Its bytes are not secret, and the owner's: sealed_free(). */
struct sealed {
	uint8_t *p;
	size_t n;
};

void sealed_free(struct sealed *s);

/*
 * One thread at a time. Without an epoch nothing is sealed.
 */
struct sealer;

/*
 * @recovery: certificates to seal to, 1 to SEAL_RECIPIENTS_MAX; that they are trusted and of this
 * role is the caller's to check (trust_check()). @origin must stay. -EINVAL: not an origin, one
 * whose key is not of an elliptic curve, or recipients that cannot be.
 */
int sealer_new(const struct identity *origin, STACK_OF(X509) * recovery, struct sealer **ret);
void sealer_free(struct sealer *s);
/*
 * Begins a new epoch at @now_ns (CLOCK_REALTIME); the one before is forgotten. The epoch is to be
 * stored before its records. Returns 0, SEAL_EXPIRED (the origin's certificate is), -ENOMEM or -EIO
 * (OpenSSL).
 */
int sealer_epoch(struct sealer *s, int64_t now_ns, uint8_t ret_id[EPOCH_ID_BYTES],
		 struct sealed *ret);
/* Whether @n more records at @now_ns need a new epoch first. */
bool sealer_epoch_due(const struct sealer *s, int64_t now_ns, size_t n);

/*
 * May this be sealed? SEAL_OK and its index without epoch, number and time; SEAL_MALFORMED: not
 * session-keys; SEAL_FOREIGN_ADDRESS: a server that is not ours.
 */
int sealer_check(const struct sealer *s, struct bytes keys, struct session_index *ret);
/*
 * Seals @n records of session-keys, 1 to SEAL_BATCH_MAX, at one time, under one signature. All or
 * none: 0, SEAL_EPOCH_DUE, what sealer_check() says of one of them, -EINVAL (so many), -ENOMEM or
 * -EIO.
 */
int sealer_batch(struct sealer *s, int64_t now_ns, const struct bytes *keys, size_t n,
		 struct sealed *ret_blobs, struct session_index *ret_indexes);

/*
 * All threads may use an opener at once.
 */
struct opener;

struct opened {
	char origin[IDENTITY_NAME_MAX + 1];
	struct session_index index;
	struct session_keys keys; /* views point into the room that the caller gave */
};

/* @trust must stay. */
int opener_new(struct trust *trust, struct opener **ret);
/* Another identity to open epochs by: the recovery identity, and those it had before. It must stay.
 */
int opener_add_identity(struct opener *o, const struct identity *recovery);
void opener_free(struct opener *o);

/*
 * Opens an epoch and keeps its KEK. Known already: SEAL_OK. Returns seal_reason, or -ENOMEM, -EIO
 * (the token that holds our key does not answer, OpenSSL).
 */
int opener_epoch(struct opener *o, struct bytes blob, int64_t now_ns,
		 uint8_t ret_id[EPOCH_ID_BYTES]);
bool opener_has_epoch(struct opener *o, const uint8_t id[EPOCH_ID_BYTES]);
/* Forgets its KEK, and what was seen of it. */
void opener_forget_epoch(struct opener *o, const uint8_t id[EPOCH_ID_BYTES]);

/*
 * Opens a record into @room, memory of the caller's (locked, if it is wise) of
 * SESSION_KEYS_MAX_BYTES. @expected: what the vault says that it is, or NULL. It may be older than
 * @now_ns by @max_age_ns. On refusal @room is cleared. Returns seal_reason, or -ENOMEM, -EIO.
 */
int opener_record(struct opener *o, struct bytes blob, const struct session_index *expected,
		  int64_t now_ns, int64_t max_age_ns, uint8_t room[SESSION_KEYS_MAX_BYTES],
		  struct opened *ret);
/* The epoch that a record says it is of, unproven: which to fetch. SEAL_TRUNCATED, SEAL_MALFORMED.
 */
int seal_epoch_of(struct bytes record, uint8_t ret_id[EPOCH_ID_BYTES]);

#endif
