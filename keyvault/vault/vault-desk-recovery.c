/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-desk-own.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

#define WALK_AT_ONCE 512

static void text_of(struct bytes b, char out[static VAULT_TEXT_MAX + 1])
{
	size_t n = b.n < VAULT_TEXT_MAX ? b.n : VAULT_TEXT_MAX;

	if (n > 0)
		memcpy(out, b.p, n);
	out[n] = 0;
}

static void audit_failed(struct vault_desk *d, struct vault_visitor *v, uint32_t request)
{
	desk_refuse(d, v, request, VAULT_STORE_FAILED, "the audit log cannot be written");
}

/* Writes down what is about to be done. False: it cannot be, and so is not done. */
static bool audit(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		  const char *what, int64_t now_ns, uint64_t *ret)
{
	uint64_t numbers[VAULT_LIST_MAX];
	char who[80], text[VAULT_TEXT_MAX + 1];
	struct vault_list list = f->fetch.list;
	bool by_number = f->type != VAULT_EPOCHS;

	for (uint16_t i = 0; by_number && i < list.n; i++)
		numbers[i] = vault_wire_number(&list);
	desk_who(v, who);
	text_of(f->fetch.text, text);
	int r = vault_audit_queue(d->audit, now_ns,
				  &(struct audit_line){
					  .who = who,
					  .what = what,
					  .why = vault_reason_name(f->fetch.reason),
					  .text = text,
					  .numbers = numbers,
					  .n = by_number ? list.n : 0,
				  },
				  ret);
	if (r < 0) {
		log_event(LOG_ERROR, "audit-failed", LOG_ERR(r));
		audit_failed(d, v, f->request);
	}
	return r == 0;
}

/* Keeps the request, whose bytes are the peer's buffer's. False: it was refused. */
static bool begin_errand(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
			 const char *what, int64_t now_ns, struct errand *e)
{
	size_t each = f->type == VAULT_EPOCHS ? EPOCH_ID_BYTES : sizeof(uint64_t);
	size_t n = f->fetch.list.n * each;
	uint64_t ticket;

	if (!audit(d, v, f, what, now_ns, &ticket))
		return false;
	uint8_t *copy = malloc(n + 1);
	if (!copy) {
		desk_refuse(d, v, f->request, VAULT_STORE_FAILED, "no memory");
		return false;
	}
	struct reader entries = f->fetch.list.entries;
	reader_copy(&entries, copy, n);
	*e = (struct errand){
		.f = *f,
		.copy = copy,
		.ticket = ticket,
		.asked_ns = now_ns,
		.left = f->fetch.list.n,
	};
	e->f.fetch.list.entries = reader_init(bytes_of(copy, n));
	e->f.fetch.text = BYTES_NONE;
	return true;
}

void desk_end_errand(struct errand *e)
{
	free(e->copy);
	*e = (struct errand){0};
}

/* Is it written down, so that it may be done? */
static bool is_audited(struct vault_desk *d, const struct errand *e, enum audit_state state)
{
	int64_t since_ns = d->now_ns - e->asked_ns;

	if (state == AUDIT_ON_DISK)
		return true;
	if (state != AUDIT_WRITTEN || (since_ns >= 0 && since_ns < VAULT_AUDIT_PATIENCE_NS))
		return false;
	if (d->counters.audits_late++ == 0)
		log_event(LOG_WARNING, "audit-late");
	return true;
}

void desk_begin_if_audited(struct vault_desk *d, struct vault_visitor *v)
{
	struct errand *e = &v->errand;

	if (!e->copy || e->begun)
		return;
	enum audit_state state = vault_audit_state(d->audit, e->ticket);
	if (state == AUDIT_FAILED) {
		audit_failed(d, v, e->f.request);
		desk_end_errand(e);
		return;
	}
	e->begun = is_audited(d, e, state);
}

/* Erasing: as soon as it is written down and the store may be changed. */

static void take_erase(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		       int64_t now_ns)
{
	if (d->erases_n == VAULT_ERASES_MAX) {
		desk_refuse(d, v, f->request, VAULT_STORE_FAILED, "the disk does not answer");
		return;
	}
	struct erase *x = calloc(1, sizeof *x);
	if (!x) {
		desk_refuse(d, v, f->request, VAULT_STORE_FAILED, "no memory");
		return;
	}
	if (!begin_errand(d, v, f, "erase", now_ns, &x->e)) {
		free(x);
		return;
	}
	x->v = v;
	list_add_tail(&d->erases, &x->node);
	d->erases_n++;
}

void desk_erase_free(struct vault_desk *d, struct erase *x)
{
	list_del(&x->node);
	d->erases_n--;
	desk_end_errand(&x->e);
	free(x);
}

static void erase(struct vault_desk *d, const struct erase *x)
{
	struct vault_list list = x->e.f.fetch.list;
	struct pending *p = desk_await(d, x->v, x->e.f.request);
	bool was_there;

	if (!p)
		return;
	p->erases = true;
	for (uint16_t i = 0; p->why == 0 && i < list.n && desk_change(d); i++) {
		was_there = false;
		p->why = desk_outcome(d, vault_store_erase(d->store, vault_wire_number(&list),
							   VAULT_GONE_ERASED, &was_there));
		p->found += was_there;
	}
}

/* In the order they came. Those that failed are told at once. */
void desk_erase(struct vault_desk *d)
{
	list_for_each_safe (it, tmp, &d->erases) {
		struct erase *x = list_entry(it, struct erase, node);
		enum audit_state state = vault_audit_state(d->audit, x->e.ticket);
		if (state == AUDIT_FAILED && x->v)
			audit_failed(d, x->v, x->e.f.request);
		if (state == AUDIT_FAILED) {
			desk_erase_free(d, x);
		} else if (!d->committing && is_audited(d, &x->e, state)) {
			erase(d, x);
			desk_erase_free(d, x);
		}
	}
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

/* @r: why it cannot be had. */
static void tell_missing(struct vault_desk *d, const struct answer *a, int r)
{
	uint32_t request = a->v->errand.f.request;

	if (r != -ENOENT && a->epoch)
		log_event(LOG_ERROR, "epoch-unreadable", LOG_ERR(r));
	else if (r != -ENOENT)
		log_event(LOG_ERROR, "record-unreadable", LOG_INT("number", a->number), LOG_ERR(r));
	d->counters.epochs_missing += a->epoch != NULL;
	d->counters.records_missing += a->epoch == NULL;
	if (a->epoch)
		vault_wire_put_epoch_missing(a->v->out, request, a->epoch);
	else
		vault_wire_put_missing(a->v->out, request, a->number);
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
	tell_missing(d, &a, r);
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
		desk_refuse(d, v, v->watch, VAULT_STORE_FAILED, "the index cannot be read");
		v->watching = WATCH_NOT;
	} else if (next == UINT64_MAX) {
		v->watching = WATCH_LIVE;
		vault_wire_put_plain(v->out, VAULT_LIVE, v->watch);
	} else {
		v->from = next;
	}
}

bool desk_has_room(const struct vault_visitor *v)
{
	return v->out->n < VAULT_QUEUE_LOW_BYTES;
}

void vault_desk_continue(struct vault_desk *d, struct vault_visitor *v)
{
	desk_begin_if_audited(d, v);
	while (v->errand.begun && v->errand.left > 0 && desk_has_room(v))
		answer_next(d, v);
	if (v->errand.begun && v->errand.left == 0) {
		vault_wire_put_done(v->out, v->errand.f.request, v->errand.found);
		desk_end_errand(&v->errand);
	}
	while (v->watching == WATCH_CATCHES_UP && desk_has_room(v))
		catch_up(d, v);
}
void desk_recovery_frame(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
			 int64_t now_ns)
{
	switch (f->type) {
	case VAULT_WATCH:
		take_watch(v, f);
		break;
	case VAULT_FETCH:
		(void)begin_errand(d, v, f, "fetch", now_ns, &v->errand);
		break;
	case VAULT_EPOCHS:
		(void)begin_errand(d, v, f, "fetch-epochs", now_ns, &v->errand);
		break;
	case VAULT_ERASE:
		take_erase(d, v, f, now_ns);
		break;
	case VAULT_PING:
		vault_wire_put_done(v->out, f->request, 0);
		break;
	default:
		desk_refuse(d, v, f->request, VAULT_NOT_YOUR_ROLE, "recovery may not add");
	}
	vault_desk_continue(d, v);
}

/* What has come and gone, told to who watches. */

void desk_added(void *ctx, uint64_t number, const char *origin, const struct session_index *index)
{
	struct vault_desk *d = ctx;

	list_for_each (it, &d->visitors) {
		struct vault_visitor *v = list_entry(it, struct vault_visitor, node);
		if (v->watching != WATCH_LIVE)
			continue;
		if (desk_has_room(v)) {
			vault_wire_put_index(v->out, v->watch, number, bytes_str(origin), false,
					     index);
			continue;
		}
		v->watching = WATCH_CATCHES_UP;
		v->from = number;
	}
}

void desk_gone(void *ctx, uint64_t number, enum vault_gone why)
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
