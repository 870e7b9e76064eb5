/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tally: a small server with a memory, and how it goes on with the connections of another one
 * of its kind by jeebs-adopt(3).
 *
 *	tally --listen PORT	serves
 *	tally --adopt SOCKET	goes on with what the box hands over
 *	tally --offline		standard input to standard output: what a client should get
 *	tally --refuse SOCKET	refuses all, for tests; --hang SOCKET answers nobody
 *
 * Each line of the client is answered with its number and a checksum of everything the client
 * has said so far. "dump N" is answered with N lines more, made of that checksum.
 *
 * To adopt is to hear again all that the client has said, and to throw away as many bytes of the
 * answers as the old server had sent. Where its bytes were kept they are compared first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <jeebs/adopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SESSIONS_MAX 512
#define LINE_MAX_    1000
#define OUT_MAX      65536
#define ANSWER_MAX   64 /* the longest line of ours */

/* ---- the protocol, without a socket -------------------------------------------------------- */

struct tally {
	uint64_t lines, sum;
	uint64_t dump_left, dump_at; /* of the dump under way */
	char line[LINE_MAX_ + 1];
	size_t line_n;
	char out[OUT_MAX]; /* said, not yet sent */
	size_t out_n;
};

static void tally_init(struct tally *t)
{
	memset(t, 0, sizeof *t);
	t->sum = UINT64_C(14695981039346656037);
}

static void say(struct tally *t, uint64_t number, uint64_t value)
{
	t->out_n += (size_t)snprintf(t->out + t->out_n, ANSWER_MAX, "%" PRIu64 " %016" PRIx64 "\n",
				     number, value);
}

static bool has_room(const struct tally *t)
{
	return t->out_n + ANSWER_MAX <= OUT_MAX;
}

static bool is_dumping(const struct tally *t)
{
	return t->dump_left > 0;
}

static void go_on_dumping(struct tally *t)
{
	for (; t->dump_left > 0 && has_room(t); t->dump_left--) {
		t->dump_at++;
		say(t, t->dump_at, (t->sum ^ t->dump_at) * UINT64_C(0x9e3779b97f4a7c15));
	}
}

static void end_of_line(struct tally *t)
{
	t->line[t->line_n] = 0;
	t->line_n = 0;
	say(t, ++t->lines, t->sum);
	if (strncmp(t->line, "dump ", 5) == 0) {
		t->dump_left = strtoull(t->line + 5, NULL, 10);
		t->dump_at = 0;
	}
}

/* How many of these bytes were heard: no further than there is room for answers. */
static size_t hear(struct tally *t, const uint8_t *p, size_t n)
{
	size_t i = 0;

	go_on_dumping(t);
	while (i < n && !is_dumping(t) && has_room(t)) {
		uint8_t c = p[i++];
		t->sum = (t->sum ^ c) * UINT64_C(1099511628211);
		if (c == '\n')
			end_of_line(t);
		else if (t->line_n < LINE_MAX_)
			t->line[t->line_n++] = (char)c;
		go_on_dumping(t);
	}
	return i;
}

/* ---- sessions -------------------------------------------------------------------------------- */

struct session {
	int fd;
	struct jeebs_adopt *adopt; /* NULL: it began here */
	enum {
		ARRIVING,
		SENDING_OLD,
		SERVING
	} phase;
	bool eof;
	uint8_t in[4096]; /* heard as far as the answers have room */
	size_t in_n;
	/* Of who was adopted: what the old server's kernel had, and it had not come to. */
	const uint8_t *late;
	size_t late_n;
	struct tally tally;
};

static struct session *sessions[SESSIONS_MAX];
static const char *refusal; /* --refuse */

static struct session *add_session(int fd, struct jeebs_adopt *adopt)
{
	for (int i = 0; i < SESSIONS_MAX; i++) {
		if (sessions[i])
			continue;
		struct session *s = calloc(1, sizeof *s);
		if (!s)
			return NULL;
		s->fd = fd;
		s->adopt = adopt;
		s->phase = adopt ? ARRIVING : SERVING;
		tally_init(&s->tally);
		return sessions[i] = s;
	}
	return NULL;
}

/* In order; what was adopted tells the box. */
static void end_session(int i)
{
	struct session *s = sessions[i];

	if (s->adopt)
		jeebs_adopt_close(s->adopt);
	else
		close(s->fd);
	free(s);
	sessions[i] = NULL;
}

static void abort_session(int i, const char *reason)
{
	struct session *s = sessions[i];

	if (s->adopt)
		jeebs_adopt_refuse(s->adopt, reason);
	else
		close(s->fd);
	free(s);
	sessions[i] = NULL;
}

/* Drops the answers up to @end, as the old server has given them. False: it had said otherwise. */
static bool drop_said(struct tally *t, const struct jeebs_adopt_connection *c, uint64_t *io_at)
{
	const struct jeebs_adopt_bytes *said = &c->retained[JEEBS_ADOPT_TO_CLIENT];
	uint64_t left = c->to_client_end - *io_at;
	size_t n = t->out_n < left ? t->out_n : (size_t)left;

	for (size_t i = 0; i < n; i++) {
		uint64_t at = *io_at + i;
		if (at >= said->from && (uint8_t)t->out[i] != said->p[at - said->from])
			return false;
	}
	*io_at += n;
	memmove(t->out, t->out + n, t->out_n - n);
	t->out_n -= n;
	return true;
}

/* The state of the old server's session, from what it had heard. NULL, or why it cannot be had. */
static const char *rebuild(struct session *s, const struct jeebs_adopt_connection *c)
{
	const struct jeebs_adopt_bytes *heard = &c->retained[JEEBS_ADOPT_TO_SERVER];
	uint64_t at = 0;

	if (c->older || heard->from > 0)
		return "history-incomplete";
	for (size_t i = 0; i < heard->n || at < c->to_client_end;) {
		size_t n = hear(&s->tally, heard->p + i, heard->n - i);
		uint64_t before = at;
		i += n;
		if (!drop_said(&s->tally, c, &at))
			return "answers-differ";
		if (n > 0 || at > before)
			continue;
		/* Nothing moves: behind what the old server had said, or it had said more than we
		 * would. */
		if (at < c->to_client_end)
			return "answers-differ";
		s->late = heard->p + i;
		s->late_n = heard->n - i;
		break;
	}
	s->eof = c->client_fin;
	return NULL;
}

static void adopt(int i)
{
	struct session *s = sessions[i];
	int r = jeebs_adopt_step(s->adopt);

	if (r == JEEBS_ADOPT_WAIT)
		return;
	const struct jeebs_adopt_connection *c = jeebs_adopt_connection(s->adopt);
	const char *no = r < 0 ? "no-offer" : refusal ? refusal : rebuild(s, c);
	if (no || jeebs_adopt_take(s->adopt) < 0) {
		abort_session(i, no);
		return;
	}
	s->fd = c->socket;
	s->phase = SENDING_OLD;
}

/* What the old server had sent goes first. False: the session is over. */
static bool send_old(struct session *s)
{
	int r = jeebs_adopt_send(s->adopt);

	if (r == JEEBS_ADOPT_DONE)
		s->phase = SERVING;
	return r >= 0;
}

static bool take_in(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->in_n, sizeof s->in - s->in_n, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	s->eof = n == 0;
	s->in_n += (size_t)n;
	return true;
}

static bool give_out(struct session *s)
{
	struct tally *t = &s->tally;
	ssize_t n = send(s->fd, t->out, t->out_n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	memmove(t->out, t->out + n, t->out_n - (size_t)n);
	t->out_n -= (size_t)n;
	return true;
}

static bool has_unheard(const struct session *s)
{
	return s->late_n > 0 || s->in_n > 0;
}

static void hear_more(struct session *s)
{
	size_t n;

	if (s->late_n > 0) {
		n = hear(&s->tally, s->late, s->late_n);
		s->late += n;
		s->late_n -= n;
		if (s->late_n > 0)
			return;
	}
	n = hear(&s->tally, s->in, s->in_n);
	memmove(s->in, s->in + n, s->in_n - n);
	s->in_n -= n;
}

/* False: it is over. */
static bool serve(struct session *s, short revents)
{
	if (s->phase == SENDING_OLD)
		return send_old(s);
	if ((revents & (POLLIN | POLLHUP | POLLERR)) && !has_unheard(s) && !s->eof && !take_in(s))
		return false;
	hear_more(s);
	if (s->tally.out_n > 0 && !give_out(s))
		return false;
	return !s->eof || has_unheard(s) || s->tally.out_n > 0 || is_dumping(&s->tally);
}

static short wants(const struct session *s)
{
	if (s->phase == SENDING_OLD)
		return POLLOUT;
	if (s->tally.out_n > 0 || has_unheard(s) || is_dumping(&s->tally) || s->eof)
		return POLLOUT;
	return POLLIN;
}

/* ---- the program ------------------------------------------------------------------- */

static int listen_tcp(const char *port)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)atoi(port))};
	int on = 1, off = 0;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 256) < 0)
		return -errno;
	return fd;
}

static void welcome(int listener, bool adopting)
{
	struct jeebs_adopt *a = NULL;
	int fd = -1;

	if (adopting && jeebs_adopt_begin(listener, NULL, &a) < 0)
		return;
	if (!adopting && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
		return;
	if (add_session(fd, a))
		return;
	if (a)
		jeebs_adopt_refuse(a, "too-many-sessions");
	else
		close(fd);
}

_Noreturn static void run(int listener, bool adopting)
{
	struct pollfd p[1 + 2 * SESSIONS_MAX]; /* the second half: channels to the box */

	for (;;) {
		p[0] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (int i = 0; i < SESSIONS_MAX; i++) {
			const struct session *s = sessions[i];
			p[1 + i] = p[1 + SESSIONS_MAX + i] = (struct pollfd){.fd = -1};
			if (s && s->phase == ARRIVING)
				p[1 + i] = (struct pollfd){jeebs_adopt_fd(s->adopt), POLLIN, 0};
			else if (s)
				p[1 + i] = (struct pollfd){s->fd, wants(s), 0};
			if (s && s->adopt && s->phase != ARRIVING)
				p[1 + SESSIONS_MAX + i].fd = jeebs_adopt_fd(s->adopt);
		}
		if (poll(p, 1 + 2 * SESSIONS_MAX, -1) < 0)
			continue;
		for (int i = 0; i < SESSIONS_MAX; i++) {
			if (p[1 + SESSIONS_MAX + i].revents) {
				abort_session(i, NULL); /* the box is gone, and its address goes */
				continue;
			}
			if (!sessions[i] || !p[1 + i].revents)
				continue;
			if (sessions[i]->phase == ARRIVING)
				adopt(i);
			else if (!serve(sessions[i], p[1 + i].revents))
				end_session(i);
		}
		if (p[0].revents)
			welcome(listener, adopting);
	}
}

static int offline(void)
{
	static struct tally t;
	uint8_t in[4096];
	size_t n;

	tally_init(&t);
	while ((n = fread(in, 1, sizeof in, stdin)) > 0) {
		for (size_t i = 0; i < n || t.out_n > 0 || is_dumping(&t);) {
			i += hear(&t, in + i, n - i);
			fwrite(t.out, 1, t.out_n, stdout);
			t.out_n = 0;
		}
	}
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "", *where = argc > 2 ? argv[2] : "";
	bool listens = strcmp(how, "--listen") == 0, hangs = strcmp(how, "--hang") == 0;

	if (strcmp(how, "--offline") == 0)
		return offline();
	if (strcmp(how, "--refuse") == 0)
		refusal = "not-today";
	else if (!listens && !hangs && strcmp(how, "--adopt") != 0)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	int listener = listens ? listen_tcp(where) : jeebs_adopt_listen(where, 0600);
	if (listener < 0) {
		fprintf(stderr, "tally: %s: %s\n", where, strerror(-listener));
		return 1;
	}
	if (hangs)
		pause();
	run(listener, !listens);
}
