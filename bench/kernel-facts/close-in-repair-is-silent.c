/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * close() in repair sends neither FIN nor RST: the way out of a restore that failed half-way.
 * tcprepair/restore.c: restore_abandon().
 */
#include <poll.h>

#include "fact.h"

int main(void)
{
	struct fact f;
	struct fact_state s;

	fact_begin(&f, "close-in-repair-is-silent");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	struct pollfd p = {.fd = f.client, .events = POLLIN};
	bool told = poll(&p, 1, 300) == 1;
	fact_end(&f, !told, "the other end is told %s", told ? "of it" : "nothing");
}
