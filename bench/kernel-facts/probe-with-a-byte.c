/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An empty ACK below the window is answered at most once in half a second, and a client may just
 * have answered the dying server's own probe; one that carries a byte the client has is answered
 * each time. tcprepair/probe.c: probe_build().
 */
#include <poll.h>

#include "fact.h"

struct wanted {
	int fd;
	uint32_t segs;
};

static bool came(void *ctx)
{
	const struct wanted *w = ctx;

	return fact_segs_in(w->fd) >= w->segs;
}

/* Is the probe answered? */
static bool answered(struct fact *f, const struct fact_state *s, bool with_byte)
{
	struct wanted w = {f->box, fact_segs_in(f->box) + 1};
	uint8_t b = fact_byte(9);

	fact_raw_ack(f, s->snd - 1, s->rcv, &b, with_byte, s->tsval + 3000);
	return fact_wait(came, &w, 200);
}

int main(void)
{
	struct fact f;
	struct fact_state s;

	fact_begin(&f, "probe-with-a-byte");
	fact_connect(&f);
	fact_say(f.box, 0, 10);
	fact_hear(f.client, 0, 10, 3000);
	fact_take_apart(&f, &s);
	/* It counts the answers; its own probe as it leaves repair uses up the half second. */
	fact_restore(&f, &s, &(struct fact_restore){0});
	poll(NULL, 0, 50); /* its answer is in */
	bool empty = answered(&f, &s, false);
	int with = 0;
	for (int i = 0; i < 5; i++)
		with += answered(&f, &s, true);
	fact_end(&f, with == 5, "empty, a second time in 500 ms: %s; with a byte: %d of 5 answered",
		 empty ? "answered" : "not answered", with);
}
