/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel itself is asked, in namespaces where nobody is disturbed: the host's rules, the
 * guard, a restored socket, and both kinds of clients outside. A thread of its own goes there,
 * because a thread cannot come back to where it was without a right more.
 */
#include "tcprepair.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "rules.h"
#include "base/siphash.h"
#include "stage.h"
#include "base/thread.h"

/*
 * A packet is waited for until it came or the rules were seen to drop it; in rounds, since a busy
 * box may take long. After so many rounds without either nobody knows.
 */
#define ROUNDS_MAX 100
#define ROUND_MS   50
/* Drops in so many rounds are the rules' answer, not the first packets of a limit. */
#define DROPS_MIN     3
#define OWN_MAX       32
#define CLIENT_PORT   40000
#define CLIENT_PORT_2 40001
#define SEQ_SERVER    1000000u
#define SEQ_CLIENT    2000000u
#define WINDOW        65535u

struct rehearsing {
	const struct rehearsal_scene *scene;
	struct rehearsal *ret;
	struct stage stage;
	struct rules_trace *trace;
	char *rules;
	struct if_nameindex *interfaces;
	struct netaddr own[OWN_MAX]; /* the box's addresses on the interface */
	int own_count;
	int result;
};

/* ---- the stage ---- */

static int read_host(struct rehearsing *h)
{
	int r = rules_read(&h->rules);

	if (r < 0)
		return r;
	h->own_count = address_list(h->scene->interface, h->own, OWN_MAX);
	if (h->own_count < 0)
		return h->own_count;
	if (h->own_count > OWN_MAX)
		h->own_count = OWN_MAX;
	h->interfaces = if_nameindex();
	return h->interfaces ? 0 : -errno;
}

static int furnish_box(struct rehearsing *h)
{
	const struct netaddr *service = &h->scene->service.service.addr;
	bool changed;
	int r = 0;

	for (const struct if_nameindex *i = h->interfaces; r == 0 && i->if_index; i++)
		if (strcmp(i->if_name, h->scene->interface) != 0 && strcmp(i->if_name, "lo") != 0)
			r = stage_placeholder(&h->stage, i->if_name);
	for (int i = 0; r == 0 && i < h->own_count; i++)
		if (h->own[i].family == service->family && !netaddr_eq(&h->own[i], service))
			r = stage_address(h->scene->interface, &h->own[i]);
	if (r == 0)
		r = stage_address(h->scene->interface, service);
	if (r == 0)
		r = guard_forwarding(h->scene->interface, service->family, true, &changed);
	return r;
}

static int set_stage(struct rehearsing *h)
{
	int r = stage_open(&h->stage);

	if (r == 0)
		r = stage_connect(&h->stage, h->scene->interface);
	if (r == 0)
		r = furnish_box(h);
	return r;
}

/*
 * ---- a restored connection whose client sends something ----
 * Nobody has the client's address: a kernel that had it would reset a connection it does not know.
 */

static struct snapshot snapshot_of(const struct rehearsing *h, const uint8_t box_mac[6])
{
	struct snapshot s = {
		.server = h->scene->service.service,
		.client = h->scene->client,
		.snd_una = SEQ_SERVER,
		.snd_nxt = SEQ_SERVER,
		.rcv_nxt = SEQ_CLIENT,
		.snd_wl1 = SEQ_CLIENT,
		.snd_wnd = WINDOW,
		.max_window = WINDOW,
		.rcv_edge = SEQ_CLIENT + WINDOW,
		.mss = 1220,
		.probe_byte_ok = true,
	};

	if (s.client.port == 0)
		s.client.port = CLIENT_PORT;
	memcpy(s.client_mac, box_mac, sizeof s.client_mac);
	return s;
}

/*
 * Sends what the client would send. A probe with swapped ends is such a segment: one byte at the
 * number that the box expects.
 */
static int say(const struct rehearsing *h, const struct snapshot *s)
{
	struct snapshot reverse = *s;
	uint8_t frame[PROBE_FRAME_MAX];
	struct link *out = NULL;

	reverse.server = s->client;
	reverse.client = s->server;
	reverse.snd_una = s->rcv_nxt + 1;
	reverse.snd_nxt = reverse.snd_una;
	reverse.rcv_nxt = s->snd_nxt;
	int r = stage_enter(&h->stage, STAGE_OUTSIDE_SIDE);
	if (r == 0)
		r = link_open(STAGE_OUTSIDE, &out);
	if (r == 0) {
		size_t n = probe_build(&reverse, link_mac(out), clock_mono_ns(), frame);
		r = link_send(out, bytes_of(frame, n));
	}
	link_close(out);
	int back = stage_enter(&h->stage, STAGE_BOX_SIDE);
	return r < 0 ? r : back;
}

/* Returns whether @fd became ready in this round, or a negative errno. */
static int becomes(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	int n = poll(&p, 1, ROUND_MS);
	return n < 0 ? -errno : (p.revents & events) != 0;
}

/*
 * Waits until @fd is ready. In each round the client of @restored says something (NULL: nobody
 * does). Returns 1; 0 when the rules dropped what should have come; -ETIMEDOUT when neither was
 * seen; or another negative errno.
 */
static int wait_for(const struct rehearsing *h, int fd, short events,
		    const struct snapshot *restored)
{
	const int enough = restored ? DROPS_MIN : 1;
	int drops = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		int r = restored ? say(h, restored) : 0;
		if (r == 0)
			r = becomes(fd, events);
		if (r != 0)
			return r;
		drops += rules_trace_dropped(h->trace);
		if (drops >= enough)
			return 0;
	}
	return -ETIMEDOUT;
}

/* Returns 1 when the restored socket got the client's segment; else as wait_for(). */
static int restored_is_heard(const struct rehearsing *h, const struct guard *g)
{
	const struct restore_options none = {0};
	uint8_t mac[6], byte;
	const char *step;
	size_t unsent;
	int index, fd = -1;

	int r = address_link(h->scene->interface, &index, mac);
	if (r < 0)
		return r;
	struct snapshot s = snapshot_of(h, mac);
	r = guard_track(g, &(struct guard_flow){s.server, s.client});
	if (r == 0)
		r = restore_socket(&s, &none, clock_mono_ns(), &fd, &unsent, &step);
	if (r < 0)
		return r;
	/* Sent repeatedly: a new cable loses packets until the kernel's worker has brought it
	 * up. */
	r = wait_for(h, fd, POLLIN, &s);
	if (r == 1)
		r = recv(fd, &byte, 1, 0) == 1;
	restore_abandon(fd);
	return r;
}

/* ---- a new connection, which the backup accepts ---- */

static int bound(const struct endpoint *e)
{
	struct sockaddr_storage sa;
	socklen_t n = endpoint_to_sockaddr(e, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, n) == 0)
		return fd < 0 ? -errno : fd;
	int r = -errno;
	close(fd);
	return r;
}

static int connect_outside(const struct rehearsing *h)
{
	struct endpoint client = h->scene->client;
	struct sockaddr_storage sa;
	socklen_t n = endpoint_to_sockaddr(&h->scene->service.service, &sa), error_n = sizeof(int);
	int error = 0;

	client.port = CLIENT_PORT_2;
	_cleanup_close_ int backup = bound(&h->scene->service.backup), fd = bound(&client);
	if (backup < 0 || fd < 0)
		return backup < 0 ? backup : fd;
	if (listen(backup, 1) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)
		return -errno;
	int r = wait_for(h, fd, POLLOUT, NULL);
	if (r != 1)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_n) < 0)
		return -errno;
	return error == 0;
}

static int new_is_served(const struct rehearsing *h)
{
	int r = stage_enter(&h->stage, STAGE_OUTSIDE_SIDE);

	if (r == 0)
		r = stage_address(STAGE_OUTSIDE, &h->scene->client.addr);
	if (r == 0)
		r = stage_address(STAGE_OUTSIDE, &h->scene->service.backup.addr);
	if (r == 0)
		r = connect_outside(h);
	int back = stage_enter(&h->stage, STAGE_BOX_SIDE);
	return back < 0 ? back : r;
}

/* ---- the rehearsal ---- */

static void dropped(struct rehearsing *h, enum rehearsal_outcome outcome)
{
	h->ret->outcome = outcome;
	if (rules_trace_drop(h->trace, h->ret->rule, sizeof h->ret->rule) < 0)
		snprintf(h->ret->rule, sizeof h->ret->rule,
			 "refused, by no nftables rule: routing, or a filter of another kind");
}

static void not_told(struct rehearsing *h)
{
	h->ret->outcome = REHEARSAL_NOT_TOLD;
	snprintf(h->ret->rule, sizeof h->ret->rule,
		 "nothing came through in %d s, and no nftables rule dropped it: a busy box, "
		 "routing, "
		 "or a filter of another kind",
		 ROUNDS_MAX * ROUND_MS / 1000);
}

/*
 * Rehearses with one way of tracking. Returns 1 when the restored connection got its segment, 0
 * when the rules dropped it, -ETIMEDOUT when nobody knows, or another negative errno.
 */
static int play(struct rehearsing *h, enum guard_tracking tracking)
{
	struct guard *g = NULL;

	h->ret->tracking = tracking;
	rules_trace_begin(h->trace);
	int r = guard_up("rehearsal", tracking, &h->scene->service, 1, &g);
	if (r == 0)
		r = guard_open(g, NULL, 0);
	if (r == 0)
		r = restored_is_heard(h, g);
	if (r == 1) {
		rules_trace_begin(h->trace);
		r = new_is_served(h);
		if (r == 0)
			dropped(h, REHEARSAL_NEW_DROPPED);
		r = r < 0 ? r : 1;
	}
	guard_down(g);
	return r;
}

static int perform(struct rehearsing *h)
{
	int r = read_host(h);

	if (r == 0)
		r = set_stage(h);
	if (r < 0)
		return r;
	if (rules_load(h->rules, h->ret->rule, sizeof h->ret->rule) < 0) {
		h->ret->outcome = REHEARSAL_NOT_TOLD;
		return 0;
	}
	r = rules_trace_open(&h->trace);
	if (r == 0)
		r = play(h, GUARD_UNTRACKED);
	if (r == 0 || r == -ETIMEDOUT)
		r = play(h, GUARD_TRACKED);
	if (r == 0)
		dropped(h, REHEARSAL_RESTORED_DROPPED);
	if (r == -ETIMEDOUT) {
		not_told(h);
		return 0;
	}
	return r < 0 ? r : 0;
}

static void *rehearsal_thread(void *arg)
{
	struct rehearsing *h = arg;

	h->result = perform(h);
	rules_trace_close(h->trace);
	stage_close(&h->stage);
	if (h->interfaces)
		if_freenameindex(h->interfaces);
	free(h->rules);
	return NULL;
}

int rehearse(const struct rehearsal_scene *s, struct rehearsal *ret)
{
	struct rehearsal result = {.outcome = REHEARSAL_PASSES};
	struct rehearsing h = {.scene = s, .ret = &result, .stage = {{-1, -1}}};
	pthread_t thread;

	if (rules_legacy_present()) {
		*ret = (struct rehearsal){
			.outcome = REHEARSAL_NOT_TOLD,
			.rule = "iptables-legacy has rules, which cannot be rehearsed"};
		return 0;
	}
	int r = thread_start(&thread, rehearsal_thread, &h);
	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	if (h.result == 0)
		*ret = result;
	return h.result;
}

int rehearsal_generation(uint32_t *ret)
{
	return rules_generation(ret);
}

int rehearsal_digest(uint64_t *ret)
{
	static const struct siphash_key key;
	_cleanup_free_ char *rules = NULL;
	int r = rules_read(&rules);

	if (r < 0)
		return r;
	/* Rules of iptables-legacy cannot be rehearsed, so their presence changes the digest. */
	*ret = siphash13(rules, strlen(rules), &key) ^ rules_legacy_present();
	return 0;
}
