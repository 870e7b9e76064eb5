/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hostile key log. Whatever it has, the same again adds nothing, and each secret is found. */
#include "base/demand.h"
#include "key-log-index.h"
#include "keyvault/record/key-log.h"

const char *const fuzz_outcomes[] = {"nothing", "one", "more", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void find_each(struct key_log_index *k, struct bytes text)
{
	struct session_secrets s = key_log_index_secrets(k);
	struct key_log_line l;
	struct bytes found;

	for (size_t at = 0; at < text.n; at++) {
		struct bytes rest = bytes_from(text, at);
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		if ((at > 0 && text.p[at - 1] != '\n') ||
		    !key_log_read(bytes_head(rest, end ? (size_t)(end - rest.p) : rest.n), &l))
			continue;
		bool there = false;
		for (uint32_t i = 0; !there && s.find(s.ctx, l.client_random, l.label, i, &found);
		     i++)
			there = bytes_eq(found, bytes_of(l.secret, l.n));
		demand(there);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct key_log_index *k = key_log_index_new();
	struct bytes text = bytes_of(data, size);

	demand(k && key_log_index_add(k, text) == 0);
	size_t n = key_log_index_count(k);
	reached(n == 0 ? "nothing" : n == 1 ? "one" : "more");
	find_each(k, text);
	demand(key_log_index_add(k, text) == 0 && key_log_index_count(k) == n);
	key_log_index_free(k);
	return 0;
}
