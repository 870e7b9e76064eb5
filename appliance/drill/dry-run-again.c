/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file as a source of bytes that pass unread and are asked for after all. */
#include "dry-run-internal.h"

static bool where(void *ctx, const uint8_t *p, uint64_t *ret)
{
	const struct drill *d = ctx;

	return pcap_file_where(d->file, p, ret);
}

static int read_again(void *ctx, uint64_t at, uint8_t *to, size_t n)
{
	struct drill *d = ctx;
	int r = pcap_file_read(d->file, at, to, n);

	if (r < 0)
		d->r = r;
	return r;
}

void dry_run_read_again(struct drill *d, struct track *t)
{
	const struct track_source source = {.where = where, .read = read_again, .ctx = d};

	if (d->survey != DRILL_AS_READ)
		track_read_again(t, &source);
}
