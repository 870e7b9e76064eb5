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

void join_proof_sent(struct join *c, size_t n)
{
	c->sent += n;
	if (!join_main(c)->proven && c->sent > c->first_out_n && list_empty(&c->proving))
		list_add_tail(&c->thread->proving, &c->proving);
}

void join_proof_settled(struct join *j)
{
	if (j->proven || !j->agreed || j->pass != JOIN_PASS_BOTH)
		return;
	if (j->backend != JOIN_BACKEND_NONE && j->backend != JOIN_BACKEND_UP)
		return;
	/* An answer of the backend, and what the kernel has taken for the client, are owed still.
	 */
	if (j->asked || j->sent > j->first_out_n)
		return;
	if (j->side[JOIN_CLIENT].out.bytes == 0 && j->side[JOIN_BACKEND].out.bytes == 0)
		prove(j);
}

/* The size of the segments it sends; without an answer nothing is a segment. */
static uint64_t segment_of(int fd)
{
	int mss;
	socklen_t n = sizeof mss;

	return getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &n) < 0 ? UINT64_MAX : (uint64_t)mss;
}

/* What the kernel still keeps for the client is at the end of what it was given. */
static bool has_acked(const struct join *c)
{
	const uint64_t fresh = c->sent - c->first_out_n;
	const int fd = c->side[JOIN_CLIENT].fd;
	int unacked;

	if (ioctl(fd, SIOCOUTQ, &unacked) < 0 || (uint64_t)unacked >= fresh)
		return false;
	return unacked == 0 || fresh - (uint64_t)unacked >= segment_of(fd);
}

void join_proof_look(struct join_thread *t)
{
	list_for_each_safe (it, tmp, &t->proving) {
		struct join *c = list_entry(it, struct join, proving);
		bool over = c->dying || c->side[JOIN_CLIENT].fd < 0 || join_main(c)->proven;
		if (!over && !has_acked(c))
			continue;
		list_del(it);
		if (!over)
			prove(join_main(c));
	}
}
