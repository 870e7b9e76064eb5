/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PACKET_FANOUT_HASH is symmetric: both directions of a connection reach the same ring, so each
 * capture thread can follow its flows alone. capture/ring-sys.c.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fact.h"

#define FLOWS     24
#define SOCKETS   2
#define IP_HEADER 20

struct flow {
	uint16_t port;
	int in[SOCKETS], out[SOCKETS]; /* packets that each socket saw */
};

struct taps {
	int fd[SOCKETS];
	struct flow flow[FLOWS];
};

static int tap(const struct fact *f)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int group = (int)(7 | (uint32_t)(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG) << 16);

	at.sll_ifindex = (int)if_nametoindex("client0");
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group, sizeof group) < 0)
		fact_skip(f, "no packet fanout");
	return fd;
}

static void count(struct taps *t, int which, const uint8_t *b, bool out)
{
	uint16_t port = (uint16_t)(out ? b[IP_HEADER] << 8 | b[IP_HEADER + 1]
				       : b[IP_HEADER + 2] << 8 | b[IP_HEADER + 3]);

	for (struct flow *w = t->flow; w < t->flow + FLOWS; w++)
		if (w->port == port)
			(out ? w->out : w->in)[which]++;
}

/* Reads what came; true when each flow was seen in both directions. */
static bool seen(void *ctx)
{
	struct taps *t = ctx;
	struct sockaddr_ll from;
	uint8_t b[256];

	for (int i = 0; i < SOCKETS; i++)
		for (;;) {
			socklen_t len = sizeof from;
			ssize_t n = recvfrom(t->fd[i], b, sizeof b, MSG_DONTWAIT,
					     (struct sockaddr *)&from, &len);
			if (n < 0)
				break;
			if (n > IP_HEADER + 4 && b[9] == IPPROTO_TCP)
				count(t, i, b, from.sll_pkttype == PACKET_OUTGOING);
		}
	for (const struct flow *w = t->flow; w < t->flow + FLOWS; w++)
		if (w->in[0] + w->in[1] < 2 || w->out[0] + w->out[1] < 3)
			return false;
	return true;
}

int main(void)
{
	struct fact f;
	static struct taps t;
	int split = 0, on[SOCKETS] = {0};

	fact_begin(&f, "fanout-keeps-flows-whole");
	for (int i = 0; i < SOCKETS; i++)
		t.fd[i] = tap(&f); /* we are in the client's namespace */
	for (int i = 0; i < FLOWS; i++) {
		fact_connect(&f);
		t.flow[i].port = f.client_port;
		fact_say(f.client, 0, 10);
	}
	bool all = fact_wait(seen, &t, 3000);
	for (const struct flow *w = t.flow; w < t.flow + FLOWS; w++) {
		int first = w->in[0] + w->out[0], second = w->in[1] + w->out[1];
		split += first && second;
		on[0] += first && !second;
		on[1] += second && !first;
	}
	fact_end(&f, all && split == 0 && on[0] && on[1],
		 "%d connections: %d and %d whole on a socket, %d split", FLOWS, on[0], on[1],
		 split);
}
