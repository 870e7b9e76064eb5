/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <stdlib.h>

#include "adopt-offer.h"

static const char text_in[] = "add 1\nadd 2\nad", text_out[] = "= 1\n= 3\n", state[] = "\1state";

static struct adopt_connection connection_of(uint64_t from)
{
	struct adopt_connection c = {
		.to_server_end = from + sizeof text_in - 1,
		.to_client_end = sizeof text_out - 1,
		.to_client_acked = 4,
		.from = {from, 0},
		.n = {sizeof text_in - 1, sizeof text_out - 1},
		.unsent = 3,
		.state_n = sizeof state - 1,
		.client_fin = true,
		.protocol_n = 5,
		.protocol = "tally",
	};

	assert_int_equal(endpoint_parse("10.9.0.1:7000", false, &c.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &c.client), 0);
	return c;
}

/* The messages of an offer, in order. */
struct script {
	struct writer m[64];
	int n;
};

static struct writer *next(struct script *s)
{
	uint8_t *room = malloc(ADOPT_MESSAGE_MAX);

	assert_true(s->n < 64);
	assert_non_null(room);
	s->m[s->n] = writer_init(room, ADOPT_MESSAGE_MAX);
	return &s->m[s->n++];
}

static void put_part(struct script *s, enum adopt_part part, struct bytes b, size_t chunk)
{
	for (size_t off = 0; off < b.n; off += chunk) {
		struct adopt_bytes m = {part, off, bytes_head(bytes_from(b, off), chunk)};
		adopt_wire_bytes(next(s), &m);
	}
}

static void put_offer(struct script *s, const struct adopt_connection *c, size_t chunk)
{
	s->n = 0;
	adopt_wire_connection(next(s), c);
	put_part(s, ADOPT_PART_TO_SERVER, bytes_of(text_in, sizeof text_in - 1), chunk);
	put_part(s, ADOPT_PART_TO_CLIENT, bytes_of(text_out, sizeof text_out - 1), chunk);
	put_part(s, ADOPT_PART_STATE, bytes_of(state, sizeof state - 1), chunk);
	adopt_wire_end(next(s));
}

static void script_deinit(struct script *s)
{
	for (int i = 0; i < s->n; i++)
		free(s->m[i].start);
}

/* Feeds the messages. Returns the outcome of the last one that was taken. */
static int feed(const struct script *s, struct adopt_offer *o)
{
	int r = ADOPT_OFFER_MORE;

	for (int i = 0; i < s->n && r == ADOPT_OFFER_MORE; i++)
		r = adopt_offer_message(o, writer_view(&s->m[i]));
	return r;
}

static void test_any_chunks(void **unused)
{
	const struct adopt_connection c = connection_of(700);

	for (size_t chunk = 1; chunk <= 16; chunk++) {
		static uint8_t room[ADOPT_MESSAGE_MAX];
		struct script s;
		struct adopt_offer o;
		put_offer(&s, &c, chunk);
		adopt_offer_init(&o, 1000);
		assert_int_equal(feed(&s, &o), ADOPT_OFFER_WHOLE);
		struct writer again = writer_init(room, sizeof room);
		adopt_wire_connection(&again, &o.connection);
		assert_true(bytes_eq(writer_view(&again), writer_view(&s.m[0])));
		assert_true(bytes_eq(buf_view(&o.bytes[0]), bytes_str(text_in)));
		assert_true(bytes_eq(buf_view(&o.bytes[1]), bytes_str(text_out)));
		assert_true(bytes_eq(buf_view(&o.bytes[2]), bytes_str(state)));
		assert_int_equal(adopt_offer_message(&o, writer_view(&s.m[s.n - 1])),
				 ADOPT_OFFER_MALFORMED);
		adopt_offer_deinit(&o);
		script_deinit(&s);
	}
}

/* Each message is left out, repeated or truncated: the offer never becomes whole. */
static void test_every_fault(void **unused)
{
	const struct adopt_connection c = connection_of(0);
	struct script s;

	put_offer(&s, &c, 5);
	for (int bad = 0; bad < s.n; bad++) {
		for (int kind = 0; kind < 3; kind++) {
			struct script t = {.n = 0};
			struct adopt_offer o;
			for (int i = 0; i < s.n; i++) {
				for (int k = 0; k < (i == bad ? kind == 1 ? 2 : kind : 1); k++) {
					t.m[t.n] = s.m[i];
					t.m[t.n++].n -= i == bad && kind == 2;
				}
			}
			adopt_offer_init(&o, 1000);
			int r = feed(&t, &o);
			/* An offer without its END stays incomplete. A second END comes when the
			 * offer is already whole. */
			if (kind == 0 && bad == s.n - 1)
				assert_int_equal(r, ADOPT_OFFER_MORE);
			else if (kind == 1 && bad == s.n - 1)
				assert_int_equal(r, ADOPT_OFFER_WHOLE);
			else
				assert_int_equal(r, ADOPT_OFFER_MALFORMED);
			adopt_offer_deinit(&o);
		}
	}
	script_deinit(&s);
}

static void test_order_of_parts(void **unused)
{
	struct adopt_connection c = connection_of(0);
	struct script s = {.n = 0};
	struct adopt_offer o;

	adopt_wire_connection(next(&s), &c);
	put_part(&s, ADOPT_PART_TO_CLIENT, bytes_str(text_out), 100);
	adopt_offer_init(&o, 1000);
	assert_int_equal(feed(&s, &o), ADOPT_OFFER_MALFORMED);
	adopt_offer_deinit(&o);
	script_deinit(&s);
}

static void test_ceiling(void **unused)
{
	const struct adopt_connection c = connection_of(0);
	const size_t all = sizeof text_in + sizeof text_out + sizeof state - 3;
	struct script s;
	struct adopt_offer o;

	put_offer(&s, &c, 100);
	adopt_offer_init(&o, all);
	assert_int_equal(feed(&s, &o), ADOPT_OFFER_WHOLE);
	adopt_offer_deinit(&o);
	adopt_offer_init(&o, all - 1);
	assert_int_equal(feed(&s, &o), ADOPT_OFFER_TOO_LARGE);
	adopt_offer_deinit(&o);
	script_deinit(&s);
}

static enum adopt_wire again(const struct adopt_connection *c)
{
	uint8_t room[ADOPT_MESSAGE_MAX];
	struct writer w = WRITER_IN(room);
	struct adopt_connection d;

	adopt_wire_connection(&w, c);
	return adopt_wire_read_connection(writer_view(&w), &d);
}

static void test_contradictions(void **unused)
{
	struct adopt_connection c = connection_of(0);

	assert_int_equal(again(&c), ADOPT_WIRE_OK);
	c.n[0]--; /* the log ends before its direction does */
	assert_int_equal(again(&c), ADOPT_WIRE_MALFORMED);
	c = connection_of(0);
	c.from[0] = UINT64_MAX; /* from + n would wrap to the end */
	c.n[0] = c.to_server_end + 1;
	assert_int_equal(again(&c), ADOPT_WIRE_MALFORMED);
	c = connection_of(0);
	c.unsent = 5; /* there are four unacknowledged bytes */
	assert_int_equal(again(&c), ADOPT_WIRE_MALFORMED);
	c = connection_of(0);
	c.to_client_acked = c.to_client_end + 1;
	assert_int_equal(again(&c), ADOPT_WIRE_MALFORMED);
	c = connection_of(0);
	memcpy(c.protocol, "a/b c", 5);
	assert_int_equal(again(&c), ADOPT_WIRE_MALFORMED);
	c = connection_of(0);
	c.server.addr.b[15] = 1; /* the bytes behind an IPv4 address must be 0 */
	assert_int_equal(again(&c), ADOPT_WIRE_MALFORMED);
}

static void test_versions(void **unused)
{
	uint8_t room[ADOPT_ANSWER_MAX];
	struct writer w = WRITER_IN(room);

	adopt_wire_hello(&w);
	assert_int_equal(adopt_wire_read_hello(writer_view(&w)), ADOPT_WIRE_OK);
	room[15] = 9; /* a later version, with more fields */
	writer_u8(&w, 1);
	assert_int_equal(adopt_wire_read_hello(writer_view(&w)), ADOPT_WIRE_OK);
	room[13] = 2;
	assert_int_equal(adopt_wire_read_hello(writer_view(&w)), ADOPT_WIRE_VERSION);
	room[13] = 10;
	assert_int_equal(adopt_wire_read_hello(writer_view(&w)), ADOPT_WIRE_MALFORMED);
	room[4] = 'J';
	assert_int_equal(adopt_wire_read_hello(writer_view(&w)), ADOPT_WIRE_MALFORMED);
}

static void test_verdict(void **unused)
{
	uint8_t room[ADOPT_ANSWER_MAX];
	struct writer w = WRITER_IN(room);
	struct adopt_verdict v;
	char longer[2 * ADOPT_REASON_MAX];

	adopt_wire_verdict(&w, false, "no\nroom");
	assert_int_equal(adopt_wire_read_verdict(writer_view(&w), &v), ADOPT_WIRE_OK);
	assert_false(v.taken);
	assert_string_equal(v.reason, "no?room");
	room[8] = '\n';
	assert_int_equal(adopt_wire_read_verdict(writer_view(&w), &v), ADOPT_WIRE_MALFORMED);
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	w = WRITER_IN(room);
	adopt_wire_verdict(&w, true, longer);
	assert_int_equal(adopt_wire_read_verdict(writer_view(&w), &v), ADOPT_WIRE_OK);
	assert_true(v.taken);
	assert_int_equal(strlen(v.reason), ADOPT_REASON_MAX);
}

#define SAYS(w, text)                                                                    \
	do {                                                                             \
		assert_true(bytes_eq(writer_view(&w), bytes_of(text, sizeof text - 1))); \
		w = WRITER_IN(room);                                                     \
	} while (0)

/* The bytes are those of docs/adopt-protocol.md: other people's programs depend on each. */
static void test_bytes_on_the_wire(void **unused)
{
	const struct adopt_connection c = connection_of(0);
	const struct adopt_bytes b = {ADOPT_PART_STATE, 0x0102030405, bytes_str("xyz")};
	uint8_t room[ADOPT_MESSAGE_MAX];
	struct writer w = WRITER_IN(room);

	adopt_wire_hello(&w);
	SAYS(w, "\1\0\0\0jeebsadp\0\1\0\1");
	adopt_wire_connection(&w, &c);
	SAYS(w, "\2\0\0\0\0\1\4\1"
		"\12\11\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x1b\x58"
		"\12\11\0\12\0\0\0\0\0\0\0\0\0\0\0\0\x9c\x40"
		"\0\0\0\0\0\0\0\16\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\4"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\16"
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\10"
		"\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\6"
		"\5tally");
	adopt_wire_bytes(&w, &b);
	SAYS(w, "\3\0\0\0\0\0\0\2\0\0\0\1\2\3\4\5xyz");
	adopt_wire_end(&w);
	SAYS(w, "\4\0\0\0");
	adopt_wire_verdict(&w, false, "no room");
	SAYS(w, "\5\0\0\0\0\7no room");
	adopt_wire_done(&w);
	SAYS(w, "\6\0\0\0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_chunks),     cmocka_unit_test(test_every_fault),
		cmocka_unit_test(test_order_of_parts), cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_contradictions), cmocka_unit_test(test_versions),
		cmocka_unit_test(test_verdict),        cmocka_unit_test(test_bytes_on_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
