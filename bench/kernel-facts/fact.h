/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fact: what the programs of this folder share. Each shows one thing that this kernel does and
 * that the appliance relies on: prints one line, exits 0 when it is as relied on, 1 when it is not,
 * 77 when the kernel cannot be asked.
 *
 * Two network namespaces on a veth pair: the client 10.9.0.10 and the box 10.9.0.1, which end
 * with the process. One TCP connection between them; the box's end is taken apart
 * (TCP_REPAIR) and built again as a fact wants it.
 */
#ifndef KERNEL_FACTS_FACT_H
#define KERNEL_FACTS_FACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FACT_PORT 80

struct fact {
	const char *name;
	int client_ns, box_ns;
	int client, box; /* both ends; -1 */
	uint16_t client_port;
};

/* The box's end, as it was. */
struct fact_state {
	uint32_t snd, rcv; /* next numbers */
	uint32_t tsval;
	uint32_t snd_wnd, max_window, rcv_wnd, snd_wl1;
	uint8_t snd_wscale, rcv_wscale;
	uint16_t mss;
};

struct fact_restore {
	uint32_t back;     /* in flight: the last so many bytes of the stream are sent again */
	uint32_t as_sent;  /* of them, restored as sent; the rest is sent anew */
	int32_t tsval_add; /* to the timestamp */
	bool no_maxseg;    /* TCP_MAXSEG is not set before connect() */
	bool stay;         /* in repair */
	uint32_t already;  /* the bytes in flight begin at this byte of the stream */
};

/* Namespaces, addresses, the client's route. Exits with 77 when not root. */
void fact_begin(struct fact *f, const char *name);
void fact_enter_client(const struct fact *f);
void fact_enter_box(const struct fact *f);
void fact_shell(const char *command); /* exits with 77 when it fails */

/* Connects: f->client and f->box. */
void fact_connect(struct fact *f);
/* Byte @i of what the box says. */
uint8_t fact_byte(uint64_t i);
/* Box to client: [from, from + n), and what the client gets of it in time: all, or fewer. */
void fact_say(int fd, uint64_t from, size_t n);
size_t fact_hear(int fd, uint64_t from, size_t n, int patience_ms);
/* The client hears nothing: what the network loses. */
void fact_deafen(int fd, bool deaf);

/* Reads the box's end and closes it without a packet. */
void fact_take_apart(struct fact *f, struct fact_state *ret);
/* A socket like it, in repair up to connect() and options, or live. Negative errno. */
int fact_restore(struct fact *f, const struct fact_state *s, const struct fact_restore *how);
int fact_repair(int fd, int mode);
int fact_outq(int fd); /* bytes not acknowledged */
uint32_t fact_segs_in(int fd);
/* A raw segment from the box: an ACK at @seq, with @n bytes of the stream's byte @from. */
void fact_raw_ack(const struct fact *f, uint32_t seq, uint32_t ack, const uint8_t *data, size_t n,
		  uint32_t tsval);

int64_t fact_now_ms(void);
/* Waits until @done(ctx), at most so long. */
bool fact_wait(bool (*done)(void *ctx), void *ctx, int patience_ms);

/* The verdict: one line, and the exit code. */
_Noreturn void fact_end(const struct fact *f, bool as_relied_on, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void fact_skip(const struct fact *f, const char *why);

#endif
