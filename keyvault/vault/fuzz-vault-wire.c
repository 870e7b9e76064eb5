/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hostile frames, as a vault and its clients read them. What was read is written again and must be
 * the same bytes: there is one way to write a frame.
 */
#include <stdlib.h>

#include "base/demand.h"
#include "vault-wire.h"

/* A frame of each type, in the order of enum vault_type; and an entry of each list. */
const char *const fuzz_outcomes[] = {
	"epoch",   "append",  "ended",      "watch",         "fetch", "epochs",
	"erase",   "ping",    "stored",     "refused",       "index", "live",
	"gone",    "blob",    "epoch blob", "missing",       "done",  "epoch missing",
	"an item", "a place", "a number",   "an epoch's id", NULL};

struct lists {
	struct vault_item items[VAULT_LIST_MAX];
	struct vault_place places[VAULT_LIST_MAX];
	uint64_t numbers[VAULT_LIST_MAX];
	uint8_t ids[VAULT_LIST_MAX][EPOCH_ID_BYTES];
};

static void read_lists(struct vault_frame *f, struct lists *l)
{
	bool fetches = f->type == VAULT_FETCH || f->type == VAULT_ERASE;

	for (uint16_t i = 0; f->type == VAULT_APPEND && i < f->list.n; i++) {
		vault_wire_item(&f->list, &l->items[i]);
		demand(l->items[i].blob.n <= VAULT_BLOB_MAX_BYTES);
		reached("an item");
	}
	for (uint16_t i = 0; f->type == VAULT_ENDED && i < f->list.n; i++) {
		vault_wire_place(&f->list, &l->places[i]);
		reached("a place");
	}
	for (uint16_t i = 0; fetches && i < f->fetch.list.n; i++) {
		l->numbers[i] = vault_wire_number(&f->fetch.list);
		reached("a number");
	}
	for (uint16_t i = 0; f->type == VAULT_EPOCHS && i < f->fetch.list.n; i++) {
		vault_wire_epoch_id(&f->fetch.list, l->ids[i]);
		reached("an epoch's id");
	}
}

/* @text: as it was read; a writer takes it with its terminating zero. */
static const char *terminated(struct bytes text, char out[VAULT_TEXT_MAX + 1])
{
	memcpy(out, text.p ? text.p : (const uint8_t *)"", text.n);
	out[text.n] = 0;
	return out;
}

static void write_request(struct buf *b, const struct vault_frame *f, const struct lists *l)
{
	char text[VAULT_TEXT_MAX + 1];

	switch (f->type) {
	case VAULT_APPEND:
		vault_wire_put_append(b, f->request, l->items, f->list.n);
		return;
	case VAULT_ENDED:
		vault_wire_put_ended(b, f->request, l->places, f->list.n);
		return;
	case VAULT_WATCH:
		vault_wire_put_watch(b, f->request, f->from);
		return;
	case VAULT_PING:
		vault_wire_put_plain(b, f->type, f->request);
		return;
	case VAULT_EPOCHS:
		vault_wire_put_epochs(b, f->request, f->fetch.reason,
				      terminated(f->fetch.text, text), l->ids, f->fetch.list.n);
		return;
	default:
		vault_wire_put_fetch(b, f->type, f->request, f->fetch.reason,
				     terminated(f->fetch.text, text), l->numbers, f->fetch.list.n);
	}
}

static void write_answer(struct buf *b, const struct vault_frame *f)
{
	char text[VAULT_TEXT_MAX + 1];

	switch (f->type) {
	case VAULT_EPOCH:
	case VAULT_EPOCH_BLOB:
		vault_wire_put_epoch(b, f->type, f->request, f->epoch.id, f->epoch.blob);
		return;
	case VAULT_REFUSED:
		vault_wire_put_refused(b, f->request, f->refused.why,
				       terminated(f->refused.text, text));
		return;
	case VAULT_INDEX:
		vault_wire_put_index(b, f->request, f->index.number, f->index.origin,
				     f->index.ended, &f->index.index);
		return;
	case VAULT_GONE:
		vault_wire_put_gone(b, f->request, f->gone.number, f->gone.why);
		return;
	case VAULT_BLOB:
		vault_wire_put_blob(b, f->request, f->blob.number, f->blob.blob);
		return;
	case VAULT_MISSING:
		vault_wire_put_missing(b, f->request, f->missing);
		return;
	case VAULT_DONE:
		vault_wire_put_done(b, f->request, f->done);
		return;
	case VAULT_EPOCH_MISSING:
		vault_wire_put_epoch_missing(b, f->request, f->epoch_missing);
		return;
	default:
		vault_wire_put_plain(b, f->type, f->request);
	}
}

/* Texts may have a zero in them, which a writer takes for their end. */
static bool has_zero(const struct vault_frame *f)
{
	struct bytes text = f->type == VAULT_REFUSED ? f->refused.text : f->fetch.text;
	bool has_text = f->type == VAULT_REFUSED || f->type == VAULT_FETCH ||
			f->type == VAULT_ERASE || f->type == VAULT_EPOCHS;

	return has_text && text.n > 0 && memchr(text.p, 0, text.n);
}

static const char *type_word(enum vault_type type)
{
	return fuzz_outcomes[type < VAULT_STORED ? type - VAULT_EPOCH
						 : type - VAULT_STORED + VAULT_PING];
}

static bool is_request(enum vault_type type)
{
	return type != VAULT_EPOCH && type <= VAULT_PING;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes left = bytes_of(data, size);
	struct lists *l = malloc(sizeof *l);
	struct vault_frame f;
	size_t used;

	demand(l);
	while (vault_wire_read(left, &f, &used) == VAULT_WIRE_OK) {
		struct buf again = BUF_INIT(2 * VAULT_FRAME_MAX_BYTES);
		demand(used > 4 && used <= left.n);
		reached(type_word(f.type));
		read_lists(&f, l);
		if (is_request(f.type))
			write_request(&again, &f, l);
		else
			write_answer(&again, &f);
		demand(buf_error(&again) == 0);
		demand(has_zero(&f) || bytes_eq(buf_view(&again), bytes_head(left, used)));
		buf_deinit(&again);
		left = bytes_from(left, used);
	}
	free(l);
	return 0;
}
