/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backup-tls.h"
#include "backup-watch.h"
#include "base/clock.h"
#include "test/backup-rig.h"

/* A backup: accepts, and serves handshakes until it is stopped; or hangs. */
struct backup {
	int listener;
	struct endpoint at;
	SSL_CTX *_Atomic x;         /* NULL: it hangs */
	const char *_Atomic agrees; /* to STARTTLS, by this; NULL: it speaks TLS at once */
	pthread_t thread;
	atomic_int shaken;
};

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void hears(int fd, const char *text)
{
	char c;

	for (; *text && recv(fd, &c, 1, 0) == 1; text++)
		assert_int_equal(c, *text);
}

static void *backup_main(void *arg)
{
	struct backup *b = arg;
	int fd;

	while ((fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		SSL_CTX *x = b->x;
		SSL *ssl = x ? SSL_new(x) : NULL;
		char c;
		if (b->agrees) {
			say(fd, "220 a, \r\n");
			hears(fd, "EHLO localhost\r\n");
			say(fd, "250-a\r\n250-b\r\n250 STARTTLS\r\n");
			hears(fd, "STARTTLS\r\n");
			say(fd, b->agrees);
		}
		if (!ssl) {
			while (recv(fd, &c, 1, 0) > 0)
				;
		} else {
			SSL_set_fd(ssl, fd);
			if (SSL_accept(ssl) == 1) {
				b->shaken++;
				SSL_read(ssl, &c, 1);
				SSL_shutdown(ssl);
			}
			ERR_clear_error();
		}
		SSL_free(ssl);
		close(fd);
	}
	return NULL;
}

static void backup_start(struct backup *b, SSL_CTX *x)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sin;

	*b = (struct backup){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .x = x};
	assert_int_equal(bind(b->listener, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(listen(b->listener, 16), 0);
	assert_int_equal(getsockname(b->listener, (struct sockaddr *)&sin, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sin, &b->at), 0);
	assert_int_equal(pthread_create(&b->thread, NULL, backup_main, b), 0);
}

static void backup_stop(struct backup *b)
{
	shutdown(b->listener, SHUT_RDWR);
	pthread_join(b->thread, NULL);
	close(b->listener);
}

static struct backup_tls *shared_of(const char *ca)
{
	struct backup_tls *t = NULL;
	char error[256];

	assert_int_equal(
		backup_tls_new(&(struct backup_tls_config){.ca = ca, .name = "web.example"}, &t,
			       error, sizeof error),
		0);
	return t;
}

static struct backup_watch *watch(struct backup_watch_target *v, uint32_t n, int64_t timeout_ns)
{
	struct backup_watch_config c = {.targets = v,
					.count = n,
					.interval_ns = 20 * NS_PER_MS,
					.retry_ns = 20 * NS_PER_MS,
					.timeout_ns = timeout_ns};
	struct backup_watch *w = NULL;

	assert_int_equal(backup_watch_start(&c, &w), 0);
	return w;
}

/* Waits until @server is ready, or is not for a reason with @text in it. */
static void expect(struct backup_watch *w, uint32_t server, const char *text)
{
	int64_t until = clock_mono_ns() + 60 * NS_PER_S;
	char why[BACKUP_WATCH_WHY_STRLEN] = "";

	for (;;) {
		bool ready = backup_watch_ready(w, server, why);
		if (text ? !ready && strstr(why, text) : ready)
			return;
		if (clock_mono_ns() > until)
			fail_msg("not '%s' but %s", text ? text : "ready", ready ? "ready" : why);
		usleep(1000);
	}
}

static void test_who_would_be_believed(void **state)
{
	SSL_CTX *good = backup_rig_server(&(struct backup_rig_options){0});
	SSL_CTX *expired = backup_rig_server(&(struct backup_rig_options){.expired = true});
	struct backup b[3];
	struct backup_tls *t[3];
	struct backup_watch_target v[4];

	for (int i = 0; i < 3; i++) {
		backup_start(&b[i], i == 1 ? expired : i == 2 ? NULL : good);
		t[i] = shared_of(backup_rig_ca());
		v[i] = (struct backup_watch_target){(uint32_t)i, "web1", 443, b[i].at, t[i]};
	}
	/* A second backup of the first server, which nobody listens for. */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sin;
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	v[3] = (struct backup_watch_target){3, "web4", 443, {.port = 0}, t[0]};
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sin, &v[3].backup), 0);

	struct backup_watch *w = watch(v, 4, 300 * NS_PER_MS);
	expect(w, 0, NULL);
	expect(w, 1, "web1:443: backup 127.0.0.1: certificate has expired");
	expect(w, 2, "web1:443: backup 127.0.0.1: it does not answer the handshake");
	expect(w, 3, "web4:443: backup 127.0.0.1: Connection refused");
	expect(w, 4, NULL); /* it has none */
	/* What the operator mends is found. */
	b[1].x = good;
	expect(w, 1, NULL);
	b[0].x = expired;
	expect(w, 0, "certificate has expired");
	w = backup_watch_stop(w);
	close(fd);
	for (int i = 0; i < 3; i++) {
		backup_stop(&b[i]);
		backup_tls_free(t[i]);
	}
	SSL_CTX_free(good);
	SSL_CTX_free(expired);
}

static const struct backup_watch_words words[] = {
	{"220", "EHLO localhost\r\n"}, {"250", "STARTTLS\r\n"}, {"220", NULL}};

/* One that has to be asked for TLS first. */
static void test_starttls(void **state)
{
	SSL_CTX *good = backup_rig_server(&(struct backup_rig_options){0});
	SSL_CTX *expired = backup_rig_server(&(struct backup_rig_options){.expired = true});
	struct backup_tls *t = shared_of(backup_rig_ca());
	struct backup b;
	backup_start(&b, good);
	b.agrees = "220 go\r\n";
	struct backup_watch_target v = {0, "mx", 25, b.at, t, words};
	struct backup_watch *w = watch(&v, 1, 300 * NS_PER_MS);

	expect(w, 0, NULL);
	b.x = expired;
	expect(w, 0, "mx:25: backup 127.0.0.1: certificate has expired");
	b.agrees = "454 not now\r\n";
	expect(w, 0, "it does not offer TLS");
	b.agrees = "220 go\r\n250 said by somebody else\r\n";
	expect(w, 0, "it goes on in plain");
	b.agrees = "220 go";
	expect(w, 0, "it does not answer in plain");
	b.x = good;
	b.agrees = "220 go\r\n";
	expect(w, 0, NULL);
	backup_watch_stop(w);
	backup_stop(&b);
	backup_tls_free(t);
	SSL_CTX_free(good);
	SSL_CTX_free(expired);
}

/* The tickets of a question serve the next one, and a takeover. */
static void test_tickets_are_kept(void **state)
{
	for (int tls12 = 0; tls12 < 2; tls12++) {
		SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){.tls12 = tls12});
		struct backup b;
		struct backup_tls *t = shared_of(backup_rig_ca());
		struct backup_tls_stats n;
		backup_start(&b, x);
		struct backup_watch_target v = {0, "web1", 443, b.at, t};
		struct backup_watch *w = watch(&v, 1, 10 * NS_PER_S);
		while (b.shaken < 5)
			usleep(1000);
		backup_watch_stop(w);
		backup_tls_stats(t, &n);
		assert_int_equal(n.full, 1);
		assert_true(n.resumed >= 3);
		backup_stop(&b);
		backup_tls_free(t);
		SSL_CTX_free(x);
	}
}

/* More than are asked at once, and most of them hang. */
static void test_many_hang(void **state)
{
	SSL_CTX *x = backup_rig_server(&(struct backup_rig_options){0});
	struct backup good, hangs;
	struct backup_tls *t = shared_of(backup_rig_ca()), *u = shared_of(backup_rig_ca());
	struct backup_watch_target v[40];

	backup_start(&good, x);
	backup_start(&hangs, NULL);
	for (uint32_t i = 0; i < 40; i++)
		v[i] = (struct backup_watch_target){i, "s", 443, i < 39 ? hangs.at : good.at,
						    i < 39 ? u : t};
	struct backup_watch *w = watch(v, 40, 100 * NS_PER_MS);
	expect(w, 39, NULL);
	expect(w, 38, "it does not answer");
	backup_watch_stop(w);
	backup_stop(&good);
	backup_stop(&hangs);
	backup_tls_free(t);
	backup_tls_free(u);
	SSL_CTX_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_would_be_believed),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_tickets_are_kept),
		cmocka_unit_test(test_many_hang),
	};

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets */
	return cmocka_run_group_tests(tests, NULL, backup_rig_deinit);
}
