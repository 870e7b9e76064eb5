/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A command is answered as it was in the recording: the one that comes next there, if it is the
 * same, and otherwise any like it, asked from the same place with the same settings. Files and
 * listings are those that were recorded from their beginning to their end. What an upload holds
 * must be what was recorded. Passive ports are made up.
 */
#include "ftp-oracle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "oracle-talk.h"

#define INPUT_MAX    (1u << 20)
#define UPLOAD_MAX   (512u << 20)
#define PASSIVE_PORT 30000u
#define PIECE        16384u

struct link;

/* A data connection of the box. */
struct end {
	bool is_main; /* false: as in struct link */
	struct link *link;
	uint16_t port;
	struct bytes content; /* bytes to be sent */
	size_t sent;
	bool sending, receiving, over;
	struct buf got; /* bytes that came */
	bool eof;
	struct end *next;
};

/* A control connection of the box. */
struct link {
	bool is_main;
	const struct talk *talk;
	struct buf in;
	bool greeted, unknown, quit;
	size_t next; /* index of the exchange that the client does next */
	char directory[TALK_PATH_MAX];
	char type;
	uint64_t rest;
	uint16_t ports; /* number of ports invented so far */
	uint16_t listening;
	bool made_up; /* that port was; the box has use for data of its own */
	const struct talk_exchange *transfer; /* the current transfer */
	bool begun;                           /* its 1xx was sent */
	bool done, differs;                   /* its data has passed; the data differed */
	struct end *ends;
	/* During receive(): */
	int (*answer)(void *ctx, struct jeebs_bytes b);
	void *ctx;
};

static int say(struct link *l, struct bytes b)
{
	return b.n ? l->answer(l->ctx, (struct jeebs_bytes){b.p, b.n}) : 0;
}

/* As the server did: a word before the answer is said to any command. */
static int say_reply(struct link *l, const struct talk_exchange *e)
{
	int r = say(l, e->before);

	return r < 0 ? r : say(l, e->final);
}

static void *oracle_open(const struct jeebs_service *svc)
{
	struct talk *t = malloc(sizeof *t);

	(void)svc;
	if (t)
		talk_init(t);
	return t;
}

static void oracle_close(void *oracle)
{
	struct talk *t = oracle;

	if (t)
		talk_deinit(t);
	free(t);
}

static int oracle_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	struct talk *t = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	if (dir == JEEBS_TO_SERVER && !t->spoken) {
		t->spoken = true;
		t->unbidden = t->said[JEEBS_TO_CLIENT].n;
	}
	if (t->broken[dir] || off != t->said[dir].n) {
		t->broken[dir] = true;
		return 0;
	}
	if (dir == JEEBS_TO_CLIENT && talk_turn(t) < 0)
		return -ENOMEM;
	return buf_append(&t->said[dir], b.p, b.n);
}

static int oracle_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	struct talk *t = oracle;

	(void)from;
	(void)to;
	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	t->broken[dir] = true;
	return 0;
}

static int oracle_fin(void *oracle, uint32_t dir, uint64_t off)
{
	(void)oracle;
	(void)dir;
	(void)off;
	return 0;
}

static int oracle_related(void *oracle, const struct jeebs_expect *who, uint32_t dir,
			  struct jeebs_bytes b, int fin)
{
	struct talk *t = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	struct talk_data *d = talk_connection(t, who->server_port, who->client_port);
	if (!d)
		return -ENOMEM;
	d->fin[dir] |= fin;
	return buf_append(&d->bytes[dir], b.p, b.n);
}

static int oracle_asks_related(void *oracle, const struct jeebs_expect *who)
{
	const struct talk *t = oracle;
	size_t named = 0, made = 0;
	bool used = false;

	for (size_t i = 0; i < t->n; i++)
		named += t->exchanges[i].port == who->server_port;
	for (size_t i = 0; i < t->data_n; i++) {
		made += t->data[i].server_port == who->server_port;
		used |= t->data[i].server_port == who->server_port &&
			t->data[i].client_port == who->client_port && t->data[i].used;
	}
	/* Of a port that was named more often nobody knows which time it was. */
	return used && named <= made;
}

static int oracle_learned(void *oracle, uint64_t *ret_unasked)
{
	struct talk *t = oracle;
	int r = talk_take_apart(t);

	/*
	 * The box answers PORT and EPRT itself, in the words of the server. Nobody can know them
	 * before the server has used them.
	 */
	*ret_unasked = t->active < t->unasked ? t->active : t->unasked;
	return r;
}

static void *oracle_connect(void *oracle, const struct jeebs_cut *cut)
{
	const struct talk *t = oracle;
	struct link *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->is_main = true;
	l->talk = t;
	l->in = BUF_INIT(INPUT_MAX);
	l->type = 'A';
	strcpy(l->directory, "/");
	while (l->next < t->n && t->exchanges[l->next].final.n > 0 &&
	       t->exchanges[l->next].at <= cut->to_client_end)
		l->next++;
	return l;
}

static void free_end(struct end *e)
{
	buf_deinit(&e->got);
	free(e);
}

static void settle(struct link *l, struct end *e);

static void oracle_disconnect(void *connection)
{
	struct link *l = connection;
	struct end *e = connection;

	if (!l)
		return;
	if (!l->is_main) {
		settle(e->link, e);
		for (struct end **p = &e->link->ends; *p; p = &(*p)->next) {
			if (*p == e) {
				*p = e->next;
				break;
			}
		}
		free_end(e);
		return;
	}
	while (l->ends) {
		e = l->ends;
		l->ends = e->next;
		free_end(e);
	}
	buf_deinit(&l->in);
	free(l);
}

static void *oracle_connect_related(void *connection, uint16_t port)
{
	struct link *l = connection;

	if (!l->listening || port != l->listening)
		return NULL;
	struct end *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	*e = (struct end){.link = l, .port = port, .got = BUF_INIT(UPLOAD_MAX), .next = l->ends};
	l->ends = e;
	l->listening = 0;
	return e;
}

/* ---- what the recording tells ---- */

static bool same_line(struct bytes a, struct bytes b)
{
	return bytes_eq(a, b);
}

/* Whether the answer depends on the directory. */
static bool of_a_place(struct bytes line)
{
	static const char *const verbs[] = {"SIZE", "MDTM", "MLST", "PWD",  "CWD",  "CDUP", "STAT",
					    "DELE", "RMD",  "MKD",  "RNFR", "RNTO", NULL};

	for (const char *const *v = verbs; *v; v++) {
		if (talk_is(line, *v))
			return true;
	}
	return talk_downloads(line) || talk_uploads(line);
}

/* Finds the recorded exchange of a line; the next one comes first. */
static const struct talk_exchange *find(struct link *l, struct bytes line)
{
	const struct talk *t = l->talk;
	char path[TALK_PATH_MAX];

	talk_resolve(l->directory, talk_argument(line), path);
	if (l->next < t->n && same_line(t->exchanges[l->next].line, line))
		return &t->exchanges[l->next++];
	for (size_t i = 0; i < t->n; i++) {
		const struct talk_exchange *e = &t->exchanges[i];
		if (e->final.n > 0 && same_line(e->line, line) &&
		    (!of_a_place(line) || strcmp(e->path, path) == 0))
			return e;
	}
	return NULL;
}

/*
 * Finds the next exchange with this line. The exchanges in between may be missing here, because the
 * box answers them itself (PORT, the end of a delivered transfer).
 */
static const struct talk_exchange *ahead(const struct link *l, struct bytes line)
{
	for (size_t i = l->next; i < l->talk->n; i++) {
		if (same_line(l->talk->exchanges[i].line, line))
			return &l->talk->exchanges[i];
	}
	return NULL;
}

/* The next that is told a port: the box leaves out what the client wishes for (RFC 2428). */
static const struct talk_exchange *ahead_passive(const struct link *l, struct bytes line)
{
	for (size_t i = l->next; i < l->talk->n; i++) {
		const struct talk_exchange *e = &l->talk->exchanges[i];
		bool same = talk_is(line, "EPSV") && talk_is(e->line, "EPSV") && e->port;
		if (same || same_line(e->line, line))
			return e;
	}
	return NULL;
}

/* Moves on: no exchange before @e can come any more. */
static void move_behind(struct link *l, const struct talk_exchange *e)
{
	l->next = (size_t)(e - l->talk->exchanges) + 1;
}

static bool complete(const struct talk *t, const struct talk_exchange *e)
{
	return e->data >= 0 && e->code / 100 == 2 && t->data[e->data].fin[JEEBS_TO_CLIENT];
}

/*
 * Gets what @e transfers when it begins at l->rest. Returns false when the recording does not tell.
 */
static bool content(const struct link *l, const struct talk_exchange *e, struct bytes *ret)
{
	const struct talk *t = l->talk;
	bool file = talk_is(e->line, "RETR");

	for (size_t i = 0; i < t->n; i++) {
		const struct talk_exchange *o = &t->exchanges[i];
		if (!complete(t, o) || strcmp(o->path, e->path) != 0 || o->type != l->type ||
		    talk_is(o->line, "RETR") != file || o->rest > l->rest ||
		    !talk_downloads(o->line) || (!file && !same_line(o->line, e->line)))
			continue;
		struct bytes all = buf_view(&t->data[o->data].bytes[JEEBS_TO_CLIENT]);
		if (l->rest - o->rest > all.n)
			continue;
		*ret = bytes_from(all, (size_t)(l->rest - o->rest));
		return true;
	}
	return false;
}

/* ---- answers ---- */

static int unknown(struct link *l)
{
	l->unknown = true;
	return 0;
}

static int passive(struct link *l, struct bytes line)
{
	char out[128];
	uint16_t port = (uint16_t)(PASSIVE_PORT + l->ports++);
	bool extended = talk_is(line, "EPSV");
	const struct talk_exchange *e = ahead_passive(l, line);

	/*
	 * It is the client's command, as recorded. Or it is the box's own EPSV, where the number
	 * does not matter: what it is for shows later.
	 */
	if (e && (!extended || e == &l->talk->exchanges[l->next]))
		move_behind(l, e);
	if (e && e->final.n == 0)
		return unknown(l);
	l->made_up = !e;
	if (e && e->port)
		l->listening = e->port;
	if (e)
		return say_reply(l, e);
	/* It is the box's own command: answered in the words of the server. */
	for (size_t i = 0; !e && i < l->talk->n; i++) {
		const struct talk_exchange *o = &l->talk->exchanges[i];
		if (o->code == (extended ? 229u : 227u))
			e = o;
	}
	l->listening = port;
	const char *open = e ? memchr(e->final.p, '(', e->final.n) : NULL;
	const char *shut = e ? memchr(e->final.p, ')', e->final.n) : NULL;
	if (open && shut > open)
		snprintf(out, sizeof out, "%.*s",
			 (int)((size_t)(open - (const char *)e->final.p) < 64
				       ? open - (const char *)e->final.p
				       : 64),
			 (const char *)e->final.p);
	else
		snprintf(out, sizeof out, "%s", extended ? "229 Passive " : "227 Passive ");
	size_t n = strlen(out);
	if (extended)
		n += (size_t)snprintf(out + n, sizeof out - n, "(|||%u|)", port);
	else
		n += (size_t)snprintf(out + n, sizeof out - n, "(10,0,0,2,%u,%u)", port >> 8,
				      port & 255u);
	int r = say(l, bytes_of(out, n));
	if (r < 0)
		return r;
	if (open && shut > open)
		return say(l, bytes_from(e->final, (size_t)(shut - (const char *)e->final.p) + 1));
	return say(l, bytes_str("\r\n"));
}

static int file_size(struct link *l, struct bytes line)
{
	const struct talk_exchange *e = find(l, line);
	struct talk_exchange file = {.line = bytes_str("RETR x")};
	struct bytes all;
	char out[32];

	if (e)
		return e->final.n ? say_reply(l, e) : unknown(l);
	talk_resolve(l->directory, talk_argument(line), file.path);
	struct link whole = *l;
	whole.rest = 0;
	if (!content(&whole, &file, &all))
		return unknown(l);
	snprintf(out, sizeof out, "213 %zu\r\n", all.n);
	return say(l, bytes_str(out));
}

static struct end *data_end(struct link *l)
{
	for (struct end *e = l->ends; e; e = e->next) {
		if (!e->over)
			return e;
	}
	return NULL;
}

static int begin_transfer(struct link *l, struct bytes line)
{
	const struct talk_exchange *e = ahead(l, line);
	struct bytes all;

	if (e)
		move_behind(l, e);
	else
		e = find(l, line);
	if (!e)
		return unknown(l);
	if (e->code / 100 != 2 && e->before.n == 0)
		return e->final.n ? say(l, e->final) : unknown(l);
	/* The recording lacks the data of this transfer. Nothing can be proved about that data,
	 * but about everything else. */
	if (e->data < 0 && e->code / 100 == 2)
		return l->made_up ? unknown(l) : say_reply(l, e);
	if (talk_downloads(line)
		    ? !content(l, e, &all)
		    : !complete(l->talk, e) || e->rest != l->rest || e->type != l->type)
		return unknown(l);
	/* What the server says to who has not told where to, nobody knows. */
	if (!l->listening && !data_end(l))
		return unknown(l);
	l->transfer = e;
	l->begun = false;
	return 0;
}

static bool session_command(struct bytes line)
{
	static const char *const verbs[] = {"USER", "PASS", "TYPE", "MODE", "STRU", "CWD",
					    "CDUP", "CUP",  "OPTS", "CLNT", "RNFR", NULL};

	for (const char *const *v = verbs; *v; v++) {
		if (talk_is(line, *v))
			return true;
	}
	return false;
}

static void remember(struct link *l, struct bytes line, unsigned code)
{
	if (code / 100 != 2)
		return;
	if (talk_is(line, "CWD"))
		talk_resolve(l->directory, talk_argument(line), l->directory);
	else if (talk_is(line, "CDUP") || talk_is(line, "CUP"))
		talk_resolve(l->directory, bytes_str(".."), l->directory);
	else if (talk_is(line, "TYPE") && talk_argument(line).n > 0)
		l->type = (char)(talk_argument(line).p[0] & ~0x20);
}

static int command(struct link *l, struct bytes line)
{
	if (talk_is(line, "EPSV") || talk_is(line, "PASV"))
		return passive(l, line);
	if (talk_is(line, "SIZE"))
		return file_size(l, line);
	if (talk_is(line, "REST") && talk_argument(line).n > 0) {
		const struct talk_exchange *e = find(l, line);
		l->rest = strtoull((const char *)talk_argument(line).p, NULL, 10);
		if (e && e->final.n == 0)
			return unknown(l);
		return e ? say_reply(l, e) : say(l, bytes_str("350 Restarting.\r\n"));
	}
	if (talk_downloads(line) || talk_uploads(line))
		return begin_transfer(l, line);
	const struct talk_exchange *e = find(l, line);
	if (!e || e->final.n == 0)
		return unknown(l);
	if (session_command(line))
		remember(l, line, e->code);
	l->quit = talk_is(line, "QUIT");
	return say_reply(l, e);
}

static int read_commands(struct link *l)
{
	int r = 0;

	while (r == 0 && !l->unknown && !l->quit && !l->transfer) {
		const char *end = l->in.n ? memchr(l->in.p, '\n', l->in.n) : NULL;
		if (!end)
			return 0;
		size_t n = (size_t)(end - (const char *)l->in.p) + 1;
		char line[TALK_PATH_MAX];
		size_t len = n;
		while (len > 0 && (l->in.p[len - 1] == '\n' || l->in.p[len - 1] == '\r'))
			len--;
		if (len >= sizeof line)
			return unknown(l);
		memcpy(line, l->in.p, len);
		line[len] = 0;
		buf_consume(&l->in, n);
		r = command(l, bytes_of(line, len));
	}
	return r;
}

/* ---- transfers ---- */

/* Handles the end of the data connection's part of a transfer. */
static void settle(struct link *l, struct end *e)
{
	const struct talk_exchange *x = l->transfer;

	if (!x || !l->begun || l->done || e->over || (!e->sending && !e->receiving))
		return;
	if (e->receiving ? !e->eof : e->sent < e->content.n)
		return;
	e->over = true;
	l->done = true;
	l->differs =
		e->receiving && !bytes_eq(buf_view(&e->got),
					  buf_view(&l->talk->data[x->data].bytes[JEEBS_TO_SERVER]));
}

/* Handles the control connection's part of a transfer. */
static int transfer(struct link *l)
{
	const struct talk_exchange *x = l->transfer;
	struct end *e = data_end(l);

	if (!x)
		return 0;
	if (!l->begun) {
		if (!e)
			return 0;
		l->begun = true;
		l->done = false;
		e->receiving = talk_uploads(x->line);
		e->sending = !e->receiving && content(l, x, &e->content);
		return say(l, x->before);
	}
	if (e)
		settle(l, e);
	if (!l->done)
		return 0;
	l->transfer = NULL;
	l->rest = 0;
	return say(l, l->differs ? bytes_str("553 Not what was uploaded.\r\n") : x->final);
}

static int receive_main(struct link *l, struct jeebs_bytes b)
{
	int r = 0;

	if (!l->greeted) {
		l->greeted = true;
		if (l->next == 0)
			l->next = 1;
		r = say_reply(l, &l->talk->exchanges[0]);
	}
	if (r == 0 && b.n > 0)
		r = buf_append(&l->in, b.p, b.n);
	if (r == 0)
		r = transfer(l);
	return r == 0 ? read_commands(l) : r;
}

/* The recording is of another protocol, of which only the beginning is known. */
static int receive_foreign(struct link *l, struct jeebs_bytes b)
{
	if (l->greeted)
		return b.n > 0 ? unknown(l) : 0;
	l->greeted = true;
	return say(l, bytes_head(buf_view(&l->talk->said[JEEBS_TO_CLIENT]), l->talk->unbidden));
}

static int receive_data(struct end *e, struct jeebs_bytes b, int eof, uint32_t *ret_state)
{
	int r = buf_append(&e->got, b.p, b.n);

	e->eof |= eof != 0;
	if (r == 0 && e->sending && e->sent < e->content.n) {
		struct bytes piece = bytes_head(bytes_from(e->content, e->sent), PIECE);
		e->sent += piece.n;
		r = say(e->link, piece);
	}
	if (e->over || (e->sending && e->sent == e->content.n) || (e->receiving && e->eof))
		*ret_state = JEEBS_ORACLE_CLOSE;
	return r;
}

static int oracle_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	struct link *l = connection;
	struct end *e = connection;
	struct link *of = l->is_main ? l : e->link;
	int r;

	of->answer = answer;
	of->ctx = ctx;
	*ret_state = JEEBS_ORACLE_OPEN;
	if (!l->is_main)
		return receive_data(e, b, eof, ret_state);
	if (!l->talk->foreign && (l->talk->n == 0 || l->talk->exchanges[0].final.n == 0)) {
		*ret_state = JEEBS_ORACLE_UNKNOWN;
		return 0;
	}
	r = l->talk->foreign ? receive_foreign(l, b) : receive_main(l, b);
	if (l->unknown)
		*ret_state = JEEBS_ORACLE_UNKNOWN;
	else if (l->quit || eof)
		*ret_state = JEEBS_ORACLE_CLOSE;
	return r;
}

const struct jeebs_oracle ftp_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "ftp",
	.open = oracle_open,
	.data = oracle_data,
	.gap = oracle_gap,
	.fin = oracle_fin,
	.learned = oracle_learned,
	.connect = oracle_connect,
	.receive = oracle_receive,
	.disconnect = oracle_disconnect,
	.close = oracle_close,
	.related = oracle_related,
	.connect_related = oracle_connect_related,
	.asks_related = oracle_asks_related,
};

JEEBS_ORACLE_EXPORT(ftp_oracle);
