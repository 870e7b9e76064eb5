/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connection to a vault that is a socket of this test; time is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bell.h"
#include "base/clock.h"
#include "keyvault/seal/test/seal-rig.h"
#include "vault-link.h"

#define CENTURY_DAYS 36500 /* handshakes go by the clock of the wall */
#define PATIENCE_NS  (20 * NS_PER_S)

/* ---- a token that does not sign (link option --wrap) ---- */

static _Atomic bool hangs;

int __real_vault_tls_step(struct vault_tls *t);
int __wrap_vault_tls_step(struct vault_tls *t);

int __wrap_vault_tls_step(struct vault_tls *t)
{
	while (atomic_load(&hangs))
		poll(NULL, 0, 1);
	return __real_vault_tls_step(t);
}

/* ---------------------------------------------------------------------------------------------- */

struct ends {
	struct seal_rig rig;
	struct identity *vault, *origin;
	SSL_CTX *as_vault, *as_origin;
	int listen_fd, bell;
	struct endpoint at;
	struct vault_link link;
	struct vault_tls *peer; /* the vault's end */
	int64_t now_ns;
};

static SSL_CTX *context(const struct identity *who, struct trust *trust)
{
	SSL_CTX *c;

	assert_int_equal(vault_tls_context(who, trust, &c), 0);
	return c;
}

static void open_listener(struct ends *e)
{
	struct sockaddr_storage a;
	socklen_t n;

	assert_int_equal(endpoint_parse("127.0.0.1", true, &e->at), 0);
	n = endpoint_to_sockaddr(&e->at, &a);
	e->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(e->listen_fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(e->listen_fd, 8), 0);
	n = sizeof a;
	assert_int_equal(getsockname(e->listen_fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&a, &e->at), 0);
}

static int setup(void **state)
{
	static const char *const address[] = {"10.9.0.1", NULL};
	struct ends *e = calloc(1, sizeof *e);

	seal_rig_init(&e->rig);
	e->vault = seal_rig_identity(&e->rig.ca, IDENTITY_VAULT, "", NULL, CENTURY_DAYS);
	e->origin = seal_rig_identity(&e->rig.ca, IDENTITY_ORIGIN, "web1", address, CENTURY_DAYS);
	e->as_vault = context(e->vault, e->rig.trust);
	e->as_origin = context(e->origin, e->rig.trust);
	e->bell = bell_open();
	open_listener(e);
	vault_link_init(&e->link, &e->at);
	e->now_ns = clock_mono_ns();
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct ends *e = *state;

	atomic_store(&hangs, false);
	assert_true(vault_link_deinit(&e->link));
	vault_tls_free(e->peer);
	if (e->listen_fd >= 0)
		close(e->listen_fd);
	close(e->bell);
	SSL_CTX_free(e->as_vault);
	SSL_CTX_free(e->as_origin);
	identity_close(e->vault);
	identity_close(e->origin);
	seal_rig_deinit(&e->rig);
	free(e);
	return 0;
}

static enum link_event step(struct ends *e)
{
	return vault_link_step(&e->link, e->as_origin, e->now_ns);
}

/* The other end, as @who says, goes on. */
static void serve(struct ends *e, SSL_CTX *who)
{
	int fd = e->peer ? -1 : accept4(e->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		assert_int_equal(vault_tls_new(who, fd, true, &e->peer), 0);
	if (e->peer)
		(void)__real_vault_tls_step(e->peer);
}

/* Both go on until something happens to the link; its time stands still meanwhile. */
static enum link_event run(struct ends *e, SSL_CTX *who)
{
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;
	enum link_state before = e->link.state;
	enum link_event what;

	while ((what = step(e)) == LINK_AS_BEFORE) {
		if (before != LINK_DOWN && e->link.state == LINK_DOWN)
			return what;
		before = e->link.state;
		assert_true(clock_mono_ns() < until_ns);
		serve(e, who);
		poll(NULL, 0, 1);
	}
	return what;
}

static void leave(struct ends *e)
{
	vault_tls_free(e->peer);
	e->peer = NULL;
}

static void check_frames(struct ends *e)
{
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;
	struct vault_frame f;

	vault_wire_put_plain(vault_tls_out(e->link.tls), VAULT_PING, 7);
	do {
		assert_int_equal(step(e), LINK_AS_BEFORE);
		serve(e, e->as_vault);
		assert_true(clock_mono_ns() < until_ns);
	} while (vault_tls_frame(e->peer, &f) != VAULT_WIRE_OK);
	assert_int_equal(f.type, VAULT_PING);
	assert_int_equal(f.request, 7);
}

static void comes_up(struct ends *e)
{
	assert_int_equal(run(e, e->as_vault), LINK_CAME_UP);
	assert_int_equal(e->link.state, LINK_UP);
	assert_int_equal(vault_link_next_ns(&e->link), INT64_MAX);
	assert_non_null(e->link.tls);
}

static void it_comes_up(void **state)
{
	struct ends *e = *state;

	assert_int_equal(vault_link_next_ns(&e->link), 0); /* at once */
	comes_up(e);
	check_frames(e);
}

static void it_goes_down_and_comes_up_again(void **state)
{
	struct ends *e = *state;

	comes_up(e);
	check_frames(e);
	leave(e);
	assert_int_equal(run(e, e->as_vault), LINK_WENT_DOWN);
	assert_null(e->link.tls);
	assert_string_equal(e->link.why, "closed by the peer");
	assert_int_equal(vault_link_next_ns(&e->link), e->now_ns + LINK_PAUSE_MIN_NS);
	e->now_ns += LINK_PAUSE_MIN_NS - 1;
	assert_int_equal(step(e), LINK_AS_BEFORE);
	assert_null(e->link.tls); /* it is not tried before its time */
	e->now_ns++;
	comes_up(e);
	vault_link_drop(&e->link, "it lies", e->now_ns);
	assert_int_equal(e->link.state, LINK_DOWN);
	assert_string_equal(e->link.why, "it lies");
}

/* Each pause is twice the one before, up to the longest. */
static void pauses_double(void **state)
{
	struct ends *e = *state;
	int64_t pause_ns = LINK_PAUSE_MIN_NS;

	close(e->listen_fd); /* refused */
	e->listen_fd = -1;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(step(e), LINK_AS_BEFORE);
		for (int k = 0; k < 1000 && e->link.state != LINK_DOWN; k++) {
			poll(NULL, 0, 1);
			assert_int_equal(step(e), LINK_AS_BEFORE);
		}
		assert_int_equal(e->link.state, LINK_DOWN);
		assert_string_equal(e->link.why, "Connection refused");
		assert_int_equal(vault_link_next_ns(&e->link), e->now_ns + pause_ns);
		e->now_ns += pause_ns;
		pause_ns = 2 * pause_ns < LINK_PAUSE_MAX_NS ? 2 * pause_ns : LINK_PAUSE_MAX_NS;
	}
	assert_int_equal(e->link.pause_ns, LINK_PAUSE_MAX_NS);
}

/* One that takes us and lets us go at once is not tried as if nothing had been; one that was up
 * for long is. */
static void a_pause_is_forgotten_after_a_while(void **state)
{
	struct ends *e = *state;

	comes_up(e);
	leave(e);
	run(e, e->as_vault);
	e->now_ns = vault_link_next_ns(&e->link);
	comes_up(e);
	leave(e);
	run(e, e->as_vault);
	assert_int_equal(vault_link_next_ns(&e->link), e->now_ns + 2 * LINK_PAUSE_MIN_NS);
	e->now_ns = vault_link_next_ns(&e->link);
	comes_up(e);
	e->now_ns += LINK_PAUSE_MAX_NS + 1;
	leave(e);
	run(e, e->as_vault);
	assert_int_equal(vault_link_next_ns(&e->link), e->now_ns + LINK_PAUSE_MIN_NS);
}

static void one_that_does_not_answer_is_given_up(void **state)
{
	struct ends *e = *state;

	assert_int_equal(step(e), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_GREETING);
	int64_t late_ns = vault_link_next_ns(&e->link);
	assert_int_equal(late_ns, e->now_ns + LINK_GREETING_NS);
	e->now_ns = late_ns - 1;
	assert_int_equal(step(e), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_GREETING);
	e->now_ns++;
	assert_int_equal(step(e), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_DOWN);
	assert_string_equal(e->link.why, "it does not answer");
}

static void another_is_no_vault(void **state)
{
	struct ends *e = *state;

	assert_int_equal(run(e, e->as_origin), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_DOWN);
	assert_string_equal(e->link.why, "it is no vault");
}

static void a_strangers_certificate_is_not_believed(void **state)
{
	struct ends *e = *state;
	struct issuer ca = seal_rig_ca();
	struct identity *other = seal_rig_identity(&ca, IDENTITY_VAULT, "", NULL, CENTURY_DAYS);
	SSL_CTX *as_other = context(other, e->rig.trust);

	assert_int_equal(run(e, as_other), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_DOWN);
	assert_non_null(strstr(e->link.why, "certificate verify failed"));
	leave(e);
	SSL_CTX_free(as_other);
	identity_close(other);
	seal_rig_issuer_free(&ca);
}

/* ---- on a thread of its own ---- */

static bool rings(const struct ends *e)
{
	struct pollfd p = {e->bell, POLLIN, 0};

	return poll(&p, 1, 0) == 1;
}

static void apart_it_comes_up(void **state)
{
	struct ends *e = *state;

	vault_link_apart(&e->link, e->bell);
	assert_int_equal(step(e), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_GREETING);
	assert_null(e->link.tls); /* the thread has it */
	int64_t until_ns = clock_mono_ns() + PATIENCE_NS;
	while (!rings(e)) {
		serve(e, e->as_vault);
		assert_true(clock_mono_ns() < until_ns);
	}
	assert_int_equal(step(e), LINK_CAME_UP);
	check_frames(e);
	leave(e);
	assert_int_equal(run(e, e->as_vault), LINK_WENT_DOWN);
}

static void apart_a_refusal_has_its_reason(void **state)
{
	struct ends *e = *state;

	vault_link_apart(&e->link, e->bell);
	assert_int_equal(run(e, e->as_origin), LINK_AS_BEFORE);
	assert_string_equal(e->link.why, "it is no vault");
}

/* Nobody waits for it; no other is begun before it has come to its end. */
static void apart_one_that_hangs_holds_nobody_up(void **state)
{
	struct ends *e = *state;

	vault_link_apart(&e->link, e->bell);
	atomic_store(&hangs, true);
	int64_t before_ns = clock_mono_ns();
	assert_int_equal(step(e), LINK_AS_BEFORE);
	e->now_ns = vault_link_next_ns(&e->link);
	assert_true(e->now_ns > before_ns + LINK_GREETING_NS);
	assert_int_equal(step(e), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_DOWN);
	assert_non_null(strstr(e->link.why, "does not sign"));
	assert_int_equal(vault_link_next_ns(&e->link), INT64_MAX);
	e->now_ns += 100 * NS_PER_S;
	assert_int_equal(step(e), LINK_AS_BEFORE);
	assert_int_equal(e->link.state, LINK_DOWN);
	assert_true(clock_mono_ns() < before_ns + LINK_GREETING_NS);
	close(accept(e->listen_fd, NULL, NULL)); /* the one that is given up */
	atomic_store(&hangs, false);
	comes_up(e);
	check_frames(e);
}

static void apart_it_can_be_given_up(void **state)
{
	struct ends *e = *state;

	vault_link_apart(&e->link, e->bell);
	assert_int_equal(step(e), LINK_AS_BEFORE);
	int64_t until_ns = clock_mono_ns() + LINK_GREETING_NS;
	assert_true(vault_link_deinit(&e->link)); /* nobody answers, and it ends all the same */
	assert_true(clock_mono_ns() < until_ns);  /* sooner than by itself */
	assert_int_equal(e->link.state, LINK_DOWN);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_comes_up),
		TEST(it_goes_down_and_comes_up_again),
		TEST(pauses_double),
		TEST(a_pause_is_forgotten_after_a_while),
		TEST(one_that_does_not_answer_is_given_up),
		TEST(another_is_no_vault),
		TEST(a_strangers_certificate_is_not_believed),
		TEST(apart_it_comes_up),
		TEST(apart_a_refusal_has_its_reason),
		TEST(apart_one_that_hangs_holds_nobody_up),
		TEST(apart_it_can_be_given_up),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
