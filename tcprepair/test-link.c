/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernel knows of a neighbour, asked for and set. */
#include "test/lab.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static const uint8_t families[] = {NETADDR_V4, NETADDR_V6};

static struct link *box_link(const struct lab *l)
{
	struct link *ret = NULL;

	lab_enter(l, LAB_BOX);
	assert_int_equal(link_open("eth0", &ret), 0);
	return ret;
}

static void test_neighbour(void **state)
{
	static const uint8_t first[6] = {2, 0, 0, 0, 0, 1}, second[6] = {2, 0, 0, 0, 0, 2};
	struct link *link = box_link(*state);
	uint8_t mac[6];

	for (size_t i = 0; i < 2; i++) {
		struct netaddr a = lab_endpoint(LAB_SERVER, families[i], 0).addr;
		assert_int_equal(link_neighbour(link, &a, mac), -ENOENT);
		assert_int_equal(link_set_neighbour(link, &a, first), 0);
		assert_int_equal(link_neighbour(link, &a, mac), 0);
		assert_memory_equal(mac, first, sizeof mac);
		assert_int_equal(link_set_neighbour(link, &a, second), 0);
		assert_int_equal(link_neighbour(link, &a, mac), 0);
		assert_memory_equal(mac, second, sizeof mac);
	}
	link_close(link);
}

/* The MAC address that the kernel has resolved by itself is the one that answers. */
static void test_neighbour_found_out(void **state)
{
	struct link *link = box_link(*state);

	for (size_t i = 0; i < 2; i++) {
		struct endpoint to = lab_endpoint(LAB_SERVER, families[i], 9);
		struct netaddr own = lab_endpoint(LAB_BOX, families[i], 0).addr;
		struct link_answer answer;
		uint8_t mac[6];
		int fd = lab_connect(&to, 0);
		lab_wait(fd, POLLOUT);
		close(fd);
		assert_int_equal(link_ask(link, &to.addr, &own), 0);
		do
			lab_wait(link_fd(link), POLLIN);
		while (link_receive(link, &answer) == 0 || !netaddr_eq(&answer.addr, &to.addr));
		assert_int_equal(link_neighbour(link, &to.addr, mac), 0);
		assert_memory_equal(mac, answer.mac, sizeof mac);
	}
	link_close(link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_neighbour, lab_setup, lab_teardown),
		cmocka_unit_test_setup_teardown(test_neighbour_found_out, lab_setup, lab_teardown),
	};

	lab_require_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
