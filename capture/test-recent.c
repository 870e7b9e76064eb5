/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recent.h"

#include "test/track-script.h"

static struct recent recent;

static struct flow flow_between(const char *to, const char *from)
{
	struct flow f = {0};

	assert_int_equal(endpoint_parse(to, false, &f.server), 0);
	assert_int_equal(endpoint_parse(from, false, &f.client), 0);
	return f;
}

static struct flow *find(struct endpoint src, struct endpoint dst, enum flow_dir d)
{
	struct segment s = {.src = src, .dst = dst};
	enum flow_dir found = FLOW_TO_SERVER;
	struct flow *f = recent_find(&recent, &s, &found);

	if (f)
		assert_int_equal(found, d);
	return f;
}

static void expect(struct flow *f, struct flow *found)
{
	assert_ptr_equal(find(f->client, f->server, FLOW_TO_SERVER), found);
	assert_ptr_equal(find(f->server, f->client, FLOW_TO_CLIENT), found);
}

static void test_both_directions(void **state)
{
	static const char *const ends[][2] = {{"10.9.0.1:80", "10.1.0.7:40000"},
					      {"[fd00::1]:80", "[fd00::ff:7]:40000"}};

	for (size_t i = 0; i < 2; i++) {
		struct flow f = flow_between(ends[i][0], ends[i][1]);
		expect(&f, NULL);
		recent_note(&recent, &f);
		expect(&f, &f);
		recent_forget(&recent, &f);
		expect(&f, NULL);
	}
}

/* These connections have the hash of the flow. */
static void test_same_hash(void **state)
{
	struct flow f = flow_between("10.9.0.1:80", "10.1.0.7:40000");
	struct flow ports = flow_between("10.9.0.1:40000", "10.1.0.7:80");
	struct flow addresses = flow_between("10.1.0.1:80", "10.9.0.7:40000");

	recent_note(&recent, &f);
	expect(&ports, NULL);
	expect(&addresses, NULL);
	recent_note(&recent, &ports);
	expect(&f, NULL);
	expect(&ports, &ports);
	recent_forget(&recent, &f); /* the flow has no place any more */
	expect(&ports, &ports);
	recent_forget(&recent, &ports);
	expect(&ports, NULL);
}

/* More connections than places: each continues at its last position. */
static void test_many(void **state)
{
	enum {
		MANY = 3 << RECENT_BITS
	};

	config.max_flows = MANY;
	restart();
	for (int round = 0; round < 3; round++) {
		for (uint16_t i = 0; i < MANY; i++) {
			client.port = (uint16_t)(1000 + i);
			memset(shown, 0, sizeof shown);
			struct flow *f = round == 0   ? handshake()
					 : round == 1 ? c(A, 0, 0, 10)
						      : c(R, 10, 0, 0);
			assert_true(round == 2 ? !f : f && endpoint_eq(&f->client, &client));
		}
		assert_int_equal(track_count(track), round == 2 ? 0 : MANY);
	}
	assert_int_equal(opens, MANY);
	assert_int_equal(closes, MANY);
}

/* A connection between two protected servers, in two VLANs, with the ports exchanged. */
static void test_two_servers(void **state)
{
	services[1] = client;
	config.service_count = 2;
	restart();
	vlan[0] = vlan[1] = 10;
	struct flow *f = handshake();
	vlan[0] = vlan[1] = 20;
	struct flow *g = s(S, -1, 0, 0);
	assert_int_equal(opens, 2);
	assert_true(endpoint_eq(&g->server, &client));
	vlan[0] = vlan[1] = 10;
	assert_ptr_equal(c(A, 0, 0, 10), f);
	assert_int_equal(shown[FLOW_TO_SERVER], 10);
}

static int begin(void **state)
{
	recent = (struct recent){0};
	return set_up(state);
}

#define RECENT(test) cmocka_unit_test_setup_teardown(test, begin, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RECENT(test_both_directions),
		RECENT(test_same_hash),
		RECENT(test_many),
		RECENT(test_two_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
