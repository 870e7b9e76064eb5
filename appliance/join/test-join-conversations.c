/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many conversations at once, with transfers of every kind, that end in every way. */
#include "test/join-rig.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	WORKERS = 4,
	LIVES = 60,
	TRANSFERS = 4,
};

/* One conversation. The client sends 'l' (listen for me), or 'c' and a port (connect to me). */
struct life {
	struct rig_script script;
	struct rig *r;
	struct jeebs_join *main;
	uint8_t word[3];
	uint32_t word_n;
};

static void open_channel(struct jeebs_join *c, const struct life *l,
			 const struct jeebs_join_ops *ops)
{
	if (c == NULL)
		return;
	ops->pass(c, JEEBS_TO_SERVER);
	ops->pass(c, JEEBS_TO_CLIENT);
	ops->backend_port(c, l->r->backend.port);
}

static void obey(struct life *l, const struct jeebs_join_ops *ops)
{
	struct jeebs_address a;
	uint16_t port = 0;

	l->word_n = 0;
	if (l->word[0] == 'l') {
		open_channel(ops->listen_client(l->main, &port), l, ops);
		ops->to_client(l->main, (struct jeebs_bytes){(const uint8_t *)&port, sizeof port});
		return;
	}
	ops->address(l->main, JEEBS_END_CLIENT, &a);
	memcpy(&a.port, l->word + 1, sizeof a.port);
	open_channel(ops->connect_client(l->main, &a, 0), l, ops);
}

static void step(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct life *l = (struct life *)(void *)s;

	if (event == JEEBS_EV_START)
		l->main = j;
	if (j != l->main)
		return;
	for (size_t i = 0; event == JEEBS_EV_CLIENT_DATA && i < b.n; i++) {
		l->word[l->word_n++] = b.p[i];
		if (l->word[0] == 'l' || l->word_n == 3)
			obey(l, ops);
	}
	if (event == JEEBS_EV_CLIENT_EOF)
		ops->finish_client(j);
}

/* The backup sends back what it gets. */
static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint8_t piece[16 * 1024];
	ssize_t n;

	while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
		if (send(fd, piece, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	close(fd);
	return NULL;
}

static void *run_backup(void *arg)
{
	struct rig *r = arg;
	pthread_t threads[WORKERS * LIVES * TRANSFERS];
	uint32_t n = 0;
	int fd;

	while ((fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		rig_time_limit(fd);
		pthread_create(&threads[n++], NULL, echo, (void *)(intptr_t)fd);
	}
	while (n > 0)
		pthread_join(threads[--n], NULL);
	return NULL;
}

/* Makes a transfer. */
static int open_transfer(int client, bool active)
{
	struct endpoint at;
	uint16_t port;

	if (!active) {
		rig_send(client, "l", 1);
		rig_recv(client, &port, sizeof port);
		assert_int_equal(endpoint_parse("127.0.0.1", true, &at), 0);
		at.port = port;
		return rig_connect(&at);
	}
	int listener = rig_listen(1, &at);
	uint8_t word[3] = {'c'};
	memcpy(word + 1, &at.port, 2);
	rig_send(client, word, 3);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	rig_time_limit(fd);
	close(listener);
	return fd;
}

struct worker {
	struct rig *r;
	uint32_t index;
	pthread_t thread;
	struct life life[LIVES];
};

static void live(struct worker *w, uint32_t i, uint32_t random)
{
	struct life *l = &w->life[i];
	uint64_t id = w->index * LIVES + i;
	uint32_t n = 1 + (random >> 4) % TRANSFERS, how = (random >> 8) % 6;
	int client, fd[TRANSFERS];
	struct join_request q = rig_request(w->r, id, &client);

	*l = (struct life){.script.step = step, .r = w->r};
	rig_with_script(&q, &l->script);
	rig_submit(w->r, &q);
	for (uint32_t t = 0; t < n; t++)
		fd[t] = open_transfer(client, random >> (16 + t) & 1);
	if (how == 0) /* ends in order: the transfers go on */
		shutdown(client, SHUT_WR);
	if (how == 1) { /* a reset ends all transfers */
		rig_reset(client);
		for (uint32_t t = 0; t < n; t++) {
			rig_expect_reset(fd[t]);
			close(fd[t]);
		}
		return;
	}
	for (uint32_t t = 0; t < n; t++) {
		if (how == 2 && t == 0) { /* one transfer is reset, the others go on */
			rig_send_stream(fd[t], id + 1, 100);
			rig_reset(fd[t]);
			continue;
		}
		rig_send_stream(fd[t], id + t + 1, random % 30000);
		shutdown(fd[t], SHUT_WR);
		rig_recv_stream(fd[t], id + t + 1, random % 30000);
		rig_expect_eof(fd[t]);
		close(fd[t]);
	}
	if (how == 0)
		rig_expect_eof(client);
	close(client);
}

static void *run_lives(void *arg)
{
	struct worker *w = arg;
	uint32_t random = w->index * 2654435761u + 7;

	for (uint32_t i = 0; i < LIVES; i++) {
		random = random * 1664525u + 1013904223u;
		live(w, i, random ^ random >> 13);
	}
	return NULL;
}

static void test_conversations_of_every_kind(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.threads = 2;
	c.buffers = 2;
	c.buffer_bytes = 5000;
	struct rig *r = rig_new(c);
	struct worker *w = calloc(WORKERS, sizeof *w);
	struct join_stats s;
	pthread_t backup;

	assert_non_null(w);
	assert_int_equal(pthread_create(&backup, NULL, run_backup, r), 0);
	for (uint32_t i = 0; i < WORKERS; i++) {
		w[i].r = r;
		w[i].index = i;
		assert_int_equal(pthread_create(&w[i].thread, NULL, run_lives, &w[i]), 0);
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(w[i].thread, NULL);
	rig_wait_all(r, WORKERS * LIVES);
	while (join_active(r->pool) > 0) /* the last one is being freed */
		;
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.closed + s.aborted, WORKERS * LIVES);
	assert_true(s.channels >= WORKERS * LIVES);
	assert_int_equal(s.channel_failed + s.channel_ceiling + s.strangers, 0);
	assert_int_equal(r->states_freed, WORKERS * LIVES);
	shutdown(r->listener, SHUT_RDWR);
	pthread_join(backup, NULL);
	free(w);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations_of_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
