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

/* Says so and exits with 77 when the tests cannot run here. */
void lab_require_root(void);

/* As cmocka's setup and teardown. */
int lab_setup(void **state);
int lab_teardown(void **state);

void lab_enter(const struct lab *l, enum lab_host host);
/* A shell command in the namespace entered; fails the test when it fails. */
void lab_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void lab_sysctl(const char *name, const char *value);
/* The server falls silent: its port on the hub goes down. */
void lab_cut(const struct lab *l);

struct endpoint lab_endpoint(enum lab_host host, uint8_t family, uint16_t port);
/* Listening on the host's address, or -- LAB_BOX -- on whatever @at says. Nonblocking. */
int lab_listen(const struct endpoint *at);
/* Begins a connection from the namespace entered. @mss 0: the system's. */
int lab_connect(const struct endpoint *to, int mss);
/* Waits for events on @fd; fails the test after LAB_PATIENCE_NS. */
void lab_wait(int fd, short events);
int lab_accept(int listener);

/* The stream of all tests: byte number @i. */
static inline uint8_t lab_byte(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 17 + (i >> 16));
}

void lab_fill(uint8_t *out, uint64_t from, size_t n);
/* Both work on the bytes [from, from + n) of the stream and wait as long as it takes. */
void lab_send(int fd, uint64_t from, size_t n);
void lab_expect(int fd, uint64_t from, size_t n);
/* The next thing @fd reports is the end of the stream. */
void lab_expect_eof(int fd);
/* From now on the socket receives nothing: what the network loses on the way to it. */
void lab_deafen(int fd, bool deaf);

#endif
