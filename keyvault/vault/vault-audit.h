/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-audit: who has had what out of the vault, and why: DIR/audit.log.
 *
 * One JSON object a line:
 *	{"n":7,"time":"2026-11-29T12:00:00.123456789Z","who":"recovery","what":"fetch","why":"failover",
 *	 "text":"web1 1796000000","numbers":"1-4,9","previous":"<64 hex digits>"}
 * "previous" is the SHA-256 of the line before, without its end; the first one's is all zeros. So
 * no line can be changed, taken out or put in without all later ones. That lines are missing at the
 * end, DIR/audit.head tells, which has the number and the hash of the last one.
 *
 * A line is on disk before what it tells of happens. What writes it may be held up by the disk, and
 * runs on another thread.
 */
#ifndef KEYVAULT_VAULT_AUDIT_H
#define KEYVAULT_VAULT_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#define AUDIT_HASH_HEX 64

struct vault_audit;

struct audit_line {
	const char *who;  /* "recovery", "origin web1", "root" */
	const char *what; /* "fetch", "fetch-epochs", "erase", "refused", "add-origin", ... */
	const char *why;  /* may be NULL, like the following */
	const char *text;
	const uint64_t *numbers;
	size_t n;
};

/* What vault_audit_verify() found. */
enum {
	AUDIT_WHOLE = 0,
	AUDIT_BROKEN = 1, /* at ret_line: not of our form, or not the next one */
	AUDIT_SHORT = 2,  /* lines are missing at the end */
};

/*
 * Opens it to be written on: from its last line on, which the head must know. 0, -EBADMSG (see
 * vault_audit_verify()), or a negative errno.
 */
int vault_audit_open(const char *dir, struct vault_audit **ret);
void vault_audit_close(struct vault_audit *a);
/* What became of a line. */
enum audit_state {
	AUDIT_WAITS,
	AUDIT_WRITTEN, /* it outlives this process; not yet a machine that loses its power */
	AUDIT_ON_DISK,
	AUDIT_FAILED, /* it is not there, and what it tells of must not be done */
};

/*
 * @now_ns: CLOCK_REALTIME. *ret: the line's ticket. 0, or a negative errno: it will not be there.
 * What is queued is on its way after vault_audit_turn().
 */
int vault_audit_queue(struct vault_audit *a, int64_t now_ns, const struct audit_line *line,
		      uint64_t *ret);
void vault_audit_turn(struct vault_audit *a);
/* Of a failed line it is known until the next vault_audit_turn(). */
enum audit_state vault_audit_state(const struct vault_audit *a, uint64_t ticket);
/* A descriptor that is readable when a turn is due. */
int vault_audit_bell(const struct vault_audit *a);
/* All that, and the waiting. 0 or a negative errno. */
int vault_audit_write(struct vault_audit *a, int64_t now_ns, const struct audit_line *line);

/* Goes through all of it. An outcome or a negative errno. *ret_line: from 1. */
int vault_audit_verify(const char *dir, uint64_t *ret_line);

#endif
