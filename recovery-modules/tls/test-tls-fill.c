/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records that say no data, cut anywhere: what is made of them begins with what was out, and is a
 * message that a client understands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/reader.h"
#include "base/writer.h"
#include "tls-fill.h"

static const struct tls_suite *tls13, *tls12;

static int set_up(void **state)
{
	tls13 = tls_suite_find(0x1301);
	tls12 = tls_suite_find(0xc02b);
	return 0;
}

/* ---- a reader of tickets, by RFC 8446 section 4.6.1 ----------------------------------------- */

static bool is_ticket(struct bytes b)
{
	struct reader r = reader_init(b);
	uint8_t type = reader_u8(&r), high = reader_u8(&r);
	size_t n = (size_t)high << 16 | reader_u16be(&r);

	if (!reader_ok(&r) || type != 4 || n != reader_left(&r))
		return false;
	reader_skip(&r, 8);
	reader_skip(&r, reader_u8(&r));
	uint16_t ticket = reader_u16be(&r);
	reader_skip(&r, ticket);
	struct reader x = reader_sub(&r, reader_u16be(&r));
	while (reader_ok(&x) && reader_left(&x) > 0) {
		reader_u16be(&x);
		reader_skip(&x, reader_u16be(&x));
	}
	return ticket > 0 && reader_ok(&r) && reader_ok(&x) && reader_left(&r) == 0;
}

static size_t make(struct writer *w, size_t nonce, size_t ticket, bool early_data)
{
	size_t n = 4 + 4 + 1 + nonce + 2 + ticket + 2 + (early_data ? 8 : 0);

	writer_u8(w, 4);
	writer_u8(w, 0);
	writer_u16be(w, (uint16_t)n);
	writer_u32be(w, 7200);
	writer_u32be(w, 0x12345678);
	writer_u8(w, (uint8_t)nonce);
	for (size_t i = 0; i < nonce; i++)
		writer_u8(w, (uint8_t)(i + 1));
	writer_u16be(w, (uint16_t)ticket);
	for (size_t i = 0; i < ticket; i++)
		writer_u8(w, (uint8_t)(i * 7 + 1));
	writer_u16be(w, early_data ? 8 : 0);
	if (early_data) {
		writer_u16be(w, 42);
		writer_u16be(w, 4);
		writer_u32be(w, 16384);
	}
	return 4 + n;
}

/* A record of @n bytes of content and @pad zeros, of whose plaintext @known bytes were out. */
static struct tls_owed owed_of(const uint8_t *text, size_t n, size_t pad, size_t known)
{
	static const uint8_t wire[TLS_RECORD_MAX] = {TLS_DATA, 3, 3};

	return (struct tls_owed){.wire = bytes_of(wire, TLS_HEADER_BYTES + known),
				 .type = TLS_DATA,
				 .most = n + pad,
				 .known = known};
}

static void check_ticket(const uint8_t *text, size_t n, size_t pad)
{
	uint8_t made[TLS_PLAIN_MAX];

	/* The message, its type, and zeros; at the end is `whole`, which is another case. */
	for (size_t known = 1; known < n + 1 + pad; known++) {
		struct tls_owed o = owed_of(text, n, pad, known);
		assert_int_equal(tls_fill_find(tls13, &o, text), TLS_FILL_TICKET);
		size_t got = tls_fill_make(TLS_FILL_TICKET, &o, text, made);
		assert_in_range(got, 18, n + pad);
		assert_memory_equal(made, text, known < got ? known : got);
		if (!is_ticket(bytes_of(made, got)))
			fail_msg("%zu of %zu bytes, %zu zeros: no ticket", known, n, pad);
	}
	struct tls_owed o = owed_of(text, n, 0, n);
	o.whole = true;
	o.type = TLS_HANDSHAKE;
	o.least = n;
	assert_int_equal(tls_fill_find(tls13, &o, text), TLS_FILL_TICKET);
	assert_int_equal(tls_fill_make(TLS_FILL_TICKET, &o, text, made), n);
	o.type = TLS_DATA;
	assert_int_equal(tls_fill_find(tls13, &o, text), TLS_FILL_NONE);
}

static void test_tickets(void **state)
{
	static const size_t nonces[] = {0, 1, 8, 255}, tickets[] = {1, 32, 208, 255, 256, 1500};
	static const size_t pads[] = {0, 1, 300};
	uint8_t text[4096];

	for (unsigned i = 0; i < 4 * 6 * 3 * 2; i++) {
		memset(text, 0, sizeof text);
		struct writer w = writer_init(text, sizeof text);
		size_t n = make(&w, nonces[i % 4], tickets[i / 4 % 6], i / 72);
		text[n] = TLS_HANDSHAKE;
		check_ticket(text, n, pads[i / 24 % 3]);
	}
}

/* Whatever somebody puts on the wire: it is a ticket, or nothing. */
static void test_anything(void **state)
{
	uint8_t text[400], made[TLS_PLAIN_MAX];
	uint32_t seed = 1;
	unsigned found = 0;

	for (unsigned i = 0; i < 200000; i++) {
		struct writer w = writer_init(text, sizeof text);
		size_t n = make(&w, i % 3, 1 + i % 200, i & 1), known;
		seed = seed * 1664525 + 1013904223;
		known = 1 + (seed >> 8) % n;
		text[(seed >> 16) % 16] = (uint8_t)(seed >> 24);
		if (i & 2)
			text[(seed >> 12) % n] ^= (uint8_t)(1 << (seed & 7));
		text[0] = 4;
		struct tls_owed o = owed_of(text, n, i / 7 % 5, known);
		if (tls_fill_find(tls13, &o, text) == TLS_FILL_NONE)
			continue;
		found++;
		size_t got = tls_fill_make(TLS_FILL_TICKET, &o, text, made);
		assert_true(got > 0 && got <= o.most && is_ticket(bytes_of(made, got)));
		assert_memory_equal(made, text, known < got ? known : got);
	}
	assert_in_range(found, 50000, 199999);
}

static enum tls_fill found(const struct tls_suite *s, const char *text, size_t known, uint8_t type,
			   size_t least, size_t most)
{
	struct tls_owed o = owed_of((const uint8_t *)text, most, 0, known);

	o.type = type;
	o.least = least;
	return tls_fill_find(s, &o, (const uint8_t *)text);
}

static void test_updates(void **state)
{
	uint8_t made[TLS_PLAIN_MAX];

	for (size_t n = 1; n <= 5; n++)
		assert_int_equal(found(tls13, "\x18\0\0\1\1", n, TLS_DATA, 0, 5), TLS_FILL_UPDATE);
	assert_int_equal(found(tls13, "\x18\0\0\1\2", 5, TLS_DATA, 0, 5), TLS_FILL_NONE);
	assert_int_equal(found(tls13, "\x18\0\0\2", 4, TLS_DATA, 0, 5), TLS_FILL_NONE);
	/* Padded, as far as it was out. */
	assert_int_equal(found(tls13, "\x18\0\0\1\1\x16\0\0", 8, TLS_DATA, 0, 9), TLS_FILL_UPDATE);
	assert_int_equal(found(tls13, "\x18\0\0\1\1\x16\0\1", 8, TLS_DATA, 0, 9), TLS_FILL_NONE);
	assert_int_equal(found(tls13, "\x18\0\0\1\1\x17", 6, TLS_DATA, 0, 9), TLS_FILL_NONE);
	assert_int_equal(found(tls13, "\x18\0\0\1", 4, TLS_DATA, 0, 4), TLS_FILL_NONE);
	assert_int_equal(found(tls12, "\x18\0\0\1", 4, TLS_HANDSHAKE, 5, 5), TLS_FILL_NONE);
	struct tls_owed o = owed_of((const uint8_t *)"\x18\0\0\1\1", 5, 0, 4);
	assert_int_equal(tls_fill_make(TLS_FILL_UPDATE, &o, (const uint8_t *)"\x18\0\0\1", made),
			 5);
	assert_memory_equal(made, "\x18\0\0\1\0", 5);
}

static void test_closes(void **state)
{
	uint8_t made[TLS_PLAIN_MAX];

	assert_int_equal(found(tls13, "\1\0", 1, TLS_DATA, 0, 2), TLS_FILL_CLOSE);
	assert_int_equal(found(tls13, "\1\0", 2, TLS_DATA, 0, 2), TLS_FILL_CLOSE);
	assert_int_equal(found(tls13, "\1\0\x15\0", 4, TLS_DATA, 0, 9), TLS_FILL_CLOSE);
	assert_int_equal(found(tls13, "\1\0\x16\0", 4, TLS_DATA, 0, 9), TLS_FILL_NONE);
	/* Another alert; a fatal one. */
	assert_int_equal(found(tls13, "\1\x5a", 2, TLS_DATA, 0, 2), TLS_FILL_NONE);
	assert_int_equal(found(tls13, "\2", 1, TLS_DATA, 0, 2), TLS_FILL_NONE);
	/* In TLS 1.2 the type can be seen, and nothing else need be. */
	assert_int_equal(found(tls12, "", 0, TLS_ALERT, 2, 2), TLS_FILL_CLOSE);
	assert_int_equal(found(tls12, "", 0, TLS_ALERT, 0, 16384), TLS_FILL_CLOSE);
	assert_int_equal(found(tls12, "", 0, TLS_ALERT, 3, 3), TLS_FILL_NONE);
	assert_int_equal(found(tls12, "\2", 1, TLS_ALERT, 2, 2), TLS_FILL_NONE);
	assert_int_equal(found(tls12, "\1\0", 2, TLS_DATA, 2, 2), TLS_FILL_NONE);
	struct tls_owed o = owed_of((const uint8_t *)"", 2, 0, 0);
	assert_int_equal(tls_fill_make(TLS_FILL_CLOSE, &o, (const uint8_t *)"", made), 2);
	assert_memory_equal(made, "\1\0", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_anything),
		cmocka_unit_test(test_updates),
		cmocka_unit_test(test_closes),
	};
	return cmocka_run_group_tests_name("tls-fill", tests, set_up, NULL);
}
