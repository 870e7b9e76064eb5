/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * adopt-offer: puts the messages of the box together. Pure: the library's half that
 * reads foreign bytes.
 */
#ifndef ADOPT_OFFER_H
#define ADOPT_OFFER_H

#include "adopt-wire.h"
#include "base/buf.h"

enum adopt_offer_outcome {
	ADOPT_OFFER_MORE = 0,  /* not complete yet */
	ADOPT_OFFER_WHOLE = 1, /* END and everything before it have come */
	ADOPT_OFFER_MALFORMED = 2,
	ADOPT_OFFER_VERSION = 3,
	ADOPT_OFFER_TOO_LARGE = 4, /* more bytes are announced than max_bytes */
};

struct adopt_offer {
	struct adopt_connection connection;
	bool begun, whole;
	enum adopt_part part; /* the part being received */
	struct buf bytes[ADOPT_PARTS];
	uint64_t max_bytes; /* ceiling of all parts together */
};

void adopt_offer_init(struct adopt_offer *o, uint64_t max_bytes);
void adopt_offer_deinit(struct adopt_offer *o);
/* Takes the next message of the box. Returns enum adopt_offer_outcome, or -ENOMEM. */
int adopt_offer_message(struct adopt_offer *o, struct bytes message);

#endif
