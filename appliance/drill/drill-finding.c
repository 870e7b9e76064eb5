/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-finding.h"

void drill_refused(struct drill_finding *f, const char *reason, bool resuming)
{
	f->verdict = DRILL_REFUSED;
	f->reason = reason;
	f->resuming = resuming;
}

void drill_wrong(struct drill_finding *f, const char *what, uint64_t offset)
{
	f->verdict = DRILL_WRONG;
	f->reason = what;
	f->offset = offset;
}

void drill_window(struct bytes b, uint64_t base, uint64_t from, uint8_t *out, uint32_t *ret_n)
{
	struct bytes w =
		bytes_head(bytes_from(b, from > base ? (size_t)(from - base) : 0), DRILL_WINDOW);

	memcpy(out, w.n ? w.p : out, w.n);
	*ret_n = (uint32_t)w.n;
}

/* Length of the common beginning. */
static size_t common(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n, i = 0;

	if (n == 0 || memcmp(a.p, b.p, n) == 0)
		return n;
	while (a.p[i] == b.p[i])
		i++;
	return i;
}

/* Compares @got, which begins at @base, with what was really said, as far as that is known. */
bool drill_same(const struct drill_stream *s, uint64_t base, struct bytes got, const char *what,
		struct drill_finding *f)
{
	const struct bytes all = buf_view(&s->bytes);
	uint64_t off = base, end = base + got.n;

	while (off < end && off < all.n) {
		uint64_t known;
		drill_stream_known(s, off, end, &known);
		struct bytes g = bytes_head(bytes_from(got, (size_t)(off - base)), (size_t)known);
		size_t n = common(g, bytes_from(all, (size_t)off));
		if (n < known) {
			drill_wrong(f, what, off + n);
			f->window = off + n > base + 8 ? off + n - 8 : base;
			drill_window(got, base, f->window, f->got, &f->got_n);
			drill_window(all, 0, f->window, f->want, &f->want_n);
			return false;
		}
		off += known;
		if (off < end)
			off = drill_stream_lost_to(s, off);
	}
	return true;
}
