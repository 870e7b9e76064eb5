/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * collector-link: the process's connection to the collector, and the wait for its answers.
 *
 * There is one for each process: what a fork inherits is closed and opened anew, while the process
 * may still do that (collector_link_child(), before chroot and sandbox). Its descriptor is high,
 * non-blocking and close-on-exec. Threads share it: each waits for its own number, one of them
 * reads for all.
 *
 * A confined process (sshd's) can neither connect nor look at its descriptor: it uses what it has
 * by read, write and poll alone, and goes on without when that is gone. Any other one connects
 * again, once a second at most, and makes sure before each message that its descriptor is still
 * the socket it was.
 *
 * Nothing here changes errno, lets a signal in, or blocks for longer than the budget.
 */
#ifndef KEYVAULT_COLLECTOR_LINK_H
#define KEYVAULT_COLLECTOR_LINK_H

#include "keyvault/record/tap-wire.h"

/* Once, before threads. @path is copied. False: it is too long. */
bool collector_link_init(const char *path, const struct tap_hello *hello, bool confined,
			 bool closed);
/* Connects, unless it is. */
void collector_link_open(void);
/*
 * Sends the record and waits for what became of it. True: the session may go on. False: it has to
 * fail.
 */
bool collector_link_keys(const struct session_keys *k);
/* The handlers of pthread_atfork(3). */
void collector_link_prepare(void);
void collector_link_parent(void);
void collector_link_child(void);

/* Its descriptor, or -1: for those who would close it. */
int collector_link_fd(void);
/* The program wants the number for itself, and has it now. */
void collector_link_lost(void);

#endif
