/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A sealed record or epoch of a stranger, and of an origin that lies: nobody can make us open what
 * the origin did not sign. The seeds are made by test/make-seal-corpus.c.
 */
#include "base/demand.h"
#include "test/seal-fixed.h"

const char *const fuzz_outcomes[] = {"record", "content", "epoch", "signed epoch", "index", NULL};

/* What the opener gives away is a record that the origin has sealed for a seed, to the byte. */
static void demand_genuine(const struct opened *o, const uint8_t *room)
{
	uint8_t genuine[SESSION_KEYS_MAX_BYTES];
	unsigned i;

	demand(strcmp(o->origin, "web1") == 0 && o->keys.protocol == KEYS_TLS);
	memcpy(&i, o->keys.tls.client_random, sizeof i);
	demand(i >= 1 && i <= 3 && o->index.number == i);
	size_t n = seal_rig_keys(i % 2 ? "[fd00::1]:443" : "10.9.0.1:443", i, genuine);
	demand(memcmp(room, genuine, n) == 0);
}

static void open_record(struct seal_fixed *x, struct bytes blob, const char *outcome)
{
	static uint8_t room[SESSION_KEYS_MAX_BYTES];
	struct opened opened;
	int r = opener_record(x->opener, blob, NULL, RIG_NOW_NS, 0, room, &opened);

	demand(r >= 0 && r < SEAL_REASONS);
	if (r != SEAL_OK)
		return;
	reached(outcome);
	demand_genuine(&opened, room);
}

static void open_epoch(struct seal_fixed *x, struct bytes blob, const char *outcome)
{
	uint8_t id[EPOCH_ID_BYTES];
	int r = opener_epoch(x->opener, blob, RIG_NOW_NS, id);

	demand(r >= 0 && r < SEAL_REASONS);
	if (r != SEAL_OK)
		return;
	reached(outcome);
	demand(memcmp(id, x->forger.id, sizeof id) == 0);
}

static void read_index(struct bytes b)
{
	uint8_t room[SESSION_INDEX_MAX_BYTES];
	struct writer w = WRITER_IN(room);
	struct reader r = reader_init(b);
	struct session_index i;

	if (!session_index_read(&r, &i))
		return;
	reached("index");
	session_index_write(&w, &i);
	demand(writer_ok(&w) && bytes_eq(writer_view(&w), bytes_head(b, reader_pos(&r))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seal_fixed x;
	struct sealed blob = {0};

	if (!x.opener)
		seal_fixed_init(&x);
	struct bytes b = bytes_from(bytes_of(data, size), 1);
	switch (b.n > 0 ? data[0] % SEAL_INPUTS : SEAL_INPUT_INDEX) {
	case SEAL_INPUT_RECORD:
		open_record(&x, b, "record");
		break;
	case SEAL_INPUT_EPOCH:
		open_epoch(&x, b, "epoch");
		break;
	case SEAL_INPUT_CONTENT:
		blob = forger_seal(&x.forger, b);
		open_record(&x, bytes_of(blob.p, blob.n), "content");
		break;
	case SEAL_INPUT_SIGNED_EPOCH:
		blob = forger_seal_to(x.recovery, b);
		open_epoch(&x, bytes_of(blob.p, blob.n), "signed epoch");
		break;
	default:
		read_index(b);
	}
	sealed_free(&blob);
	return 0;
}
