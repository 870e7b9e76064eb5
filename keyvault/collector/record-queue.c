/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record-queue.h"

#include <errno.h>
#include <stdlib.h>

void record_queue_init(struct record_queue *q, size_t max_bytes)
{
	*q = (struct record_queue){.max_bytes = max_bytes};
	list_init(&q->owners);
	list_init(&q->epochs);
}

void queue_owner_init(struct queue_owner *o)
{
	list_init(&o->node);
	list_init(&o->records);
	o->bytes = 0;
}

static size_t slot(const struct record_queue *q, uint64_t place)
{
	return (size_t)place & (q->room - 1);
}

struct queue_record *record_queue_at(const struct record_queue *q, uint64_t place)
{
	return place >= q->first && place < q->next ? q->ring[slot(q, place)] : NULL;
}

static void epoch_free(struct queue_epoch *e)
{
	list_del(&e->node);
	sealed_free(&e->blob);
	free(e);
}

struct queue_epoch *record_queue_newest(const struct record_queue *q)
{
	return list_empty(&q->epochs) ? NULL : list_entry(q->epochs.prev, struct queue_epoch, node);
}

int record_queue_epoch(struct record_queue *q, const uint8_t id[EPOCH_ID_BYTES],
		       struct sealed *io_blob)
{
	struct queue_epoch *e = calloc(1, sizeof *e);

	if (!e)
		return -ENOMEM;
	struct queue_epoch *before = record_queue_newest(q);
	if (before && before->records == 0)
		epoch_free(before);
	memcpy(e->id, id, sizeof e->id);
	e->blob = *io_blob;
	*io_blob = (struct sealed){0};
	list_add_tail(&q->epochs, &e->node);
	return 0;
}

static size_t cost(size_t blob_bytes)
{
	return blob_bytes + sizeof(struct queue_record);
}

struct queue_record *record_queue_crowded(const struct record_queue *q, size_t bytes)
{
	const struct queue_owner *most = NULL;

	if (q->next - q->first >= QUEUE_SPAN_MAX)
		return q->ring[slot(q, q->first)];
	if (q->records == 0 || q->bytes + cost(bytes) <= q->max_bytes)
		return NULL;
	list_for_each (it, &q->owners) {
		const struct queue_owner *o = list_entry(it, struct queue_owner, node);
		if (!most || o->bytes > most->bytes)
			most = o;
	}
	return list_entry(most->records.next, struct queue_record, of_owner);
}

static int make_room(struct record_queue *q)
{
	size_t room = q->room ? q->room * 2 : 64;

	if (q->next - q->first < q->room)
		return 0;
	struct queue_record **ring = calloc(room, sizeof *ring);
	if (!ring)
		return -ENOMEM;
	for (uint64_t at = q->first; at < q->next; at++)
		ring[(size_t)at & (room - 1)] = q->ring[slot(q, at)];
	free(q->ring);
	q->ring = ring;
	q->room = room;
	return 0;
}

static void own(struct record_queue *q, struct queue_owner *o, struct queue_record *r)
{
	if (list_empty(&o->records))
		list_add_tail(&q->owners, &o->node);
	list_add_tail(&o->records, &r->of_owner);
	o->bytes += cost(r->blob.n);
	r->owner = o;
}

int record_queue_add(struct record_queue *q, struct queue_owner *o, struct sealed *io_blob,
		     const struct session_index *index, struct queue_record **ret)
{
	if (make_room(q) < 0)
		return -ENOMEM;
	struct queue_record *r = calloc(1, sizeof *r);
	if (!r)
		return -ENOMEM;
	r->blob = *io_blob;
	*io_blob = (struct sealed){0};
	r->index = *index;
	r->epoch = record_queue_newest(q);
	r->epoch->records++;
	list_init(&r->waiting);
	r->place = q->next++;
	q->ring[slot(q, r->place)] = r;
	q->records++;
	q->bytes += cost(r->blob.n);
	own(q, o, r);
	*ret = r;
	return 0;
}

void record_queue_remove(struct record_queue *q, struct queue_record *r)
{
	q->ring[slot(q, r->place)] = NULL;
	while (q->first < q->next && !q->ring[slot(q, q->first)])
		q->first++;
	q->records--;
	q->bytes -= cost(r->blob.n);
	r->owner->bytes -= cost(r->blob.n);
	list_del(&r->of_owner);
	if (list_empty(&r->owner->records))
		list_del(&r->owner->node);
	list_del(&r->waiting);
	if (--r->epoch->records == 0 && r->epoch != record_queue_newest(q))
		epoch_free(r->epoch);
	sealed_free(&r->blob);
	free(r);
}

void record_queue_inherit(struct record_queue *q, struct queue_owner *from, struct queue_owner *to)
{
	if (list_empty(&from->records))
		return;
	list_for_each (it, &from->records)
		list_entry(it, struct queue_record, of_owner)->owner = to;
	if (list_empty(&to->records))
		list_add_tail(&q->owners, &to->node);
	list_move_all(&to->records, &from->records);
	to->bytes += from->bytes;
	from->bytes = 0;
	list_del(&from->node);
}

void record_queue_deinit(struct record_queue *q)
{
	for (uint64_t at = q->first; at < q->next; at++) {
		struct queue_record *r = record_queue_at(q, at);
		if (r)
			record_queue_remove(q, r);
	}
	list_for_each_safe (it, tmp, &q->epochs)
		epoch_free(list_entry(it, struct queue_epoch, node));
	free(q->ring);
	q->ring = NULL;
}
