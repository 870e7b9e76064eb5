/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A restored socket whose TSval is below the last one the client saw is never heard (PAWS). So ours
 * is the last one seen and what elapsed. tcprepair/snapshot/snapshot.c: snapshot_tsval_at().
 */
#include "fact.h"

int main(void)
{
	struct fact f;
	struct fact_state s;

	fact_begin(&f, "low-timestamp-is-dropped");
	fact_connect(&f);
	fact_say(f.box, 0, 10);
	fact_hear(f.client, 0, 10, 3000);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){.tsval_add = -100000});
	fact_say(f.box, 10, 10);
	size_t low = fact_hear(f.client, 10, 10, 700);
	struct fact_state ignored;
	fact_take_apart(&f, &ignored);
	fact_restore(&f, &s, &(struct fact_restore){.tsval_add = 2000});
	fact_say(f.box, 10, 10);
	size_t right = fact_hear(f.client, 10, 10, 3000);
	fact_end(&f, low == 0 && right == 10, "100 s too low: %s; not too low: %s",
		 low ? "heard" : "never heard", right ? "heard" : "never heard");
}
