/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-proof.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "join-family.h"

static void prove(struct join *main)
{
	if (main->proven)
		return;
	main->proven = true;
	join_report(main, JOIN_PROVEN);
}

static void look_later(struct join *c)
{
	if (!join_main(c)->proven && list_empty(&c->proving))
		list_add_tail(&c->thread->proving, &c->proving);
}

void join_proof_sent(struct join *c, size_t n)
{
	c->sent += n;
	if (c->sent > c->first_out_n)
		look_later(c);
}

void join_proof_heard(struct join *c, size_t n)
{
	if (!c->agreed || c->pass != JOIN_PASS_BOTH)
		return;
	c->heard += n;
	look_later(c);
}

void join_proof_settled(struct join *j)
{
	if (j->proven || !j->agreed || j->pass != JOIN_PASS_BOTH)
		return;
	if (j->backend != JOIN_BACKEND_NONE && j->backend != JOIN_BACKEND_UP)
		return;
	/* The backend's answer, or the client's ACK for bytes the kernel has taken, is still to
	 * come. */
	if (j->answer_owed || j->sent > j->first_out_n)
		return;
	if (j->side[JOIN_CLIENT].out.bytes == 0 && j->side[JOIN_BACKEND].out.bytes == 0)
		prove(j);
}

/* The size of the segments that are sent. Without it no number of bytes makes a segment. */
static uint64_t segment_of(int fd)
{
	int mss;
	socklen_t n = sizeof mss;

	return getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &n) < 0 ? UINT64_MAX : (uint64_t)mss;
}

/*
 * Whether the client has acknowledged new bytes. What the kernel still keeps for it is the end of
 * what was written: first_out, then new bytes.
 */
static bool client_has_new(const struct join *c, uint64_t unacked)
{
	if (c->sent <= c->first_out_n || unacked >= c->sent - c->first_out_n)
		return false;
	return unacked == 0 ||
	       c->sent - c->first_out_n - unacked >= segment_of(c->side[JOIN_CLIENT].fd);
}

/*
 * Whether the backup has acknowledged new bytes of the client. What passes is the end of what is
 * written to the backup.
 */
static bool backup_has_new(const struct join *c)
{
	const struct join_side *backend = &c->side[JOIN_BACKEND];
	int unacked;

	if (c->heard == 0 || c->backend != JOIN_BACKEND_UP || backend->fd < 0)
		return false;
	if (c->side[JOIN_CLIENT].out.bytes > 0 || ioctl(backend->fd, SIOCOUTQ, &unacked) < 0)
		return false;
	return (uint64_t)unacked + backend->out.bytes < c->heard;
}

static bool has_proof(const struct join *c)
{
	int unacked;

	if (ioctl(c->side[JOIN_CLIENT].fd, SIOCOUTQ, &unacked) < 0)
		return false;
	return client_has_new(c, (uint64_t)unacked) || (unacked == 0 && backup_has_new(c));
}

/* Leaves the list when there is proof, or when none can come any more. */
static void look(struct join *c)
{
	bool over = c->dying || c->side[JOIN_CLIENT].fd < 0 || join_main(c)->proven;

	if (!over && !has_proof(c))
		return;
	list_del(&c->proving);
	if (!over)
		prove(join_main(c));
}

void join_proof_look(struct join_thread *t)
{
	list_for_each_safe (it, tmp, &t->proving)
		look(list_entry(it, struct join, proving));
}

void join_proof_ends(struct join *c)
{
	if (!list_empty(&c->proving))
		look(c);
}
