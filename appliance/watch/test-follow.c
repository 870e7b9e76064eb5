/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys of a connection that is followed with them: asked for now and then, given back once. */
#include "follow.h"

#include "base/private-memory.h"
#include "test/watch-rig.h"

static int asked, lent, back, seen;
static bool there;
static uint8_t *taken; /* of scratch, by the last call */

static void *lend(void *ctx, const struct jeebs_flow *jf, struct jeebs_keys **ret_keys,
		  const struct jeebs_crypto_ops **ret_crypto)
{
	static const struct jeebs_crypto_ops ops;

	asked++;
	if (!there)
		return NULL;
	lent++;
	*ret_keys = (struct jeebs_keys *)&there;
	*ret_crypto = &ops;
	return &lent;
}

static void lease_back(void *ctx, void *lease)
{
	assert_ptr_equal(lease, &lent);
	assert_int_equal(rig.closed, 0); /* nobody has been told of its end */
	back++;
}

static int follow_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b,
		       int64_t now_ns)
{
	const struct rig_state *s = state;
	const struct jeebs_crypto_ops *ops;
	struct jeebs_keys *keys = NULL;

	assert_true(JEEBS_HAS(s->ops, scratch));
	seen = s->ops->keys(s->flow, &keys, &ops);
	assert_int_equal(keys == (void *)&there, seen == JEEBS_KEYS_THERE);
	taken = s->ops->scratch(s->flow, 64);
	assert_non_null(taken);
	assert_int_equal(taken[0], 0); /* what was there before is gone */
	memset(taken, 1, 64);
	return rig_data(state, dir, off, b, now_ns);
}

static struct jeebs_module module;

static int setup(void **state)
{
	rig_setup(state);
	rig_teardown(state);
	module = rig_module;
	module.data = follow_data;
	asked = lent = back = 0;
	there = false;
	rig.service.module = &module;
	rig.service.live_keys = true;
	rig.hooks = (struct watch_hooks){.lend = lend, .lease_back = lease_back};
	rig_start(4 << 20);
	return 0;
}

static void test_asked_now_and_then(void **state)
{
	rig_handshake();
	for (int i = 0; i < 10; i++)
		client(TCP_ACK, i * 10, 0, 10);
	assert_int_equal(seen, JEEBS_KEYS_AWAITED);
	assert_int_equal(asked, 1);
	rig.now_ns += FOLLOW_AGAIN_NS;
	there = true;
	client(TCP_ACK, 100, 0, 10);
	assert_int_equal(seen, JEEBS_KEYS_THERE);
	rig.now_ns += FOLLOW_AGAIN_NS;
	server(TCP_ACK, 0, 110, 10);
	assert_int_equal(seen, JEEBS_KEYS_THERE);
	assert_int_equal(asked, 2);
	assert_int_equal(lent, 1);
	assert_int_equal(taken[0], 0);
}

static void test_not_awaited_for_ever(void **state)
{
	rig_handshake();
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(seen, JEEBS_KEYS_AWAITED);
	rig.now_ns += FOLLOW_AWAIT_NS;
	client(TCP_ACK, 10, 0, 10);
	assert_int_equal(seen, JEEBS_KEYS_NONE);
	there = true; /* they may come still */
	rig.now_ns += FOLLOW_AGAIN_NS;
	client(TCP_ACK, 20, 0, 10);
	assert_int_equal(seen, JEEBS_KEYS_THERE);
}

static void test_only_where_they_are_to_be_followed(void **state)
{
	rig.service.live_keys = false;
	there = true;
	rig_handshake();
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(seen, JEEBS_KEYS_NONE);
	assert_int_equal(asked, 0);
}

/* Whoever goes on with the connection has keys of his own. */
static void test_given_back(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	there = true;
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(lent, 1);
	void *mine = watch_detach(jf);
	assert_int_equal(back, 1);
	module.close(mine);
	free(mine);
	rig.client.port++;
	rig_handshake();
	client(TCP_ACK, 10, 0, 0);
	rig.bytes[0] = 0;
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(lent, 2);
	rig.data_result = JEEBS_GIVE_UP;
	client(TCP_ACK, 10, 0, 10);
	assert_int_equal(back, 2);
	rig.data_result = JEEBS_OK;
	rig.client.port++;
	rig_handshake();
	rig.bytes[0] = 0;
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(lent, 3);
	client(TCP_RST, 10, 0, 0);
	assert_int_equal(back, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asked_now_and_then, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_not_awaited_for_ever, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_only_where_they_are_to_be_followed, setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(test_given_back, setup, rig_teardown),
	};

	return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
