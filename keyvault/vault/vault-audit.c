/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/write-all.h"
#include "slow-call.h"

#define NUMBERS_MAX_BYTES ((size_t)32 << 10) /* of a request's 1,024 numbers: 21 digits each */
#define QUEUE_MAX_BYTES   ((size_t)8 << 20)
#define ZEROS             "0000000000000000000000000000000000000000000000000000000000000000"

struct head {
	uint64_t n; /* lines so far */
	char hash[AUDIT_HASH_HEX + 1];
};

/* Lines that are written together: tickets from @first on, before @end. */
struct batch {
	uint64_t first, end;
	struct buf text;
	struct head head; /* behind the last of them */
};

struct vault_audit {
	int fd;
	int dir_fd;
	/* The thread's while it writes: */
	struct batch writes;
	off_t size;
	_Atomic uint64_t written; /* tickets before this one */
	/* The owner's: */
	struct slow_call call;
	bool busy;
	struct batch queue;        /* its head is that of the whole log to be */
	struct head kept;          /* of what is on disk, or in part there */
	uint64_t on_disk;          /* tickets before this one, but for those that failed */
	uint64_t failed, unfailed; /* the last that did: from, and before */
	int error;                 /* and why */
};

static int hash_line(const char *line, size_t n, char ret[AUDIT_HASH_HEX + 1])
{
	uint8_t digest[32];
	unsigned int digest_n = 0;

	if (EVP_Digest(line, n, digest, &digest_n, EVP_sha256(), NULL) != 1 || digest_n != 32)
		return -EIO;
	for (size_t i = 0; i < 32; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

/* Verifying. */

/* Is @line the next one after @h? Then @h is told of it. 0, AUDIT_BROKEN or negative. */
static int follow(struct head *h, const char *line, size_t n)
{
	json_error_t error;
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
	const char *previous = json_string_value(json_object_get(o, "previous"));
	json_int_t number = json_integer_value(json_object_get(o, "n"));
	bool next = previous && strcmp(previous, h->hash) == 0 && (uint64_t)number == h->n + 1;

	json_decref(o);
	if (!next)
		return AUDIT_BROKEN;
	h->n++;
	return hash_line(line, n, h->hash);
}

/* All lines of @f. *ret_whole: where the last whole one ends. */
static int follow_all(FILE *f, struct head *h, off_t *ret_whole)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int r = 0;

	*ret_whole = 0;
	while (r == 0 && (n = getline(&line, &room, f)) > 0) {
		if (line[n - 1] != '\n')
			break; /* the one that was being written when the power went */
		r = follow(h, line, (size_t)n - 1);
		if (r == 0)
			*ret_whole += n;
	}
	if (r == 0 && ferror(f))
		r = -EIO;
	free(line);
	return r;
}

static int read_head(int dir_fd, struct head *ret)
{
	char text[128] = "";
	_cleanup_close_ int fd = openat(dir_fd, "audit.head", O_RDONLY | O_CLOEXEC);

	*ret = (struct head){.hash = ZEROS};
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	ssize_t n = read(fd, text, sizeof text - 1);
	if (n < 0)
		return -errno;
	return sscanf(text, "%" SCNu64 " %64[0-9a-f]", &ret->n, ret->hash) == 2 &&
			       strlen(ret->hash) == AUDIT_HASH_HEX
		       ? 0
		       : -EBADMSG;
}

/*
 * The log is one line ahead of the head at most: the head is written after the line. Outcome or
 * negative.
 */
static int follow_log(int dir_fd, struct head *h, off_t *ret_whole)
{
	struct head head;
	int r = read_head(dir_fd, &head);

	*h = (struct head){.hash = ZEROS};
	*ret_whole = 0;
	if (r < 0)
		return r;
	int fd = openat(dir_fd, "audit.log", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT ? -errno : head.n > 0 ? AUDIT_SHORT : 0;
	FILE *f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	r = follow_all(f, h, ret_whole);
	fclose(f);
	if (r != 0)
		return r;
	if (h->n < head.n)
		return AUDIT_SHORT;
	return h->n == head.n && strcmp(h->hash, head.hash) != 0 ? AUDIT_BROKEN : 0;
}

int vault_audit_verify(const char *dir, uint64_t *ret_line)
{
	_cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct head h;
	off_t whole;

	if (dir_fd < 0)
		return -errno;
	int r = follow_log(dir_fd, &h, &whole);
	*ret_line = h.n + (r == AUDIT_BROKEN);
	return r;
}

/* Writing. */

static int write_head(struct vault_audit *a, const struct head *h)
{
	char text[128];
	int n = snprintf(text, sizeof text, "%" PRIu64 " %s\n", h->n, h->hash);
	_cleanup_close_ int fd =
		openat(a->dir_fd, "audit.head.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	int r = write_all(fd, bytes_of(text, (size_t)n));
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(a->dir_fd, "audit.head.new", a->dir_fd, "audit.head") < 0)
		r = -errno;
	return r;
}

int vault_audit_open(const char *dir, struct vault_audit **ret)
{
	struct vault_audit *a = calloc(1, sizeof *a);

	if (!a)
		return -ENOMEM;
	a->fd = -1;
	a->queue.text = a->writes.text = BUF_INIT(QUEUE_MAX_BYTES);
	a->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = a->dir_fd < 0 ? -errno : follow_log(a->dir_fd, &a->queue.head, &a->size);
	if (r > 0)
		r = -EBADMSG;
	if (r == 0) {
		a->fd = openat(a->dir_fd, "audit.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			       0600);
		if (a->fd < 0 || ftruncate(a->fd, a->size) < 0)
			r = -errno;
	}
	if (r == 0)
		r = write_head(a, &a->queue.head);
	if (r == 0)
		r = slow_call_init(&a->call);
	a->kept = a->queue.head;
	if (r < 0) {
		vault_audit_close(a);
		return r;
	}
	*ret = a;
	return 0;
}

void vault_audit_close(struct vault_audit *a)
{
	if (!a)
		return;
	slow_call_deinit(&a->call);
	buf_deinit(&a->queue.text);
	buf_deinit(&a->writes.text);
	if (a->fd >= 0)
		close(a->fd);
	if (a->dir_fd >= 0)
		close(a->dir_fd);
	free(a);
}

/* "1-4,9": runs of numbers that follow each other, in the order asked for. */
static void print_numbers(struct buf *b, const uint64_t *numbers, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t end = i + 1;
		while (end < n && numbers[end] == numbers[end - 1] + 1)
			end++;
		buf_printf(b, "%s%" PRIu64, i ? "," : "", numbers[i]);
		if (end - i > 1)
			buf_printf(b, "-%" PRIu64, numbers[end - 1]);
		i = end;
	}
	buf_u8(b, 0);
}

static void print_time(int64_t ns, char out[static 48])
{
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;
	char day[32];

	strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
	snprintf(out, 48, "%s.%09uZ", day, (unsigned)(ns % 1000000000));
}

static char *line_text(const struct head *h, int64_t now_ns, const struct audit_line *line)
{
	struct buf numbers = BUF_INIT(NUMBERS_MAX_BYTES);
	char when[48], *text = NULL;

	print_time(now_ns, when);
	print_numbers(&numbers, line->numbers, line->n);
	/* A stranger's text may not be UTF-8: json_pack() then fails, and it is left out. */
	json_t *words = line->text ? json_string(line->text) : NULL;
	json_t *o =
		buf_error(&numbers)
			? NULL
			: json_pack("{s:I,s:s,s:s,s:s,s:s*,s:o*,s:s*,s:s}", "n",
				    (json_int_t)(h->n + 1), "time", when, "who", line->who, "what",
				    line->what, "why", line->why, "text", words, "numbers",
				    line->n ? (char *)numbers.p : NULL, "previous", h->hash);
	if (o)
		text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	buf_deinit(&numbers);
	return text;
}

/*
 * On the other thread. A line that is there in part would end the chain: it is taken back. One that
 * is there and not yet on disk stays.
 */
static int keep(void *ctx)
{
	struct vault_audit *a = ctx;
	const struct batch *b = &a->writes;
	int r = write_all(a->fd, buf_view(&b->text));

	if (r < 0)
		return ftruncate(a->fd, a->size) < 0 ? -EIO : r;
	a->size += (off_t)b->text.n;
	atomic_store(&a->written, b->end);
	if (fdatasync(a->fd) < 0)
		return -errno;
	return write_head(a, &b->head);
}

/* Also those behind them, which would follow from lines that are not there. */
static void take_end(struct vault_audit *a, int r)
{
	bool there = atomic_load(&a->written) == a->writes.end;

	a->busy = false;
	if (there)
		a->kept = a->writes.head;
	if (r == 0) {
		a->on_disk = a->writes.end;
		return;
	}
	a->error = r;
	a->failed = a->writes.first;
	a->unfailed = there ? a->writes.end : a->queue.end;
	a->on_disk = a->unfailed;
	if (!there) {
		buf_reset(&a->queue.text);
		a->queue.first = a->queue.end;
		a->queue.head = a->kept;
	}
}

void vault_audit_turn(struct vault_audit *a)
{
	int r;

	if (a->busy && slow_call_over(&a->call, &r))
		take_end(a, r);
	else
		a->failed = a->unfailed = 0;
	if (a->busy || a->queue.text.n == 0)
		return;
	struct buf room = a->writes.text;
	a->writes = a->queue;
	buf_reset(&room);
	a->queue.text = room;
	a->queue.first = a->queue.end;
	a->busy = true;
	slow_call_start(&a->call, keep, a);
}

int vault_audit_queue(struct vault_audit *a, int64_t now_ns, const struct audit_line *line,
		      uint64_t *ret)
{
	struct head next = {.n = a->queue.head.n + 1};
	_cleanup_free_ char *text = line_text(&a->queue.head, now_ns, line);

	if (!text)
		return -ENOMEM;
	size_t n = strlen(text);
	int r = hash_line(text, n, next.hash);
	if (r < 0)
		return r;
	text[n] = '\n'; /* instead of the terminating zero */
	r = buf_append(&a->queue.text, text, n + 1);
	if (r < 0)
		return r;
	a->queue.head = next;
	*ret = a->queue.end++;
	return 0;
}

enum audit_state vault_audit_state(const struct vault_audit *a, uint64_t ticket)
{
	if (ticket >= a->failed && ticket < a->unfailed)
		return AUDIT_FAILED;
	if (ticket < a->on_disk)
		return AUDIT_ON_DISK;
	return ticket < atomic_load(&a->written) ? AUDIT_WRITTEN : AUDIT_WAITS;
}

int vault_audit_bell(const struct vault_audit *a)
{
	return a->call.bell;
}

int vault_audit_write(struct vault_audit *a, int64_t now_ns, const struct audit_line *line)
{
	enum audit_state state;
	uint64_t ticket;
	int r = vault_audit_queue(a, now_ns, line, &ticket);

	if (r < 0)
		return r;
	vault_audit_turn(a);
	while ((state = vault_audit_state(a, ticket)) != AUDIT_ON_DISK && state != AUDIT_FAILED) {
		slow_call_wait(&a->call);
		vault_audit_turn(a);
	}
	return state == AUDIT_FAILED ? a->error : 0;
}
