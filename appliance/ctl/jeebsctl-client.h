/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jeebsctl-client: one request to the daemon and its reply.
 */
#ifndef APPLIANCE_JEEBSCTL_CLIENT_H
#define APPLIANCE_JEEBSCTL_CLIENT_H

#include <jansson.h>

/* Of jeebsctl, after sysexits.h. */
enum {
	EXIT_OK = 0,
	EXIT_NEGATIVE = 1, /* the daemon's answer is no */
	EXIT_USAGE = 64,
	EXIT_UNAVAILABLE = 69, /* no daemon, or none that answers */
	EXIT_PERMISSION = 77,
};

/*
 * Sends @request to the socket @path, waits for the reply. EXIT_OK with a new
 * reference to the whole reply, whatever it says; else the exit code, after telling
 * stderr why.
 */
int ctl_call(const char *path, const json_t *request, json_t **ret);

/* The exit code of a reply; an error is told to stderr. */
int ctl_check(const json_t *reply);

#endif
