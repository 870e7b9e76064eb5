/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An address with a lifetime vanishes by itself when nobody renews it, and so what a box that died
 * had taken. tcprepair/address.c: address_add().
 */
#include <stdlib.h>

#include "fact.h"

static bool gone(void *ctx)
{
	return system("ip -4 addr show dev box0 | grep -q 10.9.0.50") != 0;
}

int main(void)
{
	struct fact f;

	fact_begin(&f, "address-lifetime");
	fact_enter_box(&f);
	fact_shell("ip addr add 10.9.0.50/32 dev box0 valid_lft 1 preferred_lft 0");
	bool there = !gone(NULL);
	int64_t begin = fact_now_ms();
	bool vanished = fact_wait(gone, NULL, 8000);
	fact_end(&f, there && vanished, "one second of lifetime: %s after %lld ms",
		 vanished ? "gone" : "still there", (long long)(fact_now_ms() - begin));
}
