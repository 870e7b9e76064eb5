/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-talk.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SAID_MAX (64u << 20)
#define DATA_MAX (512u << 20)

void talk_init(struct talk *t)
{
	*t = (struct talk){.said = {BUF_INIT(SAID_MAX), BUF_INIT(SAID_MAX)},
			   .active = UINT64_MAX,
			   .unasked = UINT64_MAX};
}

void talk_deinit(struct talk *t)
{
	for (size_t i = 0; i < t->data_n; i++) {
		buf_deinit(&t->data[i].bytes[0]);
		buf_deinit(&t->data[i].bytes[1]);
	}
	free(t->data);
	free(t->turns);
	free(t->exchanges);
	buf_deinit(&t->said[0]);
	buf_deinit(&t->said[1]);
}

struct talk_data *talk_connection(struct talk *t, uint16_t server_port, uint16_t client_port)
{
	for (size_t i = 0; i < t->data_n; i++) {
		if (t->data[i].server_port == server_port && t->data[i].client_port == client_port)
			return &t->data[i];
	}
	if (t->data_n == t->data_cap) {
		size_t cap = t->data_cap ? 2 * t->data_cap : 8;
		struct talk_data *more = reallocarray(t->data, cap, sizeof *more);
		if (!more)
			return NULL;
		t->data = more;
		t->data_cap = cap;
	}
	struct talk_data *d = &t->data[t->data_n++];
	*d = (struct talk_data){.server_port = server_port,
				.client_port = client_port,
				.bytes = {BUF_INIT(DATA_MAX), BUF_INIT(DATA_MAX)}};
	return d;
}

int talk_turn(struct talk *t)
{
	size_t heard = t->said[JEEBS_TO_SERVER].n;

	if (t->turn_n > 0 && t->turns[t->turn_n - 1].heard == heard)
		return 0;
	if (t->turn_n == t->turn_cap) {
		size_t cap = t->turn_cap ? 2 * t->turn_cap : 32;
		struct talk_turn *more = reallocarray(t->turns, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		t->turns = more;
		t->turn_cap = cap;
	}
	t->turns[t->turn_n++] = (struct talk_turn){t->said[JEEBS_TO_CLIENT].n, heard};
	return 0;
}

/* How much the client had said when the server said the byte at @at. */
static size_t heard_at(const struct talk *t, size_t at)
{
	size_t i = t->turn_n;

	while (i > 0 && t->turns[i - 1].from > at)
		i--;
	return i > 0 ? t->turns[i - 1].heard : 0;
}

/* The line at @at with its line feed; empty: there is none. */
static struct bytes line_at(struct bytes b, size_t at)
{
	struct bytes rest = bytes_from(b, at);
	const uint8_t *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

	return end ? bytes_head(rest, (size_t)(end - rest.p) + 1) : BYTES_NONE;
}

static bool has_code(struct bytes line)
{
	return line.n > 3 && isdigit(line.p[0]) && isdigit(line.p[1]) && isdigit(line.p[2]);
}

/* The reply at @at; empty: it is not complete. A line that is no reply is one of code 0. */
static struct bytes reply_at(struct bytes b, size_t at, unsigned *ret_code)
{
	struct bytes line = line_at(b, at), first = line;
	size_t end = at;

	*ret_code = 0;
	if (!has_code(first))
		return first;
	while (line.n >= 4) {
		end += line.n;
		bool last = memcmp(line.p, first.p, 3) == 0 && !(line.p[3] == '-');
		if (last && (line.p[3] == ' ' || line.p[3] == '\r' || line.p[3] == '\n')) {
			*ret_code = (unsigned)atoi((const char *)first.p);
			return bytes_of(b.p + at, end - at);
		}
		line = line_at(b, end);
	}
	return BYTES_NONE;
}

bool talk_is(struct bytes line, const char *verb)
{
	size_t n = strlen(verb);

	if (line.n > 0 && toupper(line.p[0]) == 'X' && line.n > n && n == 3)
		line = bytes_from(line, 1);
	return line.n >= n && strncasecmp((const char *)line.p, verb, n) == 0 &&
	       (line.n == n || line.p[n] == ' ');
}

struct bytes talk_argument(struct bytes line)
{
	const char *space = line.n ? memchr(line.p, ' ', line.n) : NULL;

	return space ? bytes_from(line, (size_t)(space - (const char *)line.p) + 1) : BYTES_NONE;
}

static bool one_of(struct bytes line, const char *const *verbs)
{
	for (; *verbs; verbs++) {
		if (talk_is(line, *verbs))
			return true;
	}
	return false;
}

bool talk_downloads(struct bytes line)
{
	static const char *const verbs[] = {"RETR", "LIST", "NLST", "MLSD", NULL};

	return one_of(line, verbs);
}

bool talk_uploads(struct bytes line)
{
	static const char *const verbs[] = {"STOR", "APPE", "STOU", NULL};

	return one_of(line, verbs);
}

void talk_resolve(const char *directory, struct bytes path, char out[static TALK_PATH_MAX])
{
	char full[2 * TALK_PATH_MAX], *save = NULL, built[TALK_PATH_MAX] = "";

	snprintf(full, sizeof full, "%s/%.*s", path.n > 0 && path.p[0] == '/' ? "" : directory,
		 (int)(path.n < TALK_PATH_MAX ? path.n : TALK_PATH_MAX), (const char *)path.p);
	for (char *part = strtok_r(full, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		size_t n = strlen(built);
		if (strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			char *up = strrchr(built, '/');
			if (up)
				*up = 0;
		} else if (n + strlen(part) + 2 < sizeof built) {
			built[n] = '/';
			strcpy(built + n + 1, part);
		}
	}
	memcpy(out, built[0] ? built : "/", strlen(built[0] ? built : "/") + 1);
}

/* Removes Telnet's commands and the line end. Empty: there was nothing else. */
static struct bytes clean(struct bytes line)
{
	while (line.n >= 2 && line.p[0] == 0xff)
		line = bytes_from(line, 2);
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r' ||
			      line.p[line.n - 1] == 0xff))
		line.n--;
	return line;
}

/* The state between two commands. */
struct state {
	char directory[TALK_PATH_MAX];
	char type;
	uint64_t rest;
	uint16_t passive, active;
};

static struct talk_exchange *add(struct talk *t, struct bytes line, const struct state *s)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 32;
		struct talk_exchange *more = reallocarray(t->exchanges, cap, sizeof *more);
		if (!more)
			return NULL;
		t->exchanges = more;
		t->cap = cap;
	}
	struct talk_exchange *e = &t->exchanges[t->n++];
	*e = (struct talk_exchange){.line = line, .type = s->type, .rest = s->rest, .data = -1};
	talk_resolve(s->directory, talk_argument(line), e->path);
	return e;
}

/* RFC 2428 section 3: (<d><d><d><port><d> */
static uint16_t extended_port(struct bytes b)
{
	const uint8_t *open = memchr(b.p, '(', b.n);
	size_t at = open ? (size_t)(open - b.p) + 1 : b.n;
	unsigned port = 0, digits = 0;

	if (b.n - at < 6 || b.p[at + 1] != b.p[at] || b.p[at + 2] != b.p[at])
		return 0;
	uint8_t d = b.p[at];
	for (at += 3; at < b.n && isdigit(b.p[at]) && digits < 5; at++, digits++)
		port = port * 10 + (unsigned)(b.p[at] - '0');
	return at < b.n && b.p[at] == d && port < 65536 ? (uint16_t)port : 0;
}

static uint16_t last_number(struct bytes b, char behind)
{
	size_t end = b.n;

	while (end > 0 && !isdigit(b.p[end - 1]))
		end--;
	size_t from = end;
	while (from > 0 && isdigit(b.p[from - 1]))
		from--;
	return from > 0 && (behind == 0 || b.p[from - 1] == behind)
		       ? (uint16_t)atoi((const char *)b.p + from)
		       : 0;
}

/* Reads the two numbers at the end of h1,h2,h3,h4,p1,p2. */
static uint16_t pair_of_numbers(struct bytes b)
{
	unsigned v[6] = {0};
	size_t at = 4, i = 0;

	while (at < b.n && !isdigit(b.p[at]))
		at++;
	for (; at < b.n && i < 6; i++) {
		v[i] = 0;
		for (; at < b.n && isdigit(b.p[at]); at++)
			v[i] = v[i] < 1000 ? v[i] * 10 + (unsigned)(b.p[at] - '0') : v[i];
		if (v[i] > 255)
			return 0;
		if (at < b.n && b.p[at] != ',')
			return i == 5 ? (uint16_t)(v[4] * 256 + v[5]) : 0;
		at++;
	}
	return i == 6 ? (uint16_t)(v[4] * 256 + v[5]) : 0;
}

static int find_data(struct talk *t, const struct state *s)
{
	for (size_t i = 0; i < t->data_n; i++) {
		struct talk_data *d = &t->data[i];
		if (!d->used && ((s->passive && d->server_port == s->passive) ||
				 (s->active && d->client_port == s->active))) {
			d->used = true;
			return (int)i;
		}
	}
	return -1;
}

static void move_on(struct talk *t, struct state *s, struct talk_exchange *e)
{
	bool ok = e->code / 100 == 2;

	if (talk_downloads(e->line) || talk_uploads(e->line)) {
		e->data = find_data(t, s);
		s->rest = 0;
		s->passive = 0;
	} else if (talk_is(e->line, "REST") && e->code == 350 && talk_argument(e->line).n > 0) {
		s->rest = strtoull((const char *)talk_argument(e->line).p, NULL, 10);
	} else if (!ok) {
		return;
	} else if (talk_is(e->line, "PASV")) {
		s->passive = e->port = e->code == 227 ? pair_of_numbers(e->final) : 0;
		s->active = 0;
	} else if (talk_is(e->line, "EPSV")) {
		s->passive = e->port = e->code == 229 ? extended_port(e->final) : 0;
		s->active = 0;
	} else if (talk_is(e->line, "PORT")) {
		s->active = pair_of_numbers(e->line);
		s->passive = 0;
	} else if (talk_is(e->line, "EPRT")) {
		s->active = last_number(e->line, 0);
		s->passive = 0;
	} else if (talk_is(e->line, "CWD")) {
		memcpy(s->directory, e->path, sizeof s->directory);
	} else if (talk_is(e->line, "CDUP") || talk_is(e->line, "CUP")) {
		talk_resolve(s->directory, bytes_str(".."), s->directory);
	} else if (talk_is(e->line, "TYPE") && talk_argument(e->line).n > 0) {
		s->type = (char)toupper(talk_argument(e->line).p[0]);
	}
}

/* Whether the server begins with something that is no reply. */
static bool is_foreign(const struct talk *t)
{
	struct bytes b = bytes_head(buf_view(&t->said[JEEBS_TO_CLIENT]), 3);

	for (size_t i = 0; i < b.n; i++) {
		if (!isdigit(b.p[i]))
			return true;
	}
	return false;
}

int talk_take_apart(struct talk *t)
{
	struct bytes client = buf_view(&t->said[JEEBS_TO_SERVER]);
	struct bytes server = buf_view(&t->said[JEEBS_TO_CLIENT]);
	struct state s = {.type = 'A', .directory = "/"};
	size_t asked = 0, answered = 0, unasked = SIZE_MAX;
	struct bytes line = BYTES_NONE;

	for (bool greeting = true;; greeting = false) {
		struct bytes raw = greeting ? BYTES_NONE : line_at(client, asked);
		asked += raw.n;
		line = clean(raw);
		if (!greeting && raw.n == 0)
			break;
		if (!greeting && line.n == 0)
			continue;
		struct talk_exchange *e = add(t, line, &s);
		if (!e)
			return -ENOMEM;
		unsigned code = 0;
		struct bytes reply = reply_at(server, answered, &code);
		e->before = bytes_of(server.p ? server.p + answered : NULL, 0);
		while (reply.n > 0 && code / 100 == 1) {
			e->before.n += reply.n;
			answered += reply.n;
			reply = reply_at(server, answered, &code);
		}
		/* Said before the command was whole. */
		if (e->before.n + reply.n > 0 && heard_at(t, answered - e->before.n) < asked &&
		    unasked == SIZE_MAX)
			unasked = answered - e->before.n;
		e->final = reply;
		e->code = reply.n ? code : 0;
		answered += reply.n;
		e->at = answered;
		if (t->active == UINT64_MAX && e->code == 200 &&
		    (talk_is(line, "PORT") || talk_is(line, "EPRT")))
			t->active = answered - e->final.n + 4;
		move_on(t, &s, e);
	}
	t->foreign = is_foreign(t);
	t->unasked = answered < server.n && line_at(server, answered).n ? answered : UINT64_MAX;
	if (unasked < t->unasked)
		t->unasked = unasked;
	return 0;
}
