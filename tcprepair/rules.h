/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rules: reads the host's nftables rules as text, loads such text, and finds the rule that drops a
 * packet. Uses libnftables, in the network namespace of the calling thread.
 */
#ifndef TCPREPAIR_RULES_H
#define TCPREPAIR_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads all tables except those of guards ("jeebs-..."). *ret is malloc()ed text. Returns 0 or a
 * negative errno.
 */
int rules_read(char **ret);
/*
 * Loads the rules. Returns 0, or -EINVAL with libnftables' first line in @why; then nothing is
 * loaded.
 */
int rules_load(const char *text, char *why, size_t why_n);
/* Whether there are rules of iptables-legacy, which rules_read() does not see. */
bool rules_legacy_present(void);
/* Reads the number of the current rule set. Returns 0 or a negative errno. */
int rules_generation(uint32_t *ret);

/* Records what the rules decide for each TCP packet received from now on. */
struct rules_trace;
int rules_trace_open(struct rules_trace **ret);
/* Forgets what was recorded. */
void rules_trace_begin(struct rules_trace *t);
/*
 * Writes the last drop recorded: "inet filter input: policy drop". Returns 0, or -ENOENT when there
 * was none.
 */
int rules_trace_drop(struct rules_trace *t, char *out, size_t n);
/* Whether a drop was recorded since the last time. */
bool rules_trace_dropped(struct rules_trace *t);
struct rules_trace *rules_trace_close(struct rules_trace *t); /* NULL is fine; returns NULL */

#endif
