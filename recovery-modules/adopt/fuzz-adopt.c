/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Three bytes of options (what is retained, the longest chunk, the longest view), then records
 * of one byte kind, one byte length, payload: 'S' 'C' bytes of client and server, 's' 'c' a gap of
 * so many bytes, 'O' older than the box, 'R' checkpoint and restore, the payload xored into it.
 */

#include "adopt-module.h"
#include "recovery-modules/harness/harness.h"
#include "base/reader.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"continue", "restored", "altered state refused", "gave up",
				     NULL};

static bool reopen(struct harness *h, struct bytes payload)
{
	struct buf b = BUF_INIT(256);

	demand(harness_checkpoint(h, &b) == 0);
	for (size_t i = 0; i < payload.n && i < b.n; i++)
		b.p[i] ^= payload.p[i];
	bool ok = payload.n == 0 ? harness_reopen(h) == 0 : harness_restore(h, buf_view(&b));
	demand(ok || payload.n > 0);
	reached(ok ? "restored" : "altered state refused");
	buf_deinit(&b);
	return ok;
}

static bool record(struct harness *h, struct reader *r)
{
	uint8_t kind = reader_u8(r), n = reader_u8(r);
	uint32_t dir = kind == 'C' || kind == 'c';

	if (!reader_ok(r))
		return false;
	struct bytes payload = reader_bytes(r, n < reader_left(r) ? n : reader_left(r));
	if (kind == 'S' || kind == 'C')
		harness_data(h, dir, payload);
	else if ((kind == 's' || kind == 'c') && n > 0)
		harness_gap(h, dir, n);
	else if (kind == 'O')
		harness_gap(h, JEEBS_TO_SERVER, 0), harness_gap(h, JEEBS_TO_CLIENT, 0);
	else if (kind == 'R')
		return reopen(h, payload) && payload.n == 0;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct jeebs_service service = {.protocol = "adopt", .retain = reader_u8(&r)};
	struct harness_options options = {
		.live = {.max = reader_u8(&r) % 64},
		.view_max = reader_u8(&r) % 32,
		.log_max = 4096,
		.service = &service,
	};
	struct jeebs_plan plan;
	struct harness h;

	if (!reader_ok(&r))
		return 0;
	demand(harness_init(&h, &adopt_module, &options) == 0);
	while (record(&h, &r)) {
	}
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	reached(h.gave_up ? "gave up" : "continue");
	demand(h.gave_up || (plan.verdict == JEEBS_CONTINUE && h.violation == NULL));
	harness_deinit(&h);
	return 0;
}
