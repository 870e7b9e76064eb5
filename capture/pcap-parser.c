/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pcap-parser.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define MAGIC_US       0xa1b2c3d4u
#define MAGIC_NS       0xa1b23c4du
#define MAGIC_MODIFIED 0xa1b2cd34u /* Kuznetzov's libpcap: record headers of 24 bytes */
#define MAGIC_ORDER    0x1a2b3c4du

#define FILE_HEADER  24
#define BLOCK_HEADER 8
#define BLOCK_MIN    12 /* header, and the length repeated at the end */
#define SHB_BODY     16
#define DSB_BODY     8
#define EPB_HEADER   20 /* after the block header; that of PB is as long */

enum {
	BLOCK_SHB = 0x0a0d0d0a, /* reads the same in both byte orders */
	BLOCK_IDB = 1,
	BLOCK_PB = 2,
	BLOCK_SPB = 3,
	BLOCK_EPB = 6,
	BLOCK_DSB = 10,

	OPTION_END = 0,
	OPTION_TSRESOL = 9,
	OPTION_TSOFFSET = 14,
};

/* Callers have checked the length: each record is measured before it is read. */
static inline uint32_t load32(const struct pcap_parser *p, const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof v);
	return p->swapped ? __builtin_bswap32(v) : v;
}

static inline uint16_t load16(const struct pcap_parser *p, const uint8_t *from)
{
	uint16_t v;

	memcpy(&v, from, sizeof v);
	return p->swapped ? __builtin_bswap16(v) : v;
}

__attribute__((format(printf, 3, 4))) static int fail(struct pcap_parser *p, int outcome,
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->at.detail, sizeof p->at.detail, fmt, ap);
	va_end(ap);
	return outcome;
}

void pcap_parser_init(struct pcap_parser *p)
{
	*p = (struct pcap_parser){0};
}

void pcap_parser_deinit(struct pcap_parser *p)
{
	free(p->interface);
	pcap_parser_init(p);
}

static void use(struct pcap_parser *p, struct bytes *in, size_t n)
{
	in->p += n;
	in->n -= n;
	p->at.offset += n;
}

/* ---- pcap ---- */

static int pcap_header(struct pcap_parser *p, struct bytes *in)
{
	if (in->n < FILE_HEADER)
		return 0;
	uint32_t magic = load32(p, in->p);
	uint16_t major = load16(p, in->p + 4);

	if (major != 2)
		return fail(p, PCAP_FILE_CORRUPT, "pcap version %u.%u is not known", major,
			    load16(p, in->p + 6));
	p->format = PCAP_FORMAT_PCAP;
	p->record_header = magic == MAGIC_MODIFIED ? 24 : 16;
	p->ns_per_fraction = magic == MAGIC_NS ? 1 : 1000;
	p->link =
		/* The bits above are the length of the frame check sequence. */
		(uint16_t)load32(p, in->p + 20);
	use(p, in, FILE_HEADER);
	return 0;
}

static int pcap_records(struct pcap_parser *p, struct bytes *in, frame_fn fn, void *ctx)
{
	const size_t header = p->record_header;
	struct frame f = {.link = p->link, .sum = FRAME_SUM_FILE};

	while (in->n >= header) {
		const uint8_t *r = in->p;
		size_t captured = load32(p, r + 8);

		if (captured > PCAP_RECORD_MAX - header)
			return fail(p, PCAP_FILE_CORRUPT,
				    "packet %" PRIu64 " claims %zu captured bytes, more than any "
				    "frame has",
				    p->at.packet + 1, captured);
		if (captured > in->n - header)
			return 0;
		f.data = bytes_of(r + header, captured);
		f.wire_len = load32(p, r + 12);
		f.time_ns = load32(p, r) * NS_PER_S +
			    (int64_t)load32(p, r + 4) * (int64_t)p->ns_per_fraction;
		p->at.packet++;
		if (fn(ctx, &f)) {
			use(p, in, header + captured);
			return PCAP_FILE_STOPPED;
		}
		use(p, in, header + captured);
	}
	return 0;
}

/* ---- pcapng ---- */

/*
 * Converts ticks of an interface to nanoseconds since 1970. Returns false for an impossible time.
 */
static bool interface_time(const struct pcap_interface *i, uint64_t ticks, int64_t *ret)
{
	static const uint64_t power10[] = {
		1,
		10,
		100,
		1000,
		10000,
		100000,
		1000000,
		10000000,
		100000000,
		1000000000,
		UINT64_C(10000000000),
		UINT64_C(100000000000),
		UINT64_C(1000000000000),
		UINT64_C(10000000000000),
		UINT64_C(100000000000000),
		UINT64_C(1000000000000000),
		UINT64_C(10000000000000000),
		UINT64_C(100000000000000000),
		UINT64_C(1000000000000000000),
	};
	int64_t offset_ns;
	__int128 ns = ticks;

	if (i->ticks_binary)
		ns = ns * NS_PER_S >> i->ticks_log;
	else if (i->ticks_log <= 9)
		ns *= power10[9 - i->ticks_log];
	else
		ns = ticks / power10[i->ticks_log - 9];
	if (__builtin_mul_overflow(i->offset_s, NS_PER_S, &offset_ns))
		return false;
	ns += offset_ns;
	*ret = (int64_t)ns;
	return ns >= 0 && ns <= INT64_MAX;
}

static int interface_option(struct pcap_parser *p, struct pcap_interface *i, uint16_t code,
			    struct bytes value)
{
	if (code == OPTION_TSRESOL && value.n >= 1) {
		i->ticks_binary = value.p[0] & 0x80;
		i->ticks_log = value.p[0] & 0x7f;
		/* No clock is finer, and the arithmetic would overflow. */
		if (i->ticks_log > (i->ticks_binary ? 63 : 18))
			return fail(p, PCAP_FILE_CORRUPT,
				    "interface %u has an impossible time resolution 0x%02x",
				    p->interface_count, value.p[0]);
	}
	if (code == OPTION_TSOFFSET && value.n >= 8) {
		uint64_t v;
		memcpy(&v, value.p, sizeof v);
		i->offset_s = (int64_t)(p->swapped ? __builtin_bswap64(v) : v);
	}
	return 0;
}

static int interface_options(struct pcap_parser *p, struct pcap_interface *i, struct bytes area)
{
	while (area.n >= 4) {
		uint16_t code = load16(p, area.p);
		size_t n = load16(p, area.p + 2);
		size_t padded = (n + 3) & ~(size_t)3;

		if (code == OPTION_END)
			return 0;
		area = bytes_from(area, 4);
		if (padded > area.n)
			return fail(p, PCAP_FILE_CORRUPT,
				    "option %u of interface %u runs over the end of its block",
				    code, p->interface_count);
		int r = interface_option(p, i, code, bytes_head(area, n));
		if (r)
			return r;
		area = bytes_from(area, padded);
	}
	return 0;
}

/*
 * @body of each block_*() function is what is between the block's header and its repeated length.
 */
static int block_idb(struct pcap_parser *p, struct bytes body)
{
	struct pcap_interface i = {.ticks_log = 6};

	if (body.n < 8)
		return fail(p, PCAP_FILE_CORRUPT, "interface block of %zu bytes", body.n);
	if (p->interface_count == PCAP_INTERFACES_MAX)
		return fail(p, PCAP_FILE_CORRUPT, "more than %d interfaces", PCAP_INTERFACES_MAX);
	i.link = load16(p, body.p);
	i.snaplen = load32(p, body.p + 4);
	int r = interface_options(p, &i, bytes_from(body, 8));
	if (r)
		return r;
	/* The array doubles at powers of two. */
	if ((p->interface_count & (p->interface_count - 1)) == 0) {
		size_t cap = p->interface_count ? 2 * (size_t)p->interface_count : 1;
		struct pcap_interface *grown = realloc(p->interface, cap * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		p->interface = grown;
	}
	p->interface[p->interface_count++] = i;
	return 0;
}

static const struct pcap_interface *packet_interface(struct pcap_parser *p, uint32_t id)
{
	if (id < p->interface_count)
		return &p->interface[id];
	fail(p, PCAP_FILE_CORRUPT, "packet %" PRIu64 " is of interface %u, of %u", p->at.packet + 1,
	     id, p->interface_count);
	return NULL;
}

static int deliver(struct pcap_parser *p, const struct frame *f, frame_fn fn, void *ctx)
{
	p->last_ns = f->time_ns;
	p->at.packet++;
	return fn(ctx, f) ? PCAP_FILE_STOPPED : 0;
}

/* Enhanced and obsolete packet blocks differ in how they write the interface. */
static int block_packet(struct pcap_parser *p, struct bytes body, bool obsolete, frame_fn fn,
			void *ctx)
{
	struct frame f = {.sum = FRAME_SUM_FILE};

	if (body.n < EPB_HEADER)
		return fail(p, PCAP_FILE_CORRUPT, "packet block of %zu bytes", body.n);
	const struct pcap_interface *i =
		packet_interface(p, obsolete ? load16(p, body.p) : load32(p, body.p));
	if (!i)
		return PCAP_FILE_CORRUPT;
	uint64_t ticks = (uint64_t)load32(p, body.p + 4) << 32 | load32(p, body.p + 8);
	size_t captured = load32(p, body.p + 12);
	if (captured > body.n - EPB_HEADER)
		return fail(p, PCAP_FILE_CORRUPT,
			    "packet %" PRIu64 " claims %zu captured bytes in a block of %zu",
			    p->at.packet + 1, captured, body.n);
	if (!interface_time(i, ticks, &f.time_ns))
		return fail(p, PCAP_FILE_CORRUPT, "packet %" PRIu64 " has an impossible time",
			    p->at.packet + 1);
	f.link = i->link;
	f.wire_len = load32(p, body.p + 16);
	f.data = bytes_of(body.p + EPB_HEADER, captured);
	return deliver(p, &f, fn, ctx);
}

/* A simple packet has neither a time nor a captured length. It gets the time of the packet
 * before, and the length that fits. */
static int block_spb(struct pcap_parser *p, struct bytes body, frame_fn fn, void *ctx)
{
	struct frame f = {.time_ns = p->last_ns, .sum = FRAME_SUM_FILE};
	const struct pcap_interface *i = packet_interface(p, 0);

	if (!i)
		return PCAP_FILE_CORRUPT;
	if (body.n < 4)
		return fail(p, PCAP_FILE_CORRUPT, "simple packet block of %zu bytes", body.n);
	f.link = i->link;
	f.wire_len = load32(p, body.p);
	f.data = bytes_head(bytes_from(body, 4), f.wire_len);
	if (i->snaplen > 0)
		f.data = bytes_head(f.data, i->snaplen);
	return deliver(p, &f, fn, ctx);
}

/* A new section has its own interfaces. Its byte order was determined together with its length. */
static int block_shb(struct pcap_parser *p, struct bytes body)
{
	if (body.n < SHB_BODY)
		return fail(p, PCAP_FILE_CORRUPT, "section header of %zu bytes", body.n);
	uint16_t major = load16(p, body.p + 4);
	if (major != 1)
		return fail(p, PCAP_FILE_CORRUPT, "pcapng version %u.%u is not known", major,
			    load16(p, body.p + 6));
	p->interface_count = 0;
	return 0;
}

/* draft-ietf-opsawg-pcapng section 4.7 */
static int block_dsb(struct pcap_parser *p, struct bytes body)
{
	if (!p->secrets)
		return 0;
	uint32_t n = body.n >= DSB_BODY ? load32(p, body.p + 4) : 0;
	if (body.n < DSB_BODY || n > body.n - DSB_BODY)
		return fail(p, PCAP_FILE_CORRUPT, "decryption secrets block of %zu bytes", body.n);
	p->secrets(p->secrets_ctx, load32(p, body.p), bytes_head(bytes_from(body, DSB_BODY), n));
	return 0;
}

static int block(struct pcap_parser *p, uint32_t type, struct bytes body, frame_fn fn, void *ctx)
{
	switch (type) {
	case BLOCK_EPB:
	case BLOCK_PB:
		return block_packet(p, body, type == BLOCK_PB, fn, ctx);
	case BLOCK_SPB:
		return block_spb(p, body, fn, ctx);
	case BLOCK_IDB:
		return block_idb(p, body);
	case BLOCK_SHB:
		return block_shb(p, body);
	case BLOCK_DSB:
		return block_dsb(p, body);
	default:
		return 0; /* readers must skip blocks that they do not know */
	}
}

static bool block_is_read(uint32_t type)
{
	return type == BLOCK_EPB || type == BLOCK_PB || type == BLOCK_SPB || type == BLOCK_IDB ||
	       type == BLOCK_SHB;
}

static int check_repeated_length(struct pcap_parser *p, const uint8_t *at, uint32_t length)
{
	uint32_t repeated = load32(p, at);

	if (repeated == length)
		return 0;
	return fail(p, PCAP_FILE_CORRUPT, "block says %u bytes at its start and %u at its end",
		    length, repeated);
}

/* Reads the header of the block at @b, which has BLOCK_MIN bytes: its type and its length. */
static int block_header(struct pcap_parser *p, const uint8_t *b, uint32_t *ret_type,
			uint32_t *ret_length)
{
	uint32_t order;

	memcpy(ret_type, b, sizeof *ret_type);
	if (*ret_type == BLOCK_SHB) {
		memcpy(&order, b + BLOCK_HEADER, sizeof order);
		if (order != MAGIC_ORDER && order != __builtin_bswap32(MAGIC_ORDER))
			return fail(p, PCAP_FILE_CORRUPT, "section with byte-order magic 0x%08x",
				    order);
		p->swapped = order != MAGIC_ORDER;
	}
	*ret_type = load32(p, b);
	*ret_length = load32(p, b + 4);
	if (*ret_length < BLOCK_MIN || *ret_length % 4)
		return fail(p, PCAP_FILE_CORRUPT, "block of type 0x%08x with length %u", *ret_type,
			    *ret_length);
	if (*ret_length > PCAP_RECORD_MAX && block_is_read(*ret_type))
		return fail(p, PCAP_FILE_CORRUPT,
			    "block of type 0x%08x with %u bytes, more than any frame has",
			    *ret_type, *ret_length);
	return 0;
}

/* Skips a long block that nobody reads. Returns true when all of it was skipped. */
static bool skip_on(struct pcap_parser *p, struct bytes *in)
{
	size_t n = p->skip < in->n ? (size_t)p->skip : in->n;

	p->skip -= n;
	use(p, in, n);
	return p->skip == 0;
}

static int pcapng_blocks(struct pcap_parser *p, struct bytes *in, frame_fn fn, void *ctx)
{
	uint32_t type = 0, length = 0;

	for (;;) {
		if (p->skip > 0 && !skip_on(p, in))
			return 0;
		if (p->skipped_length > 0) {
			if (in->n < 4)
				return 0;
			int r = check_repeated_length(p, in->p, p->skipped_length);
			if (r)
				return r;
			p->skipped_length = 0;
			use(p, in, 4);
		}
		if (in->n < BLOCK_MIN)
			return 0;
		int r = block_header(p, in->p, &type, &length);
		if (r)
			return r;
		if (length > PCAP_RECORD_MAX) {
			p->skip = length - 4;
			p->skipped_length = length;
			continue;
		}
		if (in->n < length)
			return 0;
		r = check_repeated_length(p, in->p + length - 4, length);
		if (r)
			return r;
		r = block(p, type, bytes_of(in->p + BLOCK_HEADER, length - BLOCK_MIN), fn, ctx);
		if (r == 0 || r == PCAP_FILE_STOPPED)
			use(p, in, length);
		if (r)
			return r;
	}
}

/* ---- both ---- */

static int detect(struct pcap_parser *p, struct bytes *in)
{
	uint32_t magic, swapped;

	if (in->n < sizeof magic)
		return 0;
	memcpy(&magic, in->p, sizeof magic);
	if (magic == BLOCK_SHB) {
		p->format = PCAP_FORMAT_PCAPNG;
		return 0;
	}
	swapped = __builtin_bswap32(magic);
	p->swapped = swapped == MAGIC_US || swapped == MAGIC_NS || swapped == MAGIC_MODIFIED;
	magic = p->swapped ? swapped : magic;
	if (magic != MAGIC_US && magic != MAGIC_NS && magic != MAGIC_MODIFIED)
		return fail(p, PCAP_FILE_NOT_A_CAPTURE,
			    "it starts with %02x %02x %02x %02x: neither pcap nor pcapng", in->p[0],
			    in->p[1], in->p[2], in->p[3]);
	return pcap_header(p, in);
}

int pcap_parser_feed(struct pcap_parser *p, struct bytes in, frame_fn fn, void *ctx,
		     size_t *ret_used)
{
	size_t given = in.n;
	int r = 0;

	if (p->format == PCAP_FORMAT_UNKNOWN)
		r = detect(p, &in);
	if (!r && p->format == PCAP_FORMAT_PCAP)
		r = pcap_records(p, &in, fn, ctx);
	else if (!r && p->format == PCAP_FORMAT_PCAPNG)
		r = pcapng_blocks(p, &in, fn, ctx);
	*ret_used = given - in.n;
	return r;
}

int pcap_parser_end(struct pcap_parser *p, size_t left)
{
	if (p->format == PCAP_FORMAT_UNKNOWN && left < 4)
		return fail(p, PCAP_FILE_NOT_A_CAPTURE,
			    left ? "the file has %zu bytes" : "the file is empty", left);
	if (p->format == PCAP_FORMAT_UNKNOWN)
		return fail(p, PCAP_FILE_TRUNCATED, "the file ends inside its header");
	if (left > 0 || p->skip > 0 || p->skipped_length > 0)
		return fail(p, PCAP_FILE_TRUNCATED,
			    "the file ends inside the %s after packet %" PRIu64,
			    p->format == PCAP_FORMAT_PCAP ? "record" : "block", p->at.packet);
	return PCAP_FILE_END;
}
