/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The order of the steps is not free; see tcprepair.h and, for each rule, the comment
 * at its step. The file is nothing but system calls: every decision is in the snapshot.
 */
#include "tcprepair.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/descriptors.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* Linux 5.16 */
#endif

#define MSS_MIN         88    /* what TCP_MAXSEG accepts: TCP_MIN_MSS ... */
#define MSS_MAX         32767 /* ... and MAX_TCP_WINDOW */
#define RCVBUF_COVERS   65535 /* the window that the default receive buffer allows */
#define SNDBUF_COVERS   32768 /* bytes that a new send buffer always takes */
#define ORPHAN_FIN_WAIT 2     /* seconds; see life_after_fin() */

enum option_kind { /* RFC 9293, 7323, 2018: the kinds in TCP_REPAIR_OPTIONS */
	OPTION_MSS = 2,
	OPTION_WSCALE = 3,
	OPTION_SACK_PERM = 4,
	OPTION_TIMESTAMP = 8,
};

static int set_option(int fd, int level, int name, const void *value, size_t n)
{
	return setsockopt(fd, level, name, value, (socklen_t)n) < 0 ? -errno : 0;
}

static int set_int(int fd, int level, int name, int value)
{
	return set_option(fd, level, name, &value, sizeof value);
}

static bool is_v6(const struct snapshot *s)
{
	return s->server.addr.family == NETADDR_V6;
}

/*
 * "transparent" has two uses. It lets the socket be built before the address is here. And the guard
 * admits packets by it, so it is off while the socket is half built.
 */
static int set_transparent(int fd, const struct snapshot *s, bool on)
{
	return is_v6(s) ? set_int(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, on)
			: set_int(fd, IPPROTO_IP, IP_TRANSPARENT, on);
}

/*
 * Whether the client has acknowledged the old server's FIN. Then the FIN's number counts as sent.
 */
static bool fin_acknowledged(const struct snapshot *s)
{
	return s->server_fin && s->snd_una == s->snd_nxt;
}

static int check(const struct snapshot *s, const struct restore_options *o)
{
	size_t n = o->in_flight[0].n + o->in_flight[1].n;
	bool fin_in_flight = s->server_fin && !fin_acknowledged(s);

	if (s->server.addr.family == NETADDR_NONE || s->server.addr.family != s->client.addr.family)
		return -EAFNOSUPPORT;
	if (n + fin_in_flight != s->snd_nxt - s->snd_una || o->as_sent > n)
		return -EINVAL;
	return 0;
}

/*
 * Repair mode comes first: it sets sk_reuse to SK_FORCE_REUSE. With that bind() succeeds beside any
 * other socket on the port. SO_REUSEADDR here would weaken it.
 */
static int bind_server(int fd, const struct snapshot *s)
{
	struct sockaddr_storage sa;
	socklen_t n = endpoint_to_sockaddr(&s->server, &sa);
	int r = set_transparent(fd, s, true);

	if (r < 0)
		return r;
	return bind(fd, (struct sockaddr *)&sa, n) < 0 ? -errno : 0;
}

/*
 * Must come before connect(). Otherwise the effective MSS stays 524, whatever TCP_REPAIR_OPTIONS
 * says.
 */
static int set_mss(int fd, const struct snapshot *s)
{
	int mss = s->mss < MSS_MIN ? MSS_MIN : s->mss > MSS_MAX ? MSS_MAX : s->mss;

	return set_int(fd, IPPROTO_TCP, TCP_MAXSEG, mss);
}

static int set_queue_seq(int fd, int queue, uint32_t seq)
{
	int r = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);

	return r < 0 ? r : set_option(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof seq);
}

/* Works only in state CLOSE. An acknowledged FIN is queued again as sent, see queue_fin(). */
static int set_sequence(int fd, const struct snapshot *s)
{
	int r = set_queue_seq(fd, TCP_RECV_QUEUE, s->rcv_nxt);

	return r < 0 ? r : set_queue_seq(fd, TCP_SEND_QUEUE, s->snd_una - fin_acknowledged(s));
}

/* In repair mode connect() sends nothing and goes to ESTABLISHED. */
static int connect_client(int fd, const struct snapshot *s)
{
	struct sockaddr_storage sa;
	socklen_t n = endpoint_to_sockaddr(&s->client, &sa);

	if (connect(fd, (struct sockaddr *)&sa, n) < 0)
		return -errno;
	return set_transparent(fd, s, false);
}

/*
 * Must come before any byte is queued. The scales are always set: connect() left those that this
 * kernel would have offered. Without the option the peer's window would be misread by 2^7.
 */
static int set_options(int fd, const struct snapshot *s)
{
	struct tcp_repair_opt opt[4];
	size_t n = 0;

	opt[n++] = (struct tcp_repair_opt){OPTION_MSS, s->mss};
	opt[n++] = (struct tcp_repair_opt){OPTION_WSCALE,
					   s->snd_wscale | (uint32_t)s->rcv_wscale << 16};
	if (s->sack_ok)
		opt[n++] = (struct tcp_repair_opt){OPTION_SACK_PERM, 0};
	if (s->ts_ok)
		opt[n++] = (struct tcp_repair_opt){OPTION_TIMESTAMP, 0};
	return set_option(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opt, n * sizeof *opt);
}

static int set_timestamp(int fd, const struct snapshot *s, int64_t now_ns)
{
	uint32_t tsval = snapshot_tsval_at(s, now_ns);

	if (!s->ts_ok)
		return 0;
	return set_option(fd, IPPROTO_TCP, TCP_TIMESTAMP, &tsval, sizeof tsval);
}

/*
 * Makes the buffers large enough for what is promised or injected, and unlocks them so that
 * autotuning goes on from there. The kernel doubles the value for its overhead.
 */
static int grow_buffers(int fd, size_t receive, size_t send)
{
	int r = 0;

	if (receive > RCVBUF_COVERS)
		r = set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, (int)receive);
	if (r == 0 && send > SNDBUF_COVERS)
		r = set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)send);
	if (r == 0 && (receive > RCVBUF_COVERS || send > SNDBUF_COVERS))
		r = set_int(fd, SOL_SOCKET, SO_BUF_LOCK, 0);
	/* Before 5.16 the buffers stay fixed, at the right size. */
	return r == -ENOPROTOOPT ? 0 : r;
}

/* Sends the bytes [from, from + n) of the two views, or fewer when the socket is full. */
static ssize_t send_part(int fd, const struct bytes in_flight[2], size_t from, size_t n)
{
	struct bytes a = bytes_head(bytes_from(in_flight[0], from), n);
	size_t from_b = from > in_flight[0].n ? from - in_flight[0].n : 0;
	struct bytes b = bytes_head(bytes_from(in_flight[1], from_b), n - a.n);
	struct iovec iov[2] = {{(void *)a.p, a.n}, {(void *)b.p, b.n}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	ssize_t sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

/* Queues bytes as "sent, not acknowledged". In repair mode with the send queue selected nothing
 * leaves the box. */
static int queue_sent(int fd, const struct restore_options *o)
{
	for (size_t done = 0; done < o->as_sent;) {
		ssize_t n = send_part(fd, o->in_flight, done, o->as_sent - done);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n == -EAGAIN || n == 0 ? -ENOBUFS : (int)n;
		done += (size_t)n;
	}
	return 0;
}

/*
 * Records, without a packet, a FIN that was sent and acknowledged. The send queue is selected. The
 * client's next ACK covers the FIN.
 */
static int queue_fin(int fd, const struct snapshot *s)
{
	if (!fin_acknowledged(s))
		return 0;
	return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

/*
 * The window that the old server has advertised. Linux 6.17 drops segments beyond the edge that it
 * believes it has advertised.
 */
static size_t receive_window(const struct snapshot *s)
{
	int32_t open = (int32_t)(s->rcv_edge - s->rcv_nxt);

	return open > 0 ? (size_t)open : 0;
}

static int set_window(int fd, const struct snapshot *s)
{
	bool ahead = (int32_t)(s->snd_wl1 - s->rcv_nxt) > 0;
	struct tcp_repair_window w = {
		.snd_wl1 = ahead ? s->rcv_nxt : s->snd_wl1,
		.snd_wnd = s->snd_wnd,
		.max_window = s->max_window,
		.rcv_wnd = (uint32_t)receive_window(s),
		.rcv_wup = s->rcv_nxt,
	};

	return set_option(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof w);
}

/*
 * The client's FIN is counted in rcv_nxt, so the kernel never sees it. Without this limit a closed
 * socket would wait in FIN_WAIT2 for a minute.
 */
static int life_after_fin(int fd, const struct snapshot *s)
{
	return s->client_fin ? set_int(fd, IPPROTO_TCP, TCP_LINGER2, ORPHAN_FIN_WAIT) : 0;
}

static int set_looks(int fd, const struct snapshot *s)
{
	int r = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (r == 0 && s->ttl)
		r = is_v6(s) ? set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, s->ttl)
			     : set_int(fd, IPPROTO_IP, IP_TTL, s->ttl);
	if (r == 0 && s->tos)
		r = is_v6(s) ? set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, s->tos)
			     : set_int(fd, IPPROTO_IP, IP_TOS, s->tos);
	/* The old server sent without DF, so routers fragment large packets for narrow paths,
	 * and report nothing. A socket with DF would lose them. */
	if (r == 0 && s->may_fragment && !is_v6(s))
		r = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	return r < 0 ? r : life_after_fin(fd, s);
}

/*
 * Lets the guard admit the socket, then leaves repair mode, which sends a window probe. The
 * client's answer acknowledges what it has. Leaving repair mode clears SO_REUSEADDR, without which
 * nobody could listen on the port, so it is set again.
 */
static int go_live(int fd, const struct snapshot *s)
{
	int r = set_transparent(fd, s, true);

	if (r == 0)
		r = set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF);
	return r < 0 ? r : set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

static int send_rest(int fd, const struct restore_options *o, size_t *ret_unsent)
{
	size_t total = o->in_flight[0].n + o->in_flight[1].n, done = o->as_sent;

	while (!o->defer_send && done < total) {
		ssize_t n = send_part(fd, o->in_flight, done, total - done);
		if (n == -EAGAIN)
			break;
		if (n < 0 && n != -EINTR)
			return (int)n;
		done += n > 0 ? (size_t)n : 0;
	}
	*ret_unsent = total - done;
	return 0;
}

#define STEP(name, call)                \
	do {                            \
		*ret_step = (name);     \
		int step_r_ = (call);   \
		if (step_r_ < 0)        \
			return step_r_; \
	} while (0)

static int build(int fd, const struct snapshot *s, const struct restore_options *o, int64_t now_ns,
		 size_t *ret_unsent, const char **ret_step)
{
	STEP("repair", set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON));
	STEP("bind", bind_server(fd, s));
	STEP("mss", set_mss(fd, s));
	STEP("sequence", set_sequence(fd, s));
	STEP("connect", connect_client(fd, s));
	STEP("options", set_options(fd, s));
	STEP("timestamp", set_timestamp(fd, s, now_ns));
	STEP("buffers", grow_buffers(fd, receive_window(s), o->as_sent));
	STEP("sent", queue_sent(fd, o));
	STEP("window", set_window(fd, s));
	STEP("fin", queue_fin(fd, s));
	STEP("sockopt", set_looks(fd, s));
	STEP("live", go_live(fd, s));
	STEP("send", send_rest(fd, o, ret_unsent));
	return 0;
}

int restore_socket(const struct snapshot *s, const struct restore_options *o, int64_t now_ns,
		   int *ret_fd, size_t *ret_unsent, const char **ret_step)
{
	size_t unsent = 0;

	STEP("snapshot", check(s, o));
	*ret_step = "socket";
	int fd = descriptors_for_connection(socket(is_v6(s) ? AF_INET6 : AF_INET,
						   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return -errno;
	int r = build(fd, s, o, now_ns, &unsent, ret_step);
	if (r < 0) {
		restore_abandon(fd);
		return r;
	}
	*ret_fd = fd;
	*ret_unsent = unsent;
	return 0;
}

void restore_abandon(int fd)
{
	(void)set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
	close(fd);
}

void restore_reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	(void)set_option(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}
