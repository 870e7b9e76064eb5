/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "restore-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRAME_MAX 256
#define IP_AT     14
#define TCP_AT    34
#define IP_BYTES  20
#define TCP_ACK   0x10
#define TCP_RST   0x04
#define QUEUE     (64 << 20)

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static uint32_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	return n % 2 ? s + ((uint32_t)p[n - 1] << 8) : s;
}

static void put_sum(uint8_t *at, uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	at[0] = (uint8_t)(~s >> 8);
	at[1] = (uint8_t)~s;
}

static void swap(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t t[16];

	memcpy(t, a, n);
	memcpy(a, b, n);
	memcpy(b, t, n);
}

/* The frame becomes its own answer: sequence and acknowledgement change places, like all else. */
static size_t answer(uint8_t *f, size_t n)
{
	if (n < TCP_AT + 20 || f[12] != 8 || f[13] != 0 || f[IP_AT] != 0x45 ||
	    f[IP_AT + 9] != IPPROTO_TCP || (f[TCP_AT + 13] & (TCP_ACK | TCP_RST)) != TCP_ACK)
		return 0;
	uint8_t *tcp = f + TCP_AT;
	size_t header = (size_t)(tcp[12] >> 4) * 4, tcp_n = header;
	uint32_t seq;

	swap(f, f + 6, 6);
	swap(f + IP_AT + 12, f + IP_AT + 16, 4);
	swap(tcp, tcp + 2, 2);
	swap(tcp + 4, tcp + 8, 4);
	memcpy(&seq, tcp + 8, 4);
	seq = htonl(ntohl(seq) + 1); /* asked with the byte before the one it wants */
	memcpy(tcp + 8, &seq, 4);
	tcp[14] = 1; /* window */
	tcp[15] = 0xf6;
	if (header == 32)
		swap(tcp + 24, tcp + 28, 4); /* timestamps, behind two NOPs */
	f[IP_AT + 2] = 0;
	f[IP_AT + 3] = (uint8_t)(IP_BYTES + tcp_n);
	memset(f + IP_AT + 10, 0, 2);
	put_sum(f + IP_AT + 10, sum(f + IP_AT, IP_BYTES, 0));
	memset(tcp + 16, 0, 2);
	put_sum(tcp + 16, sum(tcp, tcp_n, sum(f + IP_AT + 12, 8, IPPROTO_TCP + (uint32_t)tcp_n)));
	return TCP_AT + tcp_n;
}

static void serve(const struct restore_peer *p, int ready, int go)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int on = 1, queue = QUEUE;
	char c = 0;

	must(unshare(CLONE_NEWNET) == 0, "unshare");
	must(write(ready, &c, 1) == 1 && read(go, &c, 1) == 1, "pipe");
	must(system("ip link set eth1 address 02:00:00:00:00:01 && ip link set eth1 up") == 0,
	     "ip link set eth1 up");
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	sa.sll_ifindex = (int)if_nametoindex("eth1");
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &queue, sizeof queue);
	must(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0, "packet socket");
	must(write(ready, &c, 1) == 1, "pipe");
	for (;;) {
		uint8_t frame[FRAME_MAX];
		ssize_t got = recv(fd, frame, sizeof frame, 0);
		size_t n = got > 0 ? answer(frame, (size_t)got) : 0;
		if (n && send(fd, frame, n, 0) == (ssize_t)n)
			atomic_fetch_add(p->answered, 1);
	}
}

void restore_peer_start(struct restore_peer *p)
{
	int ready[2], go[2];
	char c = 0, command[256];

	p->answered = mmap(NULL, sizeof *p->answered, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(p->answered != MAP_FAILED && pipe(ready) == 0 && pipe(go) == 0, "pipe");
	p->pid = fork();
	must(p->pid >= 0, "fork");
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(p, ready[1], go[0]);
	}
	must(read(ready[0], &c, 1) == 1, "peer");
	snprintf(command, sizeof command,
		 "ip link set lo up && ip link add eth0 type veth peer name eth1 && "
		 "ip link set eth1 netns %d && ip addr add 10.9.0.3/16 dev eth0 && "
		 "ip link set eth0 up",
		 (int)p->pid);
	must(system(command) == 0, "ip");
	must(write(go[1], &c, 1) == 1 && read(ready[0], &c, 1) == 1, "peer");
	for (int i = 1; i <= 4; i++) {
		snprintf(command, sizeof command,
			 "ip neigh replace 10.9.1.%d lladdr 02:00:00:00:00:01 dev eth0", i);
		must(system(command) == 0, "ip neigh");
	}
}

void restore_peer_stop(struct restore_peer *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}
