/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes the client lacks: restored as unsent they go out at once; as sent they wait for a
 * retransmission timer that starts at three seconds. So everything the client surely lacks is
 * restored as unsent. appliance/failover/failover-connection.c: perhaps_held().
 */
#include "fact.h"

#define LOST 1000

static int64_t arrival_ms(struct fact *f, uint64_t from, uint32_t as_sent)
{
	struct fact_state s;

	fact_deafen(f->client, true);
	fact_say(f->box, from, LOST);
	fact_take_apart(f, &s);
	fact_deafen(f->client, false);
	int64_t begin = fact_now_ms();
	fact_restore(f, &s,
		     &(struct fact_restore){
			     .back = LOST, .as_sent = as_sent, .already = (uint32_t)from});
	return fact_hear(f->client, from, LOST, 8000) == LOST ? fact_now_ms() - begin : -1;
}

int main(void)
{
	struct fact f;

	fact_begin(&f, "as-sent-waits");
	fact_connect(&f);
	int64_t unsent = arrival_ms(&f, 0, 0), sent = arrival_ms(&f, LOST, LOST);
	fact_end(&f, unsent >= 0 && unsent < 500 && sent > unsent,
		 "what the client lacks arrives after %lld ms as unsent, after %lld ms as sent",
		 (long long)unsent, (long long)sent);
}
