/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover-rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"

struct world world;
struct done done;

static struct mailbox *inbox;
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

/* How the module knows it. */
#define HUGE_BYTES 1000000u

static int unseal(void *state, const struct jeebs_cut *cut)
{
	assert_non_null(cut->crypto);
	while (cut->to_client_end == HUGE_BYTES && !atomic_load(&world.huge_ends))
		sched_yield();
	atomic_fetch_add(&done.unsealed, 1);
	return JEEBS_OK;
}

static void plan_sealed(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	ret->verdict = cut->keys ? JEEBS_CONTINUE : JEEBS_IF_KEYS;
	ret->reason = "sealed";
}

static const struct jeebs_module sealed = {.abi = JEEBS_MODULE_ABI,
					   .size = sizeof sealed,
					   .name = "sealed",
					   .close = close_state,
					   .plan = plan_sealed,
					   .unseal = unseal};

static struct bytes view_at(const void *view, uint64_t off)
{
	return BYTES_NONE;
}

static void view_free(void *view)
{
	atomic_fetch_sub(&done.views, 1);
}

static void give_view(const struct spilled *o)
{
	if (!o->view)
		return;
	atomic_fetch_add(&done.views_given, 1);
	o->free(o->view);
}

static struct spilled long_log(void)
{
	atomic_fetch_add(&done.views, 1);
	return (struct spilled){&world, 0, view_at, view_free};
}

static struct taken ready(const struct snapshot *snapshot, bool related, bool answered)
{
	struct taken t = {
		.snapshot = *snapshot,
		.answered = answered,
		.plan = {.cont = true, .module = "http", .reason = "idle"},
	};

	if (world.handed) {
		t.plan.style = JEEBS_STYLE_INTEGRATED;
		t.remains.module = &adopt;
	}
	if (world.long_logs)
		t.remains.log[FLOW_TO_SERVER].spilled = long_log();
	if (related && world.related_refused)
		t.plan.cont = false;
	if (!related && world.main_refused)
		t.plan = (struct plan){.module = "ftp", .reason = "login"};
	return t;
}

struct takeover_item *rig_item(enum takeover_kind kind, uint32_t flow, bool answered)
{
	struct takeover_item *it = calloc(1, sizeof *it);
	struct snapshot snapshot = {0};

	assert_non_null(it);
	list_init(&it->node);
	list_init(&it->others);
	it->flow = flow;
	it->service = &service;
	endpoint_parse("10.9.0.1:80", false, &it->server);
	endpoint_parse("10.9.0.10:1", false, &it->client);
	it->client.port = (uint16_t)(1000 + flow);
	it->main.known = flow > world.families && flow <= 2 * world.families;
	it->main.flow = flow - world.families + (world.main_missing ? FLOWS_MAX : 0);
	it->kind =
		!it->main.known && world.main_gone && kind == TAKEOVER_READY ? TAKEOVER_GONE : kind;
	snapshot.server = it->server;
	snapshot.client = it->client;
	if (it->kind == TAKEOVER_PROBE)
		it->probe.snapshot = snapshot;
	else if (it->kind == TAKEOVER_READY)
		it->taken = ready(&snapshot, it->main.known, answered);
	if (it->kind == TAKEOVER_READY && flow <= world.sealed) {
		it->taken.plan = (struct plan){
			.if_keys = true, .by_module = true, .module = "sealed", .reason = "sealed"};
		it->taken.remains.module = &sealed;
		if (flow == world.huge)
			it->taken.remains.cut.to_client_end = HUGE_BYTES;
	}
	if (it->kind == TAKEOVER_ENDED && world.long_logs)
		it->ended.remains.log[FLOW_TO_SERVER].spilled = long_log();
	return it;
}

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

/* A call that has begun works on its own argument. */
WRAP(int, worker_ask, struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg,
     size_t size)
{
	static _Alignas(max_align_t) uint8_t in_the_middle_of[128];

	assert_in_range(size, 1, sizeof in_the_middle_of);
	if (world.worker_error == 0)
		fn(w, arg);
	else if (world.worker_error == -EINPROGRESS)
		memcpy(in_the_middle_of, arg, size);
	int r = world.worker_error;
	if (r == -EINPROGRESS)
		world.worker_error = -ETIMEDOUT;
	return r;
}

WRAP(const struct worker_counters *, worker_counters, const struct worker *w)
{
	static const struct worker_counters c;
	return &c;
}

static struct evidence evidence;

WRAP(int64_t, worker_heard_ns, const struct worker *w)
{
	if (world.behind == 0)
		return INT64_MAX;
	if (--world.behind == 0)
		atomic_store(&evidence.server_ns, INT64_MAX);
	return 0;
}

WRAP(uint32_t, worker_takeover_expected, struct worker *w, uint32_t server,
     struct related_list *io_list, int *ret_error, uint32_t from)
{
	*ret_error = 0;
	return 0;
}

/* Reports in two parts. */
WRAP(uint32_t, worker_takeover_begin, struct worker *w, uint32_t server,
     const struct related_list *expected, struct mailbox *in, uint32_t from)
{
	inbox = in;
	if (from == 0)
		return 1;
	for (uint32_t i = 0; i < world.ended; i++) {
		struct takeover_item *it = rig_item(TAKEOVER_ENDED, 3000 + i, false);
		it->main = (struct related_main){
			.known = true, .flow = 1, .tag = world.ended_alike ? 0 : 3000 + i};
		mailbox_post(in, &it->node);
	}
	for (uint32_t i = 1; i <= world.flows; i++) {
		mailbox_post(in, &rig_item(TAKEOVER_PROBE, i, false)->node);
		if (i <= world.answer_soon)
			mailbox_post(in, &rig_item(TAKEOVER_READY, i, true)->node);
	}
	for (uint32_t i = 0; i < world.unwatched; i++) {
		struct takeover_item *it = rig_item(TAKEOVER_READY, world.flows + i + 1, false);
		it->taken.unprobed = true;
		it->taken.plan = (struct plan){.module = "-", .reason = "out-of-memory"};
		mailbox_post(in, &it->node);
	}
	return 0;
}

WRAP(uint32_t, worker_takeover_collect, struct worker *w, uint32_t server, uint32_t from)
{
	for (uint32_t i = 0; i < world.collected; i++)
		rig_put(rig_item(TAKEOVER_READY, world.answer_soon + i + 1, false));
	return 0;
}

WRAP(void, worker_takeover_end, struct worker *w, uint32_t server)
{
	done.ends++;
}

WRAP(int, link_open, const char *interface, struct link **ret)
{
	*ret = (struct link *)&world; /* never dereferenced */
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
	done.addresses++;
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
	*ret_fd = 100000; /* never used */
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
	give_view(&r->log[FLOW_TO_SERVER].spilled);
	for (uint32_t i = 0; i < r->related_n; i++) {
		give_view(&r->related[i].log[FLOW_TO_SERVER].spilled);
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
	give_view(&r->log[FLOW_TO_SERVER].spilled);
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
	done.keys_missing += !plan->cont && strcmp(plan->reason, "keys-missing") == 0;
	for (int i = 0; !plan->cont && i < 6; i++)
		done.refused_for[i] += strcmp(plan->reason, reason[i]) == 0;
}

static void on_fenced(void *ctx, uint32_t server, bool ok) {}

static bool on_answered(void *ctx, uint32_t server)
{
	return world.answers;
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
static struct config config;
static struct worker *workers[1];
static struct failover_config env = {.config = &config,
				     .workers = workers,
				     .worker_count = 1,
				     .evidence = &evidence,
				     .observer = {.state = on_state,
						  .connection = on_connection,
						  .settled = on_settled,
						  .fenced = on_fenced,
						  .answered = on_answered,
						  .join_aborted = on_aborted,
						  .done = on_done,
						  .all_settled = on_all_settled}};
struct failover_server rig_server;

int rig_set_up(void **state)
{
	struct endpoint e;

	world = (struct world){.probe_timeout_ns = NS_PER_MS};
	evidence = (struct evidence){0};
	memset(&done, 0, sizeof done);
	rig_server = (struct failover_server){.env = &env, .cfg = &server_cfg, .bell = -1};
	endpoint_parse("10.9.0.1:80", false, &e);
	address = e.addr;
	server_cfg.fence_policy = CONFIG_FENCE_NONE;
	server_cfg.fence_command = NULL;
	endpoint_parse("10.9.0.2:80", false, &e);
	backup.address = e.addr;
	account_init(&rig_server.account);
	service.adopt = NULL;
	env.adopter = NULL;
	env.keys = (struct failover_keys){0};
	int r = thread_pool_new(3, &rig_server.pool);
	return r ? r : unseal_new(3, failover_connection_unseal, &rig_server.unseal);
}

int rig_tear_down(void **state)
{
	world.worker_error = 0;
	failover_run_cancel(&rig_server);
	assert_true(unseal_free(rig_server.unseal));
	rig_server.unseal = NULL;
	assert_true(failover_run_free_left(&rig_server));
	refused_deinit(&rig_server.refused);
	account_deinit(&rig_server.account);
	thread_pool_free(rig_server.pool);
	return 0;
}

void rig_put(struct takeover_item *it)
{
	mailbox_post(inbox, &it->node);
}

void rig_with_program(void)
{
	world.handed = true;
	service.adopt = "/run/tally.sock";
	env.adopter = (struct adopter *)&world; /* never dereferenced */
}

void rig_with_keys(const struct failover_keys *keys)
{
	env.keys = *keys;
}

void rig_with_fence(const char *program)
{
	static char *command[2];

	command[0] = (char *)program;
	server_cfg.fence_command = command;
	server_cfg.fence_policy = CONFIG_FENCE_REQUIRED;
	server_cfg.fence_timeout_ns = 10 * NS_PER_S;
}

struct failover_cause rig_cause(void)
{
	return (struct failover_cause){
		.reason = "test", .alive_ns = clock_mono_ns(), .silent = true};
}

void rig_begin(void)
{
	const struct failover_cause cause = rig_cause();

	config.probe_timeout_ns = world.probe_timeout_ns;
	failover_run_begin(&rig_server, &cause, clock_mono_ns());
	while (rig_server.run && !done.opened)
		failover_run_step(&rig_server, clock_mono_ns());
	assert_true(done.opened);
}

void rig_step_until_told(uint32_t connections)
{
	int64_t late_ns = clock_mono_ns() + 10 * NS_PER_S;

	while (done.told < connections) {
		assert_true(clock_mono_ns() < late_ns);
		failover_run_step(&rig_server, clock_mono_ns());
	}
	assert_int_equal(done.told, connections);
}

void rig_step_until_over(void)
{
	int64_t now = clock_mono_ns() + 10 * NS_PER_S;

	while (rig_server.run && !failover_run_step(&rig_server, now))
		assert_true(failover_run_due_ns(&rig_server, now) <= now ||
			    rig_server.run->unsealing_n > 0);
}

void rig_finish(void)
{
	rig_step_until_over();
	assert_int_equal(done.finished, 1);
	const struct failover_summary *sum = &done.summary;
	assert_int_equal(sum->live, world.flows + world.unwatched);
	const uint32_t *n = sum->account.n;
	assert_int_equal(n[FATE_CONTINUING] + n[FATE_REFUSED] + n[FATE_GONE], sum->live);
	assert_int_equal(n[FATE_CONTINUING], done.held + done.not_held);
	assert_int_equal(n[FATE_CONTINUED] + n[FATE_ABORTED], 0); /* no report has come */
	assert_int_equal(done.settled[FATE_REFUSED], n[FATE_REFUSED]);
	assert_int_equal(done.settled[FATE_GONE], n[FATE_GONE]);
}

void rig_each_told_once(uint32_t flows)
{
	assert_int_equal(done.told, flows);
	for (uint32_t i = 1; i <= flows; i++)
		assert_int_equal(done.seen[i], 1);
}

void rig_take_families(uint32_t count, uint32_t answer_soon)
{
	world.families = count;
	world.flows = 2 * count;
	world.answer_soon = answer_soon;
	world.collected = world.flows - answer_soon;
	rig_begin();
	rig_step_until_over();
	assert_int_equal(done.finished, 1);
	assert_int_equal(done.summary.live, world.flows);
	const uint32_t *n = done.summary.account.n;
	assert_int_equal(n[FATE_CONTINUING] + n[FATE_REFUSED] + n[FATE_GONE], world.flows);
	assert_int_equal(rig_server.run ? rig_server.run->families.waiting : 0, 0);
}
