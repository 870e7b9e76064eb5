/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dump-messages FOLDER NAME: the messages of a recording, in the form of fuzz-ssh.c, to standard
 * output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jeebs/recovery-module.h"
#include "recovery-modules/ssh/ssh-connection.h"
#include "ssh-recording.h"

static struct ssh_transport transport;
static struct crypto_rig rig;
static bool data_alone;
static uint8_t room[SSH_WIRE_MAX];

static void put(uint32_t dir, struct bytes b)
{
	const uint8_t head[] = {dir == JEEBS_TO_SERVER ? 'S' : 'C', (uint8_t)(b.n >> 8),
				(uint8_t)b.n};

	fwrite(head, 1, sizeof head, stdout);
	fwrite(b.p, 1, b.n, stdout);
}

static size_t take(void *ctx, uint32_t dir, uint64_t off, struct bytes b)
{
	struct ssh_crypto c = crypto_rig_of(&rig);
	size_t used = 0;

	(void)ctx;
	(void)off;
	for (;;) {
		struct bytes left = bytes_from(b, used);
		struct ssh_packet p;
		int r = left.n ? ssh_transport_take(&transport, &c, dir, left, room, &p)
			       : SSH_TAKEN_MORE;

		if (r != SSH_TAKEN_PACKET && r != SSH_TAKEN_LINE)
			return used;
		uint32_t id, code;
		struct bytes data;

		if (!data_alone)
			put(dir, r == SSH_TAKEN_LINE ? bytes_head(left, p.wire_n) : p.payload);
		else if (r == SSH_TAKEN_PACKET && ssh_channel_data(p.payload, &id, &code, &data))
			put(dir, data);
		used += p.wire_n;
	}
}

int main(int argc, char **argv)
{
	static struct ssh_recording r;

	data_alone = argc == 4;
	if (argc != 3 && !data_alone)
		return 1;
	ssh_recording_load(&r, argv[1], argv[2]);
	if (!crypto_rig_init(&rig, buf_view(&r.keys)))
		return 1;
	ssh_transport_init(&transport);
	ssh_recording_play(&r, 65535, take, NULL);
	return 0;
}
