/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pattern: file content that can be checked byte by byte without the file.
 *
 * The name says everything: "100k.bin" has 100 * 1024 bytes, and each byte
 * follows from the name and its offset. So a client knows what every byte of a
 * response must be, and two servers have the same file when they have the same name.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pattern {
	uint64_t seed;
	uint64_t size;
};

/*
 * From the last component of @path: digits, then k, m or g (or nothing), then an
 * extension. False when it is not of that form. @salt 0 is the true content; any
 * other gives a file of the same name and size with other bytes.
 */
bool pattern_from_path(const char *path, uint64_t salt, struct pattern *ret);

/* Writes the bytes [off, off + n). */
void pattern_fill(const struct pattern *p, uint64_t off, uint8_t *out, size_t n);

/* How many leading bytes of @in are what belongs at @off; @n when all are. */
size_t pattern_match(const struct pattern *p, uint64_t off, const uint8_t *in, size_t n);

#endif
