/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pcap-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "pcap-parser.h"

#define BLOCK_BYTES  ((size_t)1 << 20)
#define BLOCK_AT     PCAP_RECORD_MAX
#define BUFFER_BYTES (BLOCK_AT + BLOCK_BYTES)

_Static_assert(BLOCK_BYTES >= PCAP_RECORD_MAX, "a full block must hold a whole record");

/*
 * Each block is read to the same place of one buffer. The unused end of the block before stands
 * directly in front of it. This is twice as fast as mmap(), whose pages fault one by one, and
 * memory does not grow.
 */
struct pcap_file {
	int fd;
	bool at_end;
	size_t start, end; /* the unused bytes of buffer */
	uint64_t start_at; /* where the byte at start is in the file */
	uint8_t *buffer;
	struct pcap_parser parser;
	void (*secrets)(void *ctx, uint32_t type, struct bytes data);
	void *secrets_ctx;
	void (*refill)(void *ctx);
	void *refill_ctx;
};

static void pcap_file_reset(struct pcap_file *pf)
{
	pcap_parser_deinit(&pf->parser);
	pf->parser.secrets = pf->secrets;
	pf->parser.secrets_ctx = pf->secrets_ctx;
	pf->at_end = false;
	pf->start = pf->end = BLOCK_AT;
}

int pcap_file_open(const char *path, struct pcap_file **ret)
{
	struct pcap_file *pf = calloc(1, sizeof *pf);

	if (!pf)
		return -ENOMEM;
	pf->fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
					: open(path, O_RDONLY | O_CLOEXEC);
	if (pf->fd < 0) {
		int r = -errno;
		pcap_file_close(pf);
		return r;
	}
	pf->buffer = aligned_alloc(4096, BUFFER_BYTES);
	if (!pf->buffer) {
		pcap_file_close(pf);
		return -ENOMEM;
	}
	pcap_file_reset(pf);
	*ret = pf;
	return 0;
}

void pcap_file_on_secrets(struct pcap_file *pf,
			  void (*fn)(void *ctx, uint32_t type, struct bytes data), void *ctx)
{
	pf->parser.secrets = pf->secrets = fn;
	pf->parser.secrets_ctx = pf->secrets_ctx = ctx;
}

void pcap_file_on_refill(struct pcap_file *pf, void (*fn)(void *ctx), void *ctx)
{
	pf->refill = fn;
	pf->refill_ctx = ctx;
}

struct pcap_file *pcap_file_close(struct pcap_file *pf)
{
	if (!pf)
		return NULL;
	cleanup_closep(&pf->fd);
	pcap_parser_deinit(&pf->parser);
	free(pf->buffer);
	free(pf);
	return NULL;
}

/*
 * Appends bytes to the unused ones. Used bytes give room only when all that is left is in the
 * block. Before, nothing was used of a record that is still growing, so a slow pipe does not move
 * its bytes again and again.
 */
static int pcap_file_fill(struct pcap_file *pf)
{
	size_t left = pf->end - pf->start;

	if (pf->refill)
		pf->refill(pf->refill_ctx);
	if (pf->start > BLOCK_AT) {
		memmove(pf->buffer + BLOCK_AT - left, pf->buffer + pf->start, left);
		pf->start = BLOCK_AT - left;
		pf->end = BLOCK_AT;
	}
	for (;;) {
		ssize_t n = read(pf->fd, pf->buffer + pf->end, BUFFER_BYTES - pf->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		pf->at_end = n == 0;
		pf->end += (size_t)n;
		return 0;
	}
}

int pcap_file_run(struct pcap_file *pf, frame_fn fn, void *ctx)
{
	for (;;) {
		size_t used;
		pf->start_at = pf->parser.at.offset;
		int r = pcap_parser_feed(&pf->parser,
					 bytes_of(pf->buffer + pf->start, pf->end - pf->start), fn,
					 ctx, &used);
		pf->start += used;
		if (r)
			return r;
		if (pf->at_end)
			return pcap_parser_end(&pf->parser, pf->end - pf->start);
		r = pcap_file_fill(pf);
		if (r < 0)
			return r;
	}
}

const struct pcap_file_position *pcap_file_position(const struct pcap_file *pf)
{
	return &pf->parser.at;
}

bool pcap_file_where(const struct pcap_file *pf, const uint8_t *p, uint64_t *ret)
{
	uintptr_t from = (uintptr_t)pf->buffer + pf->start, at = (uintptr_t)p;

	if (at < from || at - from >= pf->end - pf->start)
		return false;
	*ret = pf->start_at + (at - from);
	return true;
}

int pcap_file_read(const struct pcap_file *pf, uint64_t at, uint8_t *to, size_t n)
{
	while (n > 0) {
		ssize_t r = pread(pf->fd, to, n, (off_t)at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -EIO;
		at += (uint64_t)r;
		to += r;
		n -= (size_t)r;
	}
	return 0;
}

int pcap_file_rewind(struct pcap_file *pf)
{
	if (lseek(pf->fd, 0, SEEK_SET) < 0)
		return -errno;
	pcap_file_reset(pf);
	return 0;
}

int pcap_file_parse(struct bytes file, frame_fn fn, void *ctx, struct pcap_file_position *ret)
{
	struct pcap_parser p;
	size_t used;

	pcap_parser_init(&p);
	int r = pcap_parser_feed(&p, file, fn, ctx, &used);
	if (r == 0)
		r = pcap_parser_end(&p, file.n - used);
	*ret = p.at;
	pcap_parser_deinit(&p);
	return r;
}
