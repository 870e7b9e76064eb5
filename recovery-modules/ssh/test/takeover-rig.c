/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * takeover-rig LISTEN SERVER RECORDS HOST-KEY HOW AFTER MID
 *
 * A relay between a stock client and a stock sshd. The server dies, and this room goes on in its
 * place. The client's command is cat: what it has said and has not got back is known, so the rest
 * can be said exactly.
 *
 *	LISTEN		a port
 *	SERVER		an IPv4 address and a port, with a colon between them
 *	RECORDS		what keyvault/tap/test/collector.py prints, as it prints it
 *	HOW, AFTER	"data" N: when N bytes of data have come from the server; "packet" N: when N
 *			packets have come after the login
 *	MID		bytes of the next packet that get through; less than 0: all but so many
 *
 * Prints one line of JSON. The status is 0 when the client took its leave in order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/write-all.h"
#include "crypto-rig.h"
#include "jeebs/recovery-module.h"
#include "recovery-modules/ssh/ssh-complete.h"
#include "recovery-modules/ssh/ssh-server.h"

#define STREAM_MAX (64u << 20)
#define WINDOW     (1u << 20)
#define STALL_MS   10000

static struct {
	int fd[2]; /* by direction of what is read: of the client, of the server */
	struct buf in[2];
	struct buf said; /* the client's data, from its first byte on */
	struct ssh_session session;
	struct crypto_rig crypto;
	struct ssh_server server;
	const char *records;
	size_t records_at;
	uint16_t port; /* of our end at the server */
	bool by_data;
	long after, mid;
	uint32_t packets; /* of the server, after the login */
	size_t begun_n;
	bool eof, closing, over;
	uint32_t rekeys, busy;
	const char *state; /* where the cut was */
} rig;

static uint8_t room[SSH_WIRE_MAX], room2[SSH_WIRE_MAX], sealed[SSH_WIRE_MAX],
	begun_room[SSH_WIRE_MAX];

static void die(const char *what)
{
	fprintf(stderr, "takeover-rig: %s (%s)\n", what,
		ssh_reason_word(rig.session.transport.refused));
	exit(2);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static struct bytes unhex(const json_t *o, const char *name, uint8_t *to)
{
	const char *s = json_string_value(json_object_get(o, name));
	size_t n = 0;
	unsigned v;

	for (; s && sscanf(s + 2 * n, "%2x", &v) == 1; n++)
		to[n] = (uint8_t)v;
	return bytes_of(to, n);
}

static void read_record(const char *line)
{
	static const char *const hashes[] = {"", "sha1", "sha256", "sha384", "sha512"};
	static uint8_t k[4096], h[128], id[128];
	json_t *whole = json_loads(line, 0, NULL);
	const json_t *o = json_object_get(whole, "record");
	struct ssh_keys keys = {0};

	/* Of this connection. */
	if (o && json_integer_value(json_array_get(json_object_get(o, "client"), 1)) == rig.port) {
		const char *hash = json_string_value(json_object_get(o, "hash"));

		for (int i = 1; hash && i < 5; i++)
			if (strcmp(hash, hashes[i]) == 0)
				keys.hash = (enum ssh_hash)i;
		keys.k = unhex(o, "k", k);
		keys.h = unhex(o, "h", h);
		keys.session_id = unhex(o, "id", id);
		if (!crypto_rig_add(&rig.crypto, &keys))
			die("too many exchanges");
	}
	json_decref(whole);
}

/* What has come since. */
static void read_records(void)
{
	static char line[32768];
	FILE *f = fopen(rig.records, "r");

	if (!f || fseek(f, (long)rig.records_at, SEEK_SET) != 0)
		die("no records");
	while (fgets(line, sizeof line, f) && strchr(line, '\n')) {
		read_record(line);
		rig.records_at += strlen(line);
	}
	fclose(f);
}

/* ---- the relay ------------------------------------------------------------------------------ */

static void put(int fd, struct bytes b)
{
	if (write_all(fd, b) != 0)
		die("write");
}

static void note_data(uint32_t dir, struct bytes payload)
{
	uint32_t id, code;
	struct bytes data;

	if (dir == JEEBS_TO_SERVER && ssh_channel_data(payload, &id, &code, &data) &&
	    buf_bytes(&rig.said, data) != 0)
		die("too much is said");
	if (dir == JEEBS_TO_CLIENT && rig.session.connection.authenticated)
		rig.packets++;
}

static uint64_t got_back(void)
{
	return rig.session.connection.channel[0].data[JEEBS_TO_CLIENT];
}

static bool is_time(void)
{
	return rig.session.connection.channel[0].program == SSH_PROGRAM_EXEC &&
	       (rig.by_data ? got_back() >= (uint64_t)rig.after
			    : rig.packets >= (uint32_t)rig.after);
}

/* Lets a part of the server's next packet through. False: it is not there yet. */
static bool let_some_through(void)
{
	static struct ssh_session ahead;
	struct ssh_crypto c = crypto_rig_of(&rig.crypto);
	struct bytes b = buf_view(&rig.in[JEEBS_TO_CLIENT]);
	struct ssh_packet p;

	if (rig.mid == 0)
		return true;
	ahead = rig.session;
	if (b.n == 0 ||
	    ssh_session_take(&ahead, &c, JEEBS_TO_CLIENT, b, room, &p) != SSH_TAKEN_PACKET)
		return false;
	long n = rig.mid > 0 ? rig.mid : (long)p.wire_n + rig.mid;

	n = n < 1 ? 1 : n >= (long)p.wire_n ? (long)p.wire_n - 1 : n;
	rig.begun_n = (size_t)n;
	put(rig.fd[JEEBS_TO_SERVER], bytes_head(b, rig.begun_n));
	return true;
}

/* Takes what can be taken of what has come, and passes it on. False: the server dies now. */
static bool relay(uint32_t dir)
{
	struct ssh_crypto c = crypto_rig_of(&rig.crypto);

	for (;;) {
		struct bytes b = buf_view(&rig.in[dir]);
		struct ssh_packet p;

		if (dir == JEEBS_TO_CLIENT && is_time())
			return !let_some_through();
		if (b.n == 0)
			return true;
		switch (ssh_session_take(&rig.session, &c, dir, b, room, &p)) {
		case SSH_TAKEN_PACKET:
			note_data(dir, p.payload);
			/* fall through */
		case SSH_TAKEN_LINE:
			put(rig.fd[1 - dir], bytes_head(b, p.wire_n));
			buf_consume(&rig.in[dir], p.wire_n);
			break;
		case SSH_TAKEN_KEYS:
			read_records();
			return true;
		case SSH_TAKEN_MORE:
			return true;
		default:
			die("it cannot be followed");
		}
	}
}

/* 0: something was read; 1: the end; -1: nothing came. */
static int fill(uint32_t dir, int wait_ms)
{
	struct pollfd p = {rig.fd[dir], POLLIN, 0};

	if (poll(&p, 1, wait_ms) != 1)
		return -1;
	if (buf_reserve(&rig.in[dir], 65536) != 0)
		die("memory");
	ssize_t n = read(rig.fd[dir], rig.in[dir].p + rig.in[dir].n, 65536);

	if (n <= 0)
		return 1;
	rig.in[dir].n += (size_t)n;
	return 0;
}

static void run_relay(void)
{
	int quiet = 0;

	for (;;) {
		struct pollfd p[2] = {{rig.fd[0], POLLIN, 0}, {rig.fd[1], POLLIN, 0}};
		/* Keys that had not come are asked for again. */
		int n = poll(p, 2, 5);

		if (n == 0 && ++quiet > STALL_MS / 5)
			die("nothing happens");
		for (uint32_t dir = 0; dir < 2; dir++) {
			if (p[dir].revents && fill(dir, 0) == 1)
				die("an end before the cut");
			if (!relay(dir))
				return;
		}
		if (n > 0)
			quiet = 0;
	}
}

/* ---- the server that goes on ---------------------------------------------------------------- */

static void send_bytes(void *ctx, struct bytes wire)
{
	(void)ctx;
	/* The client may have gone: what it has said last is still to be read. */
	(void)write_all(rig.fd[JEEBS_TO_SERVER], wire);
}

static void random_cookie(void *ctx, uint8_t cookie[SSH_COOKIE])
{
	(void)ctx;
	if (getrandom(cookie, SSH_COOKIE, 0) != SSH_COOKIE)
		die("random");
}

static int say(struct bytes payload)
{
	int r = ssh_server_say(&rig.server, payload);

	if (r != SSH_SERVER_OK && r != SSH_SERVER_BUSY)
		die("nothing can be said");
	rig.busy += r == SSH_SERVER_BUSY;
	return r;
}

static struct ssh_channel *channel(void)
{
	struct ssh_channel *c = &rig.session.connection.channel[0];

	return c->state == SSH_CHANNEL_OPEN ? c : NULL;
}

/* The oldest request of the client that has no answer. False: nothing can be said now. */
static bool answer_one(void)
{
	const struct ssh_connection *s = &rig.session.connection;
	uint8_t b[5];
	struct writer w = WRITER_IN(b);

	for (size_t i = 0; i < s->request_n; i++) {
		const struct ssh_request *q = &s->request[i];

		if (q->dir != JEEBS_TO_SERVER)
			continue;
		if (q->channel == SSH_NOTE_GLOBAL) {
			writer_u8(&w, SSH_MSG_REQUEST_FAILURE);
		} else {
			writer_u8(&w, q->kind == SSH_REQUEST_OTHER ? SSH_MSG_CHANNEL_FAILURE
								   : SSH_MSG_CHANNEL_SUCCESS);
			writer_u32be(&w, s->channel[q->channel].id[JEEBS_TO_CLIENT]);
		}
		return say(writer_view(&w)) == SSH_SERVER_OK;
	}
	return false;
}

static bool adjust(const struct ssh_channel *c)
{
	uint8_t b[9];
	struct writer w = WRITER_IN(b);

	if (c->window[JEEBS_TO_SERVER] > WINDOW / 2 || c->eof[JEEBS_TO_SERVER])
		return false;
	writer_u8(&w, SSH_MSG_CHANNEL_WINDOW_ADJUST);
	writer_u32be(&w, c->id[JEEBS_TO_CLIENT]);
	writer_u32be(&w, WINDOW);
	return say(writer_view(&w)) == SSH_SERVER_OK;
}

/* What cat has not said yet. */
static struct bytes rest(void)
{
	return bytes_from(buf_view(&rig.said), got_back());
}

static bool say_data(const struct ssh_channel *c)
{
	static uint8_t b[40000];
	struct writer w = WRITER_IN(b);
	struct bytes data = bytes_head(rest(), c->window[JEEBS_TO_CLIENT]);

	data = bytes_head(data, c->max_packet[JEEBS_TO_CLIENT] < 32768
					? c->max_packet[JEEBS_TO_CLIENT]
					: 32768);
	if (data.n == 0)
		return false;
	writer_u8(&w, SSH_MSG_CHANNEL_DATA);
	writer_u32be(&w, c->id[JEEBS_TO_CLIENT]);
	ssh_put_string(&w, data);
	return say(writer_view(&w)) == SSH_SERVER_OK;
}

/* exit-status 0, EOF, CLOSE: one after the other. */
static bool end_one(const struct ssh_channel *c)
{
	uint8_t b[64];
	struct writer w = WRITER_IN(b);

	if (!c->eof[JEEBS_TO_SERVER] || rest().n > 0 || c->closed[JEEBS_TO_CLIENT])
		return false;
	writer_u8(&w, !c->exited                 ? SSH_MSG_CHANNEL_REQUEST
		      : !c->eof[JEEBS_TO_CLIENT] ? SSH_MSG_CHANNEL_EOF
						 : SSH_MSG_CHANNEL_CLOSE);
	writer_u32be(&w, c->id[JEEBS_TO_CLIENT]);
	if (!c->exited) {
		ssh_put_word(&w, "exit-status");
		writer_u8(&w, 0);
		writer_u32be(&w, 0);
	}
	return say(writer_view(&w)) == SSH_SERVER_OK;
}

static void pump(void)
{
	const struct ssh_channel *c;

	while (answer_one())
		;
	while ((c = channel()) && (adjust(c) || say_data(c) || end_one(c)))
		;
}

/* A key exchange that cannot be gone on with: the client is told. */
static const char *farewell(void)
{
	uint8_t b[64];
	struct writer w = WRITER_IN(b);

	writer_u8(&w, SSH_MSG_DISCONNECT);
	writer_u32be(&w, SSH_DISCONNECT_KEY_EXCHANGE_FAILED);
	ssh_put_word(&w, "no method in common");
	ssh_put_word(&w, "");
	(void)ssh_server_say(&rig.server, writer_view(&w));
	return "refused";
}

/* Everything the client has said is dealt with. Returns how it has ended; NULL: it has not. */
static const char *serve(void)
{
	struct ssh_crypto c = crypto_rig_of(&rig.crypto);

	for (;;) {
		struct bytes b = buf_view(&rig.in[JEEBS_TO_SERVER]);
		struct ssh_packet p;

		if (b.n == 0)
			return NULL;
		switch (ssh_session_take(&rig.session, &c, JEEBS_TO_SERVER, b, room2, &p)) {
		case SSH_TAKEN_PACKET:
			note_data(JEEBS_TO_SERVER, p.payload);
			rig.rekeys += p.payload.p[0] == SSH_MSG_NEWKEYS;
			if (p.payload.p[0] == SSH_MSG_DISCONNECT)
				return "farewell";
			buf_consume(&rig.in[JEEBS_TO_SERVER], p.wire_n);
			break;
		case SSH_TAKEN_MORE:
			return NULL;
		default:
			die("the client cannot be understood");
		}
		if (ssh_server_exchange(&rig.server) != SSH_SERVER_OK)
			return farewell();
		pump();
	}
}

static const char *where(void)
{
	const struct ssh_exchange *k = &rig.session.transport.kex;

	if (!ssh_transport_exchanging(&rig.session.transport))
		return "between";
	if (k->newkeys[JEEBS_TO_CLIENT])
		return "newkeys";
	if (k->replied)
		return "replied";
	if (k->client.n)
		return "client-value";
	return k->init[0] && k->init[1] ? "both-inits" : k->init[0] ? "client-init" : "server-init";
}

/* What is half said is finished: with what cat would have said, which may have to come first. */
static bool finish_begun(void)
{
	static uint8_t payload[SSH_WIRE_MAX];
	struct ssh_complete_data data;
	struct writer w = WRITER_IN(payload);
	int r = ssh_complete(&rig.session, &rig.server.sealer.half, &rig.server.begun, BYTES_NONE,
			     &w, &data);

	if (r == SSH_COMPLETE_DATA)
		r = ssh_complete(&rig.session, &rig.server.sealer.half, &rig.server.begun,
				 bytes_from(rest(), data.has), &w, &data);
	if (r != SSH_COMPLETE_OK)
		return false;
	return ssh_server_finish(&rig.server, writer_view(&w)) == SSH_SERVER_OK;
}

/* The collector prints a record behind its answer to the tap: it may be on its way. */
static void wait_for_records(void)
{
	const struct ssh_transport *t = &rig.session.transport;
	/* What the server has said NEWKEYS to, and what it would say it to next. */
	bool next = t->kex.replied && !t->kex.newkeys[JEEBS_TO_CLIENT] &&
		    t->phase[JEEBS_TO_CLIENT] == SSH_PHASE_PACKETS;
	uint32_t needed = t->generation[JEEBS_TO_CLIENT] + next;

	read_records();
	for (int i = 0; rig.crypto.exchange_n < needed; i++) {
		if (i == STALL_MS)
			die("a record does not come");
		poll(NULL, 0, 1);
		read_records();
	}
}

static const char *take_over(void)
{
	struct ssh_server *v = &rig.server;
	static uint8_t begun[SSH_WIRE_MAX];
	const char *how;

	close(rig.fd[JEEBS_TO_CLIENT]);
	rig.state = where();
	wait_for_records();
	memcpy(begun, rig.in[JEEBS_TO_CLIENT].p, rig.begun_n);
	*v = (struct ssh_server){.session = &rig.session,
				 .crypto = crypto_rig_of(&rig.crypto),
				 .room = room,
				 .sealed = sealed,
				 .send = send_bytes,
				 .cookie = random_cookie};
	if (ssh_server_init(v, bytes_of(begun, rig.begun_n), begun_room) != SSH_SERVER_OK)
		return "not taken over";
	if (ssh_server_half_said(v) && !finish_begun())
		return "refused";
	if (ssh_server_exchange(v) != SSH_SERVER_OK)
		return farewell();
	pump();
	while (!(how = serve()))
		switch (fill(JEEBS_TO_SERVER, STALL_MS)) {
		case -1:
			return "stalls";
		case 1:
			return "gone";
		default:
			break;
		}
	return how;
}

/* ---- the ends ------------------------------------------------------------------------------- */

static int client_of(const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof a) != 0 || listen(l, 1) != 0)
		die("listen");
	puts("listening");
	fflush(stdout);
	int fd = accept(l, NULL, NULL);

	close(l);
	return fd;
}

static int server_of(const char *address)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char host[64];
	unsigned port = 0;

	if (fd < 0 || sscanf(address, "%63[0-9.]:%u", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("address");
	a.sin_port = htons((uint16_t)port);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
		die("connect");
	socklen_t n = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		die("address");
	rig.port = ntohs(a.sin_port);
	return fd;
}

static void load_host_key(const char *path)
{
	uint8_t text[16384];
	FILE *f = fopen(path, "rb");
	size_t n = f ? fread(text, 1, sizeof text, f) : 0;

	if (f)
		fclose(f);
	if (ssh_host_key_read(bytes_of(text, n), &rig.crypto.host_key[0]) != SSH_HOST_KEY_OK)
		die("no host key");
	rig.crypto.host_key_n = 1;
}

int main(int argc, char **argv)
{
	if (argc != 8 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return 2;
	for (int i = 0; i < 2; i++)
		rig.in[i] = BUF_INIT(STREAM_MAX);
	rig.said = BUF_INIT(STREAM_MAX);
	rig.records = argv[3];
	load_host_key(argv[4]);
	rig.by_data = strcmp(argv[5], "data") == 0;
	rig.after = atol(argv[6]);
	rig.mid = atol(argv[7]);
	ssh_session_init(&rig.session);
	rig.fd[JEEBS_TO_SERVER] = client_of(argv[1]);
	rig.fd[JEEBS_TO_CLIENT] = server_of(argv[2]);
	run_relay();
	const char *how = take_over();

	printf("{\"end\": \"%s\", \"cut\": \"%s\", \"begun\": %zu, \"sealed\": "
	       "%llu, "
	       "\"twice\": %llu, \"rekeys\": %u, \"strict\": %s, \"cipher\": \"%s\"}\n",
	       how, rig.state, rig.begun_n, (unsigned long long)rig.crypto.sealed,
	       (unsigned long long)rig.crypto.twice, rig.rekeys,
	       rig.session.transport.strict ? "true" : "false",
	       ssh_suite_cipher(&rig.session.transport.half[1].suite));
	return strcmp(how, "farewell") == 0 ? 0 : 1;
}
