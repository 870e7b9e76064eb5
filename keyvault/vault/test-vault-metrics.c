/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "test/vault-rig.h"
#include "vault-metrics.h"

#define NOW_NS (INT64_C(1796000000) * 1000000000)

struct box {
	struct vault_rig rig;
	struct vault_rig_peer web1;
	struct buf page;
};

static int setup(void **state)
{
	struct box *b = calloc(1, sizeof *b);

	b->page = BUF_INIT(64 << 10);
	vault_rig_init(&b->rig);
	b->web1.who = (struct subject){.role = IDENTITY_ORIGIN, .name = "web1", .addresses = 1};
	assert_int_equal(netaddr_parse("10.9.0.1", &b->web1.who.address[0]), 0);
	vault_rig_enter(&b->rig, &b->web1);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	vault_rig_leave(&b->rig, &b->web1);
	vault_rig_deinit(&b->rig);
	vault_rig_peer_deinit(&b->web1);
	buf_deinit(&b->page);
	free(b);
	return 0;
}

static void make_page(struct box *b, size_t peers)
{
	buf_reset(&b->page);
	vault_metrics(&b->page, b->rig.desk, peers);
	buf_append(&b->page, "", 1); /* its end, for strstr() */
	assert_int_equal(buf_error(&b->page), 0);
}

/* The page says so of jeebs_keyvault_NAME, and what kind of number it is. */
static void expect(const struct box *b, const char *name, const char *type, uint64_t value)
{
	const char *page = (const char *)b->page.p;
	char line[160];

	snprintf(line, sizeof line, "\njeebs_keyvault_%s %" PRIu64 "\n", name, value);
	if (!strstr(page, line))
		fail_msg("no line%son the page:\n%s", line, page);
	snprintf(line, sizeof line, "\n# TYPE jeebs_keyvault_%s %s\n", name, type);
	assert_non_null(strstr(page, line));
	snprintf(line, sizeof line, "# HELP jeebs_keyvault_%s ", name);
	assert_non_null(strstr(page, line));
}

/* @n records of one epoch, with the numbers from @from on; the first @ended of them are over. */
static void store(struct box *b, uint64_t from, unsigned n, unsigned ended)
{
	struct vault_item i = {.blob = bytes_str("sealed")};
	uint8_t id[EPOCH_ID_BYTES] = {1};

	vault_wire_put_epoch(&b->web1.to_vault, VAULT_EPOCH, 1, id, bytes_str("an epoch"));
	i.index.protocol = KEYS_TLS;
	i.index.time_ns = NOW_NS;
	memcpy(i.index.epoch, id, sizeof id);
	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &i.index.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &i.index.client), 0);
	for (unsigned k = 0; k < n; k++) {
		i.index.number = from + k;
		i.index.id[0] = (uint8_t)(from + k);
		vault_wire_put_append(&b->web1.to_vault, 2, &i, 1);
	}
	for (unsigned k = 0; k < ended; k++) {
		struct vault_place place = {.number = from + k};
		memcpy(place.epoch, id, sizeof id);
		vault_wire_put_ended(&b->web1.to_vault, 3, &place, 1);
	}
	while (vault_rig_turn(&b->rig, &b->web1, NOW_NS))
		;
}

static void what_is_kept_is_told(void **state)
{
	struct box *b = *state;

	make_page(b, 0);
	expect(b, "records", "gauge", 0);
	expect(b, "origins", "gauge", 0);
	expect(b, "peers", "gauge", 0);
	store(b, 0, 5, 2);
	make_page(b, 3);
	expect(b, "records", "gauge", 5);
	expect(b, "records_ended", "gauge", 2);
	expect(b, "epochs", "gauge", 1);
	expect(b, "bytes", "gauge", 5 * strlen("sealed"));
	expect(b, "origins", "gauge", 1);
	expect(b, "peers", "gauge", 3);
	expect(b, "store_fails", "gauge", 0);
	expect(b, "disk_waits", "gauge", 0);
	expect(b, "records_stored_total", "counter", 5);
	expect(b, "epochs_stored_total", "counter", 1);
	store(b, 0, 2, 0); /* told again */
	make_page(b, 3);
	expect(b, "records_stored_total", "counter", 5);
	expect(b, "records_known_total", "counter", 2);
}

/* Each counter is on the page under its own name. */
static void every_counter_is_there(void **state)
{
	struct box *b = *state;
	struct vault_counters *c =
		(struct vault_counters *)(uintptr_t)vault_desk_counters(b->rig.desk);
	const struct vault_counters kept = *c;
	uint64_t n = 100;

#define SET(name, help) c->name = n++;
	VAULT_COUNTERS(SET)
	make_page(b, 0);
	n = 100;
#define EXPECT(name, help) expect(b, #name "_total", "counter", n++);
	VAULT_COUNTERS(EXPECT)
	*c = kept;
	assert_true(n > 110);
}

static void its_health_is_one_line(void **state)
{
	struct box *b = *state;
	char line[VAULT_LINE_BYTES];

	store(b, 0, 5, 0);
	assert_true(vault_health(b->rig.desk, line));
	assert_string_equal(line, "stores; 5 records of 1 servers");
}

/* A page that does not fit is none. */
static void a_page_has_its_end(void **state)
{
	struct box *b = *state;
	struct buf small = BUF_INIT(100);

	vault_metrics(&small, b->rig.desk, 0);
	assert_int_not_equal(buf_error(&small), 0);
	buf_deinit(&small);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_kept_is_told),
		TEST(every_counter_is_there),
		TEST(its_health_is_one_line),
		TEST(a_page_has_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
