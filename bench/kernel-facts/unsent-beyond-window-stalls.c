/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client that already holds more than ten segments of what is restored as unsent acknowledges
 * beyond what the new socket has sent. Linux ignores such an ACK, and the connection stands for
 * ever. So the client is asked first, and what it may hold is restored as sent.
 * appliance/failover/failover-connection.c: perhaps_held().
 */
#include "fact.h"

#define HELD 40000

static bool drained(void *ctx)
{
	return fact_outq(((struct fact *)ctx)->box) == 0;
}

static bool restored(struct fact *f, uint64_t from, uint32_t as_sent)
{
	struct fact_state s;

	fact_take_apart(f, &s);
	fact_restore(f, &s,
		     &(struct fact_restore){
			     .back = HELD, .as_sent = as_sent, .already = (uint32_t)from});
	return fact_wait(drained, f, as_sent ? 8000 : 1500);
}

int main(void)
{
	struct fact f;

	fact_begin(&f, "unsent-beyond-window-stalls");
	fact_connect(&f);
	fact_say(f.box, 0, HELD);
	if (fact_hear(f.client, 0, HELD, 5000) != HELD)
		fact_skip(&f, "the bytes did not arrive");
	bool unsent = restored(&f, 0, 0), sent = restored(&f, 0, HELD);
	fact_end(&f, !unsent && sent, "%d bytes the client holds, as unsent: %s; as sent: %s", HELD,
		 unsent ? "acknowledged" : "never acknowledged",
		 sent ? "acknowledged" : "never acknowledged");
}
