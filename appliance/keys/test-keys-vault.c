/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The other end is the vault's own desk and store. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keys-vault.h"
#include "keyvault/vault/test/vault-rig.h"

#define NOW_NS (INT64_C(1796000000) * NS_PER_S)

struct box {
	struct vault_rig rig;
	struct vault_rig_peer web1, us;
	struct keys_index *index;
	struct keys_vault *vault;
};

static void connect_us(struct box *b)
{
	vault_rig_enter(&b->rig, &b->us);
	keys_vault_up(b->vault, &b->us.to_vault);
}

static void disconnect_us(struct box *b)
{
	vault_rig_leave(&b->rig, &b->us);
	keys_vault_down(b->vault);
}

static void open_vault(struct box *b)
{
	vault_rig_init(&b->rig);
	vault_rig_enter(&b->rig, &b->web1);
}

static void close_vault(struct box *b)
{
	disconnect_us(b);
	vault_rig_leave(&b->rig, &b->web1);
	vault_rig_deinit(&b->rig);
}

static int setup(void **state)
{
	const struct siphash_key key = {{1, 2}};
	struct box *b = calloc(1, sizeof *b);

	b->web1.who = (struct subject){.role = IDENTITY_ORIGIN, .name = "web1", .addresses = 1};
	assert_int_equal(netaddr_parse("10.9.0.1", &b->web1.who.address[0]), 0);
	b->us.who.role = IDENTITY_RECOVERY;
	open_vault(b);
	assert_int_equal(keys_index_open(10000, &key, &b->index), 0);
	assert_int_equal(keys_vault_new(0, b->index, &b->vault), 0);
	connect_us(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	close_vault(b);
	keys_vault_free(b->vault);
	keys_index_close(b->index);
	vault_rig_peer_deinit(&b->web1);
	vault_rig_peer_deinit(&b->us);
	free(b);
	return 0;
}

/* One frame of the vault comes to us. */
static bool receive(struct box *b)
{
	struct vault_frame f;
	size_t used;

	if (!b->us.visitor || b->us.from_vault.n == 0)
		return false;
	assert_int_equal(vault_wire_read(buf_view(&b->us.from_vault), &f, &used), VAULT_WIRE_OK);
	assert_int_equal(keys_vault_frame(b->vault, &f), 0);
	buf_consume(&b->us.from_vault, used);
	return true;
}

/* Until nobody has anything to say. */
static void talk(struct box *b)
{
	bool more = true;

	while (more) {
		more = vault_rig_turn(&b->rig, &b->web1, NOW_NS);
		more |= vault_rig_turn(&b->rig, &b->us, NOW_NS);
		while (receive(b))
			more = true;
		keys_vault_tick(b->vault, NOW_NS);
		more |= b->us.visitor && b->us.to_vault.n > 0;
	}
	buf_reset(&b->web1.from_vault);
}

static struct session_index tls(unsigned n)
{
	struct session_index i = {.protocol = KEYS_TLS, .number = n, .time_ns = NOW_NS + n};

	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &i.server), 0);
	assert_int_equal(endpoint_parse("10.8.0.2:40000", false, &i.client), 0);
	i.client.port = (uint16_t)n;
	memset(i.epoch, 7, sizeof i.epoch);
	memcpy(i.id, &n, sizeof n);
	return i;
}

/* web1 stores an epoch and @n records from @first on. */
static void store(struct box *b, unsigned first, unsigned n)
{
	uint8_t id[EPOCH_ID_BYTES];

	memset(id, 7, sizeof id);
	vault_wire_put_epoch(&b->web1.to_vault, VAULT_EPOCH, 1, id, bytes_str("epoch seven"));
	for (unsigned i = first; i < first + n; i++) {
		char blob[32];

		snprintf(blob, sizeof blob, "sealed %u", i);
		const struct vault_item item = {tls(i), bytes_str(blob)};

		vault_wire_put_append(&b->web1.to_vault, 2 + i, &item, 1);
	}
	talk(b);
}

static bool find(const struct box *b, unsigned n, struct keys_record *ret)
{
	struct session_index i = tls(n);
	struct keys_session s = {KEYS_TLS, i.server, i.client, {0}, 0};

	memcpy(s.client_random, i.id, sizeof i.id);
	return keys_index_find(b->index, &s, ret, 1) == 1;
}

struct result {
	unsigned records, epochs, no_epochs, ended, wrong;
	enum keys_errand_end how;
	struct keys_errand e;
	struct keys_errand *then; /* another that begins when this ends */
	struct keys_vault *vault;
	int then_result;
	struct box *disconnects;
	uint64_t highest;
};

static void on_record(struct keys_errand *e, uint64_t number, struct bytes blob)
{
	struct result *r = e->ctx;

	r->records++;
	r->wrong += r->epochs < e->epochs_n; /* epochs come first */
	r->wrong += blob.n < 8 || memcmp(blob.p, "sealed ", 7) != 0;
	r->highest = number;
}

static void on_epoch(struct keys_errand *e, const uint8_t id[EPOCH_ID_BYTES], struct bytes blob)
{
	struct result *r = e->ctx;

	r->epochs++;
	r->wrong += id[0] != 7 || !bytes_eq(blob, bytes_str("epoch seven"));
}

static void on_no_epoch(struct keys_errand *e, const uint8_t id[EPOCH_ID_BYTES])
{
	struct result *r = e->ctx;

	r->wrong += id[0] != 8 + r->no_epochs;
	r->no_epochs++;
}

static void on_ended(struct keys_errand *e, enum keys_errand_end how)
{
	struct result *r = e->ctx;

	r->ended++;
	r->how = how;
	if (r->then)
		r->then_result = keys_vault_fetch(r->vault, r->then);
	if (r->disconnects)
		disconnect_us(r->disconnects);
}

static void errand(struct result *r, const uint64_t *numbers, size_t n)
{
	*r = (struct result){0};
	r->e = (struct keys_errand){
		.reason = VAULT_FOR_FAILOVER,
		.text = "failover 7",
		.numbers = numbers,
		.numbers_n = n,
		.deadline_ns = NOW_NS + NS_PER_S,
		.epoch = on_epoch,
		.no_epoch = on_no_epoch,
		.record = on_record,
		.ended = on_ended,
		.ctx = r,
	};
}

static void the_index_follows_the_vault(void **state)
{
	struct box *b = *state;
	struct keys_record r;

	assert_int_equal(keys_vault_state(b->vault), KEYS_VAULT_CATCHES_UP);
	talk(b);
	assert_int_equal(keys_vault_state(b->vault), KEYS_VAULT_LIVE);
	store(b, 0, 20); /* as they come */
	for (unsigned i = 0; i < 20; i++)
		assert_true(find(b, i, &r));
	assert_false(find(b, 20, &r));

	disconnect_us(b);
	assert_int_equal(keys_vault_state(b->vault), KEYS_VAULT_DOWN);
	store(b, 20, 1000);
	assert_false(find(b, 20, &r));
	connect_us(b);
	talk(b); /* what had come meanwhile */
	assert_int_equal(keys_vault_state(b->vault), KEYS_VAULT_LIVE);
	for (unsigned i = 0; i < 1020; i++)
		assert_true(find(b, i, &r));
}

static void all_are_fetched_at_once(void **state)
{
	struct box *b = *state;
	static uint64_t numbers[2500];
	const uint8_t epoch[2][EPOCH_ID_BYTES] = {{7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7},
						  {8}};
	struct keys_record r;
	struct result got;

	store(b, 0, 2500);
	for (unsigned i = 0; i < 2500; i++) {
		assert_true(find(b, i, &r));
		numbers[i] = r.number[0];
	}
	errand(&got, numbers, 2500);
	got.e.epochs = epoch;
	got.e.epochs_n = 1;
	assert_int_equal(keys_vault_fetch(b->vault, &got.e), 0);
	assert_int_equal(keys_vault_next_ns(b->vault), got.e.deadline_ns);
	talk(b);
	assert_int_equal(got.ended, 1);
	assert_int_equal(got.how, KEYS_ERRAND_DONE);
	assert_int_equal(got.records, 2500);
	assert_int_equal(got.epochs, 1);
	assert_int_equal(got.wrong, 0);
	assert_int_equal(keys_vault_next_ns(b->vault), INT64_MAX);
}

static void what_is_not_there_is_not_handed_over(void **state)
{
	struct box *b = *state;
	const uint8_t epoch[2][EPOCH_ID_BYTES] = {{8}, {9}};
	const uint64_t numbers[] = {1000000, 1000001};
	struct keys_record r;
	struct result got;

	store(b, 0, 1);
	assert_true(find(b, 0, &r));
	uint64_t some[] = {numbers[0], r.number[0], numbers[1]};
	errand(&got, some, 3);
	assert_int_equal(keys_vault_fetch(b->vault, &got.e), 0);
	talk(b);
	assert_int_equal(got.how, KEYS_ERRAND_DONE);
	assert_int_equal(got.records, 1);
	assert_int_equal(got.highest, r.number[0]);

	errand(&got, NULL, 0);
	assert_int_equal(keys_vault_fetch(b->vault, &got.e), -EINVAL);
	got.e.epochs = epoch;
	got.e.epochs_n = 2;
	assert_int_equal(keys_vault_fetch(b->vault, &got.e), 0);
	talk(b);
	assert_int_equal(got.ended, 1);
	assert_int_equal(got.how, KEYS_ERRAND_DONE);
	assert_int_equal(got.epochs, 0);
	assert_int_equal(got.no_epochs, 2);
	assert_int_equal(got.wrong, 0);
}

static void errands_end_at_their_deadline(void **state)
{
	struct box *b = *state;
	const uint64_t number = 1;
	struct keys_vault_counters c;
	struct result late, next;

	store(b, 0, 3);
	errand(&late, &number, 1);
	errand(&next, &number, 1);
	late.then = &next.e;
	late.vault = b->vault;
	next.e.deadline_ns += NS_PER_S;
	assert_int_equal(keys_vault_fetch(b->vault, &late.e), 0);
	keys_vault_tick(b->vault, late.e.deadline_ns - 1);
	assert_int_equal(late.ended, 0);
	keys_vault_tick(b->vault, late.e.deadline_ns);
	assert_int_equal(late.ended, 1);
	assert_int_equal(late.how, KEYS_ERRAND_DEADLINE);
	assert_int_equal(late.then_result, 0);
	assert_int_equal(next.ended, 0);
	talk(b); /* the first one's answer comes too, to nobody */
	assert_int_equal(late.records, 0);
	assert_int_equal(late.ended, 1);
	assert_int_equal(next.ended, 1);
	assert_int_equal(next.how, KEYS_ERRAND_DONE);
	assert_int_equal(next.records, 1);
	keys_vault_count(b->vault, &c);
	assert_int_equal(c.errands, 2);
	assert_int_equal(c.errands_late, 1);
}

static void errands_end_with_the_connection(void **state)
{
	struct box *b = *state;
	const uint64_t number = 1;
	struct result lost[2], more;

	talk(b);
	errand(&more, &number, 1);
	for (unsigned i = 0; i < 2; i++) {
		errand(&lost[i], &number, 1);
		lost[i].then = &more.e;
		lost[i].vault = b->vault;
		assert_int_equal(keys_vault_fetch(b->vault, &lost[i].e), 0);
	}
	disconnect_us(b);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(lost[i].ended, 1);
		assert_int_equal(lost[i].how, KEYS_ERRAND_LOST);
		assert_int_equal(lost[i].then_result, -ENOTCONN);
	}
	assert_int_equal(more.ended, 0);
}

static void an_errands_end_may_end_the_connection(void **state)
{
	struct box *b = *state;
	const uint64_t number = 1;
	struct result got, other;

	store(b, 0, 3);
	errand(&got, &number, 1);
	errand(&other, &number, 1);
	got.disconnects = b;
	assert_int_equal(keys_vault_fetch(b->vault, &got.e), 0);
	assert_int_equal(keys_vault_fetch(b->vault, &other.e), 0);
	talk(b);
	assert_int_equal(got.how, KEYS_ERRAND_DONE);
	assert_int_equal(other.ended, 1);
	assert_int_equal(other.how, KEYS_ERRAND_LOST);
}

static void so_many_errands_and_no_more(void **state)
{
	struct box *b = *state;
	static struct result got[KEYS_ERRANDS_MAX + 1];
	const uint64_t number = 1;
	struct keys_vault_counters c;

	store(b, 0, 3);
	for (unsigned i = 0; i <= KEYS_ERRANDS_MAX; i++) {
		errand(&got[i], &number, 1);
		assert_int_equal(keys_vault_fetch(b->vault, &got[i].e),
				 i < KEYS_ERRANDS_MAX ? 0 : -EBUSY);
	}
	talk(b);
	for (unsigned i = 0; i < KEYS_ERRANDS_MAX; i++) {
		assert_int_equal(got[i].ended, 1);
		assert_int_equal(got[i].records, 1);
	}
	assert_int_equal(got[KEYS_ERRANDS_MAX].ended, 0);
	keys_vault_count(b->vault, &c);
	assert_int_equal(c.busy, 1);
}

static void who_is_not_the_recovery_side_is_refused(void **state)
{
	struct box *b = *state;
	const uint64_t number = 1;
	struct vault_frame f;
	struct result got;
	size_t used;

	talk(b);
	disconnect_us(b);
	b->us.who.role = IDENTITY_ORIGIN;
	connect_us(b);
	errand(&got, &number, 1);
	assert_int_equal(keys_vault_fetch(b->vault, &got.e), 0);
	while (vault_rig_hand(&b->rig, &b->us, NOW_NS))
		;
	/* The watch is, which is of no use then; and so is the errand. */
	assert_int_equal(vault_wire_read(buf_view(&b->us.from_vault), &f, &used), VAULT_WIRE_OK);
	assert_int_equal(keys_vault_frame(b->vault, &f), -EPROTO);
	buf_consume(&b->us.from_vault, used);
	assert_true(receive(b));
	assert_int_equal(got.ended, 1);
	assert_int_equal(got.how, KEYS_ERRAND_REFUSED);
}

static void records_of_ended_sessions_are_erased(void **state)
{
	struct box *b = *state;
	struct vault_store_counts there;
	struct keys_vault_counters c;
	struct keys_record r;

	store(b, 0, 3000);
	for (unsigned i = 0; i < 2500; i++) {
		assert_true(find(b, i, &r));
		keys_vault_erase(b->vault, &r);
	}
	r.vaults = 2; /* in another vault alone */
	keys_vault_erase(b->vault, &r);
	talk(b);
	vault_desk_count(b->rig.desk, &there);
	assert_int_equal(there.records, 500);
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(find(b, i, &r), i >= 2500);
	keys_vault_count(b->vault, &c);
	assert_int_equal(c.erased, 2500);
	assert_int_equal(vault_desk_counters(b->rig.desk)->requests_refused, 0);
}

static void what_ends_without_a_connection_is_erased_later(void **state)
{
	struct box *b = *state;
	struct vault_store_counts there;
	struct keys_record r;

	store(b, 0, 3);
	assert_true(find(b, 0, &r));
	keys_vault_erase(b->vault, &r);
	keys_vault_tick(b->vault, NOW_NS); /* sent, and lost with the connection */
	disconnect_us(b);
	assert_true(find(b, 1, &r));
	keys_vault_erase(b->vault, &r);
	vault_desk_count(b->rig.desk, &there);
	assert_int_equal(there.records, 3);
	connect_us(b);
	talk(b);
	vault_desk_count(b->rig.desk, &there);
	assert_int_equal(there.records, 1);
	assert_true(find(b, 2, &r));
}

/* Its numbers begin again: they are those of other records now. */
static void a_vault_made_anew_loses_nothing_else(void **state)
{
	struct box *b = *state;
	struct vault_store_counts there;
	struct keys_record r, before;

	store(b, 0, 3);
	disconnect_us(b);
	assert_true(find(b, 0, &before));
	keys_vault_erase(b->vault, &before);
	close_vault(b);
	open_vault(b);
	store(b, 100, 3);
	connect_us(b);
	talk(b);
	assert_true(find(b, 100, &r));
	assert_int_equal(r.number[0], before.number[0]);
	assert_false(find(b, 0, &r));
	vault_desk_count(b->rig.desk, &there);
	assert_int_equal(there.records, 3);
}

static void what_waits_to_be_erased_has_a_ceiling(void **state)
{
	struct box *b = *state;
	struct keys_vault_counters c;
	struct keys_record r;

	store(b, 0, 1);
	assert_true(find(b, 0, &r));
	disconnect_us(b);
	for (unsigned i = 0; i < KEYS_ERASE_MAX + 5; i++)
		keys_vault_erase(b->vault, &r);
	keys_vault_count(b->vault, &c);
	assert_int_equal(c.erase_dropped, 5);
	connect_us(b);
	talk(b);
	assert_false(find(b, 0, &r));
}

static void what_no_vault_says_ends_the_connection(void **state)
{
	struct box *b = *state;
	struct vault_frame f = {.type = VAULT_DONE, .request = 0};

	talk(b);
	assert_int_equal(keys_vault_frame(b->vault, &f), -EPROTO);
	f.request = 2; /* not asked */
	assert_int_equal(keys_vault_frame(b->vault, &f), -EPROTO);
	f = (struct vault_frame){.type = VAULT_LIVE, .request = 1}; /* twice */
	assert_int_equal(keys_vault_frame(b->vault, &f), -EPROTO);
	f = (struct vault_frame){.type = VAULT_STORED, .request = 1};
	assert_int_equal(keys_vault_frame(b->vault, &f), -EPROTO);
	f = (struct vault_frame){.type = VAULT_FETCH, .request = 1};
	assert_int_equal(keys_vault_frame(b->vault, &f), -EPROTO);
}

/* It keeps its connection, and says nothing. */
static void a_vault_that_hangs_is_given_up(void **state)
{
	struct box *b = *state;
	int64_t ns = NOW_NS;

	talk(b);
	assert_int_equal(keys_vault_listen(b->vault, ns), 0);
	assert_int_equal(keys_vault_next_ns(b->vault), ns + KEYS_VAULT_PING_NS);
	assert_int_equal(keys_vault_listen(b->vault, ns + KEYS_VAULT_PING_NS - 1), 0);
	assert_int_equal(b->us.to_vault.n, 0);
	assert_int_equal(keys_vault_listen(b->vault, ns + KEYS_VAULT_PING_NS), 0);
	assert_true(b->us.to_vault.n > 0);
	talk(b);
	/* It has answered, late. */
	ns += KEYS_VAULT_SILENT_NS;
	assert_int_equal(keys_vault_listen(b->vault, ns), 0);
	assert_int_equal(keys_vault_listen(b->vault, ns + KEYS_VAULT_PING_NS), 0);
	size_t asked = b->us.to_vault.n;
	assert_true(asked > 0);
	assert_int_equal(keys_vault_next_ns(b->vault), ns + KEYS_VAULT_SILENT_NS);
	assert_int_equal(keys_vault_listen(b->vault, ns + KEYS_VAULT_SILENT_NS - 1), 0);
	assert_int_equal(b->us.to_vault.n, asked); /* once */
	assert_int_equal(keys_vault_listen(b->vault, ns + KEYS_VAULT_SILENT_NS), -ETIMEDOUT);
	disconnect_us(b);
	assert_int_equal(keys_vault_listen(b->vault, ns + KEYS_VAULT_SILENT_NS), 0);
	assert_int_equal(keys_vault_next_ns(b->vault), INT64_MAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_index_follows_the_vault),
		TEST(all_are_fetched_at_once),
		TEST(what_is_not_there_is_not_handed_over),
		TEST(errands_end_at_their_deadline),
		TEST(errands_end_with_the_connection),
		TEST(an_errands_end_may_end_the_connection),
		TEST(so_many_errands_and_no_more),
		TEST(who_is_not_the_recovery_side_is_refused),
		TEST(records_of_ended_sessions_are_erased),
		TEST(what_ends_without_a_connection_is_erased_later),
		TEST(a_vault_made_anew_loses_nothing_else),
		TEST(what_waits_to_be_erased_has_a_ceiling),
		TEST(what_no_vault_says_ends_the_connection),
		TEST(a_vault_that_hangs_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
