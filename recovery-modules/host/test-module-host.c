/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module-host.h"

/* Each test has its own folder of modules. */
struct folder {
	char dir[64];
	struct module_host *host;
	char error[512];
};

static int setup(void **state)
{
	struct folder *f = calloc(1, sizeof *f);

	assert_non_null(f);
	strcpy(f->dir, "/tmp/test-module-host.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->host = module_host_new(f->dir);
	assert_non_null(f->host);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct folder *f = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/probe.so", f->dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/tls.so", f->dir);
	unlink(path);
	assert_int_equal(rmdir(f->dir), 0);
	assert_null(module_host_free(f->host));
	free(f);
	return 0;
}

/* Puts the module with @fault into the folder as @name. */
static void install_as(const struct folder *f, const char *fault, const char *name, mode_t mode)
{
	static char copy[8 << 20];
	char path[512];

	snprintf(path, sizeof path, TEST_MODULES "/test-%s.so", fault);
	FILE *in = fopen(path, "rb");
	assert_non_null(in);
	size_t n = fread(copy, 1, sizeof copy, in);
	assert_true(n > 0 && n < sizeof copy);
	fclose(in);
	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	FILE *out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(copy, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void install(const struct folder *f, const char *fault, mode_t mode)
{
	install_as(f, fault, "probe.so", mode);
}

static void assert_refused(struct folder *f, int error, const char *says)
{
	const struct jeebs_module *m = NULL;

	memset(f->error, 'x', sizeof f->error);
	assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error), error);
	assert_null(m);
	assert_non_null(memchr(f->error, 0, sizeof f->error));
	assert_non_null(strstr(f->error, says));
	assert_non_null(strstr(f->error, f->dir));
}

static void test_loads_once(void **state)
{
	struct folder *f = *state;
	const struct jeebs_module *m, *again;

	install(f, "right", 0644);
	assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error), 0);
	assert_string_equal(m->name, "probe");
	assert_int_equal(m->open(NULL, NULL, NULL, NULL), JEEBS_OK);
	/* The second call returns the loaded module: its file may be gone. */
	char path[128];
	snprintf(path, sizeof path, "%s/probe.so", f->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(module_host_get(f->host, "probe", &again, f->error, sizeof f->error), 0);
	assert_ptr_equal(m, again);
	/* A module is never unloaded. */
	f->host = module_host_free(f->host);
	assert_int_equal(m->open(NULL, NULL, NULL, NULL), JEEBS_OK);
}

static void test_refuses_what_claims_wrongly(void **state)
{
	static const struct {
		const char *fault, *says;
	} cases[] = {
		{"abi", "made for module ABI 2, this program needs 3: build it again"},
		{"size", "8 bytes"},
		{"newer", "bytes, expected"},
		{"state", "1000000 bytes of state"},
		{"callback", "callback"},
		{"symbol", "jeebs_module"},
	};
	struct folder *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		/* Each file is a new inode, so that what was mapped stays mapped. */
		char path[128];
		snprintf(path, sizeof path, "%s/probe.so", f->dir);
		unlink(path);
		install(f, cases[i].fault, 0644);
		assert_refused(f, -ENOEXEC, cases[i].says);
	}
}

/* A module built against the first header of this ABI: the host reads nothing behind the end of
 * its shorter struct. What is there in this one is no function. */
static void test_takes_an_older_one(void **state)
{
	struct folder *f = *state;
	const struct jeebs_module *m;

	install(f, "older", 0644);
	assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error), 0);
	assert_false(JEEBS_HAS(m, unseal));
	assert_true(JEEBS_HAS(m, ports));
}

static void test_tells_ports(void **state)
{
	struct folder *f = *state;
	const struct jeebs_module *m;

	install(f, "ports", 0644);
	assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error), 0);
	const uint16_t *ports = module_host_ports(m);
	assert_int_equal(ports[0], 7000);
	assert_int_equal(ports[1], 7001);
	assert_int_equal(ports[2], 0);
}

static void test_ports_may_be_none(void **state)
{
	struct folder *f = *state;
	const struct jeebs_module *m;

	install(f, "right", 0644);
	assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error), 0);
	assert_int_equal(module_host_ports(m)[0], 0);
}

static void test_refuses_another_name(void **state)
{
	struct folder *f = *state;
	const struct jeebs_module *m;
	char from[128], to[128];

	install(f, "right", 0644);
	snprintf(from, sizeof from, "%s/probe.so", f->dir);
	snprintf(to, sizeof to, "%s/other.so", f->dir);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(module_host_get(f->host, "other", &m, f->error, sizeof f->error),
			 -ENOEXEC);
	assert_non_null(strstr(f->error, "\"probe\", not \"other\""));
	assert_int_equal(unlink(to), 0);
}

static void test_refuses_what_others_can_write(void **state)
{
	struct folder *f = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/probe.so", f->dir);
	install(f, "right", 0666);
	assert_refused(f, -EPERM, "others");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_refused(f, -EPERM, "others");
	assert_int_equal(chmod(f->dir, 0700), 0);
	if (geteuid() != 0)
		return;
	/* Only root can give a file away. A stranger owns the file, or a stranger's group may
	 * write it. */
	assert_int_equal(chown(path, 12345, 0), 0);
	assert_refused(f, -EPERM, "others");
	assert_int_equal(chown(path, 0, 12345), 0);
	assert_int_equal(chmod(path, 0664), 0);
	assert_refused(f, -EPERM, "others");
}

/* A symbolic link leads to a folder in which anybody can replace the file. */
static void test_follows_links(void **state)
{
	struct folder *f = *state;
	char open_folder[300], inner[320], moved[400], path[128];

	snprintf(open_folder, sizeof open_folder, "%s-open", f->dir);
	snprintf(inner, sizeof inner, "%s/inner", open_folder);
	snprintf(moved, sizeof moved, "%s/probe.so", inner);
	snprintf(path, sizeof path, "%s/probe.so", f->dir);
	assert_int_equal(mkdir(open_folder, 0755), 0);
	assert_int_equal(mkdir(inner, 0755), 0);
	install(f, "right", 0644);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(symlink(moved, path), 0);
	const char *const folders[] = {inner, open_folder};
	for (unsigned i = 0; i < 2; i++) {
		const struct jeebs_module *m = NULL;
		assert_int_equal(chmod(folders[i], 0777), 0);
		assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error),
				 -EPERM);
		assert_non_null(strstr(f->error, folders[i]));
		assert_non_null(strstr(f->error, "others"));
		assert_int_equal(chmod(folders[i], 0755), 0);
	}
	const struct jeebs_module *m = NULL;
	if (geteuid() == 0) {
		/* The folder's owner can put another one in the inner one's place. */
		assert_int_equal(chown(open_folder, 12345, 0), 0);
		assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error),
				 -EPERM);
		assert_non_null(strstr(f->error, "others"));
		assert_int_equal(chown(open_folder, 0, 0), 0);
	}
	assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error), 0);
	assert_non_null(m);
	assert_int_equal(unlink(moved), 0);
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(rmdir(open_folder), 0);
}

/* What an interrupted copy leaves: mapping it would end in a SIGBUS. */
static void test_refuses_a_part_of_an_object(void **state)
{
	struct folder *f = *state;
	char path[128];
	struct stat st;

	snprintf(path, sizeof path, "%s/probe.so", f->dir);
	install(f, "right", 0644);
	assert_int_equal(stat(path, &st), 0);
	for (off_t n = st.st_size - 1; n > 0; n = n > 4096 ? n - 4096 : n / 2) {
		assert_int_equal(truncate(path, n), 0);
		assert_refused(f, -ENOEXEC, n < 64 ? "no ELF object" : "truncated");
	}
}

static void test_refuses_another_machines(void **state)
{
	struct folder *f = *state;
	char path[128];
	const uint16_t other = 0x1234;

	snprintf(path, sizeof path, "%s/probe.so", f->dir);
	install(f, "right", 0644);
	FILE *out = fopen(path, "r+b");
	assert_non_null(out);
	assert_int_equal(fseek(out, offsetof(Elf64_Ehdr, e_machine), SEEK_SET), 0);
	assert_int_equal(fwrite(&other, sizeof other, 1, out), 1);
	assert_int_equal(fclose(out), 0);
	assert_refused(f, -ENOEXEC, "another machine");
}

static void test_refuses_what_is_not_there_or_no_module(void **state)
{
	struct folder *f = *state;
	char path[128];

	assert_refused(f, -ENOENT, "No such file");
	snprintf(path, sizeof path, "%s/probe.so", f->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_refused(f, -ENOEXEC, "not a regular file");
	assert_int_equal(rmdir(path), 0);
	FILE *out = fopen(path, "wb");
	assert_non_null(out);
	fputs("not an object", out);
	fclose(out);
	assert_refused(f, -ENOEXEC, "probe.so");
}

static void test_refuses_names_that_leave_the_folder(void **state)
{
	static const char *const names[] = {"",
					    "../probe",
					    "a/b",
					    "HTTP",
					    ".",
					    "a.b",
					    "0123456789012345678901234567890123456789"};
	struct folder *f = *state;
	const struct jeebs_module *m;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(module_host_get(f->host, names[i], &m, f->error, sizeof f->error),
				 -ENOENT);
		assert_non_null(strstr(f->error, "not a protocol's name"));
	}
}

/* https is http in tls: each is looked for in the folder. */
static void test_layers_need_both(void **state)
{
	struct folder *f = *state;
	const struct jeebs_module *m = NULL;

	assert_int_equal(module_host_get(f->host, "https", &m, f->error, sizeof f->error), -ENOENT);
	assert_non_null(strstr(f->error, "/tls.so"));
	assert_null(m);
	install(f, "right", 0644);
	assert_int_equal(module_host_get(f->host, "probe", &m, f->error, sizeof f->error), 0);
	struct jeebs_service service = {.inner = m, .inner_h2 = m};
	module_host_inner(f->host, m, &service);
	assert_null(service.inner);
	assert_null(service.inner_h2);
}

/* LAYER:INNER, and what stands for such a pair. */
static void test_layers_by_name(void **state)
{
	static const char *const none[] = {"tls:", ":probe", "tls:tls:probe", "tls:pro.be"};
	struct folder *f = *state;
	const struct jeebs_module *m = NULL, *again = NULL, *probe = NULL;
	struct jeebs_service service = {0};

	install_as(f, "right", "probe.so", 0644);
	install_as(f, "layer", "tls.so", 0644);
	assert_int_equal(module_host_get(f->host, "tls:probe", &m, f->error, sizeof f->error), 0);
	assert_string_equal(m->name, "tls:probe");
	module_host_inner(f->host, m, &service);
	assert_int_equal(module_host_get(f->host, "probe", &probe, f->error, sizeof f->error), 0);
	assert_ptr_equal(service.inner, probe);
	assert_null(service.inner_h2);
	assert_int_equal(module_host_get(f->host, "tls:probe", &again, f->error, sizeof f->error),
			 0);
	assert_ptr_equal(again, m);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_int_equal(
			module_host_get(f->host, none[i], &again, f->error, sizeof f->error),
			-ENOENT);
	/* Two layers, or none. */
	assert_int_equal(module_host_get(f->host, "tls:tls", &again, f->error, sizeof f->error),
			 -ENOEXEC);
	assert_int_equal(module_host_get(f->host, "probe:probe", &again, f->error, sizeof f->error),
			 -ENOEXEC);
	assert_int_equal(module_host_get(f->host, "imaps", &again, f->error, sizeof f->error),
			 -ENOENT);
	assert_non_null(strstr(f->error, "/replay.so"));
}

static void remove_from(const struct folder *f, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	assert_int_equal(unlink(path), 0);
}

/* The modules that detect, by name. Oracles and files without a module's name are not opened. */
static void test_finds_who_detects(void **state)
{
	const struct jeebs_module *const *m;
	struct folder *f = *state;
	uint32_t n;

	install(f, "detect", 0644);
	install_as(f, "another", "another.so", 0644);
	install_as(f, "symbol", "probe-oracle.so", 0644);
	install_as(f, "symbol", "Not-A-Protocol.so", 0644);
	install_as(f, "symbol", "probe.so.bak", 0644);
	assert_int_equal(module_host_detecting(f->host, &m, &n, f->error, sizeof f->error), 0);
	assert_int_equal(n, 2);
	assert_string_equal(m[0]->name, "another");
	assert_string_equal(m[1]->name, "probe");
	/* A second call gives the same. */
	const struct jeebs_module *const *again;
	assert_int_equal(module_host_detecting(f->host, &again, &n, f->error, sizeof f->error), 0);
	assert_ptr_equal(m, again);
	assert_int_equal(n, 2);
	remove_from(f, "another.so");
	remove_from(f, "probe-oracle.so");
	remove_from(f, "Not-A-Protocol.so");
	remove_from(f, "probe.so.bak");
}

static void test_who_does_not_detect_is_left_out(void **state)
{
	const struct jeebs_module *const *m;
	struct folder *f = *state;
	uint32_t n;

	install(f, "right", 0644);
	assert_int_equal(module_host_detecting(f->host, &m, &n, f->error, sizeof f->error), 0);
	assert_int_equal(n, 0);
}

/* A file that is no module is an error. It is not skipped. */
static void test_looks_at_all_of_them(void **state)
{
	const struct jeebs_module *const *m;
	struct folder *f = *state;
	uint32_t n;

	install(f, "abi", 0644);
	assert_int_equal(module_host_detecting(f->host, &m, &n, f->error, sizeof f->error),
			 -ENOEXEC);
	assert_non_null(strstr(f->error, "ABI 2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_loads_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_claims_wrongly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_an_older_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tells_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports_may_be_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_another_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_others_can_write, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_follows_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_a_part_of_an_object, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_another_machines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_is_not_there_or_no_module, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_finds_who_detects, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_does_not_detect_is_left_out, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_looks_at_all_of_them, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layers_need_both, setup, teardown),
		cmocka_unit_test_setup_teardown(test_layers_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_names_that_leave_the_folder, setup,
						teardown),
	};
	return cmocka_run_group_tests_name("module-host", tests, NULL, NULL);
}
