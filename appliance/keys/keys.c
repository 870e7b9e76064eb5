/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "keys-room.h"
#include "keys-ssh.h"

#define SECURE_HEAP_BYTES   ((size_t)1 << 20)
#define RECORDS_PER_SESSION 4
#define FRAMES_PER_TURN     4096
#define LOOK_NS             NS_PER_S
#define RECHECK_NS          (5 * NS_PER_S)
#define CRL_NS              (60 * NS_PER_S)
/* At the end: all that waits is late. */
#define LONG_AGO_NS (86400 * NS_PER_S)

enum order_kind {
	ORDER_BEGUN,
	ORDER_ENDED,
	ORDER_FORGOTTEN,
	ORDER_TAKEOVER,
	ORDER_REFUSED,
	ORDER_OVER,
	ORDER_LEASE_END,
	ORDER_LEASE_BACK,
};

struct order {
	struct list node;
	enum order_kind kind;
	union {
		struct {
			uint64_t id;
			uint32_t service;
			struct keys_session session; /* BEGUN */
		} session;
		struct keys_takeover takeover;
		struct endpoint ends[2]; /* REFUSED: server, client */
		uint32_t server;         /* OVER */
	};
};

struct of_server {
	struct keys *k;
	uint32_t server;
};

/* ---- sessions -------------------------------------------------------------------------------- */

bool any_vault_is_live(const struct keys *k)
{
	for (uint32_t v = 0; v < k->config.vaults; v++)
		if (keys_vault_state(k->vault[v]) == KEYS_VAULT_LIVE)
			return true;
	return false;
}

/* Of SSH the next session between the same ends has records that look like this one's. */
static bool is_alone(const struct keys *k, const struct keys_live *l)
{
	const struct keys_session *s = &l->session;
	const struct keys_live *first = keys_sessions_between(k->sessions, &s->server, &s->client);

	return s->protocol != KEYS_SSH || (first == l && !keys_sessions_next(l));
}

void live_erase(struct keys *k, const struct keys_live *l)
{
	size_t n = 0;

	if (is_alone(k, l))
		n = keys_index_find(k->index, &l->session, k->records, KEYS_SESSION_RECORDS_MAX);
	for (size_t i = 0; i < n && i < KEYS_SESSION_RECORDS_MAX; i++)
		for (uint32_t v = 0; v < k->config.vaults; v++)
			keys_vault_erase(k->vault[v], &k->records[i]);
}

static const struct keys_account *account_of(const struct keys *k, const struct keys_live *l)
{
	return &k->account[k->config.services[l->service].server];
}

static void forget(struct keys *k, struct keys_live *l)
{
	k->left |= account_of(k, l)->waits;
	live_release(k, l);
	keys_sessions_remove(k->sessions, l);
}

/* While its keys are fetched, what is over stays: it is in the account. */
static bool is_fetched(const struct keys *k, const struct keys_live *l)
{
	const struct keys_account *a = account_of(k, l);

	return a->failover[0] && !a->done && !a->waits;
}

static void over(void *ctx, struct keys_live *l)
{
	if (is_fetched(ctx, l) || l->leases > 0)
		return;
	live_erase(ctx, l);
	forget(ctx, l);
}

static void sweep(void *ctx, struct keys_live *l)
{
	const struct of_server *of = ctx;

	if (l->ended && l->judged && of->k->config.services[l->service].server == of->server)
		over(of->k, l);
}

void keys_sweep(struct keys *k, uint32_t server)
{
	struct of_server of = {k, server};

	keys_sessions_each(k->sessions, sweep, &of);
}

static bool is_live_mode(const struct keys *k, const struct keys_live *l)
{
	return k->config.services[l->service].live;
}

static void has_keys(struct keys *k, struct keys_live *l)
{
	if (is_live_mode(k, l) && !l->ended && list_empty(&l->due))
		list_add_tail(&k->due, &l->due);
	if (keys_sessions_keyed(k->sessions, l, true))
		over(k, l);
}

static bool may_be_of(const struct keys_live *l, const struct session_index *i)
{
	const struct keys_session *s = &l->session;

	if (s->protocol != i->protocol)
		return false;
	if (s->protocol == KEYS_TLS)
		return memcmp(s->client_random, i->id, TLS_RANDOM_BYTES) == 0;
	return !l->ended && i->time_ns >= s->began_ns - KEYS_CLOCK_SKEW_NS;
}

static void on_record(void *ctx, const struct session_index *i)
{
	struct keys *k = ctx;
	struct keys_live *next;

	for (struct keys_live *l = keys_sessions_between(k->sessions, &i->server, &i->client); l;
	     l = next) {
		next = keys_sessions_next(l);
		if (may_be_of(l, i))
			has_keys(k, l);
	}
}

static bool in_index(const struct keys *k, const struct keys_live *l)
{
	return keys_index_find(k->index, &l->session, NULL, 0) > 0;
}

/* What a vault has lost, or let go of, is not there any more. */
static void recheck(void *ctx, struct keys_live *l)
{
	struct keys *k = ctx;

	if (keys_sessions_keyed(k->sessions, l, in_index(k, l)))
		over(k, l);
}

static void ended(struct keys *k, struct keys_live *l)
{
	k->left |= account_of(k, l)->waits;
	if (keys_sessions_ended(k->sessions, l))
		over(k, l);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void do_begun(struct keys *k, const struct order *o)
{
	struct keys_live *l = keys_sessions_begin(k->sessions, o->session.id, o->session.service,
						  &o->session.session, k->now_ns);

	atomic_fetch_sub(&k->orders_n, 1);
	if (l && in_index(k, l))
		has_keys(k, l);
}

static void do_refused(struct keys *k, const struct order *o)
{
	struct keys_live *next;

	for (struct keys_live *l = keys_sessions_between(k->sessions, &o->ends[0], &o->ends[1]); l;
	     l = next) {
		next = keys_sessions_next(l);
		ended(k, l);
	}
}

static void forget_of_server(void *ctx, struct keys_live *l)
{
	const struct of_server *of = ctx;

	if (of->k->config.services[l->service].server != of->server)
		return;
	if (l->leases > 0)
		return; /* it goes on */
	if (l->ended)
		over(of->k, l);
	else
		forget(of->k, l);
}

static void do_order(struct keys *k, const struct order *o)
{
	struct of_server of = {.k = k};
	struct keys_live *l;

	switch (o->kind) {
	case ORDER_BEGUN:
		do_begun(k, o);
		return;
	case ORDER_ENDED:
	case ORDER_FORGOTTEN:
		l = keys_sessions_find(k->sessions, o->session.id);
		if (l && o->kind == ORDER_ENDED)
			ended(k, l);
		else if (l && l->leases == 0)
			forget(k, l);
		return;
	case ORDER_LEASE_END:
		l = keys_sessions_find(k->sessions, o->session.id);
		if (!l)
			return;
		l->leases--;
		ended(k, l);
		return;
	case ORDER_LEASE_BACK:
		l = keys_sessions_find(k->sessions, o->session.id);
		if (l && --l->leases == 0 && l->ended && l->judged)
			over(k, l);
		return;
	case ORDER_TAKEOVER:
		batch_takeover(k, &o->takeover);
		return;
	case ORDER_REFUSED:
		do_refused(k, o);
		return;
	case ORDER_OVER:
		of.server = o->server;
		keys_sessions_each(k->sessions, forget_of_server, &of);
		return;
	}
}

static void take_orders(struct keys *k)
{
	struct list mail;

	list_init(&mail);
	mailbox_take(&k->orders, &mail);
	list_for_each_safe (it, tmp, &mail) {
		struct order *o = list_entry(it, struct order, node);
		do_order(k, o);
		free(o);
	}
}

static struct order *order_new(struct keys *k, enum order_kind kind)
{
	struct order *o = calloc(1, sizeof *o);

	if (o)
		o->kind = kind;
	else
		atomic_fetch_add(&k->orders_refused, 1);
	return o;
}

static void post(struct keys *k, struct order *o)
{
	mailbox_post(&k->orders, &o->node);
}

void keys_session_begun(struct keys *k, uint64_t id, uint32_t service, const struct keys_session *s)
{
	if (atomic_fetch_add(&k->orders_n, 1) >= KEYS_ORDERS_MAX) {
		atomic_fetch_sub(&k->orders_n, 1);
		atomic_fetch_add(&k->orders_refused, 1);
		return;
	}
	struct order *o = order_new(k, ORDER_BEGUN);
	if (!o) {
		atomic_fetch_sub(&k->orders_n, 1);
		return;
	}
	o->session.id = id;
	o->session.service = service;
	o->session.session = *s;
	post(k, o);
}

static void tell_end(struct keys *k, enum order_kind kind, uint64_t id)
{
	struct order *o = order_new(k, kind);

	if (!o)
		return;
	o->session.id = id;
	post(k, o);
}

void keys_session_ended(struct keys *k, uint64_t id)
{
	tell_end(k, ORDER_ENDED, id);
}

void keys_post_lease_end(struct keys *k, uint64_t id)
{
	tell_end(k, ORDER_LEASE_END, id);
}

void keys_post_lease_back(struct keys *k, uint64_t id)
{
	tell_end(k, ORDER_LEASE_BACK, id);
}

void keys_session_forgotten(struct keys *k, uint64_t id)
{
	tell_end(k, ORDER_FORGOTTEN, id);
}

void keys_takeover(struct keys *k, const struct keys_takeover *t)
{
	struct order *o = order_new(k, ORDER_TAKEOVER);
	struct keys_account *a = &k->account[t->server];

	pthread_mutex_lock(&k->lock);
	*a = (struct keys_account){.done = o == NULL};
	memcpy(a->failover, t->failover, sizeof a->failover);
	pthread_mutex_unlock(&k->lock);
	if (!o)
		return;
	o->takeover = *t;
	post(k, o);
}

void keys_refused(struct keys *k, const struct endpoint *server, const struct endpoint *client)
{
	struct order *o = order_new(k, ORDER_REFUSED);

	if (!o)
		return;
	o->ends[0] = *server;
	o->ends[1] = *client;
	post(k, o);
}

void keys_takeover_over(struct keys *k, uint32_t server)
{
	struct order *o = order_new(k, ORDER_OVER);

	if (!o)
		return;
	o->server = server;
	post(k, o);
}

/* ---- vaults ---------------------------------------------------------------------------------- */

/* Its queue goes with it. */
static void drop_link(struct keys *k, uint32_t v, const char *why)
{
	keys_vault_down(k->vault[v]);
	vault_link_drop(&k->link[v], why, k->now_ns);
}

static void take_frames(struct keys *k, uint32_t v)
{
	struct vault_link *l = &k->link[v];
	struct vault_frame f;
	int r = VAULT_WIRE_MORE;

	if (l->state != LINK_UP)
		return;
	for (unsigned n = 0; n < FRAMES_PER_TURN; n++) {
		r = vault_tls_frame(l->tls, &f);
		if (r != VAULT_WIRE_OK)
			break;
		k->more = true;
		if (keys_vault_frame(k->vault[v], &f) < 0) {
			drop_link(k, v, "it does not speak as a vault");
			return;
		}
	}
	if (r == VAULT_WIRE_MALFORMED)
		drop_link(k, v, "it does not speak as a vault");
}

static void step_link(struct keys *k, uint32_t v)
{
	struct vault_link *l = &k->link[v];

	if (l->state == LINK_UP && buf_error(vault_tls_out(l->tls))) {
		drop_link(k, v, "no memory for what it is to get");
		return;
	}
	switch (vault_link_step(l, k->files.context, k->now_ns)) {
	case LINK_CAME_UP:
		keys_vault_up(k->vault[v], vault_tls_out(l->tls));
		k->more = true;
		break;
	case LINK_WENT_DOWN:
		keys_vault_down(k->vault[v]);
		break;
	case LINK_AS_BEFORE:
		break;
	}
}

static void take_results(struct keys *k)
{
	struct list back;

	list_init(&back);
	mailbox_take(&k->results, &back);
	list_for_each_safe (it, tmp, &back) {
		list_del(it);
		keys_gather_back(list_entry(it, struct keys_unseal_task, node));
	}
}

static void post_task(void *ctx, struct keys_unseal_task *t)
{
	struct keys *k = ctx;

	keys_unseal_post(k->unseal, t);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void tell_service(struct keys *k, uint32_t service)
{
	struct keys_cover_now c;

	keys_sessions_cover(k->sessions, service, k->now_ns, &c);
	bool lacks = keys_cover_lacks(&c);
	if (lacks == k->lacks[service])
		return;
	k->lacks[service] = lacks;
	log_event(lacks ? LOG_WARNING : LOG_NOTICE,
		  lacks ? "sessions-without-keys" : "sessions-have-keys",
		  LOG_STR("service", k->config.services[service].name),
		  LOG_INT("sessions", c.sessions), LOG_INT("with_keys", c.with_keys));
}

static void reload_crl(struct keys *k)
{
	char error[512] = "";

	if (!k->config.places.crl || k->now_ns < k->crl_ns)
		return;
	k->crl_ns = k->now_ns + CRL_NS;
	if (trust_reload(k->files.trust, error, sizeof error) < 0)
		log_event(LOG_ERROR, "revocations-not-read", LOG_STR("error", error));
}

static void look(struct keys *k)
{
	if (k->now_ns < k->look_ns)
		return;
	k->look_ns = k->now_ns + LOOK_NS;
	if (k->now_ns >= k->recheck_ns) {
		k->recheck_ns = k->now_ns + RECHECK_NS;
		keys_sessions_each(k->sessions, recheck, k);
	}
	for (uint32_t i = 0; i < k->config.service_count; i++)
		tell_service(k, i);
	reload_crl(k);
}

static void tick_vaults(struct keys *k)
{
	for (uint32_t v = 0; v < k->config.vaults; v++)
		keys_vault_tick(k->vault[v], k->now_ns);
}

static void turn(struct keys *k)
{
	k->now_ns = clock_mono_ns();
	k->more = false;
	bell_silence(k->bell);
	take_orders(k);
	tick_vaults(k);
	take_results(k);
	/* Without a vault nobody knows. */
	if (any_vault_is_live(k))
		keys_sessions_judge(k->sessions, k->now_ns, over, k);
	look(k);
	batch_step_all(k, k->now_ns);
	batch_live(k);
	tick_vaults(k); /* what was found to be over */
	/* What comes with it is looked at here: no descriptor tells of it any more. */
	for (uint32_t v = 0; v < k->config.vaults; v++) {
		step_link(k, v);
		take_frames(k, v);
		if (!k->more && keys_vault_listen(k->vault[v], k->now_ns) < 0)
			drop_link(k, v, "it does not answer");
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int timeout_ms(const struct keys *k)
{
	int64_t now_ns = clock_mono_ns(), next_ns = earlier(k->look_ns, batch_next_ns(k));

	if (k->more)
		return 0;
	if (any_vault_is_live(k))
		next_ns = earlier(next_ns, keys_sessions_next_ns(k->sessions));
	for (uint32_t v = 0; v < k->config.vaults; v++) {
		next_ns = earlier(next_ns, keys_vault_next_ns(k->vault[v]));
		next_ns = earlier(next_ns, vault_link_next_ns(&k->link[v]));
	}
	return next_ns <= now_ns ? 0 : (int)((next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
}

static nfds_t poll_set(const struct keys *k, struct pollfd p[static KEYS_VAULTS_MAX + 1])
{
	nfds_t n = 0;

	p[n++] = (struct pollfd){.fd = k->bell, .events = POLLIN};
	for (uint32_t v = 0; v < k->config.vaults; v++) {
		const struct vault_tls *t = k->link[v].tls;
		if (t)
			p[n++] = (struct pollfd){vault_tls_fd(t), vault_tls_events(t), 0};
	}
	return n;
}

static void *run(void *arg)
{
	struct pollfd p[KEYS_VAULTS_MAX + 1];
	struct keys *k = arg;

	while (!mailbox_closed(&k->orders)) {
		pthread_mutex_lock(&k->lock);
		turn(k);
		nfds_t n = poll_set(k, p);
		int timeout = timeout_ms(k);
		pthread_mutex_unlock(&k->lock);
		poll(p, n, timeout);
	}
	return NULL;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int open_parts(struct keys *k)
{
	const struct keys_config *c = &k->config;
	const uint32_t records = c->sessions_max * RECORDS_PER_SESSION;
	struct siphash_key key;

	if (getrandom(&key, sizeof key, 0) < 0)
		return -errno;
	int r = keys_index_open(records, &key, &k->index);
	if (r == 0)
		r = keys_arena_open(records, &k->arena); /* for all that a takeover can find */
	if (r == 0)
		r = keys_sessions_open(c->sessions_max, c->service_count, &key, &k->sessions);
	if (r == 0 && c->approve)
		r = keys_approval_new(c->approve_ns, &k->approval);
	for (uint32_t v = 0; r == 0 && v < c->vaults; v++)
		r = keys_vault_new(v, k->index, &k->vault[v]);
	const struct keys_unseal_config uc = {k->files.opener, k->arena, &k->results, c->threads};
	return r == 0 ? keys_unseal_open(&uc, &k->unseal) : r;
}

static void connect_parts(struct keys *k)
{
	const struct keys_config *c = &k->config;

	k->gather = (struct keys_gather_config){
		.index = k->index,
		.vaults = c->vaults,
		.opener = k->files.opener,
		.arena = k->arena,
		.approval = k->approval,
		.post = post_task,
		.ctx = k,
	};
	for (uint32_t v = 0; v < c->vaults; v++) {
		k->gather.vault[v] = k->vault[v];
		vault_link_init(&k->link[v], &c->vault[v]);
		vault_link_apart(&k->link[v], k->bell);
	}
	keys_index_tell(k->index, on_record, k);
}

/* All that may be locked. */
static void raise_memlock(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &limit); /* what cannot be locked is told later */
}

/* Before the first key is read. */
static int guard_process(char *error, size_t error_size)
{
	raise_memlock();
	int r = seal_secure_heap(SECURE_HEAP_BYTES);

	if (r < 0)
		snprintf(error, error_size, "no locked memory (RLIMIT_MEMLOCK)");
	else if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		r = -errno;
	return r;
}

int keys_check(const struct keys_places *p, char *error, size_t error_size)
{
	struct keys_files f = {0};

	error[0] = 0;
	int r = guard_process(error, error_size);
	if (r == 0)
		r = keys_files_open(p, &f, error, error_size);
	keys_files_close(&f);
	return r;
}

int keys_check_service(const struct keys_service *s, char *error, size_t error_size)
{
	struct ssh_identity id;

	error[0] = 0;
	int r = guard_process(error, error_size);
	if (r == 0)
		r = keys_ssh_open(s, &id, error, error_size);
	if (r == 0)
		keys_ssh_close(&id);
	return r;
}

static int open_ssh(struct keys *k, char *error, size_t error_size)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < k->config.service_count; i++)
		r = keys_ssh_open(&k->config.services[i], &k->ssh[i], error, error_size);
	return r;
}

static int open_all(struct keys *k, char *error, size_t error_size)
{
	const struct keys_config *c = &k->config;
	int r = guard_process(error, error_size);

	if (r == 0)
		r = keys_files_open(&c->places, &k->files, error, error_size);
	if (r == 0 && k->bell < 0)
		r = k->bell;
	k->account = calloc(c->server_count + 1, sizeof *k->account);
	k->lacks = calloc(c->service_count + 1, sizeof *k->lacks);
	k->records = calloc(KEYS_SESSION_RECORDS_MAX, sizeof *k->records);
	k->ssh = calloc(c->service_count + 1, sizeof *k->ssh);
	if (r == 0 && (!k->account || !k->lacks || !k->records || !k->ssh))
		r = -ENOMEM;
	if (r == 0)
		r = open_ssh(k, error, error_size);
	if (r == 0)
		r = open_parts(k);
	if (r < 0)
		return r;
	connect_parts(k);
	/* They are the caller's, and need not stay. */
	k->config.vault = NULL;
	k->config.places.identity = NULL;
	return thread_start(&k->thread, run, k);
}

int keys_start(const struct keys_config *c, struct keys **ret, char *error, size_t error_size)
{
	struct keys *k = calloc(1, sizeof *k);

	error[0] = 0;
	if (!k)
		return -ENOMEM;
	k->config = *c;
	k->bell = bell_open();
	pthread_mutex_init(&k->lock, NULL);
	mailbox_init_shared(&k->orders, k->bell);
	mailbox_init_shared(&k->results, k->bell);
	list_init(&k->batches);
	list_init(&k->due);
	int r = open_all(k, error, error_size);
	k->started = r == 0;
	if (r < 0) {
		if (!error[0])
			snprintf(error, error_size, "%s", log_strerror(r));
		keys_stop(k);
		return r;
	}
	pthread_setname_np(k->thread, "keys");
	*ret = k;
	return 0;
}

static void forget_all(void *ctx, struct keys_live *l)
{
	forget(ctx, l);
}

static void free_orders(struct keys *k)
{
	struct list mail;

	list_init(&mail);
	mailbox_take(&k->orders, &mail);
	list_for_each_safe (it, tmp, &mail)
		free(list_entry(it, struct order, node));
}

/* Nothing of @k is used by anybody else any more, but by the threads that open. False: one of these
 * does not end. */
static bool end_all(struct keys *k)
{
	free_orders(k);
	batch_step_all(k, clock_mono_ns() + LONG_AGO_NS);
	bool ended = true;
	for (uint32_t v = 0; v < k->config.vaults; v++) {
		keys_vault_free(k->vault[v]);
		ended &= vault_link_deinit(&k->link[v]);
	}
	ended &= keys_unseal_close(k->unseal);
	if (!ended)
		return false;
	take_results(k);
	batch_step_all(k, clock_mono_ns() + LONG_AGO_NS);
	if (k->sessions)
		keys_sessions_each(k->sessions, forget_all, k);
	return true;
}

struct keys *keys_stop(struct keys *k)
{
	if (!k)
		return NULL;
	if (k->started) {
		mailbox_close(&k->orders);
		if (!thread_end(k->thread, "keys", thread_deadline(false)))
			return NULL;
	}
	if (!end_all(k))
		return NULL;
	keys_sessions_close(k->sessions);
	keys_approval_free(k->approval);
	keys_index_close(k->index);
	keys_arena_close(k->arena);
	keys_files_close(&k->files);
	mailbox_deinit(&k->orders);
	mailbox_deinit(&k->results);
	if (k->bell >= 0)
		close(k->bell);
	pthread_mutex_destroy(&k->lock);
	free(k->account);
	free(k->lacks);
	for (uint32_t i = 0; k->ssh && i < k->config.service_count; i++)
		keys_ssh_close(&k->ssh[i]);
	free(k->ssh);
	free(k->records);
	free(k);
	return NULL;
}
