/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test/pcap-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static int count_only(void *ctx, const struct frame *f)
{
	(*(uint64_t *)ctx)++;
	return 0;
}

static struct pcap_file *open_content(const struct buf *b)
{
	char path[64];
	int fd = memfd_create("capture", MFD_CLOEXEC);
	struct pcap_file *pf = NULL;

	assert_int_equal(buf_error(b), 0);
	assert_true(fd >= 0);
	for (size_t done = 0; done < b->n;) {
		ssize_t n = write(fd, b->p + done, b->n - done);
		assert_true(n > 0);
		done += (size_t)n;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	assert_int_equal(pcap_file_open(path, &pf), 0);
	close(fd);
	return pf;
}

static void test_run_and_rewind(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);

	big = false;
	pcap_head(&b, 0xa1b2c3d4, 1);
	pcap_packet(&b, 1, 0, "one", 3);
	pcap_packet(&b, 2, 0, "two", 3);
	pcap_packet(&b, 3, 0, "three", 5);
	struct pcap_file *pf = open_content(&b);
	for (int i = 0; i < 2; i++) {
		struct seen s = {.pf = pf, .stop_at = 2};
		assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_STOPPED);
		assert_int_equal(pcap_file_position(pf)->packet, 2);
		/* A stopped run continues with the next packet. */
		assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_END);
		assert_int_equal(s.count, 3);
		assert_string_equal(s.text[2], "three");
		assert_int_equal(s.offset[0], 24);
		assert_int_equal(s.offset[2], 24 + 2 * 19);
		assert_int_equal(pcap_file_position(pf)->offset, b.n);
		assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_END);
		assert_int_equal(pcap_file_rewind(pf), 0);
		assert_int_equal(pcap_file_position(pf)->packet, 0);
	}
	assert_null(pcap_file_close(pf));
	assert_null(pcap_file_close(NULL));
	buf_deinit(&b);
}

static int check_pattern(void *ctx, const struct frame *f)
{
	uint64_t *count = ctx;

	assert_true(f->data.n >= 8);
	assert_int_equal(f->wire_len, f->data.n);
	uint64_t number;
	memcpy(&number, f->data.p, 8);
	assert_int_equal(number, *count);
	for (size_t i = 8; i < f->data.n; i++) {
		if (f->data.p[i] != (uint8_t)(number + i))
			fail_msg("packet %lu differs at byte %zu", (unsigned long)number, i);
	}
	(*count)++;
	return 0;
}

static void pattern(struct buf *b, uint64_t number, size_t n)
{
	assert_int_equal(buf_reserve(b, n), 0);
	uint8_t *p = b->p + b->n;
	memcpy(p, &number, 8);
	for (size_t i = 8; i < n; i++)
		p[i] = (uint8_t)(number + i);
	b->n += n;
}

/* Packets of many sizes, up to the longest allowed, over the edges of several blocks. */
static void make_long_file(struct buf *b, uint64_t *ret_count)
{
	uint64_t number = 0;

	big = false;
	pcap_head(b, 0xa1b23c4d, 1);
	while (b->n < 12u << 20) {
		size_t n = number % 97 == 96 ? PCAP_RECORD_MAX - 16 : 8 + (number * 7919) % 65000;
		w64(b, 0);
		w32(b, (uint32_t)n);
		w32(b, (uint32_t)n);
		pattern(b, number++, n);
	}
	*ret_count = number;
}

static void test_records_over_block_edges(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	uint64_t want, got = 0;

	make_long_file(&b, &want);
	struct pcap_file *pf = open_content(&b);
	assert_int_equal(pcap_file_run(pf, check_pattern, &got), PCAP_FILE_END);
	assert_int_equal(got, want);
	assert_int_equal(pcap_file_position(pf)->offset, b.n);
	pcap_file_close(pf);
	buf_deinit(&b);
}

struct stays {
	const uint8_t *first; /* the first of the frames that should still be there; NULL: none */
	size_t n;
	uint64_t number, frames, refills;
};

static void check_stays(const struct stays *s)
{
	for (size_t i = 8; s->first && i < s->n; i++) {
		if (s->first[i] != (uint8_t)(s->number + i))
			fail_msg("packet %lu is gone", (unsigned long)s->number);
	}
}

static int note_frame(void *ctx, const struct frame *f)
{
	struct stays *s = ctx;

	if (!s->first) {
		s->first = f->data.p;
		s->n = f->data.n;
		s->number = s->frames;
	}
	s->frames++;
	return 0;
}

static void frames_go(void *ctx)
{
	struct stays *s = ctx;

	check_stays(s);
	s->first = NULL;
	s->refills++;
}

static void test_frames_stay_until_it_is_told(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct stays s = {0};
	uint64_t want;

	make_long_file(&b, &want);
	struct pcap_file *pf = open_content(&b);
	pcap_file_on_refill(pf, frames_go, &s);
	assert_int_equal(pcap_file_run(pf, note_frame, &s), PCAP_FILE_END);
	assert_int_equal(s.frames, want);
	assert_true(s.refills >= 12 && s.refills < 100);
	pcap_file_close(pf);
	buf_deinit(&b);
}

static void test_long_unknown_block_is_skipped(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct seen s = {0};
	struct pcap_file_position at;

	big = false;
	shb(&b);
	idb(&b, 1, 0, 6, 0);
	unknown_block(&b, 5u << 20);
	epb(&b, 0, 1, "behind", 6);
	struct pcap_file *pf = open_content(&b);
	assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_END);
	assert_int_equal(s.count, 1);
	pcap_file_close(pf);

	/* The block's two lengths must agree, and the whole block must be there. */
	size_t end = 28 + 40 + 12 + (5u << 20);
	b.p[end - 1]++;
	pf = open_content(&b);
	assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_CORRUPT);
	assert_non_null(strstr(pcap_file_position(pf)->detail, "block says 5242892 bytes"));
	pcap_file_close(pf);
	assert_int_equal(parse(&b, end - 2, &s, &at), PCAP_FILE_TRUNCATED);
	assert_int_equal(parse(&b, end - 9, &s, &at), PCAP_FILE_TRUNCATED);
	buf_deinit(&b);
}

struct told {
	uint32_t type, n;
	char text[64];
	struct seen *seen;
	uint32_t frames_before; /* how many frames had come */
};

static void tell(void *ctx, uint32_t type, struct bytes data)
{
	struct told *t = ctx;

	t->type = type;
	t->n++;
	t->frames_before = t->seen->count;
	snprintf(t->text, sizeof t->text, "%.*s", (int)data.n, (const char *)data.p);
}

/* A decryption secrets block whose text is said to have @n bytes. */
static void dsb(struct buf *b, uint32_t n, const char *text)
{
	uint32_t length = (uint32_t)(20 + (strlen(text) + 3) / 4 * 4);

	w32(b, 10);
	w32(b, length);
	w32(b, PCAP_SECRETS_TLS);
	w32(b, n);
	buf_append(b, text, strlen(text));
	buf_append(b, "\0\0\0", length - 20 - strlen(text));
	w32(b, length);
}

static void test_secrets(void **state)
{
	for (int order = 0; order < 2; order++) {
		struct buf b = BUF_INIT(FILE_MAX);
		struct seen s = {0};
		struct told t = {.seen = &s};
		big = order;
		shb(&b);
		idb(&b, 1, 0, 6, 0);
		epb(&b, 0, 1, "before", 6);
		dsb(&b, 5, "KEYS!x");
		epb(&b, 0, 2, "behind", 6);
		struct pcap_file *pf = open_content(&b);
		/* Whoever does not ask is not told. */
		assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_END);
		assert_int_equal(t.n, 0);
		pcap_file_on_secrets(pf, tell, &t);
		for (uint32_t i = 1; i <= 2; i++) {
			s = (struct seen){0};
			assert_int_equal(pcap_file_rewind(pf), 0);
			assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_END);
			assert_int_equal(s.count, 2);
			assert_int_equal(t.n, i);
			assert_int_equal(t.type, PCAP_SECRETS_TLS);
			assert_string_equal(t.text, "KEYS!");
			assert_int_equal(t.frames_before, 1);
		}
		pcap_file_close(pf);
		/* More than the block has. */
		dsb(&b, 9, "KEYS");
		pf = open_content(&b);
		pcap_file_on_secrets(pf, tell, &t);
		s = (struct seen){0};
		assert_int_equal(pcap_file_run(pf, see, &s), PCAP_FILE_CORRUPT);
		assert_int_equal(s.count, 2);
		assert_non_null(strstr(pcap_file_position(pf)->detail, "secrets"));
		assert_int_equal(t.n, 3);
		pcap_file_close(pf);
		buf_deinit(&b);
	}
}

struct slow_pipe {
	const struct buf *b;
	int fd;
};

/* Writes in pieces of odd sizes, down to single bytes. */
static void *write_slowly(void *arg)
{
	struct slow_pipe *p = arg;
	size_t piece = 1;

	for (size_t done = 0; done < p->b->n;) {
		size_t n = p->b->n - done;
		ssize_t w = write(p->fd, p->b->p + done, piece < n ? piece : n);
		if (w <= 0)
			break;
		done += (size_t)w;
		piece = piece > 30000 ? 1 : piece * 3;
	}
	close(p->fd);
	return NULL;
}

static void test_pipe(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct pcap_file *pf = NULL;
	uint64_t want, got = 0;
	char path[64];
	int fds[2];
	pthread_t writer;

	make_long_file(&b, &want);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
	assert_int_equal(pcap_file_open(path, &pf), 0);
	struct slow_pipe p = {&b, fds[1]};
	assert_int_equal(pthread_create(&writer, NULL, write_slowly, &p), 0);
	assert_int_equal(pcap_file_run(pf, check_pattern, &got), PCAP_FILE_END);
	assert_int_equal(got, want);
	assert_int_equal(pcap_file_rewind(pf), -ESPIPE);
	pthread_join(writer, NULL);
	close(fds[0]);
	pcap_file_close(pf);
	buf_deinit(&b);
}

static void test_standard_input(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct pcap_file *pf = NULL;
	uint64_t count = 0;
	int fds[2];
	int saved = dup(STDIN_FILENO);

	big = false;
	pcap_head(&b, 0xa1b2c3d4, 1);
	pcap_packet(&b, 1, 0, "one", 3);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], b.p, b.n), b.n);
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
	int r = pcap_file_open("-", &pf);
	if (saved >= 0) {
		dup2(saved, STDIN_FILENO);
		close(saved);
	}
	assert_int_equal(r, 0);
	assert_int_equal(pcap_file_run(pf, count_only, &count), PCAP_FILE_END);
	assert_int_equal(count, 1);
	pcap_file_close(pf);
	buf_deinit(&b);
}

static void test_open_and_read_errors(void **state)
{
	struct pcap_file *pf = NULL;
	uint64_t count = 0;

	assert_int_equal(pcap_file_open("/proc/self/no-such-file", &pf), -ENOENT);
	assert_null(pf);
	assert_int_equal(pcap_file_open("/", &pf), 0);
	assert_int_equal(pcap_file_run(pf, count_only, &count), -EISDIR);
	pcap_file_close(pf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_and_rewind),
		cmocka_unit_test(test_records_over_block_edges),
		cmocka_unit_test(test_frames_stay_until_it_is_told),
		cmocka_unit_test(test_long_unknown_block_is_skipped),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_open_and_read_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
