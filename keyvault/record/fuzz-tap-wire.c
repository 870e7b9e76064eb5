/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One hostile datagram, as the collector and as the tap read it. What was read is written and must
 * be the same bytes: there is one way to write a message.
 */
#include "base/demand.h"
#include "tap-wire.h"

const char *const fuzz_outcomes[] = {"hello", "welcome", "answer", "keys", NULL};

static void write_again(struct writer *w, const struct tap_message *m)
{
	static const char *const type[] = {[TAP_HELLO] = "hello",
					   [TAP_WELCOME] = "welcome",
					   [TAP_ANSWER] = "answer",
					   [TAP_KEYS] = "keys"};
	struct session_keys k;

	reached(type[m->type]);
	switch (m->type) {
	case TAP_HELLO:
		tap_wire_hello(w, &m->hello);
		return;
	case TAP_WELCOME:
		tap_wire_welcome(w, &m->welcome);
		return;
	case TAP_ANSWER:
		tap_wire_answer(w, &m->answer);
		return;
	case TAP_KEYS:
		if (session_keys_read(m->keys.keys, &k) == SESSION_KEYS_OK)
			tap_wire_keys(w, m->keys.number, &k);
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = bytes_of(data, size);
	uint8_t room[TAP_MESSAGE_MAX];
	struct writer w = WRITER_IN(room);
	struct tap_message m;

	if (tap_wire_read(b, &m) != TAP_WIRE_OK)
		return 0;
	write_again(&w, &m);
	demand(writer_ok(&w));
	demand(writer_pos(&w) == 0 || bytes_eq(writer_view(&w), b));
	return 0;
}
