/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hpack: reads and writes header blocks (RFC 7541). Reading keeps a dynamic table exactly as the
 * peer's encoder has it; writing uses none. Pure.
 */
#ifndef H2_HPACK_H
#define H2_HPACK_H

#include "hpack-table.h"

#define HPACK_BLOCK_MAX 12288u /* bytes of a header block */
/* Ceiling of a string: a byte has at least five bits of Huffman's code, so that none is longer. */
#define HPACK_STRING_MAX (HPACK_BLOCK_MAX * 8 / 5)
/* Ceiling of a list, as SETTINGS_MAX_HEADER_LIST_SIZE counts it. */
#define HPACK_LIST_MAX 65536u

enum hpack_outcome {
	HPACK_OK,
	HPACK_BAD,       /* no header block; what follows cannot be read */
	HPACK_TOO_LONG,  /* the list is longer than is read */
	HPACK_TOO_LARGE, /* the encoder wants a larger table than HPACK_TABLE_MAX */
	HPACK_STOPPED,   /* the caller's function has returned false */
};

/*
 * Decodes @block, at most HPACK_BLOCK_MAX bytes, and shows each field to @take. A field is valid
 * during the call. With another outcome than HPACK_OK @t is no longer the encoder's.
 */
enum hpack_outcome hpack_decode(struct hpack_table *t, struct bytes block,
				bool (*take)(void *ctx, const struct hpack_field *f), void *ctx);

/*
 * Encodes a field: by the static table where that has it, else as a literal without indexing, which
 * leaves the decoder's dynamic table as it is (RFC 7541 section 6.2.2).
 */
void hpack_encode(struct writer *w, const struct hpack_field *f);
/* Encodes a change of the dynamic table's size. It is only lawful at the beginning of a block. */
void hpack_encode_size(struct writer *w, uint32_t max);

#endif
