/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tcp-script: conversations in packetdrill's notation, for tests of what the box makes of
 * them without a kernel: decoder, tracker, plan and snapshot.
 *
 * The box stands in between, so both directions are input: `<` is what the client sends,
 * `>` what the server sends. One statement a line, `#` begins a comment:
 *
 *	isn client 4294967290		numbers begin here (also: isn server); 1000 and 5000
 *	family v6			addresses; v4
 *	+0.0 < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7>
 *	+0.1 > S. 0:0(0) ack 1 win 65535 <mss 1460>
 *	+0 < P. 1:101(100) ack 1 win 500
 *	+0 lost > . 1:1001(1000) ack 101 win 500	on the wire, not captured
 *	+0 drops			the capture lost something, somewhere
 *	+0.3 tick			time passes without a packet
 *	+0 cut				the server is dead: clients are asked (probe)
 *	+0 take				taken over: settled, planned, snapshot
 *	%{ snd_una == 1, plan == "continue" }%
 *
 * Times are seconds, `+` after the statement before. Sequence numbers are relative as
 * packetdrill's: 0 is the SYN, 1 the first byte. Flags: S F R P . U E W. Options: mss N, sackOK,
 * TS val N ecr N, wscale N, nop, eol, sack A:B C:D, mptcp, md5, ao, tfo, raw HEX. Behind
 * them in brackets, what the frame is like:
 *
 *	[ttl 63, tos 0x12, vlan 7, captured 60, other, fragment 0, badsum, stranger, moved, piece 9,
 *	without-df]
 *
 * captured: bytes of payload the capture holds; other: not the bytes that belong there;
 * fragment: IPv4, only so many bytes of the packet, more fragments follow; badsum: the TCP
 * checksum is wrong; stranger: the frame is for somebody else; moved: for the receiver's other MAC;
 * without-df: IPv4 without "don't fragment"; piece: the ring says that the frame is made of
 * segments of so many bytes.
 *
 * What may be asserted is told by tcp_script_names(). Numbers are compared with
 * == != < <= > >=, texts in quotes with == and !=. Snapshot numbers are relative too.
 */
#ifndef APPLIANCE_TCP_SCRIPT_H
#define APPLIANCE_TCP_SCRIPT_H

#include "base/buf.h"
#include "capture/decode.h"

/* ---- tcp-script.c: the language ------------------------------------------------------------- */

enum tcp_script_kind {
	TCP_SCRIPT_ISN,
	TCP_SCRIPT_FAMILY,
	TCP_SCRIPT_SEGMENT,
	TCP_SCRIPT_DROPS,
	TCP_SCRIPT_TICK,
	TCP_SCRIPT_CUT,
	TCP_SCRIPT_TAKE,
	TCP_SCRIPT_ASSERT,
};

#define TCP_SCRIPT_OPTIONS_MAX 40 /* ceiling of a TCP header (RFC 9293) */

struct tcp_script_segment {
	bool from_server, lost;
	uint8_t flags;
	uint32_t seq, end, ack; /* relative */
	bool ack_given;
	uint16_t window;
	/* In wire form, padded; SACK becomes absolute later. */
	uint8_t option[TCP_SCRIPT_OPTIONS_MAX];
	uint32_t option_n;
	uint32_t sack_at, sack_n; /* positions of SACK edges in `option`, 4 bytes each */
	uint8_t ttl, tos;
	int32_t vlan;      /* -1: none */
	uint32_t captured; /* bytes of the payload */
	bool other, bad_sum, stranger, moved;
	uint16_t piece;
	bool may_fragment;
	int32_t fragment; /* -1: not a fragment */
};

struct tcp_script_statement {
	enum tcp_script_kind kind;
	uint32_t line;
	int64_t time_ns; /* since the beginning */
	union {
		struct {
			bool server;
			uint32_t value;
		} isn;
		bool v6;
		struct tcp_script_segment segment;
		struct {
			char name[32], op[3], text[96];
			bool is_text;
			int64_t number;
		} assertion; /* a list becomes one statement for each assertion */
	};
};

struct tcp_script {
	struct tcp_script_statement *statement;
	uint32_t count;
};

/*
 * Parses a script. Returns 0, -ENOMEM, or 1 when it is not a script; then @error is "NAME:LINE:
 * what is wrong". Deinit is due in any case.
 */
int tcp_script_parse(const char *name, const char *text, struct tcp_script *ret, char *error,
		     size_t error_size);
void tcp_script_deinit(struct tcp_script *s);

/* ---- tcp-script-frame.c ------------------------------------------------------------ */

struct tcp_script_wire {
	struct endpoint client, server;
	uint32_t isn[2]; /* by side: client, server */
};

/* The byte at stream offset @off of the client (0) or the server (1). */
static inline uint8_t tcp_script_byte(int from_server, uint64_t off)
{
	return (uint8_t)(off * 31 + off / 253 + (from_server ? 101 : 7));
}

/* Writes the Ethernet frame of @s. *ret_wire is its length before the capture cut it. */
void tcp_script_frame(const struct tcp_script_wire *w, const struct tcp_script_segment *s,
		      struct buf *out, size_t *ret_wire);

/* ---- tcp-script-run.c -------------------------------------------------------------- */

/*
 * Plays the script. Returns 0, or 1 at the first assertion that does not hold, with @error as
 * above.
 */
int tcp_script_run(const char *name, const struct tcp_script *s, char *error, size_t error_size);
/* The names that may be used in assertions, NULL-terminated. */
const char *const *tcp_script_names(void);

#endif
