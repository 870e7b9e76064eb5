/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control-client.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define READ_BYTES ((size_t)4096)

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

int control_peer_of(int fd, struct control_peer *ret)
{
	struct ucred cred;
	socklen_t n = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return -errno;
	*ret = (struct control_peer){cred.uid, cred.uid == 0 || cred.uid == geteuid()};
	return 0;
}

int control_client_open(struct control_client *c, struct control_host *host, int fd, int64_t now_ns)
{
	struct control_peer peer;
	int r = control_peer_of(fd, &peer);

	if (r < 0)
		return r;
	*c = (struct control_client){
		.host = host,
		.fd = fd,
		.peer = peer,
		/* One byte more than a line, for its newline. */
		.in = BUF_INIT(CONTROL_LINE_MAX_BYTES + 1),
		.out = BUF_INIT(CONTROL_REPLY_MAX_BYTES),
		.deadline_ns = now_ns + CONTROL_IDLE_TIMEOUT_NS,
	};
	count(&host->clients);
	return 0;
}

/* Frees the memory of a reply at once. One reply may be large and the next ones small. */
static void drop_reply(struct control_client *c)
{
	c->host->queued_bytes -= c->out.n;
	buf_deinit(&c->out);
	c->sent = 0;
}

void control_client_close(struct control_client *c)
{
	drop_reply(c);
	buf_deinit(&c->in);
	close(c->fd);
	c->fd = -1;
}

/* Length of the first line without its newline; SIZE_MAX: the line is not complete. */
static size_t line_length(const struct control_client *c)
{
	const uint8_t *end = c->in.n ? memchr(c->in.p, '\n', c->in.n) : NULL;

	if (end)
		return (size_t)(end - c->in.p);
	return c->eof && c->in.n > 0 ? c->in.n : SIZE_MAX;
}

bool control_client_ready(const struct control_client *c)
{
	return c->out.n == 0 && !c->closing && line_length(c) != SIZE_MAX;
}

bool control_client_idle(const struct control_client *c)
{
	return c->out.n == 0 && line_length(c) == SIZE_MAX;
}

short control_client_events(const struct control_client *c)
{
	if (c->out.n > 0)
		return POLLOUT;
	return c->eof || c->closing ? 0 : POLLIN;
}

static int append_json(const char *p, size_t n, void *out)
{
	return buf_append(out, p, n);
}

/* Takes over the caller's reference to @reply. */
static void queue_reply(struct control_client *c, json_t *reply)
{
	size_t left = CONTROL_QUEUE_MAX_BYTES - c->host->queued_bytes;

	c->out = BUF_INIT(left < CONTROL_REPLY_MAX_BYTES ? left : CONTROL_REPLY_MAX_BYTES);
	if (!reply || json_dump_callback(reply, append_json, &c->out, JSON_COMPACT) < 0 ||
	    buf_u8(&c->out, '\n') < 0) {
		static const char refusal[] =
			"{\"api\":1,\"ok\":false,\"error\":{\"code\":\"too-large\",\"message\":"
			"\"the reply does not fit; ask for less\"}}\n";
		count(&c->host->replies_refused);
		buf_deinit(&c->out);
		c->out.max = sizeof refusal;
		if (buf_append(&c->out, refusal, sizeof refusal - 1) < 0)
			c->closing = true;
	}
	json_decref(reply);
	c->host->queued_bytes += c->out.n;
}

static void refuse_line(struct control_client *c)
{
	count(&c->host->lines_refused);
	c->closing = true; /* nobody knows where the next line starts */
	queue_reply(c, json_pack("{s:i, s:b, s:{s:s, s:s}}", "api", CONTROL_API, "ok", 0, "error",
				 "code", "line-too-long", "message",
				 "a request has at most 65536 bytes"));
}

/* Returns a negative errno when the connection is broken. */
static int read_some(struct control_client *c)
{
	size_t room = c->in.max - c->in.n, want = room < READ_BYTES ? room : READ_BYTES;
	int r = buf_reserve(&c->in, want);

	if (r < 0)
		return r;
	ssize_t n = recv(c->fd, c->in.p + c->in.n, want, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		c->eof = true;
	c->in.n += (size_t)n;
	return 0;
}

static void answer_one(struct control_client *c, int64_t now_ns)
{
	size_t n = line_length(c);

	if (n == SIZE_MAX && c->in.n > CONTROL_LINE_MAX_BYTES) {
		refuse_line(c);
	} else if (n != SIZE_MAX) {
		queue_reply(c, control_handle((struct bytes){c->in.p, n}, &c->peer, c->host->ops,
					      c->host->ctx));
		buf_consume(&c->in, n + 1);
	} else {
		return;
	}
	c->begun = false;
	c->deadline_ns = now_ns + CONTROL_WRITE_TIMEOUT_NS;
}

/* Starts the deadline of a request at its first byte. Further bytes do not extend it. */
static void note_begun(struct control_client *c, int64_t now_ns)
{
	if (c->begun || c->in.n == 0 || !control_client_idle(c))
		return;
	c->begun = true;
	c->deadline_ns = now_ns + CONTROL_LINE_TIMEOUT_NS;
}

static int write_some(struct control_client *c, int64_t now_ns)
{
	ssize_t n =
		send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->sent += (size_t)n;
	c->deadline_ns = now_ns + CONTROL_WRITE_TIMEOUT_NS;
	if (c->sent < c->out.n)
		return 0;
	drop_reply(c);
	c->deadline_ns = now_ns + CONTROL_IDLE_TIMEOUT_NS;
	return 0;
}

bool control_client_turn(struct control_client *c, short revents, int64_t now_ns)
{
	if (revents && c->out.n == 0 && !c->eof && read_some(c) < 0)
		return false;
	if (c->out.n == 0 && !c->closing)
		answer_one(c, now_ns);
	if (c->out.n > 0 && write_some(c, now_ns) < 0)
		return false;
	note_begun(c, now_ns);
	if (c->out.n == 0 && (c->closing || (c->eof && c->in.n == 0)))
		return false;
	if (now_ns >= c->deadline_ns) {
		count(&c->host->clients_timed_out);
		return false;
	}
	return true;
}
