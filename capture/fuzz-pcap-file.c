/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a capture file. Given at once and in pieces it must say the same. */
#include <stdint.h>
#include <stdlib.h>

#include "pcap-parser.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"whole", "damaged behind packets", "pcapng", NULL};

struct sum {
	struct bytes file;
	uint64_t packets, value;
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int add(void *ctx, const struct frame *f)
{
	struct sum *s = ctx;

	s->packets++;
	s->value = s->value * 31 + f->data.n;
	s->value = s->value * 31 + f->wire_len;
	s->value = s->value * 31 + (uint64_t)f->time_ns;
	s->value = s->value * 31 + f->link;
	for (size_t i = 0; i < f->data.n; i++)
		s->value = s->value * 31 + f->data.p[i];
	check(f->time_ns >= 0);
	check(f->data.n <= PCAP_RECORD_MAX);
	return 0;
}

/* As pcap_file_run() does, with blocks of @step bytes. */
static int parse_in_pieces(struct bytes file, size_t step, struct sum *s,
			   struct pcap_file_position *ret)
{
	struct pcap_parser p;
	size_t start = 0, end = 0;
	int r = 0;

	pcap_parser_init(&p);
	while (r == 0) {
		size_t used;
		r = pcap_parser_feed(&p, bytes_of(file.p + start, end - start), add, s, &used);
		check(used <= end - start);
		start += used;
		if (r == 0 && end == file.n) {
			r = pcap_parser_end(&p, end - start);
			break;
		}
		end = file.n - end < step ? file.n : end + step;
	}
	*ret = p.at;
	pcap_parser_deinit(&p);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pcap_file_position whole, pieces;
	struct sum a = {0}, b = {0};

	int r = pcap_file_parse(bytes_of(data, size), add, &a, &whole);
	if (a.packets > 0)
		reached(r == PCAP_FILE_END ? "whole" : "damaged behind packets");
	if (a.packets > 0 && size > 3 && data[0] == 0x0a)
		reached("pcapng");
	check(whole.packet == a.packets && whole.offset <= size);
	check(r != PCAP_FILE_END || whole.offset == size);
	check(r != PCAP_FILE_STOPPED);
	check((r == PCAP_FILE_END) == (whole.detail[0] == 0));
	check(parse_in_pieces(bytes_of(data, size), 1 + size % 7, &b, &pieces) == r);
	check(a.packets == b.packets && a.value == b.value);
	check(whole.offset == pieces.offset && strcmp(whole.detail, pieces.detail) == 0);
	return 0;
}
