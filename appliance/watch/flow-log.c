/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flow-log.h"

int flow_log_copy(const struct flow *f, enum flow_dir dir, struct flow_log *ret)
{
	const struct stream *s = &f->stream[dir];

	ret->off = s->keep;
	ret->bytes = BUF_INIT(s->next - s->keep);
	for (uint64_t off = s->keep; off < s->next;) {
		struct bytes b = track_log(f, dir, off);
		if (b.n == 0)
			break; /* the log ends here; the plan has seen the same */
		int r = buf_bytes(&ret->bytes, b);
		if (r < 0)
			return r;
		off += b.n;
	}
	return 0;
}

struct bytes flow_log_view(const struct flow_log *l, uint64_t off)
{
	if (off < l->off || off >= l->off + l->bytes.n)
		return BYTES_NONE;
	return bytes_from(buf_view(&l->bytes), (size_t)(off - l->off));
}
