/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-join: the two conversations of a session that goes on: with the client (front), as the old
 * server, and with the backup (back), as its client; and the lanes between them, one for each
 * channel. Private to plan and resume.
 *
 * A lane has as much window towards the backup as the client has given, and no more than
 * SSH_LANE_WINDOW, so what comes while nothing can be said to the client has room. A message that
 * cannot go on now is stuck: it stays in its room, and nothing behind it is looked at.
 */
#ifndef SSH_JOIN_H
#define SSH_JOIN_H

#include "ssh-client.h"
#include "ssh-complete.h"
#include "ssh-server.h"
#include "ssh.h"

#define SSH_LANES_MAX   4u
#define SSH_LANE_WINDOW 32768u
#define SSH_DATA_MAX    32768u /* of one message; OpenSSH's largest */
#define SSH_ROOM        34816u /* a packet with it */
#define SSH_IN_FRONT    (SSH_ROOM + 32768u)
#define SSH_IN_BACK     (SSH_LANES_MAX * SSH_LANE_WINDOW + SSH_ROOM)

struct ssh_skip {
	uint64_t left; /* bytes that the client has had, and the backup says again */
	XXH64_state_t digest;
};

struct ssh_lane {
	uint8_t way;     /* enum ssh_way; SSH_WAY_NONE: there is none */
	uint8_t channel; /* of the front */
	bool up;         /* what was replayed runs */
	uint8_t waits;   /* requests to the backup whose replies are ours */
	uint32_t client; /* as messages to the client name it, */
	uint32_t server; /* and messages of the client, */
	uint32_t backup; /* and messages to the backup; those of it say the lane's number */
	struct ssh_skip skip[SSH_STREAMS];
};

struct ssh_in {
	size_t n, cap;
	uint8_t *p;
	struct bytes stuck; /* the payload that waits; in `room` */
	uint8_t *room;
};

struct ssh_join {
	struct ssh *s;
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
	bool begun, over;
	bool held; /* nothing is read from the client */
	struct ssh_keys_of front, back;
	struct ssh_session back_session;
	struct ssh_server server;
	struct ssh_client client;
	struct ssh_lane lane[SSH_LANES_MAX];
	struct ssh_complete_data want; /* data that the packet half said is of */
	size_t fill_n;
	struct ssh_in in[2]; /* from the client, from the backup */
	uint8_t in_front[SSH_IN_FRONT], in_back[SSH_IN_BACK];
	uint8_t open_front[SSH_ROOM], open_back[SSH_ROOM];
	uint8_t room[SSH_ROOM], sealed[SSH_ROOM], half[SSH_ROOM], half_clear[SSH_ROOM];
	uint8_t fill[SSH_ROOM];
};

_Static_assert(sizeof(struct ssh_join) <= JEEBS_MEMORY_MAX, "it has room in the join");

bool ssh_note_of(const struct ssh_connection *c, uint8_t channel, uint8_t kind,
		 struct ssh_note *ret);
/* Whether there is a host key of the service at all. */
bool ssh_has_host_key(const struct ssh_crypto *c);

/* ---- ssh-resume.c --------------------------------------------------------------------------- */

/* The connection is over, and the client is reset. Static text. */
void ssh_join_abort(struct ssh_join *x, const char *why);
/* False: it cannot be said now. */
bool ssh_join_say(struct ssh_join *x, struct bytes payload);

/* ---- ssh-lanes.c ---------------------------------------------------------------------------- */

/* The backup has let us in: channels are opened there. */
void ssh_lanes_open(struct ssh_join *x);
/* Whether everything that is replayed runs. */
bool ssh_lanes_are_up(const struct ssh_join *x);
/* A message of the client, or of the backup, about a channel. False: it is stuck. */
bool ssh_lanes_front(struct ssh_join *x, uint8_t *payload, size_t n);
bool ssh_lanes_back(struct ssh_join *x, uint8_t *payload, size_t n);
/* What of the data is in the packet half said. */
struct bytes ssh_begun_data(const struct ssh_join *x);
/* The packet half said, if it is data of a lane and there is enough of that. */
void ssh_lanes_finish(struct ssh_join *x);

#endif
