/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * make-pattern [--salt N] DIRECTORY NAME...
 *
 * Writes files whose content follows from their names (pattern.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "pattern.h"

#define CHUNK (1u << 20)

static bool write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t r = write(fd, p, n);

		if (r < 0)
			return false;
		p += r;
		n -= (size_t)r;
	}
	return true;
}

static bool write_file(const char *directory, const char *name, uint64_t salt)
{
	static uint8_t chunk[CHUNK];
	struct pattern p;
	char path[4096];
	bool ok = true;
	int fd;

	if (!pattern_from_path(name, salt, &p)) {
		fprintf(stderr, "make-pattern: '%s' is not like 100k.bin\n", name);
		return false;
	}
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	for (uint64_t off = 0; ok && fd >= 0 && off < p.size; off += CHUNK) {
		size_t n = p.size - off < CHUNK ? (size_t)(p.size - off) : CHUNK;

		pattern_fill(&p, off, chunk, n);
		ok = write_all(fd, chunk, n);
	}
	if (fd < 0 || !ok || close(fd) < 0) {
		perror(path);
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	uint64_t salt = 0;
	int at = 1;

	if (argc > 2 && strcmp(argv[1], "--salt") == 0) {
		salt = strtoull(argv[2], NULL, 0);
		at = 3;
	}
	if (argc - at < 2) {
		fprintf(stderr, "usage: make-pattern [--salt N] DIRECTORY NAME...\n");
		return EX_USAGE;
	}
	for (int i = at + 1; i < argc; i++) {
		if (!write_file(argv[at], argv[i], salt))
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
