/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dry-run: the drill. It runs the live tracker and modules on a capture file, kills the server at a
 * point, and says for each live connection what would happen.
 *
 * It needs no privileges. Time is that of the packets.
 */
#ifndef APPLIANCE_DRY_RUN_H
#define APPLIANCE_DRY_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"

enum dry_run_cut {
	/* The middle of the longest stretch of packets with the most live connections. */
	DRY_RUN_CUT_BUSIEST,
	DRY_RUN_CUT_TIME,   /* cut_ns after the first packet */
	DRY_RUN_CUT_PACKET, /* after packet cut_packet */
	DRY_RUN_CUT_END,    /* after the last packet */
	/* After each cut_packet-th packet every connection that has changed is cut. What follows
	 * is proved and not only planned. */
	DRY_RUN_CUT_EVERY,
};

#define DRY_RUN_HORIZON ((size_t)256 << 10)

struct dry_run_options {
	const char *path; /* "-" is standard input, for cuts that need one pass */
	/* The protected services: those of the configuration, or those of one server. */
	const struct config *config; /* NULL: `server` is used */
	bool server_auto;            /* the server is the address that answered the most SYNs */
	struct endpoint server;      /* port 0: every port */
	const char *protocol;        /* the module for all its ports; NULL: by well-known port */
	const char *modules_dir;
	enum dry_run_cut cut;
	int64_t cut_ns;
	uint64_t cut_packet;
	/* DRY_RUN_CUT_EVERY: bytes behind each cut that are proved; 0: DRY_RUN_HORIZON. */
	size_t horizon;
	/* A file with a TLS key log; NULL: none but what the capture has itself. */
	const char *keys;
	bool json;
};

/* Parses "12.5", "12.5s", "packet:N", "end", "every" or "every:N" into cut, cut_ns and
 * cut_packet. Returns 0 or -EINVAL. */
int dry_run_parse_cut(const char *text, struct dry_run_options *io);

/* Parses a number of bytes from 1 to 1 GiB. Returns 0 or -EINVAL. */
int dry_run_parse_horizon(const char *text, struct dry_run_options *io);

/*
 * Runs it and prints the report to @out, complaints to @err. Returns an exit code:
 * 0 all live connections would continue, 1 some would be refused, 2 (every) one would get
 * wrong bytes or none, 65 bad capture
 * (the report covers what came before the damage), 66 it cannot be read, 74 the
 * report cannot be written, 78 no module or no server to protect, 70 out of memory.
 */
int dry_run(const struct dry_run_options *o, FILE *out, FILE *err);

#endif
