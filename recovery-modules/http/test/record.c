/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record.h"

const char *const record_pipelined[] = {
	GET("/file"),      "+" GET("/chunked"),
	"+" GET("/dated"), "+HEAD /plain HTTP/1.1\r\nHost: a\r\n\r\n",
	GET("/weak"),      NULL};

static void record_step(struct record *r, uint32_t dir, size_t from)
{
	assert_true(r->step_count < STEPS_MAX);
	r->steps[r->step_count++] = (struct step){dir, from, r->stream[dir].n};
	r->total += r->stream[dir].n - from;
}

struct record record_new(struct test_server server, const char *const *requests)
{
	struct record r = {.stream = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)}};
	bool fail = false;

	for (size_t i = 0; requests[i];) {
		size_t from = r.stream[JEEBS_TO_SERVER].n, answer = r.stream[JEEBS_TO_CLIENT].n;
		buf_printf(&r.stream[JEEBS_TO_SERVER], "%s", requests[i++]);
		while (requests[i] && requests[i][0] == '+')
			buf_printf(&r.stream[JEEBS_TO_SERVER], "%s", requests[i++] + 1);
		record_step(&r, JEEBS_TO_SERVER, from);
		test_server_receive(&server, bytes_from(buf_view(&r.stream[JEEBS_TO_SERVER]), from),
				    false, &r.stream[JEEBS_TO_CLIENT], &r.closed, &fail);
		record_step(&r, JEEBS_TO_CLIENT, answer);
	}
	test_server_deinit(&server);
	for (int i = 0; i < 2; i++) {
		buf_append(&r.stream[i], "", 1); /* also a terminated string */
		r.stream[i].n--;
	}
	return r;
}

void record_free(struct record *r)
{
	buf_deinit(&r->stream[0]);
	buf_deinit(&r->stream[1]);
}

void feed(struct harness *h, const struct record *r, size_t cut, struct bytes *ret_more)
{
	size_t sent[2] = {0, 0};

	for (size_t i = 0; i < r->step_count; i++) {
		const struct step *s = &r->steps[i];
		size_t n = s->to - s->from < cut ? s->to - s->from : cut;
		cut -= n;
		sent[s->dir] += n;
		harness_data(h, s->dir, bytes_of(r->stream[s->dir].p + s->from, n));
	}
	*ret_more = bytes_from(buf_view(&r->stream[JEEBS_TO_SERVER]), sent[JEEBS_TO_SERVER]);
}

void get_checkpoint(const struct record *r, size_t cut, size_t chunk, struct buf *out)
{
	struct harness_options options = {.live = {.max = chunk}, .view_max = 16};
	struct harness h;
	struct bytes more;

	assert_int_equal(harness_init(&h, &http_module, &options), 0);
	feed(&h, r, cut, &more);
	assert_int_equal(harness_checkpoint(&h, out), 0);
	assert_null(h.violation);
	harness_deinit(&h);
}

void to_server(struct harness *h, const char *text)
{
	harness_data(h, JEEBS_TO_SERVER, bytes_str(text));
}

void to_client(struct harness *h, const char *text)
{
	harness_data(h, JEEBS_TO_CLIENT, bytes_str(text));
}

void assert_plan(struct harness *h, uint32_t verdict, const char *reason)
{
	struct jeebs_plan plan;

	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_int_equal(plan.verdict, verdict);
	/* The decision must survive a checkpoint. */
	assert_int_equal(harness_reopen(h), 0);
	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_null(h->violation);
}
