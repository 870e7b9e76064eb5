/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A module that does nothing, built in one right and several wrong ways for test-module-host.c. */
#include "jeebs/recovery-module.h"

#ifndef TEST_ABI
#define TEST_ABI JEEBS_MODULE_ABI
#endif
#ifndef TEST_SIZE
#define TEST_SIZE sizeof(struct jeebs_module)
#endif
#ifndef TEST_STATE
#define TEST_STATE 8
#endif
#ifndef TEST_PLAN
#define TEST_PLAN test_plan
#endif
#ifndef TEST_DETECT
#define TEST_DETECT NULL
#endif
#ifndef TEST_PORTS
#define TEST_PORTS NULL
#endif
#ifndef TEST_UNSEAL
#define TEST_UNSEAL NULL
#endif
#ifndef TEST_COMPANION
#define TEST_COMPANION NULL
#endif
#ifndef TEST_FLAGS
#define TEST_FLAGS 0
#endif
#ifndef TEST_NAME
#define TEST_NAME "probe"
#endif

static int test_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		     const struct jeebs_service *svc)
{
	return JEEBS_OK;
}

static int test_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	return JEEBS_GIVE_UP;
}

static int test_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	return JEEBS_GIVE_UP;
}

static int test_fin(void *state, uint32_t dir, uint64_t off)
{
	return JEEBS_OK;
}

static size_t test_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	return 0;
}

static int test_restore(void *state, struct jeebs_bytes checkpoint)
{
	return JEEBS_GIVE_UP;
}

__attribute__((unused)) static uint32_t test_detect(struct jeebs_bytes to_server,
						    struct jeebs_bytes to_client)
{
	return JEEBS_DETECT_NO;
}

__attribute__((unused)) static void test_plan(const void *state, const struct jeebs_cut *cut,
					      struct jeebs_plan *ret)
{
	ret->verdict = JEEBS_REFUSE;
	ret->reason = "test";
}

static void test_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
}

static void test_close(void *state) {}

__attribute__((unused)) static const uint16_t test_ports[] = {7000, 7001, 0};

const struct jeebs_module test_module = {
	.abi = TEST_ABI,
	.size = TEST_SIZE,
	.name = TEST_NAME,
	.version = "1",
	.state_size = TEST_STATE,
	.flags = TEST_FLAGS,
	.open = test_open,
	.data = test_data,
	.gap = test_gap,
	.fin = test_fin,
	.checkpoint = test_checkpoint,
	.restore = test_restore,
	.plan = TEST_PLAN,
	.resume = test_resume,
	.close = test_close,
	.detect = TEST_DETECT,
	.companion = TEST_COMPANION,
	.ports = TEST_PORTS,
	.unseal = TEST_UNSEAL,
};

#ifndef TEST_NO_SYMBOL
JEEBS_MODULE_EXPORT(test_module);
#endif
