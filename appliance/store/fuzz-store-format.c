/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A record read back is refused, or is one that encodes to the same bytes. The input is
 * tried as it is and with a checksum made for it, or nothing would get behind that.
 */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "store-format.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"record", NULL};

#define CHECKSUM 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_views(struct bytes v, const struct store_record *r)
{
	const struct bytes views[] = {r->server_name,
				      r->protocol,
				      r->module,
				      r->checkpoint,
				      buf_view(&r->log[0].span.bytes),
				      buf_view(&r->log[1].span.bytes)};

	for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
		if (views[i].n && (views[i].p < v.p || views[i].p + views[i].n > v.p + v.n))
			abort();
	}
}

/* But for the version of the snapshot in it, if that is an older one, and then the checksum. */
static bool same_record(struct bytes v, struct bytes again)
{
	bool older = false;

	if (v.n != again.n)
		return false;
	for (size_t i = 0; i + CHECKSUM < v.n; i++) {
		if (v.p[i] == again.p[i])
			continue;
		if (older || v.p[i] >= SNAPSHOT_VERSION || again.p[i] != SNAPSHOT_VERSION)
			return false;
		older = true;
	}
	return older || bytes_eq(v, again);
}

static void try(struct bytes v)
{
	struct store_record r;
	struct buf again = BUF_INIT(SIZE_MAX);

	if (store_record_decode(v, &r) != STORE_DECODE_OK)
		return;
	reached("record");
	check_views(v, &r);
	if (store_record_encode(&r, STORE_LOG_MAX, &again) != 0)
		abort();
	if (!same_record(v, buf_view(&again)))
		abort();
	buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf sealed = BUF_INIT(SIZE_MAX);

	try(bytes_of(data, size));
	if (size < CHECKSUM)
		return 0;
	buf_append(&sealed, data, size - CHECKSUM);
	buf_u64be(&sealed, XXH3_64bits(sealed.p, sealed.n));
	try(buf_view(&sealed));
	buf_deinit(&sealed);
	return 0;
}
