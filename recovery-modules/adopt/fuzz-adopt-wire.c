/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hostile messages, each two bytes of length and its content: to the program's half, which puts
 * them together, and to the box's, which reads what a program says. What was read is written
 * and must be read the same again.
 */

#include "adopt-offer.h"
#include "base/reader.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"whole offer", "malformed", "taken", "refused", NULL};

#define MAX_BYTES 4096

static void check_whole(const struct adopt_offer *o)
{
	const struct adopt_connection *c = &o->connection;
	uint8_t room[ADOPT_MESSAGE_MAX];
	struct writer again = WRITER_IN(room);
	struct adopt_connection d;

	demand(o->bytes[0].n == c->n[0] && o->bytes[1].n == c->n[1]);
	demand(o->bytes[ADOPT_PART_STATE].n == c->state_n);
	demand(c->n[0] + c->n[1] + c->state_n <= MAX_BYTES);
	demand(c->from[0] + c->n[0] == c->to_server_end && c->unsent <= c->n[1]);
	adopt_wire_connection(&again, c);
	demand(adopt_wire_read_connection(writer_view(&again), &d) == ADOPT_WIRE_OK);
	demand(memcmp(c, &d, sizeof d) == 0);
}

static void as_box(struct bytes message)
{
	uint8_t room[ADOPT_ANSWER_MAX];
	struct writer again = WRITER_IN(room);
	struct adopt_verdict v;

	(void)adopt_wire_read_hello(message);
	if (adopt_wire_read_verdict(message, &v) == ADOPT_WIRE_OK) {
		reached(v.taken ? "taken" : "refused");
		demand(strlen(v.reason) <= ADOPT_REASON_MAX);
		adopt_wire_verdict(&again, v.taken, v.reason);
		demand(bytes_eq(writer_view(&again), message) || strlen(v.reason) < message.n - 6);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct adopt_offer o;
	int outcome = ADOPT_OFFER_MORE;

	adopt_offer_init(&o, MAX_BYTES);
	while (reader_left(&r) >= 2 && outcome <= ADOPT_OFFER_WHOLE) {
		uint16_t n = reader_u16be(&r);
		struct bytes message = reader_bytes(&r, n < reader_left(&r) ? n : reader_left(&r));
		as_box(message);
		bool was_whole = o.whole;
		outcome = adopt_offer_message(&o, message);
		demand(outcome >= 0);
		demand(!was_whole || outcome == ADOPT_OFFER_MALFORMED);
		if (outcome == ADOPT_OFFER_WHOLE) {
			reached("whole offer");
			check_whole(&o);
		}
		if (outcome == ADOPT_OFFER_MALFORMED)
			reached("malformed");
	}
	adopt_offer_deinit(&o);
	return 0;
}
