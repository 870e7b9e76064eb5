/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A socket in repair acknowledges what the client sends: a restore that is given up later has lost
 * those bytes. So the guard lets a flow in only when its socket is complete. tcprepair/guard.c.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "fact.h"

static bool drained(void *ctx)
{
	return fact_outq(((struct fact *)ctx)->client) == 0;
}

int main(void)
{
	struct fact f;
	struct fact_state s;
	char b[8];

	fact_begin(&f, "repair-still-acknowledges");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){.stay = true});
	fact_say(f.client, 0, 300);
	bool acked = fact_wait(drained, &f, 3000);
	int r = recv(f.box, b, sizeof b, MSG_DONTWAIT) < 0 ? errno : 0;
	fact_end(&f, acked && r == EPERM, "what comes in is %s, and reading it says \"%s\"",
		 acked ? "acknowledged" : "not acknowledged", r ? strerror(r) : "success");
}
