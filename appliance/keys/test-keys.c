/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole room, with a vault that is jeebs-keyvault itself, on the loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "jeebs/recovery-module.h"
#include "keys.h"
#include "keyvault/seal/test/seal-rig.h"
#include "keyvault/vault/vault-link.h"

#define SERVER "10.9.0.1:443"
#ifndef SESSIONS
#define SESSIONS 20 /* docs/performance.md has the figure of 5,000 */
#endif
#define PATIENCE_NS (20 * NS_PER_S)

extern char **environ;

/* What all tests share: a vault, and an origin that has sealed into it. */
static struct world {
	char dir[64], at[ENDPOINT_STRLEN];
	struct endpoint vault;
	pid_t serves;
	struct keys_files origin; /* but for the opener */
	struct sealer *sealer;
	struct vault_link link;
	uint32_t request;
	unsigned sealed; /* so far */
} w;

struct box {
	struct keys *keys;
	struct keys_service service[2];
	struct keys_identity identity;
	char path[3][128];
	unsigned first; /* its sessions */
	struct session_index known[SESSIONS];
};

static pid_t run(const char *const *argument)
{
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, KEYVAULT, NULL, NULL, (char *const *)argument, environ),
			 0);
	return pid;
}

static void run_to_its_end(const char *const *argument)
{
	int status;

	assert_int_equal(waitpid(run(argument), &status, 0) > 0 ? status : -1, 0);
}

static void serve(void)
{
	const char *const arguments[] = {KEYVAULT, "serve", "--dir", w.dir, "--listen", w.at, NULL};

	w.serves = run(arguments);
}

static void end_vault(void)
{
	kill(w.serves, SIGKILL);
	waitpid(w.serves, NULL, 0);
}

/* A port that nobody has. */
static void choose_port(void)
{
	struct sockaddr_storage a;
	socklen_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(endpoint_parse("127.0.0.1", true, &w.vault), 0);
	n = endpoint_to_sockaddr(&w.vault, &a);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	n = sizeof a;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&a, &w.vault), 0);
	close(fd);
	endpoint_format(&w.vault, w.at);
}

/* ---- the origin ------------------------------------------------------------------------------ */

static void open_origin(void)
{
	char path[3][128], error[256];
	struct identity **who = &w.origin.identity[0];
	STACK_OF(X509) * recovery;

	snprintf(path[0], sizeof path[0], "%s/origins/web1/origin.crt", w.dir);
	snprintf(path[1], sizeof path[1], "%s/origins/web1/origin.key", w.dir);
	snprintf(path[2], sizeof path[2], "%s/ca.crt", w.dir);
	assert_int_equal(trust_open(path[2], NULL, &w.origin.trust, error, sizeof error), 0);
	assert_int_equal(identity_open(path[0], path[1], IDENTITY_ORIGIN, who, error, sizeof error),
			 0);
	w.origin.identities = 1;
	assert_int_equal(vault_tls_context(*who, w.origin.trust, &w.origin.context), 0);
	snprintf(path[0], sizeof path[0], "%s/origins/web1/recovery.crt", w.dir);
	assert_int_equal(identity_certificates(path[0], 8, &recovery, error, sizeof error), 0);
	assert_int_equal(sealer_new(*who, recovery, &w.sealer), 0);
	sk_X509_pop_free(recovery, X509_free);
	vault_link_init(&w.link, &w.vault);
}

/* Until the vault has answered the last request. */
static void settle(void)
{
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;
	struct vault_frame f;

	for (;;) {
		vault_link_step(&w.link, w.origin.context, clock_mono_ns());
		while (w.link.state == LINK_UP &&
		       vault_tls_frame(w.link.tls, &f) == VAULT_WIRE_OK) {
			assert_int_equal(f.type, VAULT_STORED);
			if (f.request == w.request)
				return;
		}
		assert_true(clock_mono_ns() < until_ns);
		struct pollfd p = {w.link.tls ? vault_tls_fd(w.link.tls) : -1, POLLIN, 0};
		if (w.link.tls)
			p.events = vault_tls_events(w.link.tls);
		poll(&p, 1, 5);
	}
}

static void connect_origin(void)
{
	struct sealed epoch;
	uint8_t id[EPOCH_ID_BYTES];
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;

	while (w.link.state != LINK_UP) {
		vault_link_step(&w.link, w.origin.context, clock_mono_ns());
		assert_true(clock_mono_ns() < until_ns);
		poll(NULL, 0, 1);
	}
	assert_int_equal(sealer_epoch(w.sealer, clock_real_ns(), id, &epoch), 0);
	vault_wire_put_epoch(vault_tls_out(w.link.tls), VAULT_EPOCH, ++w.request, id,
			     bytes_of(epoch.p, epoch.n));
	sealed_free(&epoch);
	settle();
}

/* The next @n sessions have keys in the vault. */
static void seal(struct session_index *ret, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (i % 250 == 249)
			settle(); /* the queue has a ceiling */
		uint8_t room[SESSION_KEYS_MAX_BYTES];
		struct bytes keys = bytes_of(room, seal_rig_keys(SERVER, w.sealed++, room));
		struct sealed blob;
		assert_int_equal(sealer_batch(w.sealer, clock_real_ns(), &keys, 1, &blob, &ret[i]),
				 0);
		const struct vault_item item = {ret[i], bytes_of(blob.p, blob.n)};
		vault_wire_put_append(vault_tls_out(w.link.tls), ++w.request, &item, 1);
		sealed_free(&blob);
	}
	settle();
}

/* ---- the box --------------------------------------------------------------------------------- */

static void start(struct box *b, bool live, bool approve)
{
	static const char *const name[] = {"ca.crt", "recovery.crt", "recovery.key"};
	char error[256];

	for (unsigned i = 0; i < 3; i++)
		snprintf(b->path[i], sizeof b->path[i], "%s/%s", w.dir, name[i]);
	b->identity = (struct keys_identity){b->path[1], b->path[2]};
	b->service[0] = (struct keys_service){"web1:443", 0, live};
	b->service[1] = (struct keys_service){"web2:443", 1, false};
	const struct keys_config c = {
		.places = {.ca = b->path[0], .identity = &b->identity, .identities = 1},
		.vault = &w.vault,
		.vaults = 1,
		.services = b->service,
		.service_count = 2,
		.server_count = 3,
		.sessions_max = 1000 + 2 * SESSIONS,
		.budget_ns = PATIENCE_NS,
		.approve = approve,
		.approve_ns = PATIENCE_NS,
		.threads = 2,
	};
	assert_int_equal(keys_start(&c, &b->keys, error, sizeof error), 0);
}

static struct keys_stats stats(struct box *b)
{
	struct keys_stats s;

	keys_stats(b->keys, &s);
	return s;
}

#define wait_for(condition)                                        \
	do {                                                       \
		int64_t until_ns_ = clock_mono_ns() + PATIENCE_NS; \
		while (!(condition)) {                             \
			assert_true(clock_mono_ns() < until_ns_);  \
			poll(NULL, 0, 1);                          \
		}                                                  \
	} while (0)

static struct keys_session session_of(const struct session_index *i)
{
	struct keys_session s = {.protocol = i->protocol, .server = i->server, .client = i->client};

	memcpy(s.client_random, i->id, TLS_RANDOM_BYTES);
	return s;
}

static void begun(struct box *b, unsigned i)
{
	struct keys_session s = session_of(&b->known[i]);

	keys_session_begun(b->keys, i + 1, 0, &s);
}

static struct keys_cover_now cover(struct box *b)
{
	struct keys_cover_now c;

	keys_cover(b->keys, 0, &c);
	return c;
}

/* All sessions go on, and have keys. */
static void go_on(struct box *b)
{
	seal(b->known, SESSIONS);
	for (unsigned i = 0; i < SESSIONS; i++)
		begun(b, i);
	wait_for(cover(b).with_keys == SESSIONS);
}

static void die_as(struct box *b, const char *failover)
{
	struct keys_takeover t = {.server = 0, .name = "web1", .cause = "host-down"};

	snprintf(t.failover, sizeof t.failover, "%s", failover);
	keys_takeover(b->keys, &t);
}

static void die(struct box *b)
{
	die_as(b, "web1-1");
}

static struct keys_account account(struct box *b)
{
	struct keys_account a;

	keys_account_of(b->keys, 0, &a);
	return a;
}

/* Its keys are there, and are those that were sealed. */
static void expect_keys(struct box *b, unsigned i)
{
	const struct session_index *x = &b->known[i];
	struct keys_loan loan;

	assert_int_equal(keys_borrow(b->keys, &x->server, &x->client, &loan), 0);
	assert_int_equal(loan.n, 1);
	const struct opened *o = &loan.got[0].opened;
	assert_true(session_index_eq(&o->index, x));
	struct bytes secret = o->keys.tls.secret[TLS_SERVER_APPLICATION];
	assert_int_equal(secret.n, 48);
	assert_memory_equal(secret.p, x->id, TLS_RANDOM_BYTES); /* so the rig has it */
	keys_give_back(b->keys, &loan);
}

static bool audit_has(const char *what)
{
	char command[256];

	snprintf(command, sizeof command, "grep -q '%s' %s/audit.log", what, w.dir);
	return system(command) == 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_takeover_opens_all(void **state)
{
	struct box *b = *state;
	char why[KEYS_WHY_SIZE];

	start(b, false, false);
	wait_for(keys_ready(b->keys, 0, why));
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
	go_on(b);
	uint32_t records = stats(b).records;
	assert_int_equal(cover(b).sessions, SESSIONS);
	assert_int_equal(stats(b).held, 0); /* nothing is opened before */
	assert_int_equal(keys_borrow(b->keys, &b->known[0].server, &b->known[0].client,
				     &(struct keys_loan){0}),
			 KEYS_MISSING);
	die(b);
	wait_for(account(b).done);
	assert_int_equal(account(b).sessions, SESSIONS);
	assert_int_equal(account(b).opened, SESSIONS);
	assert_int_equal(stats(b).held, SESSIONS);
	for (unsigned i = 0; i < SESSIONS; i++)
		expect_keys(b, i);
	assert_true(audit_has("web1-1"));
	/* What is over is gone, here and there. */
	keys_session_ended(b->keys, 1);
	keys_refused(b->keys, &b->known[1].server, &b->known[1].client);
	wait_for(stats(b).records == records - 2);
	assert_int_equal(stats(b).erased, 2);
	assert_int_equal(stats(b).held, SESSIONS - 2);
	keys_takeover_over(b->keys, 0);
	wait_for(stats(b).held == 0);
	assert_int_equal(stats(b).sessions, 0);
	assert_int_equal(stats(b).records, records - 2); /* the vault keeps them */
}

static void keys_in_use_outlive_their_session(void **state)
{
	struct box *b = *state;
	struct keys_loan loan;

	start(b, false, false);
	go_on(b);
	die(b);
	wait_for(account(b).done);
	assert_int_equal(keys_borrow(b->keys, &b->known[3].server, &b->known[3].client, &loan), 0);
	keys_takeover_over(b->keys, 0);
	wait_for(stats(b).sessions == 0);
	assert_memory_equal(loan.got[0].opened.keys.tls.secret[TLS_SERVER_APPLICATION].p,
			    b->known[3].id, TLS_RANDOM_BYTES);
	keys_give_back(b->keys, &loan);
	assert_int_equal(keys_borrow(b->keys, &b->known[3].server, &b->known[3].client, &loan),
			 KEYS_MISSING);
}

static void tell_decided(void *ctx, uint32_t server)
{
	assert_int_equal(server, 0);
	atomic_fetch_add((_Atomic unsigned *)ctx, 1);
}

/* What a module does with them; the room's memory has all that is derived. */
static void use_by_handle(const struct keys_lease *lease, const struct session_index *x,
			  uint64_t nonce)
{
	const struct jeebs_crypto_ops *crypto = keys_crypto();
	struct jeebs_key_spec spec = {
		.kind = JEEBS_KEY_TLS13_APPLICATION, .dir = JEEBS_TO_CLIENT, .suite = 0x1302};
	uint8_t text[5] = "jeebs", sealed[5 + 16], open[5];
	uint32_t key, next;

	memcpy(spec.client_random, x->id, TLS_RANDOM_BYTES);
	struct jeebs_keys *keys = keys_of_lease(lease);
	assert_int_equal(crypto->derive(keys, &spec, &key), JEEBS_CRYPTO_OK);
	assert_int_equal(crypto->next(keys, key, &next), JEEBS_CRYPTO_OK);
	assert_int_equal(crypto->seal(keys, key, nonce, (struct jeebs_bytes){0},
				      (struct jeebs_bytes){text, sizeof text}, sealed),
			 JEEBS_CRYPTO_OK);
	assert_int_equal(crypto->open(keys, key, nonce, (struct jeebs_bytes){0},
				      (struct jeebs_bytes){sealed, sizeof sealed}, open),
			 JEEBS_CRYPTO_OK);
	assert_memory_equal(open, text, sizeof text);
	/* Of another session there is nothing. */
	spec.client_random[0] ^= 1;
	assert_int_equal(crypto->derive(keys, &spec, &key), JEEBS_CRYPTO_NO_KEY);
}

static void keys_are_lent_by_handle(void **state)
{
	struct box *b = *state;
	const struct session_index *x = &b->known[0];
	struct keys_lease *lease[2];
	_Atomic unsigned told = 0;

	start(b, false, false);
	go_on(b);
	uint32_t records = stats(b).records;
	keys_listen(b->keys, tell_decided, &told);
	assert_true(keys_known(b->keys, &x->server, &x->client));
	die(b);
	wait_for(keys_decided(b->keys, &x->server, &x->client));
	wait_for(told > 0 && account(b).done);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			keys_lend(b->keys, &b->known[i].server, &b->known[i].client, &lease[i]), 0);
	use_by_handle(lease[0], &b->known[0], 7);
	use_by_handle(lease[1], &b->known[1], 7);
	assert_int_equal(stats(b).held, SESSIONS + 2);
	/* The takeover is over, and they go on. */
	keys_takeover_over(b->keys, 0);
	wait_for(stats(b).sessions == 2);
	use_by_handle(lease[0], &b->known[0], 8);
	assert_int_equal(stats(b).records, records);
	keys_lease_end(lease[0]);
	wait_for(stats(b).records == records - 1); /* the vault has erased it */
	assert_int_equal(stats(b).held, 2);
	/* One that is given back erases nothing; who must not wait gets the next one. */
	keys_lease_back(lease[1]);
	int r;
	wait_for((r = keys_try_lend(b->keys, &b->known[1].server, &b->known[1].client,
				    &lease[1])) != -EAGAIN);
	assert_int_equal(r, 0);
	use_by_handle(lease[1], &b->known[1], 9);
	assert_int_equal(stats(b).records, records - 1);
	keys_session_ended(b->keys, 2); /* not before its lease ends */
	keys_lease_end(lease[1]);
	wait_for(stats(b).records == records - 2);
	assert_int_equal(stats(b).held, 0);
	assert_int_equal(stats(b).sessions, 0);
	assert_int_equal(keys_lend(b->keys, &x->server, &x->client, lease), KEYS_MISSING);
}

static void live_sessions_are_opened_as_they_come(void **state)
{
	struct box *b = *state;

	start(b, true, false);
	/* Some are seen before the vault tells of them, some after. */
	seal(b->known, SESSIONS / 2);
	for (unsigned i = 0; i < SESSIONS / 2; i++)
		begun(b, i);
	wait_for(stats(b).opened == SESSIONS / 2);
	seal(b->known + SESSIONS / 2, SESSIONS / 2);
	for (unsigned i = SESSIONS / 2; i < SESSIONS; i++)
		begun(b, i);
	wait_for(stats(b).opened == SESSIONS);
	for (unsigned i = 0; i < SESSIONS; i++)
		expect_keys(b, i);
	keys_session_ended(b->keys, 1);
	wait_for(stats(b).held == SESSIONS - 1);
	/* At a takeover nothing has to be fetched. */
	die_as(b, "web1-live");
	wait_for(account(b).done);
	assert_int_equal(account(b).opened, SESSIONS - 1);
	assert_int_equal(account(b).sessions, SESSIONS - 1);
	assert_false(audit_has("web1-live"));
}

static void without_a_vault_nothing_is_ready(void **state)
{
	struct box *b = *state;
	char why[KEYS_WHY_SIZE];

	start(b, false, false);
	go_on(b);
	assert_true(keys_ready(b->keys, 0, why));
	end_vault();
	wait_for(!keys_ready(b->keys, 0, why));
	assert_non_null(strstr(why, "unreachable"));
	assert_non_null(strstr(why, w.at));
	assert_true(keys_ready(b->keys, 2, why)); /* no keys are kept of its services */
	die(b);
	wait_for(account(b).done);
	assert_int_equal(account(b).opened, 0);
	assert_int_equal(account(b).refused[KEYS_UNREACHABLE], SESSIONS);
	assert_int_equal(keys_borrow(b->keys, &b->known[0].server, &b->known[0].client,
				     &(struct keys_loan){0}),
			 KEYS_UNREACHABLE);
	serve();
	vault_link_deinit(&w.link);
	connect_origin();
	wait_for(keys_ready(b->keys, 0, why));
	die(b);
	wait_for(account(b).opened == SESSIONS);
}

static void nothing_is_opened_before_it_is_approved(void **state)
{
	struct box *b = *state;
	struct keys_case c[KEYS_CASES_MAX];

	start(b, false, true);
	go_on(b);
	die(b);
	wait_for(keys_cases(b->keys, c) == 1);
	assert_string_equal(c[0].failover, "web1-1");
	assert_string_equal(c[0].name, "web1");
	assert_int_equal(c[0].sessions, SESSIONS);
	assert_true(account(b).waits);
	assert_int_equal(keys_borrow(b->keys, &b->known[0].server, &b->known[0].client,
				     &(struct keys_loan){0}),
			 -EINPROGRESS);
	assert_int_equal(stats(b).held, 0);
	assert_int_equal(keys_approve(b->keys, "web1-2", false, 7), KEYS_NO_SUCH_CASE);
	assert_int_equal(keys_approve(b->keys, "web1-1", false, 7), KEYS_DECIDED);
	wait_for(account(b).opened == SESSIONS);
	assert_true(audit_has("web1-1, approved by uid 7"));
	assert_int_equal(stats(b).approved, 1);
}

static void what_is_refused_is_not_fetched(void **state)
{
	struct box *b = *state;
	struct keys_case c[KEYS_CASES_MAX];

	start(b, false, true);
	go_on(b);
	die(b);
	wait_for(keys_cases(b->keys, c) == 1);
	assert_int_equal(keys_refuse(b->keys, "web1-1", 7), KEYS_DECIDED);
	wait_for(account(b).done);
	assert_int_equal(account(b).refused[KEYS_NOT_APPROVED], SESSIONS);
	assert_int_equal(stats(b).refused_by_operator, 1);
	assert_int_equal(keys_approve(b->keys, "web1-1", false, 7), KEYS_NO_SUCH_CASE);
}

/* He approves late: what went on without its keys, or is over, needs none any more. */
static void what_is_over_is_not_fetched_after_approval(void **state)
{
	struct box *b = *state;
	struct keys_case c[KEYS_CASES_MAX];

	start(b, false, true);
	go_on(b);
	uint32_t records = stats(b).records;
	die_as(b, "web1-late");
	wait_for(keys_cases(b->keys, c) == 1);
	for (unsigned i = 0; i < 5; i++)
		keys_refused(b->keys, &b->known[i].server, &b->known[i].client);
	keys_session_ended(b->keys, 5 + 1);
	keys_session_forgotten(b->keys, 6 + 1);
	wait_for(keys_cases(b->keys, c) == 1 && c[0].sessions == SESSIONS - 7);
	wait_for(stats(b).records == records - 6); /* erased at once; forgotten is not over */
	assert_int_equal(keys_approve(b->keys, "web1-late", false, 7), KEYS_DECIDED);
	wait_for(account(b).done);
	assert_int_equal(account(b).sessions, SESSIONS);
	assert_int_equal(account(b).opened, SESSIONS - 7);
	assert_int_equal(account(b).refused[KEYS_NOT_APPROVED], 7);
	assert_int_equal(stats(b).held, SESSIONS - 7);
	expect_keys(b, 7);
}

static void when_all_are_over_nobody_is_asked(void **state)
{
	struct box *b = *state;
	struct keys_case c[KEYS_CASES_MAX];

	start(b, false, true);
	go_on(b);
	die_as(b, "web1-over");
	wait_for(keys_cases(b->keys, c) == 1);
	keys_refused(b->keys, &b->known[0].server, &b->known[0].client);
	keys_takeover_over(b->keys, 0);
	wait_for(account(b).done);
	assert_int_equal(keys_cases(b->keys, c), 0);
	assert_int_equal(keys_approve(b->keys, "web1-over", false, 7), KEYS_NO_SUCH_CASE);
	assert_int_equal(account(b).opened, 0);
	assert_int_equal(account(b).refused[KEYS_NOT_APPROVED], SESSIONS);
	assert_int_equal(stats(b).refused_by_operator, 0);
	assert_false(audit_has("web1-over"));
}

/* The room is closed by each test; here while something waits. */
static void it_ends_while_the_operator_is_asked(void **state)
{
	struct box *b = *state;
	struct keys_case c[KEYS_CASES_MAX];

	start(b, false, true);
	go_on(b);
	die(b);
	wait_for(keys_cases(b->keys, c) == 1);
}

static void it_ends_while_keys_are_fetched(void **state)
{
	struct box *b = *state;

	start(b, false, false);
	go_on(b);
	kill(w.serves, SIGSTOP);
	die(b);
	wait_for(stats(b).takeovers == 1);
	keys_stop(b->keys);
	b->keys = NULL;
	kill(w.serves, SIGCONT);
}

/* Ready means that keys would be fetched now. */
static void a_vault_that_hangs_is_not_ready(void **state)
{
	struct box *b = *state;
	char why[KEYS_WHY_SIZE];

	start(b, false, false);
	go_on(b);
	wait_for(keys_ready(b->keys, 0, why));
	kill(w.serves, SIGSTOP);
	wait_for(!keys_ready(b->keys, 0, why));
	kill(w.serves, SIGCONT);
	wait_for(keys_ready(b->keys, 0, why));
}

static void what_is_wrong_with_the_files_is_told(void **state)
{
	struct keys_identity i = {"/nonexistent.crt", "/nonexistent.key"};
	struct keys_config c = {
		.places = {.ca = "/nonexistent.ca", .identity = &i, .identities = 1},
		.vault = &w.vault,
		.vaults = 1,
		.sessions_max = 10,
		.threads = 1,
	};
	struct keys *k;
	char error[256];

	assert_true(keys_start(&c, &k, error, sizeof error) < 0);
	assert_non_null(strstr(error, "/nonexistent.ca"));
}

/* --------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct box));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct box *b = *state;

	keys_stop(b->keys);
	free(b);
	return 0;
}

static int begin_world(void **state)
{
	const char *const init[] = {KEYVAULT, "init", w.dir, NULL};
	const char *const add[] = {KEYVAULT, "add-origin", w.dir, "web1", "10.9.0.1", NULL};

	strcpy(w.dir, "/dev/shm/test-keys-XXXXXX");
	if (!mkdtemp(w.dir)) {
		strcpy(w.dir, "/tmp/test-keys-XXXXXX");
		assert_non_null(mkdtemp(w.dir));
	}
	strcat(w.dir, "/v");
	choose_port();
	run_to_its_end(init);
	run_to_its_end(add);
	serve();
	open_origin();
	connect_origin();
	return 0;
}

static int end_world(void **state)
{
	char command[128];

	end_vault();
	vault_link_deinit(&w.link);
	sealer_free(w.sealer);
	keys_files_close(&w.origin);
	w.dir[strlen(w.dir) - 2] = 0;
	snprintf(command, sizeof command, "rm -rf %s", w.dir);
	return system(command);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_takeover_opens_all),
		TEST(keys_in_use_outlive_their_session),
		TEST(keys_are_lent_by_handle),
		TEST(live_sessions_are_opened_as_they_come),
		TEST(without_a_vault_nothing_is_ready),
		TEST(nothing_is_opened_before_it_is_approved),
		TEST(what_is_refused_is_not_fetched),
		TEST(what_is_over_is_not_fetched_after_approval),
		TEST(when_all_are_over_nobody_is_asked),
		TEST(it_ends_while_the_operator_is_asked),
		TEST(it_ends_while_keys_are_fetched),
		TEST(a_vault_that_hangs_is_not_ready),
		TEST(what_is_wrong_with_the_files_is_told),
	};

	if (seal_secure_heap(1 << 20) < 0)
		return 1;
	return cmocka_run_group_tests(tests, begin_world, end_world);
}
