/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taps that say anything, in any order, and vaults that answer anything. The input is a byte of
 * settings and steps: one byte (what, who), a length (2) and so many bytes. Whatever they say, the
 * tap that behaves gets its answer: its record is stored once all is over, unless the origin's
 * certificate has expired meanwhile.
 */
#include <stdlib.h>

#include "base/demand.h"
#include "test/collector-rig.h"

#define TAPS         4
#define TIME_MAX_NS  (INT64_MAX / 2)
#define REPEATED_MAX 200

/* Counters, by name, that are not zero after the steps. */
const char *const fuzz_outcomes[] = {"records_stored",
				     "records_late",
				     "records_missed",
				     "records_not_waited",
				     "records_dropped",
				     "records_dropped_partly",
				     "records_not_sealed",
				     "records_refused_by_vaults",
				     "refused_address",
				     "refused_session",
				     "refused_rate",
				     "peers_malformed",
				     "peers_silent",
				     "answers_lost",
				     "epochs",
				     "batches",
				     "probes",
				     "handshakes_failed",
				     "sessions_ended",
				     "gathered",
				     "waited_again",
				     NULL};

enum settings {
	IS_CLOSED = 1,
	TWO_VAULTS = 2,
	STORE_ALL = 4, /* with two */
};

enum step {
	STEP_MESSAGE,
	STEP_HELLO,
	STEP_KEYS, /* with the bytes as session-keys */
	STEP_GONE,
	STEP_TURN,
	STEP_FRAME,
	STEP_VAULT_LOST,
	STEP_STORE,
	STEP_CONNECT, /* and no hello yet */
	STEP_DEAF,    /* has no room for answers any more */
	STEP_LATER,   /* by so many tenths of a second (4 bytes) */
	STEP_MANY,    /* the last keys, again as often as the first byte says */
	STEPS,
};

static struct {
	unsigned vaults;
	uint8_t keys[SESSION_KEYS_MAX_BYTES];
	size_t keys_n;
	bool late; /* nobody was waited for */
} now;

static struct collector_rig *fresh_rig(uint8_t settings)
{
	static struct collector_rig g;
	static bool made;
	struct collector_config config = {
		.queue_bytes = 64 << 10,
		.closed = settings & IS_CLOSED,
		.vaults = settings & TWO_VAULTS ? 2 : 1,
		.store_all = settings & STORE_ALL,
	};

	if (!made)
		seal_rig_init(&g.seal);
	else
		collector_rig_end(&g);
	made = true;
	collector_rig_begin(&g, config);
	now.vaults = config.vaults;
	now.keys_n = 0;
	now.late = false;
	for (unsigned i = 0; i < now.vaults; i++)
		rig_up(&g, i);
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

static void frame(struct collector_rig *g, unsigned vault, struct bytes b)
{
	struct vault_frame f;
	size_t used;

	if (vault_wire_read(b, &f, &used) == VAULT_WIRE_OK &&
	    collector_frame(g->c, vault, &f) < 0) {
		rig_down(g, vault);
		rig_up(g, vault);
	}
}

/* A vault that has said something before, perhaps to this. */
static void store(struct collector_rig *g, unsigned vault)
{
	struct vault_frame f, answer = {.type = VAULT_STORED};

	while (rig_frame(g, vault, &f)) {
		answer.request = f.request;
		(void)collector_frame(g->c, vault, &answer);
	}
}

static void keys(struct collector_rig *g, struct rig_tap *t, struct bytes b)
{
	static const uint8_t head[] = {TAP_WIRE_VERSION, TAP_KEYS, 0, 0, 0, 1};

	message(g, t, bytes_of(head, sizeof head), b);
}

static void keep(struct bytes b)
{
	now.keys_n = b.n < sizeof now.keys ? b.n : sizeof now.keys;
	if (b.n)
		memcpy(now.keys, b.p, now.keys_n);
}

static void many(struct collector_rig *g, struct rig_tap *t, struct bytes b)
{
	uint8_t n = b.n ? b.p[0] : 0;

	for (uint8_t i = 0; i < n && i < REPEATED_MAX; i++)
		keys(g, t, bytes_of(now.keys, now.keys_n));
}

static void later(struct collector_rig *g, struct bytes b)
{
	struct reader r = reader_init(b);
	int64_t ns = (int64_t)reader_u32be(&r) * (NS_PER_S / 10);

	if (g->now_ns < TIME_MAX_NS - ns)
		rig_turn(g, ns);
}

/* 10.9.0.10:10003 is the client of the keys that seeds have. */
static void hello(struct collector_rig *g, struct rig_tap *t, struct bytes b)
{
	if (!t->peer)
		(void)rig_tap_join(g, t, (uid_t)(b.n % 3), b.n % 2 ? "10.9.0.10:10003" : NULL);
}

static void connect_only(struct collector_rig *g, struct rig_tap *t)
{
	if (t->peer)
		return;
	*t = (struct rig_tap){0};
	t->peer = collector_peer(g->c, t, 0);
}

/* Of the tap at @who, or of the vault. */
static void take(struct collector_rig *g, struct rig_tap *tap, unsigned who, enum step step,
		 struct bytes b)
{
	struct rig_tap *t = &tap[who % TAPS];
	unsigned vault = who % now.vaults;

	switch (step) {
	case STEP_MESSAGE:
		message(g, t, bytes_str(""), b);
		return;
	case STEP_HELLO:
		hello(g, t, b);
		return;
	case STEP_KEYS:
		keep(b);
		keys(g, t, b);
		return;
	case STEP_GONE:
		if (t->peer)
			rig_tap_leave(g, t);
		return;
	case STEP_TURN:
		rig_turn(g, (int64_t)b.n * NS_PER_MS);
		return;
	case STEP_FRAME:
		frame(g, vault, b);
		return;
	case STEP_VAULT_LOST:
		rig_down(g, vault);
		rig_up(g, vault);
		return;
	case STEP_CONNECT:
		connect_only(g, t);
		return;
	case STEP_DEAF:
		t->deaf = true;
		return;
	case STEP_LATER:
		later(g, b);
		return;
	case STEP_MANY:
		many(g, t, b);
		return;
	case STEP_STORE:
	case STEPS:
		store(g, vault);
		return;
	}
}

static void after_step(struct collector_rig *g)
{
	struct rig_tap *silent;

	while ((silent = collector_silent_peer(g->c)))
		rig_tap_leave(g, silent);
	if (collector_unsealed(g->c) > 0 && collector_next_ns(g->c) > g->now_ns)
		reached("gathered");
	if (now.late && collector_waits(g->c))
		reached("waited_again");
	now.late = !collector_waits(g->c);
}

/* Whatever was refused, and for how long it was to wait: it is over now. */
static void all_ends_well(struct collector_rig *g)
{
	static struct rig_tap good;

	rig_turn(g, 60 * NS_PER_S);
	demand(rig_tap_join(g, &good, 0, NULL));
	demand(rig_tell(g, &good, 1));
	rig_turn(g, 0);
	for (int i = 0;
	     i < 100 && (collector_queue(g->c)->records > 0 || collector_unsealed(g->c) > 0); i++) {
		for (unsigned v = 0; v < now.vaults; v++)
			store(g, v);
		rig_turn(g, COLLECTOR_GATHER_NS);
	}
	demand(collector_queue(g->c)->records == 0);
	int what = rig_answered(&good, 1);
	demand(what == TAP_STORED || what == TAP_NOT_STORED || what == TAP_NOT_ALLOWED);
	demand(what != TAP_NOT_ALLOWED || collector_counters(g->c)->records_not_sealed > 0);
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
	struct reader r = reader_init(bytes_of(data, size));
	struct collector_rig *g = fresh_rig(reader_u8(&r));
	static struct rig_tap tap[TAPS];

	memset(tap, 0, sizeof tap);
	while (reader_left(&r) > 0) {
		uint8_t what = reader_u8(&r);
		uint16_t n = reader_u16be(&r);
		struct bytes b = reader_bytes(&r, n < reader_left(&r) ? n : reader_left(&r));
		for (int i = 0; i < TAPS; i++)
			tap[i].answers = 0;
		take(g, tap, what / STEPS, (enum step)(what % STEPS), b);
		after_step(g);
	}
	count(collector_counters(g->c));
	all_ends_well(g);
	return 0;
}
