/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An SFTP session from hostile bytes. Records of one byte kind, two bytes length, payload:
 *
 *	'S' 'C'  data of the client, of the server
 *	'R'      checkpoint and restore, the checkpoint xored with the payload from the offset
 *		 on that its first two bytes say
 *
 * Demanded: in any chunking the same; what is written down is read again as the same; what is
 * needed does not move back.
 */
#include "base/demand.h"
#include "base/reader.h"
#include "jeebs/recovery-module.h"
#include "ssh-sftp.h"

const char *const fuzz_outcomes[] = {"open",    "directory", "read",    "written",
				     "refused", "restored",  "altered", NULL};

#define CHECKPOINT_MAX 65536

static struct ssh_sftp whole, pieces, other;
static uint8_t written[CHECKPOINT_MAX], compared[CHECKPOINT_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bytes checkpoint(const struct ssh_sftp *s, uint8_t *to)
{
	struct writer w = writer_init(to, CHECKPOINT_MAX);

	ssh_sftp_write(s, &w);
	demand(writer_ok(&w));
	return writer_view(&w);
}

static void reopen(struct bytes change)
{
	struct bytes b = checkpoint(&whole, written);
	struct reader r = reader_init(change);
	size_t at = reader_u16be(&r);

	for (; reader_left(&r) > 0 && at < b.n; at++)
		written[at] ^= reader_u8(&r);
	if (!ssh_sftp_read(b, &other)) {
		demand(change.n > 2);
		reached("altered");
		return;
	}
	demand(bytes_eq(checkpoint(&other, compared), b));
	whole = pieces = other;
	reached("restored");
}

static void tell(void)
{
	for (size_t i = 0; i < SFTP_HANDLES_MAX; i++) {
		const struct sftp_handle *h = &whole.handle[i];

		if (h->used)
			reached(h->directory ? "directory" : "open");
		if (h->read_bytes > 0)
			reached("read");
		if (h->written_bytes > 0)
			reached("written");
	}
	if (whole.refused != SFTP_FOLLOWED)
		reached("refused");
}

static void come(uint32_t dir, struct bytes b)
{
	uint64_t from = ssh_sftp_needs_from(&whole);
	enum sftp_reason r = ssh_sftp_data(&whole, dir, b);

	for (size_t i = 0; i < b.n; i += 5)
		(void)ssh_sftp_data(&pieces, dir, bytes_head(bytes_from(b, i), 5));
	demand(r == (enum sftp_reason)pieces.refused);
	demand(bytes_eq(checkpoint(&whole, written), checkpoint(&pieces, compared)) ||
	       r != SFTP_FOLLOWED);
	demand(ssh_sftp_needs_from(&whole) >= from || whole.request_n > 0);
	tell();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));

	whole = pieces = (struct ssh_sftp){0};
	while (reader_left(&r) > 0) {
		uint8_t kind = reader_u8(&r);
		uint16_t n = reader_u16be(&r);
		struct bytes b = reader_bytes(&r, n < reader_left(&r) ? n : reader_left(&r));

		if (kind == 'S' || kind == 'C')
			come(kind == 'S' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT, b);
		else if (kind == 'R')
			reopen(b);
	}
	reopen(BYTES_NONE);
	return 0;
}
