/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pcap-parser: the pure half of pcap-file. Private to it.
 *
 * Bytes of a capture file go in, in pieces of any size; frames come out. What is
 * not used yet must be given again, with more behind it.
 * Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef CAPTURE_PCAP_PARSER_H
#define CAPTURE_PCAP_PARSER_H

#include "pcap-file.h"

/*
 * Ceiling of a record or block that is read as a whole. It is twice the largest super-packet (BIG
 * TCP, 512 KiB). A longer packet counts as corrupt. Longer blocks of other kinds are skipped in
 * pieces.
 */
#define PCAP_RECORD_MAX ((size_t)1 << 20)
/* Ceiling of interfaces in one pcapng section. */
#define PCAP_INTERFACES_MAX 4096

struct pcap_interface {
	uint16_t link;
	uint32_t snaplen;  /* 0: no limit */
	uint8_t ticks_log; /* ticks per second are 10 or 2 to the power of this */
	bool ticks_binary;
	int64_t offset_s; /* added to every time */
};

struct pcap_parser {
	enum {
		PCAP_FORMAT_UNKNOWN,
		PCAP_FORMAT_PCAP,
		PCAP_FORMAT_PCAPNG,
	} format;
	bool swapped;                     /* the file has the other byte order */
	uint8_t record_header;            /* pcap: 16 bytes, or 24 in the "modified" variant */
	uint32_t ns_per_fraction;         /* pcap: 1000 or 1 */
	uint16_t link;                    /* pcap */
	struct pcap_interface *interface; /* pcapng: the interfaces of this section */
	uint32_t interface_count;
	/* Pcapng: how many bytes of a long block are still to be skipped ... */
	uint64_t skip;
	uint32_t skipped_length; /* ... and the block's length, which its last 4 bytes repeat */
	int64_t last_ns;         /* pcapng: for packets without a time */
	struct pcap_file_position at;
	/* Of pcap_file_on_secrets(); NULL: such blocks are skipped. */
	void (*secrets)(void *ctx, uint32_t type, struct bytes data);
	void *secrets_ctx;
};

void pcap_parser_init(struct pcap_parser *p);
void pcap_parser_deinit(struct pcap_parser *p);

/*
 * Delivers the frames in @in, whose first byte follows the bytes used before. *ret_used is how many
 * bytes were used, whatever is returned. Returns 0 when more bytes are needed, PCAP_FILE_STOPPED,
 * PCAP_FILE_CORRUPT, PCAP_FILE_NOT_A_CAPTURE, or -ENOMEM. Of PCAP_RECORD_MAX bytes some are always
 * used.
 */
int pcap_parser_feed(struct pcap_parser *p, struct bytes in, frame_fn fn, void *ctx,
		     size_t *ret_used);

/* The file ends with @left unused bytes. Returns PCAP_FILE_END, _TRUNCATED or _NOT_A_CAPTURE. */
int pcap_parser_end(struct pcap_parser *p, size_t left);

#endif
