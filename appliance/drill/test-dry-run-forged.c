/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A segment that its receiver drops changes nothing. One of each kind is put into conversations:
 * behind each packet, on each connection, in both directions. At every cut the drill plans and
 * proves exactly what it does without it. One conversation is written here, the others are recorded
 * ones of every protocol.
 */
#include "test/dry-run-rig.h"

#include <dirent.h>

#include "recovery-modules/harness/test/conversation.h"

#define PACKETS_MAX     256
#define CONNECTIONS_MAX 4
#define SEGMENT_MAX     1448
#define FAR             10000000u
#define GET_CLOSE       "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
#define PUT             "PUT /c HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n"
#define CREATED         "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
#define HEAD_OF(n)      "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: " #n "\r\n\r\n"
#define TWENTY          "0123456789abcdefghij"

/* ---- the conversation ---- */

struct piece {
	uint8_t connection;
	bool from_server;
	uint8_t flags;
	uint32_t seq, ack, tsval, tsecr;
	struct bytes data;
};

/* A connection. Arrays are by end: 0 the client, 1 the server. */
struct ends {
	uint32_t next[2], una[2]; /* the next number, and the first one not acknowledged */
	uint32_t clock[2];        /* the newest timestamp */
	uint32_t finished[2];     /* 1 behind its FIN */
	uint32_t pieces, last;    /* their number, and the index of the last one */
};

static struct talk lines[CONNECTIONS_MAX];
static uint8_t connections;
static struct ends ends[CONNECTIONS_MAX];
static struct piece piece[PACKETS_MAX];
static uint32_t pieces;
static struct ends behind_of[PACKETS_MAX][CONNECTIONS_MAX];

static void say_bytes(uint8_t connection, bool from_server, uint8_t flags, struct bytes b)
{
	struct ends *e = &ends[connection];

	assert_true(pieces < PACKETS_MAX && connection < connections);
	piece[pieces] = (struct piece){.connection = connection,
				       .from_server = from_server,
				       .flags = flags,
				       .seq = e->next[from_server],
				       .ack = e->next[!from_server],
				       .tsval = 1000 + pieces,
				       .tsecr = e->clock[!from_server],
				       .data = b};
	e->clock[from_server] = piece[pieces].tsval;
	e->next[from_server] += (uint32_t)b.n + !!(flags & (TCP_SYN | TCP_FIN));
	e->finished[from_server] |= !!(flags & TCP_FIN);
	if (flags & TCP_ACK)
		e->una[!from_server] = e->next[!from_server];
	e->pieces++;
	e->last = pieces;
	memcpy(behind_of[pieces++], ends, sizeof ends);
}

static void say(bool from_server, uint8_t flags, const char *text)
{
	say_bytes(0, from_server, flags, bytes_of(text, strlen(text)));
}

/* @by_server: the server opens it, as FTP does for active transfers. */
static uint8_t open_line(struct endpoint client, struct endpoint server, bool by_server)
{
	uint8_t c = connections++;

	assert_true(connections <= CONNECTIONS_MAX);
	lines[c] = (struct talk){.client = client, .server = server};
	ends[c] = (struct ends){
		.next = {0xfffffff0, 5000}, /* the client's numbers wrap on the way */
		.una = {0xfffffff0, 5000},
	};
	say_bytes(c, by_server, TCP_SYN, BYTES_NONE);
	say_bytes(c, !by_server, TCP_SYN | TCP_ACK, BYTES_NONE);
	say_bytes(c, by_server, TCP_ACK, BYTES_NONE);
	return c;
}

static void begin(const char *client, const char *server)
{
	struct talk t = talk(client, server);

	pieces = 0;
	connections = 0;
	memset(ends, 0, sizeof ends);
	options.server = t.server;
	(void)open_line(t.client, t.server, false);
}

/* A GET, a PUT in pieces, a long answer in pieces with one ACK in the middle, and both FINs. */
static void converse(void)
{
	begin("10.1.0.7:40000", "10.9.0.1:80");
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

/* Sends bytes in segments. Every second one is acknowledged at once. */
static void say_record(uint8_t connection, bool from_server, struct bytes b)
{
	while (b.n > 0) {
		struct bytes part = bytes_of(b.p, b.n < SEGMENT_MAX ? b.n : SEGMENT_MAX);

		say_bytes(connection, from_server, TCP_ACK | TCP_PSH, part);
		if (pieces % 2 == 0)
			say_bytes(connection, !from_server, TCP_ACK, BYTES_NONE);
		b = bytes_of(b.p + part.n, b.n - part.n);
	}
}

/* The recorded conversation names the ports of data connections. */
static void open_data_line(struct bytes b)
{
	struct endpoint client = lines[0].client, server = lines[0].server;
	struct reader r = reader_init(b);

	server.port = reader_u16be(&r);
	client.port = reader_u16be(&r);
	assert_true(reader_ok(&r));
	(void)open_line(client, server, server.port == 20);
}

/* Returns false if the record is no segment. */
static bool say_conversation(struct bytes file, bool numbered)
{
	struct reader r = reader_init(file);
	struct conversation_record c;

	while (numbered ? conversation_next_numbered(&r, &c) : conversation_next(&r, &c)) {
		bool from_server = c.kind == 'C' || c.kind == 'F';
		switch (c.kind) {
		case 'S':
		case 'C':
			say_record(c.connection, from_server, c.b);
			break;
		case 'E':
		case 'F':
			say_bytes(c.connection, from_server, TCP_ACK | TCP_FIN, BYTES_NONE);
			say_bytes(c.connection, !from_server, TCP_ACK, BYTES_NONE);
			break;
		case 'P':
			open_data_line(c.b);
			break;
		default:
			return false;
		}
	}
	return true;
}

/* ---- what receivers drop ---- */

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
	uint32_t seq, ack; /* added to the numbers that are due */
	bool at_una;       /* seq counts from what is not acknowledged, if there is any */
	uint32_t older;    /* subtracted from the newest timestamp */
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
	const struct talk *t = &lines[p->connection];
	const struct endpoint *src = p->from_server ? &t->server : &t->client;
	const struct endpoint *dst = p->from_server ? &t->client : &t->server;
	struct buf b = BUF_INIT(4096);

	buf_append(&b, mac[!p->from_server], 5);
	buf_u8(&b, how == OTHER_MAC ? 9 : mac[!p->from_server][5]);
	buf_append(&b, mac[p->from_server], 6);
	buf_u16be(&b, 0x0800);
	ip_header(&b, src, dst, 32 + p->data.n, 0);
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
	buf_bytes(&b, p->data);
	assert_int_equal(buf_error(&b), 0);
	frame_seal(b.p + 14, b.n - 14);
	if (how == BAD_TCP_SUM)
		b.p[14 + 20 + 16] ^= 0x20;
	if (how == BAD_IP_SUM)
		b.p[14 + 10] ^= 0x20;
	record(b.p, b.n, b.n);
	buf_deinit(&b);
}

struct forged {
	const struct kind *kind;
	uint32_t behind;
	uint8_t connection;
	bool from_server;
};

/* A forged segment has the time of the piece before it. */
static void write_forged(const struct forged *f)
{
	static const char text[] = "GET /forged HTTP/1.1\r\nHost: f\r\n\r\n";
	const struct kind *k = f->kind;
	const struct ends *e = &behind_of[f->behind][f->connection];
	struct piece p = {
		.connection = f->connection,
		.from_server = f->from_server,
		.flags = k->flags,
		.seq = (k->at_una ? e->una : e->next)[f->from_server] + k->seq,
		.ack = e->next[!f->from_server] + k->ack,
		.tsval = 1000 + f->behind - k->older,
		.tsecr = e->clock[!f->from_server],
		.data = bytes_of(text, k->data ? sizeof text - 1 : 0),
	};

	packets--;
	write_piece(&p, k->how);
}

/*
 * Whether the forgery is possible here: while the connection lives. One before the expected number
 * needs bytes that are not acknowledged. A FIN alone does not count, because a RST at its number is
 * taken.
 */
static bool applies(const struct forged *f)
{
	const struct ends *e = &behind_of[f->behind][f->connection];
	uint32_t unacked = e->next[f->from_server] - e->una[f->from_server];

	if (e->pieces < 3 || f->behind >= ends[f->connection].last)
		return false;
	return !f->kind->at_una || unacked > e->finished[f->from_server];
}

#define EVERYWHERE UINT32_MAX

/* @forged: what is put in; NULL: nothing. @behind EVERYWHERE: behind each packet, on each
 * connection, from both ends. */
static void write_all(const struct forged *forged)
{
	begin_capture();
	capture.p[23] = FRAME_LINK_ETHERNET;
	for (uint32_t i = 0; i < pieces; i++) {
		write_piece(&piece[i], RIGHT);
		if (forged && forged->behind == i)
			write_forged(forged);
		if (!forged || forged->behind != EVERYWHERE)
			continue;
		for (uint32_t k = 0; k < 2u * connections; k++) {
			struct forged f = {forged->kind, i, (uint8_t)(k / 2), k % 2};
			if (applies(&f))
				write_forged(&f);
		}
	}
}

/* Returns the drill's findings, without the fields about the capture itself. */
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

/* @name: the conversation's. */
static void assert_same(json_t *with, json_t *without, const struct forged *f, const char *name)
{
	char where[48] = "both ends behind each packet";

	if (f->behind != EVERYWHERE)
		snprintf(where, sizeof where, "the %s behind packet %u",
			 f->from_server ? "server" : "client", (unsigned int)f->behind + 1);
	if (!json_equal(with, without))
		fail_msg("%s: %s of %s:\n%s\n%s", name, f->kind->name, where,
			 json_dumps(without, JSON_COMPACT), json_dumps(with, JSON_COMPACT));
	json_decref(with);
}

/* With each forgery behind packet @behind, every cut gives the same findings as without. */
static uint32_t forge_behind(uint32_t behind, json_t *proved)
{
	struct forged f = {.behind = behind};
	uint32_t tried = 0;

	write_all(NULL);
	json_t *planned = cut_behind(behind + 1);
	for (size_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
		f.kind = &kinds[i / 2];
		f.from_server = i % 2;
		if (!applies(&f))
			continue;
		write_all(&f);
		assert_same(every_cut(), proved, &f, "http");
		assert_same(cut_behind(behind + 2), planned, &f, "http");
		tried++;
	}
	json_decref(planned);
	return tried;
}

static void test_every_kind_everywhere(void **state)
{
	uint32_t tried = 0;

	converse();
	write_all(NULL);
	json_t *proved = every_cut();
	assert_true(json_integer_value(json_object_get(proved, "exact")) > 10);
	for (uint32_t behind = 0; behind < pieces; behind++)
		tried += forge_behind(behind, proved);
	assert_true(tried > 850);
	json_decref(proved);
}

/* ---- recorded conversations ---- */

static const struct recordings {
	const char *protocol, *folder;
	int files_min;
	long long exact_min; /* at least so many cuts are exact, so that a forgery could spoil
				something */
} recordings[] = {
	{"http", "http/corpus/http-oracle", 45, 400},
	{"smtp", "smtp/corpus/smtp-oracle", 22, 400},
	{"ftp", "ftp/corpus/conversations", 18, 400},
	{"telnet", "telnet/corpus/telnet-oracle", 11, 400},
	{"replay", "replay/corpus/replay-oracle", 13, 100},
};

/* Whether the file is a whole conversation. Some are for fuzzers, with gaps and extra records.
 */
static bool say_recording(const struct recordings *of, const char *name)
{
	static uint8_t file[64 << 10];
	char file_name[512];

	snprintf(file_name, sizeof file_name, "%s/%s/%s", RECORDINGS, of->folder, name);
	FILE *f = fopen(file_name, "rbe");
	assert_non_null(f);
	struct bytes b = bytes_of(file, fread(file, 1, sizeof file, f));
	fclose(f);
	begin("10.9.0.10:40000", "10.9.0.2:21"); /* the addresses in FTP's commands and replies */
	return say_conversation(b, strcmp(of->protocol, "ftp") == 0);
}

/* With a forgery behind each packet, every cut gives the same findings as without. */
static long long forge_all_at_once(const char *name)
{
	struct forged f = {.behind = EVERYWHERE};

	write_all(NULL);
	json_t *proved = every_cut();
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		f.kind = &kinds[i];
		write_all(&f);
		assert_same(every_cut(), proved, &f, name);
		if (f.kind->how == OTHER_MAC)
			assert_true(number("capture.misaddressed") > 0);
	}
	long long exact = json_integer_value(json_object_get(proved, "exact"));
	json_decref(proved);
	return exact;
}

static void test_recorded(void **state)
{
	for (size_t i = 0; i < sizeof recordings / sizeof recordings[0]; i++) {
		const struct recordings *of = &recordings[i];
		long long exact = 0;
		int files = 0;
		char name[512];

		options.protocol = of->protocol;
		snprintf(name, sizeof name, "%s/%s", RECORDINGS, of->folder);
		DIR *d = opendir(name);
		assert_non_null(d);
		for (const struct dirent *e; (e = readdir(d)) != NULL;) {
			if (e->d_name[0] == '.' || !say_recording(of, e->d_name))
				continue;
			exact += forge_all_at_once(e->d_name);
			files++;
		}
		closedir(d);
		assert_true(files >= of->files_min && exact >= of->exact_min);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {CASE(test_every_kind_everywhere), CASE(test_recorded)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
