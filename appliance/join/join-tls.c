/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-tls.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "backup-tls/backup-tls.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/private-memory.h"
#include "join-backend.h"
#include "join-family.h"
#include "join-module.h"
#include "join-side.h"

/* How many handshakes begin in one turn. Those that have begun must not wait for those that begin.
 */
#define BEGIN_AT_ONCE 64
/* How many begin when one goes on. */
#define BEGIN_FOR_ONE 2

struct join_tls {
	struct join *join;
	struct backup_tls_conn *conn;
	struct list node; /* in thread->tls_waiting, then thread->securing */
	int64_t impatient_ns, until_ns;
	uint64_t shaken; /* backup_tls_shaken() when until_ns was set */
	bool later;      /* the backup is spoken to in plain still, */
	bool due;        /* until this has been sent */
	bool finished;   /* close_notify was said ... */
	bool answered;   /* ... and something came after it */
};

static struct join_tls *tls_of(struct list *node)
{
	return list_entry(node, struct join_tls, node);
}

/* A client that named no server verifies the address that it connected to, and so do we. */
static const char *name_of(const struct join *j, const char *name, char text[static NETADDR_STRLEN])
{
	const struct endpoint *e = &j->end[JEEBS_END_SERVICE];

	if (name && name[0])
		return name;
	return e->addr.family == NETADDR_NONE ? NULL : netaddr_format(&e->addr, text);
}

void join_tls_open(struct join *j, const char *name, const char *alpn, bool later)
{
	struct join *main = join_main(j);
	char text[NETADDR_STRLEN];
	const struct backup_tls_ask ask = {.name = name_of(main, name, text), .alpn = alpn};
	struct join_tls *s;

	if (!main->backup_tls || j->backend == JOIN_BACKEND_VOID)
		return;
	if (j->tls || j->backend != JOIN_BACKEND_NONE) {
		join_abort(j, "module-misused");
		return;
	}
	s = calloc(1, sizeof *s);
	if (!s || backup_tls_open(main->backup_tls, &ask, &s->conn) < 0) {
		free(s);
		join_abort(j, "no-memory");
		return;
	}
	s->join = j;
	s->later = later;
	list_init(&s->node);
	j->tls = s;
}

bool join_tls_seals(const struct join *j)
{
	return j->tls && !j->tls->later;
}

bool join_tls_is_later(const struct join *j)
{
	return j->tls && j->tls->later;
}

void join_tls_free(struct join *j)
{
	if (!j->tls)
		return;
	list_del(&j->tls->node);
	backup_tls_close(j->tls->conn);
	free(j->tls);
	j->tls = NULL;
}

/* ---- the handshake ------------------------------------------------------------------------------
 */

static void tell_refused(struct join *j, const char *reason)
{
	struct join_thread *t = j->thread;
	struct endpoint e;
	char text[ENDPOINT_STRLEN];
	int64_t now = clock_mono_ns();

	if (t->tls_told_ns && now - t->tls_told_ns < NS_PER_S)
		return;
	t->tls_told_ns = now;
	endpoint_from_sockaddr(&j->backend_address.sa, &e);
	log_event(LOG_WARNING, "backup-tls-refused", LOG_STR("backup", endpoint_format(&e, text)),
		  LOG_STR("reason", reason), LOG_STR("detail", backup_tls_detail(j->tls->conn)));
}

/* The alert says to the backup's operator what is wrong. Nobody waits for it to be sent. */
static void send_alert(struct join *j)
{
	struct bytes b;

	if (j->pending & JOIN_BIT(JOIN_OP_SEND + JOIN_BACKEND))
		return;
	b = backup_tls_out(j->tls->conn);
	if (b.n > 0)
		(void)!send(j->side[JOIN_BACKEND].fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void lost(struct join *j, const char *reason)
{
	if (j->backend == JOIN_BACKEND_LOST)
		return;
	list_del(&j->tls->node);
	tell_refused(j, reason);
	send_alert(j);
	join_backend_lost(j, reason);
}

static void came_up(struct join *j)
{
	list_del(&j->tls->node);
	j->backend = JOIN_BACKEND_UP;
	join_module_tell(j, JEEBS_EV_BACKEND_UP, JOIN_NO_BYTES);
}

/* Returns whether it has begun. */
static bool begin(struct join *j, int64_t now)
{
	struct join_tls *s = j->tls;

	if (!backup_tls_begin(s->conn, now >= s->impatient_ns))
		return false;
	list_del(&s->node);
	list_add_tail(&j->thread->securing, &s->node);
	if (backup_tls_failure(s->conn))
		lost(j, backup_tls_failure(s->conn));
	return true;
}

static void set_limit(struct join_tls *s, int64_t now)
{
	s->shaken = backup_tls_shaken(join_main(s->join)->backup_tls);
	s->until_ns = now + s->join->thread->config->handshake_timeout_ns;
}

void join_tls_begin(struct join *j)
{
	int64_t now = clock_mono_ns();

	j->backend = JOIN_BACKEND_SECURING;
	j->tls->impatient_ns = now + j->thread->config->ticket_wait_ns;
	set_limit(j->tls, now);
	list_add_tail(&j->thread->tls_waiting, &j->tls->node);
	begin(j, now);
}

void join_tls_secure(struct join *j)
{
	j->tls->due = true;
	join_tls_plain_sent(j);
}

void join_tls_plain_sent(struct join *j)
{
	struct join_tls *s = j->tls;

	if (!s || !s->due || j->dying || j->backend != JOIN_BACKEND_UP ||
	    j->side[JOIN_BACKEND].out.bytes > 0)
		return;
	s->later = s->due = false;
	join_tls_begin(j);
}

/* Those that wait for the same ticket wait together, so the first one that has to goes for all. */
static void begin_some(struct join_thread *t, int n)
{
	int64_t now = clock_mono_ns();

	list_for_each_safe (it, tmp, &t->tls_waiting) {
		struct join *j = tls_of(it)->join;
		if (n-- == 0)
			return;
		if (!j->dying && begin(j, now))
			join_settle_later(j);
	}
}

static void end_late(struct list *l)
{
	int64_t now = clock_mono_ns();

	list_for_each_safe (it, tmp, l) {
		struct join_tls *s = tls_of(it);
		if (s->until_ns > now)
			continue;
		if (backup_tls_shaken(join_main(s->join)->backup_tls) != s->shaken) {
			set_limit(s, now); /* the backup has much to do, and does it */
			continue;
		}
		list_del(&s->node);
		if (!s->join->dying)
			lost(s->join, "backup-tls-timeout");
		join_settle_later(s->join);
	}
}

void join_tls_look(struct join_thread *t)
{
	end_late(&t->tls_waiting);
	end_late(&t->securing);
	begin_some(t, BEGIN_AT_ONCE);
}

/* ---- what comes ------------------------------------------------------------------------------ */

static uint8_t *text_of(struct join_thread *t)
{
	if (!t->tls_text)
		t->tls_text = private_memory_new(JOIN_TLS_TEXT);
	return t->tls_text;
}

static bool goes_on(const struct join *j)
{
	return !j->dying && (j->backend == JOIN_BACKEND_SECURING || j->backend == JOIN_BACKEND_UP);
}

/* Returns whether there may be more. */
static bool read_some(struct join *j, uint8_t *text)
{
	struct backup_tls_conn *c = j->tls->conn;
	size_t n = backup_tls_read(c, text, JOIN_TLS_TEXT);

	if (backup_tls_is_up(c) && j->backend == JOIN_BACKEND_SECURING)
		came_up(j);
	j->tls->answered |= n > 0 && j->tls->finished;
	if (n > 0 && goes_on(j))
		join_side_heard(j, JOIN_BACKEND, bytes_of(text, n));
	return n == JOIN_TLS_TEXT;
}

void join_tls_came(struct join *j, struct bytes b)
{
	struct backup_tls_conn *c = j->tls->conn;
	struct join_thread *t = j->thread;
	uint8_t *text = text_of(t);

	if (!text)
		join_abort(j, "no-memory");
	backup_tls_take(c, b);
	while (goes_on(j) && read_some(j, text))
		;
	backup_tls_take(c, BYTES_NONE);
	if (goes_on(j) && backup_tls_failure(c))
		lost(j, backup_tls_failure(c));
	if (goes_on(j) && backup_tls_is_closed(c) && !j->side[JOIN_BACKEND].ended)
		join_side_ended(j, JOIN_BACKEND);
	if (!list_empty(&t->tls_waiting))
		begin_some(t, BEGIN_FOR_ONE);
}

void join_tls_ended(struct join *j)
{
	if (!goes_on(j))
		return;
	if (j->tls->finished && (j->side[JOIN_CLIENT].ended || !j->tls->answered)) {
		/* Stock servers do not answer close_notify. Whether they had said all, the client
		 * may judge: it gets the same. */
		j->side[JOIN_BACKEND].ended = true;
		j->side[JOIN_CLIENT].finish = true;
		return;
	}
	lost(j, j->backend == JOIN_BACKEND_SECURING ? "backup-tls-failed" : "backup-tls-truncated");
}

/* ---- what is sent -----------------------------------------------------------------------------
 */

static void seal_some(struct join *j)
{
	struct join_queue *q = &j->side[JOIN_BACKEND].out;
	size_t n = 0;

	while (q->bytes > 0 && n < BACKUP_TLS_PIECE) {
		struct bytes b = bytes_head(join_queue_head(q), BACKUP_TLS_PIECE - n);
		if (b.n == 0) {
			join_abort(j, "log-lost");
			return;
		}
		if (!backup_tls_write(j->tls->conn, b)) {
			lost(j, "backup-tls-failed");
			return;
		}
		n += b.n;
		join_side_count_sent(j, JOIN_BACKEND, b.n);
		join_queue_consume(q, &j->thread->buffers, b.n);
	}
}

struct bytes join_tls_out(struct join *j)
{
	struct bytes b = backup_tls_out(j->tls->conn);

	if (b.n > 0 || j->backend != JOIN_BACKEND_UP || j->tls->finished)
		return b;
	seal_some(j);
	return j->dying ? BYTES_NONE : backup_tls_out(j->tls->conn);
}

void join_tls_sent(struct join *j, size_t n)
{
	backup_tls_sent(j->tls->conn, n);
}

bool join_tls_has_sent(const struct join *j)
{
	return backup_tls_out(j->tls->conn).n == 0;
}

bool join_tls_finish(struct join *j)
{
	if (!j->tls->finished && join_tls_has_sent(j)) {
		j->tls->finished = true;
		backup_tls_finish(j->tls->conn);
	}
	return j->tls->finished && join_tls_has_sent(j);
}
