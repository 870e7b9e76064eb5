/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When a join counts as continued (join-proof.h). */
#include "test-join-rig.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static struct join_config config(void)
{
	return JOIN_CONFIG_DEFAULT;
}

static bool proven(struct rig *r, uint64_t id)
{
	pthread_mutex_lock(&r->lock);
	bool is = r->end[id].proven;
	pthread_mutex_unlock(&r->lock);
	return is;
}

static void wait_until_proven(struct rig *r, uint64_t id)
{
	pthread_mutex_lock(&r->lock);
	while (!r->end[id].proven)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* What the old server had sent is no proof, nor what the client sends; the backup's byte is. */
static void test_proven_by_a_new_byte(void **st)
{
	struct rig *r = rig_new(config());
	int client;
	struct join_request q = rig_request(r, 1, &client);
	q.first_out_n = 4;
	q.first_out = rig_copy("tail", 4);
	rig_submit(r, &q);
	rig_expect_bytes(client, "tail");
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	assert_false(proven(r, 1));
	rig_send(backend, "y", 1);
	rig_expect_bytes(client, "y");
	wait_until_proven(r, 1);
	rig_reset(backend);
	rig_expect_reset(client);
	close(client);
	rig_expect(r, 1, "backend-reset");
	rig_free(r);
}

/* The bytes are in the kernel, but nobody has them. */
static void test_not_proven_by_what_nobody_takes(void **st)
{
	struct rig *r = rig_new(config());
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_shrink(client, SO_RCVBUF);
	q.first_out_n = 4 * MIB;
	q.first_out = calloc(1, q.first_out_n);
	assert_non_null(q.first_out);
	rig_submit(r, &q);
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	rig_send(backend, "y", 1);
	rig_reset(client);
	rig_expect(r, 1, "client-reset"); /* the backend: RST or FIN, as it had read its "y" */
	assert_false(proven(r, 1));
	close(backend);
	rig_free(r);
}

static void test_proven_by_agreement(void **st)
{
	struct rig *r = rig_new(config());
	int agreed, silent;
	struct join_request q = rig_request(r, 1, &agreed), p = rig_request(r, 2, &silent);
	p.agreed = false;
	rig_submit(r, &p);
	q.agreed = true;
	rig_submit(r, &q);
	wait_until_proven(r, 1);
	rig_reset(silent);
	rig_expect(r, 2, "client-reset");
	assert_false(proven(r, 2));
	close(agreed);
	rig_expect(r, 1, NULL);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proven_by_a_new_byte),
		cmocka_unit_test(test_not_proven_by_what_nobody_takes),
		cmocka_unit_test(test_proven_by_agreement),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
