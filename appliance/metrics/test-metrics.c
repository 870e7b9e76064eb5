/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "metrics-http/metrics-clients.h"
#include "metrics-http/metrics-http.h"
#include "metrics-table.h"

#define PAGE_MAX ((size_t)16 << 20)

static const char text[] =
	"capture: {interfaces: [eth0, eth1]}\n"
	"keyvault: {vaults: [{address: \"127.0.0.1:9818\"}], certificate: /r.crt, "
	"key: /r.key, ca: /ca.crt}\n"
	"servers:\n"
	"- name: web1\n"
	"  addresses: [10.9.0.1]\n"
	"  backups: [{address: 10.9.0.9}]\n"
	"  services: [{port: 80, protocol: http}, {port: 81, protocol: http}]\n"
	"- name: mail\n"
	"  addresses: [10.9.0.2]\n"
	"  backups: [{address: 10.9.0.9}]\n"
	"  services: [{port: 25, protocol: smtp}]\n";

struct fixture {
	struct config *config;
	struct metrics *m;
	struct buf page;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	assert_int_equal(config_parse(bytes_str(text), "test", stderr, &f->config), 0);
	assert_int_equal(metrics_new(f->config, &f->m), 0);
	f->page = BUF_INIT(PAGE_MAX);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	metrics_free(f->m);
	config_free(f->config);
	buf_deinit(&f->page);
	free(f);
	return 0;
}

static const char *page(struct fixture *f)
{
	buf_reset(&f->page);
	assert_int_equal(metrics_write(f->m, &f->page), 0);
	assert_int_equal(buf_u8(&f->page, 0), 0);
	return (const char *)f->page.p;
}

/* Compares a whole line, so that "x 1" is not found in "x 12". */
static bool has_line(struct fixture *f, const char *line)
{
	const char *p = page(f);
	size_t n = strlen(line);

	while ((p = strstr(p, line))) {
		if (p[-1] == '\n' && p[n] == '\n')
			return true;
		p++;
	}
	return false;
}

#define assert_line(f, line) assert_true(has_line(f, line))

static void test_all_series_from_the_start(void **state)
{
	struct fixture *f = *state;

	assert_line(f, "# TYPE jeebs_failovers_total counter");
	assert_line(f, "jeebs_failovers_total{server=\"web1\",outcome=\"success\"} 0");
	assert_line(f, "jeebs_failovers_total{server=\"mail\",outcome=\"failed\"} 0");
	assert_line(f, "jeebs_tcp_segments_total 0");
	assert_line(f, "jeebs_capture_dropped_packets_total{interface=\"eth1\",where=\"ring\"} 0");
	assert_line(f, "jeebs_failover_duration_seconds_count{server=\"mail\"} 0");
	assert_line(f, "jeebs_connections_refused_total{server=\"web1\",reason=\"other\"} 0");
	assert_line(f, "jeebs_server_state{server=\"web1\",state=\"unknown\"} 1");
	for (int i = 0; i < METRIC_COUNT_; i++)
		assert_non_null(strstr(page(f), metrics_table[i].name));
}

/* Whether the line is the same on each machine and in each run. Most buckets are left out, too. */
static bool is_steady(const char *line)
{
	return strncmp(line, "jeebs_build_info{", 17) != 0 &&
	       strncmp(line, "jeebs_process_start_time_seconds ", 33) != 0 &&
	       (!strstr(line, "_bucket{") || strstr(line, "le=\"+Inf\""));
}

/* Dashboards and alerts depend on names, types, labels and help. */
static void test_page_is_as_promised(void **state)
{
	struct fixture *f = *state;
	const bool update = getenv("JEEBS_UPDATE_GOLDEN") != NULL;
	FILE *promised = fopen(TEST_PAGE, update ? "we" : "re");
	char *rest, *lines = strdup(page(f)), expected[512];

	assert_non_null(promised);
	assert_non_null(lines);
	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!is_steady(line))
			continue;
		if (update) {
			fprintf(promised, "%s\n", line);
			continue;
		}
		assert_non_null(fgets(expected, sizeof expected, promised));
		expected[strcspn(expected, "\n")] = 0;
		assert_string_equal(line, expected);
	}
	assert_true(update || !fgets(expected, sizeof expected, promised));
	fclose(promised);
	free(lines);
}

static void test_only_pairs_that_exist(void **state)
{
	struct fixture *f = *state;

	assert_line(f, "jeebs_connections_tracked{server=\"web1\",protocol=\"http\",migratable="
		       "\"true\"} 0");
	assert_line(f, "jeebs_connections_tracked{server=\"mail\",protocol=\"smtp\",migratable="
		       "\"false\"} 0");
	assert_null(strstr(page(f), "server=\"web1\",protocol=\"smtp\""));
	assert_null(strstr(page(f), "server=\"mail\",protocol=\"http\""));
}

static void test_values_land_in_their_series(void **state)
{
	struct fixture *f = *state;
	uint16_t smtp = metrics_protocol(f->m, "smtp");

	metrics_add(f->m, METRIC_CONNECTIONS_MIGRATED, METRIC_AT(1, smtp, METRIC_RESULT_RESET), 3);
	assert_line(f, "jeebs_connections_migrated_total{server=\"mail\",protocol=\"smtp\",result="
		       "\"reset\"} 3");
	assert_line(f, "jeebs_connections_migrated_total{server=\"mail\",protocol=\"smtp\",result="
		       "\"lost\"} 0");

	metrics_set_total(f->m, METRIC_CAPTURE_PACKETS, METRIC_AT(1), 100);
	metrics_set_total(f->m, METRIC_CAPTURE_PACKETS, METRIC_AT(1), 250);
	assert_line(f, "jeebs_capture_packets_total{interface=\"eth1\"} 250");
	assert_line(f, "jeebs_capture_packets_total{interface=\"eth0\"} 0");

	metrics_set(f->m, METRIC_STORE_BYTES, METRIC_AT(0), 1 << 20);
	assert_line(f, "jeebs_store_bytes 1048576");
}

static void test_state_is_one_of_its_set(void **state)
{
	struct fixture *f = *state;
	int ones = 0;

	metrics_set_state(f->m, 0, METRIC_STATE_TAKEN_OVER);
	assert_line(f, "jeebs_server_state{server=\"web1\",state=\"taken-over\"} 1");
	for (const char *p = page(f); (p = strstr(p, "jeebs_server_state{server=\"web1\"")); p++)
		ones += strchr(p, '\n')[-1] == '1';
	assert_int_equal(ones, 1);
}

static void test_histogram_is_cumulative(void **state)
{
	struct fixture *f = *state;

	metrics_observe_ns(f->m, METRIC_FAILOVER_DURATION, METRIC_AT(0), 5 * NS_PER_MS);
	metrics_observe_ns(f->m, METRIC_FAILOVER_DURATION, METRIC_AT(0), 5 * NS_PER_MS + 1);
	metrics_observe_ns(f->m, METRIC_FAILOVER_DURATION, METRIC_AT(0), 11 * NS_PER_S);
	metrics_observe_ns(f->m, METRIC_FAILOVER_DURATION, METRIC_AT(0), -1);
	assert_line(f, "jeebs_failover_duration_seconds_bucket{server=\"web1\",le=\"0.001\"} 1");
	assert_line(f, "jeebs_failover_duration_seconds_bucket{server=\"web1\",le=\"0.005\"} 2");
	assert_line(f, "jeebs_failover_duration_seconds_bucket{server=\"web1\",le=\"0.01\"} 3");
	assert_line(f, "jeebs_failover_duration_seconds_bucket{server=\"web1\",le=\"10\"} 3");
	assert_line(f, "jeebs_failover_duration_seconds_bucket{server=\"web1\",le=\"+Inf\"} 4");
	assert_line(f, "jeebs_failover_duration_seconds_sum{server=\"web1\"} 11.010000001");
	assert_line(f, "jeebs_failover_duration_seconds_count{server=\"web1\"} 4");
	assert_line(f, "jeebs_failover_duration_seconds_count{server=\"mail\"} 0");
	assert_line(f, "jeebs_store_commit_duration_seconds_bucket{le=\"2.5\"} 0");
}

static void test_reasons_have_a_ceiling(void **state)
{
	struct fixture *f = *state;
	char name[32];

	uint16_t gap = metrics_reason(f->m, "gap \"in\\the\nlog");
	assert_int_equal(metrics_reason(f->m, "gap \"in\\the\nlog"), gap);
	metrics_add(f->m, METRIC_CONNECTIONS_REFUSED, METRIC_AT(0, gap), 7);
	assert_line(f, "jeebs_connections_refused_total{server=\"web1\",reason=\"gap "
		       "\\\"in\\\\the\\nlog\"} 7");

	for (int i = 0; i < METRIC_REASONS_MAX - 1; i++) {
		snprintf(name, sizeof name, "reason-%d", i);
		assert_int_not_equal(metrics_reason(f->m, name), 0);
	}
	uint16_t late = metrics_reason(f->m, "one-too-many");
	metrics_add(f->m, METRIC_CONNECTIONS_REFUSED, METRIC_AT(1, late), 1);
	assert_line(f, "jeebs_connections_refused_total{server=\"mail\",reason=\"other\"} 1");
	assert_null(strstr(page(f), "one-too-many"));
	assert_int_equal(metrics_reason(f->m, "reason-5"), gap + 6);
}

#define ADDS 20000

static void *add_many(void *ctx)
{
	struct fixture *f = ctx;
	char name[32];

	for (int i = 0; i < ADDS; i++) {
		metrics_add(f->m, METRIC_TCP_SEGMENTS, METRIC_AT(0), 1);
		metrics_observe_ns(f->m, METRIC_LOOP_LAG, METRIC_AT(METRIC_LOOP_HEALTH), NS_PER_MS);
		snprintf(name, sizeof name, "r%d", i % 100);
		metrics_add(f->m, METRIC_CONNECTIONS_REFUSED,
			    METRIC_AT(0, metrics_reason(f->m, name)), 1);
	}
	return NULL;
}

static void test_threads_lose_nothing(void **state)
{
	struct fixture *f = *state;
	pthread_t t[3];
	uint64_t refused = 0;

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_many, f), 0);
	for (int i = 0; i < 20; i++)
		page(f); /* reading a page meanwhile must not disturb the writers */
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_line(f, "jeebs_tcp_segments_total 60000");
	assert_line(f, "jeebs_event_loop_lag_seconds_bucket{loop=\"health\",le=\"0.001\"} 60000");
	assert_line(f, "jeebs_event_loop_lag_seconds_sum{loop=\"health\"} 60");
	for (const char *p = page(f); (p = strstr(p, "refused_total{server=\"web1\"")); p++)
		refused += strtoull(strchr(p, '}') + 1, NULL, 10);
	assert_int_equal(refused, 3 * ADDS);
}

static void test_page_has_a_ceiling(void **state)
{
	struct fixture *f = *state;
	struct buf small = BUF_INIT(1000);

	assert_int_equal(metrics_write(f->m, &small), -ENOBUFS);
	assert_true(small.n <= 1000);
	buf_deinit(&small);
}

static void test_promtool_agrees(void **state)
{
	struct fixture *f = *state;

	if (system("command -v promtool >/dev/null") != 0) {
		print_message("promtool (Debian package prometheus) is missing: NOT CHECKED\n");
		skip();
	}
	metrics_add(f->m, METRIC_CONNECTIONS_REFUSED,
		    METRIC_AT(0, metrics_reason(f->m, "a\"\\\nb")), 1);
	metrics_observe_ns(f->m, METRIC_PHASE_DURATION, METRIC_AT(0), 1234567);
	const char *all = page(f);
	FILE *promtool = popen("promtool check metrics", "w");
	assert_non_null(promtool);
	assert_int_equal(fputs(all, promtool) >= 0, 1);
	assert_int_equal(pclose(promtool), 0);
}

/* HTTP: one request and its whole answer. */

static bool is_ready;

static bool ready(void *ctx, char why[static METRICS_HTTP_WHY_STRLEN])
{
	if (!is_ready)
		snprintf(why, METRICS_HTTP_WHY_STRLEN, "%s", (const char *)ctx);
	return is_ready;
}

/* @from: the last byte of its own address, 127.0.0.x. */
static int http_connect_from(const struct endpoint *at, const char *line, uint8_t from)
{
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(at, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in own = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(0x7f000000 | from)};
	/* Otherwise a full backlog would be waited for for minutes. */
	struct timeval bound = {.tv_sec = 5};

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, n), 0);
	assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	return fd;
}

static int http_connect(const struct endpoint *at, const char *line)
{
	return http_connect_from(at, line, 1);
}

static char *request(const struct endpoint *at, const char *line)
{
	_cleanup_(buf_deinit) struct buf answer = BUF_INIT(PAGE_MAX);
	char head[256];
	ssize_t got;

	snprintf(head, sizeof head, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", line);
	_cleanup_close_ int fd = http_connect(at, head);
	do {
		assert_int_equal(buf_reserve(&answer, 4096), 0);
		got = recv(fd, answer.p + answer.n, 4096, 0);
		assert_true(got >= 0);
		answer.n += (size_t)got;
	} while (got > 0);
	assert_int_equal(buf_u8(&answer, 0), 0);
	return (char *)take_ptr(answer.p);
}

static void assert_answer(const struct endpoint *at, const char *line, const char *status,
			  const char *content)
{
	_cleanup_free_ char *answer = request(at, line);

	assert_int_equal(strncmp(answer, status, strlen(status)), 0);
	if (content)
		assert_non_null(strstr(answer, content));
}

static int write_page(void *ctx, struct buf *page)
{
	return metrics_write(ctx, page);
}

static int open_pages(const struct endpoint *at, struct metrics *m, const char *why,
		      struct metrics_http **ret)
{
	const struct metrics_http_pages pages = {write_page, m, ready, (void *)(uintptr_t)why};

	return metrics_http_open(at, &pages, ret);
}

static void test_http_pages(void **state)
{
	struct fixture *f = *state;
	struct metrics_http *h, *second;
	struct endpoint at;

	assert_int_equal(endpoint_parse("127.0.0.1:1", false, &at), 0);
	at.port = 0;
	assert_int_equal(open_pages(&at, f->m, "no route to the backup", &h), 0);
	at = metrics_http_listen(h);
	assert_int_not_equal(at.port, 0);
	assert_int_equal(open_pages(&at, f->m, NULL, &second), -EADDRINUSE);

	assert_answer(&at, "GET /metrics", "HTTP/1.1 200", "\njeebs_tcp_segments_total 0\n");
	assert_answer(&at, "GET /metrics", "HTTP/1.1 200",
		      "text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_answer(&at, "GET /healthz", "HTTP/1.1 200", "\r\n\r\nok\n");
	is_ready = false;
	assert_answer(&at, "GET /readyz", "HTTP/1.1 503", "no route to the backup\n");
	is_ready = true;
	assert_answer(&at, "GET /readyz", "HTTP/1.1 200", "\r\n\r\nready\n");
	assert_answer(&at, "GET /", "HTTP/1.1 404", NULL);
	assert_answer(&at, "GET /metrics/", "HTTP/1.1 404", NULL);
	assert_answer(&at, "DELETE /metrics", "HTTP/1.1 405", "Allow: GET, HEAD\r\n");

	_cleanup_free_ char *head = request(&at, "HEAD /metrics");
	assert_int_equal(strncmp(head, "HTTP/1.1 200", 12), 0);
	assert_null(strstr(head, "jeebs_"));
	metrics_http_close(h);
}

#define SLOW_CLIENTS 193

static void assert_slow_clients_keep_nobody_out(struct fixture *f, uint8_t peers)
{
	static const char healthz[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	struct metrics_http *h;
	struct endpoint at;
	int fd[SLOW_CLIENTS];
	char answer[4];

	assert_int_equal(endpoint_parse("127.0.0.1:1", false, &at), 0);
	at.port = 0;
	assert_int_equal(open_pages(&at, f->m, NULL, &h), 0);
	at = metrics_http_listen(h);
	for (int i = 0; i < SLOW_CLIENTS; i++)
		fd[i] = http_connect_from(&at, "G", (uint8_t)(1 + i % peers));
	_cleanup_close_ int late = http_connect(&at, healthz);
	struct pollfd answered = {.fd = late, .events = POLLIN};
	assert_int_equal(poll(&answered, 1, 5000), 1);
	assert_int_equal(recv(late, answer, sizeof answer, 0), 4);
	assert_memory_equal(answer, "HTTP", 4);
	/* The oldest client was closed to make room. The newest still has its place. */
	struct pollfd first = {.fd = fd[0], .events = POLLIN};
	assert_int_equal(poll(&first, 1, 5000), 1);
	struct pollfd last = {.fd = fd[SLOW_CLIENTS - 1], .events = POLLIN};
	assert_int_equal(poll(&last, 1, 0), 0);

	metrics_http_close(h); /* with its table full */
	for (int i = 0; i < SLOW_CLIENTS; i++)
		close(fd[i]);
}

#define MANY_SERVERS 256
#define MANY_BYTES   (512 << 10) /* more than the sockets of deaf_connect() and its server take */

static struct config *many_servers(void)
{
	_cleanup_(buf_deinit) struct buf b = BUF_INIT(PAGE_MAX);
	struct config *c;

	assert_int_equal(buf_printf(&b, "capture: {interfaces: [eth0]}\nservers:\n"), 0);
	for (int i = 0; i < MANY_SERVERS; i++)
		assert_int_equal(buf_printf(&b,
					    "- name: web%d\n"
					    "  addresses: [10.9.%d.%d]\n"
					    "  backups: [{address: 10.8.0.9}]\n"
					    "  services: [{port: 80, protocol: http}]\n",
					    i, i / 200, i % 200 + 1),
				 0);
	assert_int_equal(config_parse((struct bytes){b.p, b.n}, "test", stderr, &c), 0);
	return c;
}

/* Connects with little room in the sockets of both sides. */
static int deaf_connect(const struct endpoint *at)
{
	static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(at, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), room = 4096, mss = 536;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, n), 0);
	assert_int_equal(send(fd, ask, strlen(ask), MSG_NOSIGNAL), strlen(ask));
	return fd;
}

/* A client asks and does not read. Others are answered meanwhile, and it gets its whole page in
 * the end. */
static void test_nobody_waits_for_who_does_not_read(void **state)
{
	struct metrics *m;
	struct metrics_http *h;
	struct endpoint at;
	struct config *c = many_servers();

	(void)state;
	assert_int_equal(metrics_new(c, &m), 0);
	assert_int_equal(endpoint_parse("127.0.0.1:1", false, &at), 0);
	at.port = 0;
	assert_int_equal(open_pages(&at, m, NULL, &h), 0);
	at = metrics_http_listen(h);
	_cleanup_close_ int deaf = deaf_connect(&at);
	struct pollfd begun = {.fd = deaf, .events = POLLIN};
	assert_int_equal(poll(&begun, 1, 5000), 1);
	assert_answer(&at, "GET /healthz", "HTTP/1.1 200", "ok\n");

	_cleanup_(buf_deinit) struct buf whole = BUF_INIT(PAGE_MAX);
	char some[65536];
	ssize_t n;
	while ((n = recv(deaf, some, sizeof some, 0)) > 0)
		assert_int_equal(buf_append(&whole, some, (size_t)n), 0);
	assert_int_equal(n, 0);
	assert_true(whole.n > MANY_BYTES);
	assert_int_equal(whole.p[whole.n - 1], '\n');
	metrics_http_close(h);
	metrics_free(m);
	config_free(c);
}

static void test_slow_clients_of_one_peer(void **state)
{
	assert_slow_clients_keep_nobody_out(*state, 1);
}

static void test_slow_clients_of_many_peers(void **state)
{
	assert_slow_clients_keep_nobody_out(*state, 100);
}

/*
 * The client that is closed to make room is the oldest of the address with the most places, not the
 * oldest of all.
 */
static void test_clients_have_a_share(void **state)
{
	struct metrics_clients t = {0};
	struct netaddr many, one;
	struct metrics_client *c;

	(void)state;
	assert_int_equal(netaddr_parse("192.0.2.1", &many), 0);
	assert_int_equal(netaddr_parse("192.0.2.2", &one), 0);
	for (int i = 0; i < METRICS_CLIENTS_MAX; i++) {
		assert_null(metrics_clients_crowded(&t));
		assert_non_null(metrics_clients_add(&t, i < 2 ? &one : &many, i, i));
	}
	assert_null(metrics_clients_add(&t, &one, 999, 999));
	c = metrics_clients_crowded(&t);
	assert_non_null(c);
	assert_int_equal(c->fd, 2);
	assert_int_equal(c->state, METRICS_CLIENT_LEAVING);
	assert_null(metrics_clients_crowded(&t)); /* its answer is being sent */
	metrics_client_gone(&t, c);

	/* A client that was answered counts as young from its answer on. */
	metrics_client_answered(&t.v[3], 600);
	assert_non_null(metrics_clients_add(&t, &many, 999, 999));
	c = metrics_clients_crowded(&t);
	assert_non_null(c);
	assert_int_equal(c->fd, 4);
	metrics_client_gone(&t, c);
	for (int i = 5; i < METRICS_CLIENTS_MAX - 1; i++)
		metrics_client_gone(&t, &t.v[i]);
	assert_int_equal(t.here, 5); /* two of one address, three of the address with many */
}

static void test_clients_have_a_deadline(void **state)
{
	struct metrics_clients t = {0};
	struct netaddr peer;
	int64_t next;

	(void)state;
	assert_int_equal(netaddr_parse("192.0.2.1", &peer), 0);
	assert_null(metrics_clients_late(&t, 0, &next));
	assert_true(next == INT64_MAX);
	struct metrics_client *a = metrics_clients_add(&t, &peer, 1, NS_PER_S);
	metrics_clients_add(&t, &peer, 2, 2 * NS_PER_S);
	assert_null(metrics_clients_late(&t, 10 * NS_PER_S, &next));
	assert_true(next == 11 * NS_PER_S);
	assert_ptr_equal(metrics_clients_late(&t, next, &next), a);
	assert_null(metrics_clients_late(&t, 11 * NS_PER_S, &next)); /* each is reported once */
	assert_true(next == 12 * NS_PER_S);
}

#define in_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(test_all_series_from_the_start),
		in_fixture(test_page_is_as_promised),
		in_fixture(test_only_pairs_that_exist),
		in_fixture(test_values_land_in_their_series),
		in_fixture(test_state_is_one_of_its_set),
		in_fixture(test_histogram_is_cumulative),
		in_fixture(test_reasons_have_a_ceiling),
		in_fixture(test_threads_lose_nothing),
		in_fixture(test_page_has_a_ceiling),
		in_fixture(test_promtool_agrees),
		in_fixture(test_http_pages),
		cmocka_unit_test(test_nobody_waits_for_who_does_not_read),
		in_fixture(test_slow_clients_of_one_peer),
		in_fixture(test_slow_clients_of_many_peers),
		cmocka_unit_test(test_clients_have_a_share),
		cmocka_unit_test(test_clients_have_a_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
