/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The harness must notice what a module does wrong: here is one that does it on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "harness.h"

/* The client's first byte chooses what the module does. */
struct actor {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	uint8_t act;
	uint64_t seen[2];
	uint64_t chunks;
};

static int actor_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		      const struct jeebs_service *svc)
{
	struct actor *a = state;

	a->flow = f;
	a->ops = ops;
	return JEEBS_OK;
}

static int actor_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct actor *a = state;

	if (off == 0 && dir == JEEBS_TO_SERVER)
		a->act = b.p[0];
	a->seen[dir] = off + b.n;
	a->chunks++;
	switch (a->act) {
	case 'k': /* keeps all bytes */
		a->ops->keep_from(a->flow, JEEBS_TO_SERVER, 0);
		return JEEBS_OK;
	case 'l': /* keeps the last two bytes */
		a->ops->keep_from(a->flow, dir, off + b.n - 2);
		return JEEBS_OK;
	case 'f': /* keeps from an offset in the future */
		a->ops->keep_from(a->flow, dir, off + b.n + 1);
		return JEEBS_OK;
	case 'b': /* keeps from an offset in the past */
		a->ops->keep_from(a->flow, dir, 2);
		a->ops->keep_from(a->flow, dir, 1);
		return JEEBS_OK;
	case 'g':
		return JEEBS_GIVE_UP;
	case 'r':
		return 7;
	default:
		return JEEBS_OK;
	}
}

static int actor_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	((struct actor *)state)->seen[dir] = to;
	return JEEBS_OK;
}

static int actor_fin(void *state, uint32_t dir, uint64_t off)
{
	return JEEBS_OK;
}

static size_t actor_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct actor *a = state;

	if (cap >= 2) {
		out[0] = a->act;
		out[1] = (uint8_t)a->chunks;
	}
	return 2;
}

static int actor_restore(void *state, struct jeebs_bytes b)
{
	struct actor *a = state;

	if (b.n != 2)
		return JEEBS_GIVE_UP;
	a->act = b.p[0];
	a->chunks = a->act == 'c' ? 99 : b.p[1]; /* forgets its count */
	return JEEBS_OK;
}

static void actor_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct actor *a = state;

	ret->verdict = a->act == 'v' ? 9 : JEEBS_CONTINUE;
	ret->reason = "test";
	if (a->act != 'd')
		ret->detail[0] = 0;
	if (a->act == 'p')
		a->ops->keep_from(a->flow, JEEBS_TO_SERVER, 1);
}

static const struct jeebs_bytes word = {(const uint8_t *)"word", 4};

/* Breaks a rule of the contract. Returns false if that is not its act. */
static bool actor_breaks(const struct actor *a, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops)
{
	switch (a->act) {
	case '1': /* passes one direction twice */
		ops->pass(j, JEEBS_TO_SERVER);
		ops->pass(j, JEEBS_TO_SERVER);
		break;
	case '2':
		ops->finish_client(j);
		ops->to_client(j, word);
		break;
	case '3':
		ops->pass(j, JEEBS_TO_SERVER);
		ops->to_backend(j, word);
		break;
	case '4':
		ops->abort(j, "x");
		ops->abort(j, "x");
		break;
	case '5':
		ops->pass(j, JEEBS_TO_CLIENT);
		ops->finish_client(j);
		break;
	case '6': /* sends more than a queue holds */
		for (int i = 0; i < 100; i++)
			ops->to_client(j, word);
		break;
	case '0':
		ops->pass(j, JEEBS_TO_SERVER);
		ops->hold_client(j, 1);
		break;
	case 'l': /* sends from before the start of the log */
		ops->log_to_backend(j, 0, 2);
		break;
	case '7': /* sends beyond the end of the log */
		ops->log_to_backend(j, 1, 3);
		break;
	case '8':
		ops->finish_backend(j);
		ops->log_to_backend(j, 1, 2);
		break;
	case '9':
		ops->to_backend(j, word);
		ops->backend_port(j, 21);
		break;
	case 'L':
		ops->pass(j, JEEBS_TO_SERVER);
		ops->to_client(j, word);
		ops->connect_backend(j);
		break;
	case 'N': /* sends to a backend without a port */
		ops->backend_port(j, 0);
		ops->to_backend(j, word);
		break;
	default:
		return false;
	}
	return true;
}

static void actor_start(const struct actor *a, struct jeebs_join *j,
			const struct jeebs_join_ops *ops)
{
	switch (a->act) {
	case 'P': /* a proxy that changes nothing */
		ops->to_backend(j, word);
		ops->pass(j, JEEBS_TO_SERVER);
		ops->pass(j, JEEBS_TO_CLIENT);
		break;
	case 'w': /* waits for whichever end sends first */
		ops->connect_backend(j);
		ops->pass(j, JEEBS_TO_CLIENT);
		break;
	case 'h': /* holds the client's bytes until the timer */
		ops->hold_client(j, 1);
		ops->timer(j, 20);
		break;
	case 'k': /* sends more of the log than may be queued at once */
		ops->log_to_backend(j, 5, 5);
		ops->log_to_backend(j, 1, 200);
		ops->to_backend(j, word);
		ops->log_to_backend(j, 0, 2);
		ops->pass(j, JEEBS_TO_SERVER);
		ops->pass(j, JEEBS_TO_CLIENT);
		break;
	default:
		if (!actor_breaks(a, j, ops))
			ops->to_backend(j, word); /* echoes events, see actor_resume() */
	}
}

static void actor_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	static const char *const names[] = {"",        "data ", "eof ", "up ", "answer ", "end ",
					    "failed ", "",      "",     "",    "timer "};
	const struct actor *a = state;

	if (event == JEEBS_EV_START) {
		actor_start(a, j, ops);
		return;
	}
	if (a->act == 'L')
		(void)cut->log(cut->flow, JEEBS_TO_SERVER, 0);
	if (a->act == 'O' && event == JEEBS_EV_BACKEND_DATA) {
		ops->to_client(j, b);
		ops->to_client(j, b);
	}
	if (a->act == 'h' && event == JEEBS_EV_TIMER)
		ops->hold_client(j, 0);
	if (a->act == 'e' || a->act == 'h')
		ops->to_client(j, (struct jeebs_bytes){(const uint8_t *)names[event],
						       strlen(names[event])});
	if (event == JEEBS_EV_BACKEND_EOF)
		ops->finish_client(j);
	if (event == JEEBS_EV_BACKEND_FAILED)
		ops->abort(j, "failed");
}

static void actor_close(void *state) {}

static const struct jeebs_module actor_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "actor",
	.version = "1",
	.state_size = sizeof(struct actor),
	.open = actor_open,
	.data = actor_data,
	.gap = actor_gap,
	.fin = actor_fin,
	.checkpoint = actor_checkpoint,
	.restore = actor_restore,
	.plan = actor_plan,
	.resume = actor_resume,
	.close = actor_close,
};

/* Answers each input with "ok", and closes once the other side has finished. */
static void answer_ok(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		      bool *fail)
{
	buf_append(answer, "ok", 2);
	*close = eof;
}

/* Sends without end. */
static void answer_long(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			bool *fail)
{
	for (int i = 0; i < 100; i++)
		buf_append(answer, "0123456789", 10);
}

static void begin(struct harness *h, const char *bytes, size_t chunk)
{
	struct harness_options options = {
		.live = {.max = chunk}, .queue_max = 100, .output_max = 500};

	assert_int_equal(harness_init(h, &actor_module, &options), 0);
	harness_data(h, JEEBS_TO_SERVER, bytes_str(bytes));
}

static void test_keeps_what_was_asked_for(void **state)
{
	struct harness h;

	begin(&h, "n23456", 4);
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 0);
	harness_deinit(&h);
	begin(&h, "k23456", 4);
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 6);
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.off, 0);
	harness_deinit(&h);
	begin(&h, "l23456", 4);
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.off, 4);
	assert_memory_equal(h.log[JEEBS_TO_SERVER].span.bytes.p, "56", 2);
	harness_gap(&h, JEEBS_TO_SERVER, 5);
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 0);
	assert_int_equal(span_end(&h.log[JEEBS_TO_SERVER].span), 11);
	assert_null(h.violation);
	harness_deinit(&h);
}

static void test_log_has_a_ceiling(void **state)
{
	struct harness_options options = {.log_max = 10};
	struct harness h;

	assert_int_equal(harness_init(&h, &actor_module, &options), 0);
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("k234567890"));
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 10);
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("1"));
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 0);
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.off, 11);
	harness_deinit(&h);
}

static void test_chunks(void **state)
{
	struct harness h;

	begin(&h, "n23456789", 4);
	assert_int_equal(((const struct actor *)h.state)->chunks, 3);
	assert_int_equal(((const struct actor *)h.state)->seen[JEEBS_TO_SERVER], 9);
	harness_deinit(&h);
	begin(&h, "n23456789", 0);
	assert_int_equal(((const struct actor *)h.state)->chunks, 1);
	harness_deinit(&h);
}

static void test_finds_live_violations(void **state)
{
	static const char *const acts[] = {"future", "back", "return"};

	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
		struct harness h;
		begin(&h, acts[i], 0);
		assert_non_null(h.violation);
		harness_deinit(&h);
	}
}

static void test_finds_plan_violations(void **state)
{
	static const char *const acts[] = {"verdict", "detail", "plan keeps", "gave up"};

	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
		struct jeebs_plan plan;
		struct harness h;
		begin(&h, acts[i], 0);
		assert_null(h.violation);
		harness_plan(&h, &plan);
		assert_non_null(h.violation);
		harness_deinit(&h);
	}
}

static void test_finds_a_state_that_forgets(void **state)
{
	struct harness h;

	begin(&h, "n", 0);
	assert_int_equal(harness_reopen(&h), 0);
	assert_null(h.violation);
	harness_deinit(&h);
	begin(&h, "c", 0);
	assert_int_equal(harness_reopen(&h), 0);
	assert_non_null(h.violation);
	assert_false(harness_restore(&h, bytes_str("abc")));
	assert_true(h.gave_up);
	harness_deinit(&h);
}

static void test_finds_resume_violations(void **state)
{
	static const char *const acts[] = {"1", "2",   "3", "4", "5", "6",
					   "L", "log", "7", "8", "9", "0"};
	static const struct harness_backend backend = {.receive = answer_ok};

	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
		struct harness h;
		begin(&h, acts[i], 0);
		harness_resume(&h, &backend, BYTES_NONE, true);
		assert_non_null(h.violation);
		harness_deinit(&h);
	}
}

static void assert_client(const struct harness *h, const char *text)
{
	assert_int_equal(h->client.n, strlen(text));
	assert_memory_equal(h->client.p, text, h->client.n);
	assert_null(h->violation);
}

static void test_joins(void **state)
{
	struct harness_backend backend = {.receive = answer_ok};
	struct harness h;

	/* All events in their order. */
	begin(&h, "e", 0);
	harness_resume(&h, &backend, bytes_str("more"), true);
	assert_client(&h, "up data answer eof ");
	assert_int_equal(h.outcome, HARNESS_JOINED);
	harness_deinit(&h);
	/* Bytes and ends pass in both directions. */
	begin(&h, "P", 0);
	harness_resume(&h, &backend, bytes_str("more"), true);
	assert_client(&h, "okok");
	assert_int_equal(h.outcome, HARNESS_FINISHED);
	assert_int_equal(h.backend.n, 8);
	assert_memory_equal(h.backend.p, "wordmore", 8);
	harness_deinit(&h);
	/* The backend sends first. */
	begin(&h, "w", 0);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_client(&h, "ok");
	assert_int_equal(h.backend.n, 0);
	harness_deinit(&h);
	/* The client is held until nothing else is due. */
	begin(&h, "h", 0);
	harness_resume(&h, &backend, bytes_str("more"), true);
	assert_client(&h, "timer data eof ");
	harness_deinit(&h);
	/* The backend refuses the connection. */
	backend.refuse = true;
	begin(&h, "e", 0);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "failed");
	harness_deinit(&h);
	begin(&h, "P", 0);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "backend-failed");
	harness_deinit(&h);
}

static void test_long_logs(void **state)
{
	static const struct harness_backend backend = {.receive = answer_ok};
	char said[201] = "k";
	struct harness h;

	for (int i = 1; i < 200; i++)
		said[i] = (char)('a' + i % 23);
	begin(&h, said, 7);
	harness_resume(&h, &backend, bytes_str("more"), true);
	assert_client(&h, "okok");
	assert_int_equal(h.backend.n, 199 + 4 + 2 + 4);
	assert_memory_equal(h.backend.p, said + 1, 199);
	assert_memory_equal(h.backend.p + 199, "word", 4);
	assert_memory_equal(h.backend.p + 203, said, 2);
	assert_memory_equal(h.backend.p + 205, "more", 4);
	harness_deinit(&h);
	/* No backend is asked. */
	begin(&h, "N", 0);
	harness_resume(&h, &backend, bytes_str("more"), false);
	assert_client(&h, "");
	assert_true(h.no_backend);
	harness_deinit(&h);
}

static void test_output_has_a_ceiling(void **state)
{
	static const struct harness_backend backend = {.receive = answer_long};
	struct harness h;

	begin(&h, "P", 50);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_true(h.client.n <= 500);
	assert_int_equal(h.outcome, HARNESS_OUTPUT_MAX);
	harness_deinit(&h);
	/* The module cannot know of the backend's limit: what it sends beyond is no fault. */
	begin(&h, "O", 0);
	h.options.backend.max = 48;
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_OUTPUT_MAX);
	assert_null(h.violation);
	harness_deinit(&h);
}

/* ---- keys: a module that needs them, and sends in steps ---------------------------------------
 */

struct sealed {
	struct actor actor;
	uint32_t sent;
	bool opened;
};

static int key_of(struct jeebs_keys *k)
{
	return *(const int *)(const void *)k;
}

static int sealed_unseal(void *state, const struct jeebs_cut *cut)
{
	struct sealed *s = state;
	uint8_t *a = cut->scratch(cut->flow, 10), *b = cut->scratch(cut->flow, 10);

	assert_non_null(cut->keys);
	assert_int_equal(cut->crypto->size, sizeof(struct jeebs_crypto_ops));
	assert_true(b >= a + 10);
	memset(a, 1, 10);
	s->opened = key_of(cut->keys) == 42;
	return s->actor.act == 'x' ? 9 : s->opened ? JEEBS_OK : JEEBS_GIVE_UP;
}

static void sealed_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct sealed *s = state;
	bool insists = s->actor.act == 'i';

	ret->verdict = !cut->keys || insists ? JEEBS_IF_KEYS
		       : s->opened           ? JEEBS_CONTINUE
					     : JEEBS_REFUSE;
	ret->reason = "test";
	ret->detail[0] = 0;
}

static void sealed_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			  const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct sealed *s = state;
	uint32_t *memory = ops->memory(j, s->actor.act == 'm' ? JEEBS_MEMORY_MAX + 1 : 4);

	if (s->actor.act == 'm')
		return;
	assert_int_equal(*memory, s->sent); /* zero at first, then what was left there */
	/* The cut's logs can be read, so there is scratch. It is empty each time. */
	assert_int_equal(cut->scratch(cut->flow, 1)[0], 0);
	cut->scratch(cut->flow, 1)[0] = 1;
	while (s->sent < 1000 && ops->room(j, JEEBS_TO_CLIENT) >= 4) {
		ops->to_client(j, (struct jeebs_bytes){(const uint8_t *)"word", 4});
		s->sent += 4;
	}
	*memory = s->sent;
	if (s->sent == 1000)
		ops->finish_client(j);
}

static struct jeebs_module sealed_module(void)
{
	struct jeebs_module m = actor_module;

	m.state_size = sizeof(struct sealed);
	m.unseal = sealed_unseal;
	m.plan = sealed_plan;
	m.resume = sealed_resume;
	return m;
}

static const struct jeebs_crypto_ops no_crypto = {.size = sizeof no_crypto};

/* With the keys there is a plan, and what is more than a queue goes in steps. */
static void test_keys_come(void **state)
{
	static const struct harness_backend backend = {.receive = answer_ok};
	const struct jeebs_module m = sealed_module();
	struct harness_options options = {.queue_max = 100};
	struct jeebs_plan plan;
	struct harness h;

	for (int right = 0; right < 2; right++) {
		int key = right ? 42 : 41;
		assert_int_equal(harness_init(&h, &m, &options), 0);
		harness_data(&h, JEEBS_TO_SERVER, bytes_str("n"));
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, JEEBS_IF_KEYS);
		harness_unseal(&h, (struct jeebs_keys *)(void *)&key, &no_crypto);
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, right ? JEEBS_CONTINUE : JEEBS_REFUSE);
		if (right) {
			harness_resume(&h, &backend, BYTES_NONE, false);
			assert_int_equal(h.client.n, 1000);
			assert_int_equal(h.outcome, HARNESS_FINISHED);
		}
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

static void test_finds_violations_with_keys(void **state)
{
	static const struct harness_backend backend = {.receive = answer_ok};
	static const char *const acts[] = {"insists on keys", "x", "memory"};
	const struct jeebs_module m = sealed_module();

	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
		struct jeebs_plan plan;
		struct harness h;
		int key = 42;
		assert_int_equal(harness_init(&h, &m, NULL), 0);
		harness_data(&h, JEEBS_TO_SERVER, bytes_str(acts[i]));
		assert_null(h.violation);
		harness_unseal(&h, (struct jeebs_keys *)(void *)&key, &no_crypto);
		harness_plan(&h, &plan);
		harness_resume(&h, &backend, BYTES_NONE, false);
		assert_non_null(h.violation);
		harness_deinit(&h);
	}
}

/* A module of an older header has no unseal: nothing is read there. */
static void test_keys_mean_nothing_to_an_older_module(void **state)
{
	struct jeebs_module m = actor_module;
	struct jeebs_plan plan;
	struct harness h;
	int key = 42;

	m.size = offsetof(struct jeebs_module, unseal);
	m.unseal = sealed_unseal;
	assert_int_equal(harness_init(&h, &m, NULL), 0);
	harness_unseal(&h, (struct jeebs_keys *)(void *)&key, &no_crypto);
	harness_plan(&h, &plan);
	assert_int_equal(plan.verdict, JEEBS_CONTINUE);
	assert_null(h.violation);
	harness_deinit(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_what_was_asked_for),
		cmocka_unit_test(test_log_has_a_ceiling),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_finds_live_violations),
		cmocka_unit_test(test_finds_plan_violations),
		cmocka_unit_test(test_finds_a_state_that_forgets),
		cmocka_unit_test(test_finds_resume_violations),
		cmocka_unit_test(test_joins),
		cmocka_unit_test(test_long_logs),
		cmocka_unit_test(test_output_has_a_ceiling),
		cmocka_unit_test(test_keys_come),
		cmocka_unit_test(test_finds_violations_with_keys),
		cmocka_unit_test(test_keys_mean_nothing_to_an_older_module),
	};
	return cmocka_run_group_tests_name("harness", tests, NULL, NULL);
}
