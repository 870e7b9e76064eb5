/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each test-data/config/X.in parses to X.ok (the dump) or is refused with X.err.
 * To make these files anew after an intended change, run this program with
 * JEEBS_UPDATE_GOLDEN=1 and read the difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "config-schema.h"

/* How many allocations of our own code succeed; negative: all. */
static int allocations_left = -1;

static bool allocation_fails(void)
{
	if (allocations_left < 0)
		return false;
	return allocations_left-- == 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n)
{
	return allocation_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return allocation_fails() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return allocation_fails() ? NULL : __real_strdup(s);
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &size, 0, f) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

/* Returns the dump, or the errors, as *ret_outcome tells. */
static char *parse_and_show(struct bytes text, const char *name, int *ret_outcome)
{
	struct config *c = NULL;
	char *shown = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&shown, &n);

	assert_non_null(out);
	*ret_outcome = config_parse(text, name, out, &c);
	assert_true(*ret_outcome == CONFIG_OK || *ret_outcome == CONFIG_INVALID);
	if (c)
		config_dump(c, out);
	fclose(out);
	config_free(c);
	return shown;
}

static void check_golden(const char *name)
{
	char in[512], golden[512];
	int outcome;

	snprintf(in, sizeof in, "%s/%s.in", TEST_DATA, name);
	_cleanup_free_ char *text = read_text(in);
	assert_non_null(text);
	_cleanup_free_ char *shown = parse_and_show(bytes_str(text), name, &outcome);
	snprintf(golden, sizeof golden, "%s/%s.%s", TEST_DATA, name,
		 outcome == CONFIG_OK ? "ok" : "err");
	if (getenv("JEEBS_UPDATE_GOLDEN")) {
		FILE *f = fopen(golden, "we");
		assert_non_null(f);
		fputs(shown, f);
		fclose(f);
	}
	_cleanup_free_ char *expected = read_text(golden);
	if (!expected)
		fail_msg("%s is missing; the file gave:\n%s", golden, shown);
	if (strcmp(shown, expected) != 0)
		fail_msg("%s.in gave:\n%s\nand not:\n%s", name, shown, expected);
	if (outcome == CONFIG_OK) {
		_cleanup_free_ char *again = parse_and_show(bytes_str(shown), name, &outcome);
		assert_string_equal(again, shown);
	}
}

static void test_golden_files(void **state)
{
	DIR *d = opendir(TEST_DATA);
	const struct dirent *e;
	int count = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char name[256];
		size_t n = strlen(e->d_name);
		if (n < 3 || strcmp(e->d_name + n - 3, ".in") != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)n - 3, e->d_name);
		check_golden(name);
		count++;
	}
	closedir(d);
	assert_true(count >= 30);
}

static void test_values(void **state)
{
	struct config *c = NULL;
	char path[512], text[ENDPOINT_STRLEN];

	snprintf(path, sizeof path, "%s/full.in", TEST_DATA);
	assert_int_equal(config_load(path, stderr, &c), CONFIG_OK);
	assert_string_equal(c->state_dir, "/var/lib/je\xc3\xa9"
					  "bs");
	assert_string_equal(c->control_socket, "/run/jeebs/control.sock");
	assert_int_equal(c->log, LOG_FORMAT_JSON);
	assert_int_equal(c->interface_count, 2);
	assert_int_equal(c->ring_bytes, UINT64_C(1536) << 20);
	assert_int_equal(c->store_interval_ns, 1500 * NS_PER_US);
	assert_int_equal(c->store_bytes, (4 << 20) + 1);
	assert_int_equal(c->recovery_threads, 2);
	assert_string_equal(endpoint_format(&c->metrics_listen, text), "[::1]:9817");
	assert_int_equal(c->server_count, 2);

	const struct config_server *s = &c->servers[0];
	assert_int_equal(s->address_count, 2);
	assert_int_equal(s->addresses[1].family, NETADDR_V6);
	assert_string_equal(s->interface, "eth0");
	assert_string_equal(s->fence_command[1], "--node=web 1");
	assert_string_equal(s->fence_command[2], "back\\slash \"quoted\"");
	assert_null(s->fence_command[4]);
	assert_int_equal(s->fence_timeout_ns, 90 * NS_PER_S);
	assert_int_equal(s->fence_policy, CONFIG_FENCE_REQUIRED);
	assert_int_equal(s->services[1].port, 8080);
	assert_int_equal(config_detection_bound_ns(&s->health), 200 * NS_PER_MS);
	assert_string_equal(c->servers[1].interface, "eth1.5");
	assert_null(c->servers[1].fence_command);
	assert_int_equal(c->metrics_listen.port, 9817);
	config_free(c);
	config_free(NULL);
}

static void test_interfaces_that_are_not_captured(void **state)
{
#define REST "backups: [{address: 10.9.0.9}], services: [{port: 80, protocol: http}]"
	static const char text[] =
		"capture: {interfaces: [eth0]}\n"
		"servers:\n"
		"  - {name: a, addresses: [10.9.0.1], " REST ", interface: eth0}\n"
		"  - {name: b, addresses: [10.9.0.2], " REST ", interface: eth1}\n"
		"  - {name: c, addresses: [10.9.0.3], " REST ", interface: eth2}\n"
		"  - {name: d, addresses: [10.9.0.4], " REST ", interface: eth1}\n";
	struct config *c = NULL;
	const char *names[2] = {"", ""};

	assert_int_equal(config_parse(bytes_str(text), "text", stderr, &c), CONFIG_OK);
	assert_int_equal(config_listens(c, names, 1), 2);
	assert_string_equal(names[0], "eth1");
	assert_string_equal(names[1], "");
	assert_int_equal(config_listens(c, names, 2), 2);
	assert_string_equal(names[1], "eth2");
	config_free(c);
}

static void test_metrics_are_off_by_default(void **state)
{
	struct config *c = NULL;
	char path[512];

	snprintf(path, sizeof path, "%s/minimal.in", TEST_DATA);
	assert_int_equal(config_load(path, stderr, &c), CONFIG_OK);
	assert_int_equal(c->metrics_listen.addr.family, NETADDR_NONE);
	config_free(c);
}

static void test_durations(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0us"},
		{1, "0.001us"},
		{1500, "1.5us"},
		{NS_PER_MS, "1ms"},
		{300 * NS_PER_MS, "300ms"},
		{1500 * NS_PER_MS, "1.5s"},
		{-1500 * NS_PER_MS, "-1.5s"},
		{60 * NS_PER_S, "1m"},
		{90 * NS_PER_S, "90s"},
		{7200 * NS_PER_S, "2h"},
		{NS_PER_S + 1, "1.000000001s"},
		{INT64_MIN, "-9223372036.854775808s"},
	};
	char out[32], tight[4];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(config_format_duration(cases[i].ns, out, sizeof out),
				    cases[i].text);
	assert_string_equal(config_format_duration(300 * NS_PER_MS, tight, sizeof tight), "300");
}

static void test_files_that_cannot_be_read(void **state)
{
	struct config *c = NULL;
	char folder[] = "/tmp/test-config-XXXXXX", path[64];

	assert_int_equal(config_load("/nonexistent/jeebs.yaml", stderr, &c), -ENOENT);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(config_load(folder, stderr, &c), -EISDIR);

	/* The file's ceiling: a comment of one mebibyte is accepted, one byte more is not. */
	snprintf(path, sizeof path, "%s/large", folder);
	FILE *f = fopen(path, "we");
	for (int i = 0; i < 1 << 20; i++)
		fputc(i == 0 ? '#' : 'x', f);
	fclose(f);
	_cleanup_free_ char *errors = NULL;
	size_t n;
	FILE *out = open_memstream(&errors, &n);
	assert_int_equal(config_load(path, out, &c), CONFIG_INVALID);
	fflush(out);
	assert_non_null(strstr(errors, "the file is empty"));
	f = fopen(path, "ae");
	fputc('x', f);
	fclose(f);
	assert_int_equal(config_load(path, out, &c), CONFIG_INVALID);
	fclose(out);
	assert_non_null(strstr(errors, "larger than 1048576 bytes"));
	unlink(path);
	rmdir(folder);
	assert_null(c);
}

/* Each allocation in turn fails: the result is an errno, and ASan sees no leak. */
static void test_out_of_memory(void **state)
{
	char path[512];
	int fail_at = 0, r;

	snprintf(path, sizeof path, "%s/full.in", TEST_DATA);
	do {
		struct config *c = NULL;
		allocations_left = fail_at++;
		r = config_load(path, stderr, &c);
		allocations_left = -1;
		if (r == 0)
			config_free(c);
		else
			assert_int_equal(r, -ENOMEM);
	} while (r != 0);
	assert_true(fail_at > 100);
}

/* The place where jeebs.yaml(5) explains @key: "*path*" at the start of a line. */
static const char *man_entry(const char *man, const char *path)
{
	char title[128];

	snprintf(title, sizeof title, "\n*%s*", path);
	return strstr(man, title);
}

static void test_man_page_has_every_key(void **state)
{
	_cleanup_free_ char *man = read_text(MAN_PAGE);

	assert_non_null(man);
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		const char *entry = man_entry(man, k->path);
		if (!entry)
			fail_msg("jeebs.yaml(5) has no *%s*", k->path);
		if (!k->fallback)
			continue;
		_cleanup_free_ char *text = strndup(
			entry, (size_t)(strstr(entry + 1, "\n*") ? strstr(entry + 1, "\n*") - entry
								 : (long)strlen(entry)));
		if (!strstr(text, k->fallback))
			fail_msg("jeebs.yaml(5) does not tell the default %s of *%s*", k->fallback,
				 k->path);
	}
}

static void test_schema_is_sound(void **state)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		assert_non_null(k->doc);
		assert_false(k->required && k->fallback);
		if (k->type != CONFIG_GROUP && k->type != CONFIG_ADDRESS &&
		    k->type != CONFIG_LISTEN && k->type != CONFIG_ENDPOINT &&
		    k->type != CONFIG_CHOICE)
			assert_true(k->max > 0 && k->min <= k->max);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(k->path, config_keys[j].path);
	}
}

/* The defaults of a drill without a file are those of a file that sets nothing. */
static void test_defaults_are_those_of_a_file(void **state)
{
	const struct config_service service = config_default_service();
	const struct config_health health = config_default_health();
	struct config *c;

	assert_int_equal(config_load(TEST_DATA "/minimal.in", stderr, &c), CONFIG_OK);
	assert_memory_equal(&health, &c->servers[0].health, sizeof health);
	assert_int_equal(service.replay, c->servers[0].services[0].replay);
	assert_int_equal(service.login, c->servers[0].services[0].login);
	assert_int_equal(service.retain, c->servers[0].services[0].retain);
	assert_int_equal(service.retain, 1 << 20);
	assert_int_equal(config_detection_bound_ns(&health), 400 * NS_PER_MS);
	config_free(c);
	/* the caller of config_default_service() frees nothing */
	assert_null(service.protocol);
	assert_null(service.notice);
	assert_null(service.upgrade);
	assert_null(service.adopt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_those_of_a_file),
		cmocka_unit_test(test_golden_files),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_interfaces_that_are_not_captured),
		cmocka_unit_test(test_metrics_are_off_by_default),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_man_page_has_every_key),
		cmocka_unit_test(test_schema_is_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
