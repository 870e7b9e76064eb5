/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-wire.h"

#include <assert.h>

#include "base/writer.h"

static const char *name_of(const char *const *names, size_t n, size_t i)
{
	return i < n && names[i] ? names[i] : "unknown";
}

const char *vault_refusal_name(enum vault_refusal why)
{
	static const char *const names[VAULT_REFUSALS] = {
		[VAULT_NOT_YOUR_ROLE] = "not-your-role",
		[VAULT_FOREIGN_ADDRESS] = "foreign-address",
		[VAULT_NO_SUCH_EPOCH] = "no-such-epoch",
		[VAULT_OTHER_CONTENT] = "other-content",
		[VAULT_FULL] = "full",
		[VAULT_TOO_FAST] = "too-fast",
		[VAULT_MALFORMED] = "malformed",
		[VAULT_STORE_FAILED] = "store-failed",
	};

	return name_of(names, VAULT_REFUSALS, why);
}

const char *vault_reason_name(enum vault_reason reason)
{
	static const char *const names[VAULT_REASONS] = {
		[VAULT_FOR_FAILOVER] = "failover", [VAULT_FOR_DRILL] = "drill",
		[VAULT_FOR_LIVE] = "live",         [VAULT_FOR_ENDED] = "ended",
		[VAULT_FOR_REKEY] = "rekey",
	};

	return name_of(names, VAULT_REASONS, reason);
}

const char *vault_gone_name(enum vault_gone why)
{
	static const char *const names[VAULT_GONES] = {
		[VAULT_GONE_ERASED] = "erased",
		[VAULT_GONE_EXPIRED] = "expired",
		[VAULT_GONE_EVICTED] = "evicted",
	};

	return name_of(names, VAULT_GONES, why);
}

/* Entries, each with its reader and writer. */

static struct bytes read_blob(struct reader *r)
{
	uint32_t n = reader_u32be(r);

	if (n > VAULT_BLOB_MAX_BYTES)
		r->failed = true;
	return reader_bytes(r, n);
}

static struct bytes read_text(struct reader *r, size_t max)
{
	uint8_t n = reader_u8(r);

	if (n > max)
		r->failed = true;
	return reader_bytes(r, n);
}

static void read_item(struct reader *r, struct vault_item *ret)
{
	if (!session_index_read(r, &ret->index))
		r->failed = true;
	ret->blob = read_blob(r);
}

static void read_place(struct reader *r, struct vault_place *ret)
{
	reader_copy(r, ret->epoch, EPOCH_ID_BYTES);
	ret->number = reader_u64be(r);
}

static void write_blob(struct writer *w, struct bytes blob)
{
	writer_u32be(w, (uint32_t)blob.n);
	writer_bytes(w, blob);
}

static void write_text(struct writer *w, const char *text)
{
	size_t n = strnlen(text, VAULT_TEXT_MAX);

	writer_u8(w, (uint8_t)n);
	writer_copy(w, text, n);
}

/* Lists: read whole once, so that who goes through them later need not ask. */

enum entry {
	ENTRY_ITEM,
	ENTRY_PLACE,
	ENTRY_NUMBER,
	ENTRY_EPOCH_ID,
};

static void read_list(struct reader *r, enum entry kind, struct vault_list *ret)
{
	struct vault_item item;
	struct vault_place place;
	uint8_t id[EPOCH_ID_BYTES];

	ret->n = reader_u16be(r);
	if (ret->n > VAULT_LIST_MAX)
		r->failed = true;
	ret->entries = *r;
	for (uint16_t i = 0; i < ret->n && reader_ok(r); i++) {
		switch (kind) {
		case ENTRY_ITEM:
			read_item(r, &item);
			break;
		case ENTRY_PLACE:
			read_place(r, &place);
			break;
		case ENTRY_NUMBER:
			(void)reader_u64be(r);
			break;
		case ENTRY_EPOCH_ID:
			reader_copy(r, id, EPOCH_ID_BYTES);
			break;
		}
	}
}

void vault_wire_item(struct vault_list *l, struct vault_item *ret)
{
	read_item(&l->entries, ret);
}

void vault_wire_place(struct vault_list *l, struct vault_place *ret)
{
	read_place(&l->entries, ret);
}

uint64_t vault_wire_number(struct vault_list *l)
{
	return reader_u64be(&l->entries);
}

void vault_wire_epoch_id(struct vault_list *l, uint8_t ret[EPOCH_ID_BYTES])
{
	reader_copy(&l->entries, ret, EPOCH_ID_BYTES);
}

/* Contents. */

static void read_fetch(struct reader *r, enum entry kind, struct vault_frame *f)
{
	f->fetch.reason = (enum vault_reason)reader_u8(r);
	if (f->fetch.reason < VAULT_FOR_FAILOVER || f->fetch.reason >= VAULT_REASONS)
		r->failed = true;
	f->fetch.text = read_text(r, VAULT_TEXT_MAX);
	read_list(r, kind, &f->fetch.list);
}

static void read_refused(struct reader *r, struct vault_frame *f)
{
	f->refused.why = (enum vault_refusal)reader_u8(r);
	if (f->refused.why < VAULT_NOT_YOUR_ROLE || f->refused.why >= VAULT_REFUSALS)
		r->failed = true;
	f->refused.text = read_text(r, VAULT_TEXT_MAX);
}

static void read_index(struct reader *r, struct vault_frame *f)
{
	f->index.number = reader_u64be(r);
	uint8_t ended = reader_u8(r);
	f->index.ended = ended == 1;
	f->index.origin = read_text(r, VAULT_NAME_MAX);
	if (ended > 1 || !session_index_read(r, &f->index.index))
		r->failed = true;
}

static void read_gone(struct reader *r, struct vault_frame *f)
{
	f->gone.number = reader_u64be(r);
	f->gone.why = (enum vault_gone)reader_u8(r);
	if (f->gone.why < VAULT_GONE_ERASED || f->gone.why >= VAULT_GONES)
		r->failed = true;
}

static void read_content(struct reader *r, struct vault_frame *f)
{
	switch (f->type) {
	case VAULT_EPOCH:
	case VAULT_EPOCH_BLOB:
		reader_copy(r, f->epoch.id, EPOCH_ID_BYTES);
		f->epoch.blob = read_blob(r);
		return;
	case VAULT_APPEND:
		read_list(r, ENTRY_ITEM, &f->list);
		return;
	case VAULT_ENDED:
		read_list(r, ENTRY_PLACE, &f->list);
		return;
	case VAULT_WATCH:
		f->from = reader_u64be(r);
		return;
	case VAULT_FETCH:
	case VAULT_ERASE:
		read_fetch(r, ENTRY_NUMBER, f);
		return;
	case VAULT_EPOCHS:
		read_fetch(r, ENTRY_EPOCH_ID, f);
		return;
	case VAULT_PING:
	case VAULT_STORED:
	case VAULT_LIVE:
		return;
	case VAULT_REFUSED:
		read_refused(r, f);
		return;
	case VAULT_INDEX:
		read_index(r, f);
		return;
	case VAULT_GONE:
		read_gone(r, f);
		return;
	case VAULT_BLOB:
		f->blob.number = reader_u64be(r);
		f->blob.blob = read_blob(r);
		return;
	case VAULT_MISSING:
		f->missing = reader_u64be(r);
		return;
	case VAULT_DONE:
		f->done = reader_u32be(r);
		return;
	case VAULT_EPOCH_MISSING:
		reader_copy(r, f->epoch_missing, EPOCH_ID_BYTES);
		return;
	}
	r->failed = true;
}

int vault_wire_read(struct bytes b, struct vault_frame *ret, size_t *ret_used)
{
	struct reader r = reader_init(b);
	struct vault_frame f = {0};

	uint32_t n = reader_u32be(&r);
	if (!reader_ok(&r))
		return VAULT_WIRE_MORE;
	if (n > VAULT_FRAME_MAX_BYTES || n < 5)
		return VAULT_WIRE_MALFORMED;
	if (reader_left(&r) < n)
		return VAULT_WIRE_MORE;
	struct reader content = reader_sub(&r, n);
	f.type = (enum vault_type)reader_u8(&content);
	f.request = reader_u32be(&content);
	read_content(&content, &f);
	if (!reader_ok(&content) || reader_left(&content) > 0)
		return VAULT_WIRE_MALFORMED;
	*ret = f;
	*ret_used = reader_pos(&r);
	return VAULT_WIRE_OK;
}

/*
 * Writing: measured, then written into the buffer. What is too large for a frame must not be asked
 * for, and is the caller's mistake.
 */
typedef void (*write_fn)(struct writer *w, const void *what);

static void put(struct buf *out, enum vault_type type, uint32_t request, write_fn content,
		const void *what)
{
	struct writer size = writer_init(NULL, 0);

	if (content)
		content(&size, what);
	size_t n = 5 + writer_pos(&size);
	assert(n <= VAULT_FRAME_MAX_BYTES);
	if (buf_reserve(out, 4 + n) < 0)
		return;
	struct writer w = writer_init(out->p + out->n, 4 + n);
	writer_u32be(&w, (uint32_t)n);
	writer_u8(&w, (uint8_t)type);
	writer_u32be(&w, request);
	if (content)
		content(&w, what);
	out->n += writer_pos(&w);
}

struct epoch {
	const uint8_t *id;
	struct bytes blob;
};

static void write_epoch(struct writer *w, const void *what)
{
	const struct epoch *e = what;

	writer_copy(w, e->id, EPOCH_ID_BYTES);
	write_blob(w, e->blob);
}

void vault_wire_put_epoch(struct buf *out, enum vault_type type, uint32_t request,
			  const uint8_t id[EPOCH_ID_BYTES], struct bytes blob)
{
	put(out, type, request, write_epoch, &(struct epoch){id, blob});
}

struct list {
	enum vault_reason reason; /* 0: none is told */
	const char *text;
	const void *entries;
	size_t n;
};

static void write_list_head(struct writer *w, const struct list *l)
{
	assert(l->n <= VAULT_LIST_MAX);
	if (l->reason) {
		writer_u8(w, (uint8_t)l->reason);
		write_text(w, l->text);
	}
	writer_u16be(w, (uint16_t)l->n);
}

static void write_items(struct writer *w, const void *what)
{
	const struct list *l = what;
	const struct vault_item *items = l->entries;

	write_list_head(w, l);
	for (size_t i = 0; i < l->n; i++) {
		session_index_write(w, &items[i].index);
		write_blob(w, items[i].blob);
	}
}

static void write_places(struct writer *w, const void *what)
{
	const struct list *l = what;
	const struct vault_place *places = l->entries;

	write_list_head(w, l);
	for (size_t i = 0; i < l->n; i++) {
		writer_copy(w, places[i].epoch, EPOCH_ID_BYTES);
		writer_u64be(w, places[i].number);
	}
}

static void write_numbers(struct writer *w, const void *what)
{
	const struct list *l = what;
	const uint64_t *numbers = l->entries;

	write_list_head(w, l);
	for (size_t i = 0; i < l->n; i++)
		writer_u64be(w, numbers[i]);
}

static void write_epoch_ids(struct writer *w, const void *what)
{
	const struct list *l = what;

	write_list_head(w, l);
	writer_copy(w, l->entries, l->n * EPOCH_ID_BYTES);
}

void vault_wire_put_append(struct buf *out, uint32_t request, const struct vault_item *items,
			   size_t n)
{
	put(out, VAULT_APPEND, request, write_items, &(struct list){0, NULL, items, n});
}

void vault_wire_put_ended(struct buf *out, uint32_t request, const struct vault_place *places,
			  size_t n)
{
	put(out, VAULT_ENDED, request, write_places, &(struct list){0, NULL, places, n});
}

void vault_wire_put_fetch(struct buf *out, enum vault_type type, uint32_t request,
			  enum vault_reason reason, const char *text, const uint64_t *numbers,
			  size_t n)
{
	put(out, type, request, write_numbers, &(struct list){reason, text, numbers, n});
}

void vault_wire_put_epochs(struct buf *out, uint32_t request, enum vault_reason reason,
			   const char *text, const uint8_t (*ids)[EPOCH_ID_BYTES], size_t n)
{
	put(out, VAULT_EPOCHS, request, write_epoch_ids, &(struct list){reason, text, ids, n});
}

static void write_u64(struct writer *w, const void *what)
{
	writer_u64be(w, *(const uint64_t *)what);
}

void vault_wire_put_watch(struct buf *out, uint32_t request, uint64_t from)
{
	put(out, VAULT_WATCH, request, write_u64, &from);
}

void vault_wire_put_missing(struct buf *out, uint32_t request, uint64_t number)
{
	put(out, VAULT_MISSING, request, write_u64, &number);
}

void vault_wire_put_plain(struct buf *out, enum vault_type type, uint32_t request)
{
	put(out, type, request, NULL, NULL);
}

struct refused {
	enum vault_refusal why;
	const char *text;
};

static void write_refused(struct writer *w, const void *what)
{
	const struct refused *r = what;

	writer_u8(w, (uint8_t)r->why);
	write_text(w, r->text);
}

void vault_wire_put_refused(struct buf *out, uint32_t request, enum vault_refusal why,
			    const char *text)
{
	put(out, VAULT_REFUSED, request, write_refused, &(struct refused){why, text});
}

struct index {
	uint64_t number;
	struct bytes origin;
	bool ended;
	const struct session_index *index;
};

static void write_index(struct writer *w, const void *what)
{
	const struct index *i = what;
	struct bytes origin = bytes_head(i->origin, VAULT_NAME_MAX);

	writer_u64be(w, i->number);
	writer_u8(w, i->ended);
	writer_u8(w, (uint8_t)origin.n);
	writer_bytes(w, origin);
	session_index_write(w, i->index);
}

void vault_wire_put_index(struct buf *out, uint32_t request, uint64_t number, struct bytes origin,
			  bool ended, const struct session_index *index)
{
	put(out, VAULT_INDEX, request, write_index, &(struct index){number, origin, ended, index});
}

struct gone {
	uint64_t number;
	enum vault_gone why;
};

static void write_gone(struct writer *w, const void *what)
{
	const struct gone *g = what;

	writer_u64be(w, g->number);
	writer_u8(w, (uint8_t)g->why);
}

void vault_wire_put_gone(struct buf *out, uint32_t request, uint64_t number, enum vault_gone why)
{
	put(out, VAULT_GONE, request, write_gone, &(struct gone){number, why});
}

struct blob {
	uint64_t number;
	struct bytes blob;
};

static void write_numbered_blob(struct writer *w, const void *what)
{
	const struct blob *b = what;

	writer_u64be(w, b->number);
	write_blob(w, b->blob);
}

void vault_wire_put_blob(struct buf *out, uint32_t request, uint64_t number, struct bytes blob)
{
	put(out, VAULT_BLOB, request, write_numbered_blob, &(struct blob){number, blob});
}

static void write_epoch_id(struct writer *w, const void *what)
{
	writer_copy(w, what, EPOCH_ID_BYTES);
}

void vault_wire_put_epoch_missing(struct buf *out, uint32_t request,
				  const uint8_t id[EPOCH_ID_BYTES])
{
	put(out, VAULT_EPOCH_MISSING, request, write_epoch_id, id);
}

static void write_done(struct writer *w, const void *what)
{
	writer_u32be(w, *(const uint32_t *)what);
}

void vault_wire_put_done(struct buf *out, uint32_t request, uint32_t n)
{
	put(out, VAULT_DONE, request, write_done, &n);
}
