/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lab: network namespaces on one hub, for the tests of this room. One thread enters
 * one after the other; sockets stay where they were made. The namespaces have no names and
 * end with the process, whichever way that happens.
 *
 *	client .10   server .1 (the protected one)   backup .2   box .3   on 10.9.0.0/24, fd09::/64
 */
#ifndef TCPREPAIR_TEST_LAB_H
#define TCPREPAIR_TEST_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcprepair/tcprepair.h"

enum lab_host {
	LAB_CLIENT,
	LAB_SERVER,
	LAB_BACKUP,
	LAB_BOX,
	LAB_HUB,
	LAB_HOSTS
};

struct lab {
	int ns[LAB_HOSTS];
};

#define LAB_PORT        80
#define LAB_BACKUP_PORT 8080
#define LAB_PATIENCE_NS (INT64_C(30) * 1000000000)

/* If the tests cannot run here, says so and exits with 77. */
void lab_require_root(void);

/* cmocka's setup and teardown. */
int lab_setup(void **state);
int lab_teardown(void **state);

void lab_enter(const struct lab *l, enum lab_host host);
/* Runs a shell command in the current namespace. The test fails if it fails. */
void lab_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void lab_sysctl(const char *name, const char *value);
/* Silences the server: its port on the hub goes down. */
void lab_cut(const struct lab *l);

struct endpoint lab_endpoint(enum lab_host host, uint8_t family, uint16_t port);
/* Listens on the host's address or, in LAB_BOX, on @at. Nonblocking. */
int lab_listen(const struct endpoint *at);
/* Begins a connection from the current namespace. @mss 0: the system's. */
int lab_connect(const struct endpoint *to, int mss);
/* Waits for events on @fd; fails the test after LAB_PATIENCE_NS. */
void lab_wait(int fd, short events);
int lab_accept(int listener);

/* Byte @i of the stream that all tests use. */
static inline uint8_t lab_byte(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 17 + (i >> 16));
}

void lab_fill(uint8_t *out, uint64_t from, size_t n);
/* Both handle the bytes [from, from + n) of the stream, and wait as long as it takes. */
void lab_send(int fd, uint64_t from, size_t n);
void lab_expect(int fd, uint64_t from, size_t n);
/* Expects that @fd next reports the end of the stream. */
void lab_expect_eof(int fd);
/* Makes the socket receive nothing from now on, as if the network lost all packets to it. */
void lab_deafen(int fd, bool deaf);

#endif
