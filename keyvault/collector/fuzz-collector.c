/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taps that say anything, in any order, and a vault that answers anything. The input is steps: one
 * byte (what, who), a length (2) and so many bytes. Whatever they say, the tap that behaves gets
 * its answer: its record is stored once all is over.
 */
#include <stdlib.h>

#include "base/demand.h"
#include "test/collector-rig.h"

#define TAPS 4

/* Counters, by name, that are not zero after the steps. */
const char *const fuzz_outcomes[] = {"records_stored",
				     "records_late",
				     "records_missed",
				     "records_refused_by_vaults",
				     "refused_address",
				     "peers_malformed",
				     "epochs",
				     "batches",
				     NULL};

enum step {
	STEP_MESSAGE,
	STEP_HELLO,
	STEP_KEYS, /* with the bytes as session-keys */
	STEP_GONE,
	STEP_TURN,
	STEP_FRAME,
	STEP_VAULT_LOST,
	STEP_STORE,
	STEPS,
};

static struct collector_rig *fresh_rig(void)
{
	static struct collector_rig g;
	static bool made;
	static const struct collector_config config = {.queue_bytes = 64 << 10};

	if (!made)
		seal_rig_init(&g.seal);
	else
		collector_rig_end(&g);
	made = true;
	collector_rig_begin(&g, config);
	return &g;
}

static void message(struct collector_rig *g, struct rig_tap *t, struct bytes head, struct bytes b)
{
	uint8_t *room = malloc(head.n + b.n + 1);

	demand(room);
	memcpy(room, head.p, head.n);
	if (b.n)
		memcpy(room + head.n, b.p, b.n);
	if (t->peer && !collector_message(g->c, t->peer, room, head.n + b.n))
		rig_tap_leave(g, t);
	free(room);
}

static void frame(struct collector_rig *g, struct bytes b)
{
	struct vault_frame f;
	size_t used;

	if (vault_wire_read(b, &f, &used) == VAULT_WIRE_OK && collector_frame(g->c, 0, &f) < 0) {
		rig_down(g, 0);
		rig_up(g, 0);
	}
}

/* A vault that has said something before, perhaps to this. */
static void store(struct collector_rig *g)
{
	struct vault_frame f, answer = {.type = VAULT_STORED};

	while (rig_frame(g, 0, &f)) {
		answer.request = f.request;
		(void)collector_frame(g->c, 0, &answer);
	}
}

static void take(struct collector_rig *g, struct rig_tap *t, enum step step, struct bytes b)
{
	static const uint8_t keys[] = {TAP_WIRE_VERSION, TAP_KEYS, 0, 0, 0, 1};

	switch (step) {
	case STEP_MESSAGE:
		message(g, t, bytes_str(""), b);
		return;
	case STEP_HELLO:
		if (!t->peer)
			(void)rig_tap_join(g, t, (uid_t)(b.n % 3),
					   b.n % 2 ? "10.9.0.10:10003" : NULL);
		return;
	case STEP_KEYS:
		message(g, t, bytes_of(keys, sizeof keys), b);
		return;
	case STEP_GONE:
		if (t->peer)
			rig_tap_leave(g, t);
		return;
	case STEP_TURN:
		rig_turn(g, (int64_t)b.n * NS_PER_MS);
		return;
	case STEP_FRAME:
		frame(g, b);
		return;
	case STEP_VAULT_LOST:
		rig_down(g, 0);
		rig_up(g, 0);
		return;
	case STEP_STORE:
	case STEPS:
		store(g);
		return;
	}
}

static void count(const struct collector_counters *c)
{
#define REACHED(name, help) \
	if (c->name > 0)    \
		reached(#name);
	COLLECTOR_COUNTERS(REACHED)
#undef REACHED
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct collector_rig *g = fresh_rig();
	static struct rig_tap tap[TAPS], good;
	struct reader r = reader_init(bytes_of(data, size));

	memset(tap, 0, sizeof tap);
	rig_up(g, 0);
	while (reader_left(&r) > 0) {
		uint8_t what = reader_u8(&r);
		uint16_t n = reader_u16be(&r);
		struct bytes b = reader_bytes(&r, n < reader_left(&r) ? n : reader_left(&r));
		for (int i = 0; i < TAPS; i++)
			tap[i].answers = 0;
		take(g, &tap[what / STEPS % TAPS], (enum step)(what % STEPS), b);
	}
	count(collector_counters(g->c));
	/* Whatever was refused, and for how long it was to wait: it is over now. */
	rig_turn(g, 60 * NS_PER_S);
	demand(rig_tap_join(g, &good, 0, NULL));
	demand(rig_tell(g, &good, 1));
	rig_turn(g, 0);
	for (int i = 0;
	     i < 100 && (collector_queue(g->c)->records > 0 || collector_unsealed(g->c) > 0); i++) {
		store(g);
		rig_turn(g, COLLECTOR_GATHER_NS);
	}
	demand(collector_queue(g->c)->records == 0);
	demand(rig_answered(&good, 1) == TAP_STORED || rig_answered(&good, 1) == TAP_NOT_STORED);
	return 0;
}
