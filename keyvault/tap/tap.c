/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "collector-link.h"

static atomic_bool on;
static bool one;
static struct socket_ends the_one;

/* What the collector shows of us; the program may write over its own name later. */
static void program_name(char out[static TAP_PROGRAM_MAX + 1])
{
	const char *name = program_invocation_short_name;
	size_t n = 0;

	for (; name[n] && n < TAP_PROGRAM_MAX; n++)
		out[n] = name[n] > ' ' && name[n] <= '~' ? name[n] : '_';
	out[n] = '\0';
}

void tap_begin(const char *path, bool closed, bool ssh)
{
	struct tap_hello hello = {0};

	if (atomic_load(&on) || !path || !*path)
		return;
	one = ssh && socket_ends_of(STDIN_FILENO, &the_one);
	hello.one_connection = one;
	if (one) {
		hello.server = the_one.server;
		hello.client = the_one.client;
	}
	program_name(hello.program);
	if (!collector_link_init(path, &hello, one, closed) ||
	    pthread_atfork(collector_link_prepare, collector_link_parent, collector_link_child) !=
		    0)
		return;
	if (one)
		collector_link_open();
	atomic_store(&on, true);
}

bool tap_is_on(void)
{
	return atomic_load_explicit(&on, memory_order_relaxed);
}

const struct socket_ends *tap_one_connection(void)
{
	return one ? &the_one : NULL;
}
