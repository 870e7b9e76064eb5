/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cut-mark: the instant at which the lab cut the server off.
 *
 * The lab writes CLOCK_REALTIME as "seconds.microseconds" (bash: $EPOCHREALTIME)
 * into a file, atomically by rename, just before it cuts. Realtime, because the
 * same clock stamps the daemon's log. When the server is really off, which on a busy
 * machine takes a while, it makes a second file, of that name and ".off".
 */
#ifndef BENCH_CUT_MARK_H
#define BENCH_CUT_MARK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static inline int64_t cut_mark_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Microseconds since the epoch, or 0 as long as nothing was cut. @path may be NULL. */
static inline int64_t cut_mark_read(const char *path)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	long long seconds, micros;
	int64_t at = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%lld.%6lld", &seconds, &micros) == 2)
		at = (int64_t)seconds * 1000000 + micros;
	fclose(f);
	return at;
}

/* The server hears and says nothing any more. */
static inline bool cut_mark_is_off(const char *path)
{
	char off[4096];
	int n = snprintf(off, sizeof(off), "%s.off", path);

	return n > 0 && (size_t)n < sizeof(off) && access(off, F_OK) == 0;
}

#endif
