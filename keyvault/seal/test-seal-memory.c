/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is left in memory of the keys of a session, and of a KEK, when they were sealed and opened:
 * nothing, in heap, stack or data. The test itself knows them by their complement alone.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/rand.h>

#include "seal-cms.h"
#include "secret.h"
#include "test/seal-rig.h"

/* Larger than anything of ours: what a sanitizer maps for itself. */
#define REGION_MAX (UINT64_C(1) << 26)

#define PIECE_BYTES \
	12 /* a piece of a secret is found too: the beginning of one may be overwritten */

struct pattern {
	uint8_t inverted[48];
	size_t n;
};

static void remember(const uint8_t *secret, size_t n, struct pattern *ret)
{
	ret->n = n;
	for (size_t i = 0; i < n; i++)
		ret->inverted[i] = (uint8_t)~secret[i];
}

/* Of @n bytes that were inverted. */
static size_t count_in(const uint8_t *p, size_t n, const struct pattern *t)
{
	size_t found = 0;

	for (size_t piece = 0; piece < t->n / PIECE_BYTES; piece++) {
		const uint8_t *at = p, *end = p + n;
		const uint8_t *needle = t->inverted + piece * PIECE_BYTES;

		while ((at = memmem(at, (size_t)(end - at), needle, PIECE_BYTES))) {
			found++;
			at += PIECE_BYTES;
		}
	}
	return found;
}

/* Everywhere that this process may write. */
static size_t count_in_memory(const struct pattern *t)
{
	static uint8_t page[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uintptr_t from, to;
	char line[512], mode[5];
	size_t found = 0;

	assert_true(maps && mem >= 0);
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[1] != 'w' ||
		    to - from > REGION_MAX)
			continue;
		for (uintptr_t at = from; at < to;) {
			size_t n = to - at < sizeof page ? to - at : sizeof page;
			ssize_t got = pread(mem, page, n, (off_t)at);
			for (ssize_t i = 0; i < got; i++)
				page[i] = (uint8_t)~page[i];
			if (got > 0)
				found += count_in(page, (size_t)got, t);
			/* It is read itself. */
			memset(page, 0, sizeof page);
			at += n;
		}
	}
	close(mem);
	fclose(maps);
	return found;
}

/* session-keys with secrets of their own, in the secure heap. */
static struct secret make_keys(struct pattern *ret)
{
	struct session_keys k = {.protocol = KEYS_TLS, .tls = {.version = 0x0304, .suite = 0x1302}};
	struct secret room = {0}, secret = {0};

	assert_int_equal(secret_new(SESSION_KEYS_MAX_BYTES, &room), 0);
	assert_int_equal(secret_new(48, &secret), 0);
	assert_int_equal(RAND_priv_bytes(secret.p, 48), 1);
	remember(secret.p, 48, ret);
	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &k.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &k.client), 0);
	k.tls.secret[TLS_CLIENT_APPLICATION] = bytes_of(secret.p, 48);
	k.tls.secret[TLS_SERVER_APPLICATION] = bytes_of(secret.p, 48);
	struct writer w = writer_init(room.p, room.room);
	session_keys_write(&w, &k);
	assert_true(writer_ok(&w));
	room.n = writer_pos(&w);
	secret_free(&secret);
	return room;
}

/* The KEK, as who has the recovery identity sees it: its last bytes are those of the epoch. */
static void kek_of(const struct seal_rig *g, const struct sealed *epoch, struct pattern *ret)
{
	const struct identity *who = g->recovery;
	struct secret signed_data, content;

	assert_int_equal(cms_open_by_identity(bytes_of(epoch->p, epoch->n), &who, 1, &signed_data),
			 SEAL_OK);
	assert_int_equal(cms_verify(secret_view(&signed_data), NULL, &content, NULL), SEAL_OK);
	remember(content.p + content.n - SEAL_KEK_BYTES, SEAL_KEK_BYTES, ret);
	secret_free(&content);
	secret_free(&signed_data);
}

static void test_nothing_is_left(void **state)
{
	static struct pattern keys_pattern, kek_pattern;
	struct seal_rig g;
	struct session_index index;
	struct secret room;
	struct sealed epoch, blob;
	struct opened opened;
	uint8_t id[EPOCH_ID_BYTES];

	seal_rig_init(&g);
	struct secret keys = make_keys(&keys_pattern);
	/* It is found where it is: twice in the record. */
	assert_int_equal(count_in_memory(&keys_pattern), 2 * 4);
	assert_int_equal(sealer_epoch(g.sealer, RIG_NOW_NS, id, &epoch), 0);
	kek_of(&g, &epoch, &kek_pattern);
	/* In the sealer, and nowhere else. */
	assert_int_equal(count_in_memory(&kek_pattern), 2);
	struct bytes view = secret_view(&keys);
	assert_int_equal(sealer_batch(g.sealer, RIG_NOW_NS, &view, 1, &blob, &index), 0);
	secret_free(&keys);
	assert_int_equal(count_in_memory(&keys_pattern), 0);

	assert_int_equal(secret_new(SESSION_KEYS_MAX_BYTES, &room), 0);
	assert_int_equal(opener_epoch(g.opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id),
			 SEAL_OK);
	assert_int_equal(opener_record(g.opener, bytes_of(blob.p, blob.n), &index, RIG_NOW_NS, 0,
				       room.p, &opened),
			 SEAL_OK);
	assert_int_equal(count_in_memory(&keys_pattern), 2 * 4);
	assert_int_equal(count_in_memory(&kek_pattern), 2 * 2);
	secret_free(&room);
	assert_int_equal(count_in_memory(&keys_pattern), 0);
	seal_rig_deinit(&g);
	assert_int_equal(count_in_memory(&kek_pattern), 0);
	sealed_free(&epoch);
	sealed_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_left),
	};

	if (seal_secure_heap(1 << 18) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
