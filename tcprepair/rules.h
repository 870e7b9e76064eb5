/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rules: the host's nftables rules as text, loaded again elsewhere, and who of them drops a packet.
 * By libnftables, in the network namespace that the calling thread is in.
 */
#ifndef TCPREPAIR_RULES_H
#define TCPREPAIR_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All tables but those of guards ("jeebs-..."): *ret is malloc'ed text. 0 or negative errno. */
int rules_read(char **ret);
/* 0; -EINVAL: not loadable, and @why has libnftables' first line. Then nothing is loaded. */
int rules_load(const char *text, char *why, size_t why_n);
/* iptables-legacy has rules here, which are not among those of rules_read(). */
bool rules_legacy_present(void);
/* The number of the current rules. 0 or negative errno. */
int rules_generation(uint32_t *ret);

/* Watches what the rules say to each packet received from now on. */
struct rules_trace;
int rules_trace_open(struct rules_trace **ret);
/* Forgets what it saw so far. */
void rules_trace_begin(struct rules_trace *t);
/* The last drop it saw: "inet filter input: policy drop". 0; -ENOENT: it saw none. */
int rules_trace_drop(struct rules_trace *t, char *out, size_t n);
struct rules_trace *rules_trace_close(struct rules_trace *t); /* NULL is fine; returns NULL */

#endif
