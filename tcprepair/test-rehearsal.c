/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the rehearsal says of a host's rules, and that a guard raised as it says is served. */
#include "test/lab.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

/* So many of the client's segments are late: the rehearsal sends another one meanwhile. */
static uint32_t late;

int __real_link_send(struct link *l, struct bytes frame);
int __wrap_link_send(struct link *l, struct bytes frame);
int __wrap_link_send(struct link *l, struct bytes frame)
{
	if (late == 0)
		return __real_link_send(l, frame);
	late--;
	return 0;
}

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return __real_poll(fds, n, late > 0 && timeout > 1 ? 1 : timeout); /* time flies */
}

static struct rehearsal_scene scene(uint8_t family)
{
	return (struct rehearsal_scene){
		.interface = "eth0",
		.service = {lab_endpoint(LAB_SERVER, family, LAB_PORT),
			    lab_endpoint(LAB_BACKUP, family, LAB_BACKUP_PORT)},
		.client = lab_endpoint(LAB_CLIENT, family, 0),
	};
}

static struct rehearsal rehearsed(const struct lab *l, uint8_t family, const char *rules)
{
	struct rehearsal_scene s = scene(family);
	struct rehearsal ret;

	lab_enter(l, LAB_BOX);
	lab_run("nft flush ruleset");
	if (rules)
		lab_run("nft -f - <<'END'\n%s\nEND", rules);
	int r = rehearse(&s, &ret);
	lab_run("nft flush ruleset");
	if (r < 0)
		fail_msg("rehearse: %s", strerror(-r));
	return ret;
}

static void passes(const struct lab *l, const char *rules, enum guard_tracking tracking)
{
	static const uint8_t families[] = {NETADDR_V4, NETADDR_V6};

	for (size_t i = 0; i < 2; i++) {
		struct rehearsal r = rehearsed(l, families[i], rules);
		if (r.outcome != REHEARSAL_PASSES)
			fail_msg("outcome %d: %s", r.outcome, r.rule);
		assert_int_equal(r.tracking, tracking);
		assert_string_equal(r.rule, "");
	}
}

static void drops(const struct lab *l, const char *rules, enum rehearsal_outcome outcome,
		  const char *rule)
{
	struct rehearsal r = rehearsed(l, NETADDR_V4, rules);

	assert_int_equal(r.outcome, outcome);
	assert_string_equal(r.rule, rule);
}

static void test_no_rules(void **state)
{
	passes(*state, NULL, GUARD_UNTRACKED);
	passes(*state,
	       "table inet filter { chain input { type filter hook input priority 0; "
	       "tcp dport 22 accept; }; }",
	       GUARD_UNTRACKED);
}

/* The rules of most hosts: established connections may enter, new ones to a few ports. */
static void test_ordinary_firewall(void **state)
{
	passes(*state,
	       "table inet filter { chain input { type filter hook input priority 0; policy drop; "
	       "ct state established,related accept; ct state invalid drop; iifname \"lo\" accept; "
	       "tcp dport 22 ct state new accept; }; }",
	       GUARD_TRACKED);
}

/* A firewall without state: connection tracking would change nothing for it. */
static void test_stateless_firewall(void **state)
{
	passes(*state,
	       "table inet filter { set ports { type inet_service; elements = { 22, 80 }; }; "
	       "chain input { type filter hook input priority 0; policy drop; "
	       "iif \"eth0\" tcp dport @ports accept; }; }",
	       GUARD_UNTRACKED);
}

static void test_who_drops_restored(void **state)
{
	drops(*state,
	      "table inet filter { chain input { type filter hook input priority 0; policy drop; "
	      "tcp dport 22 accept; }; }",
	      REHEARSAL_RESTORED_DROPPED, "inet filter input: policy drop");
	drops(*state,
	      "table ip mine { chain ports { tcp dport 80 ip saddr 10.0.0.0/8 drop; }; "
	      "chain in { type filter hook input priority 0; jump ports; }; }",
	      REHEARSAL_RESTORED_DROPPED, "ip mine ports: tcp dport 80 ip saddr 10.0.0.0/8 drop");
}

static void test_who_drops_new(void **state)
{
	drops(*state,
	      "table inet filter { chain forward { type filter hook forward priority 0; "
	      "policy drop; }; }",
	      REHEARSAL_NEW_DROPPED, "inet filter forward: policy drop");
	drops(*state,
	      "table inet filter { chain input { type filter hook input priority 0; policy drop; "
	      "ct state established accept; }; chain forward { type filter hook forward priority "
	      "0; "
	      "tcp dport 8080 reject; }; }",
	      REHEARSAL_NEW_DROPPED, "inet filter forward: tcp dport 8080 reject");
}

/* A late packet proves nothing about the rules. */
static void test_a_slow_box(void **state)
{
	late = 60;
	struct rehearsal r = rehearsed(*state, NETADDR_V4, NULL);
	assert_int_equal(late, 0);
	assert_int_equal(r.outcome, REHEARSAL_PASSES);
	assert_int_equal(r.tracking, GUARD_UNTRACKED);
}

/* No packet arrives, and no rule has dropped one: the outcome is unknown. */
static void test_nothing_comes(void **state)
{
	late = UINT32_MAX;
	struct rehearsal r = rehearsed(*state, NETADDR_V4, NULL);
	late = 0;
	assert_int_equal(r.outcome, REHEARSAL_NOT_TOLD);
	assert_non_null(strstr(r.rule, "no nftables rule dropped it"));
}

/* The rules name other interfaces: a second port, a VLAN. */
static void test_other_interfaces(void **state)
{
	const struct lab *l = *state;

	lab_enter(l, LAB_BOX);
	lab_run("ip link add uplink type veth peer name other");
	passes(l,
	       "table inet filter { chain input { type filter hook input priority 0; policy drop; "
	       "iif \"uplink\" drop; iif \"eth0\" accept; }; }",
	       GUARD_UNTRACKED);
}

/*
 * Afterwards the host's rules, interfaces and connections are as before. The table of a guard is
 * not rehearsed.
 */
static void test_nothing_remains(void **state)
{
	const struct lab *l = *state;
	struct rehearsal_scene s = scene(NETADDR_V4);
	struct rehearsal ret;
	struct guard *g = NULL;
	uint32_t before, after;

	lab_enter(l, LAB_BOX);
	lab_run("nft add table inet mine");
	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, &s.service, 1, &g), 0);
	assert_int_equal(rehearsal_generation(&before), 0);
	assert_int_equal(rehearse(&s, &ret), 0);
	assert_int_equal(ret.outcome, REHEARSAL_PASSES);
	assert_int_equal(rehearsal_generation(&after), 0);
	assert_int_equal(before, after);
	lab_run("test \"$(nft list tables | sort | tr '\\n' ' ')\" = "
		"'table inet jeebs-web1 table inet mine '");
	lab_run("test $(ip -o link | wc -l) = 2"); /* lo, eth0 */
	guard_down(g);
	lab_run("nft add table inet other");
	assert_int_equal(rehearsal_generation(&after), 0);
	assert_int_not_equal(before, after);
	lab_run("nft flush ruleset");
}

static uint64_t digest(void)
{
	uint64_t d;

	assert_int_equal(rehearsal_digest(&d), 0);
	return d;
}

/* The digest changes neither with packet counters nor with what a takeover adds. */
static void test_digest_is_of_the_hosts_rules(void **state)
{
	const struct lab *l = *state;
	struct rehearsal_scene s = scene(NETADDR_V4);
	struct guard *g = NULL;

	lab_enter(l, LAB_BOX);
	lab_run("nft flush ruleset");
	uint64_t none = digest();
	lab_run("nft 'table inet mine { chain in { type filter hook input priority 0; "
		"counter accept; }; }'");
	uint64_t mine = digest();
	assert_true(mine != none);
	struct endpoint at = lab_endpoint(LAB_SERVER, NETADDR_V4, LAB_PORT);
	lab_enter(l, LAB_SERVER);
	int listener = lab_listen(&at);
	lab_enter(l, LAB_BOX);
	int counted = lab_connect(&at, 0);
	lab_wait(counted, POLLOUT);
	close(counted);
	close(listener);
	assert_true(digest() == mine);
	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, &s.service, 1, &g), 0);
	assert_true(digest() == mine);
	guard_down(g);
	lab_run("nft add rule inet mine in drop");
	assert_true(digest() != mine);
	lab_run("nft flush ruleset");
	assert_true(digest() == none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_rules, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_ordinary_firewall, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_stateless_firewall, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_who_drops_restored, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_who_drops_new, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_a_slow_box, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_comes, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_other_interfaces, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_digest_is_of_the_hosts_rules, lab_setup,
						lab_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_remains, lab_setup, lab_teardown),
	};

	lab_require_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
