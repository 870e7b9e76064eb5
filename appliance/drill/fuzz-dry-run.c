/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The whole drill: file, frames, tracker, module, plan and report.
 * Input: a capture file. Where it is cut and who is protected follow from its length; which
 * protocol, and whether all packets are given right checksums, from its time zone, which nobody
 * reads: without them a mutated packet would be one that its receiver drops.
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dry-run.h"
#include "capture/frame-seal.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"continue", "refuse", "exact", NULL};

#define FILE_HEADER   24
#define RECORD_HEADER 16
#define ZONE          8

static void check(bool ok)
{
	if (!ok)
		abort();
}

static json_int_t number(const json_t *report, const char *of, const char *name)
{
	const json_t *v = json_object_get(json_object_get(report, of), name);

	check(json_is_integer(v));
	return json_integer_value(v);
}

/* What it says fits together. */
static void check_report(const char *text, size_t n, int code)
{
	json_t *r = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);

	check(r);
	json_int_t live = number(r, "totals", "live"), refused = number(r, "totals", "refuse");
	check(live == number(r, "totals", "continue") + refused);
	reached(live > refused ? "continue" : refused > 0 ? "refuse" : "none live");
	check((json_int_t)json_array_size(json_object_get(r, "connections")) == live);
	check(code == 65 || (code == 0) == (refused == 0));
	check(number(r, "capture", "tcp_packets") <= number(r, "capture", "packets"));
	json_decref(r);
}

/* Whatever the capture, no cut of it may come to wrong bytes. */
static void check_proof(const char *text, size_t n, int code)
{
	json_t *r = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL), *count;
	json_int_t refused = 0, cuts, exact, wrong;
	const char *reason;

	check(r && json_unpack(r, "{s:I, s:I, s:I}", "cuts", &cuts, "exact", &exact, "wrong",
			       &wrong) == 0);
	json_object_foreach(json_object_get(r, "refused"), reason, count) refused +=
		json_integer_value(count);
	check(cuts == exact + refused + wrong);
	check(wrong == 0);
	if (exact > 0)
		reached("exact");
	check(code == 65 || (code == 0) == (refused == 0));
	json_decref(r);
}

static void drill(const struct dry_run_options *o)
{
	char *out = NULL, *err = NULL;
	size_t out_n, err_n;
	FILE *out_file = open_memstream(&out, &out_n), *err_file = open_memstream(&err, &err_n);

	check(out_file && err_file);
	int code = dry_run(o, out_file, err_file);
	fclose(out_file);
	fclose(err_file);
	check(code == 0 || code == 1 || code == 2 || code == 65 || code == 78);
	/* Either says something, damage in both. */
	check(code == 65 ? err_n > 0 : (code == 78) == (err_n > 0));
	if (out_n > 0 && o->cut == DRY_RUN_CUT_EVERY)
		check_proof(out, out_n, code);
	else if (out_n > 0)
		check_report(out, out_n, code);
	else
		check(code >= 65);
	free(out);
	free(err);
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void seal_packet(uint8_t *p, size_t n)
{
	size_t header = n > 0 && p[0] >> 4 == 6 ? 40 : n > 0 ? (size_t)(p[0] & 15) * 4 : 0;

	if (header >= 20 && n >= header)
		frame_seal(p, n);
}

/* The packets of a little-endian file of raw IP, as far as they are whole. */
static void seal_all(uint8_t *file, size_t size)
{
	size_t at = FILE_HEADER;

	while (size > at && size - at > RECORD_HEADER) {
		size_t n = load32(file + at + 8);
		at += RECORD_HEADER;
		if (n > size - at)
			return;
		seal_packet(file + at, n);
		at += n;
	}
}

static int write_input(const uint8_t *data, size_t size)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);
	uint8_t *copy = malloc(size + 1);

	check(fd >= 0 && copy);
	memcpy(copy, data, size);
	if (size > ZONE + 1 && data[ZONE + 1] & 1)
		seal_all(copy, size);
	check(write(fd, copy, size) == (ssize_t)size);
	free(copy);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const protocols[] = {"http", "auto", "smtp", "replay", "ftp", "telnet"};
	size_t kind = size > ZONE ? data[ZONE] % (sizeof protocols / sizeof protocols[0]) : 0;
	char path[64];
	struct dry_run_options o = {
		.path = path,
		.modules_dir = MODULES_DIR,
		.server_auto = size % 4 != 0,
		.protocol = protocols[kind],
		.cut = DRY_RUN_CUT_END,
		.json = true,
	};
	int fd = write_input(data, size);

	check(endpoint_parse("10.9.0.1", true, &o.server) == 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	drill(&o);
	o.cut = size % 2 ? DRY_RUN_CUT_BUSIEST : DRY_RUN_CUT_PACKET;
	o.cut_packet = 1 + size % 13;
	drill(&o);
	o.cut = DRY_RUN_CUT_EVERY;
	o.cut_packet = 1;
	drill(&o);
	close(fd);
	return 0;
}
