/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench-read CAPTURE: what reading a capture costs, layer by layer:
 *	count	pcap_file_run() alone
 *	decode	and decode_frame()
 *	track	and track_segment(); protected are all endpoints that answered a SYN
 * A line per layer, separated by tabs: name, seconds, million packets per second,
 * nanoseconds per packet, peak memory in MiB so far. Warm the page cache first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "capture/decode.h"
#include "capture/pcap-file.h"
#include "capture/track.h"

#define SERVICES_MAX 64

struct bench {
	struct pcap_file *pf;
	const char *path;
	uint64_t packets, segments, bytes; /* bytes: keeps the compiler from dropping the work */
	struct endpoint service[SERVICES_MAX];
	uint32_t service_count;
	struct track *track;
};

static int on_count(void *ctx, const struct frame *f)
{
	struct bench *b = ctx;

	b->packets++;
	b->bytes += f->wire_len;
	return 0;
}

static int on_decode(void *ctx, const struct frame *f)
{
	struct bench *b = ctx;
	struct segment s;

	b->packets++;
	if (decode_frame(f, &s) == DECODE_TCP) {
		b->segments++;
		b->bytes += s.payload_len;
	}
	return 0;
}

/* Not timed: finds out whom to protect. */
static int on_survey(void *ctx, const struct frame *f)
{
	struct bench *b = ctx;
	struct segment s;

	if (decode_frame(f, &s) != DECODE_TCP ||
	    (s.flags & (TCP_SYN | TCP_ACK)) != (TCP_SYN | TCP_ACK))
		return 0;
	for (uint32_t i = 0; i < b->service_count; i++)
		if (endpoint_eq(&b->service[i], &s.src))
			return 0;
	if (b->service_count < SERVICES_MAX)
		b->service[b->service_count++] = s.src;
	return 0;
}

static int on_track(void *ctx, const struct frame *f)
{
	struct bench *b = ctx;
	struct segment s;

	b->packets++;
	if (decode_frame(f, &s) == DECODE_TCP)
		track_segment(b->track, &s);
	return 0;
}

static void on_data(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off, struct bytes data)
{
	struct bench *b = ctx;

	b->bytes += data.n;
}

/* Not from getrusage(): that remembers the program which forked this one. */
static double peak_mib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	double kib = 0;

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "VmHWM: %lf kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib / 1024;
}

static int64_t pass(struct bench *b, frame_fn fn)
{
	int64_t start = clock_mono_ns();
	int r = pcap_file_rewind(b->pf);

	b->packets = 0;
	if (r == 0)
		r = pcap_file_run(b->pf, fn, b);
	if (r != PCAP_FILE_END) {
		fprintf(stderr, "bench-read: %s: %s\n", b->path,
			r < 0 ? strerror(-r) : pcap_file_position(b->pf)->detail);
		exit(65);
	}
	return clock_mono_ns() - start;
}

static void report(const struct bench *b, const char *name, int64_t ns)
{
	double packets = (double)(b->packets ? b->packets : 1);

	printf("%s\t%.3f\t%.2f\t%.1f\t%.1f\n", name, (double)ns / 1e9, packets * 1e3 / (double)ns,
	       (double)ns / packets, peak_mib());
}

static void track(struct bench *b)
{
	pass(b, on_survey);
	const struct track_sink sink = {.data = on_data};
	const struct track_config cfg = {
		.max_flows = 1000000,
		.buffer_max = (size_t)1 << 30,
		.stream_max = (size_t)16 << 20,
		.idle_timeout_ns = 3600 * NS_PER_S,
		.hole_timeout_ns = NS_PER_S,
		.key = {{1, 2}},
		.services = b->service,
		.service_count = b->service_count,
	};

	b->track = track_new(&cfg, &sink, b);
	if (!b->track) {
		fprintf(stderr, "bench-read: no memory\n");
		exit(71);
	}
	report(b, "track", pass(b, on_track));
	const struct track_stats *st = track_stats(b->track);
	fprintf(stderr,
		"%s: %lu segments tracked of %lu, %lu connections of %u services, %lu gaps\n",
		b->path, (unsigned long)st->segments, (unsigned long)b->segments,
		(unsigned long)st->flows_opened, b->service_count,
		(unsigned long)(st->gaps[0] + st->gaps[1]));
	track_free(b->track);
}

int main(int argc, char **argv)
{
	struct bench b = {0};

	if (argc != 2) {
		fprintf(stderr, "usage: bench-read CAPTURE\n");
		return 64;
	}
	b.path = argv[1];
	int r = pcap_file_open(b.path, &b.pf);
	if (r < 0) {
		fprintf(stderr, "bench-read: %s: %s\n", b.path, strerror(-r));
		return 66;
	}
	report(&b, "count", pass(&b, on_count));
	report(&b, "decode", pass(&b, on_decode));
	track(&b);
	pcap_file_close(b.pf);
	return 0;
}
