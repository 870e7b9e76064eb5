/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stallcat [--mark FILE] [--progress FILE] [--rate BYTES] [--hurry FILE]
 *
 * Reads a client's output from a pipe and reports, as one JSON line at its end:
 * bytes, SHA-256, and the longest time a read had to wait for a byte, before the
 * cut and since.
 *
 * --mark      the cut (cut-mark.h); a silence that spans it counts from the cut on
 * --progress  holds the number of bytes so far, for whoever waits for "the middle"
 * --rate      reads no faster than this, per second: a slow client by back-pressure. (curl
 *             --limit-rate will not do: on a fast network it takes 10 MB in one go and then
 *             sleeps for seconds, which looks like a stall.)
 * --hurry     once there is this file, the rate does not count
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cut-mark.h"

#define CHUNK             (1u << 18)
#define RATED_CHUNK       (1u << 14)
#define PROGRESS_EVERY_US 2000
#define NOTABLE_US        1000 /* shorter silences are not worth a look at the mark */

struct stall {
	int64_t us, began_us;
};

struct stallcat {
	const char *mark_path, *hurry_path;
	int progress_fd;
	int64_t mark_us;
	int64_t asked_us, progress_us; /* when the running read began; last time published */
	int64_t due_us;                /* with a rate: when the next read may be */
	uint64_t rate, bytes;
	struct stall before, since;
	EVP_MD_CTX *sha256;
};

static void keep_longest(struct stall *longest, int64_t from_us, int64_t to_us)
{
	if (to_us - from_us > longest->us)
		*longest = (struct stall){.us = to_us - from_us, .began_us = from_us};
}

static void note_silence(struct stallcat *s, int64_t now_us)
{
	int64_t from_us = s->asked_us;

	if (now_us - from_us < NOTABLE_US)
		return;
	if (!s->mark_us)
		s->mark_us = cut_mark_read(s->mark_path);
	if (!s->mark_us || now_us <= s->mark_us)
		keep_longest(&s->before, from_us, now_us);
	else
		keep_longest(&s->since, from_us > s->mark_us ? from_us : s->mark_us, now_us);
}

static void publish_progress(struct stallcat *s, int64_t now_us)
{
	char text[24];
	int n;

	if (s->progress_fd < 0 || now_us - s->progress_us < PROGRESS_EVERY_US)
		return;
	s->progress_us = now_us;
	/* Fixed width: a reader never sees the tail of an older number. */
	n = snprintf(text, sizeof(text), "%020" PRIu64 "\n", s->bytes);
	if (pwrite(s->progress_fd, text, (size_t)n, 0) != n)
		perror("stallcat: progress");
}

/* Holds the reader back so that @n bytes take as long as the rate says. */
static void keep_rate(struct stallcat *s, size_t n)
{
	int64_t now_us = cut_mark_now_us();
	struct timespec wait;

	if (s->hurry_path && access(s->hurry_path, F_OK) == 0)
		s->rate = 0;
	if (!s->rate)
		return;
	/* No catching up after a silence: a slow client stays slow. */
	if (s->due_us < now_us)
		s->due_us = now_us;
	s->due_us += (int64_t)(n * 1000000 / s->rate);
	wait.tv_sec = (s->due_us - now_us) / 1000000;
	wait.tv_nsec = (s->due_us - now_us) % 1000000 * 1000;
	nanosleep(&wait, NULL);
}

static int drain(struct stallcat *s)
{
	static uint8_t chunk[CHUNK];

	for (;;) {
		ssize_t n;
		int64_t now_us;

		s->asked_us = cut_mark_now_us();
		n = read(STDIN_FILENO, chunk, s->rate ? RATED_CHUNK : sizeof(chunk));
		now_us = cut_mark_now_us();
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			perror("stallcat");
			return EX_IOERR;
		}
		if (s->bytes > 0)
			note_silence(s, now_us);
		if (n == 0)
			return 0;
		s->bytes += (uint64_t)n;
		EVP_DigestUpdate(s->sha256, chunk, (size_t)n);
		publish_progress(s, now_us);
		keep_rate(s, (size_t)n);
	}
}

static void report(struct stallcat *s)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	EVP_DigestFinal_ex(s->sha256, digest, &length);
	printf("{\"bytes\":%" PRIu64 ",\"stall_ms\":%.3f,\"stall_began_us\":%" PRId64
	       ",\"stall_before_ms\":%.3f,\"sha256\":\"",
	       s->bytes, (double)s->since.us / 1e3, s->since.began_us, (double)s->before.us / 1e3);
	for (unsigned i = 0; i < length; i++)
		printf("%02x", digest[i]);
	printf("\"}\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"mark", required_argument, NULL, 'm'},
		{"progress", required_argument, NULL, 'p'},
		{"rate", required_argument, NULL, 'r'},
		{"hurry", required_argument, NULL, 'h'},
		{0},
	};
	struct stallcat s = {.progress_fd = -1};
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'm') {
			s.mark_path = optarg;
		} else if (c == 'r') {
			s.rate = strtoull(optarg, NULL, 10);
		} else if (c == 'h') {
			s.hurry_path = optarg;
		} else if (c == 'p') {
			s.progress_fd =
				open(optarg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
			if (s.progress_fd < 0) {
				perror(optarg);
				return EX_CANTCREAT;
			}
		} else {
			return EX_USAGE;
		}
	}
	s.sha256 = EVP_MD_CTX_new();
	if (!s.sha256 || !EVP_DigestInit_ex(s.sha256, EVP_sha256(), NULL))
		return EX_SOFTWARE;
	r = drain(&s);
	report(&s);
	EVP_MD_CTX_free(s.sha256);
	return r;
}
