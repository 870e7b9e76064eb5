/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-wire: what origins, the recovery side and a vault say to each other, in frames over TLS 1.3
 * with ALPN VAULT_ALPN; both sides show certificates, and a certificate's role says which frames
 * the vault takes from it.
 *
 *	origin    EPOCH   an epoch, before its records
 *	          APPEND  records; those that are there already are not stored again; when it is
 *	                  refused, some of them may have been stored
 *	          ENDED   sessions of its own that are over: they make room first when there is none
 *	recovery  WATCH   tell what is there, from a number on, and from then on what comes and goes
 *	          FETCH   records, for a reason, which is written down
 *	          EPOCHS  epochs, likewise
 *	          ERASE   records whose sessions are over
 *	          PING    answer, whatever else waits
 *	vault     STORED  EPOCH, APPEND or ENDED is on disk
 *	          REFUSED this request is not done, and why
 *	          INDEX   there is a record
 *	          LIVE    all that was there has been told
 *	          GONE    a record is no longer there
 *	          BLOB    a record, or EPOCH_BLOB an epoch, that was asked for
 *	          MISSING a record that was asked for is not there, or EPOCH_MISSING an epoch
 *	          DONE    FETCH, EPOCHS, ERASE or PING is answered whole
 *
 * Requests carry a number that the answers repeat; several may be under way. Answers to WATCH come
 * under its number for as long as the connection lasts.
 *
 * A frame, big-endian: length of what follows (4), type (1), request (4), content. Lists are a
 * count (2) and so many entries.
 */
#ifndef KEYVAULT_VAULT_WIRE_H
#define KEYVAULT_VAULT_WIRE_H

#include "base/buf.h"
#include "base/reader.h"
#include "keyvault/seal/session-index.h"

#define VAULT_ALPN            "jeebs-keyvault/1"
#define VAULT_FRAME_MAX_BYTES ((size_t)1 << 20) /* of what follows the length */
#define VAULT_LIST_MAX        1024
#define VAULT_BLOB_MAX_BYTES  16384 /* an epoch; a record has half of it */
#define VAULT_TEXT_MAX        200
#define VAULT_NAME_MAX        63

enum vault_type {
	VAULT_EPOCH = 1,
	VAULT_APPEND = 2,
	VAULT_ENDED = 3,
	VAULT_WATCH = 4,
	VAULT_FETCH = 5,
	VAULT_EPOCHS = 6,
	VAULT_ERASE = 7,
	VAULT_PING = 8,
	VAULT_STORED = 16,
	VAULT_REFUSED = 17,
	VAULT_INDEX = 18,
	VAULT_LIVE = 19,
	VAULT_GONE = 20,
	VAULT_BLOB = 21,
	VAULT_EPOCH_BLOB = 22,
	VAULT_MISSING = 23,
	VAULT_DONE = 24,
	VAULT_EPOCH_MISSING = 25,
};

/* Why something is fetched or erased; the audit log has it. */
enum vault_reason {
	VAULT_FOR_FAILOVER = 1, /* text: which */
	VAULT_FOR_DRILL = 2,
	VAULT_FOR_LIVE = 3,  /* as sessions begin: keys: live */
	VAULT_FOR_ENDED = 4, /* erase: the session is over */
	VAULT_FOR_REKEY = 5, /* erase: its keys are no longer in use */
	VAULT_REASONS,
};

enum vault_refusal {
	VAULT_NOT_YOUR_ROLE = 1,
	VAULT_FOREIGN_ADDRESS = 2, /* not among those in the origin's certificate */
	VAULT_NO_SUCH_EPOCH = 3,   /* EPOCH comes first */
	VAULT_OTHER_CONTENT = 4,   /* this number of this epoch is there, and differs */
	VAULT_FULL = 5,            /* the origin's share, or the disk */
	VAULT_TOO_FAST = 6,
	VAULT_MALFORMED = 7,
	VAULT_STORE_FAILED = 8,
	VAULT_REFUSALS,
};

enum vault_gone {
	VAULT_GONE_ERASED = 1,
	VAULT_GONE_EXPIRED = 2,
	VAULT_GONE_EVICTED = 3, /* had ended, and its place was needed */
	VAULT_GONES,
};

/* A list: @n entries, read one by one from @entries by the functions below. */
struct vault_list {
	uint16_t n;
	struct reader entries;
};

struct vault_frame {
	enum vault_type type;
	uint32_t request;
	union {
		struct {
			uint8_t id[EPOCH_ID_BYTES];
			struct bytes blob;
		} epoch;                /* EPOCH, EPOCH_BLOB */
		struct vault_list list; /* APPEND, ENDED, EPOCHS */
		uint64_t from;          /* WATCH: the lowest number of interest */
		struct {
			enum vault_reason reason;
			struct bytes text;
			struct vault_list list; /* of numbers */
		} fetch;                        /* FETCH, ERASE; EPOCHS: of epoch ids */
		struct {
			enum vault_refusal why;
			struct bytes text;
		} refused;
		struct {
			uint64_t number;
			struct bytes origin;
			bool ended;
			struct session_index index;
		} index;
		struct {
			uint64_t number;
			enum vault_gone why;
		} gone;
		struct {
			uint64_t number;
			struct bytes blob;
		} blob;
		uint64_t missing;
		uint8_t epoch_missing[EPOCH_ID_BYTES];
		uint32_t done; /* so many of those asked for were there */
	};
};

/* A record on its way into the vault, or one that has ended. */
struct vault_item {
	struct session_index index;
	struct bytes blob;
};

struct vault_place {
	uint8_t epoch[EPOCH_ID_BYTES];
	uint64_t number;
};

/* "malformed", "full", ... ; "failover", ...; "erased", ... */
const char *vault_refusal_name(enum vault_refusal why);
const char *vault_reason_name(enum vault_reason reason);
const char *vault_gone_name(enum vault_gone why);

/* Outcomes. */
enum {
	VAULT_WIRE_OK = 0,
	VAULT_WIRE_MORE = 1, /* the frame is not whole yet */
	VAULT_WIRE_MALFORMED = 2,
};

/*
 * Reads the frame that @b begins with; views point into @b. Each entry of its list has been read
 * once: those of vault_wire_item() and its like do not fail. *ret_used: where the next frame
 * begins.
 */
int vault_wire_read(struct bytes b, struct vault_frame *ret, size_t *ret_used);

/* The next entry; as many times as the list says. */
void vault_wire_item(struct vault_list *l, struct vault_item *ret);
void vault_wire_place(struct vault_list *l, struct vault_place *ret);
uint64_t vault_wire_number(struct vault_list *l);
void vault_wire_epoch_id(struct vault_list *l, uint8_t ret[EPOCH_ID_BYTES]);

/* Each appends one frame to @out; buf_error(out) says whether it did not fit. At most
 * VAULT_LIST_MAX entries. */
void vault_wire_put_epoch(struct buf *out, enum vault_type type, uint32_t request,
			  const uint8_t id[EPOCH_ID_BYTES], struct bytes blob);
void vault_wire_put_append(struct buf *out, uint32_t request, const struct vault_item *items,
			   size_t n);
void vault_wire_put_ended(struct buf *out, uint32_t request, const struct vault_place *places,
			  size_t n);
void vault_wire_put_watch(struct buf *out, uint32_t request, uint64_t from);
/* @type: VAULT_FETCH or VAULT_ERASE. */
void vault_wire_put_fetch(struct buf *out, enum vault_type type, uint32_t request,
			  enum vault_reason reason, const char *text, const uint64_t *numbers,
			  size_t n);
void vault_wire_put_epochs(struct buf *out, uint32_t request, enum vault_reason reason,
			   const char *text, const uint8_t (*ids)[EPOCH_ID_BYTES], size_t n);
/* VAULT_PING, VAULT_STORED, VAULT_LIVE. */
void vault_wire_put_plain(struct buf *out, enum vault_type type, uint32_t request);
void vault_wire_put_refused(struct buf *out, uint32_t request, enum vault_refusal why,
			    const char *text);
void vault_wire_put_index(struct buf *out, uint32_t request, uint64_t number, struct bytes origin,
			  bool ended, const struct session_index *index);
void vault_wire_put_gone(struct buf *out, uint32_t request, uint64_t number, enum vault_gone why);
void vault_wire_put_blob(struct buf *out, uint32_t request, uint64_t number, struct bytes blob);
void vault_wire_put_missing(struct buf *out, uint32_t request, uint64_t number);
void vault_wire_put_epoch_missing(struct buf *out, uint32_t request,
				  const uint8_t id[EPOCH_ID_BYTES]);
void vault_wire_put_done(struct buf *out, uint32_t request, uint32_t n);

#endif
