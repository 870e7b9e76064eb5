/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "takeover.h"

#include <stdlib.h>

#include "clock.h"

void takeover_inbox_init(struct takeover_inbox *in)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&in->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&in->filled, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&in->items);
}

void takeover_inbox_deinit(struct takeover_inbox *in)
{
	list_for_each_safe (it, tmp, &in->items) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
	}
	pthread_cond_destroy(&in->filled);
	pthread_mutex_destroy(&in->lock);
}

void takeover_inbox_put(struct takeover_inbox *in, struct takeover_item *item)
{
	pthread_mutex_lock(&in->lock);
	list_add_tail(&in->items, &item->node);
	pthread_cond_signal(&in->filled);
	pthread_mutex_unlock(&in->lock);
}

void takeover_inbox_take(struct takeover_inbox *in, int64_t deadline_ns, struct list *out)
{
	struct timespec ts = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};

	pthread_mutex_lock(&in->lock);
	while (list_empty(&in->items))
		if (pthread_cond_timedwait(&in->filled, &in->lock, &ts) != 0)
			break;
	list_for_each_safe (it, tmp, &in->items) {
		list_del(it);
		list_add_tail(out, it);
	}
	pthread_mutex_unlock(&in->lock);
}

static struct takeover_item *item_new(const struct flow *f, const struct watch_service *service,
				      uint16_t worker, enum takeover_kind kind)
{
	struct takeover_item *item = calloc(1, sizeof *item);

	if (!item)
		return NULL;
	list_init(&item->node);
	item->kind = kind;
	item->worker = worker;
	item->flow = f->id;
	item->service = service;
	item->handshake_only = f->state == FLOW_SYN_RCVD;
	item->sacked_to = f->sacked_to;
	plan_snapshot(f, &item->snapshot);
	return item;
}

struct takeover_item *takeover_note(const struct jeebs_flow *jf, uint16_t worker,
				    enum takeover_kind kind)
{
	return item_new(jf->flow, jf->service, worker, kind);
}

struct takeover_item *takeover_refusal(const struct flow *f, const struct watch_service *service,
				       uint16_t worker, bool unasked, const char *reason)
{
	struct takeover_item *item = item_new(f, service, worker, TAKEOVER_READY);

	if (!item)
		return NULL;
	item->handshake_only = false;
	item->unasked = unasked;
	item->answered = f->probe_answered;
	item->plan = (struct plan){.module = "-", .reason = reason};
	return item;
}

static int copy_log(const struct flow *f, enum flow_dir dir, struct takeover_log *ret)
{
	const struct stream *s = &f->stream[dir];

	ret->off = s->keep;
	ret->bytes = BUF_INIT(s->next - s->keep);
	for (uint64_t off = s->keep; off < s->next;) {
		struct bytes b = track_log(f, dir, off);
		if (b.n == 0)
			break; /* the log ends here; the plan has seen the same */
		int r = buf_bytes(&ret->bytes, b);
		if (r < 0)
			return r;
		off += b.n;
	}
	return 0;
}

struct takeover_item *takeover_extract(struct jeebs_flow *jf, uint16_t worker, bool answered)
{
	track_settle(watch_track(jf->watch), jf->flow);

	struct takeover_item *item = takeover_note(jf, worker, TAKEOVER_READY);
	if (!item)
		return NULL;
	if (copy_log(jf->flow, FLOW_TO_SERVER, &item->log[FLOW_TO_SERVER]) < 0 ||
	    copy_log(jf->flow, FLOW_TO_CLIENT, &item->log[FLOW_TO_CLIENT]) < 0) {
		takeover_item_free(item);
		return NULL;
	}
	item->answered = answered;
	plan_make(jf, &item->plan);
	plan_cut(jf, &item->cut);
	item->cut.flow = NULL;
	item->cut.log = NULL;
	if (jf->opened) {
		item->module = jf->module;
		item->state = watch_detach(jf);
	}
	jf->extracted = true;
	return item;
}

void takeover_item_free(struct takeover_item *item)
{
	if (!item)
		return;
	if (item->state && item->module)
		item->module->close(item->state);
	free(item->state);
	buf_deinit(&item->log[0].bytes);
	buf_deinit(&item->log[1].bytes);
	free(item);
}
