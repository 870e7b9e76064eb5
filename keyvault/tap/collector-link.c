/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collector-link.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "raw-calls.h"
#include "wait-budget.h"

#define DESCRIPTOR_HIGH 200 /* out of the way of programs that count theirs */
#define DESCRIPTOR_LOW  10
#define RETRY_NS        1000000000ULL
#define NS_PER_MS       1000000ULL

/* One who waits; in the list while it does, on its thread's stack. */
struct waiter {
	struct waiter *next;
	uint32_t number;
	bool answered;
	enum tap_result result;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t heard; /* somebody was answered, or nobody reads */
	struct sockaddr_un address;
	struct tap_hello hello;
	bool confined;
	bool wanted; /* collector_link_open() was called */
	atomic_int fd;
	ino_t inode;
	pid_t pid; /* whose connection it is */
	uint64_t retry_ns;
	uint32_t number;
	bool welcomed; /* on this connection */
	uint32_t due;  /* answers that were not read yet */
	bool reading;  /* one of them reads for all */
	struct waiter *waiters;
	struct wait_budget budget;
} self = {.lock = PTHREAD_MUTEX_INITIALIZER, .heard = PTHREAD_COND_INITIALIZER, .fd = -1};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

bool collector_link_init(const char *path, const struct tap_hello *hello, bool confined,
			 bool closed)
{
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof self.address.sun_path)
		return false;
	self.address.sun_family = AF_UNIX;
	memcpy(self.address.sun_path, path, n + 1);
	self.hello = *hello;
	self.confined = confined;
	self.budget.wait_ns = TAP_WELCOME_MS * NS_PER_MS;
	self.budget.closed = closed;
	return true;
}

/* ---- the connection ------------------------------------------------------------------------- */

static int move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_HIGH);

	if (high < 0)
		high = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_LOW);
	if (high < 0)
		return fd;
	raw_close(fd);
	return high;
}

static bool say_hello(int fd)
{
	uint8_t room[TAP_PROGRAM_MAX + 64];
	struct writer w = WRITER_IN(room);

	tap_wire_hello(&w, &self.hello);
	return writer_ok(&w) &&
	       send(fd, room, writer_pos(&w), MSG_NOSIGNAL) == (ssize_t)writer_pos(&w);
}

static void forget(void)
{
	int fd = atomic_exchange(&self.fd, -1);

	if (fd >= 0)
		raw_close(fd);
}

static bool connect_anew(void)
{
	struct stat st;

	forget();
	self.pid = getpid();
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	fd = move_high(fd);
	if (connect(fd, (const struct sockaddr *)&self.address, sizeof self.address) < 0 ||
	    !say_hello(fd) || fstat(fd, &st) < 0) {
		raw_close(fd);
		return false;
	}
	self.inode = st.st_ino;
	self.welcomed = false;
	self.due = 0;
	atomic_store(&self.fd, fd);
	return true;
}

static bool connect_if_time(uint64_t now)
{
	if (now < self.retry_ns)
		return false;
	self.retry_ns = now + RETRY_NS;
	return connect_anew();
}

/* Still the socket that it was? Another file would get the keys. */
static bool is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == self.inode;
}

/* Another process's would take its answers. */
static bool usable(uint64_t now)
{
	int fd = atomic_load(&self.fd);

	if (self.confined)
		return fd >= 0;
	if (self.pid != getpid())
		return connect_anew();
	if (fd < 0)
		return connect_if_time(now);
	if (is_ours(fd))
		return true;
	atomic_store(&self.fd, -1);
	return connect_if_time(now);
}

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd};

	return raw_poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* A peer that is gone raises SIGPIPE: sshd ignores it, and looks first; others are not asked. */
static bool send_message(struct bytes b)
{
	int fd = atomic_load(&self.fd);
	long n = -1;

	errno = EPIPE;
	if (!self.confined)
		n = send(fd, b.p, b.n, MSG_NOSIGNAL);
	else if (!hung_up(fd))
		n = raw_write(fd, b.p, b.n);
	if (n < 0 && errno != EAGAIN)
		forget();
	return n == (long)b.n;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void deliver(const struct tap_message *m)
{
	if (m->type == TAP_WELCOME) {
		self.welcomed = true;
		self.budget.wait_ns = m->welcome.wait_ms * NS_PER_MS;
		self.budget.closed = m->welcome.closed;
		return;
	}
	if (m->type != TAP_ANSWER)
		return;
	self.due -= self.due > 0;
	for (struct waiter *w = self.waiters; w; w = w->next) {
		if (w->number != m->answer.number)
			continue;
		w->answered = true;
		w->result = m->answer.result;
	}
}

static bool expects(void)
{
	return !self.welcomed || self.due > 0;
}

/* What is there of what is expected. False: the collector has gone. */
static bool read_answers(int fd)
{
	uint8_t room[64]; /* answers and welcomes are shorter */
	struct tap_message m;

	while (expects()) {
		long n = raw_read(fd, room, sizeof room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		if (n == 0)
			return false;
		if (tap_wire_read(bytes_of(room, (size_t)n), &m) == TAP_WIRE_OK)
			deliver(&m);
	}
	return true;
}

static void read_for_all(uint64_t wait_ns)
{
	int fd = atomic_load(&self.fd);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	self.reading = true;
	pthread_mutex_unlock(&self.lock);
	long r = raw_poll(&p, 1, wait_ns);
	pthread_mutex_lock(&self.lock);
	/* A connection made meanwhile has a number of its own, or the same one and nothing to read.
	 */
	if (r > 0 && atomic_load(&self.fd) == fd && !read_answers(fd))
		forget();
	self.reading = false;
	pthread_cond_broadcast(&self.heard);
}

/* The welcome may come meanwhile, and tell another time than was believed. */
static void wait_from(struct waiter *me, uint64_t start_ns)
{
	while (!me->answered && atomic_load(&self.fd) >= 0) {
		uint64_t now = now_ns(), end = start_ns + self.budget.wait_ns;
		struct timespec t = {(time_t)(end / 1000000000), (long)(end % 1000000000)};
		if (now >= end)
			return;
		if (!self.reading)
			read_for_all(end - now);
		else
			pthread_cond_clockwait(&self.heard, &self.lock, CLOCK_MONOTONIC, &t);
	}
}

static void wait_no_more(const struct waiter *me)
{
	struct waiter **at = &self.waiters;

	while (*at != me)
		at = &(*at)->next;
	*at = me->next;
}

/* ---- a record ------------------------------------------------------------------------------- */

static bool send_keys(struct waiter *me, const struct session_keys *k)
{
	uint8_t room[TAP_MESSAGE_MAX];
	struct writer w = WRITER_IN(room);

	me->number = ++self.number;
	tap_wire_keys(&w, me->number, k);
	bool sent = writer_ok(&w) && send_message(writer_view(&w));
	self.due += sent;
	explicit_bzero(room, writer_ok(&w) ? writer_pos(&w) : sizeof room);
	return sent;
}

static bool may_go_on(const struct waiter *me)
{
	return me->answered ? me->result != TAP_NOT_ALLOWED : !self.budget.closed;
}

/* Is there a connection? What has come late is read, so that the collector can always answer. */
static bool ready(uint64_t now)
{
	if (!usable(now))
		return false;
	if (self.reading || read_answers(atomic_load(&self.fd)))
		return true;
	forget();
	return usable(now);
}

/* To a collector that has gone and is there again: to the one that is there. */
static bool send_keys_to_any(struct waiter *me, const struct session_keys *k, uint64_t now)
{
	return ready(now) &&
	       (send_keys(me, k) || (atomic_load(&self.fd) < 0 && usable(now) && send_keys(me, k)));
}

static bool exchange(const struct session_keys *k)
{
	struct waiter me = {0};
	uint64_t now = now_ns();

	if (!send_keys_to_any(&me, k, now))
		return may_go_on(&me);
	if (wait_budget_take(&self.budget, now) == 0)
		return may_go_on(&me);
	me.next = self.waiters;
	self.waiters = &me;
	wait_from(&me, now);
	wait_no_more(&me);
	if (me.answered)
		wait_budget_answered(&self.budget);
	else
		wait_budget_missed(&self.budget, now_ns());
	return may_go_on(&me);
}

/* What a caller's thread was like before. */
struct caller {
	int error, cancel;
	sigset_t signals;
};

/* A handler that jumps out of here, or comes back in, would find the lock held. */
static void enter(struct caller *c)
{
	sigset_t all;

	c->error = errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &c->signals);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &c->cancel);
	pthread_mutex_lock(&self.lock);
}

static void leave(const struct caller *c)
{
	pthread_mutex_unlock(&self.lock);
	pthread_setcancelstate(c->cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &c->signals, NULL);
	errno = c->error;
}

bool collector_link_keys(const struct session_keys *k)
{
	struct caller c;

	enter(&c);
	bool go_on = exchange(k);
	leave(&c);
	return go_on;
}

void collector_link_open(void)
{
	struct caller c;

	enter(&c);
	self.wanted = true;
	if (atomic_load(&self.fd) < 0 || self.pid != getpid())
		(void)connect_anew();
	leave(&c);
}

/* ---- fork, and those who close descriptors --------------------------------------------------- */

/* A welcome that is there by now is the child's, too. */
static void hear_welcome(void)
{
	int error = errno, fd = atomic_load(&self.fd);

	if (fd >= 0 && !self.welcomed && !self.confined && !self.reading && self.pid == getpid() &&
	    is_ours(fd) && !read_answers(fd))
		forget();
	errno = error;
}

void collector_link_prepare(void)
{
	pthread_mutex_lock(&self.lock);
	hear_welcome();
}

void collector_link_parent(void)
{
	pthread_mutex_unlock(&self.lock);
}

void collector_link_child(void)
{
	int error = errno;

	/* Whoever waited or read was a thread of the parent. */
	self.waiters = NULL;
	self.reading = false;
	pthread_mutex_init(&self.lock, NULL);
	pthread_cond_init(&self.heard, NULL);
	if (self.wanted)
		(void)connect_anew();
	errno = error;
}

int collector_link_fd(void)
{
	return atomic_load_explicit(&self.fd, memory_order_relaxed);
}

void collector_link_lost(void)
{
	atomic_store(&self.fd, -1);
}
