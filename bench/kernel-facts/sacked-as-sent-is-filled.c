/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client lacks the first of ten segments and holds the others. Restored as sent with one
 * segment unsent behind them, the hole is filled within a round trip: the SACK blocks of the
 * client's answers say where it is. All of it as sent, with nothing behind, SACK blocks alone do
 * not do it: it waits for a retransmission timer. appliance/failover/failover-connection.c:
 * perhaps_held().
 */
#include "fact.h"

#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define MSS      1448 /* with timestamps */
#define SEGMENTS 10   /* the first flight */
#define BYTES    (MSS * SEGMENTS)
#define TIMER_MS 700 /* as-sent-waits: 1000 and more without SACK */

static bool others_are_held(void *ctx)
{
	struct tcp_info i = {0};
	socklen_t n = sizeof i;

	getsockopt(*(int *)ctx, IPPROTO_TCP, TCP_INFO, &i, &n);
	return i.tcpi_sacked == SEGMENTS - 1;
}

/* The client never gets the segment that begins at @seq, however often it is sent. */
static bool lose(int fd, uint32_t seq)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seq, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog) == 0;
}

static uint32_t next_seq(int fd)
{
	int queue = TCP_SEND_QUEUE;
	uint32_t seq = 0;
	socklen_t n = sizeof seq;

	fact_repair(fd, TCP_REPAIR_ON);
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof queue);
	getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &n);
	fact_repair(fd, TCP_REPAIR_OFF_NO_WP);
	return seq;
}

/* Until the hole is filled, with so much of the flight restored as sent; -1: never. */
static int64_t filled_ms(struct fact *f, uint32_t as_sent)
{
	struct fact_state s;

	fact_connect(f);
	if (!lose(f->client, next_seq(f->box)))
		fact_skip(f, "no filter on a socket");
	fact_say(f->box, 0, BYTES);
	if (!fact_wait(others_are_held, &f->box, 3000))
		fact_skip(f, "the client never held nine of ten segments");
	fact_take_apart(f, &s);
	fact_deafen(f->client, false);
	int64_t begin = fact_now_ms();
	fact_restore(f, &s, &(struct fact_restore){.back = BYTES, .as_sent = as_sent});
	bool filled = fact_hear(f->client, 0, BYTES, 8000) == BYTES;
	int64_t took = fact_now_ms() - begin;
	fact_take_apart(f, &s);
	close(f->client);
	return filled ? took : -1;
}

int main(void)
{
	struct fact f;

	fact_begin(&f, "sacked-as-sent-is-filled");
	/* Segments one by one: a veth would carry all ten as one, and lose all or none. */
	fact_enter_box(&f);
	fact_shell("ip link set box0 gso_max_segs 1");
	int64_t followed = filled_ms(&f, BYTES - MSS), alone = filled_ms(&f, BYTES);
	fact_end(&f, followed >= 0 && followed < 500 && alone >= 0,
		 "a hole before nine segments held: filled after %lld ms with the last of them "
		 "unsent, after %lld ms with all as sent",
		 (long long)followed, (long long)alone);
}
