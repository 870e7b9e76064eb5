/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The account of a takeover: workers, network and joins are played by this file (link
 * option --wrap), the order, the crew and the numbers are the real ones.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock.h"
#include "failover-run.h"

#define FLOWS_MAX 4000

/* ---- what the world does ---- */

static struct world {
	uint32_t flows;       /* live, flow i + 1 */
	uint32_t answer_soon; /* of them: READY before the guard opens */
	uint32_t collected;   /* READY at the end, of the rest */
	uint32_t unwatched;   /* refused without having been asked */
	int guard_error, restore_error, submit_error, release_error;
	int pending_error; /* of the guard, if anybody is to be held back */
	bool no_memory;    /* for the list of who was asked */
	uint32_t families; /* flow i expects flow families + i */
	bool related_refused, main_refused, main_gone;
	bool main_missing; /* the others' main connections are none of these */
	uint32_t ended;    /* further ones, of flow 1, that were over before */
	bool handed;       /* the plans are to hand them to a program */
	bool long_logs;    /* whose beginning is elsewhere */
	bool talking;      /* joins report: see tell() */
} world;

/* ---- what was done to it ---- */

static struct done {
	_Atomic uint32_t related, related_open;
	_Atomic uint32_t frames, restored, abandoned, held, not_held;
	uint32_t pending, releases, released, refused_for[6], told;
	uint32_t adopt_releases, downs;
	_Atomic uint32_t views, views_given; /* not freed; handed over with the logs */
	bool opened;
	struct failover_summary summary;
	uint32_t finished, all_settled;
	_Atomic uint32_t settled[FATE_COUNT_], aborted;
	struct join_report_to {
		void (*report)(void *ctx, const struct join_report *r);
		void *ctx;
	} joined[FLOWS_MAX];      /* with world.talking: by id */
	uint32_t seen[FLOWS_MAX]; /* outcomes told, by flow */
} done;

static struct takeover_inbox *inbox;
static struct watch_service service = {.protocol = "http"};

static size_t checkpoint(const void *state, uint8_t *out, size_t cap)
{
	if (cap >= 5)
		memcpy(out, "state", 5);
	return 5;
}

static void close_state(void *state) {}

static const struct jeebs_module adopt = {
	.name = "adopt", .checkpoint = checkpoint, .close = close_state};

static struct bytes view_at(const void *view, uint64_t off)
{
	return BYTES_NONE;
}

static void view_free(void *view)
{
	atomic_fetch_sub(&done.views, 1);
}

static void give_view(const struct older *o)
{
	if (!o->view)
		return;
	atomic_fetch_add(&done.views_given, 1);
	o->free(o->view);
}

static struct takeover_item *item(enum takeover_kind kind, uint32_t flow, bool answered)
{
	struct takeover_item *it = calloc(1, sizeof *it);

	assert_non_null(it);
	list_init(&it->node);
	list_init(&it->others);
	it->kind = kind;
	it->flow = flow;
	it->answered = answered;
	it->service = &service;
	it->plan = (struct plan){.cont = true, .module = "http", .reason = "idle"};
	endpoint_parse("10.9.0.1:80", false, &it->snapshot.server);
	endpoint_parse("10.9.0.10:1", false, &it->snapshot.client);
	it->snapshot.client.port = (uint16_t)(1000 + flow);
	it->related = flow > world.families && flow <= 2 * world.families;
	it->main_flow = flow - world.families + (world.main_missing ? FLOWS_MAX : 0);
	if (world.handed) {
		it->plan.style = JEEBS_STYLE_INTEGRATED;
		it->module = &adopt;
	}
	if (world.long_logs) {
		atomic_fetch_add(&done.views, 1);
		it->before = (struct older){&world, 0, view_at, view_free};
	}
	if (it->related && world.related_refused)
		it->plan.cont = false;
	if (!it->related && world.main_refused)
		it->plan = (struct plan){.module = "ftp", .reason = "login"};
	if (!it->related && world.main_gone && kind == TAKEOVER_READY)
		it->kind = TAKEOVER_GONE;
	return it;
}

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(void, worker_call, struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg)
{
	fn(w, arg);
}

WRAP(uint32_t, worker_takeover_expected, struct worker *w, uint32_t server,
     struct related_list *io_list, int *ret_error, uint32_t from)
{
	*ret_error = 0;
	return 0;
}

/* In two parts. */
WRAP(uint32_t, worker_takeover_begin, struct worker *w, uint32_t server,
     const struct related_list *expected, struct takeover_inbox *in, uint32_t from)
{
	inbox = in;
	if (from == 0)
		return 1;
	for (uint32_t i = 1; i <= world.flows; i++) {
		takeover_inbox_put(in, item(TAKEOVER_PROBE, i, false));
		if (i <= world.answer_soon)
			takeover_inbox_put(in, item(TAKEOVER_READY, i, true));
	}
	for (uint32_t i = 0; i < world.ended; i++) {
		struct takeover_item *it = item(TAKEOVER_READY, 3000 + i, false);
		it->unasked = it->related = it->ended = true;
		it->main_flow = 1;
		takeover_inbox_put(in, it);
	}
	for (uint32_t i = 0; i < world.unwatched; i++) {
		struct takeover_item *it = item(TAKEOVER_READY, world.flows + i + 1, false);
		it->unasked = true;
		it->plan = (struct plan){.module = "-", .reason = "out-of-memory"};
		takeover_inbox_put(in, it);
	}
	return 0;
}

WRAP(uint32_t, worker_takeover_collect, struct worker *w, uint32_t server, uint32_t from)
{
	for (uint32_t i = 0; i < world.collected; i++)
		takeover_inbox_put(inbox, item(TAKEOVER_READY, world.answer_soon + i + 1, false));
	return 0;
}

WRAP(void, worker_takeover_end, struct worker *w, uint32_t server) {}

WRAP(int, link_open, const char *interface, struct link **ret)
{
	*ret = (struct link *)&world; /* never looked into */
	return 0;
}

WRAP(struct link *, link_close, struct link *l)
{
	return NULL;
}

WRAP(const uint8_t *, link_mac, const struct link *l)
{
	static const uint8_t mac[6] = {2};
	return mac;
}

WRAP(int, link_send, struct link *l, struct bytes frame)
{
	atomic_fetch_add(&done.frames, 1);
	return 0;
}

WRAP(int, link_announce, struct link *l, const struct netaddr *addr)
{
	return 0;
}

WRAP(int, address_add, const char *interface, const struct netaddr *addr)
{
	return 0;
}

WRAP(int, address_del, const char *interface, const struct netaddr *addr)
{
	return 0;
}

WRAP(int, guard_up, const char *name, enum guard_tracking tracking, const struct guard_service *svc,
     uint32_t count, struct guard **ret)
{
	if (world.guard_error)
		return world.guard_error;
	*ret = (struct guard *)&world;
	return 0;
}

WRAP(struct guard *, guard_down, struct guard *g)
{
	done.downs++;
	return NULL;
}

WRAP(int, guard_forwarding, const char *interface, uint8_t family, bool on, bool *ret_changed)
{
	*ret_changed = false;
	return 0;
}

WRAP(int, guard_open, struct guard *g, const struct guard_flow *pending, uint32_t count)
{
	if (count > 0 && world.pending_error)
		return world.pending_error;
	done.pending = count;
	done.opened = true;
	return 0;
}

WRAP(int, guard_release, struct guard *g, const struct guard_flow *flows, uint32_t count)
{
	assert_true(done.opened);
	done.releases++;
	if (world.release_error && count > 1)
		return world.release_error;
	done.released += count;
	return 0;
}

WRAP(int, restore_socket, const struct snapshot *s, const struct restore_options *o, int64_t now_ns,
     int *ret_fd, size_t *ret_unsent, const char **ret_step)
{
	*ret_step = "socket";
	if (world.restore_error)
		return world.restore_error;
	*ret_fd = 100000; /* nobody uses it */
	*ret_unsent = 0;
	atomic_fetch_add(&done.restored, 1);
	return 0;
}

WRAP(void, restore_abandon, int fd)
{
	atomic_fetch_add(&done.abandoned, 1);
}

WRAP(int, join_submit, struct join_pool *p, const struct join_request *r)
{
	if (world.submit_error)
		return world.submit_error;
	atomic_fetch_add(r->hold ? &done.held : &done.not_held, 1);
	give_view(&r->log[FLOW_TO_SERVER].older);
	for (uint32_t i = 0; i < r->related_n; i++) {
		give_view(&r->related[i].log[FLOW_TO_SERVER].older);
		atomic_fetch_add(&done.related, 1);
		atomic_fetch_add(&done.related_open, r->related[i].client_fd >= 0);
		assert_true(r->related[i].client_fd >= 0 || r->related[i].cut.refused ||
			    r->related[i].cut.ended);
	}
	if (world.talking)
		done.joined[r->id] = (struct join_report_to){r->report, r->ctx};
	else
		free(r->ctx);
	return 0;
}

WRAP(int, adopt_submit, struct adopter *a, const struct adopt_request *r)
{
	assert_string_equal(r->path, "/run/tally.sock");
	assert_string_equal(r->protocol, "adopt");
	assert_int_equal(r->state.n, 5);
	if (world.submit_error)
		return world.submit_error;
	atomic_fetch_add(r->hold ? &done.held : &done.not_held, 1);
	give_view(&r->log[FLOW_TO_SERVER].before);
	free(r->state.p);
	free(r->ctx);
	return 0;
}

WRAP(void, adopt_release, struct adopter *a, uint32_t group)
{
	done.adopt_releases++;
}

WRAP(uint32_t, join_release, struct join_pool *p, uint32_t group)
{
	return done.held;
}

void *__real_realloc(void *p, size_t n);
WRAP(void *, realloc, void *p, size_t n)
{
	return world.no_memory ? NULL : __real_realloc(p, n);
}

/* ---- the rig ---- */

static void on_state(void *ctx, uint32_t server, enum failover_state state) {}

static void on_connection(void *ctx, uint32_t server, const struct watch_service *svc,
			  const struct endpoint *client, const struct plan *plan)
{
	static const char *const reason[] = {"out-of-memory", "descriptor-limit",  "restore-failed",
					     "join-refused",  "adopt-unavailable", "adopt-ceiling"};

	assert_ptr_equal(svc, &service);
	done.told++;
	done.seen[client->port - 1000]++;
	for (int i = 0; !plan->cont && i < 6; i++)
		done.refused_for[i] += strcmp(plan->reason, reason[i]) == 0;
}

static void on_done(void *ctx, uint32_t server, const struct failover_summary *s)
{
	done.summary = *s;
	done.finished++;
}

static void on_settled(void *ctx, uint32_t server, const char *protocol, enum fate fate, uint32_t n)
{
	atomic_fetch_add(&done.settled[fate], n);
}

static void on_aborted(void *ctx, uint32_t server, const char *reason)
{
	atomic_fetch_add(&done.aborted, 1);
}

static void on_all_settled(void *ctx, uint32_t server, const struct failover_summary *s)
{
	done.summary = *s;
	done.all_settled++;
}

static struct config_backup backup;
static struct config_service http = {.port = 80};
static struct netaddr address;
static struct config_server server_cfg = {.name = (char[]){"web1"},
					  .addresses = &address,
					  .address_count = 1,
					  .interface = (char[]){"eth0"},
					  .backups = &backup,
					  .backup_count = 1,
					  .services = &http,
					  .service_count = 1};
static struct config config = {.probe_timeout_ns = NS_PER_MS};
static struct worker_evidence evidence;
static struct worker *workers[1];
static struct failover_config env = {.config = &config,
				     .workers = workers,
				     .worker_count = 1,
				     .evidence = &evidence,
				     .observer = {.state = on_state,
						  .connection = on_connection,
						  .settled = on_settled,
						  .join_aborted = on_aborted,
						  .done = on_done,
						  .all_settled = on_all_settled}};
static struct failover_server s;

static int set_up(void **state)
{
	struct endpoint e;

	world = (struct world){0};
	memset(&done, 0, sizeof done);
	s = (struct failover_server){.env = &env, .cfg = &server_cfg, .wake = -1};
	endpoint_parse("10.9.0.1:80", false, &e);
	address = e.addr;
	endpoint_parse("10.9.0.2:80", false, &e);
	backup.address = e.addr;
	account_init(&s.account);
	service.adopt = NULL;
	env.adopter = NULL;
	return crew_new(3, &s.crew);
}

static int tear_down(void **state)
{
	failover_run_cancel(&s);
	refused_deinit(&s.refused);
	account_deinit(&s.account);
	crew_free(s.crew);
	return 0;
}

static void begin(void)
{
	struct failover_cause cause = {
		.reason = "test", .alive_ns = clock_mono_ns(), .silent = true};

	failover_run_begin(&s, &cause, clock_mono_ns());
	while (s.run && !done.opened)
		failover_run_step(&s, clock_mono_ns());
	assert_true(done.opened);
}

/* Late enough for everything that is waited for. */
static void step_until_over(void)
{
	int64_t now = clock_mono_ns() + 10 * NS_PER_S;

	while (s.run && !failover_run_step(&s, now))
		assert_true(failover_run_due_ns(&s, now) <= now);
}

/* Whatever happened: each connection once, and the sums agree. */
static void finish(void)
{
	step_until_over();
	assert_int_equal(done.finished, 1);
	const struct failover_summary *sum = &done.summary;
	assert_int_equal(sum->live, world.flows + world.unwatched);
	const uint32_t *n = sum->account.n;
	assert_int_equal(n[FATE_CONTINUING] + n[FATE_REFUSED] + n[FATE_GONE], sum->live);
	assert_int_equal(n[FATE_CONTINUING], done.held + done.not_held);
	assert_int_equal(n[FATE_CONTINUED] + n[FATE_ABORTED], 0); /* nobody has said so */
	assert_int_equal(done.settled[FATE_REFUSED], n[FATE_REFUSED]);
	assert_int_equal(done.settled[FATE_GONE], n[FATE_GONE]);
}

static void each_told_once(uint32_t flows)
{
	assert_int_equal(done.told, flows);
	for (uint32_t i = 1; i <= flows; i++)
		assert_int_equal(done.seen[i], 1);
}

/* ---- tests ---- */

/* More than two batches, among three threads. */
static void test_all_answer(void **state)
{
	world.flows = world.answer_soon = 2 * FAILOVER_BATCH + 300;
	begin();
	assert_int_equal(done.held, world.flows); /* nothing was sent before the guard opened */
	assert_int_equal(done.pending, 0);
	finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], world.flows);
	assert_int_equal(done.restored, world.flows);
	assert_int_equal(done.releases, 0);
	each_told_once(world.flows);
}

/* Those who come late are let in by the batch. */
static void test_late_answers(void **state)
{
	world.flows = 700;
	world.answer_soon = 100;
	begin();
	assert_int_equal(done.pending, 600);
	for (uint32_t i = 101; i <= 700; i++)
		takeover_inbox_put(inbox, item(i % 3 ? TAKEOVER_READY : TAKEOVER_GONE, i, true));
	for (uint32_t i = 0; i < 600; i += FAILOVER_BATCH) /* others have their turn in between */
		assert_false(failover_run_step(&s, clock_mono_ns()));
	assert_true(failover_run_due_ns(&s, 0) > 0); /* waits for a first byte */
	assert_int_equal(done.released, 600);
	assert_int_equal(done.releases, 2); /* of at most FAILOVER_BATCH */
	assert_int_equal(done.held, 100);
	assert_int_equal(done.not_held, 400);
	finish();
	assert_int_equal(done.summary.account.n[FATE_GONE], 200);
	assert_int_equal(done.told, 500);
}

/* One that the guard does not know keeps nobody else out. */
static void test_release_one_by_one(void **state)
{
	world.flows = 20;
	world.release_error = -ENOENT;
	begin();
	for (uint32_t i = 1; i <= 20; i++)
		takeover_inbox_put(inbox, item(TAKEOVER_READY, i, true));
	failover_run_step(&s, clock_mono_ns());
	assert_int_equal(done.released, 20);
	finish();
}

/* More than the guard can hold back: it opens, and nobody is let in who was not kept out. */
static void test_nobody_can_be_held(void **state)
{
	world.flows = 50;
	world.answer_soon = 10;
	world.collected = 35;
	world.pending_error = -E2BIG;
	begin();
	assert_int_equal(done.downs, 0);
	finish();
	assert_int_equal(done.pending, 0);
	assert_int_equal(done.releases, 0);
	assert_int_equal(done.held + done.not_held, 45);
	each_told_once(50);
}

static void test_unanswered(void **state)
{
	world.flows = 50;
	world.collected = 50;
	begin();
	finish();
	assert_int_equal(done.summary.unanswered, 50);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 50);
	assert_int_equal(done.released, 50);
	each_told_once(50);
}

/* No worker had memory for so much as a word: refused by name, reset, and let in. */
static void test_lost(void **state)
{
	world.flows = 40;
	world.answer_soon = 10;
	world.collected = 5;
	begin();
	uint32_t frames = done.frames;
	finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 15);
	assert_int_equal(done.refused_for[0], 25);
	assert_int_equal(done.frames - frames, 25); /* a RST each */
	assert_int_equal(done.released, 30);
	each_told_once(40);
}

static void test_unwatched(void **state)
{
	world.flows = world.answer_soon = 3;
	world.unwatched = 2;
	begin();
	finish();
	assert_int_equal(done.refused_for[0], 2);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 3);
}

/* Nobody could be noted, so nobody was asked; they are not forgotten. */
static void test_no_memory_to_ask(void **state)
{
	world.flows = 30;
	world.collected = 20;
	world.no_memory = true;
	begin();
	world.no_memory = false;
	assert_int_equal(done.frames, 0);
	finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 20);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 10);
}

static void refused_all_for(int which)
{
	world.flows = world.answer_soon = 30;
	begin();
	finish();
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 30);
	assert_int_equal(done.refused_for[which], 30);
	assert_int_equal(done.frames, 30); /* a RST each; who had answered was not asked */
	each_told_once(30);
}

static void test_no_descriptor(void **state)
{
	world.restore_error = -EMFILE;
	refused_all_for(1);
}

static void test_restore_fails(void **state)
{
	world.restore_error = -EADDRINUSE;
	refused_all_for(2);
}

static void test_joins_full(void **state)
{
	world.submit_error = -ENOSPC;
	refused_all_for(3);
	assert_int_equal(done.abandoned, 30);
}

/* ---- handed to a program ---- */

static void with_program(void)
{
	world.handed = true;
	service.adopt = "/run/tally.sock";
	env.adopter = (struct adopter *)&world; /* never looked into */
}

static void test_handed(void **state)
{
	with_program();
	world.flows = 30;
	world.answer_soon = 20;
	world.collected = 10;
	begin();
	finish();
	assert_int_equal(done.held, 20);
	assert_int_equal(done.not_held, 10);
	assert_int_equal(done.adopt_releases, 1);
	each_told_once(30);
}

static void test_handed_with_a_long_log(void **state)
{
	with_program();
	world.long_logs = true;
	world.flows = world.answer_soon = 30;
	begin();
	finish();
	assert_int_equal(done.views_given, 30);
	assert_int_equal(done.views, 0);
}

static void test_handed_to_nobody(void **state)
{
	world.handed = true;
	refused_all_for(4);
	assert_int_equal(done.restored, 0);
}

static void test_program_ceiling(void **state)
{
	with_program();
	world.submit_error = -ENOSPC;
	refused_all_for(5);
	assert_int_equal(done.abandoned, 30);
}

/* ---- conversations of several connections ---- */

static void take_families(uint32_t count, uint32_t answer_soon)
{
	world.families = count;
	world.flows = 2 * count;
	world.answer_soon = answer_soon;
	world.collected = world.flows - answer_soon;
	begin();
	step_until_over();
	assert_int_equal(done.finished, 1);
	assert_int_equal(done.summary.live, world.flows);
	const uint32_t *n = done.summary.account.n;
	assert_int_equal(n[FATE_CONTINUING] + n[FATE_REFUSED] + n[FATE_GONE], world.flows);
	assert_int_equal(s.run ? s.run->families.waiting : 0, 0);
}

static void test_family_goes_together(void **state)
{
	take_families(200, 400);
	assert_int_equal(done.held, 200);
	assert_int_equal(done.related_open, 200);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 400);
}

static void test_family_waits_for_the_late(void **state)
{
	take_families(200, 250); /* all mains in time, 50 of the others */
	assert_int_equal(done.held, 50);
	assert_int_equal(done.not_held, 150);
	assert_int_equal(done.related_open, 200);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 400);
	assert_int_equal(done.released, 150); /* the mains had answered, and were not held back */
}

/* Wherever the beginning of a log is, it goes along, and whoever has it is rid of it once. */
static void test_family_with_long_logs(void **state)
{
	world.long_logs = true;
	take_families(20, 40);
	assert_int_equal(done.held, 20);
	assert_int_equal(done.views_given, 40);
	assert_int_equal(done.views, 0);
}

static void test_family_with_long_logs_is_undone(void **state)
{
	world.long_logs = true;
	world.submit_error = -ENOSPC;
	take_families(20, 40);
	assert_int_equal(done.views_given, 0);
	assert_int_equal(done.views, 0);
}

static void test_other_cannot_be_restored(void **state)
{
	world.related_refused = true;
	take_families(20, 40);
	assert_int_equal(done.held, 20);
	assert_int_equal(done.related, 20);
	assert_int_equal(done.related_open, 0);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
}

static void test_main_is_refused(void **state)
{
	world.main_refused = true;
	take_families(20, 40);
	assert_int_equal(done.restored, 0);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 40);
	assert_int_equal(done.frames, 40); /* resets: all had spoken before they were asked */
}

static void test_main_is_gone(void **state)
{
	world.main_gone = true;
	take_families(20, 40);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
	assert_int_equal(done.summary.account.n[FATE_GONE], 20);
}

/* It ended after it had said what it expects: the others are reset and counted, not forgotten. */
static void test_main_has_ended_before(void **state)
{
	world.main_missing = true;
	take_families(20, 40);
	assert_int_equal(done.held, 20); /* the other mains */
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
	assert_int_equal(done.frames, 20); /* a RST each */
}

static void test_main_has_ended_before_and_others_are_late(void **state)
{
	world.main_missing = true;
	take_families(20, 20);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
	assert_int_equal(done.released, 20);
}

static void test_family_is_undone(void **state)
{
	world.submit_error = -ENOSPC;
	take_families(20, 40);
	assert_int_equal(done.abandoned, 40);
	assert_int_equal(done.refused_for[3], 40);
}

static void test_ended_is_no_connection(void **state)
{
	world.ended = 2;
	take_families(20, 40);
	assert_int_equal(done.related, 22);
	assert_int_equal(done.related_open, 20);
	assert_int_equal(done.summary.account.n[FATE_GONE], 0);
}

/* More than the module is told of: those that were over are nobody's, and get no RST. */
static void test_more_ended_than_are_told(void **state)
{
	world.ended = 7;
	take_families(20, 40);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], done.frames);
	assert_true(done.frames <= 1); /* the live one of the same main connection, at most */
}

/* ---- called off ---- */

static void called_off_for(int error, const char *reason)
{
	struct failover_cause cause = {
		.reason = "test", .alive_ns = clock_mono_ns(), .silent = true};

	world.guard_error = error;
	failover_run_begin(&s, &cause, clock_mono_ns());
	assert_true(failover_run_step(&s, clock_mono_ns()));
	assert_string_equal(done.summary.aborted, reason);
	assert_false(done.opened);
	assert_int_equal(atomic_load(&s.state), FAILOVER_ABORTED);
}

/* By name: whoever reads it knows what to give. */
static void test_called_off(void **state)
{
	called_off_for(-ENOMEM, "out-of-memory");
	called_off_for(-EMFILE, "descriptor-limit");
	called_off_for(-ENODEV, "no-interface");
	called_off_for(-EPERM, "system-error");
}

/* ---- fates ---- */

static void tell(uint32_t flow, enum join_event event, const char *reason)
{
	const struct join_report r = {.id = flow, .event = event, .reason = reason};

	done.joined[flow].report(done.joined[flow].ctx, &r);
}

static void assert_fates(uint32_t continuing, uint32_t continued, uint32_t aborted, uint32_t gone)
{
	struct account_numbers n;

	account_get(&s.account, &n);
	assert_int_equal(n.n[FATE_CONTINUING], continuing);
	assert_int_equal(n.n[FATE_CONTINUED], continued);
	assert_int_equal(n.n[FATE_ABORTED], aborted);
	assert_int_equal(n.n[FATE_GONE], gone);
	assert_int_equal(done.settled[FATE_CONTINUED], continued);
	assert_int_equal(done.settled[FATE_ABORTED], aborted);
	assert_int_equal(done.settled[FATE_GONE], gone);
}

/* A first byte of the old server's is no proof; what is proven stays so, whatever comes later. */
static void test_fates(void **state)
{
	world.talking = true;
	world.flows = world.answer_soon = 6;
	begin();
	for (uint32_t i = 1; i <= 6; i++)
		tell(i, JOIN_FIRST_BYTE, NULL);
	step_until_over();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 6);
	assert_fates(6, 0, 0, 0);
	tell(1, JOIN_PROVEN, NULL);
	tell(2, JOIN_ABORTED, "entity-differs");
	tell(3, JOIN_ABORTED, "client-reset");
	tell(4, JOIN_CLOSED, NULL);
	assert_fates(2, 2, 1, 1);
	tell(1, JOIN_ABORTED, "backend-reset");
	assert_fates(2, 2, 1, 1);
	assert_int_equal(done.aborted, 2); /* that is told, too */
	failover_server_tell_settled(&s);
	assert_int_equal(done.all_settled, 0);
	tell(5, JOIN_ABORTED, "entity-differs");
	tell(6, JOIN_ABORTED, "pool-closed");
	failover_server_tell_settled(&s);
	failover_server_tell_settled(&s);
	assert_int_equal(done.all_settled, 1);
	assert_int_equal(done.summary.account.n[FATE_ABORTED], 3);
	assert_string_equal(done.summary.account.why[0].reason, "entity-differs");
	assert_int_equal(done.summary.account.why[0].n, 2);
}

/* A conversation has one fate, for each of its connections. */
static void test_fate_of_a_family(void **state)
{
	world.talking = true;
	take_families(3, 6);
	assert_fates(6, 0, 0, 0);
	tell(1, JOIN_PROVEN, NULL);
	assert_fates(4, 2, 0, 0);
	tell(2, JOIN_ABORTED, "login-refused");
	tell(1, JOIN_CLOSED, NULL);
	tell(3, JOIN_CLOSED, NULL);
	assert_fates(0, 4, 2, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_all_answer),
		TEST(test_late_answers),
		TEST(test_release_one_by_one),
		TEST(test_nobody_can_be_held),
		TEST(test_unanswered),
		TEST(test_lost),
		TEST(test_unwatched),
		TEST(test_no_memory_to_ask),
		TEST(test_no_descriptor),
		TEST(test_restore_fails),
		TEST(test_joins_full),
		TEST(test_handed),
		TEST(test_handed_with_a_long_log),
		TEST(test_handed_to_nobody),
		TEST(test_program_ceiling),
		TEST(test_family_goes_together),
		TEST(test_family_waits_for_the_late),
		TEST(test_family_with_long_logs),
		TEST(test_family_with_long_logs_is_undone),
		TEST(test_other_cannot_be_restored),
		TEST(test_main_is_refused),
		TEST(test_main_is_gone),
		TEST(test_main_has_ended_before),
		TEST(test_main_has_ended_before_and_others_are_late),
		TEST(test_family_is_undone),
		TEST(test_ended_is_no_connection),
		TEST(test_more_ended_than_are_told),
		TEST(test_called_off),
		TEST(test_fates),
		TEST(test_fate_of_a_family),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
