/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When a join counts as continued (join-proof.h). */
#include "test/join-rig.h"

#include <linux/sockios.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* What the kernel reports as unacknowledged by the client; -1: the truth. */
static _Atomic int unacknowledged = -1;

int __real_ioctl(int fd, unsigned long request, int *n);
int __wrap_ioctl(int fd, unsigned long request, int *n);
int __wrap_ioctl(int fd, unsigned long request, int *n)
{
	if (request == SIOCOUTQ && unacknowledged >= 0) {
		*n = unacknowledged;
		return 0;
	}
	return __real_ioctl(fd, request, n);
}

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

/*
 * Neither bytes that the old server had sent nor bytes of the client are a proof. A byte of the
 * backup is.
 */
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

/* The bytes are in the kernel, but the client has not acknowledged them. */
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
	/* Of the backend: a RST or a FIN, since it had read its "y". */
	rig_expect(r, 1, "client-reset");
	assert_false(proven(r, 1));
	close(backend);
	rig_free(r);
}

/* A connection that is examined after all others that wait now. */
static void let_it_look(struct rig *r, uint64_t id)
{
	int client = rig_client(r, id), backend;

	rig_send(client, "x", 1);
	backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	rig_send(backend, "y", 1);
	rig_expect_bytes(client, "y");
	wait_until_proven(r, id);
	rig_reset(backend);
	rig_expect_reset(client);
	close(client);
	rig_expect(r, id, "backend-reset");
}

/* The client has the head of an answer, but nothing of what follows in larger segments. */
static void test_not_proven_by_less_than_a_segment(void **st)
{
	struct rig *r = rig_new(config());
	int client = rig_client(r, 1);
	char got[1000] = {0};

	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	unacknowledged = (int)sizeof got;
	rig_send(backend, got, sizeof got);
	rig_recv(client, got, sizeof got);
	unacknowledged = 700; /* of the other connection's single byte: all of it */
	rig_send(client, "z", 1);
	rig_expect_bytes(backend, "z");
	int other = rig_client(r, 2);
	rig_send(other, "x", 1);
	int other_backend = rig_accept(r);
	rig_expect_bytes(other_backend, "x");
	char many[65536] = {0};
	rig_send(other_backend, many, sizeof many);
	rig_send(other_backend, many, 700);
	rig_recv(other, many, sizeof many);
	wait_until_proven(r, 2);
	assert_false(proven(r, 1));
	unacknowledged = -1;
	wait_until_proven(r, 1);
	rig_reset(backend);
	rig_expect_reset(client);
	close(client);
	rig_expect(r, 1, "backend-reset");
	rig_reset(other_backend);
	close(other);
	rig_wait(r, 2);
	rig_free(r);
}

static void ask_and_pass(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event != JEEBS_EV_START)
		return;
	ops->connect_backend(j);
	ops->to_backend(j, rig_text("q"));
	ops->pass(j, JEEBS_TO_SERVER);
	ops->pass(j, JEEBS_TO_CLIENT);
}

/* The client has everything, and has asked for more. */
static void test_not_idle_while_an_answer_is_owed(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = ask_and_pass};
	int client;
	struct join_request q = rig_request(r, 1, &client);

	q.agreed = true;
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "q");
	let_it_look(r, 2);
	assert_false(proven(r, 1));
	rig_send(backend, "a", 1);
	rig_expect_bytes(client, "a");
	wait_until_proven(r, 1);
	rig_reset(backend);
	rig_expect_reset(client);
	close(client);
	rig_expect(r, 1, "backend-reset");
	rig_free(r);
}

/* No answer comes as long as the upload lasts. */
static void test_upload_is_proven_by_what_the_backup_took(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = ask_and_pass};
	int client;
	struct join_request q = rig_request(r, 1, &client);

	q.agreed = true;
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "q");
	let_it_look(r, 2);
	assert_false(proven(r, 1));
	struct rig_flow more = {.fd = client, .seed = 5, .n = MIB, .finish = true};
	rig_start_send(&more);
	rig_recv_stream(backend, 5, MIB);
	wait_until_proven(r, 1);
	rig_join(&more);
	rig_expect_eof(backend);
	close(backend);
	rig_expect(r, 1, NULL);
	close(client);
	rig_free(r);
}

/*
 * The client has not acknowledged everything of the old server. That it still sends proves nothing
 * about that.
 */
static void test_upload_without_agreement(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = ask_and_pass};
	int client;
	struct join_request q = rig_request(r, 1, &client);

	rig_with_script(&q, &s);
	rig_submit(r, &q);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "q");
	rig_send(client, "more", 4);
	rig_expect_bytes(backend, "more");
	let_it_look(r, 2);
	assert_false(proven(r, 1));
	close(client);
	rig_expect_eof(backend);
	close(backend);
	rig_expect(r, 1, NULL); /* an end in order settles it, too */
	rig_free(r);
}

/* The client acknowledged everything and left; nobody has looked at that since. */
static void test_proven_before_it_is_reset(void **st)
{
	struct rig *r = rig_new(config());
	int client = rig_client(r, 1);

	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	unacknowledged = 1;
	rig_send(backend, "y", 1);
	rig_expect_bytes(client, "y");
	close(client);
	rig_expect_eof(backend);
	assert_false(proven(r, 1));
	unacknowledged = -1;
	rig_reset(backend);
	rig_expect(r, 1, "backend-reset");
	assert_true(proven(r, 1));
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
		cmocka_unit_test(test_not_proven_by_less_than_a_segment),
		cmocka_unit_test(test_not_idle_while_an_answer_is_owed),
		cmocka_unit_test(test_upload_is_proven_by_what_the_backup_took),
		cmocka_unit_test(test_upload_without_agreement),
		cmocka_unit_test(test_proven_before_it_is_reset),
		cmocka_unit_test(test_proven_by_agreement),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
