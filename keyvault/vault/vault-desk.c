/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

#define EXPIRE_EVERY_NS INT64_C(10000000000)
#define EXPIRE_AT_ONCE  1000
#define WALK_AT_ONCE    512
#define SCRUB_PAGES     1024
#define INDEX_MAX_BYTES 512 /* of one INDEX frame */

enum watching {
	WATCH_NOT,
	WATCH_CATCHES_UP, /* rows from `from` on are still to be told */
	WATCH_LIVE,
};

/* What is asked for and answered in parts. */
struct errand {
	struct vault_frame f; /* its views point into `copy` */
	uint8_t *copy;
	uint16_t left;
	uint32_t found;
};

struct vault_visitor {
	struct list node;
	const struct subject *who;
	struct buf *out;
	enum watching watching;
	uint32_t watch;
	uint64_t from;
	struct errand errand;
	/* Records this origin may still store, and when that was so. */
	double allowance;
	int64_t allowance_ns;
};

/* A change of this turn, answered when it is on disk. */
struct pending {
	struct vault_visitor *v; /* NULL: has left */
	uint32_t request;
	enum vault_refusal why; /* 0: done */
	bool erases;
	uint32_t found;
};

struct vault_desk {
	struct vault_store *store;
	struct vault_audit *audit;
	struct list visitors;
	struct pending *pending;
	size_t pending_n, pending_room;
	bool changing; /* a transaction is open */
	int lost;      /* it is, and why */
	bool erased;   /* since the last scrub */
	int64_t expired_ns;
	int trouble;
	struct vault_counters counters, before; /* before the transaction */
};

static void who_text(const struct vault_visitor *v, char out[static 80])
{
	snprintf(out, 80, "%s%s%s", identity_role_name(v->who->role), v->who->name[0] ? " " : "",
		 v->who->name);
}

static void text_of(struct bytes b, char out[static VAULT_TEXT_MAX + 1])
{
	size_t n = b.n < VAULT_TEXT_MAX ? b.n : VAULT_TEXT_MAX;

	if (n > 0)
		memcpy(out, b.p, n);
	out[n] = 0;
}

static void refuse(struct vault_desk *d, struct vault_visitor *v, uint32_t request,
		   enum vault_refusal why, const char *text)
{
	char who[80];

	who_text(v, who);
	log_event(LOG_WARNING, "request-refused", LOG_STR("who", who),
		  LOG_STR("why", vault_refusal_name(why)), LOG_STR("what", text));
	d->counters.requests_refused++;
	vault_wire_put_refused(v->out, request, why, text);
}

/* The transaction of a turn. */

static void lose(struct vault_desk *d, int r)
{
	vault_store_abort(d->store);
	d->counters = d->before;
	d->lost = r;
}

/* Opens it, if it is not open. False: it is lost. */
static bool change(struct vault_desk *d)
{
	if (d->lost)
		return false;
	if (d->changing)
		return true;
	int r = vault_store_begin(d->store);
	d->changing = true;
	d->before = d->counters;
	if (r < 0)
		lose(d, r);
	return r == 0;
}

/* The answer that waits for the transaction's end. NULL: no memory; the peer is told at once. */
static struct pending *await(struct vault_desk *d, struct vault_visitor *v, uint32_t request)
{
	if (d->pending_n == d->pending_room) {
		size_t room = d->pending_room ? 2 * d->pending_room : 64;
		struct pending *p = reallocarray(d->pending, room, sizeof *p);
		if (!p) {
			refuse(d, v, request, VAULT_STORE_FAILED, "no memory");
			return NULL;
		}
		d->pending = p;
		d->pending_room = room;
	}
	struct pending *p = &d->pending[d->pending_n++];
	*p = (struct pending){.v = v, .request = request};
	return p;
}

/* What the store says of one change: 0 or a refusal; a negative one loses the transaction. */
static enum vault_refusal outcome(struct vault_desk *d, int r)
{
	if (r >= 0)
		return (enum vault_refusal)r;
	lose(d, r);
	return VAULT_STORE_FAILED;
}

/* Origins. */

static void take_epoch(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		       int64_t now_ns)
{
	struct pending *p = await(d, v, f->request);

	if (!p || !change(d))
		return;
	p->why = outcome(
		d, vault_store_epoch(d->store, v->who->name, f->epoch.id, f->epoch.blob, now_ns));
	d->counters.epochs_stored += p->why == 0;
}

/* Tokens: so many records a second, and as many at once. */
static bool may_store(struct vault_visitor *v, uint16_t n, int64_t now_ns)
{
	double since = (double)(now_ns - v->allowance_ns) / (double)NS_PER_S;

	if (since > 0)
		v->allowance += since * VAULT_RECORDS_PER_S;
	if (v->allowance > VAULT_RECORDS_PER_S)
		v->allowance = VAULT_RECORDS_PER_S;
	v->allowance_ns = now_ns;
	if (v->allowance < n)
		return false;
	v->allowance -= n;
	return true;
}

/* The whole list, before any of it is stored. */
static bool all_of_its_addresses(const struct vault_visitor *v, struct vault_list list)
{
	struct vault_item item;

	for (uint16_t i = 0; i < list.n; i++) {
		vault_wire_item(&list, &item);
		if (!subject_has_address(v->who, &item.index.server.addr))
			return false;
	}
	return true;
}

static void take_records(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
			 int64_t now_ns)
{
	struct vault_list list = f->list;
	struct vault_item item;

	if (!all_of_its_addresses(v, list)) {
		refuse(d, v, f->request, VAULT_FOREIGN_ADDRESS, "a record of another server");
		return;
	}
	if (!may_store(v, list.n, now_ns)) {
		refuse(d, v, f->request, VAULT_TOO_FAST, "records");
		return;
	}
	struct pending *p = await(d, v, f->request);
	for (uint16_t i = 0; p && p->why == 0 && i < list.n && change(d); i++) {
		uint64_t known = d->counters.records_known;
		vault_wire_item(&list, &item);
		int r = vault_store_append(d->store, v->who->name, &item, now_ns);
		p->why = outcome(d, r == VAULT_KNOWN ? 0 : r);
		if (r == VAULT_KNOWN)
			d->counters.records_known = known + 1;
		else if (r == 0)
			d->counters.records_stored++;
	}
}

static void take_ended(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f)
{
	struct vault_list list = f->list;
	struct vault_place place;
	struct pending *p = await(d, v, f->request);

	for (uint16_t i = 0; p && p->why == 0 && i < list.n && change(d); i++) {
		vault_wire_place(&list, &place);
		p->why = outcome(d, vault_store_ended(d->store, v->who->name, &place));
	}
}

/* The recovery side. */

/* Writes down what is about to be done. False: it cannot be, and so is not done. */
static bool audited(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		    const char *what, int64_t now_ns)
{
	uint64_t numbers[VAULT_LIST_MAX];
	char who[80], text[VAULT_TEXT_MAX + 1];
	struct vault_list list = f->fetch.list;
	bool by_number = f->type != VAULT_EPOCHS;

	for (uint16_t i = 0; by_number && i < list.n; i++)
		numbers[i] = vault_wire_number(&list);
	who_text(v, who);
	text_of(f->fetch.text, text);
	int r = vault_audit_write(d->audit, now_ns,
				  &(struct audit_line){
					  .who = who,
					  .what = what,
					  .why = vault_reason_name(f->fetch.reason),
					  .text = text,
					  .numbers = numbers,
					  .n = by_number ? list.n : 0,
				  });
	if (r < 0) {
		log_event(LOG_ERROR, "audit-failed", LOG_ERR(r));
		refuse(d, v, f->request, VAULT_STORE_FAILED, "the audit log cannot be written");
	}
	return r == 0;
}

static void take_erase(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		       int64_t now_ns)
{
	struct vault_list list = f->fetch.list;
	bool was_there;

	if (!audited(d, v, f, "erase", now_ns))
		return;
	struct pending *p = await(d, v, f->request);
	if (!p)
		return;
	p->erases = true;
	for (uint16_t i = 0; p->why == 0 && i < list.n && change(d); i++) {
		was_there = false;
		p->why = outcome(d, vault_store_erase(d->store, vault_wire_number(&list),
						      VAULT_GONE_ERASED, &was_there));
		p->found += was_there;
	}
}

/* Keeps the request until it is answered whole: its bytes are the peer's buffer's. */
static void begin_errand(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f)
{
	struct errand *e = &v->errand;
	size_t each = f->type == VAULT_EPOCHS ? EPOCH_ID_BYTES : sizeof(uint64_t);
	size_t n = f->fetch.list.n * each;

	e->copy = malloc(n + 1);
	if (!e->copy) {
		refuse(d, v, f->request, VAULT_STORE_FAILED, "no memory");
		return;
	}
	struct reader entries = f->fetch.list.entries;
	reader_copy(&entries, e->copy, n);
	e->f = *f;
	e->f.fetch.list.entries = reader_init(bytes_of(e->copy, n));
	e->left = f->fetch.list.n;
	e->found = 0;
}

static void end_errand(struct vault_visitor *v)
{
	free(v->errand.copy);
	v->errand = (struct errand){0};
}

struct answer {
	struct vault_visitor *v;
	uint64_t number;
	const uint8_t *epoch;
};

static void answer_blob(void *ctx, struct bytes blob)
{
	const struct answer *a = ctx;
	uint32_t request = a->v->errand.f.request;

	if (a->epoch)
		vault_wire_put_epoch(a->v->out, VAULT_EPOCH_BLOB, request, a->epoch, blob);
	else
		vault_wire_put_blob(a->v->out, request, a->number, blob);
}

static void answer_next(struct vault_desk *d, struct vault_visitor *v)
{
	struct errand *e = &v->errand;
	uint8_t id[EPOCH_ID_BYTES];
	struct answer a = {.v = v};
	int r;

	if (e->f.type == VAULT_EPOCHS) {
		vault_wire_epoch_id(&e->f.fetch.list, id);
		a.epoch = id;
		r = vault_store_epoch_blob(d->store, id, answer_blob, &a);
	} else {
		a.number = vault_wire_number(&e->f.fetch.list);
		r = vault_store_blob(d->store, a.number, answer_blob, &a);
	}
	e->left--;
	if (r == 0) {
		e->found++;
		d->counters.records_fetched += !a.epoch;
		return;
	}
	if (r != -ENOENT)
		log_event(LOG_ERROR, "record-unreadable", LOG_INT("number", a.number), LOG_ERR(r));
	d->counters.records_missing += !a.epoch;
	if (!a.epoch)
		vault_wire_put_missing(v->out, e->f.request, a.number);
}

static void take_watch(struct vault_visitor *v, const struct vault_frame *f)
{
	v->watching = WATCH_CATCHES_UP;
	v->watch = f->request;
	v->from = f->from;
}

static bool tell_row(void *ctx, const struct vault_row *row)
{
	struct vault_visitor *v = ctx;

	vault_wire_put_index(v->out, v->watch, row->number, bytes_str(row->origin), row->ended,
			     &row->index);
	return v->out->n < VAULT_QUEUE_LOW_BYTES;
}

static void catch_up(struct vault_desk *d, struct vault_visitor *v)
{
	uint64_t next = v->from;
	int r = vault_store_walk(d->store, v->from, WALK_AT_ONCE, tell_row, v, &next);

	if (r < 0) {
		log_event(LOG_ERROR, "vault-unreadable", LOG_ERR(r));
		refuse(d, v, v->watch, VAULT_STORE_FAILED, "the index cannot be read");
		v->watching = WATCH_NOT;
	} else if (next == UINT64_MAX) {
		v->watching = WATCH_LIVE;
		vault_wire_put_plain(v->out, VAULT_LIVE, v->watch);
	} else {
		v->from = next;
	}
}

static bool queue_has_room(const struct vault_visitor *v)
{
	return v->out->n < VAULT_QUEUE_LOW_BYTES;
}

void vault_desk_continue(struct vault_desk *d, struct vault_visitor *v)
{
	while (v->errand.left > 0 && queue_has_room(v))
		answer_next(d, v);
	if (v->errand.copy && v->errand.left == 0) {
		vault_wire_put_done(v->out, v->errand.f.request, v->errand.found);
		end_errand(v);
	}
	while (v->watching == WATCH_CATCHES_UP && queue_has_room(v))
		catch_up(d, v);
}

bool vault_desk_takes(const struct vault_visitor *v)
{
	return !v->errand.copy && queue_has_room(v);
}

static void origin_frame(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
			 int64_t now_ns)
{
	switch (f->type) {
	case VAULT_EPOCH:
		take_epoch(d, v, f, now_ns);
		return;
	case VAULT_APPEND:
		take_records(d, v, f, now_ns);
		return;
	case VAULT_ENDED:
		take_ended(d, v, f);
		return;
	default:
		refuse(d, v, f->request, VAULT_NOT_YOUR_ROLE, "an origin may only add");
	}
}

static void recovery_frame(struct vault_desk *d, struct vault_visitor *v,
			   const struct vault_frame *f, int64_t now_ns)
{
	switch (f->type) {
	case VAULT_WATCH:
		take_watch(v, f);
		break;
	case VAULT_FETCH:
		if (audited(d, v, f, "fetch", now_ns))
			begin_errand(d, v, f);
		break;
	case VAULT_EPOCHS:
		if (audited(d, v, f, "fetch-epochs", now_ns))
			begin_errand(d, v, f);
		break;
	case VAULT_ERASE:
		take_erase(d, v, f, now_ns);
		break;
	default:
		refuse(d, v, f->request, VAULT_NOT_YOUR_ROLE, "recovery may not add");
	}
	vault_desk_continue(d, v);
}

int vault_desk_frame(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		     int64_t now_ns)
{
	if (f->type >= VAULT_STORED)
		return -EPROTO; /* a vault's */
	switch (v->who->role) {
	case IDENTITY_ORIGIN:
		origin_frame(d, v, f, now_ns);
		break;
	case IDENTITY_RECOVERY:
		recovery_frame(d, v, f, now_ns);
		break;
	case IDENTITY_VAULT:
	case IDENTITY_NONE:
		refuse(d, v, f->request, VAULT_NOT_YOUR_ROLE, "neither origin nor recovery");
	}
	return 0;
}

/* What has come and gone, told to who watches. */

static void on_added(void *ctx, uint64_t number, const char *origin,
		     const struct session_index *index)
{
	struct vault_desk *d = ctx;

	list_for_each (it, &d->visitors) {
		struct vault_visitor *v = list_entry(it, struct vault_visitor, node);
		if (v->watching != WATCH_LIVE)
			continue;
		if (queue_has_room(v)) {
			vault_wire_put_index(v->out, v->watch, number, bytes_str(origin), false,
					     index);
			continue;
		}
		v->watching = WATCH_CATCHES_UP;
		v->from = number;
	}
}

static void on_gone(void *ctx, uint64_t number, enum vault_gone why)
{
	struct vault_desk *d = ctx;

	d->counters.records_erased += why == VAULT_GONE_ERASED;
	d->counters.records_expired += why == VAULT_GONE_EXPIRED;
	d->counters.records_evicted += why == VAULT_GONE_EVICTED;
	d->erased = true;
	/* A queue without room for this ends its connection. */
	list_for_each (it, &d->visitors) {
		struct vault_visitor *v = list_entry(it, struct vault_visitor, node);
		if (v->watching == WATCH_LIVE ||
		    (v->watching == WATCH_CATCHES_UP && number < v->from))
			vault_wire_put_gone(v->out, v->watch, number, why);
	}
}

/* The end of a turn. */

static void answer(struct vault_desk *d, const struct pending *p)
{
	bool full = d->lost == -EDQUOT || d->lost == -ENOSPC;

	if (!p->v)
		return;
	if (d->lost)
		refuse(d, p->v, p->request, full ? VAULT_FULL : VAULT_STORE_FAILED,
		       log_strerror(d->lost));
	else if (p->why != 0)
		refuse(d, p->v, p->request, p->why, "");
	else if (p->erases)
		vault_wire_put_done(p->v->out, p->request, p->found);
	else
		vault_wire_put_plain(p->v->out, VAULT_STORED, p->request);
}

static void commit(struct vault_desk *d)
{
	if (!d->lost) {
		d->lost = vault_store_commit(d->store);
		if (d->lost)
			d->counters = d->before;
	}
	if (d->lost) {
		d->counters.commits_failed++;
		if (d->trouble != d->lost)
			log_event(LOG_ERROR, "store-failed", LOG_ERR(d->lost));
	} else {
		d->counters.commits++;
		if (d->trouble)
			log_event(LOG_NOTICE, "store-works-again");
	}
	d->trouble = d->lost;
}

/* What is due goes; what has gone is written over. */
static void tidy(struct vault_desk *d, int64_t now_ns)
{
	bool more = false;

	if (now_ns - d->expired_ns < EXPIRE_EVERY_NS && now_ns >= d->expired_ns)
		return;
	if (change(d)) {
		int r = vault_store_expire(d->store, now_ns, EXPIRE_AT_ONCE, &more);
		if (r < 0)
			lose(d, r);
	}
	if (!more)
		d->expired_ns = now_ns;
}

static void scrub(struct vault_desk *d)
{
	if (!d->erased)
		return;
	d->erased = false;
	int r = vault_store_scrub(d->store, SCRUB_PAGES);
	if (r < 0)
		log_event(LOG_WARNING, "not-scrubbed", LOG_ERR(r));
}

void vault_desk_settle(struct vault_desk *d, int64_t now_ns)
{
	int64_t expired_ns = d->expired_ns;

	tidy(d, now_ns);
	if (d->changing)
		commit(d);
	for (size_t i = 0; i < d->pending_n; i++)
		answer(d, &d->pending[i]);
	d->pending_n = 0;
	d->changing = false;
	d->lost = 0;
	if (expired_ns != d->expired_ns)
		scrub(d);
}

/* Opening. */

int vault_desk_open(const struct vault_store_config *store, struct vault_audit *audit,
		    struct vault_desk **ret)
{
	struct vault_desk *d = calloc(1, sizeof *d);
	struct vault_store_config c = *store;

	if (!d)
		return -ENOMEM;
	list_init(&d->visitors);
	d->audit = audit;
	c.events = (struct vault_events){on_added, on_gone, d};
	int r = vault_store_open(&c, &d->store);
	if (r < 0) {
		free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void vault_desk_close(struct vault_desk *d)
{
	if (!d)
		return;
	vault_store_close(d->store);
	free(d->pending);
	free(d);
}

struct vault_visitor *vault_desk_enter(struct vault_desk *d, const struct subject *who,
				       struct buf *out)
{
	struct vault_visitor *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->who = who;
	v->out = out;
	v->allowance = VAULT_RECORDS_PER_S;
	list_add_tail(&d->visitors, &v->node);
	return v;
}

void vault_desk_leave(struct vault_desk *d, struct vault_visitor *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < d->pending_n; i++) {
		if (d->pending[i].v == v)
			d->pending[i].v = NULL;
	}
	end_errand(v);
	list_del(&v->node);
	free(v);
}

const struct vault_counters *vault_desk_counters(const struct vault_desk *d)
{
	return &d->counters;
}

void vault_desk_count(const struct vault_desk *d, struct vault_store_counts *ret)
{
	vault_store_count(d->store, ret);
}

int vault_desk_trouble(const struct vault_desk *d)
{
	return d->trouble;
}
