/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jeebsctl-client: one request to the daemon and its reply.
 */
#ifndef APPLIANCE_JEEBSCTL_CLIENT_H
#define APPLIANCE_JEEBSCTL_CLIENT_H

#include <jansson.h>

/* Exit codes of jeebsctl, after sysexits.h. */
enum {
	EXIT_OK = 0,
	EXIT_NEGATIVE = 1, /* the daemon answered "no" */
	EXIT_USAGE = 64,
	EXIT_UNAVAILABLE = 69, /* no daemon, or it does not answer */
	EXIT_PERMISSION = 77,
};

/*
 * Sends @request to the socket @path and waits for the reply. Returns EXIT_OK with a new reference
 * to the whole reply, whatever the reply says. On failure prints the cause to stderr and returns
 * the exit code.
 */
int ctl_call(const char *path, const json_t *request, json_t **ret);

/* Returns the exit code of a reply. Prints its error, if any, to stderr. */
int ctl_check(const json_t *reply);

#endif
