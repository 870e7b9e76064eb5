/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "adopt-offer.h"

void adopt_offer_init(struct adopt_offer *o, uint64_t max_bytes)
{
	*o = (struct adopt_offer){.max_bytes = max_bytes};
	for (int i = 0; i < ADOPT_PARTS; i++)
		o->bytes[i] = BUF_INIT(0);
}

void adopt_offer_deinit(struct adopt_offer *o)
{
	for (int i = 0; i < ADOPT_PARTS; i++)
		buf_deinit(&o->bytes[i]);
}

static uint64_t announced(const struct adopt_connection *c, enum adopt_part part)
{
	return part == ADOPT_PART_STATE ? c->state_n : c->n[part];
}

/* Memory grows with the bytes that have come, not with those announced. */
static int begin(struct adopt_offer *o, struct bytes message)
{
	uint64_t left = o->max_bytes;

	switch (adopt_wire_read_connection(message, &o->connection)) {
	case ADOPT_WIRE_OK:
		break;
	case ADOPT_WIRE_VERSION:
		return ADOPT_OFFER_VERSION;
	case ADOPT_WIRE_MALFORMED:
		return ADOPT_OFFER_MALFORMED;
	}
	for (int i = 0; i < ADOPT_PARTS; i++) {
		uint64_t n = announced(&o->connection, (enum adopt_part)i);
		if (n > left || n > SIZE_MAX)
			return ADOPT_OFFER_TOO_LARGE;
		left -= n;
		o->bytes[i].max = (size_t)n;
	}
	o->begun = true;
	return ADOPT_OFFER_MORE;
}

/* Adds bytes of a part. Parts must come in their order, without a hole. */
static int add(struct adopt_offer *o, struct bytes message)
{
	struct adopt_bytes b;

	if (adopt_wire_read_bytes(message, &b) != ADOPT_WIRE_OK || b.part < o->part)
		return ADOPT_OFFER_MALFORMED;
	for (; o->part < b.part; o->part++)
		if (o->bytes[o->part].n != o->bytes[o->part].max)
			return ADOPT_OFFER_MALFORMED;
	struct buf *to = &o->bytes[b.part];
	if (b.off != to->n || b.b.n > to->max - to->n)
		return ADOPT_OFFER_MALFORMED;
	int r = buf_bytes(to, b.b);
	return r < 0 ? r : ADOPT_OFFER_MORE;
}

static int end(struct adopt_offer *o, struct bytes message)
{
	if (message.n != ADOPT_END_BYTES)
		return ADOPT_OFFER_MALFORMED;
	for (int i = 0; i < ADOPT_PARTS; i++)
		if (o->bytes[i].n != o->bytes[i].max)
			return ADOPT_OFFER_MALFORMED;
	o->whole = true;
	return ADOPT_OFFER_WHOLE;
}

int adopt_offer_message(struct adopt_offer *o, struct bytes message)
{
	unsigned type = adopt_wire_type(message);

	if (o->whole)
		return ADOPT_OFFER_MALFORMED;
	if (!o->begun)
		return begin(o, message);
	if (type == ADOPT_BYTES)
		return add(o, message);
	return type == ADOPT_END ? end(o, message) : ADOPT_OFFER_MALFORMED;
}
