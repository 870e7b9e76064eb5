/* SPDX-License-Identifier: GPL-3.0-or-later */
/* jeebsctl itself, with a daemon that is a rig. */
#include "test/control-rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int jeebsctl(const struct fixture *f, const char *arguments, char *out, size_t size)
{
	char command[512];

	snprintf(command, sizeof command, "%s -s %s %s 2>&1", JEEBSCTL, f->path, arguments);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	size_t n = fread(out, 1, size - 1, p);
	out[n] = 0;
	int r = pclose(p);
	assert_true(WIFEXITED(r));
	return WEXITSTATUS(r);
}

static void test_jeebsctl_status(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "status", out, sizeof out), 0);
	assert_string_equal(out, "OK 2 servers, 1204 of 1210 live connections continuable\n"
				 "version 0.1.0, pid 42, up 1d 01:01:01\n"
				 "connections: 1300 tracked, 1210 live, 0 carried on\n"
				 "capture: 5000 packets, 1 dropped\n"
				 "store: 1.5 MiB of 1.0 GiB, 1204 records\n"
				 "hold: off\n");
	set_state(&f->asked, "taken-over");
	assert_int_equal(jeebsctl(f, "status", out, sizeof out), 1);
	assert_int_equal(strncmp(out, "TAKEN-OVER 2 servers", 20), 0);
	assert_int_equal(jeebsctl(f, "-o json status", out, sizeof out), 1);
	assert_int_equal(strncmp(out, "{\n  \"api\": 1,\n  \"ok\": true,", 26), 0);
}

static void test_jeebsctl_tables(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "show servers", out, sizeof out), 0);
	assert_string_equal(out, "NAME STATE   READY ADDRESSES        BACKUPS  LIVE ARP TCP     "
				 "MISSED BOUND_MS HOLD REASON\n"
				 "web1 healthy yes   10.9.0.1,fd00::1 10.9.0.2   12 ok  refused    "
				 "  3      400 no   -\n");
	assert_int_equal(jeebsctl(f, "show servers -o interface,Name", out, sizeof out), 0);
	assert_string_equal(out, "INTERFACE NAME\neth0      web1\n");
	assert_int_equal(
		jeebsctl(f, "show connections web1 -o client,age,verdict,reason", out, sizeof out),
		0);
	assert_string_equal(
		out, "CLIENT          AGE VERDICT  REASON\n10.9.0.7:51512 12.3 continue range\n");
	assert_asked(&f->asked, "connections of web1");
	assert_int_equal(jeebsctl(f, "show failovers -o server,outcome,because,aborted,why", out,
				  sizeof out),
			 0);
	assert_string_equal(
		out, "SERVER OUTCOME    BECAUSE ABORTED WHY\n"
		     "web1   taken-over -            10 entity-differs=9,backend-failed=1\n");
	assert_int_equal(jeebsctl(f, "show servers -o nome", out, sizeof out), 64);
	assert_non_null(strstr(out, "no column 'nome'; there are: name state"));
	set_connections(&f->asked, 0);
	assert_int_equal(jeebsctl(f, "show connections", out, sizeof out), 0);
}

static void test_jeebsctl_answers(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "explain 10.9.0.7:51512", out, sizeof out), 0);
	assert_non_null(strstr(out, "10.9.0.7:51512: continue (range): sent again from byte 1000\n"
				    "  The handshake was seen.?[2J\n"));
	assert_non_null(strstr(out, "\n  options: mss=1460 sack=yes\n"));
	assert_int_equal(jeebsctl(f, "explain 10.9.0.8:2", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "-o json explain 10.9.0.8:2", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "explain 10.9.0.8:1", out, sizeof out), 1);
	assert_string_equal(out, "jeebsctl: there is no connection from 10.9.0.8:1\n");
	assert_int_equal(jeebsctl(f, "explain nobody", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "failover web1", out, sizeof out), 0);
	assert_asked(&f->asked, "failover web1");
	assert_int_equal(jeebsctl(f, "failover web9", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "approve", out, sizeof out), 0);
	assert_non_null(strstr(out, "web1-1"));
	assert_non_null(strstr(out, "120"));
	assert_int_equal(jeebsctl(f, "approve web1-1 </dev/null", out, sizeof out), 0);
	assert_asked(&f->asked, "approve web1-1");
	assert_non_null(
		strstr(out, "web1 (host-down), silent for 2 s: keys of 120 sessions (tls)"));
	assert_int_equal(jeebsctl(f, "approve web1-1 alike </dev/null", out, sizeof out), 0);
	assert_asked(&f->asked, "approve web1-1 and alike");
	/* It is not among those that wait: the daemon says why. */
	assert_int_equal(jeebsctl(f, "refuse web1-0", out, sizeof out), 1);
	assert_int_equal(jeebsctl(f, "refuse web1-1", out, sizeof out), 0);
	assert_asked(&f->asked, "refuse web1-1");
	assert_int_equal(jeebsctl(f, "revoke web1", out, sizeof out), 0);
	assert_asked(&f->asked, "revoke web1");
	assert_int_equal(jeebsctl(f, "approve web1-1 web1-2", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "refuse", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "hold", out, sizeof out), 0);
	assert_asked(&f->asked, "hold all on");
	assert_int_equal(jeebsctl(f, "hold web1 off", out, sizeof out), 0);
	assert_asked(&f->asked, "hold web1 off");
	assert_int_equal(jeebsctl(f, "hold web1 web2", out, sizeof out), 64);
}

static void test_jeebsctl_failures(void **state)
{
	struct fixture *f = *state;
	char out[4096];

	assert_int_equal(jeebsctl(f, "", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "stats", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "status now", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "status -o name", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "status --bogus", out, sizeof out), 64);
	assert_int_equal(jeebsctl(f, "--version", out, sizeof out), 0);
	assert_string_equal(out, "jeebsctl " JEEBS_VERSION "\n");
	assert_int_equal(jeebsctl(f, "-s /nonexistent/sock status", out, sizeof out), 69);
	assert_int_equal(jeebsctl(f, "status >/dev/full", out, sizeof out), 1);
}

/* As a user whom the file mode keeps out, and as a user who may only read. */
static void test_jeebsctl_permissions(void **state)
{
	struct fixture *f = *state;
	char command[1024];

	if (getuid() != 0) {
		print_message("needs root to become somebody else: NOT CHECKED\n");
		skip();
	}
	assert_int_equal(chmod(f->folder, 0755), 0);
	snprintf(command, sizeof command,
		 "install -m 755 %s %s/ctl && setpriv --reuid=65534 --regid=65534 --clear-groups "
		 "%s/ctl -s %s status 2>/dev/null",
		 JEEBSCTL, f->folder, f->folder, f->path);
	int r = system(command);
	assert_int_equal(WEXITSTATUS(r), 77);

	snprintf(command, sizeof command, "chmod 755 %s/run && chmod 666 %s", f->folder, f->path);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof command,
		 "setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '%s/ctl -s %s status "
		 ">/dev/null || exit 99; %s/ctl -s %s hold 2>/dev/null'; r=$?; rm %s/ctl; exit $r",
		 f->folder, f->path, f->folder, f->path, f->folder);
	r = system(command);
	assert_int_equal(WEXITSTATUS(r), 77);
	assert_asked(&f->asked, "");
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, control_rig_setup, control_rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(test_jeebsctl_status),      in_fixture(test_jeebsctl_tables),
		in_fixture(test_jeebsctl_answers),     in_fixture(test_jeebsctl_failures),
		in_fixture(test_jeebsctl_permissions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
