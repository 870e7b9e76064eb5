/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collector.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "vault-feed.h"

/* A record that has come and is to be sealed. */
struct fresh {
	uint8_t *keys; /* in the secure heap */
	size_t n;
	struct tap_peer *peer; /* NULL: it has gone */
	struct one_session *session;
	uint32_t number;
	int64_t taken_ns;
};

struct collector {
	struct collector_config config;
	struct collector_ops ops;
	struct sealer *sealer;
	bool sealer_is_new;
	int seal_trouble; /* of the last batch: 0, or what sealer_*() returned */
	int64_t budget_ns;
	struct peer_table peers;
	struct one_sessions sessions;
	struct queue_owner departed; /* owns what peers that are gone have left */
	struct record_queue queue;
	struct list waiting; /* records for which a tap waits, in the order of their deadlines */
	struct vault_feed feed[COLLECTOR_VAULTS_MAX];
	struct fresh fresh[SEAL_BATCH_MAX];
	size_t fresh_n;
	unsigned misses;      /* in a row */
	int64_t last_miss_ns; /* only who began to wait after it is another miss */
	int64_t probe_ns;     /* when the vaults are asked next, if nobody waits for them */
	size_t last_batch;    /* records in it */
	int64_t last_batch_ns;
	struct collector_counters counters;
	int64_t now_ns, real_ns; /* of this turn */
};

static void fresh_clear(struct fresh *f)
{
	OPENSSL_secure_clear_free(f->keys, f->n);
	f->keys = NULL;
}

int collector_new(const struct collector_config *config, const struct collector_ops *ops,
		  struct sealer *sealer, struct collector **ret)
{
	struct collector *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->config = *config;
	c->ops = *ops;
	c->sealer = sealer;
	c->sealer_is_new = true;
	c->budget_ns = config->wait_ms * NS_PER_MS * 9 / 10;
	peer_table_init(&c->peers);
	one_sessions_init(&c->sessions);
	queue_owner_init(&c->departed);
	record_queue_init(&c->queue, config->queue_bytes);
	list_init(&c->waiting);
	c->last_miss_ns = INT64_MIN;
	for (unsigned i = 0; i < config->vaults; i++)
		vault_feed_init(&c->feed[i], &c->queue, i);
	*ret = c;
	return 0;
}

void collector_free(struct collector *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->fresh_n; i++)
		fresh_clear(&c->fresh[i]);
	for (unsigned i = 0; i < c->config.vaults; i++)
		vault_feed_deinit(&c->feed[i]);
	record_queue_deinit(&c->queue);
	list_for_each_safe (it, tmp, &c->peers.peers)
		peer_table_remove(&c->peers, list_entry(it, struct tap_peer, node));
	one_sessions_deinit(&c->sessions);
	free(c);
}

void collector_begin(struct collector *c, int64_t now_ns, int64_t real_ns)
{
	c->now_ns = now_ns;
	c->real_ns = real_ns;
}

size_t collector_unsealed(const struct collector *c)
{
	return c->fresh_n;
}

void collector_use_sealer(struct collector *c, struct sealer *sealer)
{
	c->sealer = sealer;
	c->sealer_is_new = true;
	c->seal_trouble = 0; /* it was the other one's */
}

/* ---- answers --------------------------------------------------------------------------------- */

static void say(struct collector *c, struct tap_peer *p, struct writer *w)
{
	if (!c->ops.answer(p->ctx, writer_view(w)))
		c->counters.answers_lost++;
}

static void answer(struct collector *c, struct tap_peer *p, uint32_t number, enum tap_result how)
{
	uint8_t room[16];
	struct writer w = WRITER_IN(room);

	if (!p)
		return;
	tap_wire_answer(&w, &(struct tap_answer){number, how});
	say(c, p, &w);
}

/* Nothing is stored, and the tap is not to wait any longer. */
static void answer_not(struct collector *c, struct tap_peer *p, uint32_t number)
{
	c->counters.handshakes_failed += c->config.closed && p;
	answer(c, p, number, c->config.closed ? TAP_NOT_ALLOWED : TAP_NOT_STORED);
}

static void answer_record(struct collector *c, struct queue_record *r, bool stored)
{
	if (!r->peer)
		return;
	if (stored)
		answer(c, r->peer, r->number, TAP_STORED);
	else
		answer_not(c, r->peer, r->number);
	r->peer = NULL;
	list_del(&r->waiting);
}

/* ---- what becomes of a record ---------------------------------------------------------------- */

static unsigned vaults_at(const struct collector *c, const struct queue_record *r,
			  enum at_vault what)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->config.vaults; i++)
		n += r->at[i] == what;
	return n;
}

static unsigned demanded(const struct collector *c)
{
	return c->config.store_all ? c->config.vaults : 1;
}

/* The last vault that was waited for has it: was that in time? */
static void stored(struct collector *c, struct queue_record *r)
{
	c->counters.records_stored++;
	if (c->now_ns - r->taken_ns < c->budget_ns)
		c->misses = 0;
	else
		c->counters.records_late++;
	answer_record(c, r, true);
}

static void settled(void *ctx, struct queue_record *r)
{
	struct collector *c = ctx;
	unsigned have = vaults_at(c, r, AT_STORED), refused = vaults_at(c, r, AT_REFUSED);
	bool enough = have >= demanded(c);

	if (enough && !r->is_stored) {
		r->is_stored = true;
		stored(c, r);
	}
	if (c->config.vaults - refused < demanded(c))
		answer_record(c, r, false);
	if (have + refused < c->config.vaults)
		return;
	c->counters.records_refused_by_vaults += refused > 0;
	record_queue_remove(&c->queue, r);
}

static void drop_crowded(struct collector *c, size_t bytes)
{
	struct queue_record *r;

	while ((r = record_queue_crowded(&c->queue, bytes))) {
		if (r->is_stored)
			c->counters.records_dropped_partly++;
		else
			c->counters.records_dropped++;
		answer_record(c, r, false);
		record_queue_remove(&c->queue, r);
	}
}

/* ---- peers ----------------------------------------------------------------------------------- */

struct tap_peer *collector_peer(struct collector *c, void *ctx, uid_t uid)
{
	struct tap_peer *p = peer_table_add(&c->peers, ctx, uid, c->now_ns);

	if (p)
		c->counters.peers_taken++;
	else
		c->counters.peers_refused++;
	return p;
}

void collector_peer_gone(struct collector *c, struct tap_peer *p)
{
	for (size_t i = 0; i < c->fresh_n; i++) {
		if (c->fresh[i].peer == p)
			c->fresh[i].peer = NULL;
	}
	list_for_each (it, &p->owner.records) {
		struct queue_record *r = list_entry(it, struct queue_record, of_owner);
		r->peer = NULL;
		list_del(&r->waiting);
	}
	record_queue_inherit(&c->queue, &p->owner, &c->departed);
	if (p->session)
		one_session_leave(&c->sessions, p->session, c->now_ns);
	peer_table_remove(&c->peers, p);
}

void *collector_silent_peer(struct collector *c)
{
	list_for_each (it, &c->peers.peers) {
		struct tap_peer *p = list_entry(it, struct tap_peer, node);
		if (!p->greeted && c->now_ns - p->since_ns >= PEER_HELLO_NS) {
			p->greeted = true; /* told once */
			c->counters.peers_silent++;
			return p->ctx;
		}
	}
	return NULL;
}

static bool take_hello(struct collector *c, struct tap_peer *p, const struct tap_hello *h)
{
	uint8_t room[16];
	struct writer w = WRITER_IN(room);

	if (p->greeted)
		return false;
	p->greeted = true;
	p->hello = *h;
	if (h->one_connection) {
		p->records = allowance_of(SESSION_RECORDS, SESSION_RECORDS_S, c->now_ns);
		if (!p->user)
			p->session = one_session_join(&c->sessions, &h->server, &h->client);
	}
	tap_wire_welcome(&w, &(struct tap_welcome){c->config.wait_ms, c->config.closed});
	say(c, p, &w);
	return true;
}

/* Keeps the keys until they are sealed. */
static bool keep(struct collector *c, struct tap_peer *p, const struct tap_keys *k)
{
	struct fresh *f = &c->fresh[c->fresh_n];

	*f = (struct fresh){
		.peer = p, .session = p->session, .number = k->number, .taken_ns = c->now_ns};
	f->keys = OPENSSL_secure_malloc(k->keys.n);
	if (!f->keys)
		return false;
	f->n = k->keys.n;
	memcpy(f->keys, k->keys.p, f->n);
	c->fresh_n++;
	return true;
}

static void seal_fresh(struct collector *c);

static bool take_keys(struct collector *c, struct tap_peer *p, const struct tap_keys *k)
{
	struct session_index index;
	int r = p->greeted ? sealer_check(c->sealer, k->keys, &index) : SEAL_MALFORMED;
	uint64_t *refused = NULL;

	if (r == SEAL_MALFORMED)
		return false;
	c->counters.records_taken++;
	if (r == SEAL_FOREIGN_ADDRESS)
		refused = &c->counters.refused_address;
	else if (r != SEAL_OK)
		refused = &c->counters.refused_memory;
	else if (!tap_peer_owns(p, &index))
		refused = &c->counters.refused_session;
	else if (!tap_peer_may(p, c->now_ns))
		refused = &c->counters.refused_rate;
	else if (!keep(c, p, k))
		refused = &c->counters.refused_memory;
	if (refused) {
		++*refused;
		answer(c, p, k->number, TAP_REFUSED);
		return true;
	}
	if (c->fresh_n == SEAL_BATCH_MAX)
		seal_fresh(c);
	return true;
}

bool collector_message(struct collector *c, struct tap_peer *p, uint8_t *message, size_t n)
{
	struct tap_message m;
	bool ok = tap_wire_read(bytes_of(message, n), &m) == TAP_WIRE_OK;

	if (ok && m.type == TAP_HELLO)
		ok = take_hello(c, p, &m.hello);
	else if (ok)
		ok = m.type == TAP_KEYS && take_keys(c, p, &m.keys);
	OPENSSL_cleanse(message, n);
	c->counters.peers_malformed += !ok;
	return ok;
}

/* ---- sealing --------------------------------------------------------------------------------- */

static int new_epoch(struct collector *c)
{
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed blob;

	int r = sealer_epoch(c->sealer, c->real_ns, id, &blob);
	if (r != 0)
		return r;
	r = record_queue_epoch(&c->queue, id, &blob);
	if (r < 0) {
		sealed_free(&blob);
		c->sealer_is_new = true; /* nobody will know this epoch */
		return r;
	}
	c->sealer_is_new = false;
	c->counters.epochs++;
	return 0;
}

static int seal(struct collector *c, struct sealed *blobs, struct session_index *indexes)
{
	struct bytes keys[SEAL_BATCH_MAX];
	int r = 0;

	for (size_t i = 0; i < c->fresh_n; i++)
		keys[i] = bytes_of(c->fresh[i].keys, c->fresh[i].n);
	if (c->sealer_is_new || sealer_epoch_due(c->sealer, c->real_ns, c->fresh_n))
		r = new_epoch(c);
	if (r == 0)
		r = sealer_batch(c->sealer, c->real_ns, keys, c->fresh_n, blobs, indexes);
	return r;
}

static bool nobody_waits(const struct collector *c)
{
	return !c->config.closed && (c->config.wait_ms == 0 || c->misses >= COLLECTOR_MISSES);
}

static void enqueue(struct collector *c, const struct fresh *f, struct sealed *blob,
		    const struct session_index *index)
{
	struct queue_owner *o = f->peer ? &f->peer->owner : &c->departed;
	struct queue_record *r;

	drop_crowded(c, blob->n);
	if (record_queue_add(&c->queue, o, blob, index, &r) < 0) {
		sealed_free(blob);
		c->counters.records_not_sealed++;
		answer_not(c, f->peer, f->number);
		return;
	}
	r->taken_ns = f->taken_ns;
	c->counters.records_sealed++;
	if (f->session)
		one_session_record(f->session, index, r->place);
	if (nobody_waits(c)) {
		c->counters.records_not_waited++;
		answer_not(c, f->peer, f->number);
	} else if (f->peer) {
		r->peer = f->peer;
		r->number = f->number;
		list_add_tail(&c->waiting, &r->waiting);
	}
}

static void seal_fresh(struct collector *c)
{
	struct sealed blobs[SEAL_BATCH_MAX];
	struct session_index indexes[SEAL_BATCH_MAX];

	if (c->fresh_n == 0)
		return;
	c->seal_trouble = seal(c, blobs, indexes);
	c->counters.batches += c->seal_trouble == 0;
	c->last_batch = c->fresh_n;
	c->last_batch_ns = c->now_ns;
	for (size_t i = 0; i < c->fresh_n; i++) {
		struct fresh *f = &c->fresh[i];
		fresh_clear(f);
		if (c->seal_trouble == 0) {
			enqueue(c, f, &blobs[i], &indexes[i]);
			continue;
		}
		c->counters.records_not_sealed++;
		answer_not(c, f->peer, f->number);
	}
	c->fresh_n = 0;
}

/* ---- vaults ---------------------------------------------------------------------------------- */

void collector_vault_up(struct collector *c, unsigned vault, struct buf *out)
{
	vault_feed_up(&c->feed[vault], out);
}

void collector_vault_down(struct collector *c, unsigned vault)
{
	vault_feed_down(&c->feed[vault]);
}

/* As many as are demanded have answered in time. */
static void heed_probes(struct collector *c)
{
	unsigned in_time = 0;

	for (unsigned i = 0; i < c->config.vaults; i++)
		in_time += c->feed[i].probe_ns < c->budget_ns;
	if (in_time >= demanded(c))
		c->misses = 0;
}

int collector_frame(struct collector *c, unsigned vault, const struct vault_frame *f)
{
	int r = vault_feed_answer(&c->feed[vault], f, c->now_ns, settled, c);

	if (c->misses >= COLLECTOR_MISSES)
		heed_probes(c);
	return r;
}

/* Records that wait for a vault show it themselves. */
static bool probe_is_due(const struct collector *c)
{
	return c->misses >= COLLECTOR_MISSES && c->queue.records == 0 && c->fresh_n == 0;
}

static void probe(struct collector *c)
{
	bool asked = false;

	if (!probe_is_due(c) || c->now_ns < c->probe_ns)
		return;
	for (unsigned i = 0; i < c->config.vaults; i++)
		asked |= vault_feed_probe(&c->feed[i], c->now_ns);
	c->counters.probes += asked;
	c->probe_ns = c->now_ns + COLLECTOR_PROBE_NS;
}

int64_t collector_unanswered_ns(const struct collector *c, unsigned vault)
{
	return vault_feed_oldest_ns(&c->feed[vault]);
}

/* Each vault hears it behind the records themselves. */
static void tell_over(struct collector *c)
{
	one_sessions_end(&c->sessions, (1u << c->config.vaults) - 1, c->now_ns);
	list_for_each_safe (it, tmp, &c->sessions.over) {
		struct one_session *one = list_entry(it, struct one_session, node);
		for (unsigned i = 0; i < c->config.vaults; i++) {
			struct vault_feed *f = &c->feed[i];
			if (!(one->to_tell & 1u << i) || !vault_feed_is_past(f, one->behind) ||
			    f->out->n > FEED_OUT_LOW)
				continue;
			vault_feed_ended(f, one->place, one->places, c->now_ns);
			one->to_tell &= ~(1u << i);
			c->counters.sessions_ended++;
		}
		if (!one->to_tell)
			one_session_free(&c->sessions, one);
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t deadline_of(const struct collector *c, const struct queue_record *r)
{
	return r->taken_ns + c->budget_ns;
}

/* Those who waited side by side are one miss. */
static void missed(struct collector *c, struct queue_record *r)
{
	c->counters.records_missed++;
	if (r->taken_ns >= c->last_miss_ns) {
		c->misses++;
		c->last_miss_ns = c->now_ns;
	}
	answer_record(c, r, false);
}

static void answer_late(struct collector *c)
{
	list_for_each_safe (it, tmp, &c->waiting) {
		struct queue_record *r = list_entry(it, struct queue_record, waiting);
		if (!nobody_waits(c) && deadline_of(c, r) > c->now_ns)
			return;
		missed(c, r);
	}
}

static unsigned vaults_up(const struct collector *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->config.vaults; i++)
		n += c->feed[i].out != NULL;
	return n;
}

static bool a_vault_is_idle(const struct collector *c)
{
	for (unsigned i = 0; i < c->config.vaults; i++) {
		if (c->feed[i].out && c->feed[i].under_way == 0)
			return true;
	}
	return false;
}

/* As many as came together of late are likely to come together again. */
static bool more_are_coming(const struct collector *c)
{
	return c->fresh_n < c->last_batch && c->now_ns - c->last_batch_ns < COLLECTOR_RECENT_NS;
}

/* Until when what has come waits for more to be sealed with it. */
static int64_t gathers_until_ns(const struct collector *c)
{
	int64_t most_ns = c->budget_ns / COLLECTOR_GATHER_PART, ns = COLLECTOR_GATHER_NS;

	if (nobody_waits(c) || vaults_up(c) == 0)
		return INT64_MIN;
	if (a_vault_is_idle(c)) {
		if (!more_are_coming(c))
			return INT64_MIN;
		ns = COLLECTOR_LINGER_NS;
	}
	return c->fresh[0].taken_ns + (most_ns < ns ? most_ns : ns);
}

void collector_turn(struct collector *c)
{
	if (c->fresh_n > 0 && c->now_ns >= gathers_until_ns(c))
		seal_fresh(c);
	for (unsigned i = 0; i < c->config.vaults; i++)
		vault_feed_fill(&c->feed[i], c->now_ns);
	probe(c);
	answer_late(c);
	tell_over(c);
}

int64_t collector_next_ns(const struct collector *c)
{
	int64_t next = one_sessions_next_ns(&c->sessions);

	if (c->fresh_n > 0 && gathers_until_ns(c) < next)
		next = gathers_until_ns(c);
	if (probe_is_due(c) && c->probe_ns < next)
		next = c->probe_ns;
	if (!list_empty(&c->waiting)) {
		int64_t at =
			deadline_of(c, list_entry(c->waiting.next, struct queue_record, waiting));
		next = at < next ? at : next;
	}
	for (unsigned i = 0; i < c->config.vaults; i++) {
		const struct vault_feed *f = &c->feed[i];
		if (f->out && f->paused_until_ns > c->now_ns && f->paused_until_ns < next)
			next = f->paused_until_ns;
	}
	return next;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static unsigned vaults_refusing(const struct collector *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->config.vaults; i++)
		n += c->feed[i].out && c->feed[i].pause_ns > 0;
	return n;
}

bool collector_waits(const struct collector *c)
{
	return !nobody_waits(c);
}

enum collector_health collector_health(const struct collector *c, char *line)
{
	unsigned up = vaults_up(c), refusing = vaults_refusing(c);
	bool late = c->misses >= COLLECTOR_MISSES;
	enum collector_health h = COLLECTOR_STORES;

	if (up - refusing < c->config.vaults)
		h = COLLECTOR_STORES_PARTLY;
	if (up - refusing < demanded(c) || late || c->seal_trouble != 0)
		h = COLLECTOR_STORES_NOT;
	if (line)
		snprintf(line, COLLECTOR_LINE_BYTES,
			 "%u of %u vaults connected%s, %zu records wait for them, %s%s%s", up,
			 c->config.vaults, refusing ? ", some refuse for now" : "",
			 c->queue.records,
			 !late              ? "handshakes wait for them"
			 : c->config.closed ? "handshakes fail"
					    : "handshakes go on without waiting",
			 c->seal_trouble ? ", nothing is sealed: " : "",
			 c->seal_trouble > 0   ? seal_reason_name(c->seal_trouble)
			 : c->seal_trouble < 0 ? "no memory, or OpenSSL failed"
					       : "");
	return h;
}

const struct collector_counters *collector_counters(const struct collector *c)
{
	return &c->counters;
}

const struct record_queue *collector_queue(const struct collector *c)
{
	return &c->queue;
}

uint64_t collector_refused(const struct collector *c, unsigned vault, enum vault_refusal why)
{
	return c->feed[vault].refused[why];
}

size_t collector_peers(const struct collector *c)
{
	return c->peers.n;
}
