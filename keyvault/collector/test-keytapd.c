/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop of the collector, in a process of its own: taps are sockets of this one, the vault is
 * played here too. Whatever is waited for, is waited for by what it does.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keyvault/seal/authority.h"
#include "keyvault/seal/test/seal-rig.h"
#include "keyvault/seal/trust.h"
#include "keyvault/vault/vault-tls.h"
#include "keytapd.h"

#define PATIENCE_NS (20 * NS_PER_S)
#define MANY        40 /* more than are taken of one peer in a turn */

static char dir[64], origin[96], path[96], metrics[96], error[512];
static struct trust *trust;
static struct identity *vault_identity;
static SSL_CTX *context;

/* What the vault has had since the collector was started. */
static struct {
	int listener;
	struct vault_tls *tls; /* NULL: nobody is connected */
	bool silent;           /* does not answer */
	unsigned connections, epochs, appends, records, ended;
} vault;

static pid_t collector;
static struct keytapd_config config;

static int setup_files(void **state)
{
	struct netaddr address;
	char crt[96], key[96], ca[96], crl[96];

	strcpy(dir, "/tmp/test-keytapd-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(origin, sizeof origin, "%s/origins/web1", dir);
	snprintf(path, sizeof path, "%s/socket", dir);
	snprintf(metrics, sizeof metrics, "%s/keytapd.prom", dir);
	snprintf(crt, sizeof crt, "%s/vault.crt", dir);
	snprintf(key, sizeof key, "%s/vault.key", dir);
	snprintf(ca, sizeof ca, "%s/ca.crt", dir);
	snprintf(crl, sizeof crl, "%s/ca.crl", dir);
	struct authority a = {.dir = dir, .now_ns = clock_real_ns()};
	assert_int_equal(authority_init(&a, error, sizeof error), 0);
	assert_int_equal(netaddr_parse("10.9.0.1", &address), 0);
	assert_int_equal(authority_add_origin(&a, "web1", &address, 1, error, sizeof error), 0);
	assert_int_equal(trust_open(ca, crl, &trust, error, sizeof error), 0);
	assert_int_equal(
		identity_open(crt, key, IDENTITY_VAULT, &vault_identity, error, sizeof error), 0);
	assert_int_equal(vault_tls_context(vault_identity, trust, &context), 0);
	return 0;
}

static int teardown_files(void **state)
{
	char command[128];

	SSL_CTX_free(context);
	identity_close(vault_identity);
	trust_close(trust);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* ---- the vault ------------------------------------------------------------------------------- */

static void vault_hang_up(void)
{
	vault_tls_free(vault.tls);
	vault.tls = NULL;
}

static void take_frame(const struct vault_frame *f)
{
	vault.epochs += f->type == VAULT_EPOCH;
	vault.appends += f->type == VAULT_APPEND;
	vault.records += f->type == VAULT_APPEND ? f->list.n : 0;
	vault.ended += f->type == VAULT_ENDED ? f->list.n : 0;
	if (!vault.silent)
		vault_wire_put_plain(vault_tls_out(vault.tls), VAULT_STORED, f->request);
}

static void vault_step(void)
{
	struct vault_frame f;

	if (!vault.tls) {
		int fd = accept4(vault.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		assert_int_equal(vault_tls_new(context, fd, true, &vault.tls), 0);
		vault.connections++;
	}
	if (vault_tls_step(vault.tls) != VAULT_TLS_OK) {
		vault_hang_up();
		return;
	}
	while (vault_tls_ready(vault.tls) && vault_tls_frame(vault.tls, &f) == VAULT_WIRE_OK)
		take_frame(&f);
	if (vault_tls_out(vault.tls)->n > 0 && vault_tls_send(vault.tls) != VAULT_TLS_OK)
		vault_hang_up();
}

/* Until @done, the vault doing its part. */
#define UNTIL(done)                                                                              \
	do {                                                                                     \
		int64_t end_ns = clock_mono_ns() + PATIENCE_NS;                                  \
		while (!(done)) {                                                                \
			struct pollfd p = {vault.tls ? vault_tls_fd(vault.tls) : vault.listener, \
					   POLLIN, 0};                                           \
			(void)poll(&p, 1, 5);                                                    \
			vault_step();                                                            \
			if (clock_mono_ns() > end_ns)                                            \
				fail_msg("it does not come: %s", #done);                         \
		}                                                                                \
	} while (0)

static bool is_connected(void)
{
	return vault.tls && vault_tls_ready(vault.tls);
}

/* ---- the collector --------------------------------------------------------------------------- */

static int serve(const struct keytapd_config *c)
{
	char why[512];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(120);
	if (seal_secure_heap((size_t)1 << 20) < 0)
		return 3;
	int r = keytapd_run(c, why, sizeof why);
	if (r < 0)
		fprintf(stderr, "%s\n", why);
	return r < 0;
}

static bool is_there(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0;
}

static void start(uint32_t wait_ms, bool closed)
{
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
	socklen_t n = sizeof a;

	memset(&vault, 0, sizeof vault);
	vault.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(vault.listener, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(vault.listener, 16), 0);
	assert_int_equal(getsockname(vault.listener, (struct sockaddr *)&a, &n), 0);
	config = (struct keytapd_config){
		.dir = origin,
		.socket = path,
		.socket_mode = 0620,
		.metrics_file = metrics,
		.collector = {.vaults = 1,
			      .closed = closed,
			      .wait_ms = wait_ms,
			      .queue_bytes = 1 << 20},
	};
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&a, &config.vault[0]), 0);
	fflush(NULL);
	collector = fork();
	if (collector == 0)
		_exit(serve(&config));
	UNTIL(is_there(path) && is_connected());
}

/* As its status. */
static int end(int signal)
{
	int status = -1;

	assert_int_equal(kill(collector, signal), 0);
	UNTIL(waitpid(collector, &status, WNOHANG) == collector);
	vault_hang_up();
	close(vault.listener);
	return status;
}

/* ---- taps ------------------------------------------------------------------------------------ */

static int tap_connect(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void say(int fd, struct bytes b)
{
	assert_int_equal(send(fd, b.p, b.n, MSG_NOSIGNAL), b.n);
}

static void say_keys(int fd, uint32_t number)
{
	uint8_t room[TAP_MESSAGE_MAX], keys[SESSION_KEYS_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	writer_u8(&w, TAP_WIRE_VERSION);
	writer_u8(&w, TAP_KEYS);
	writer_u32be(&w, number);
	writer_copy(&w, keys, seal_rig_keys("10.9.0.1:443", number, keys));
	say(fd, writer_view(&w));
}

/* What came; false: nothing yet. *ret_gone: nothing will. */
static bool heard(int fd, struct tap_message *ret, bool *ret_gone)
{
	static uint8_t room[64];
	ssize_t n = recv(fd, room, sizeof room, 0);

	*ret_gone = n == 0 || (n < 0 && errno == ECONNRESET);
	return n > 0 && tap_wire_read(bytes_of(room, (size_t)n), ret) == TAP_WIRE_OK;
}

static bool is_gone(int fd)
{
	struct tap_message m;
	bool gone;

	(void)heard(fd, &m, &gone);
	return gone;
}

static int greeted(uint32_t wait_ms, bool closed)
{
	struct tap_hello h = {.program = "test"};
	uint8_t room[64];
	struct writer w = WRITER_IN(room);
	struct tap_message m;
	bool gone;
	int fd = tap_connect();

	tap_wire_hello(&w, &h);
	say(fd, writer_view(&w));
	UNTIL(heard(fd, &m, &gone));
	assert_int_equal(m.type, TAP_WELCOME);
	assert_int_equal(m.welcome.wait_ms, wait_ms);
	assert_int_equal(m.welcome.closed, closed);
	return fd;
}

static enum tap_result answered(int fd, uint32_t number)
{
	struct tap_message m;
	bool gone;

	UNTIL(heard(fd, &m, &gone));
	assert_int_equal(m.type, TAP_ANSWER);
	assert_int_equal(m.answer.number, number);
	return m.answer.result;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_stored(void **state)
{
	struct stat st;

	start(5000, false);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0620);
	int fd = greeted(5000, false);
	say_keys(fd, 1);
	assert_int_equal(answered(fd, 1), TAP_STORED);
	assert_int_equal(vault.epochs, 1);
	assert_int_equal(vault.records, 1);
	close(fd);
	assert_int_equal(end(SIGTERM), 0);
	assert_false(is_there(path));
	/* Who waits for its socket may begin before it is there, and in the place of an old one. */
	start(5000, true);
	close(greeted(5000, true));
	assert_int_equal(end(SIGTERM), 0);
}

/* All that peers have said while the collector did nothing is heard, each answered once. */
static void test_many_at_once(void **state)
{
	int fd[3];

	start(10000, false);
	for (int i = 0; i < 3; i++)
		fd[i] = greeted(10000, false);
	assert_int_equal(kill(collector, SIGSTOP), 0);
	for (uint32_t n = 0; n < MANY; n++) {
		for (int i = 0; i < 3; i++)
			say_keys(fd[i], n);
	}
	assert_int_equal(kill(collector, SIGCONT), 0);
	for (uint32_t n = 0; n < MANY; n++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(answered(fd[i], n), TAP_STORED);
	}
	assert_int_equal(vault.records, 3 * MANY);
	assert_true(vault.appends < 3 * MANY / 2); /* and together */
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	assert_int_equal(end(SIGTERM), 0);
}

/* It is let go, with what it said behind that; the others are not. */
static void malformed(struct bytes what)
{
	int good = greeted(5000, false), bad = greeted(5000, false);
	unsigned records = vault.records;

	assert_int_equal(kill(collector, SIGSTOP), 0);
	say(bad, what);
	say_keys(bad, 7);
	assert_int_equal(kill(collector, SIGCONT), 0);
	UNTIL(is_gone(bad));
	say_keys(good, 8);
	assert_int_equal(answered(good, 8), TAP_STORED);
	assert_int_equal(vault.records, records + 1);
	close(good);
	close(bad);
}

static void test_malformed(void **state)
{
	static const uint8_t much[2 * TAP_MESSAGE_MAX] = {TAP_WIRE_VERSION, TAP_KEYS};

	start(5000, false);
	malformed(bytes_str("GET / HTTP/1.1"));
	malformed(bytes_of(much, TAP_MESSAGE_MAX));
	malformed(bytes_of(much, TAP_MESSAGE_MAX + 1));
	malformed(bytes_of(much, sizeof much));
	/* One that never says hello. */
	int fd = tap_connect();
	UNTIL(is_gone(fd));
	close(fd);
	assert_int_equal(end(SIGTERM), 0);
}

/* Too late for the tap, and stored nevertheless, by the next connection. */
static void test_vault_is_lost(void **state)
{
	start(40, false);
	int fd = greeted(40, false);
	vault.silent = true;
	say_keys(fd, 1);
	assert_int_equal(answered(fd, 1), TAP_NOT_STORED);
	UNTIL(vault.records == 1);
	vault_hang_up();
	vault.silent = false;
	UNTIL(vault.records == 2);
	assert_int_equal(vault.connections, 2);
	assert_int_equal(vault.epochs, 2);
	close(fd);
	/* Until then, nothing is lost: it ends when all is told. */
	fd = greeted(40, false);
	vault.silent = true;
	say_keys(fd, 2);
	assert_int_equal(answered(fd, 2), TAP_NOT_STORED);
	vault.silent = false;
	vault_hang_up();
	assert_int_equal(end(SIGTERM), 0);
	assert_int_equal(vault.records >= 3, true);
	close(fd);
}

static void test_closed(void **state)
{
	start(40, true);
	int fd = greeted(40, true);
	vault.silent = true;
	say_keys(fd, 1);
	assert_int_equal(answered(fd, 1), TAP_NOT_ALLOWED);
	close(fd);
	vault.silent = false;
	assert_int_equal(end(SIGTERM), 0);
}

/* With its files it begins a new connection and a new epoch; taps notice nothing. */
static void test_reload(void **state)
{
	start(5000, false);
	int fd = greeted(5000, false);
	say_keys(fd, 1);
	assert_int_equal(answered(fd, 1), TAP_STORED);
	assert_int_equal(kill(collector, SIGHUP), 0);
	UNTIL(vault.connections == 2 && is_connected());
	say_keys(fd, 2);
	assert_int_equal(answered(fd, 2), TAP_STORED);
	assert_int_equal(vault.records, 2);
	assert_true(vault.epochs >= 2);
	close(fd);
	assert_int_equal(end(SIGINT), 0);
}

static bool says(const char *line)
{
	static char text[64 << 10];
	int fd = open(metrics, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return strstr(text, line) != NULL;
}

static void test_metrics(void **state)
{
	start(5000, false);
	int fd = greeted(5000, false);
	say_keys(fd, 1);
	assert_int_equal(answered(fd, 1), TAP_STORED);
	assert_int_equal(kill(collector, SIGUSR1), 0); /* now, and not within 5 s */
	UNTIL(says("\njeebs_keytapd_records_stored_total 1\n"));
	close(fd);
	assert_int_equal(end(SIGTERM), 0);
}

static void test_cannot_begin(void **state)
{
	struct keytapd_config c = {.dir = "/nowhere", .socket = path, .collector.vaults = 1};

	assert_int_equal(keytapd_run(&c, error, sizeof error), -ENOENT);
	assert_non_null(strstr(error, "/nowhere"));
	c.dir = origin;
	c.socket = "/nowhere/socket";
	c.collector.queue_bytes = 1 << 20;
	assert_int_equal(keytapd_run(&c, error, sizeof error), -ENOENT);
	assert_non_null(strstr(error, "/nowhere/socket"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored),    cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_vault_is_lost),
		cmocka_unit_test(test_closed),    cmocka_unit_test(test_reload),
		cmocka_unit_test(test_metrics),   cmocka_unit_test(test_cannot_begin),
	};

	return cmocka_run_group_tests(tests, setup_files, teardown_files);
}
