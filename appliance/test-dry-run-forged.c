/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a receiver drops is nothing. Into a conversation, behind each of its packets and in both
 * directions, comes one segment of each kind that its receiver drops; the drill then plans and
 * proves, at every cut, exactly what it does without it.
 */
#include "test-dry-run-rig.h"

#define PACKETS_MAX 64
#define FAR         10000000u
#define GET_CLOSE   "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
#define PUT         "PUT /c HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
#define CREATED     "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
#define HEAD_OF(n)  "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: " #n "\r\n\r\n"
#define TWENTY      "0123456789abcdefghij"

/* ---- the conversation ---- */

struct piece {
	bool from_server;
	uint8_t flags;
	uint32_t seq, ack, tsval, tsecr;
	const char *text;
};

static struct piece piece[PACKETS_MAX];
static uint32_t pieces;
/* Behind each piece: the next number of each end, and the first that was not acknowledged. */
static uint32_t next_of[PACKETS_MAX][2], una_of[PACKETS_MAX][2];

static void say(bool from_server, uint8_t flags, const char *text)
{
	static uint32_t next[2], una[2], clock[2];

	if (pieces == 0) {
		next[0] = una[0] = 0xfffffff0; /* it wraps on its way */
		next[1] = una[1] = 5000;
		clock[0] = clock[1] = 0;
	}
	assert_true(pieces < PACKETS_MAX);
	piece[pieces] = (struct piece){.from_server = from_server,
				       .flags = flags,
				       .seq = next[from_server],
				       .ack = next[!from_server],
				       .tsval = 1000 + pieces,
				       .tsecr = clock[!from_server],
				       .text = text};
	clock[from_server] = piece[pieces].tsval;
	next[from_server] += (uint32_t)strlen(text) + !!(flags & (TCP_SYN | TCP_FIN));
	if (flags & TCP_ACK)
		una[!from_server] = next[!from_server];
	memcpy(next_of[pieces], next, sizeof next);
	memcpy(una_of[pieces++], una, sizeof una);
}

/* A GET, a PUT in pieces, a long answer in pieces with one ACK in the middle, both ends. */
static void converse(void)
{
	pieces = 0;
	say(false, TCP_SYN, "");
	say(true, TCP_SYN | TCP_ACK, "");
	say(false, TCP_ACK, "");
	say(false, TCP_ACK | TCP_PSH, GET);
	say(true, TCP_ACK, "");
	say(true, TCP_ACK | TCP_PSH, OK);
	say(false, TCP_ACK, "");
	say(false, TCP_ACK | TCP_PSH, PUT);
	say(false, TCP_ACK, TWENTY);
	say(true, TCP_ACK, "");
	say(false, TCP_ACK | TCP_PSH, TWENTY);
	say(true, TCP_ACK | TCP_PSH, CREATED);
	say(false, TCP_ACK | TCP_PSH, GET_CLOSE);
	say(true, TCP_ACK, HEAD_OF(60));
	say(true, TCP_ACK, TWENTY);
	say(false, TCP_ACK, "");
	say(true, TCP_ACK, TWENTY);
	say(true, TCP_ACK | TCP_PSH, TWENTY);
	say(false, TCP_ACK, "");
	say(true, TCP_ACK | TCP_FIN, "");
	say(false, TCP_ACK, "");
	say(false, TCP_ACK | TCP_FIN, "");
	say(true, TCP_ACK, "");
}

/* ---- what its receiver drops ---- */

enum how {
	RIGHT,
	BAD_TCP_SUM,
	BAD_IP_SUM,
	OTHER_MAC,
};

static const struct kind {
	const char *name;
	uint8_t flags;
	enum how how;
	bool data;
	uint32_t seq, ack; /* added to what is due */
	bool at_una;       /* seq: of what is not acknowledged, if there is any */
	uint32_t older;    /* its timestamp */
} kinds[] = {
	{"data, TCP checksum", TCP_ACK | TCP_PSH, BAD_TCP_SUM, .data = true},
	{"data, IP checksum", TCP_ACK | TCP_PSH, BAD_IP_SUM, .data = true},
	{"data, other MAC", TCP_ACK | TCP_PSH, OTHER_MAC, .data = true},
	{"data, no ACK", TCP_PSH, RIGHT, .data = true},
	{"data, no flag", 0, RIGHT, .data = true},
	{"data, old timestamp", TCP_ACK, RIGHT, .data = true, .older = 1000000},
	{"data, acknowledges the future", TCP_ACK, RIGHT, .data = true, .ack = FAR},
	{"data, acknowledges the past", TCP_ACK, RIGHT, .data = true, .ack = -FAR},
	{"data, beyond the window", TCP_ACK, RIGHT, .data = true, .seq = FAR},
	{"RST, TCP checksum", TCP_RST | TCP_ACK, BAD_TCP_SUM},
	{"RST, IP checksum", TCP_RST, BAD_IP_SUM},
	{"RST, other MAC", TCP_RST | TCP_ACK, OTHER_MAC},
	{"RST in the window", TCP_RST, RIGHT, .seq = 500},
	{"RST one further", TCP_RST | TCP_ACK, RIGHT, .seq = 1},
	{"RST before what is expected", TCP_RST | TCP_ACK, RIGHT, .at_una = true},
	{"RST far away", TCP_RST, RIGHT, .seq = FAR},
	{"FIN, TCP checksum", TCP_FIN | TCP_ACK, BAD_TCP_SUM},
	{"FIN, other MAC", TCP_FIN | TCP_ACK, OTHER_MAC},
	{"FIN, no ACK", TCP_FIN, RIGHT},
	{"FIN, old timestamp", TCP_FIN | TCP_ACK, RIGHT, .older = 1000000},
	{"SYN in the window", TCP_SYN, RIGHT, .seq = 300},
	{"SYN-ACK in the window", TCP_SYN | TCP_ACK, RIGHT, .seq = 300},
	{"SYN at the edge", TCP_SYN, RIGHT},
};

/* ---- as a capture ---- */

static void write_piece(const struct piece *p, enum how how)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	struct talk t = talk("10.1.0.7:40000", "10.9.0.1:80");
	const struct endpoint *src = p->from_server ? &t.server : &t.client;
	const struct endpoint *dst = p->from_server ? &t.client : &t.server;
	struct buf b = BUF_INIT(4096);

	buf_append(&b, mac[!p->from_server], 5);
	buf_u8(&b, how == OTHER_MAC ? 9 : mac[!p->from_server][5]);
	buf_append(&b, mac[p->from_server], 6);
	buf_u16be(&b, 0x0800);
	ip_header(&b, src, dst, 32 + strlen(p->text), 0);
	buf_u16be(&b, src->port);
	buf_u16be(&b, dst->port);
	buf_u32be(&b, p->seq);
	buf_u32be(&b, p->flags & TCP_ACK ? p->ack : 0);
	buf_u16be(&b, (uint16_t)(0x8000 | p->flags));
	buf_u16be(&b, 60000);
	buf_u32be(&b, 0);
	buf_u32be(&b, 0x0101080a);
	buf_u32be(&b, p->tsval);
	buf_u32be(&b, p->tsecr);
	buf_append(&b, p->text, strlen(p->text));
	assert_int_equal(buf_error(&b), 0);
	frame_seal(b.p + 14, b.n - 14);
	if (how == BAD_TCP_SUM)
		b.p[14 + 20 + 16] ^= 0x20;
	if (how == BAD_IP_SUM)
		b.p[14 + 10] ^= 0x20;
	record(b.p, b.n, b.n);
	buf_deinit(&b);
}

/* It comes at the time of the piece before it. */
static void write_forged(const struct kind *k, uint32_t behind, bool from_server)
{
	uint32_t due = next_of[behind][from_server];
	struct piece p = {
		.from_server = from_server,
		.flags = k->flags,
		.seq = (k->at_una ? una_of[behind][from_server] : due) + k->seq,
		.ack = next_of[behind][!from_server] + k->ack,
		.tsval = 1000 + behind - k->older,
		.tsecr = piece[behind].tsval,
		.text = k->data ? "GET /forged HTTP/1.1\r\nHost: f\r\n\r\n" : "",
	};

	packets--;
	write_piece(&p, k->how);
}

static void write_all(const struct kind *k, uint32_t behind, bool from_server)
{
	begin_capture();
	capture.p[23] = FRAME_LINK_ETHERNET;
	for (uint32_t i = 0; i < pieces; i++) {
		write_piece(&piece[i], RIGHT);
		if (k && i == behind)
			write_forged(k, behind, from_server);
	}
}

/* What the drill found, without what it says of the capture itself. */
static json_t *found(void)
{
	json_t *j = json_deep_copy(ran.json);

	json_object_del(j, "capture");
	json_object_del(j, "cut");
	return j;
}

static json_t *every_cut(void)
{
	options.cut = DRY_RUN_CUT_EVERY;
	options.cut_packet = 1;
	run();
	assert_int_equal(number("wrong"), 0);
	return found();
}

static json_t *cut_behind(uint32_t packet)
{
	options.cut = DRY_RUN_CUT_PACKET;
	options.cut_packet = packet;
	run();
	return found();
}

static void assert_same(json_t *with, json_t *without, const struct kind *k, uint32_t behind,
			bool from_server)
{
	if (!json_equal(with, without))
		fail_msg("%s of the %s behind packet %u:\n%s\n%s", k->name,
			 from_server ? "server" : "client", (unsigned int)behind + 1,
			 json_dumps(without, JSON_COMPACT), json_dumps(with, JSON_COMPACT));
	json_decref(with);
}

/*
 * Nothing was sent that is not acknowledged, so there is no place before what is expected. Or a FIN
 * alone: at its number a RST is taken.
 */
static bool applies(const struct kind *k, uint32_t behind, bool from_server)
{
	const struct piece *p = &piece[behind];

	if (k->at_una && p->flags & TCP_FIN && p->from_server == from_server)
		return una_of[behind][from_server] != p->seq;
	return !k->at_una || una_of[behind][from_server] != next_of[behind][from_server];
}

static void test_every_kind_everywhere(void **state)
{
	uint32_t tried = 0;

	converse();
	write_all(NULL, 0, false);
	json_t *proved = every_cut();
	assert_true(json_integer_value(json_object_get(proved, "exact")) > 10);
	for (uint32_t behind = 2; behind + 1 < pieces; behind++) { /* while it lives */
		write_all(NULL, 0, false);
		json_t *planned = cut_behind(behind + 1);
		for (size_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
			const struct kind *k = &kinds[i / 2];
			bool from_server = i % 2;

			if (!applies(k, behind, from_server))
				continue;
			write_all(k, behind, from_server);
			assert_same(every_cut(), proved, k, behind, from_server);
			assert_same(cut_behind(behind + 2), planned, k, behind, from_server);
			tried++;
		}
		json_decref(planned);
	}
	assert_true(tried > 850);
	json_decref(proved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(test_every_kind_everywhere)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
