/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hpack-table: the tables of RFC 7541 section 2.3. The dynamic one has a fixed room, so that it is
 * part of a module's state. What RFC 7541 counts as 32 bytes for each entry is more than an entry
 * takes here besides its text, so a table of HPACK_TABLE_MAX bytes always fits.
 */
#ifndef H2_HPACK_TABLE_H
#define H2_HPACK_TABLE_H

#include "base/reader.h"
#include "base/writer.h"

#define HPACK_TABLE_MAX   4096u /* the default of SETTINGS_HEADER_TABLE_SIZE */
#define HPACK_OVERHEAD    32u   /* RFC 7541 section 4.1 */
#define HPACK_STATIC      61u   /* entries of the static table */
#define HPACK_ENTRIES_MAX (HPACK_TABLE_MAX / HPACK_OVERHEAD)

struct hpack_field {
	struct bytes name, value;
	bool never; /* never indexed: RFC 7541 section 6.2.3 */
};

struct hpack_table {
	uint16_t max;  /* size that the encoder has chosen */
	uint16_t size; /* as RFC 7541 counts it */
	uint16_t n;    /* entries */
	uint16_t used; /* bytes of room */
	/* The oldest entry first; each is name, value, and two bytes for the length of each. */
	uint8_t room[HPACK_TABLE_MAX];
};

void hpack_table_init(struct hpack_table *t);
/* Evicts what does not fit any more. @max is at most HPACK_TABLE_MAX. */
void hpack_table_resize(struct hpack_table *t, uint16_t max);
/* Inserts a field, which must not lie in @t. One that is too large empties the table. */
void hpack_table_insert(struct hpack_table *t, struct bytes name, struct bytes value);
/*
 * The entry @index of both tables, from 1 on. The views are valid until @t changes. False: there is
 * none.
 */
bool hpack_table_get(const struct hpack_table *t, uint32_t index, struct hpack_field *ret);
/* The entry of the static table with this name, and with this value if *ret_both; 0: there is none.
 */
uint32_t hpack_static_find(struct bytes name, struct bytes value, bool *ret_both);

/* Copies @from, as far as there is something. */
void hpack_table_copy(struct hpack_table *to, const struct hpack_table *from);
void hpack_table_write(struct writer *w, const struct hpack_table *t);
/* Reads a table from hostile bytes. False: it is none. */
bool hpack_table_read(struct reader *r, struct hpack_table *ret);

#endif
