/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store-format: the record of one connection, as it lies in the store.
 *
 * It holds what a takeover needs that begins after the box itself was restarted:
 * the connection's end, the bytes nobody has acknowledged, the module's state and
 * log. Versioned, big-endian, closed by a checksum; whatever is read back is hostile.
 *
 * A log is limited: of [keep, end) the record has at most a ceiling, and then the
 * highest bytes, [from, end). Not the lowest: an acknowledgement moves forward only, so
 * a tail becomes sufficient once the client has the rest, a head never does. A tail of the
 * log of JEEBS_TO_SERVER breaks what a module's restore() is promised: such a record is
 * good for refusing with a reason, until the connection has been written again.
 *
 *	0 ......... keep ......... from ============ end
 *		    |-- cut off --|---- stored ----|
 */
#ifndef APPLIANCE_STORE_FORMAT_H
#define APPLIANCE_STORE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "tcprepair/snapshot/snapshot.h"

#define STORE_VERSION        1
#define STORE_BOOT_ID_BYTES  16
#define STORE_KEY_BYTES      40
#define STORE_NAME_MAX       32
#define STORE_CHECKPOINT_MAX (256 * 1024)
/*
 * Default ceiling of a direction's log, a little below 64 KiB. LMDB stores a large value in whole
 * pages less 16 bytes. A record with one full log fits into 16 pages.
 */
#define STORE_LOG_DEFAULT (63 * 1024)
#define STORE_LOG_MAX     (4 * 1024 * 1024)

struct store_log {
	uint64_t keep;  /* offset at which the log begins */
	uint64_t acked; /* as in struct flow; beyond the end when bytes were not captured */
	/*
	 * The stored bytes, lent: they begin at `keep` unless the log was shortened, and end where
	 * it does. After decoding all of them are in memory.
	 */
	struct span span;
};

/*
 * All views and spans are of the caller's memory when encoding, and of the decoded bytes when
 * decoding.
 */
struct store_record {
	uint8_t boot_id[STORE_BOOT_ID_BYTES];
	int64_t mono_ns, real_ns; /* when the record was made, on both clocks */
	struct snapshot snapshot; /* its two endpoints are the key */
	uint32_t isn[2];          /* an offset o has the wire number isn + 1 + o */
	uint16_t marks;           /* enum flow_mark */
	uint8_t flow_state;       /* enum flow_state */
	struct bytes server_name; /* as configured, 1 to STORE_NAME_MAX bytes */
	/* As configured, 1 to STORE_NAME_MAX bytes; with snapshot.server it names the service. */
	struct bytes protocol;
	/* The module that made the checkpoint; empty: no module follows the connection. */
	struct bytes module;
	struct bytes checkpoint;
	struct store_log log[2]; /* by enum flow_dir */
};

void store_key(const struct endpoint *server, const struct endpoint *client,
	       uint8_t out[static STORE_KEY_BYTES]);

/*
 * Appends the encoded record with at most @log_max bytes of each log. Returns 0, the buffer's
 * error, or -EINVAL: a name is missing or too long, a checkpoint exceeds STORE_CHECKPOINT_MAX, or
 * a log cannot be read to its end. After an error @out is as before.
 */
int store_record_encode(const struct store_record *r, size_t log_max, struct buf *out);

enum store_decode {
	STORE_DECODE_OK = 0,
	STORE_DECODE_VERSION = 1,   /* made by another version of this program */
	STORE_DECODE_MALFORMED = 2, /* damaged, or impossible for a connection */
};

/*
 * Decodes @value, which must be one whole record. *ret is untouched on failure. The views in *ret
 * lie in @value.
 */
enum store_decode store_record_decode(struct bytes value, struct store_record *ret);

#endif
