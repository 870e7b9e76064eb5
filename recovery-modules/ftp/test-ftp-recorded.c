/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations of curl, wget, lftp and tnftp with vsftpd and proftpd, cut at every byte of the
 * control connection and all over the data: each reply and each byte of data that the client gets
 * is what the real server went on to send, or it was told that the transfer failed, or the module
 * refused aloud.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ftp-oracle.h"
#include "ftp.h"
#include "recovery-modules/harness/test/recorded.h"

#define DATA_STEP 173 /* bytes of data between two cuts */

/* ---- the client ---- */

/* A data connection of the client, after the cut. */
struct data {
	struct recorded_run *run;
	unsigned number; /* its number in the recording */
	bool met;        /* a channel plays this connection ... */
	bool said;       /* ... and its client has sent the rest */
};

struct client {
	struct recorded_run *run;
	uint64_t said; /* bytes sent on the control connection after the cut */
	struct data data[RECORDED_CONNECTIONS];
};

/* Bytes received on this connection, before and after the cut. */
static uint64_t received_of(const struct data *d)
{
	const struct harness *h = &d->run->h;
	uint64_t n = d->run->connection[d->number].before[JEEBS_TO_CLIENT];

	for (uint32_t i = 0; i < h->channels; i++)
		if (h->channel[i]->client_ctx == d)
			n += h->channel[i]->client.n;
	return n;
}

static bool has_its_data(const struct client *k)
{
	const struct recording *r = k->run->recording;

	for (unsigned i = 1; i < r->connection_n; i++) {
		const struct data *d = &k->data[i];
		if ((k->run->connection[i].begun || d->met) &&
		    received_of(d) < r->connection[i].all[JEEBS_TO_CLIENT].n)
			return false;
	}
	return true;
}

/* The client sends all at once, except ABOR: the recorded client had its data by then. */
static struct bytes control_says(struct client *k, bool *ret_eof)
{
	static const uint8_t interrupt[] = {0xff, 0xf4};
	struct bytes rest = bytes_from(recorded_rest(k->run, 0, JEEBS_TO_SERVER), (size_t)k->said);
	const uint8_t *stop = rest.p ? memmem(rest.p, rest.n, interrupt, sizeof interrupt) : NULL;

	if (stop == rest.p) {
		if (stop && !has_its_data(k))
			return BYTES_NONE;
		stop = NULL;
	}
	if (stop)
		rest.n = (size_t)(stop - rest.p);
	k->said += rest.n;
	*ret_eof = k->run->recording->connection[0].fin[JEEBS_TO_SERVER] && !stop;
	return rest;
}

static struct client client; /* the client of this run */

static struct bytes next(void *ctx, uint64_t received, bool *ret_eof)
{
	(void)received;
	if (ctx == &client)
		return control_says(&client, ret_eof);
	struct data *d = ctx;
	const struct recording_connection *c = &d->run->recording->connection[d->number];
	/* A client that receives ends after the server. A client that sends ends once all is
	 * sent. */
	*ret_eof = c->all[JEEBS_TO_SERVER].n > 0 && c->fin[JEEBS_TO_SERVER];
	if (d->said)
		return BYTES_NONE;
	d->said = true;
	return recorded_rest(d->run, d->number, JEEBS_TO_SERVER);
}

static enum harness_opening open_data(void *ctx, const struct harness_channel *c, void **ret)
{
	struct client *k = ctx;
	const struct ftp *s = k->run->h.state;
	const struct recording *r = k->run->recording;

	if (c->kind == HARNESS_LISTENED && s->resume.recovering && s->resume.cut.ended &&
	    s->resume.data.j == (const void *)c)
		return HARNESS_NOT_YET; /* made to compare, the client knows nothing of it */
	for (unsigned i = 1; i < r->connection_n; i++) {
		struct data *d = &k->data[i];
		bool same = c->kind == HARNESS_LISTENED
				    ? r->connection[i].server_port == c->service_port
				    : r->connection[i].client_port == c->client_port;
		if (d->met || !same)
			continue;
		d->met = true;
		*ret = d;
		return HARNESS_THERE;
	}
	return HARNESS_NEVER;
}

static struct harness_client client_of(struct recorded_run *u)
{
	client = (struct client){.run = u};
	for (unsigned i = 1; i < u->recording->connection_n; i++)
		client.data[i] = (struct data){.run = u, .number = i};
	return (struct harness_client){.next = next, .ctx = &client, .open = open_data};
}

/* ---- what the client got ---- */

/* The box words its own replies itself. */
static void plain_line(struct bytes line, char *out, size_t n)
{
	size_t to = 0;
	bool own = line.n > 8 && memcmp(line.p, "200 PORT", 8) == 0;

	own |= line.n > 8 && memcmp(line.p, "200 EPRT", 8) == 0;
	for (size_t i = 0; i < line.n && to + 1 < n; i++) {
		if (own && i == 8)
			break;
		out[to++] = (char)line.p[i];
	}
	out[to] = 0;
}

static struct bytes take_line(struct bytes *b)
{
	const uint8_t *end = b->n ? memchr(b->p, '\n', b->n) : NULL;
	size_t n = end ? (size_t)(end - b->p) + 1 : b->n;
	struct bytes line = bytes_head(*b, n);

	*b = bytes_from(*b, n);
	return line;
}

static bool same_replies(const struct recorded_run *u)
{
	struct bytes must = buf_view(&u->recording->connection[0].all[JEEBS_TO_CLIENT]);
	struct buf got = BUF_INIT(1u << 20);
	char a[512], b[512];
	bool same = true;
	size_t before = (size_t)u->connection[0].before[JEEBS_TO_CLIENT];

	assert_int_equal(buf_bytes(&got, bytes_head(must, before)), 0);
	assert_int_equal(buf_bytes(&got, recorded_got(u)), 0);
	struct bytes is = buf_view(&got);
	while (same && (is.n > 0 || must.n > 0)) {
		plain_line(take_line(&is), a, sizeof a);
		plain_line(take_line(&must), b, sizeof b);
		same = strcmp(a, b) == 0;
		if (!same && getenv("FTP_TEST_VERBOSE"))
			fprintf(stderr, "got %s instead of %s", a, b);
	}
	buf_deinit(&got);
	return same;
}

static bool same_data(const struct recorded_run *u, unsigned number)
{
	struct bytes must = recorded_rest(u, number, JEEBS_TO_CLIENT);
	struct buf got = BUF_INIT(1u << 20);

	for (uint32_t i = 0; i < u->h.channels; i++) {
		const struct harness_channel *c = u->h.channel[i];
		if (c->client_ctx == &client.data[number])
			assert_int_equal(buf_bytes(&got, buf_view(&c->client)), 0);
	}
	bool same = bytes_eq(must, buf_view(&got));
	if (!same && getenv("FTP_TEST_VERBOSE"))
		fprintf(stderr, "data %u: %zu bytes instead of %zu\n", number, got.n, must.n);
	buf_deinit(&got);
	return same;
}

static bool is_exact(const struct recorded_run *u)
{
	if (!same_replies(u))
		return false;
	for (unsigned i = 1; i < u->recording->connection_n; i++) {
		if (!same_data(u, i))
			return false;
	}
	return true;
}

static void check(struct recorded_run *u, struct recorded_count *count)
{
	/* At most what the box may word otherwise is unasked. */
	assert_true(u->recording->unasked > 0);
	if (u->plan.verdict != JEEBS_CONTINUE) {
		fprintf(stderr, "%s at %zu: %s\n", u->recording->name, u->cut, u->plan.reason);
		count->refused++;
	} else if (u->h.outcome == HARNESS_ABORTED) {
		if (getenv("FTP_TEST_VERBOSE"))
			fprintf(stderr, "%s at %zu (%s): aborted, %s\n", u->recording->name, u->cut,
				u->plan.reason, u->h.abort_reason);
		count->aborted++;
	} else if (is_exact(u)) {
		count->exact++;
	} else {
		if (u->plan.style != JEEBS_STYLE_STANDALONE)
			RECORDED_FAIL(u, "wrong: %s%s", u->plan.detail,
				      u->unknown ? ", oracle unsure" : "");
		count->other++;
	}
}

static const struct jeebs_service replayed = {
	.port = 21, .protocol = "ftp", .login = JEEBS_LOGIN_REPLAY, .retain = 1 << 20};

#define LAB                                                                            \
	.service = &replayed, .service_address = {.family = 4, .addr = {10, 9, 0, 1}}, \
	.client_address = {.family = 4, .addr = {10, 9, 0, 10}}

static void configure(const char *name, struct harness_options *io)
{
	io->service_address.addr[3] = name[0] == 'v' ? 1 : 2;
	/* The oracle's addresses are those of the recording. */
	io->backend_address = io->service_address;
}

static struct recorded_count check_all(const struct recorded_options *options)
{
	static const struct recorded_test test = {.module = &ftp_module,
						  .companion = &ftp_data_module,
						  .oracle = &ftp_oracle,
						  .folder = TEST_RECORDINGS,
						  .least = 19,
						  .other = "transfers told to have failed",
						  .step = DATA_STEP,
						  .check = check,
						  .client = client_of,
						  .configure = configure};

	return recorded_check(&test, options);
}

static void test_every_cut(void **state)
{
	struct recorded_count n = check_all(&(struct recorded_options){.harness = {LAB}});

	(void)state;
	assert_int_equal(n.refused, 0);
	assert_true(n.exact > 9 * (n.cuts - n.exact));
}

static void test_chunks_and_restart(void **state)
{
	const struct recorded_options options = {.harness = {LAB, .live = {.max = 7, .seed = 5},
							     .backend = {.max = 11, .seed = 9},
							     .view_max = 13},
						 .reopen = true};
	struct recorded_count whole = check_all(&(struct recorded_options){.harness = {LAB}}),
			      count = check_all(&options);

	(void)state;
	assert_memory_equal(&whole, &count, sizeof count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_chunks_and_restart),
	};

	return cmocka_run_group_tests_name("ftp-recorded", tests, NULL, NULL);
}
