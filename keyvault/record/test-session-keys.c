/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "session-keys.h"
#include "tap-wire.h"

static const uint8_t secret[48] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const uint8_t mpint[37] = {0, 0, 0, 33, 0, 0xff};

static struct session_keys keys_of(enum keys_protocol protocol)
{
	struct session_keys k = {.protocol = protocol};

	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &k.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &k.client), 0);
	if (protocol == KEYS_TLS) {
		k.tls = (struct tls_keys){.version = 0x0304, .suite = 0x1302, .resumed = true};
		memset(k.tls.client_random, 0xab, TLS_RANDOM_BYTES);
		k.tls.secret[TLS_CLIENT_APPLICATION] = bytes_of(secret, 48);
		k.tls.secret[TLS_SERVER_APPLICATION] = bytes_of(secret, 48);
	} else {
		k.ssh = (struct ssh_keys){SSH_SHA256, bytes_of(mpint, 37), bytes_of(secret, 32),
					  bytes_of(secret, 32)};
	}
	return k;
}

static void assert_same(const struct session_keys *a, const struct session_keys *b)
{
	assert_int_equal(a->protocol, b->protocol);
	assert_true(endpoint_eq(&a->server, &b->server));
	assert_true(endpoint_eq(&a->client, &b->client));
	if (a->protocol == KEYS_TLS) {
		assert_int_equal(a->tls.version, b->tls.version);
		assert_int_equal(a->tls.suite, b->tls.suite);
		assert_int_equal(a->tls.resumed, b->tls.resumed);
		assert_memory_equal(a->tls.client_random, b->tls.client_random, TLS_RANDOM_BYTES);
		for (int i = 0; i < TLS_SECRETS; i++)
			assert_true(bytes_eq(a->tls.secret[i], b->tls.secret[i]));
	} else {
		assert_int_equal(a->ssh.hash, b->ssh.hash);
		assert_true(bytes_eq(a->ssh.k, b->ssh.k));
		assert_true(bytes_eq(a->ssh.h, b->ssh.h));
		assert_true(bytes_eq(a->ssh.session_id, b->ssh.session_id));
	}
}

static void test_read_as_written(void **state)
{
	static const char *const servers[] = {"10.9.0.1:443", "[fd00::1]:22"};
	static const char *const clients[] = {"10.9.0.10:40000", "[fd00::10]:65535"};

	for (int protocol = KEYS_TLS; protocol <= KEYS_SSH; protocol++) {
		for (int v6 = 0; v6 < 2; v6++) {
			struct session_keys k = keys_of((enum keys_protocol)protocol), again;
			uint8_t room[SESSION_KEYS_MAX_BYTES];
			struct writer w = WRITER_IN(room);

			assert_int_equal(endpoint_parse(servers[v6], false, &k.server), 0);
			assert_int_equal(endpoint_parse(clients[v6], false, &k.client), 0);
			session_keys_write(&w, &k);
			assert_true(writer_ok(&w));
			assert_int_equal(session_keys_read(writer_view(&w), &again),
					 SESSION_KEYS_OK);
			assert_same(&k, &again);
		}
	}
}

static void test_each_cut_and_addition_is_malformed(void **state)
{
	for (int protocol = KEYS_TLS; protocol <= KEYS_SSH; protocol++) {
		struct session_keys k = keys_of((enum keys_protocol)protocol), again;
		uint8_t room[SESSION_KEYS_MAX_BYTES] = {0};
		struct writer w = WRITER_IN(room);

		session_keys_write(&w, &k);
		size_t n = writer_pos(&w);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(session_keys_read(bytes_of(room, i), &again),
					 SESSION_KEYS_MALFORMED);
		assert_int_equal(session_keys_read(bytes_of(room, n + 1), &again),
				 SESSION_KEYS_MALFORMED);
		room[0]++;
		assert_int_equal(session_keys_read(bytes_of(room, n), &again),
				 SESSION_KEYS_VERSION_UNKNOWN);
	}
}

static void refused(const struct session_keys *k)
{
	uint8_t room[SESSION_KEYS_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	session_keys_write(&w, k);
	assert_false(writer_ok(&w));
}

static void test_what_cannot_be_is_not_written(void **state)
{
	struct session_keys k = keys_of(KEYS_TLS);
	static const uint8_t much[SSH_K_MAX_BYTES + 1];

	k.tls.version = 0x0302;
	refused(&k);
	k = keys_of(KEYS_TLS);
	memset(k.tls.secret, 0, sizeof k.tls.secret);
	refused(&k);
	k = keys_of(KEYS_TLS);
	k.tls.secret[TLS_MASTER] = bytes_of(much, TLS_SECRET_MAX_BYTES + 1);
	refused(&k);
	k = keys_of(KEYS_TLS);
	assert_int_equal(endpoint_parse("[fd00::1]:443", false, &k.server), 0);
	refused(&k);
	k = keys_of(KEYS_SSH);
	k.ssh.h.n--;
	refused(&k);
	k = keys_of(KEYS_SSH);
	k.ssh.k = bytes_of(much, sizeof much);
	refused(&k);
	k = keys_of(KEYS_SSH);
	k.ssh.hash = (enum ssh_hash)9;
	refused(&k);
}

static void test_labels_ascend(void **state)
{
	struct session_keys k = keys_of(KEYS_TLS), again;
	uint8_t room[SESSION_KEYS_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	session_keys_write(&w, &k);
	size_t second = writer_pos(&w) - 50;
	assert_int_equal(room[second], TLS_SERVER_APPLICATION);
	room[second] = TLS_CLIENT_APPLICATION; /* a second of the same label */
	assert_int_equal(session_keys_read(writer_view(&w), &again), SESSION_KEYS_MALFORMED);
	room[second] = TLS_SECRETS;
	assert_int_equal(session_keys_read(writer_view(&w), &again), SESSION_KEYS_MALFORMED);
}

static struct bytes message_of(enum tap_type type, struct writer *w)
{
	struct session_keys k = keys_of(KEYS_SSH);
	struct tap_hello h = {.program = "sshd", .one_connection = true, k.server, k.client};

	switch (type) {
	case TAP_HELLO:
		tap_wire_hello(w, &h);
		break;
	case TAP_WELCOME:
		tap_wire_welcome(w, &(struct tap_welcome){50, true});
		break;
	case TAP_KEYS:
		tap_wire_keys(w, 77, &k);
		break;
	case TAP_ANSWER:
		tap_wire_answer(w, &(struct tap_answer){77, TAP_NOT_ALLOWED});
		break;
	}
	assert_true(writer_ok(w));
	return writer_view(w);
}

static void test_messages(void **state)
{
	for (int type = TAP_HELLO; type <= TAP_ANSWER; type++) {
		uint8_t room[TAP_MESSAGE_MAX];
		struct writer w = WRITER_IN(room);
		struct bytes b = message_of((enum tap_type)type, &w);
		struct session_keys k = keys_of(KEYS_SSH), again;
		struct tap_message m;

		assert_int_equal(tap_wire_read(b, &m), TAP_WIRE_OK);
		assert_int_equal(m.type, type);
		if (type == TAP_HELLO) {
			assert_string_equal(m.hello.program, "sshd");
			assert_true(m.hello.one_connection);
			assert_true(endpoint_eq(&m.hello.client, &k.client));
		} else if (type == TAP_WELCOME) {
			assert_int_equal(m.welcome.wait_ms, 50);
			assert_true(m.welcome.closed);
		} else if (type == TAP_KEYS) {
			assert_int_equal(m.keys.number, 77);
			assert_int_equal(session_keys_read(m.keys.keys, &again), SESSION_KEYS_OK);
			assert_same(&k, &again);
		} else {
			assert_int_equal(m.answer.number, 77);
			assert_int_equal(m.answer.result, TAP_NOT_ALLOWED);
		}
		/* The keys themselves are cut where their reader sees it. */
		for (size_t i = 0; i < (type == TAP_KEYS ? 6 : b.n); i++)
			assert_int_equal(tap_wire_read(bytes_of(room, i), &m), TAP_WIRE_MALFORMED);
		room[0]++;
		assert_int_equal(tap_wire_read(b, &m), TAP_WIRE_VERSION_UNKNOWN);
	}
}

static void test_messages_that_cannot_be(void **state)
{
	static const uint8_t program[] = {1, TAP_HELLO, 2, 'a', '\n', 0};
	static const uint8_t wait[] = {1, TAP_WELCOME, 0xff, 0, 0, 0, 0};
	static const uint8_t result[] = {1, TAP_ANSWER, 0, 0, 0, 1, TAP_RESULTS};
	static const uint8_t type[] = {1, 9, 0};
	struct tap_message m;

	assert_int_equal(tap_wire_read(bytes_of(program, sizeof program), &m), TAP_WIRE_MALFORMED);
	assert_int_equal(tap_wire_read(bytes_of(wait, sizeof wait), &m), TAP_WIRE_MALFORMED);
	assert_int_equal(tap_wire_read(bytes_of(result, sizeof result), &m), TAP_WIRE_MALFORMED);
	assert_int_equal(tap_wire_read(bytes_of(type, sizeof type), &m), TAP_WIRE_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_as_written),
		cmocka_unit_test(test_each_cut_and_addition_is_malformed),
		cmocka_unit_test(test_what_cannot_be_is_not_written),
		cmocka_unit_test(test_labels_ascend),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_messages_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
