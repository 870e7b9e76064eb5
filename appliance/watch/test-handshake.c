/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handshake.h"

enum {
	TO_SERVER,
	TO_CLIENT
};

/* What one end says. */
struct said {
	uint32_t dir;
	uint8_t bytes[2048];
	size_t n;
};

struct talk {
	struct said said[8];
	size_t n;
};

static struct said *say(struct talk *t, uint32_t dir, const void *p, size_t n)
{
	struct said *s = &t->said[t->n++];

	s->dir = dir;
	memcpy(s->bytes, p, n);
	s->n = n;
	return s;
}

static void text(struct talk *t, uint32_t dir, const char *line)
{
	say(t, dir, line, strlen(line));
}

/* One more record of @n bytes, the first of which are @p. */
static void record(struct said *s, uint8_t type, const uint8_t *p, size_t given, size_t n)
{
	const uint8_t head[5] = {type, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};

	memcpy(s->bytes + s->n, head, sizeof head);
	memset(s->bytes + s->n + sizeof head, 0xa5, n);
	if (given)
		memcpy(s->bytes + s->n + sizeof head, p, given);
	s->n += sizeof head + n;
}

static const uint8_t random_byte = 0x40;

static void hello_of(uint8_t ret[38])
{
	const uint8_t head[6] = {1, 0, 0, 196, 3, 3};

	memcpy(ret, head, sizeof head);
	for (unsigned i = 0; i < 32; i++)
		ret[6 + i] = (uint8_t)(random_byte + i);
}

static void client_hello(struct talk *t)
{
	uint8_t hello[38];

	hello_of(hello);
	record(say(t, TO_SERVER, "", 0), 22, hello, sizeof hello, 200);
}

static void tls13(struct talk *t)
{
	client_hello(t);
	struct said *s = say(t, TO_CLIENT, "", 0);
	record(s, 22, NULL, 0, 90);
	record(s, 20, NULL, 0, 1);
	record(s, 23, NULL, 0, 300);
}

static void tls12(struct talk *t)
{
	client_hello(t);
	record(say(t, TO_CLIENT, "", 0), 22, NULL, 0, 500);
	struct said *c = say(t, TO_SERVER, "", 0);
	record(c, 22, NULL, 0, 70);
	record(c, 20, NULL, 0, 1);
	record(c, 22, NULL, 0, 40);
	struct said *s = say(t, TO_CLIENT, "", 0);
	record(s, 22, NULL, 0, 170); /* NewSessionTicket, in clear */
	record(s, 20, NULL, 0, 1);
	record(s, 22, NULL, 0, 40);
}

static void packet(struct said *s, uint8_t type, size_t n)
{
	const uint8_t head[6] = {0, 0, (uint8_t)(n >> 8), (uint8_t)n, 4, type};

	memcpy(s->bytes + s->n, head, sizeof head);
	memset(s->bytes + s->n + sizeof head, 21, n - 2);
	s->n += sizeof head + n - 2;
}

static void ssh(struct talk *t)
{
	text(t, TO_CLIENT, "Keep out.\r\nSSH-2.0-Server\r\n");
	packet(&t->said[t->n - 1], 20, 1000);
	struct said *c = say(t, TO_SERVER, "", 0);
	memcpy(c->bytes, "SSH-2.0-Client\r\n", c->n = 16);
	packet(c, 20, 900);
	packet(say(t, TO_SERVER, "", 0), 30, 40);
	struct said *s = say(t, TO_CLIENT, "", 0);
	packet(s, 31, 200);
	packet(s, 21, 12);
}

/* In pieces of @size at most. Returns in which of what is said it was done; -1: it was not. */
static int show(struct handshake *h, const struct talk *t, size_t size)
{
	int done = -1;

	*h = (struct handshake){0};
	for (size_t i = 0; i < t->n; i++) {
		struct bytes b = bytes_of(t->said[i].bytes, t->said[i].n);
		while (b.n > 0) {
			size_t n = b.n < size ? b.n : size;
			if (handshake_data(h, t->said[i].dir, bytes_of(b.p, n))) {
				assert_int_equal(done, -1); /* it is told once */
				done = (int)i;
			}
			b = bytes_from(b, n);
		}
	}
	return done;
}

static void expect(const struct talk *t, int done, enum handshake_kind kind)
{
	static const size_t sizes[] = {1, 2, 3, 5, 7, 43, 44, 1460, 4096};
	struct handshake h;
	uint8_t hello[38];

	hello_of(hello);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(show(&h, t, sizes[i]), done);
		if (done < 0)
			continue;
		assert_int_equal(h.kind, kind);
		if (kind == HANDSHAKE_TLS)
			assert_memory_equal(handshake_client_random(&h), hello + 6, 32);
	}
}

static void test_tls13(void **state)
{
	struct talk t = {0};

	tls13(&t);
	expect(&t, 1, HANDSHAKE_TLS);
}

static void test_tls12(void **state)
{
	struct talk t = {0};

	tls12(&t);
	expect(&t, 3, HANDSHAKE_TLS);
}

/* The hello may be spread over records (RFC 8446 section 5.1). */
static void test_hello_in_two_records(void **state)
{
	struct talk t = {0};
	uint8_t hello[38];

	hello_of(hello);
	struct said *c = say(&t, TO_SERVER, "", 0);
	record(c, 22, hello, 20, 20);
	record(c, 22, hello + 20, 18, 180);
	record(say(&t, TO_CLIENT, "", 0), 23, NULL, 0, 50);
	expect(&t, 1, HANDSHAKE_TLS);
}

static void test_behind_text(void **state)
{
	struct talk t = {0};

	text(&t, TO_CLIENT, "220 mail ESMTP\r\n");
	text(&t, TO_SERVER, "EHLO SSHclient\r\nSTARTTLS\r\n");
	text(&t, TO_CLIENT, "250-mail\r\n250 STARTTLS\r\n220 Go ahead\r\n");
	tls13(&t);
	expect(&t, 4, HANDSHAKE_TLS);
}

static void test_ssh(void **state)
{
	struct talk t = {0};

	ssh(&t);
	expect(&t, 3, HANDSHAKE_SSH);
}

/* What fails before keys are in use is no session. */
static void test_refused(void **state)
{
	struct talk t = {0};

	client_hello(&t);
	record(say(&t, TO_CLIENT, "", 0), 21, NULL, 0, 2);
	expect(&t, -1, HANDSHAKE_NONE);
}

static void test_something_else(void **state)
{
	struct talk plain = {0}, wrong = {0}, half = {0};
	struct handshake h;

	text(&plain, TO_SERVER, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	text(&plain, TO_CLIENT, "HTTP/1.1 200 OK\r\n\r\nSSH-2.0-not\r\n");
	expect(&plain, -1, HANDSHAKE_NONE);
	/* A server of SSH whose client speaks something else. */
	ssh(&wrong);
	memcpy(wrong.said[1].bytes, "GET / HTTP/1.1\r\n", 16);
	expect(&wrong, -1, HANDSHAKE_NONE);
	/* No ClientHello in the record. */
	tls13(&half);
	half.said[0].bytes[5] = 2;
	expect(&half, -1, HANDSHAKE_NONE);
	assert_int_equal(show(&h, &half, 9), -1);
	assert_int_equal(h.state, HANDSHAKE_GIVEN_UP);
}

static void test_text_has_a_ceiling(void **state)
{
	struct handshake h = {0};
	uint8_t line[1024];

	memset(line, 'a', sizeof line);
	for (unsigned i = 0; i < HANDSHAKE_TEXT_MAX / sizeof line; i++)
		handshake_data(&h, TO_SERVER, bytes_of(line, sizeof line));
	assert_int_equal(h.state, HANDSHAKE_WATCHES);
	handshake_data(&h, TO_SERVER, bytes_of(line, 1));
	assert_int_equal(h.state, HANDSHAKE_GIVEN_UP);
}

static void test_gap(void **state)
{
	struct talk t = {0};
	struct handshake h = {0};

	tls13(&t);
	handshake_data(&h, TO_SERVER, bytes_of(t.said[0].bytes, t.said[0].n));
	handshake_gap(&h);
	assert_int_equal(h.state, HANDSHAKE_GIVEN_UP);
	assert_false(handshake_data(&h, TO_CLIENT, bytes_of(t.said[1].bytes, t.said[1].n)));
	/* What is done stays done. */
	assert_int_equal(show(&h, &t, 100), 1);
	handshake_gap(&h);
	assert_int_equal(h.state, HANDSHAKE_DONE);
}

/* Whatever comes, it ends, and reads nothing that is not there. */
static void test_anything(void **state)
{
	uint32_t seed = 1;
	struct talk t = {0};

	tls12(&t);
	ssh(&t);
	for (unsigned round = 0; round < 3000; round++) {
		struct talk broken = t;
		struct handshake h;
		for (unsigned i = 0; i < 4; i++) {
			seed = seed * 1664525 + 1013904223;
			struct said *s = &broken.said[seed >> 24 & 7];
			if (s->n)
				s->bytes[(seed >> 8 & 0xffff) % s->n] ^= (uint8_t)seed | 1;
		}
		(void)show(&h, &broken, 1 + round % 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls13),
		cmocka_unit_test(test_tls12),
		cmocka_unit_test(test_hello_in_two_records),
		cmocka_unit_test(test_behind_text),
		cmocka_unit_test(test_ssh),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_something_else),
		cmocka_unit_test(test_text_has_a_ceiling),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
