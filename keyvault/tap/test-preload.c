/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands in front of libc and OpenSSL does what is behind it. This program is linked with the
 * library before all others, which is what preloading does; it starts itself anew with a TCP
 * connection on standard input, as sshd is.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>

#include <cmocka.h>

#include "keyvault/record/tap-wire.h"

#define LISTENER 50
#define CLIENT   51

static const uint8_t k[36] = {0, 0, 0, 32, 1, 2, 3}, h[32] = {4}, id[32] = {5};
static int collector; /* our connection to the tap in this process */

/* ---- before the tap is there ------------------------------------------------------------------
 */

static void be_sshd(char *self)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t n = sizeof in;
	int tcp = socket(AF_INET, SOCK_STREAM, 0), seq = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "/tmp/test-preload-%d", (int)getpid());
	unlink(un.sun_path);
	if (bind(tcp, (struct sockaddr *)&in, sizeof in) < 0 || listen(tcp, 1) < 0 ||
	    getsockname(tcp, (struct sockaddr *)&in, &n) < 0 ||
	    connect(client, (struct sockaddr *)&in, sizeof in) < 0 ||
	    dup2(accept(tcp, NULL, NULL), STDIN_FILENO) < 0 || dup2(client, CLIENT) < 0 ||
	    bind(seq, (struct sockaddr *)&un, sizeof un) < 0 || listen(seq, 8) < 0 ||
	    dup2(seq, LISTENER) < 0)
		abort();
	setenv("JEEBS_KEYTAP", un.sun_path, 1);
	execl("/proc/self/exe", self, NULL);
	abort();
}

/* ---- helpers ----------------------------------------------------------------------------------
 */

static struct tap_message told_to(int fd, uint8_t room[static TAP_MESSAGE_MAX])
{
	struct tap_message m;
	ssize_t n = recv(fd, room, TAP_MESSAGE_MAX, MSG_DONTWAIT);

	assert_true(n > 0);
	assert_int_equal(tap_wire_read(bytes_of(room, (size_t)n), &m), TAP_WIRE_OK);
	return m;
}

static void nothing_told(void)
{
	char b;

	assert_int_equal(recv(collector, &b, 1, MSG_DONTWAIT), -1);
}

/* The descriptor of the tap: the high one whose peer is ours. */
static int link_fd(void)
{
	for (int fd = 200; fd < 210; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return fd;
	return -1;
}

static void hash_like_sshd(char letter, uint8_t out[static 32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned n;

	assert_int_equal(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL), 1);
	assert_int_equal(EVP_DigestUpdate(ctx, k, sizeof k), 1);
	assert_int_equal(EVP_DigestUpdate(ctx, h, sizeof h), 1);
	assert_int_equal(EVP_DigestUpdate(ctx, &letter, 1), 1);
	assert_int_equal(EVP_DigestUpdate(ctx, id, sizeof id), 1);
	assert_int_equal(EVP_DigestFinal_ex(ctx, out, &n), 1);
	assert_int_equal(n, 32);
	EVP_MD_CTX_free(ctx);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void test_hello_of_the_one_connection(void **state)
{
	uint8_t room[TAP_MESSAGE_MAX];
	struct sockaddr_in in;
	socklen_t n = sizeof in;

	collector = accept(LISTENER, NULL, NULL);
	struct tap_message m = told_to(collector, room);
	assert_int_equal(m.type, TAP_HELLO);
	assert_true(m.hello.one_connection);
	assert_string_equal(m.hello.program, program_invocation_short_name);
	assert_int_equal(getsockname(CLIENT, (struct sockaddr *)&in, &n), 0);
	assert_int_equal(m.hello.client.port, ntohs(in.sin_port));
	/* Nobody is to wait. */
	struct writer w = WRITER_IN(room);
	tap_wire_welcome(&w, &(struct tap_welcome){0});
	assert_int_equal(send(collector, room, writer_pos(&w), 0), (ssize_t)writer_pos(&w));
}

static void test_an_exchange_is_told_once(void **state)
{
	uint8_t out[32], all[32], text[sizeof k + sizeof h + 1 + sizeof id], room[TAP_MESSAGE_MAX];
	struct session_keys keys;

	errno = 77;
	for (char letter = 'A'; letter <= 'F'; letter++) {
		hash_like_sshd(letter, out);
		memcpy(text, k, sizeof k);
		memcpy(text + sizeof k, h, sizeof h);
		text[sizeof k + sizeof h] = (uint8_t)letter;
		memcpy(text + sizeof k + sizeof h + 1, id, sizeof id);
		assert_int_equal(EVP_Digest(text, sizeof text, all, NULL, EVP_sha256(), NULL), 1);
		assert_memory_equal(out, all, 32);
	}
	assert_int_equal(errno, 77);
	struct tap_message m = told_to(collector, room);
	assert_int_equal(m.type, TAP_KEYS);
	assert_int_equal(session_keys_read(m.keys.keys, &keys), SESSION_KEYS_OK);
	assert_int_equal(keys.protocol, KEYS_SSH);
	assert_int_equal(keys.ssh.hash, SSH_SHA256);
	assert_true(bytes_eq(keys.ssh.k, bytes_of(k, sizeof k)));
	assert_true(bytes_eq(keys.ssh.session_id, bytes_of(id, sizeof id)));
	nothing_told();
}

static void test_a_child_says_hello(void **state)
{
	uint8_t room[TAP_MESSAGE_MAX], out[32];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		hash_like_sshd('A', out);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	int child = accept(LISTENER, NULL, NULL);
	assert_int_equal(told_to(child, room).type, TAP_HELLO);
	assert_int_equal(told_to(child, room).type, TAP_KEYS);
	assert_int_equal(recv(child, room, 1, 0), 0);
	close(child);
	nothing_told();
}

static void test_what_is_read(void **state)
{
	char a[4] = "", b[8] = "";
	struct iovec v[] = {{a, 2}, {b, 8}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	int p[2], s[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
	assert_int_equal(write(p[1], "abcdef", 6), 6);
	assert_int_equal(read(p[0], a, 2), 2);
	assert_memory_equal(a, "ab", 2);
	assert_int_equal(readv(p[0], v, 2), 4);
	assert_memory_equal(a, "cd", 2);
	assert_memory_equal(b, "ef", 2);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(s[1], "123456789", 9, 0), 9);
	assert_int_equal(recv(s[0], a, 4, MSG_TRUNC), 9); /* more than there was room for */
	assert_int_equal(recvfrom(s[0], a, 4, 0, NULL, NULL), 4);
	assert_int_equal(recvmsg(s[0], &m, 0), 9);
	errno = 0;
	assert_int_equal(recv(s[0], a, 4, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(read(p[1], a, 1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(close(p[0]) + close(p[1]) + close(s[0]) + close(s[1]), 0);
	assert_int_equal(close(p[0]), -1);
	assert_int_equal(errno, EBADF);
}

static void is_closed(int fd)
{
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* For whoever closes all there is, the tap's is not there, and stays. */
static void test_those_who_close(void **state)
{
	int own = link_fd(), below = dup(CLIENT), above = fcntl(CLIENT, F_DUPFD, own + 5);
	uint8_t out[32], room[TAP_MESSAGE_MAX];

	assert_true(own >= 200);
	assert_int_equal(close(own), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(close_range((unsigned)below, ~0U, 0x40000000), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(close_range(9, 8, 0), -1);
	assert_int_equal(close_range((unsigned)above, (unsigned)above, 0), 0);
	is_closed(above);
	assert_true(fcntl(below, F_GETFD) >= 0);
	above = fcntl(CLIENT, F_DUPFD, own + 5);
	assert_int_equal(close_range((unsigned)own, (unsigned)above, 0), 0);
	is_closed(above);
	above = fcntl(CLIENT, F_DUPFD, own + 5);
	closefrom(own - 1);
	is_closed(above);
	assert_true(fcntl(own, F_GETFD) & FD_CLOEXEC);
	hash_like_sshd('A', out);
	assert_int_equal(told_to(collector, room).type, TAP_KEYS);
	close(below);
}

/* Whoever takes the number gets it, and no keys. */
static void test_those_who_take_the_number(void **state)
{
	int own = link_fd(), p[2];
	uint8_t out[32];
	char b;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, p), 0);
	assert_int_equal(dup2(own, own), own);
	assert_int_equal(dup2(p[0], own), own);
	hash_like_sshd('A', out);
	assert_int_equal(recv(p[1], &b, 1, 0), -1);
	assert_int_equal(recv(collector, &b, 1, 0), 0);
	assert_int_equal(close(own), 0);
}

typedef int (*sprintf_chk_fn)(char *s, int flag, size_t size, const char *format, ...);

/* The tap's own: a sanitizer's stands in front of it. */
static sprintf_chk_fn tap_sprintf_chk(void)
{
	sprintf_chk_fn fn = (sprintf_chk_fn)dlsym(RTLD_NEXT, "__sprintf_chk");

	assert_non_null(fn);
	return fn;
}

/* The short way for one byte of a key log, and the long one for all else. */
static void test_what_is_printed(void **state)
{
	sprintf_chk_fn tap = tap_sprintf_chk();
	static const unsigned values[] = {0, 9, 10, 0x7f, 0xff, 0x100, 0xdeadbeef};
	char is[32], should[32];

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		int n = snprintf(should, sizeof should, "%02x", values[i]);
		assert_int_equal(tap(is, 0, sizeof is, "%02x", values[i]), n);
		assert_string_equal(is, should);
	}
	assert_int_equal(tap(is, 0, 3, "%02x", 0xa5U), 2);
	assert_string_equal(is, "a5");
	assert_int_equal(tap(is, 0, sizeof is, "%02x:%s %ld", 7U, "x", -1L), 7);
	assert_string_equal(is, "07:x -1");
}

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#endif

#ifndef SANITIZED /* whose printf looks at no room */
/* Where there is no room for the byte it is seen, as always. */
static void test_what_does_not_fit(void **state)
{
	sprintf_chk_fn tap = tap_sprintf_chk();
	volatile size_t room = 2; /* the compiler sees it, too */
	char is[32];
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		_exit(tap(is, 0, room, "%02x", 0xa5U));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_of_the_one_connection),
		cmocka_unit_test(test_an_exchange_is_told_once),
		cmocka_unit_test(test_a_child_says_hello),
		cmocka_unit_test(test_what_is_read),
		cmocka_unit_test(test_those_who_close),
		cmocka_unit_test(test_what_is_printed),
#ifndef SANITIZED
		cmocka_unit_test(test_what_does_not_fit),
#endif
		cmocka_unit_test(test_those_who_take_the_number),
	};

	if (!getenv("JEEBS_KEYTAP"))
		be_sshd(argv[0]);
	alarm(60); /* who waits for a tap in vain */
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(getenv("JEEBS_KEYTAP"));
	return failed;
}
