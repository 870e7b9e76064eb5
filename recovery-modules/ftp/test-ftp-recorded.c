/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations of curl, wget, lftp and tnftp with vsftpd and proftpd, cut at every byte of the
 * control connection and all over the data. The module goes on against the oracle made from the
 * same recording: each reply and each byte of data that the client gets is what the real server
 * went on to send, or it was told that the transfer failed, or the module refused aloud.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "ftp-oracle.h"
#include "ftp.h"
#include "recovery-modules/harness/harness.h"
#include "test-conversation.h"

#define DATA_MAX  8
#define DATA_STEP 173 /* bytes of data between two cuts */

struct options {
	struct harness_options harness;
	bool reopen; /* checkpoint and restore at the cut */
};

struct count {
	unsigned cuts, exact, failed, refused, aborted;
};

/* A data connection, as recorded, as far as it had come, and as it went on. */
struct data {
	uint16_t server_port, client_port;
	struct buf all[2], client; /* client: what it got behind the cut */
	bool fin[2];
	bool begun;
	struct harness h;
	uint64_t before[2];
	bool fin_before[2];
	bool met;  /* a channel is this one, */
	bool said; /* and its client said the rest */
};

struct run {
	struct harness h;
	struct buf all[2]; /* of the control connection */
	uint64_t before[2];
	bool eof;
	uint64_t said; /* behind the cut */
	struct data data[DATA_MAX];
	unsigned data_n;
	void *oracle, *link;
	bool unknown;
};

static struct buf read_file(const char *path)
{
	struct buf b = BUF_INIT(1u << 20);
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(buf_reserve(&b, 1u << 19), 0);
	b.n = fread(b.p, 1, 1u << 19, f);
	fclose(f);
	return b;
}

/* ---- the backup ---- */

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

static void *link_of(struct run *u, void *ctx)
{
	return ctx == u ? u->link : ctx;
}

static struct run *current; /* the harness's connections of the backup have no other way to it */

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	uint32_t state;

	assert_int_equal(ftp_oracle.receive(link_of(current, ctx), (struct jeebs_bytes){b.p, b.n},
					    eof, take, answer, &state),
			 0);
	*close = state == JEEBS_ORACLE_CLOSE;
	*fail = state == JEEBS_ORACLE_RESET;
	current->unknown |= state == JEEBS_ORACLE_UNKNOWN;
}

static void *connect_data(void *ctx, uint16_t port)
{
	(void)ctx;
	return ftp_oracle.connect_related(current->link, port);
}

static void disconnect(void *connection)
{
	if (connection && connection != current)
		ftp_oracle.disconnect(connection);
}

/* ---- the client ---- */

/* What has come of this connection, before the cut and behind it. */
static uint64_t received_of(const struct run *u, const struct data *d)
{
	uint64_t n = d->before[1];

	for (uint32_t i = 0; i < u->h.channels; i++)
		if (u->h.channel[i]->client_ctx == d)
			n += u->h.channel[i]->client.n;
	return n;
}

/* All at once, but for ABOR: the recorded client had its data by then. */
static struct bytes control_says(struct run *u, bool *ret_eof)
{
	static const uint8_t interrupt[] = {0xff, 0xf4};
	struct bytes rest = bytes_from(buf_view(&u->all[0]), (size_t)(u->before[0] + u->said));
	const uint8_t *stop = rest.n ? memmem(rest.p, rest.n, interrupt, sizeof interrupt) : NULL;

	if (stop == rest.p) {
		for (unsigned i = 0; i < u->data_n; i++) {
			const struct data *d = &u->data[i];
			if ((d->begun || d->met) && received_of(u, d) < d->all[1].n)
				return BYTES_NONE;
		}
		stop = NULL;
	}
	if (stop)
		rest.n = (size_t)(stop - rest.p);
	u->said += rest.n;
	*ret_eof = u->eof && !stop;
	return rest;
}

static struct bytes next(void *ctx, uint64_t received, bool *ret_eof)
{
	struct run *u = current;

	(void)received;
	if (ctx == u)
		return control_says(u, ret_eof);
	struct data *d = ctx;
	struct bytes rest = bytes_from(buf_view(&d->all[0]), (size_t)d->before[0]);
	/* Who receives ends when the server has; who sends, when everything was said. */
	*ret_eof = d->all[0].n > 0 && d->fin[0];
	return d->said ? BYTES_NONE : (d->said = true, rest);
}

static enum harness_opening open_data(void *ctx, const struct harness_channel *c, void **ret)
{
	struct run *u = ctx;
	const struct ftp *s = u->h.state;

	if (c->kind == HARNESS_LISTENED && s->resume.recovering && s->resume.cut.ended &&
	    s->resume.data.j == (const void *)c)
		return HARNESS_NOT_YET; /* made to compare, the client knows nothing of it */
	for (unsigned i = 0; i < u->data_n; i++) {
		struct data *d = &u->data[i];
		bool same = c->kind == HARNESS_RELATED     ? d->client_port == c->client_port
			    : c->kind == HARNESS_CONNECTED ? d->client_port == c->client_port
							   : d->server_port == c->service_port;
		if (d->met || !same)
			continue;
		d->met = true;
		*ret = d;
		return HARNESS_THERE;
	}
	return HARNESS_NEVER;
}

/* ---- before the cut ---- */

static void read_all(struct run *u, struct bytes file)
{
	struct reader r = reader_init(file);
	struct conversation_record c;
	uint64_t unasked;

	u->oracle = ftp_oracle.open(NULL);
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		assert_true(c.connection <= DATA_MAX);
		struct data *d = c.connection ? &u->data[c.connection - 1] : NULL;
		if (c.kind == 'P') {
			*d = (struct data){.all = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)}};
			d->server_port = (uint16_t)(c.b.p[0] << 8 | c.b.p[1]);
			d->client_port = (uint16_t)(c.b.p[2] << 8 | c.b.p[3]);
			u->data_n++;
			continue;
		}
		bool fin = c.kind == 'E' || c.kind == 'F';
		struct jeebs_bytes b = {c.b.p, c.b.n};
		if (d) {
			struct jeebs_expect who = {.server_port = d->server_port,
						   .client_port = d->client_port};
			assert_int_equal(ftp_oracle.related(u->oracle, &who, dir, b, fin), 0);
			d->fin[dir] |= fin;
			assert_int_equal(buf_bytes(&d->all[dir], c.b), 0);
			continue;
		}
		if (!fin)
			assert_int_equal(ftp_oracle.data(u->oracle, dir, u->all[dir].n, b), 0);
		u->eof |= c.kind == 'E';
		assert_int_equal(buf_bytes(&u->all[dir], c.b), 0);
	}
	assert_int_equal(ftp_oracle.learned(u->oracle, &unasked), 0);
	/* Unasked is at most what the box may put in other words. */
	assert_true(unasked == UINT64_MAX || unasked > 0);
}

/* False: there are not so many bytes. *io_step: bytes to the next cut. */
static bool live(struct run *u, const char *name, struct bytes file, size_t cut,
		 const struct options *options, bool *ret_in_data)
{
	struct reader r = reader_init(file);
	struct conversation_record c;

	*ret_in_data = false;
	struct harness_options lab = options->harness;
	lab.service_address.addr[3] = name[0] == 'v' ? 1 : 2;
	lab.backend_address = lab.service_address; /* what the oracle says was said there */
	assert_int_equal(harness_init(&u->h, &ftp_module, &lab), 0);
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		struct data *d = c.connection ? &u->data[c.connection - 1] : NULL;
		struct harness *h = d ? &d->h : &u->h;
		if (c.kind == 'P') {
			d->begun = true;
			assert_int_equal(harness_init(h, &ftp_data_module, &options->harness), 0);
			continue;
		}
		if (c.kind == 'E' || c.kind == 'F') {
			harness_fin(h, dir);
			if (d)
				d->fin_before[dir] = true;
		}
		struct bytes b = bytes_head(c.b, cut);
		harness_data(h, dir, b);
		*(d ? &d->before[dir] : &u->before[dir]) += b.n;
		cut -= b.n;
		*ret_in_data = d != NULL;
		if (b.n < c.b.n || (cut == 0 && b.n > 0))
			return true;
	}
	return cut > 0 ? false : true;
}

static void relate(struct run *u)
{
	for (uint32_t e = 0; e < u->h.expected_n; e++) {
		const struct jeebs_expect *x = &u->h.expected[e];
		for (unsigned i = 0; i < u->data_n; i++) {
			struct data *d = &u->data[i];
			if (!d->begun || (x->server_port && x->server_port != d->server_port) ||
			    (x->client_port && x->client_port != d->client_port))
				continue;
			struct jeebs_related rel = {
				.tag = x->tag,
				.server_port = d->server_port,
				.client_port = d->client_port,
				.cut = {.ended = d->fin_before[0] && d->fin_before[1]}};
			assert_int_equal(harness_relate_live(&u->h, &rel, &d->h), 0);
		}
	}
}

static void reopen(struct run *u)
{
	assert_int_equal(harness_reopen(&u->h), 0);
	for (unsigned i = 0; i < u->data_n; i++) {
		if (u->data[i].begun)
			assert_int_equal(harness_reopen(&u->data[i].h), 0);
	}
}

/* ---- what the client got ---- */

/* The box has its own words where it answers itself. */
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

static bool same_replies(struct run *u)
{
	struct buf got = BUF_INIT(1u << 20);
	char a[512], b[512];
	bool same = true;

	assert_int_equal(buf_bytes(&got, bytes_head(buf_view(&u->all[1]), (size_t)u->before[1])),
			 0);
	assert_int_equal(buf_bytes(&got, buf_view(&u->h.client)), 0);
	struct bytes is = buf_view(&got), must = buf_view(&u->all[1]);
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

static bool same_data(struct run *u)
{
	for (uint32_t i = 0; i < u->h.channels; i++) {
		const struct harness_channel *c = u->h.channel[i];
		struct data *d = c->client_ctx;
		if (d)
			assert_int_equal(buf_bytes(&d->client, buf_view(&c->client)), 0);
	}
	for (unsigned i = 0; i < u->data_n; i++) {
		struct data *d = &u->data[i];
		struct bytes must = bytes_from(buf_view(&d->all[1]), (size_t)d->before[1]);
		if (!bytes_eq(must, buf_view(&d->client))) {
			if (getenv("FTP_TEST_VERBOSE"))
				fprintf(stderr, "data %u: %zu bytes instead of %zu\n", i,
					d->client.n, must.n);
			return false;
		}
	}
	return true;
}

static void begin(struct run *u, struct bytes file)
{
	*u = (struct run){.all = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)}};
	read_all(u, file);
	for (unsigned i = 0; i < u->data_n; i++)
		u->data[i].client = BUF_INIT(1u << 20);
	current = u;
}

static void end(struct run *u)
{
	for (unsigned i = 0; i < u->data_n; i++) {
		struct data *d = &u->data[i];
		if (d->begun)
			harness_deinit(&d->h);
		buf_deinit(&d->client);
		buf_deinit(&d->all[0]);
		buf_deinit(&d->all[1]);
	}
	harness_deinit(&u->h);
	if (u->link)
		ftp_oracle.disconnect(u->link);
	ftp_oracle.close(u->oracle);
	buf_deinit(&u->all[0]);
	buf_deinit(&u->all[1]);
}

static void go_on(struct run *u, const char *name, size_t cut, struct count *count)
{
	const struct harness_backend backend = {
		.receive = receive, .ctx = u, .connect = connect_data, .disconnect = disconnect};
	const struct harness_client client = {.next = next, .ctx = u, .open = open_data};
	struct jeebs_plan plan;

	relate(u);
	harness_plan(&u->h, &plan);
	if (plan.verdict != JEEBS_CONTINUE) {
		fprintf(stderr, "%s at %zu: %s\n", name, cut, plan.reason);
		count->refused++;
		return;
	}
	u->link = ftp_oracle.connect(u->oracle, &u->h.cut);
	harness_resume_with(&u->h, &backend, &client);
	if (u->h.violation)
		fprintf(stderr, "%s at %zu (%s): %s\n", name, cut, plan.reason, u->h.violation);
	assert_null(u->h.violation);
	if (u->h.outcome == HARNESS_ABORTED) {
		if (getenv("FTP_TEST_VERBOSE"))
			fprintf(stderr, "%s at %zu (%s): aborted, %s\n", name, cut, plan.reason,
				u->h.abort_reason);
		count->aborted++;
		return;
	}
	if (same_replies(u) && same_data(u)) {
		count->exact++;
		return;
	}
	bool told = plan.style == JEEBS_STYLE_STANDALONE;
	if (!told)
		fprintf(stderr, "%s at %zu (%s: %s)%s: wrong\n", name, cut, plan.reason,
			plan.detail, u->unknown ? ", oracle unsure" : "");
	assert_true(told);
	count->failed++;
}

static void every_cut(const char *name, const struct options *options, struct count *count)
{
	char path[512];
	bool in_data, more = true;

	snprintf(path, sizeof path, "%s/%s", TEST_RECORDINGS, name);
	struct buf file = read_file(path);
	for (size_t cut = 0; more;) {
		struct run u;
		begin(&u, buf_view(&file));
		more = live(&u, name, buf_view(&file), cut, options, &in_data);
		if (options->reopen)
			reopen(&u);
		go_on(&u, name, cut, count);
		end(&u);
		count->cuts++;
		cut += in_data ? DATA_STEP : 1;
	}
	buf_deinit(&file);
}

static void all_conversations(const struct options *options, struct count *count)
{
	DIR *dir = opendir(TEST_RECORDINGS);
	struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			every_cut(e->d_name, options, count);
	closedir(dir);
	print_message("%u cuts: %u exact, %u transfers told to have failed, %u refused, %u reset\n",
		      count->cuts, count->exact, count->failed, count->refused, count->aborted);
}

static const struct jeebs_service replayed = {
	.port = 21, .protocol = "ftp", .login = JEEBS_LOGIN_REPLAY, .retain = 1 << 20};

#define LAB                                                                            \
	.service = &replayed, .service_address = {.family = 4, .addr = {10, 9, 0, 1}}, \
	.client_address = {.family = 4, .addr = {10, 9, 0, 10}}

static void test_every_cut(void **state)
{
	const struct options options = {.harness = {LAB}};
	struct count count = {0};

	(void)state;
	all_conversations(&options, &count);
	assert_int_equal(count.refused, 0);
	assert_true(count.exact > 9 * (count.cuts - count.exact));
}

static void test_chunks_and_restart(void **state)
{
	const struct options options = {.harness = {LAB, .live = {.max = 7, .seed = 5},
						    .backend = {.max = 11, .seed = 9},
						    .view_max = 13},
					.reopen = true};
	struct count whole = {0}, count = {0};
	const struct options plain = {.harness = {LAB}};

	(void)state;
	all_conversations(&plain, &whole);
	all_conversations(&options, &count);
	assert_memory_equal(&whole, &count, sizeof count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_chunks_and_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
