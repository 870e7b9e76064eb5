/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal-memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/demand.h"
#include "keyvault/record/session-keys.h"

/* Larger than anything of ours: what a sanitizer maps for itself. */
#define REGION_MAX (UINT64_C(1) << 26)

/* A piece of a secret is found too: the beginning of one may be overwritten. */
#define PIECE_BYTES 12

void seal_memory_remember(const uint8_t *secret, size_t n, struct seal_pattern *ret)
{
	ret->n = n;
	for (size_t i = 0; i < n; i++)
		ret->inverted[i] = (uint8_t)~secret[i];
}

/* Of @n bytes that were inverted. */
static size_t count_in(const uint8_t *p, size_t n, const struct seal_pattern *t)
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

size_t seal_memory_count(const struct seal_pattern *t)
{
	static uint8_t page[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uintptr_t from, to;
	char line[512], mode[5];
	size_t found = 0;

	demand(maps && mem >= 0);
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

struct secret seal_memory_keys(struct seal_pattern *ret)
{
	struct session_keys k = {.protocol = KEYS_TLS, .tls = {.version = 0x0304, .suite = 0x1302}};
	struct secret room = {0}, secret = {0};

	demand(secret_new(SESSION_KEYS_MAX_BYTES, &room) == 0);
	demand(secret_new(SEAL_MEMORY_MAX, &secret) == 0);
	demand(RAND_priv_bytes(secret.p, SEAL_MEMORY_MAX) == 1);
	seal_memory_remember(secret.p, SEAL_MEMORY_MAX, ret);
	demand(endpoint_parse("10.9.0.1:443", false, &k.server) == 0);
	demand(endpoint_parse("10.9.0.10:40000", false, &k.client) == 0);
	k.tls.secret[TLS_CLIENT_APPLICATION] = bytes_of(secret.p, SEAL_MEMORY_MAX);
	k.tls.secret[TLS_SERVER_APPLICATION] = bytes_of(secret.p, SEAL_MEMORY_MAX);
	struct writer w = writer_init(room.p, room.room);
	session_keys_write(&w, &k);
	demand(writer_ok(&w));
	room.n = writer_pos(&w);
	secret_free(&secret);
	return room;
}
