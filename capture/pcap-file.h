/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pcap-file: capture files as a source of frames.
 *
 * Reads pcap (both byte orders, micro- and nanoseconds, the "modified" variant) and pcapng (both
 * byte orders, several sections; interfaces with their own link type, snaplen and time resolution;
 * SPB, EPB and obsolete PB; other blocks are skipped). Reads blocks of 1 MiB by read(2), so memory
 * does not grow with the file. Parsing is pure (pcap-parser.h) and separate from reading.
 */
#ifndef CAPTURE_PCAP_FILE_H
#define CAPTURE_PCAP_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

struct pcap_file;

enum pcap_file_outcome {
	PCAP_FILE_END = 0,     /* the whole file was read */
	PCAP_FILE_STOPPED = 1, /* the callback stopped it */
	PCAP_FILE_TRUNCATED =
		2,             /* the file ends inside a packet; everything before was delivered */
	PCAP_FILE_CORRUPT = 3, /* impossible content; everything before it was delivered */
	PCAP_FILE_NOT_A_CAPTURE = 4, /* unknown magic */
};

struct pcap_file_position {
	uint64_t packet;  /* number of packets delivered so far */
	uint64_t offset;  /* file offset of the current record */
	char detail[128]; /* for TRUNCATED, CORRUPT and NOT_A_CAPTURE: what is wrong, terminated */
};

/* Opens a file; "-" is standard input. Returns 0 or a negative errno. */
int pcap_file_open(const char *path, struct pcap_file **ret);
struct pcap_file *pcap_file_close(struct pcap_file *pf); /* NULL is fine; returns NULL */

#define PCAP_SECRETS_TLS 0x544c534bu /* a TLS key log */
/*
 * From now on @fn is told what is in decryption secrets blocks of pcapng, of up to 1 MiB, in their
 * place between the frames; again after a rewind. @data is valid during the call.
 */
void pcap_file_on_secrets(struct pcap_file *pf,
			  void (*fn)(void *ctx, uint32_t type, struct bytes data), void *ctx);

/*
 * From now on @fn is told before the bytes of the frames that were delivered go. Until then, and
 * until pcap_file_close(), they stay where they are.
 */
void pcap_file_on_refill(struct pcap_file *pf, void (*fn)(void *ctx), void *ctx);

/*
 * Delivers frames up to the end, a stop, or damage. Returns PCAP_FILE_*, or a negative errno when
 * reading fails.
 */
int pcap_file_run(struct pcap_file *pf, frame_fn fn, void *ctx);
/* Where reading has stopped, and what was wrong. Valid until the next call. */
const struct pcap_file_position *pcap_file_position(const struct pcap_file *pf);
/* The place in the file of a byte of the frame that is being delivered. False: it is not of it. */
bool pcap_file_where(const struct pcap_file *pf, const uint8_t *p, uint64_t *ret);
/* Reads @n bytes at @at again. Returns 0 or a negative errno; -EIO: the file has become shorter. */
int pcap_file_read(const struct pcap_file *pf, uint64_t at, uint8_t *to, size_t n);

/* Goes back to the first packet. Returns 0, or -ESPIPE when the source is a pipe. */
int pcap_file_rewind(struct pcap_file *pf);

/* The pure half, for tests and the fuzzer: parses a whole file in memory. */
int pcap_file_parse(struct bytes file, frame_fn fn, void *ctx, struct pcap_file_position *ret);

#endif
