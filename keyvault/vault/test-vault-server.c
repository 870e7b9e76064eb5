/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server of jeebs-keyvault in a process of its own, and peers that are sockets of this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keyvault/seal/authority.h"
#include "vault-link.h"
#include "vault-server.h"

#define PATIENCE_NS (20 * NS_PER_S)

struct who {
	struct identity *identity;
	SSL_CTX *context;
};

/* What all tests share: a directory with a CA, and the vault that serves it. */
static struct world {
	char dir[64];
	struct authority ca;
	struct trust *trust;
	struct endpoint at, metrics;
	pid_t server;
	struct who web1, recovery;
} w;

static char error[512];

/* ---- the vault ---------------------------------------------------------------------------------
 */

static void choose_port(struct endpoint *ret)
{
	struct sockaddr_storage a;
	socklen_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(endpoint_parse("127.0.0.1", true, ret), 0);
	n = endpoint_to_sockaddr(ret, &a);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	n = sizeof a;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&a, ret), 0);
	close(fd);
}

static pid_t serve(const char *dir)
{
	const struct vault_server_config c = {
		.dir = dir,
		.listen = w.at,
		.metrics = w.metrics,
		.store = {.size_bytes = 64 << 20,
			  .origin_records = 1000,
			  .origin_bytes = 8 << 20,
			  .keep_ns = 3600 * NS_PER_S},
	};
	char why[256];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(vault_server_run(&c, why, sizeof why) == 0 ? 0 : 1);
}

static int status_of(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static const char *in_dir(const char *name)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", w.dir, name);
	return p;
}

static struct who who_is(const char *certificate, const char *key, enum identity_role role)
{
	struct who r;

	assert_int_equal(identity_open(in_dir(certificate), in_dir(key), role, &r.identity, error,
				       sizeof error),
			 0);
	assert_int_equal(vault_tls_context(r.identity, w.trust, &r.context), 0);
	return r;
}

static void forget(struct who *p)
{
	SSL_CTX_free(p->context);
	identity_close(p->identity);
}

static int begin_world(void **state)
{
	struct netaddr address;

	assert_int_equal(netaddr_parse("10.9.0.1", &address), 0);
	strcpy(w.dir, "/tmp/test-vault-server-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	strcat(w.dir, "/v");
	w.ca = (struct authority){.dir = w.dir, .now_ns = clock_real_ns()};
	assert_int_equal(authority_init(&w.ca, error, sizeof error), 0);
	assert_int_equal(authority_add_origin(&w.ca, "web1", &address, 1, error, sizeof error), 0);
	assert_int_equal(authority_add_origin(&w.ca, "web2", &address, 1, error, sizeof error), 0);
	assert_int_equal(trust_open(in_dir("ca.crt"), NULL, &w.trust, error, sizeof error), 0);
	w.web1 = who_is("origins/web1/origin.crt", "origins/web1/origin.key", IDENTITY_ORIGIN);
	w.recovery = who_is("recovery.crt", "recovery.key", IDENTITY_RECOVERY);
	choose_port(&w.at);
	choose_port(&w.metrics);
	w.server = serve(w.dir);
	return 0;
}

static int end_world(void **state)
{
	char command[128];

	if (w.server > 0)
		kill(w.server, SIGKILL);
	forget(&w.web1);
	forget(&w.recovery);
	trust_close(w.trust);
	w.dir[strlen(w.dir) - 2] = 0;
	snprintf(command, sizeof command, "rm -rf %s", w.dir);
	return system(command);
}

/* ---- peers -------------------------------------------------------------------------------------
 */

static void step(struct vault_link *l, const struct who *as)
{
	(void)vault_link_step(l, as->context, clock_mono_ns());
	poll(NULL, 0, 1);
}

static void enter(struct vault_link *l, const struct who *as)
{
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;

	vault_link_init(l, &w.at);
	while (l->state != LINK_UP) {
		step(l, as);
		assert_true(clock_mono_ns() < until_ns);
	}
}

static struct vault_frame answer(struct vault_link *l, const struct who *as)
{
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;
	struct vault_frame f;

	while (vault_tls_frame(l->tls, &f) != VAULT_WIRE_OK) {
		step(l, as);
		assert_int_equal(l->state, LINK_UP);
		assert_true(clock_mono_ns() < until_ns);
	}
	return f;
}

/* Until the vault lets it go. */
static void is_let_go(struct vault_link *l, const struct who *as)
{
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;

	while (l->state == LINK_UP) {
		step(l, as);
		assert_true(clock_mono_ns() < until_ns);
	}
}

static void is_served(struct vault_link *l, const struct who *as)
{
	vault_wire_put_plain(vault_tls_out(l->tls), VAULT_PING, 77);
	struct vault_frame f = answer(l, as);
	assert_int_equal(f.type, VAULT_DONE);
	assert_int_equal(f.request, 77);
}

static int stranger(const struct endpoint *at)
{
	struct sockaddr_storage a;
	socklen_t n = endpoint_to_sockaddr(at, &a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, n), 0);
	return fd;
}

/* Has the other end closed it? */
static bool is_closed(int fd, int timeout_ms)
{
	struct pollfd p = {fd, POLLIN, 0};
	char c;

	return poll(&p, 1, timeout_ms) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) <= 0;
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void each_may_what_its_role_may(void **state)
{
	struct vault_link recovery, web1;

	enter(&recovery, &w.recovery);
	is_served(&recovery, &w.recovery);
	enter(&web1, &w.web1);
	vault_wire_put_watch(vault_tls_out(web1.tls), 9, 0);
	struct vault_frame f = answer(&web1, &w.web1);
	assert_int_equal(f.type, VAULT_REFUSED);
	assert_int_equal(f.request, 9);
	assert_int_equal(f.refused.why, VAULT_NOT_YOUR_ROLE);
	vault_link_deinit(&web1);
	vault_link_deinit(&recovery);
}

/* Nobody without a certificate keeps others out: the oldest stranger makes room. */
static void strangers_do_not_keep_others_out(void **state)
{
	struct vault_link recovery;
	int fd[VAULT_STRANGERS_MAX + 1];

	for (int i = 0; i <= VAULT_STRANGERS_MAX; i++)
		fd[i] = stranger(&w.at);
	assert_true(is_closed(fd[0], 20000));
	for (int i = 1; i <= VAULT_STRANGERS_MAX; i++)
		assert_false(is_closed(fd[i], 0));
	enter(&recovery, &w.recovery);
	is_served(&recovery, &w.recovery);
	assert_true(is_closed(fd[1], 20000));
	vault_link_deinit(&recovery);
	for (int i = 0; i <= VAULT_STRANGERS_MAX; i++)
		close(fd[i]);
}

static void one_name_has_so_many_connections(void **state)
{
	struct vault_link l[VAULT_PEERS_PER_NAME + 1], other;

	for (int i = 0; i <= VAULT_PEERS_PER_NAME; i++)
		enter(&l[i], &w.recovery);
	is_let_go(&l[VAULT_PEERS_PER_NAME], &w.recovery);
	for (int i = 0; i < VAULT_PEERS_PER_NAME; i++)
		is_served(&l[i], &w.recovery);
	enter(&other, &w.web1); /* of another name */
	vault_link_deinit(&other);
	for (int i = 0; i <= VAULT_PEERS_PER_NAME; i++)
		vault_link_deinit(&l[i]);
}

static void who_talks_nonsense_is_let_go_alone(void **state)
{
	struct vault_link bad, good;

	enter(&bad, &w.recovery);
	enter(&good, &w.recovery);
	assert_int_equal(buf_append(vault_tls_out(bad.tls), "\0\0\0\5\377\0\0\0\1", 9), 0);
	is_let_go(&bad, &w.recovery);
	is_served(&good, &w.recovery);
	vault_link_deinit(&bad);
	vault_link_deinit(&good);
}

/* Frames that come together are all answered, also those beyond one turn. */
static void many_frames_at_once_are_answered(void **state)
{
	struct vault_link l;

	enter(&l, &w.recovery);
	for (uint32_t i = 0; i < 300; i++)
		vault_wire_put_plain(vault_tls_out(l.tls), VAULT_PING, i + 1);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(answer(&l, &w.recovery).request, i + 1);
	vault_link_deinit(&l);
}

/* At once, and without being told. */
static void who_is_revoked_is_let_go(void **state)
{
	struct who web2 =
		who_is("origins/web2/origin.crt", "origins/web2/origin.key", IDENTITY_ORIGIN);
	struct vault_link l, other;

	enter(&l, &web2);
	enter(&other, &w.web1);
	assert_int_equal(authority_revoke(&w.ca, "web2", error, sizeof error), 0);
	is_let_go(&l, &web2);
	vault_link_deinit(&l);
	assert_int_equal(other.state, LINK_UP);
	vault_wire_put_watch(vault_tls_out(other.tls), 3, 0); /* is heard still */
	assert_int_equal(answer(&other, &w.web1).type, VAULT_REFUSED);
	vault_link_deinit(&other);
	forget(&web2);
}

/* What @path says; in @ret, with its head. */
static void read_page(const char *path, char *ret, size_t size)
{
	char request[80];
	size_t n = 0;
	ssize_t r;
	int fd = stranger(&w.metrics);

	snprintf(request, sizeof request, "GET %s HTTP/1.0\r\n\r\n", path);
	assert_true(write(fd, request, strlen(request)) > 0);
	while (n < size - 1 && (r = read(fd, ret + n, size - 1 - n)) > 0)
		n += (size_t)r;
	ret[n] = 0;
	close(fd);
}

static void says(const char *path, const char *text)
{
	static char page[64 << 10];
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;

	do {
		read_page(path, page, sizeof page);
		if (strstr(page, text))
			return;
		poll(NULL, 0, 20);
	} while (clock_mono_ns() < until_ns);
	fail_msg("%s does not say %s but\n%s", path, text, page);
}

static void its_pages_are_there(void **state)
{
	struct vault_link a, b;

	enter(&a, &w.recovery);
	enter(&b, &w.web1);
	says("/metrics", "\njeebs_keyvault_peers 2\n");
	says("/metrics", "\njeebs_keyvault_records 0\n");
	says("/readyz", "stores; 0 records of 0 servers");
	vault_link_deinit(&b);
	says("/metrics", "\njeebs_keyvault_peers 1\n");
	vault_link_deinit(&a);
}

static void it_says_why_it_cannot_serve(void **state)
{
	const struct vault_server_config taken = {
		.dir = w.dir,
		.listen = w.at, /* the other one has it */
		.store = {.size_bytes = 64 << 20, .origin_records = 1, .origin_bytes = 1 << 20},
	};
	struct vault_server_config nowhere = taken;
	char why[256];

	nowhere.dir = "/nonexistent";
	assert_true(vault_server_run(&nowhere, why, sizeof why) < 0);
	assert_non_null(strstr(why, "/nonexistent"));
	assert_true(vault_server_run(&taken, why, sizeof why) < 0);
	assert_true(strlen(why) > 0);
}

/* The last one. */
static void it_ends_in_order(void **state)
{
	struct vault_link l;

	enter(&l, &w.recovery);
	kill(w.server, SIGTERM);
	is_let_go(&l, &w.recovery);
	assert_string_equal(l.why, "closed by the peer");
	vault_link_deinit(&l);
	assert_int_equal(status_of(w.server), 0);
	w.server = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_may_what_its_role_may),
		cmocka_unit_test(strangers_do_not_keep_others_out),
		cmocka_unit_test(one_name_has_so_many_connections),
		cmocka_unit_test(who_talks_nonsense_is_let_go_alone),
		cmocka_unit_test(many_frames_at_once_are_answered),
		cmocka_unit_test(who_is_revoked_is_let_go),
		cmocka_unit_test(its_pages_are_there),
		cmocka_unit_test(it_says_why_it_cannot_serve),
		cmocka_unit_test(it_ends_in_order),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, begin_world, end_world);
}
