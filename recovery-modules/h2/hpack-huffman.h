/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hpack-huffman: the code of RFC 7541 appendix B. It is canonical: codes of one length are
 * consecutive, in the order of the symbols. So the lengths alone are the table.
 */
#ifndef H2_HPACK_HUFFMAN_H
#define H2_HPACK_HUFFMAN_H

#include "base/bytes.h"

/*
 * Decodes @in into @out of @cap bytes. Returns false when it is no whole string of symbols (RFC
 * 7541 section 5.2), or longer than @cap.
 */
bool hpack_huffman_decode(struct bytes in, uint8_t *out, size_t cap, size_t *ret_n);

#endif
