/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pcap-rig: what the tests of the capture reader share: a writer of capture files of
 * either byte order, of every block and of none, and a callback that notes what was read.
 */
#ifndef CAPTURE_PCAP_RIG_H
#define CAPTURE_PCAP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "capture/pcap-file.h"
#include "capture/pcap-parser.h"

#define FILE_MAX (64u << 20)

/* ---- writing capture files of either byte order ---- */

static bool big; /* the file being written is big-endian */

static inline void w16(struct buf *b, uint16_t v)
{
	buf_u16be(b, big ? v : __builtin_bswap16(v));
}

static inline void w32(struct buf *b, uint32_t v)
{
	buf_u32be(b, big ? v : __builtin_bswap32(v));
}

static inline void w64(struct buf *b, uint64_t v)
{
	buf_u64be(b, big ? v : __builtin_bswap64(v));
}

static inline void w_bytes(struct buf *b, const void *p, size_t n)
{
	static const uint8_t zero[4];

	buf_append(b, p, n);
	buf_append(b, zero, -n & 3);
}

static inline void pcap_head(struct buf *b, uint32_t magic, uint32_t link)
{
	w32(b, magic);
	w16(b, 2);
	w16(b, 4);
	w64(b, 0);
	w32(b, 262144);
	w32(b, link);
}

static inline void pcap_packet(struct buf *b, uint32_t s, uint32_t fraction, const char *data,
			       uint32_t wire)
{
	w32(b, s);
	w32(b, fraction);
	w32(b, (uint32_t)strlen(data));
	w32(b, wire);
	buf_append(b, data, strlen(data));
}

/* Writes a pcapng block around @body. */
static inline void block(struct buf *b, uint32_t type, const struct buf *body)
{
	uint32_t n = (uint32_t)body->n + 12;

	assert_int_equal(n % 4, 0);
	w32(b, type);
	w32(b, n);
	buf_append(b, body->p, body->n);
	w32(b, n);
}

static inline void shb(struct buf *b)
{
	struct buf body = BUF_INIT(FILE_MAX);

	w32(&body, 0x1a2b3c4d);
	w16(&body, 1);
	w16(&body, 0);
	w64(&body, UINT64_MAX); /* section length: not given */
	block(b, 0x0a0d0d0a, &body);
	buf_deinit(&body);
}

/* @tsresol < 0 leaves the option out. */
static inline void idb(struct buf *b, uint16_t link, uint32_t snaplen, int tsresol,
		       int64_t tsoffset)
{
	struct buf body = BUF_INIT(FILE_MAX);
	uint8_t resolution = (uint8_t)tsresol;

	w16(&body, link);
	w16(&body, 0);
	w32(&body, snaplen);
	w16(&body, 2); /* if_name, which is not read */
	w16(&body, 3);
	w_bytes(&body, "em1", 3);
	if (tsresol >= 0) {
		w16(&body, 9);
		w16(&body, 1);
		w_bytes(&body, &resolution, 1);
	}
	if (tsoffset) {
		w16(&body, 14);
		w16(&body, 8);
		w64(&body, (uint64_t)tsoffset);
	}
	w32(&body, 0);
	block(b, 1, &body);
	buf_deinit(&body);
}

static inline void epb(struct buf *b, uint32_t interface, uint64_t ticks, const char *data,
		       uint32_t wire)
{
	struct buf body = BUF_INIT(FILE_MAX);

	w32(&body, interface);
	w32(&body, (uint32_t)(ticks >> 32));
	w32(&body, (uint32_t)ticks);
	w32(&body, (uint32_t)strlen(data));
	w32(&body, wire);
	w_bytes(&body, data, strlen(data));
	block(b, 6, &body);
	buf_deinit(&body);
}

static inline void pb(struct buf *b, uint16_t interface, uint64_t ticks, const char *data,
		      uint32_t wire)
{
	struct buf body = BUF_INIT(FILE_MAX);

	w16(&body, interface);
	w16(&body, 7); /* drops */
	w32(&body, (uint32_t)(ticks >> 32));
	w32(&body, (uint32_t)ticks);
	w32(&body, (uint32_t)strlen(data));
	w32(&body, wire);
	w_bytes(&body, data, strlen(data));
	block(b, 2, &body);
	buf_deinit(&body);
}

static inline void spb(struct buf *b, const char *data, uint32_t wire)
{
	struct buf body = BUF_INIT(FILE_MAX);

	w32(&body, wire);
	w_bytes(&body, data, strlen(data));
	block(b, 3, &body);
	buf_deinit(&body);
}

static inline void unknown_block(struct buf *b, uint32_t n)
{
	struct buf body = BUF_INIT(FILE_MAX);

	assert_int_equal(buf_reserve(&body, n), 0);
	if (n)
		memset(body.p, 0xee, n);
	body.n = n;
	block(b, 0x0badc0de, &body);
	buf_deinit(&body);
}

/* ---- reading them ---- */

#define SEEN_MAX 64

struct seen {
	uint32_t count, stop_at;
	struct frame f[SEEN_MAX];
	char text[SEEN_MAX][16];
	const struct pcap_file *pf; /* its position is read in the callback */
	uint64_t offset[SEEN_MAX];
};

static inline int see(void *ctx, const struct frame *f)
{
	struct seen *s = ctx;

	assert_true(s->count < SEEN_MAX);
	s->f[s->count] = *f;
	snprintf(s->text[s->count], sizeof s->text[0], "%.*s", (int)f->data.n,
		 (const char *)f->data.p);
	if (s->pf) {
		assert_int_equal(pcap_file_position(s->pf)->packet, s->count + 1);
		s->offset[s->count] = pcap_file_position(s->pf)->offset;
	}
	s->count++;
	return s->count == s->stop_at;
}

/* Parses a copy of exact size, so that ASan sees a read past its end. */
static inline int parse(const struct buf *b, size_t n, struct seen *s,
			struct pcap_file_position *ret)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_int_equal(buf_error(b), 0);
	assert_non_null(copy);
	if (n)
		memcpy(copy, b->p, n);
	*s = (struct seen){0};
	int r = pcap_file_parse(bytes_of(copy, n), see, s, ret);
	free(copy);
	return r;
}

#endif
