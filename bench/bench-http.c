/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the live half of the http module costs: many short connections, and long
 * bodies. Prints the best of five runs in CPU time; the host is empty functions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "recovery-modules/http/http.h"

#define CONNECTIONS 200000
#define BODY_CHUNKS 20000
#define CHUNK_BYTES 14480 /* ten segments */
#define RUNS        5

/* Not the wall: other programs of a busy machine do not count. */
static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	(void)f;
	(void)dir;
	(void)off;
}

static struct jeebs_bytes no_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	(void)f;
	(void)dir;
	(void)off;
	return (struct jeebs_bytes){NULL, 0};
}

static const struct jeebs_live_ops ops = {.keep_from = keep_from, .log = no_log};
static const struct jeebs_service service = {.protocol = "http"};

static const char request[] = "GET /file-000123 HTTP/1.1\r\nHost: 10.9.0.1\r\nUser-Agent: "
			      "curl/7.88.1\r\nAccept: */*\r\n\r\n";
static const char head[] =
	"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 "
	"03:36:41 GMT\r\nContent-Type: application/octet-stream\r\n"
	"Content-Length: %llu\r\nLast-Modified: Sat, 21 Nov 2026 03:00:00 GMT\r\n"
	"Connection: keep-alive\r\nETag: \"691fd4b0-400\"\r\n"
	"Accept-Ranges: bytes\r\n\r\n";

static void must(int r)
{
	if (r != JEEBS_OK)
		abort();
}

static void show(struct http *s, uint32_t dir, uint64_t off, const void *p, size_t n)
{
	must(http_module.data(s, dir, off, (struct jeebs_bytes){p, n}, 0));
}

/* One GET and its response, each direction in one chunk. Nanoseconds per connection. */
static double short_connections(size_t body)
{
	static uint8_t answer[4096];
	static struct http s;
	int n = snprintf((char *)answer, sizeof answer, head, (unsigned long long)body);
	int64_t start = cpu_ns();

	for (int i = 0; i < CONNECTIONS; i++) {
		memset(&s, 0, sizeof s);
		must(http_module.open(&s, NULL, &ops, &service));
		show(&s, JEEBS_TO_SERVER, 0, request, sizeof request - 1);
		show(&s, JEEBS_TO_CLIENT, 0, answer, (size_t)n + body);
		if (s.queue_n != 0)
			abort();
		http_module.close(&s);
	}
	return (double)(cpu_ns() - start) / CONNECTIONS;
}

/* One long body. Nanoseconds per byte. */
static double long_body(void)
{
	static uint8_t chunk[CHUNK_BYTES];
	char answer[512];
	struct http s = {0};
	uint64_t total = (uint64_t)BODY_CHUNKS * CHUNK_BYTES;
	int n = snprintf(answer, sizeof answer, head, (unsigned long long)total);

	must(http_module.open(&s, NULL, &ops, &service));
	show(&s, JEEBS_TO_SERVER, 0, request, sizeof request - 1);
	show(&s, JEEBS_TO_CLIENT, 0, answer, (size_t)n);
	int64_t start = cpu_ns();
	for (uint64_t i = 0; i < BODY_CHUNKS; i++)
		show(&s, JEEBS_TO_CLIENT, (uint64_t)n + i * CHUNK_BYTES, chunk, sizeof chunk);
	double ns = (double)(cpu_ns() - start) / (double)total;
	if (s.queue_n != 0)
		abort();
	return ns;
}

/* The digest alone, over the same bytes: what the long body cannot be faster than. */
static double digest_alone(void)
{
	static uint8_t chunk[CHUNK_BYTES];
	XXH64_state_t d;
	int64_t start = cpu_ns();

	XXH64_reset(&d, 0);
	for (int i = 0; i < BODY_CHUNKS; i++)
		XXH64_update(&d, chunk, sizeof chunk);
	volatile uint64_t keep = XXH64_digest(&d);
	(void)keep;
	return (double)(cpu_ns() - start) / ((double)BODY_CHUNKS * CHUNK_BYTES);
}

int main(void)
{
	double best[4] = {1e9, 1e9, 1e9, 1e9};

	for (int i = 0; i < RUNS; i++) {
		double now[4] = {short_connections(1024), short_connections(0), long_body(),
				 digest_alone()};
		for (int k = 0; k < 4; k++)
			best[k] = now[k] < best[k] ? now[k] : best[k];
	}
	printf("state per connection        %zu bytes\n", sizeof(struct http));
	printf("short connection, 1 KiB     %.0f ns\n", best[0]);
	printf("short connection, no body   %.0f ns\n", best[1]);
	printf("long body                   %.4f ns/byte\n", best[2]);
	printf("digest alone                %.4f ns/byte\n", best[3]);
	return 0;
}
