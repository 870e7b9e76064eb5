/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is sealed is sealed by a sealer, and the vaults are two desks with their stores. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keys-gather.h"
#include "keyvault/seal/test/seal-rig.h"
#include "keyvault/vault/test/vault-rig.h"

#define SERVER    "10.9.0.1:443"
#define SESSIONS  40
#define SLOTS     (2 * KEYS_SLAB_SLOTS)
#define BUDGET_NS (1000 * NS_PER_S)

struct side {
	struct vault_rig rig;
	struct vault_rig_peer web1, us;
	struct keys_vault *vault;
	bool hangs; /* it takes nothing of us any more */
	/* Epochs are not there, or other ones are in their places. */
	bool without_epochs;
	const struct sealed *other_epoch;
};

struct box {
	struct seal_rig seal;
	struct side side[2];
	struct keys_index *index;
	struct keys_arena *arena;
	struct keys_approval *approval;
	struct mailbox results;
	struct keys_unseal *unseal;
	struct list tasks; /* posted, and not with the threads yet */
	bool hold;         /* they stay there */
	int64_t now_ns;
	uint8_t epoch_id[EPOCH_ID_BYTES];
	struct sealed epoch;
	struct sealed sealed[SESSIONS];
	struct session_index known[SESSIONS];
	struct keys_session sessions[SESSIONS];
	struct keys_want want;
	struct keys_gather *gather;
	struct keys_found *found;
	unsigned done;
};

static void open_side(struct box *b, unsigned v)
{
	struct side *s = &b->side[v];

	s->web1.who = (struct subject){.role = IDENTITY_ORIGIN, .name = "web1", .addresses = 1};
	assert_int_equal(netaddr_parse("10.9.0.1", &s->web1.who.address[0]), 0);
	s->us.who.role = IDENTITY_RECOVERY;
	vault_rig_init(&s->rig);
	vault_rig_enter(&s->rig, &s->web1);
	vault_rig_enter(&s->rig, &s->us);
	assert_int_equal(keys_vault_new(v, b->index, &s->vault), 0);
	keys_vault_up(s->vault, &s->us.to_vault);
}

static void disconnect(struct side *s)
{
	vault_rig_leave(&s->rig, &s->us);
	keys_vault_down(s->vault);
}

/* It has told what it has, and then it has nothing any more. */
static void lose_all(struct side *s)
{
	vault_rig_leave(&s->rig, &s->us);
	vault_rig_leave(&s->rig, &s->web1);
	vault_rig_deinit(&s->rig);
	vault_rig_init(&s->rig);
	vault_rig_enter(&s->rig, &s->web1);
	vault_rig_enter(&s->rig, &s->us);
}

static void close_side(struct side *s)
{
	disconnect(s);
	keys_vault_free(s->vault);
	vault_rig_leave(&s->rig, &s->web1);
	vault_rig_deinit(&s->rig);
	vault_rig_peer_deinit(&s->web1);
	vault_rig_peer_deinit(&s->us);
}

static void post(void *ctx, struct keys_unseal_task *t)
{
	struct box *b = ctx;

	list_add_tail(&b->tasks, &t->node);
}

static void done(struct keys_want *w, struct keys_found *found)
{
	struct box *b = w->ctx;

	assert_int_equal(b->done++, 0);
	assert_non_null(found);
	b->found = found;
}

static int setup(void **state)
{
	const struct siphash_key key = {{1, 2}};
	struct box *b = calloc(1, sizeof *b);

	seal_rig_init(&b->seal);
	assert_int_equal(keys_index_open(1000, &key, &b->index), 0);
	assert_int_equal(keys_arena_open(SLOTS, &b->arena), 0);
	assert_int_equal(keys_approval_new(BUDGET_NS, &b->approval), 0);
	assert_int_equal(mailbox_init(&b->results), 0);
	const struct keys_unseal_config threads = {b->seal.opener, b->arena, &b->results, 2};
	assert_int_equal(keys_unseal_open(&threads, &b->unseal), 0);
	list_init(&b->tasks);
	b->now_ns = clock_mono_ns();
	for (unsigned v = 0; v < 2; v++)
		open_side(b, v);
	assert_int_equal(sealer_epoch(b->seal.sealer, RIG_NOW_NS, b->epoch_id, &b->epoch), 0);
	*state = b;
	return 0;
}

/* The threads open what is posted. False: there was nothing. */
static bool open_tasks(struct box *b)
{
	unsigned n = 0;

	while (!list_empty(&b->tasks)) {
		struct keys_unseal_task *t =
			list_entry(b->tasks.next, struct keys_unseal_task, node);

		list_del(&t->node);
		keys_unseal_post(b->unseal, t);
		n++;
	}
	bool any = n > 0;
	while (n > 0) {
		struct list back;

		list_init(&back);
		mailbox_wait(&b->results, clock_mono_ns() + NS_PER_S);
		mailbox_take(&b->results, &back);
		list_for_each_safe (it, tmp, &back) {
			struct keys_unseal_task *t = list_entry(it, struct keys_unseal_task, node);

			assert_ptr_equal(keys_gather_back(t), b->gather);
			n--;
		}
	}
	return any;
}

/* What this side makes of the answer @f. */
static void spoil(const struct side *s, struct vault_frame *f)
{
	uint8_t id[EPOCH_ID_BYTES];

	if (f->type != VAULT_EPOCH_BLOB)
		return;
	if (s->other_epoch)
		f->epoch.blob = bytes_of(s->other_epoch->p, s->other_epoch->n);
	if (!s->without_epochs)
		return;
	memcpy(id, f->epoch.id, sizeof id);
	f->type = VAULT_EPOCH_MISSING;
	memcpy(f->epoch_missing, id, sizeof id);
}

static bool side_turn(struct box *b, struct side *s)
{
	bool more = vault_rig_turn(&s->rig, &s->web1, RIG_NOW_NS);
	struct vault_frame f;
	size_t used;

	buf_reset(&s->web1.from_vault);
	if (s->hangs || !s->us.visitor)
		return more;
	more |= vault_rig_turn(&s->rig, &s->us, RIG_NOW_NS);
	while (s->us.from_vault.n > 0) {
		assert_int_equal(vault_wire_read(buf_view(&s->us.from_vault), &f, &used),
				 VAULT_WIRE_OK);
		spoil(s, &f);
		assert_int_equal(keys_vault_frame(s->vault, &f), 0);
		buf_consume(&s->us.from_vault, used);
		more = true;
	}
	return more;
}

/* Until nobody has anything to say. */
static void talk(struct box *b)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned v = 0; v < 2; v++) {
			struct side *s = &b->side[v];

			more |= side_turn(b, s);
			keys_vault_tick(s->vault, b->now_ns);
			more |= !s->hangs && s->us.visitor && s->us.to_vault.n > 0;
		}
		more |= !b->hold && open_tasks(b);
		if (b->gather)
			keys_gather_step(b->gather, b->now_ns);
		for (unsigned v = 0; v < 2; v++)
			more |= !b->side[v].hangs && b->side[v].us.visitor &&
				b->side[v].us.to_vault.n > 0;
	}
}

/* Session @i as the box sees it. */
static void see(struct box *b, unsigned i)
{
	const struct session_index *x = &b->known[i];

	b->sessions[i] = (struct keys_session){x->protocol, x->server, x->client, {0}, 0};
	if (x->protocol == KEYS_TLS)
		memcpy(b->sessions[i].client_random, x->id, TLS_RANDOM_BYTES);
}

static void seal(struct box *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		b->sealed[i] = seal_rig_record(b->seal.sealer, SERVER, i, &b->known[i]);
		see(b, i);
	}
}

/* The key exchanges of one connection, a second between them. */
static void seal_ssh(struct box *b, unsigned n)
{
	static const uint8_t zero[32] = {0, 0, 0, 1, 7};
	uint8_t room[SESSION_KEYS_MAX_BYTES], h[32];
	struct session_keys k = {.protocol = KEYS_SSH};

	assert_int_equal(endpoint_parse("10.9.0.1:22", false, &k.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &k.client), 0);
	k.ssh = (struct ssh_keys){SSH_SHA256, bytes_of(zero, 5), bytes_of(h, 32),
				  bytes_of(zero, 32)};
	for (unsigned i = 0; i < n; i++) {
		struct writer w = writer_init(room, sizeof room);

		memset(h, (int)i, sizeof h);
		session_keys_write(&w, &k);
		assert_true(writer_ok(&w));
		struct bytes keys = bytes_of(room, writer_pos(&w));
		assert_int_equal(sealer_batch(b->seal.sealer, RIG_NOW_NS + i * NS_PER_S, &keys, 1,
					      &b->sealed[i], &b->known[i]),
				 0);
		see(b, i);
	}
}

static void store_epoch(struct box *b, unsigned v)
{
	vault_wire_put_epoch(&b->side[v].web1.to_vault, VAULT_EPOCH, 1, b->epoch_id,
			     bytes_of(b->epoch.p, b->epoch.n));
}

/* Records from @first on. @forged: they are not what the origin has sealed. */
static void store(struct box *b, unsigned v, unsigned first, unsigned n, bool forged)
{
	for (unsigned i = first; i < first + n; i++) {
		uint8_t blob[SEAL_RECORD_MAX_BYTES];

		memcpy(blob, b->sealed[i].p, b->sealed[i].n);
		blob[b->sealed[i].n / 2] ^= forged;
		const struct vault_item item = {b->known[i], bytes_of(blob, b->sealed[i].n)};
		vault_wire_put_append(&b->side[v].web1.to_vault, 2 + i, &item, 1);
	}
}

static void both_have(struct box *b, unsigned n)
{
	for (unsigned v = 0; v < 2; v++) {
		store_epoch(b, v);
		store(b, v, 0, n, false);
	}
	talk(b);
}

static void want(struct box *b, unsigned n)
{
	const struct keys_gather_config config = {
		.index = b->index,
		.vault = {b->side[0].vault, b->side[1].vault},
		.vaults = 2,
		.opener = b->seal.opener,
		.arena = b->arena,
		.approval = b->approval,
		.post = post,
		.ctx = b,
	};

	b->want = (struct keys_want){
		.sessions = b->sessions,
		.n = n,
		.reason = VAULT_FOR_FAILOVER,
		.text = "web1-1",
		.failover = b->want.failover,
		.budget_ns = BUDGET_NS,
		.now_ns = RIG_NOW_NS + 60 * NS_PER_S,
		.max_age_ns = SEAL_AGE_ANY,
		.done = done,
		.ctx = b,
	};
	assert_int_equal(keys_gather_new(&config, &b->want, b->now_ns, &b->gather), 0);
	keys_gather_step(b->gather, b->now_ns);
}

static uint32_t live(struct box *b)
{
	struct keys_arena_counters c;

	keys_arena_count(b->arena, &c);
	return c.live;
}

/* All @n sessions have their one record of keys. */
static void expect_all(struct box *b, unsigned n)
{
	assert_int_equal(b->done, 1);
	assert_int_equal(live(b), n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t room[SESSION_KEYS_MAX_BYTES];
		struct session_keys keys;
		size_t bytes = seal_rig_keys(SERVER, i, room);

		assert_int_equal(session_keys_read(bytes_of(room, bytes), &keys), SESSION_KEYS_OK);
		assert_int_equal(b->found[i].reason, SEAL_OK);
		assert_int_equal(b->found[i].n, 1);
		const struct keys_got *got = b->found[i].got;
		assert_non_null(keys_arena_use(b->arena, got->handle));
		assert_true(bytes_eq(got->opened.keys.tls.secret[TLS_CLIENT_APPLICATION],
				     keys.tls.secret[TLS_CLIENT_APPLICATION]));
		keys_arena_done(b->arena, got->handle);
	}
}

/* None of @n sessions has any, for this reason. */
static void expect_none(struct box *b, unsigned n, int reason)
{
	assert_int_equal(b->done, 1);
	for (unsigned i = 0; i < n; i++) {
		assert_string_equal(keys_reason_name(b->found[i].reason), keys_reason_name(reason));
		assert_int_equal(b->found[i].n, 0);
	}
	assert_int_equal(live(b), 0);
}

static uint64_t fetched(struct box *b, unsigned v)
{
	return vault_desk_counters(b->side[v].rig.desk)->records_fetched;
}

static int teardown(void **state)
{
	struct box *b = *state;

	for (size_t s = 0; b->found && s < b->want.n; s++) {
		for (size_t k = 0; k < b->found[s].n; k++)
			assert_int_equal(keys_arena_release(b->arena, b->found[s].got[k].handle),
					 0);
	}
	keys_found_free(b->found, b->want.n);
	assert_int_equal(live(b), 0);
	for (unsigned v = 0; v < 2; v++)
		close_side(&b->side[v]);
	open_tasks(b);
	assert_true(!b->gather || keys_gather_over(b->gather));
	keys_gather_free(b->gather);
	assert_int_equal(live(b), 0);
	assert_true(keys_unseal_close(b->unseal));
	mailbox_deinit(&b->results);
	keys_approval_free(b->approval);
	keys_arena_close(b->arena);
	keys_index_close(b->index);
	for (unsigned i = 0; i < SESSIONS; i++)
		sealed_free(&b->sealed[i]);
	sealed_free(&b->epoch);
	seal_rig_deinit(&b->seal);
	free(b);
	return 0;
}

static void every_session_comes_back_with_its_keys(void **state)
{
	struct box *b = *state;

	seal(b, SESSIONS);
	both_have(b, SESSIONS);
	want(b, SESSIONS);
	talk(b);
	expect_all(b, SESSIONS);
	assert_true(keys_gather_over(b->gather));
	/* One of them was enough. */
	assert_int_equal(fetched(b, 0) + fetched(b, 1), SESSIONS);
}

static void what_each_vault_has_is_fetched_there(void **state)
{
	struct box *b = *state;

	seal(b, SESSIONS);
	for (unsigned v = 0; v < 2; v++) {
		store_epoch(b, v);
		store(b, v, v * SESSIONS / 2, SESSIONS / 2, false);
	}
	talk(b);
	want(b, SESSIONS);
	talk(b);
	expect_all(b, SESSIONS);
	assert_int_equal(fetched(b, 0), SESSIONS / 2);
	assert_int_equal(fetched(b, 1), SESSIONS / 2);
}

static void key_exchanges_come_in_their_order(void **state)
{
	struct box *b = *state;

	seal_ssh(b, 5);
	both_have(b, 5);
	want(b, 1);
	talk(b);
	assert_int_equal(b->done, 1);
	assert_int_equal(b->found[0].reason, SEAL_OK);
	assert_int_equal(b->found[0].n, 5);
	for (unsigned i = 0; i < 5; i++) {
		const struct keys_got *got = &b->found[0].got[i];

		assert_int_equal(got->opened.index.number, b->known[i].number);
		assert_non_null(keys_arena_use(b->arena, got->handle));
		assert_int_equal(got->opened.keys.ssh.h.p[0], i);
		keys_arena_done(b->arena, got->handle);
	}
}

static void what_lacks_a_key_exchange_says_so(void **state)
{
	struct box *b = *state;

	seal_ssh(b, 3);
	store_epoch(b, 0);
	store(b, 0, 0, 1, false);
	store(b, 0, 1, 1, true);
	store(b, 0, 2, 1, false);
	talk(b);
	want(b, 1);
	talk(b);
	assert_int_equal(b->done, 1);
	assert_int_equal(b->found[0].reason, SEAL_FORGED);
	assert_int_equal(b->found[0].n, 2);
	assert_int_equal(b->found[0].got[0].opened.index.number, b->known[0].number);
	assert_int_equal(b->found[0].got[1].opened.index.number, b->known[2].number);
}

static void nobody_waits_for_vaults_that_are_not_connected(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	both_have(b, 2); /* of the third nobody has told */
	for (unsigned v = 0; v < 2; v++)
		disconnect(&b->side[v]);
	want(b, 3);
	expect_none(b, 3, KEYS_UNREACHABLE);
	assert_true(keys_gather_over(b->gather));
}

static void what_no_vault_has_is_missing(void **state)
{
	struct box *b = *state;

	seal(b, 2);
	talk(b);
	want(b, 2);
	expect_none(b, 2, KEYS_MISSING);
}

static void what_a_lost_vault_may_have_is_not_missing(void **state)
{
	struct box *b = *state;

	seal(b, 2);
	talk(b);
	disconnect(&b->side[1]);
	want(b, 2);
	expect_none(b, 2, KEYS_UNREACHABLE);
}

static void a_vault_that_hangs_has_half_of_the_time(void **state)
{
	struct box *b = *state;

	seal(b, SESSIONS);
	both_have(b, SESSIONS);
	b->side[0].hangs = true;
	want(b, SESSIONS);
	b->now_ns += BUDGET_NS / 2 - 1;
	talk(b);
	assert_int_equal(b->done, 0);
	b->now_ns += 1;
	talk(b);
	expect_all(b, SESSIONS);
	assert_int_equal(fetched(b, 1), SESSIONS);
}

/* It alone has some of it: that is asked for again, until the end. */
static void a_slow_vault_that_alone_has_something_has_all_the_time(void **state)
{
	struct box *b = *state;

	seal(b, 4);
	for (unsigned v = 0; v < 2; v++)
		store_epoch(b, v);
	store(b, 0, 0, 4, false);
	store(b, 1, 0, 2, false);
	talk(b);
	b->side[0].hangs = true;
	want(b, 4);
	b->now_ns += BUDGET_NS / 2;
	talk(b);
	assert_int_equal(b->done, 0);
	assert_int_equal(fetched(b, 1), 2);
	b->side[0].hangs = false;
	talk(b);
	expect_all(b, 4);
}

static void at_the_deadline_it_comes_back_with_what_there_is(void **state)
{
	struct box *b = *state;

	seal(b, 4);
	store_epoch(b, 0);
	store(b, 0, 0, 2, false);
	store_epoch(b, 1);
	store(b, 1, 2, 2, false);
	talk(b);
	b->side[1].hangs = true;
	want(b, 4);
	talk(b);
	assert_int_equal(b->done, 0);
	b->now_ns = keys_gather_next_ns(b->gather);
	keys_gather_step(b->gather, b->now_ns);
	assert_int_equal(b->done, 1);
	assert_int_equal(live(b), 2);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(b->found[i].n, i < 2);
		assert_int_equal(b->found[i].reason, i < 2 ? (int)SEAL_OK : (int)KEYS_DEADLINE);
	}
	assert_false(keys_gather_over(b->gather)); /* the vault has the errand */
	talk(b);
	assert_true(keys_gather_over(b->gather));
}

static void what_is_opened_too_late_is_released(void **state)
{
	struct box *b = *state;

	seal(b, 4);
	both_have(b, 4);
	b->hold = true;
	want(b, 4);
	talk(b);
	assert_int_equal(b->done, 0);
	b->now_ns += BUDGET_NS;
	talk(b);
	expect_none(b, 4, KEYS_DEADLINE);
	assert_false(keys_gather_over(b->gather));
	b->hold = false;
	talk(b);
	assert_int_equal(live(b), 0);
	assert_true(keys_gather_over(b->gather));
}

static void what_one_vault_forges_the_other_has(void **state)
{
	struct box *b = *state;

	seal(b, SESSIONS);
	for (unsigned v = 0; v < 2; v++) {
		store_epoch(b, v);
		store(b, v, 0, SESSIONS, v == 0);
	}
	talk(b);
	want(b, SESSIONS);
	talk(b);
	expect_all(b, SESSIONS);
	assert_int_equal(fetched(b, 0), SESSIONS);
}

static void what_is_forged_everywhere_is_told_so(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	for (unsigned v = 0; v < 2; v++) {
		store_epoch(b, v);
		store(b, v, 0, 3, v == 0);
	}
	talk(b);
	lose_all(&b->side[1]); /* what it does not have is the lesser matter */
	want(b, 3);
	talk(b);
	expect_none(b, 3, SEAL_FORGED);
}

static void what_one_vault_has_lost_the_other_has(void **state)
{
	struct box *b = *state;

	seal(b, SESSIONS);
	both_have(b, SESSIONS);
	lose_all(&b->side[0]);
	want(b, SESSIONS);
	talk(b);
	expect_all(b, SESSIONS);
}

static void what_all_have_lost_is_missing(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	both_have(b, 3);
	for (unsigned v = 0; v < 2; v++)
		lose_all(&b->side[v]);
	want(b, 3);
	talk(b);
	expect_none(b, 3, KEYS_MISSING);
}

static void what_is_lost_with_a_connection_the_other_has(void **state)
{
	struct box *b = *state;

	seal(b, SESSIONS);
	both_have(b, SESSIONS);
	b->side[0].hangs = true;
	want(b, SESSIONS);
	talk(b);
	assert_int_equal(b->done, 0);
	disconnect(&b->side[0]);
	talk(b);
	expect_all(b, SESSIONS);
}

static void what_a_vault_refuses_the_other_has(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	both_have(b, 3);
	/* To this one we are somebody else by now. */
	b->side[0].us.who.role = IDENTITY_ORIGIN;
	want(b, 3);
	talk(b);
	expect_all(b, 3);
	assert_int_equal(fetched(b, 0), 0);
}

static void what_all_refuse_is_told_so(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	both_have(b, 3);
	for (unsigned v = 0; v < 2; v++)
		b->side[v].us.who.role = IDENTITY_ORIGIN;
	want(b, 3);
	talk(b);
	expect_none(b, 3, KEYS_VAULT_REFUSED);
}

static void why_an_epoch_is_refused_is_why_its_records_are(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	both_have(b, 3);
	seal_rig_revoke(&b->seal, b->seal.web1);
	want(b, 3);
	talk(b);
	expect_none(b, 3, SEAL_REVOKED);
}

static void what_has_no_epoch_says_so(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	both_have(b, 3);
	disconnect(&b->side[1]);
	b->side[0].without_epochs = true;
	want(b, 3);
	talk(b);
	expect_none(b, 3, SEAL_UNKNOWN_EPOCH);
	assert_int_equal(fetched(b, 0), 3); /* once: it was told that there is none */
}

static void the_epoch_of_another_vault_will_do(void **state)
{
	struct box *b = *state;

	seal(b, 3);
	both_have(b, 3);
	b->side[0].without_epochs = true;
	want(b, 3);
	talk(b);
	expect_all(b, 3);
	assert_int_equal(fetched(b, 0), 3);
	assert_int_equal(fetched(b, 1), 3);
}

static void an_epoch_in_the_place_of_another_says_so(void **state)
{
	struct box *b = *state;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed other;

	seal(b, 3);
	both_have(b, 3);
	disconnect(&b->side[1]);
	assert_int_equal(sealer_epoch(b->seal.sealer, RIG_NOW_NS, id, &other), 0);
	b->side[0].other_epoch = &other;
	want(b, 3);
	talk(b);
	sealed_free(&other);
	expect_none(b, 3, SEAL_UNKNOWN_EPOCH);
}

static void an_epoch_that_was_forgotten_meanwhile_is_fetched(void **state)
{
	struct box *b = *state;
	uint8_t id[EPOCH_ID_BYTES];

	seal(b, 3);
	both_have(b, 3);
	disconnect(&b->side[1]);
	assert_int_equal(
		opener_epoch(b->seal.opener, bytes_of(b->epoch.p, b->epoch.n), RIG_NOW_NS, id),
		SEAL_OK);
	want(b, 3); /* without it */
	opener_forget_epoch(b->seal.opener, id);
	talk(b);
	expect_all(b, 3);
}

static void without_room_there_is_a_reason(void **state)
{
	struct box *b = *state;
	struct keys_handle taken[SLOTS];
	uint8_t *room;

	for (unsigned i = 0; i < SLOTS; i++) {
		assert_int_equal(keys_arena_take(b->arena, &taken[i], &room), 0);
		keys_arena_done(b->arena, taken[i]);
	}
	seal(b, 3);
	both_have(b, 3);
	want(b, 3);
	talk(b);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(keys_arena_release(b->arena, taken[i]), 0);
	expect_none(b, 3, KEYS_NO_ROOM);
	assert_int_equal(fetched(b, 1), 0); /* another vault does not help */
}

static void nothing_is_fetched_before_it_is_approved(void **state)
{
	struct box *b = *state;
	struct keys_case c = {.failover = "web1-1"};

	seal(b, 3);
	both_have(b, 3);
	b->want.failover = "web1-1";
	assert_int_equal(keys_approval_ask(b->approval, &c, b->now_ns), KEYS_WAITS);
	want(b, 3);
	assert_int_equal(keys_gather_next_ns(b->gather), b->now_ns + BUDGET_NS);
	b->now_ns += BUDGET_NS - 1;
	talk(b);
	assert_int_equal(b->done, 0);
	assert_int_equal(fetched(b, 0) + fetched(b, 1), 0);
	assert_int_equal(keys_approval_confirm(b->approval, "web1-1", false, b->now_ns),
			 KEYS_DECIDED);
	keys_gather_step(b->gather, b->now_ns);
	assert_int_equal(keys_gather_next_ns(b->gather), b->now_ns + BUDGET_NS);
	talk(b);
	expect_all(b, 3);
}

static void what_is_not_approved_is_never_fetched(void **state)
{
	struct box *b = *state;
	struct keys_case c = {.failover = "web1-1"};

	seal(b, 3);
	both_have(b, 3);
	b->want.failover = "web1-1";
	assert_int_equal(keys_approval_ask(b->approval, &c, b->now_ns), KEYS_WAITS);
	want(b, 3);
	b->now_ns = keys_gather_next_ns(b->gather);
	talk(b);
	expect_none(b, 3, KEYS_NOT_APPROVED);
	assert_int_equal(fetched(b, 0) + fetched(b, 1), 0);
	assert_true(keys_gather_over(b->gather));
}

static void no_epoch(struct keys_errand *e, const uint8_t id[EPOCH_ID_BYTES], struct bytes blob)
{
	(void)e, (void)id, (void)blob;
}

static void epoch_not_there(struct keys_errand *e, const uint8_t id[EPOCH_ID_BYTES])
{
	(void)e, (void)id;
}

static void no_record(struct keys_errand *e, uint64_t number, struct bytes blob)
{
	(void)e, (void)number, (void)blob;
}

static void no_end(struct keys_errand *e, enum keys_errand_end how)
{
	(void)e, (void)how;
}

static void a_vault_that_is_busy_is_asked_later(void **state)
{
	struct box *b = *state;
	static struct keys_errand other[KEYS_ERRANDS_MAX];
	const uint64_t number = 1;

	seal(b, 3);
	both_have(b, 3);
	disconnect(&b->side[1]);
	for (unsigned i = 0; i < KEYS_ERRANDS_MAX; i++) {
		other[i] = (struct keys_errand){.reason = VAULT_FOR_DRILL,
						.text = "",
						.numbers = &number,
						.numbers_n = 1,
						.deadline_ns = INT64_MAX,
						.epoch = no_epoch,
						.no_epoch = epoch_not_there,
						.record = no_record,
						.ended = no_end};
		assert_int_equal(keys_vault_fetch(b->side[0].vault, &other[i]), 0);
	}
	want(b, 3);
	assert_int_equal(b->done, 0);
	talk(b);
	expect_all(b, 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_session_comes_back_with_its_keys),
		TEST(what_each_vault_has_is_fetched_there),
		TEST(key_exchanges_come_in_their_order),
		TEST(what_lacks_a_key_exchange_says_so),
		TEST(nobody_waits_for_vaults_that_are_not_connected),
		TEST(what_no_vault_has_is_missing),
		TEST(what_a_lost_vault_may_have_is_not_missing),
		TEST(a_vault_that_hangs_has_half_of_the_time),
		TEST(a_slow_vault_that_alone_has_something_has_all_the_time),
		TEST(at_the_deadline_it_comes_back_with_what_there_is),
		TEST(what_is_opened_too_late_is_released),
		TEST(what_one_vault_forges_the_other_has),
		TEST(what_is_forged_everywhere_is_told_so),
		TEST(what_one_vault_has_lost_the_other_has),
		TEST(what_all_have_lost_is_missing),
		TEST(what_is_lost_with_a_connection_the_other_has),
		TEST(what_a_vault_refuses_the_other_has),
		TEST(what_all_refuse_is_told_so),
		TEST(why_an_epoch_is_refused_is_why_its_records_are),
		TEST(what_has_no_epoch_says_so),
		TEST(the_epoch_of_another_vault_will_do),
		TEST(an_epoch_in_the_place_of_another_says_so),
		TEST(an_epoch_that_was_forgotten_meanwhile_is_fetched),
		TEST(without_room_there_is_a_reason),
		TEST(nothing_is_fetched_before_it_is_approved),
		TEST(what_is_not_approved_is_never_fetched),
		TEST(a_vault_that_is_busy_is_asked_later),
	};

	if (seal_secure_heap(1 << 18) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
