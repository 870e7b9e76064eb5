/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drills on captures written by hand: raw IP packets, one each millisecond, in a
 * pcap file of a folder that goes with the test.
 */
#ifndef APPLIANCE_TEST_DRY_RUN_RIG_H
#define APPLIANCE_TEST_DRY_RUN_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "capture/decode.h"
#include "drill/dry-run.h"
#include "capture/frame-seal.h"

#define GET  "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
#define OK   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

#define FIRST_S 1700000000u /* time of the first packet */

/* ---- the capture ---- */

static char folder[32], path[64];
static struct buf capture;
static uint32_t packets;    /* written so far */
static uint32_t pauses_s;   /* extra time between packets, besides the millisecond */
static size_t offset[4096]; /* file offset of the record of packet N */

static inline void put32(uint32_t v)
{
	buf_u32be(&capture, v);
}

static inline void begin_capture(void)
{
	buf_reset(&capture);
	packets = 0;
	pauses_s = 0;
	put32(0xa1b2c3d4);
	put32(0x00020004);
	put32(0);
	put32(0);
	put32(262144);
	put32(FRAME_LINK_RAW);
}

/* @wire is the frame's length before the capture cut it. */
static inline void record(const uint8_t *p, size_t n, size_t wire)
{
	uint32_t ms = packets++;

	assert_true(packets < sizeof offset / sizeof offset[0]);
	offset[packets] = capture.n;
	put32(FIRST_S + pauses_s + ms / 1000);
	put32(ms % 1000 * 1000);
	put32((uint32_t)n);
	put32((uint32_t)wire);
	buf_append(&capture, p, n);
}

static inline void ip_header(struct buf *b, const struct endpoint *src, const struct endpoint *dst,
			     size_t payload, uint16_t fragment)
{
	if (src->addr.family == NETADDR_V6) {
		buf_u32be(b, 0x60000000);
		buf_u16be(b, (uint16_t)payload);
		buf_u16be(b, 0x0640); /* TCP, hop limit 64 */
		buf_append(b, src->addr.b, 16);
		buf_append(b, dst->addr.b, 16);
		return;
	}
	buf_u16be(b, 0x4500);
	buf_u16be(b, (uint16_t)(20 + payload));
	buf_u16be(b, 1);
	buf_u16be(b, fragment);
	buf_u32be(b, 0x40060000); /* TTL 64, TCP, no checksum */
	buf_append(b, src->addr.b, 4);
	buf_append(b, dst->addr.b, 4);
}

/* @options: of TCP, a multiple of four bytes. */
static inline void packet_with(const struct endpoint *src, const struct endpoint *dst,
			       uint8_t flags, uint32_t seq, uint32_t ack, struct bytes tcp_options,
			       struct bytes text)
{
	struct buf b = BUF_INIT(4096);

	ip_header(&b, src, dst, 20 + tcp_options.n + text.n, 0);
	buf_u16be(&b, src->port);
	buf_u16be(&b, dst->port);
	buf_u32be(&b, seq);
	buf_u32be(&b, ack);
	buf_u16be(&b, (uint16_t)(0x5000 + (tcp_options.n / 4 << 12) + flags));
	buf_u16be(&b, 60000);
	buf_u32be(&b, 0);
	buf_bytes(&b, tcp_options);
	buf_bytes(&b, text);
	assert_int_equal(buf_error(&b), 0);
	frame_seal(b.p, b.n);
	record(b.p, b.n, b.n);
	buf_deinit(&b);
}

static inline void packet_bytes(const struct endpoint *src, const struct endpoint *dst,
				uint8_t flags, uint32_t seq, uint32_t ack, struct bytes text)
{
	packet_with(src, dst, flags, seq, ack, BYTES_NONE, text);
}

static inline void packet(const struct endpoint *src, const struct endpoint *dst, uint8_t flags,
			  uint32_t seq, uint32_t ack, const char *text)
{
	packet_bytes(src, dst, flags, seq, ack, bytes_str(text));
}

/* One connection. */
struct talk {
	struct endpoint client, server;
	uint32_t client_seq, server_seq;
};

static inline struct talk talk(const char *client, const char *server)
{
	struct talk t = {.client_seq = 1000, .server_seq = 5000};

	assert_int_equal(endpoint_parse(client, false, &t.client), 0);
	assert_int_equal(endpoint_parse(server, false, &t.server), 0);
	return t;
}

static inline void from_client(struct talk *t, uint8_t flags, const char *text)
{
	packet(&t->client, &t->server, flags, t->client_seq, t->server_seq, text);
	t->client_seq += (uint32_t)strlen(text) + !!(flags & (TCP_SYN | TCP_FIN));
}

static inline void from_server(struct talk *t, uint8_t flags, const char *text)
{
	packet(&t->server, &t->client, flags, t->server_seq, t->client_seq, text);
	t->server_seq += (uint32_t)strlen(text) + !!(flags & (TCP_SYN | TCP_FIN));
}

/* Opens a connection with its handshake: three packets. */
static inline struct talk talk_open(const char *client, const char *server)
{
	struct talk t = talk(client, server);

	from_client(&t, TCP_SYN, "");
	from_server(&t, TCP_SYN | TCP_ACK, "");
	from_client(&t, TCP_ACK, "");
	return t;
}

static inline void ask(struct talk *t, const char *text)
{
	from_client(t, TCP_ACK | TCP_PSH, text);
}

static inline void answer(struct talk *t, const char *text)
{
	from_server(t, TCP_ACK | TCP_PSH, text);
}

static inline void acknowledge(struct talk *t)
{
	from_client(t, TCP_ACK, "");
}

static inline void reset(struct talk *t)
{
	from_client(t, TCP_ACK | TCP_RST, "");
}

/* ---- the drill ---- */

static struct dry_run_options options;
static struct {
	int code;
	char *out, *err;
	json_t *json; /* the output, with options.json */
} ran;

static inline void write_file(const char *name, const void *p, size_t n)
{
	FILE *f = fopen(name, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static inline void forget_run(void)
{
	json_decref(ran.json);
	free(ran.out);
	free(ran.err);
	memset(&ran, 0, sizeof ran);
}

/* Runs the drill on the existing file. */
static inline int run_file(void)
{
	size_t out_size, err_size;

	forget_run();
	FILE *out = open_memstream(&ran.out, &out_size);
	FILE *err = open_memstream(&ran.err, &err_size);
	ran.code = dry_run(&options, out, err);
	fclose(out);
	fclose(err);
	if (options.json && out_size > 0) {
		json_error_t e;
		ran.json = json_loads(ran.out, JSON_REJECT_DUPLICATES, &e);
		if (!ran.json)
			fail_msg("%s, line %d: %s", e.text, e.line, ran.out);
	}
	return ran.code;
}

/* Standard input, as in `cat capture | jeebs-appliance --dry-run -`. All fits into the pipe. */
static inline int run_pipe(void)
{
	int ends[2], saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= (int)capture.n);
	assert_int_equal(write(ends[1], capture.p, capture.n), capture.n);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	options.path = "-";
	run_file();
	options.path = path;
	if (saved >= 0)
		dup2(saved, STDIN_FILENO);
	close(saved);
	return ran.code;
}

/* Runs the drill on what was written so far. */
static inline int run(void)
{
	assert_int_equal(buf_error(&capture), 0);
	write_file(path, capture.p, capture.n);
	return run_file();
}

/* Reads a value by its path: "totals.live". */
static inline json_t *get(const char *name)
{
	char copy[64], *save, *key;
	json_t *j = ran.json;

	snprintf(copy, sizeof copy, "%s", name);
	for (key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save))
		j = json_object_get(j, key);
	if (!j)
		fail_msg("no %s in %s", name, ran.out);
	return j;
}

static inline long long number(const char *name)
{
	assert_true(json_is_integer(get(name)));
	return json_integer_value(get(name));
}

static inline json_t *connection(size_t i)
{
	json_t *c = json_array_get(get("connections"), i);

	assert_non_null(c);
	return c;
}

static inline const char *word(json_t *c, const char *field)
{
	assert_non_null(json_string_value(json_object_get(c, field)));
	return json_string_value(json_object_get(c, field));
}

static inline long long count(json_t *c, const char *field)
{
	assert_true(json_is_integer(json_object_get(c, field)));
	return json_integer_value(json_object_get(c, field));
}

/* Cuts where @text says. Returns the packet it was. */
static inline long long cut_at(const char *text)
{
	assert_int_equal(dry_run_parse_cut(text, &options), 0);
	assert_true(run() == 0 || ran.code == 1);
	assert_true(json_is_true(get("capture.complete")));
	assert_int_equal(number("capture.packets"), number("cut.packet"));
	return number("cut.packet");
}

static inline int set_up(void **state)
{
	strcpy(folder, "/tmp/jeebs-drill-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/capture.pcap", folder);
	capture = BUF_INIT(4 << 20);
	begin_capture();
	options = (struct dry_run_options){
		.path = path,
		.modules_dir = MODULES_DIR,
		.cut = DRY_RUN_CUT_END,
		.json = true,
	};
	assert_int_equal(endpoint_parse("10.9.0.1", true, &options.server), 0);
	return 0;
}

static inline int tear_down(void **state)
{
	forget_run();
	buf_deinit(&capture);
	unlink(path);
	return rmdir(folder);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
