/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-feed.h"

#include <errno.h>
#include <stdlib.h>

/* A request under way. Of an APPEND: those of [from, to) that were sent under its number. */
struct request {
	struct list node;
	uint32_t number;
	enum vault_type type;
	uint64_t from, to;
	int64_t sent_ns;
};

void vault_feed_init(struct vault_feed *f, struct record_queue *q, unsigned vault)
{
	*f = (struct vault_feed){.queue = q, .vault = vault, .probe_ns = INT64_MAX};
	list_init(&f->requests);
}

static void request_free(struct vault_feed *f, struct request *r)
{
	list_del(&r->node);
	f->under_way--;
	free(r);
}

void vault_feed_deinit(struct vault_feed *f)
{
	list_for_each_safe (it, tmp, &f->requests)
		request_free(f, list_entry(it, struct request, node));
}

void vault_feed_up(struct vault_feed *f, struct buf *out)
{
	list_for_each (it, &f->queue->epochs)
		list_entry(it, struct queue_epoch, node)->told &= ~(1u << f->vault);
	f->out = out;
	f->next = f->queue->first;
	f->paused_until_ns = f->pause_ns = 0;
}

void vault_feed_down(struct vault_feed *f)
{
	struct record_queue *q = f->queue;

	vault_feed_deinit(f);
	f->probe = 0;
	f->probe_ns = INT64_MAX;
	for (uint64_t at = q->first; at < q->next; at++) {
		struct queue_record *r = record_queue_at(q, at);
		if (r && r->at[f->vault] == AT_SENT)
			r->at[f->vault] = AT_TO_SEND;
	}
	f->out = NULL;
	f->next = q->first;
}

bool vault_feed_is_past(const struct vault_feed *f, uint64_t place)
{
	return f->out && f->next >= place;
}

int64_t vault_feed_oldest_ns(const struct vault_feed *f)
{
	return list_empty(&f->requests)
		       ? INT64_MAX
		       : list_entry(f->requests.next, struct request, node)->sent_ns;
}

static struct request *begin(struct vault_feed *f, enum vault_type type, int64_t now_ns)
{
	struct request *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->number = ++f->request;
	r->type = type;
	r->sent_ns = now_ns;
	list_add_tail(&f->requests, &r->node);
	f->under_way++;
	return r;
}

static bool tell_epoch(struct vault_feed *f, struct queue_epoch *e, int64_t now_ns)
{
	if (e->told & 1u << f->vault)
		return true;
	struct request *r = begin(f, VAULT_EPOCH, now_ns);
	if (!r)
		return false;
	vault_wire_put_epoch(f->out, VAULT_EPOCH, r->number, e->id, bytes_of(e->blob.p, e->blob.n));
	e->told |= 1u << f->vault;
	return true;
}

bool vault_feed_probe(struct vault_feed *f, int64_t now_ns)
{
	struct queue_epoch *e = record_queue_newest(f->queue);

	f->probe_ns = INT64_MAX;
	if (!f->out || !e || f->under_way > 0 || now_ns < f->paused_until_ns)
		return false;
	e->told &= ~(1u << f->vault);
	if (!tell_epoch(f, e, now_ns))
		return false;
	f->probe = f->request;
	return true;
}

/* Sends what is to be sent of [from, to), one request. Returns the place behind the last one. */
static uint64_t append(struct vault_feed *f, uint64_t from, uint64_t to, int64_t now_ns)
{
	size_t n = 0, bytes = 0;
	uint64_t at = from;
	struct request *q = NULL;

	for (; at < to && n < FEED_RECORDS_MAX && bytes < FEED_BYTES_MAX; at++) {
		struct queue_record *r = record_queue_at(f->queue, at);
		if (!r || r->at[f->vault] != AT_TO_SEND)
			continue;
		if (!tell_epoch(f, r->epoch, now_ns))
			break;
		if (!q && !(q = begin(f, VAULT_APPEND, now_ns)))
			break;
		f->item[n++] = (struct vault_item){r->index, bytes_of(r->blob.p, r->blob.n)};
		bytes += r->blob.n;
		r->at[f->vault] = AT_SENT;
		r->request[f->vault] = q->number;
	}
	if (q) {
		q->from = from;
		q->to = at;
		vault_wire_put_append(f->out, q->number, f->item, n);
	}
	return at;
}

void vault_feed_fill(struct vault_feed *f, int64_t now_ns)
{
	if (f->next < f->queue->first)
		f->next = f->queue->first;
	while (f->out && now_ns >= f->paused_until_ns && f->next < f->queue->next &&
	       f->out->n < FEED_OUT_LOW && f->under_way < FEED_REQUESTS_MAX) {
		uint64_t next = append(f, f->next, f->queue->next, now_ns);
		if (next == f->next)
			return; /* no memory: at the next turn */
		f->next = next;
	}
}

void vault_feed_ended(struct vault_feed *f, const struct vault_place *places, size_t n,
		      int64_t now_ns)
{
	struct request *r = begin(f, VAULT_ENDED, now_ns);

	if (r)
		vault_wire_put_ended(f->out, r->number, places, n);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The next one of the request, from @io_at on; NULL: there is no more. */
static struct queue_record *next_of(const struct vault_feed *f, const struct request *q,
				    uint64_t *io_at)
{
	while (*io_at < q->to) {
		struct queue_record *r = record_queue_at(f->queue, (*io_at)++);
		if (r && r->at[f->vault] == AT_SENT && r->request[f->vault] == q->number)
			return r;
	}
	return NULL;
}

static size_t records_of(const struct vault_feed *f, const struct request *q)
{
	uint64_t at = q->from;
	size_t n = 0;

	while (next_of(f, q, &at))
		n++;
	return n;
}

static void settle_all(struct vault_feed *f, const struct request *q, enum at_vault how,
		       feed_settled_fn settled, void *ctx)
{
	struct queue_record *r;
	uint64_t at = q->from;

	while ((r = next_of(f, q, &at))) {
		r->at[f->vault] = (uint8_t)how;
		settled(ctx, r);
	}
}

/* They are to be sent again, in their order. */
static void take_back(struct vault_feed *f, const struct request *q)
{
	struct queue_record *r;
	uint64_t at = q->from;

	while ((r = next_of(f, q, &at)))
		r->at[f->vault] = AT_TO_SEND;
	if (q->from < f->next)
		f->next = q->from;
}

static void later(struct vault_feed *f, int64_t now_ns)
{
	if (now_ns < f->paused_until_ns)
		return;
	f->pause_ns = f->pause_ns ? f->pause_ns * 2 : FEED_PAUSE_MIN_NS;
	if (f->pause_ns > FEED_PAUSE_MAX_NS)
		f->pause_ns = FEED_PAUSE_MAX_NS;
	f->paused_until_ns = now_ns + f->pause_ns;
}

static void again_with_epoch(struct vault_feed *f, const struct request *q, int64_t now_ns,
			     feed_settled_fn settled, void *ctx)
{
	bool epoch_comes_later = now_ns < f->paused_until_ns;
	struct queue_record *r;
	uint64_t at = q->from;

	while ((r = next_of(f, q, &at))) {
		r->epoch->told &= ~(1u << f->vault);
		if (!epoch_comes_later && r->epoch_tries[f->vault]++ >= FEED_EPOCH_TRIES) {
			r->at[f->vault] = AT_REFUSED;
			settled(ctx, r);
		}
	}
	take_back(f, q);
}

static void each_alone(struct vault_feed *f, const struct request *q, int64_t now_ns)
{
	struct queue_record *r;
	uint64_t at = q->from;

	while ((r = next_of(f, q, &at))) {
		r->at[f->vault] = AT_TO_SEND;
		(void)append(f, r->place, r->place + 1, now_ns);
		if (r->at[f->vault] == AT_TO_SEND && r->place < f->next)
			f->next = r->place; /* no memory */
	}
}

static bool passes(enum vault_refusal why)
{
	return why == VAULT_FULL || why == VAULT_TOO_FAST || why == VAULT_STORE_FAILED;
}

static void refused(struct vault_feed *f, const struct request *q, enum vault_refusal why,
		    int64_t now_ns, feed_settled_fn settled, void *ctx)
{
	f->refused[why]++;
	if (passes(why))
		later(f, now_ns);
	if (q->type != VAULT_APPEND)
		return;
	if (passes(why))
		take_back(f, q);
	else if (why == VAULT_NO_SUCH_EPOCH)
		again_with_epoch(f, q, now_ns, settled, ctx);
	else if (records_of(f, q) > 1)
		each_alone(f, q, now_ns);
	else
		settle_all(f, q, AT_REFUSED, settled, ctx);
}

static struct request *find(const struct vault_feed *f, uint32_t number)
{
	list_for_each (it, &f->requests) {
		struct request *r = list_entry(it, struct request, node);
		if (r->number == number)
			return r;
	}
	return NULL;
}

int vault_feed_answer(struct vault_feed *f, const struct vault_frame *frame, int64_t now_ns,
		      feed_settled_fn settled, void *ctx)
{
	struct request *q = find(f, frame->request);

	if (!q || (frame->type != VAULT_STORED && frame->type != VAULT_REFUSED))
		return -EPROTO;
	if (frame->type == VAULT_REFUSED) {
		refused(f, q, frame->refused.why, now_ns, settled, ctx);
	} else if (q->type == VAULT_APPEND) {
		f->pause_ns = 0;
		settle_all(f, q, AT_STORED, settled, ctx);
	} else if (q->number == f->probe) {
		f->pause_ns = 0;
		f->probe_ns = now_ns - q->sent_ns;
	}
	request_free(f, q);
	return 0;
}
