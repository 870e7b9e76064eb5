/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a takeover fetches of two vaults, and what it is told when they do not give it. */
#include "test/gather-rig.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

static void every_session_comes_back_with_its_keys(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, SESSIONS);
	gather_rig_both_have(b, SESSIONS);
	gather_rig_want(b, SESSIONS);
	gather_rig_talk(b);
	gather_rig_expect_all(b, SESSIONS);
	assert_true(keys_gather_over(b->gather));
	/* One of them was enough. */
	assert_int_equal(gather_rig_fetched(b, 0) + gather_rig_fetched(b, 1), SESSIONS);
}

static void what_each_vault_has_is_fetched_there(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, SESSIONS);
	for (unsigned v = 0; v < 2; v++) {
		gather_rig_store_epoch(b, v);
		gather_rig_store(b, v, v * SESSIONS / 2, SESSIONS / 2, false);
	}
	gather_rig_talk(b);
	gather_rig_want(b, SESSIONS);
	gather_rig_talk(b);
	gather_rig_expect_all(b, SESSIONS);
	assert_int_equal(gather_rig_fetched(b, 0), SESSIONS / 2);
	assert_int_equal(gather_rig_fetched(b, 1), SESSIONS / 2);
}

static void key_exchanges_come_in_their_order(void **state)
{
	struct box *b = *state;

	gather_rig_seal_ssh(b, 5);
	gather_rig_both_have(b, 5);
	gather_rig_want(b, 1);
	gather_rig_talk(b);
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

	gather_rig_seal_ssh(b, 3);
	gather_rig_store_epoch(b, 0);
	gather_rig_store(b, 0, 0, 1, false);
	gather_rig_store(b, 0, 1, 1, true);
	gather_rig_store(b, 0, 2, 1, false);
	gather_rig_talk(b);
	gather_rig_want(b, 1);
	gather_rig_talk(b);
	assert_int_equal(b->done, 1);
	assert_int_equal(b->found[0].reason, SEAL_FORGED);
	assert_int_equal(b->found[0].n, 2);
	assert_int_equal(b->found[0].got[0].opened.index.number, b->known[0].number);
	assert_int_equal(b->found[0].got[1].opened.index.number, b->known[2].number);
}

static void nobody_waits_for_vaults_that_are_not_connected(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 2); /* of the third nobody has told */
	for (unsigned v = 0; v < 2; v++)
		gather_rig_disconnect(&b->side[v]);
	gather_rig_want(b, 3);
	gather_rig_expect_none(b, 3, KEYS_UNREACHABLE);
	assert_true(keys_gather_over(b->gather));
}

static void what_no_vault_has_is_missing(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 2);
	gather_rig_talk(b);
	gather_rig_want(b, 2);
	gather_rig_expect_none(b, 2, KEYS_MISSING);
}

static void what_a_lost_vault_may_have_is_not_missing(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 2);
	gather_rig_talk(b);
	gather_rig_disconnect(&b->side[1]);
	gather_rig_want(b, 2);
	gather_rig_expect_none(b, 2, KEYS_UNREACHABLE);
}

static void a_vault_that_hangs_has_half_of_the_time(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, SESSIONS);
	gather_rig_both_have(b, SESSIONS);
	b->side[0].hangs = true;
	gather_rig_want(b, SESSIONS);
	b->now_ns += BUDGET_NS / 2 - 1;
	gather_rig_talk(b);
	assert_int_equal(b->done, 0);
	b->now_ns += 1;
	gather_rig_talk(b);
	gather_rig_expect_all(b, SESSIONS);
	assert_int_equal(gather_rig_fetched(b, 1), SESSIONS);
}

/* It alone has some of it: that is asked for again, until the end. */
static void a_slow_vault_that_alone_has_something_has_all_the_time(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 4);
	for (unsigned v = 0; v < 2; v++)
		gather_rig_store_epoch(b, v);
	gather_rig_store(b, 0, 0, 4, false);
	gather_rig_store(b, 1, 0, 2, false);
	gather_rig_talk(b);
	b->side[0].hangs = true;
	gather_rig_want(b, 4);
	b->now_ns += BUDGET_NS / 2;
	gather_rig_talk(b);
	assert_int_equal(b->done, 0);
	assert_int_equal(gather_rig_fetched(b, 1), 2);
	b->side[0].hangs = false;
	gather_rig_talk(b);
	gather_rig_expect_all(b, 4);
}

/* What one vault has of them is told at once; the other one, which hangs, holds up its own alone.
 */
static void nobody_waits_for_the_keys_of_others(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 4);
	for (unsigned v = 0; v < 2; v++)
		gather_rig_store_epoch(b, v);
	gather_rig_store(b, 0, 0, 2, false);
	gather_rig_store(b, 1, 2, 2, false);
	gather_rig_talk(b);
	b->side[1].hangs = true;
	gather_rig_want(b, 4);
	gather_rig_talk(b);
	assert_int_equal(b->done, 0);
	assert_int_equal(b->told, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(b->times[i], 1);
		assert_int_equal(b->found[i].reason, SEAL_OK);
		assert_int_equal(b->found[i].n, 1);
	}
	b->side[1].hangs = false;
	gather_rig_talk(b);
	gather_rig_expect_all(b, 4);
}

static void at_the_deadline_it_comes_back_with_what_there_is(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 4);
	gather_rig_store_epoch(b, 0);
	gather_rig_store(b, 0, 0, 2, false);
	gather_rig_store_epoch(b, 1);
	gather_rig_store(b, 1, 2, 2, false);
	gather_rig_talk(b);
	b->side[1].hangs = true;
	gather_rig_want(b, 4);
	gather_rig_talk(b);
	assert_int_equal(b->done, 0);
	b->now_ns = keys_gather_next_ns(b->gather);
	keys_gather_step(b->gather, b->now_ns);
	assert_int_equal(b->done, 1);
	assert_int_equal(gather_rig_live(b), 2);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(b->found[i].n, i < 2);
		assert_int_equal(b->found[i].reason, i < 2 ? (int)SEAL_OK : (int)KEYS_DEADLINE);
	}
	assert_false(keys_gather_over(b->gather)); /* the vault has the errand */
	gather_rig_talk(b);
	assert_true(keys_gather_over(b->gather));
}

static void what_is_opened_too_late_is_released(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 4);
	gather_rig_both_have(b, 4);
	b->hold = true;
	gather_rig_want(b, 4);
	gather_rig_talk(b);
	assert_int_equal(b->done, 0);
	b->now_ns += BUDGET_NS;
	gather_rig_talk(b);
	gather_rig_expect_none(b, 4, KEYS_DEADLINE);
	assert_false(keys_gather_over(b->gather));
	b->hold = false;
	gather_rig_talk(b);
	assert_int_equal(gather_rig_live(b), 0);
	assert_true(keys_gather_over(b->gather));
}

static void what_one_vault_forges_the_other_has(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, SESSIONS);
	for (unsigned v = 0; v < 2; v++) {
		gather_rig_store_epoch(b, v);
		gather_rig_store(b, v, 0, SESSIONS, v == 0);
	}
	gather_rig_talk(b);
	gather_rig_want(b, SESSIONS);
	gather_rig_talk(b);
	gather_rig_expect_all(b, SESSIONS);
	assert_int_equal(gather_rig_fetched(b, 0), SESSIONS);
}

static void what_is_forged_everywhere_is_told_so(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	for (unsigned v = 0; v < 2; v++) {
		gather_rig_store_epoch(b, v);
		gather_rig_store(b, v, 0, 3, v == 0);
	}
	gather_rig_talk(b);
	gather_rig_lose_all(&b->side[1]); /* what it does not have is the lesser matter */
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	gather_rig_expect_none(b, 3, SEAL_FORGED);
}

static void what_one_vault_has_lost_the_other_has(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, SESSIONS);
	gather_rig_both_have(b, SESSIONS);
	gather_rig_lose_all(&b->side[0]);
	gather_rig_want(b, SESSIONS);
	gather_rig_talk(b);
	gather_rig_expect_all(b, SESSIONS);
}

static void what_all_have_lost_is_missing(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	for (unsigned v = 0; v < 2; v++)
		gather_rig_lose_all(&b->side[v]);
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	gather_rig_expect_none(b, 3, KEYS_MISSING);
}

static void what_is_lost_with_a_connection_the_other_has(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, SESSIONS);
	gather_rig_both_have(b, SESSIONS);
	b->side[0].hangs = true;
	gather_rig_want(b, SESSIONS);
	gather_rig_talk(b);
	assert_int_equal(b->done, 0);
	gather_rig_disconnect(&b->side[0]);
	gather_rig_talk(b);
	gather_rig_expect_all(b, SESSIONS);
}

static void what_a_vault_refuses_the_other_has(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	/* To this one we are somebody else by now. */
	b->side[0].us.who.role = IDENTITY_ORIGIN;
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	gather_rig_expect_all(b, 3);
	assert_int_equal(gather_rig_fetched(b, 0), 0);
}

static void what_all_refuse_is_told_so(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	for (unsigned v = 0; v < 2; v++)
		b->side[v].us.who.role = IDENTITY_ORIGIN;
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	gather_rig_expect_none(b, 3, KEYS_VAULT_REFUSED);
}

static void why_an_epoch_is_refused_is_why_its_records_are(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	seal_rig_revoke(&b->seal, b->seal.web1);
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	gather_rig_expect_none(b, 3, SEAL_REVOKED);
}

static void what_has_no_epoch_says_so(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	gather_rig_disconnect(&b->side[1]);
	b->side[0].without_epochs = true;
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	gather_rig_expect_none(b, 3, SEAL_UNKNOWN_EPOCH);
	assert_int_equal(gather_rig_fetched(b, 0), 3); /* once: it was told that there is none */
}

static void the_epoch_of_another_vault_will_do(void **state)
{
	struct box *b = *state;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	b->side[0].without_epochs = true;
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	gather_rig_expect_all(b, 3);
	assert_int_equal(gather_rig_fetched(b, 0), 3);
	assert_int_equal(gather_rig_fetched(b, 1), 3);
}

static void an_epoch_in_the_place_of_another_says_so(void **state)
{
	struct box *b = *state;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed other;

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	gather_rig_disconnect(&b->side[1]);
	assert_int_equal(sealer_epoch(b->seal.sealer, RIG_NOW_NS, id, &other), 0);
	b->side[0].other_epoch = &other;
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	sealed_free(&other);
	gather_rig_expect_none(b, 3, SEAL_UNKNOWN_EPOCH);
}

static void an_epoch_that_was_forgotten_meanwhile_is_fetched(void **state)
{
	struct box *b = *state;
	uint8_t id[EPOCH_ID_BYTES];

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	gather_rig_disconnect(&b->side[1]);
	assert_int_equal(
		opener_epoch(b->seal.opener, bytes_of(b->epoch.p, b->epoch.n), RIG_NOW_NS, id),
		SEAL_OK);
	gather_rig_want(b, 3); /* without it */
	opener_forget_epoch(b->seal.opener, id);
	gather_rig_talk(b);
	gather_rig_expect_all(b, 3);
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
	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	gather_rig_want(b, 3);
	gather_rig_talk(b);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(keys_arena_release(b->arena, taken[i]), 0);
	gather_rig_expect_none(b, 3, KEYS_NO_ROOM);
	assert_int_equal(gather_rig_fetched(b, 1), 0); /* another vault does not help */
}

static void nothing_is_fetched_before_it_is_approved(void **state)
{
	struct box *b = *state;
	struct keys_case c = {.failover = "web1-1"};

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	b->want.failover = "web1-1";
	assert_int_equal(keys_approval_ask(b->approval, &c, b->now_ns), KEYS_WAITS);
	gather_rig_want(b, 3);
	assert_int_equal(keys_gather_next_ns(b->gather), b->now_ns + BUDGET_NS);
	b->now_ns += BUDGET_NS - 1;
	gather_rig_talk(b);
	assert_int_equal(b->done, 0);
	assert_int_equal(gather_rig_fetched(b, 0) + gather_rig_fetched(b, 1), 0);
	assert_int_equal(keys_approval_confirm(b->approval, "web1-1", false, b->now_ns),
			 KEYS_DECIDED);
	keys_gather_step(b->gather, b->now_ns);
	assert_int_equal(keys_gather_next_ns(b->gather), b->now_ns + BUDGET_NS);
	gather_rig_talk(b);
	gather_rig_expect_all(b, 3);
}

static void what_is_not_approved_is_never_fetched(void **state)
{
	struct box *b = *state;
	struct keys_case c = {.failover = "web1-1"};

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	b->want.failover = "web1-1";
	assert_int_equal(keys_approval_ask(b->approval, &c, b->now_ns), KEYS_WAITS);
	gather_rig_want(b, 3);
	b->now_ns = keys_gather_next_ns(b->gather);
	gather_rig_talk(b);
	gather_rig_expect_none(b, 3, KEYS_NOT_APPROVED);
	assert_int_equal(gather_rig_fetched(b, 0) + gather_rig_fetched(b, 1), 0);
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

	gather_rig_seal(b, 3);
	gather_rig_both_have(b, 3);
	gather_rig_disconnect(&b->side[1]);
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
	gather_rig_want(b, 3);
	assert_int_equal(b->done, 0);
	gather_rig_talk(b);
	gather_rig_expect_all(b, 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, gather_rig_setup, gather_rig_teardown)
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
		TEST(nobody_waits_for_the_keys_of_others),
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
