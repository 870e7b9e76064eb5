/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-desk-own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define EXPIRE_EVERY_NS INT64_C(10000000000)
#define EXPIRE_AT_ONCE  1000
#define SCRUB_PAGES     1024

void desk_who(const struct vault_visitor *v, char out[static 80])
{
	snprintf(out, 80, "%s%s%s", identity_role_name(v->who->role), v->who->name[0] ? " " : "",
		 v->who->name);
}

void desk_refuse(struct vault_desk *d, struct vault_visitor *v, uint32_t request,
		 enum vault_refusal why, const char *text)
{
	char who[80];

	desk_who(v, who);
	log_event(LOG_WARNING, "request-refused", LOG_STR("who", who),
		  LOG_STR("why", vault_refusal_name(why)), LOG_STR("what", text));
	d->counters.requests_refused++;
	vault_wire_put_refused(v->out, request, why, text);
}

/* The transaction of a turn. */

static void lose(struct vault_desk *d, int r)
{
	vault_store_abort(d->store);
	d->lost = r;
}

/* Opens it, if it is not open. False: it is lost. */
bool desk_change(struct vault_desk *d)
{
	if (d->lost)
		return false;
	if (d->changing)
		return true;
	int r = vault_store_begin(d->store);
	d->changing = true;
	if (r < 0)
		lose(d, r);
	return r == 0;
}

/* The answer that waits for the transaction's end. NULL: no memory; the peer is told at once. */
struct pending *desk_await(struct vault_desk *d, struct vault_visitor *v, uint32_t request)
{
	if (d->pending_n == d->pending_room) {
		size_t room = d->pending_room ? 2 * d->pending_room : 64;
		struct pending *p = reallocarray(d->pending, room, sizeof *p);
		if (!p) {
			if (v)
				desk_refuse(d, v, request, VAULT_STORE_FAILED, "no memory");
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
enum vault_refusal desk_outcome(struct vault_desk *d, int r)
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
	struct pending *p = desk_await(d, v, f->request);

	if (!p || !desk_change(d))
		return;
	p->why = desk_outcome(
		d, vault_store_epoch(d->store, v->who->name, f->epoch.id, f->epoch.blob, now_ns));
	d->change.epochs += p->why == 0;
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
		desk_refuse(d, v, f->request, VAULT_FOREIGN_ADDRESS, "a record of another server");
		return;
	}
	if (!may_store(v, list.n, now_ns)) {
		desk_refuse(d, v, f->request, VAULT_TOO_FAST, "records");
		return;
	}
	struct pending *p = desk_await(d, v, f->request);
	for (uint16_t i = 0; p && p->why == 0 && i < list.n && desk_change(d); i++) {
		vault_wire_item(&list, &item);
		int r = vault_store_append(d->store, v->who->name, &item, now_ns);
		p->why = desk_outcome(d, r == VAULT_KNOWN ? 0 : r);
		d->change.known += r == VAULT_KNOWN;
		d->change.stored += r == 0;
	}
}

static void take_ended(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f)
{
	struct vault_list list = f->list;
	struct vault_place place;
	struct pending *p = desk_await(d, v, f->request);

	for (uint16_t i = 0; p && p->why == 0 && i < list.n && desk_change(d); i++) {
		vault_wire_place(&list, &place);
		p->why = desk_outcome(d, vault_store_ended(d->store, v->who->name, &place));
	}
}

bool vault_desk_takes(const struct vault_visitor *v)
{
	bool changes = v->who->role == IDENTITY_ORIGIN;

	return !v->errand.copy && desk_has_room(v) && !(changes && v->desk->committing);
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
		desk_refuse(d, v, f->request, VAULT_NOT_YOUR_ROLE, "an origin may only add");
	}
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
		desk_recovery_frame(d, v, f, now_ns);
		break;
	case IDENTITY_VAULT:
	case IDENTITY_NONE:
		desk_refuse(d, v, f->request, VAULT_NOT_YOUR_ROLE, "neither origin nor recovery");
	}
	return 0;
}

/* The end of a turn. */

static void answer(struct vault_desk *d, const struct pending *p)
{
	bool full = d->lost == -EDQUOT || d->lost == -ENOSPC;

	if (!p->v)
		return;
	if (d->lost)
		desk_refuse(d, p->v, p->request, full ? VAULT_FULL : VAULT_STORE_FAILED,
			    log_strerror(d->lost));
	else if (p->why != 0)
		desk_refuse(d, p->v, p->request, p->why, "");
	else if (p->erases)
		vault_wire_put_done(p->v->out, p->request, p->found);
	else
		vault_wire_put_plain(p->v->out, VAULT_STORED, p->request);
}

static void note_outcome(struct vault_desk *d)
{
	if (d->lost) {
		d->counters.commits_failed++;
		if (d->trouble != d->lost)
			log_event(LOG_ERROR, "store-failed", LOG_ERR(d->lost));
	} else {
		d->counters.commits++;
		d->counters.records_stored += d->change.stored;
		d->counters.records_known += d->change.known;
		d->counters.epochs_stored += d->change.epochs;
		if (d->trouble)
			log_event(LOG_NOTICE, "store-works-again");
	}
	d->trouble = d->lost;
}

static void answer_all(struct vault_desk *d)
{
	for (size_t i = 0; i < d->pending_n; i++)
		answer(d, &d->pending[i]);
	d->pending_n = 0;
}

/* The transaction is on disk, or lost. */
static void end_changes(struct vault_desk *d)
{
	note_outcome(d);
	answer_all(d);
	d->changing = false;
	d->lost = 0;
	memset(&d->change, 0, sizeof d->change);
}

/* What is due goes; what has gone is written over. */
static void tidy(struct vault_desk *d)
{
	bool more = false;

	if (d->now_ns - d->expired_ns < EXPIRE_EVERY_NS && d->now_ns >= d->expired_ns)
		return;
	if (desk_change(d)) {
		int r = vault_store_expire(d->store, d->now_ns, EXPIRE_AT_ONCE, &more);
		if (r < 0)
			lose(d, r);
	}
	if (more)
		return;
	d->expired_ns = d->now_ns;
	if (d->scrub == VAULT_SCRUB_STEPS)
		d->scrub = VAULT_SCRUB_BEGIN;
}

static void end_scrub(struct vault_desk *d, int r)
{
	d->scrubbing = false;
	d->scrub++;
	if (r == 0)
		return;
	log_event(LOG_WARNING, "not-scrubbed", LOG_ERR(r));
	d->scrub = VAULT_SCRUB_STEPS;
}

/* Between transactions, when there is nothing else to do. */
static void scrub(struct vault_desk *d)
{
	if (d->scrub == VAULT_SCRUB_BEGIN && !d->erased)
		d->scrub = VAULT_SCRUB_STEPS;
	if (d->scrub == VAULT_SCRUB_STEPS)
		return;
	d->erased = d->erased && d->scrub != VAULT_SCRUB_BEGIN;
	int r = vault_store_scrub_begin(d->store, (enum vault_scrub_step)d->scrub, SCRUB_PAGES);
	if (r == 0)
		r = vault_store_commit_start(d->store);
	d->scrubbing = d->committing = r == 0;
	if (r < 0)
		end_scrub(d, r);
}

static void commit(struct vault_desk *d)
{
	if (!d->lost)
		d->lost = vault_store_commit_start(d->store);
	d->committing = !d->lost;
	if (d->committing)
		return;
	end_changes(d);
}

/* Takes the end of what is committed. */
static void end_commit(struct vault_desk *d)
{
	int r;

	if (!d->committing || !vault_store_commit_over(d->store, &r))
		return;
	d->committing = false;
	if (d->scrubbing) {
		end_scrub(d, r);
		return;
	}
	d->lost = r;
	end_changes(d);
}

void vault_desk_settle(struct vault_desk *d, int64_t now_ns)
{
	d->now_ns = now_ns;
	end_commit(d);
	vault_audit_turn(d->audit);
	list_for_each (it, &d->visitors)
		desk_begin_if_audited(d, list_entry(it, struct vault_visitor, node));
	desk_erase(d);
	if (d->committing)
		return;
	tidy(d);
	if (d->changing) {
		commit(d);
	} else {
		answer_all(d); /* who wanted nothing */
		scrub(d);
	}
}

bool vault_desk_waits(const struct vault_desk *d)
{
	if (d->committing || d->erases_n > 0)
		return true;
	list_for_each (it, &d->visitors) {
		const struct vault_visitor *v = list_entry(it, struct vault_visitor, node);
		if (v->errand.copy && !v->errand.begun)
			return true;
	}
	return false;
}

void vault_desk_bells(const struct vault_desk *d, int ret[static 2])
{
	ret[0] = vault_store_bell(d->store);
	ret[1] = vault_audit_bell(d->audit);
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
	list_init(&d->erases);
	d->scrub = VAULT_SCRUB_STEPS;
	d->audit = audit;
	c.events = (struct vault_events){desk_added, desk_gone, d};
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
	list_for_each_safe (it, tmp, &d->erases)
		desk_erase_free(d, list_entry(it, struct erase, node));
	free(d->pending);
	free(d);
}

struct vault_visitor *vault_desk_enter(struct vault_desk *d, const struct subject *who,
				       struct buf *out)
{
	struct vault_visitor *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->desk = d;
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
	list_for_each (it, &d->erases) {
		struct erase *x = list_entry(it, struct erase, node);
		if (x->v == v)
			x->v = NULL;
	}
	desk_end_errand(&v->errand);
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
