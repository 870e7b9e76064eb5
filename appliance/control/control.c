/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/bell.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "control-client.h"
#include "base/thread.h"

#define BACKLOG         16
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS) /* pause of accept() without descriptors */
#define FIRST_CLIENT    2                 /* index in the array for poll() */
#define BIND_ATTEMPTS   3

struct control {
	int listen_fd, stop_fd;
	struct sockaddr_un address;
	bool bound;
	pthread_t thread;
	struct control_host host;
	int64_t accept_after_ns;
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

static struct control_client *free_slot(struct control *c)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	return NULL;
}

static void refuse_client(struct control *c, int fd)
{
	static const char reply[] =
		"{\"api\":1,\"ok\":false,\"error\":{\"code\":\"too-many-clients\",\"message\":"
		"\"too many clients on the control socket; try again\"}}\n";

	atomic_fetch_add_explicit(&c->host.clients_refused, 1, memory_order_relaxed);
	send(fd, reply, sizeof reply - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Closes the client that has been idle longest, in favour of an administrator. */
static struct control_client *make_room(struct control *c)
{
	struct control_client *oldest = NULL;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &c->clients[i];
		if (client->fd >= 0 && control_client_idle(client) &&
		    (!oldest || client->deadline_ns < oldest->deadline_ns))
			oldest = client;
	}
	if (oldest)
		control_client_close(oldest);
	return oldest;
}

/* How many connections this user has. */
static unsigned held_by(const struct control *c, uid_t uid)
{
	unsigned n = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		n += c->clients[i].fd >= 0 && c->clients[i].peer.uid == uid;
	return n;
}

/* Finds a place for the peer of @fd; NULL: there is none. */
static struct control_client *place_for(struct control *c, int fd)
{
	struct control_peer peer;

	if (control_peer_of(fd, &peer) < 0 ||
	    (!peer.admin && held_by(c, peer.uid) >= CONTROL_CLIENTS_PER_USER))
		return NULL;
	struct control_client *slot = free_slot(c);
	return slot || !peer.admin ? slot : make_room(c);
}

static void accept_client(struct control *c, int64_t now_ns)
{
	_cleanup_close_ int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		/* Without descriptors the socket stays readable. A pause keeps this from
		 * spinning. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			c->accept_after_ns = now_ns + ACCEPT_PAUSE_NS;
		return;
	}
	struct control_client *slot = place_for(c, fd);
	if (!slot)
		refuse_client(c, fd);
	else if (control_client_open(slot, &c->host, fd, now_ns) == 0)
		take_fd(&fd);
}

static int poll_timeout_ms(const struct control *c, int64_t now_ns)
{
	int64_t next = INT64_MAX;

	if (c->accept_after_ns > now_ns)
		next = c->accept_after_ns;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (c->clients[i].fd < 0)
			continue;
		if (control_client_ready(&c->clients[i]))
			return 0;
		if (c->clients[i].deadline_ns < next)
			next = c->clients[i].deadline_ns;
	}
	if (next == INT64_MAX)
		return -1;
	return next <= now_ns ? 0 : (int)((next - now_ns) / NS_PER_MS) + 1;
}

static void serve_clients(struct control *c, const struct pollfd *polled, int64_t now_ns)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0 &&
		    !control_client_turn(&c->clients[i], polled[i].revents, now_ns))
			control_client_close(&c->clients[i]);
}

static void *run(void *arg)
{
	struct control *c = arg;

	for (;;) {
		struct pollfd fds[FIRST_CLIENT + CONTROL_CLIENTS_MAX];
		int64_t now_ns = clock_mono_ns();
		fds[0] = (struct pollfd){.fd = c->stop_fd, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = c->accept_after_ns > now_ns ? -1 : c->listen_fd,
					 .events = POLLIN};
		for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
			fds[FIRST_CLIENT + i] = (struct pollfd){
				.fd = c->clients[i].fd,
				.events = control_client_events(&c->clients[i]),
			};
		if (poll(fds, FIRST_CLIENT + CONTROL_CLIENTS_MAX, poll_timeout_ms(c, now_ns)) < 0 &&
		    errno != EINTR)
			return NULL;
		if (fds[0].revents)
			return NULL;
		now_ns = clock_mono_ns();
		serve_clients(c, fds + FIRST_CLIENT, now_ns);
		if (fds[1].revents)
			accept_client(c, now_ns);
	}
}

static int make_folder(const char *path)
{
	_cleanup_free_ char *folder = strdup(path);

	if (!folder)
		return -ENOMEM;
	char *slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return 0;
	*slash = 0;
	if (mkdir(folder, 0750) < 0)
		return errno == EEXIST ? 0 : -errno;
	return chmod(folder, 0750) < 0 ? -errno : 0; /* chmod() because mkdir() applies the umask */
}

/* Returns 0 when @address is free: nothing is there, or a socket on which nobody listens. */
static int remove_stale(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return errno == ENOENT ? 0 : -errno;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_path(struct control *c)
{
	for (int i = 0; i < BIND_ATTEMPTS; i++) {
		if (bind(c->listen_fd, (struct sockaddr *)&c->address, sizeof c->address) == 0) {
			c->bound = true;
			return 0;
		}
		if (errno != EADDRINUSE)
			return -errno;
		int r = remove_stale(&c->address);
		if (r < 0)
			return r;
	}
	return -EADDRINUSE;
}

static int open_socket(struct control *c, const char *path)
{
	if (strlen(path) >= sizeof c->address.sun_path)
		return -ENAMETOOLONG;
	c->address.sun_family = AF_UNIX;
	strcpy(c->address.sun_path, path);
	int r = make_folder(path);
	if (r < 0)
		return r;
	c->stop_fd = bell_open();
	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->stop_fd < 0 || c->listen_fd < 0)
		return c->stop_fd < 0 ? c->stop_fd : -errno;
	/* Linux gives the file the socket's own mode. Set before bind(), it leaves no moment in
	 * which everybody can connect. */
	if (fchmod(c->listen_fd, 0660) < 0)
		return -errno;
	r = bind_path(c);
	if (r < 0)
		return r;
	if (chmod(path, 0660) < 0 || listen(c->listen_fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

static void free_control(struct control *c)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0)
			control_client_close(&c->clients[i]);
	if (c->bound)
		unlink(c->address.sun_path);
	cleanup_closep(&c->listen_fd);
	cleanup_closep(&c->stop_fd);
	free(c);
}

int control_open(const char *path, const struct control_ops *ops, void *ctx, struct control **ret)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->listen_fd = c->stop_fd = -1;
	c->host.ops = ops;
	c->host.ctx = ctx;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	int r = open_socket(c, path);
	if (r == 0)
		r = thread_start(&c->thread, run, c);
	if (r < 0) {
		free_control(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct control *control_close(struct control *c)
{
	if (!c)
		return NULL;
	bell_ring(c->stop_fd);
	pthread_join(c->thread, NULL);
	free_control(c);
	return NULL;
}

struct control_stats control_stats(const struct control *c)
{
	const struct control_host *h = &c->host;

#define LOAD(field, ...) .field = atomic_load_explicit(&h->field, memory_order_relaxed),
	return (struct control_stats){CONTROL_COUNTERS(LOAD, LOAD)};
#undef LOAD
}
