/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backup-watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backup-tls.h"
#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/reader.h"
#include "base/thread.h"

/* Questions at the same time. The others wait; none waits for one that hangs. */
#define AT_ONCE 16
/* Of what a backup says before TLS: all replies together, and a line. */
#define TALK_MAX       8192
#define LINE_MAX_BYTES 1024

enum watched {
	NOT_ASKED,
	BELIEVED,
	NOT_BELIEVED,
};

struct question {
	struct backup_watch_target target;
	/* Under the lock. */
	enum watched result;
	char why[BACKUP_TLS_DETAIL_MAX];
	/* Of the thread. */
	int fd; /* -1: it is not being asked */
	bool connected, answered, finished;
	bool secured; /* the handshake has begun */
	const struct backup_watch_words *words;
	size_t heard, line_n; /* in plain; of the line under way */
	char code[4];         /* its beginning */
	struct backup_tls_conn *conn;
	int64_t next_ns, until_ns;
};

struct backup_watch {
	struct backup_watch_config config;
	struct question *v;
	pthread_mutex_t lock;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	int bell;
};

/* ---- what is told ------------------------------------------------------------------------------
 */

static void tell(const struct question *q, enum watched result, const char *why)
{
	char backup[ENDPOINT_STRLEN];

	endpoint_format(&q->target.backup, backup);
	if (result == BELIEVED)
		log_event(LOG_NOTICE, "backup-tls-ready", LOG_STR("server", q->target.server_name),
			  LOG_INT("port", q->target.port), LOG_STR("backup", backup));
	else
		log_event(LOG_WARNING, "backup-tls-not-ready",
			  LOG_STR("server", q->target.server_name), LOG_INT("port", q->target.port),
			  LOG_STR("backup", backup), LOG_STR("detail", why));
}

static void settle(struct backup_watch *w, struct question *q, enum watched result, const char *why)
{
	bool news = q->result != result;

	if (q->answered)
		return;
	q->answered = true;
	pthread_mutex_lock(&w->lock);
	q->result = result;
	snprintf(q->why, sizeof q->why, "%s", why);
	pthread_mutex_unlock(&w->lock);
	if (news)
		tell(q, result, why);
}

bool backup_watch_ready(struct backup_watch *w, uint32_t server,
			char why[static BACKUP_WATCH_WHY_STRLEN])
{
	bool ready = true;
	char backup[NETADDR_STRLEN];

	if (!w)
		return true;
	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; ready && i < w->config.count; i++) {
		const struct question *q = &w->v[i];
		if (q->target.server != server || q->result == BELIEVED)
			continue;
		ready = false;
		snprintf(why, BACKUP_WATCH_WHY_STRLEN, "%.32s:%u: backup %s: %.100s",
			 q->target.server_name, q->target.port,
			 netaddr_format(&q->target.backup.addr, backup),
			 q->result == NOT_ASKED ? "its TLS was not asked for yet" : q->why);
	}
	pthread_mutex_unlock(&w->lock);
	return ready;
}

/* ---- one question ------------------------------------------------------------------------------
 */

static void end(struct backup_watch *w, struct question *q)
{
	q->conn = backup_tls_close(q->conn);
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	q->next_ns = clock_mono_ns() +
		     (q->result == BELIEVED ? w->config.interval_ns : w->config.retry_ns);
}

static void fail(struct backup_watch *w, struct question *q, const char *why)
{
	settle(w, q, NOT_BELIEVED, why);
	end(w, q);
}

static void start(struct backup_watch *w, struct question *q)
{
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(&q->target.backup, &ss);

	q->connected = q->answered = q->finished = q->secured = false;
	q->words = q->target.words;
	q->heard = q->line_n = 0;
	q->until_ns = clock_mono_ns() + w->config.timeout_ns;
	q->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (q->fd < 0 || backup_tls_open(q->target.tls, &(struct backup_tls_ask){0}, &q->conn) < 0)
		fail(w, q, log_strerror(q->fd < 0 ? -errno : -ENOMEM));
	else if (connect(q->fd, (struct sockaddr *)&ss, n) < 0 && errno != EINPROGRESS)
		fail(w, q, log_strerror(-errno));
}

static void secure(struct question *q)
{
	q->secured = true;
	backup_tls_begin(q->conn, true);
}

/* Returns whether the question goes on. */
static bool connected(struct backup_watch *w, struct question *q)
{
	int error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error != 0) {
		fail(w, q, log_strerror(-error));
		return false;
	}
	q->connected = true;
	if (!q->words)
		secure(q);
	return true;
}

/* ---- before the handshake ----------------------------------------------------------------------
 */

/* The last line of a reply is whole. Why it does not go on so; NULL: it does. */
static const char *reply_came(struct question *q)
{
	const struct backup_watch_words *words = q->words++;

	if (memcmp(q->code, words->code, 3) != 0)
		return "it does not offer TLS";
	if (!words->say) {
		secure(q);
		return NULL;
	}
	size_t n = strlen(words->say);
	return send(q->fd, words->say, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n
		       ? NULL
		       : "it does not read what asks for TLS";
}

static const char *hear(struct question *q, struct reader *r)
{
	const char *why = NULL;

	while (!why && !q->secured && reader_left(r) > 0) {
		char c = (char)reader_u8(r);
		if (c == '\n') {
			/* "250-" goes on, "250 " or "250" does not. */
			bool last = q->line_n >= 3 && q->code[3] != '-';
			q->line_n = 0;
			why = last ? reply_came(q) : NULL;
			continue;
		}
		if (q->line_n < sizeof q->code)
			q->code[q->line_n] = c;
		if (++q->line_n == 3)
			q->code[3] = 0;
		if (++q->heard > TALK_MAX || q->line_n > LINE_MAX_BYTES)
			why = "it says too much before TLS";
	}
	/* Nothing that was said in plain may count as said in TLS (RFC 3207 section 4.2). */
	return !why && reader_left(r) > 0 ? "it goes on in plain after it has agreed to TLS" : why;
}

/* Returns whether the question goes on. */
static bool talk(struct backup_watch *w, struct question *q)
{
	uint8_t room[1024];
	ssize_t n = 0;
	const char *why = NULL;

	while (!why && !q->secured && (n = recv(q->fd, room, sizeof room, MSG_DONTWAIT)) > 0) {
		struct reader r = reader_init(bytes_of(room, (size_t)n));
		why = hear(q, &r);
	}
	if (!why && !q->secured && (n == 0 || (errno != EAGAIN && errno != EINTR)))
		why = "it ended before TLS";
	if (why)
		fail(w, q, why);
	return !why;
}

/* ---- the handshake -----------------------------------------------------------------------------
 */

static void flush(struct question *q)
{
	struct bytes b;

	while ((b = backup_tls_out(q->conn)).n > 0) {
		ssize_t n = send(q->fd, b.p, b.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return;
		backup_tls_sent(q->conn, (size_t)n);
	}
}

/* Reads what has come. Returns false at the end of the stream, or when there is no more connection.
 */
static bool take(struct question *q)
{
	uint8_t wire[4096], text[512];
	ssize_t n;

	while ((n = recv(q->fd, wire, sizeof wire, MSG_DONTWAIT)) > 0) {
		backup_tls_take(q->conn, bytes_of(wire, (size_t)n));
		while (backup_tls_read(q->conn, text, sizeof text) > 0)
			;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void step(struct backup_watch *w, struct question *q)
{
	if (!q->connected && !connected(w, q))
		return;
	if (!q->secured && !talk(w, q))
		return;
	if (!q->secured)
		return;
	bool open = take(q);
	if (backup_tls_failure(q->conn) && !q->answered) {
		flush(q); /* the alert */
		fail(w, q, backup_tls_detail(q->conn));
		return;
	}
	if (backup_tls_is_up(q->conn) && !q->finished) {
		settle(w, q, BELIEVED, "");
		q->finished = true;
		/* It closes, and has sent its tickets before. */
		backup_tls_finish(q->conn);
	}
	flush(q);
	if (!open && q->answered)
		end(w, q);
	else if (!open)
		fail(w, q, "it ended the handshake");
}

/* ---- the thread
 * ---------------------------------------------------------------------------------- */

/* The one that has waited longest of those that are due; NULL: none is. */
static struct question *next_due(struct backup_watch *w, int64_t now)
{
	struct question *next = NULL;

	for (uint32_t i = 0; i < w->config.count; i++) {
		struct question *q = &w->v[i];
		if (q->fd < 0 && q->next_ns <= now && (!next || q->next_ns < next->next_ns))
			next = q;
	}
	return next;
}

static void begin_due(struct backup_watch *w)
{
	int64_t now = clock_mono_ns();
	uint32_t asked = 0;
	struct question *q;

	for (uint32_t i = 0; i < w->config.count; i++)
		asked += w->v[i].fd >= 0;
	while (asked < AT_ONCE && (q = next_due(w, now)) != NULL) {
		start(w, q);
		asked += q->fd >= 0;
	}
}

/* When something is to be done though nothing has come. Who is due and waits, waits for others. */
static int64_t wake_at(const struct backup_watch *w)
{
	int64_t now = clock_mono_ns(), at = INT64_MAX;

	for (uint32_t i = 0; i < w->config.count; i++) {
		const struct question *q = &w->v[i];
		int64_t then = q->fd >= 0 ? q->until_ns : q->next_ns;
		if ((q->fd >= 0 || then > now) && then < at)
			at = then;
	}
	return at;
}

static void end_late(struct backup_watch *w)
{
	int64_t now = clock_mono_ns();

	for (uint32_t i = 0; i < w->config.count; i++) {
		struct question *q = &w->v[i];
		if (q->fd < 0 || q->until_ns > now)
			continue;
		if (q->answered)
			end(w, q);
		else
			fail(w, q,
			     q->secured     ? "it does not answer the handshake"
			     : q->connected ? "it does not answer in plain"
					    : "it does not answer");
	}
}

static int timeout_ms(int64_t wake_ns)
{
	int64_t left = wake_ns - clock_mono_ns();

	return left <= 0 ? 0 : left >= 60 * NS_PER_S ? 60000 : (int)(left / NS_PER_MS) + 1;
}

static void wait_and_step(struct backup_watch *w, int64_t wake_ns)
{
	struct pollfd fds[AT_ONCE + 1] = {{.fd = w->bell, .events = POLLIN}};
	struct question *of[AT_ONCE + 1];
	nfds_t n = 1;

	for (uint32_t i = 0; i < w->config.count; i++) {
		struct question *q = &w->v[i];
		if (q->fd < 0)
			continue;
		bool out = !q->connected || backup_tls_out(q->conn).n > 0;
		of[n] = q;
		fds[n++] = (struct pollfd){.fd = q->fd,
					   .events = (short)(POLLIN | (out ? POLLOUT : 0))};
	}
	poll(fds, n, timeout_ms(wake_ns));
	for (nfds_t i = 1; i < n; i++)
		if (fds[i].revents)
			step(w, of[i]);
}

static void *thread_main(void *arg)
{
	struct backup_watch *w = arg;

	while (!atomic_load(&w->stop)) {
		begin_due(w);
		wait_and_step(w, wake_at(w));
		end_late(w);
	}
	for (uint32_t i = 0; i < w->config.count; i++)
		if (w->v[i].fd >= 0)
			end(w, &w->v[i]);
	return NULL;
}

int backup_watch_start(const struct backup_watch_config *c, struct backup_watch **ret)
{
	struct backup_watch *w = calloc(1, sizeof *w);
	int r = -ENOMEM;

	if (!w)
		return r;
	w->config = *c;
	w->bell = -1;
	pthread_mutex_init(&w->lock, NULL);
	w->v = calloc(c->count + 1, sizeof *w->v);
	if (!w->v)
		goto fail;
	for (uint32_t i = 0; i < c->count; i++) {
		w->v[i].target = c->targets[i];
		w->v[i].fd = -1;
	}
	r = w->bell = bell_open();
	if (r >= 0)
		r = thread_start(&w->thread, thread_main, w);
	if (r < 0)
		goto fail;
	pthread_setname_np(w->thread, "backup-watch");
	w->running = true;
	*ret = w;
	return 0;
fail:
	backup_watch_stop(w);
	return r;
}

struct backup_watch *backup_watch_stop(struct backup_watch *w)
{
	if (!w)
		return NULL;
	atomic_store(&w->stop, true);
	bell_ring(w->bell);
	if (w->running && !thread_end(w->thread, "backup-watch", thread_deadline(false)))
		return NULL;
	if (w->bell >= 0)
		close(w->bell);
	pthread_mutex_destroy(&w->lock);
	free(w->v);
	free(w);
	return NULL;
}
