/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "adopt-handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adopt-sys.h"
#include "recovery-modules/adopt/adopt-wire.h"
#include "base/log.h"

static uint64_t log_bytes(const struct span *l)
{
	return span_end(l) - span_from(l);
}

/* Whether the logs end where their directions do, and contain the unsent bytes. */
static bool is_whole(const struct adopt_request *r)
{
	const uint64_t end[2] = {r->cut.to_server_end, r->cut.to_client_end};

	for (int d = 0; d < 2; d++) {
		const struct span *l = &r->log[d];
		if (span_end(l) != end[d] || span_from(l) > l->off)
			return false;
	}
	return r->unsent <= r->log[1].bytes.n && strlen(r->protocol) <= ADOPT_PROTOCOL_MAX;
}

int handover_new(const struct adopt_request *r, struct handover **ret)
{
	if (!is_whole(r))
		return -EPROTO;
	struct handover *h = calloc(1, sizeof *h);
	if (!h)
		return -ENOMEM;
	h->rq = *r;
	h->channel = -1;
	list_init(&h->node);
	*ret = h;
	return 0;
}

static void forget_bytes(struct handover *h)
{
	span_free(&h->rq.log[0]);
	span_free(&h->rq.log[1]);
	buf_deinit(&h->rq.state);
}

void handover_free(struct handover *h, bool reset)
{
	if (h->channel >= 0)
		close(h->channel);
	if (reset)
		adopt_sys_reset(h->rq.client_fd);
	else
		close(h->rq.client_fd);
	forget_bytes(h);
	free(h);
}

static enum handover_outcome give_up(struct handover *h, const char *reason, const char *detail)
{
	h->reason = reason;
	snprintf(h->detail, sizeof h->detail, "%s", detail);
	return HANDOVER_IS_RESET;
}

/* The channel broke. If the program has taken the connection, the program has died. */
static enum handover_outcome lost(struct handover *h, int error)
{
	const char *reason = h->state == HANDOVER_TAKEN ? "adopter-died" : "adopt-unavailable";

	if (error == -ENODATA)
		return give_up(h, "log-lost", "what the store had of the log is gone");

	return give_up(h, error == -ENOMEM ? "no-memory" : reason,
		       error ? log_strerror(error) : "the program closed the channel");
}

enum handover_outcome handover_begin(struct handover *h)
{
	int r = adopt_sys_connect(h->rq.path, &h->channel);

	if (r == -EAGAIN)
		return HANDOVER_FULL;
	if (r == -EPERM)
		return give_up(h, "adopt-untrusted", h->rq.path);
	if (r < 0)
		return lost(h, r);
	h->state = HANDOVER_GREETED;
	return HANDOVER_GOES_ON;
}

/* ---- giving -------------------------------------------------------------------------------- */

static void connection_of(const struct handover *h, struct adopt_connection *ret)
{
	const struct adopt_request *r = &h->rq;

	*ret = (struct adopt_connection){
		.server = r->server,
		.client = r->client,
		.to_server_end = r->cut.to_server_end,
		.to_client_end = r->cut.to_client_end,
		.to_client_acked = r->cut.to_client_acked,
		.from = {span_from(&r->log[0]), span_from(&r->log[1])},
		.n = {log_bytes(&r->log[0]), log_bytes(&r->log[1])},
		.unsent = r->unsent,
		.state_n = r->state.n,
		.client_fin = r->cut.client_fin,
		.server_fin = r->cut.server_fin,
		.older = r->older,
		.protocol_n = (uint8_t)strlen(r->protocol),
	};
	memcpy(ret->protocol, r->protocol, ret->protocol_n);
}

static uint64_t part_size(const struct handover *h)
{
	return h->part == ADOPT_PART_STATE ? h->rq.state.n : log_bytes(&h->rq.log[h->part]);
}

/* The bytes of the part from h->off on. Empty when a log in the store cannot be read any more. */
static struct bytes part_bytes(const struct handover *h)
{
	if (h->part == ADOPT_PART_STATE)
		return bytes_from(buf_view(&h->rq.state), h->off);
	const struct span *l = &h->rq.log[h->part];
	return span_at(l, span_from(l) + h->off);
}

/*
 * Writes the next message to @out. *ret_n is the number of the part's bytes in it. Returns 0 or
 * -ENODATA.
 */
static int next_message(const struct handover *h, struct writer *out, size_t *ret_n)
{
	struct adopt_connection c;

	*ret_n = 0;
	if (!h->announced) {
		connection_of(h, &c);
		adopt_wire_connection(out, &c);
	} else if (h->part == ADOPT_PARTS) {
		adopt_wire_end(out);
	} else {
		struct bytes b = bytes_head(part_bytes(h), ADOPT_CHUNK_MAX);
		if (b.n == 0)
			return -ENODATA;
		const struct adopt_bytes m = {(enum adopt_part)h->part, h->off, b};
		adopt_wire_bytes(out, &m);
		*ret_n = b.n;
	}
	return 0;
}

static void skip_finished_parts(struct handover *h)
{
	while (h->part < ADOPT_PARTS && h->off == part_size(h)) {
		h->part++;
		h->off = 0;
	}
}

/* Everything was given, so the logs and the state are freed. */
static enum handover_outcome given(struct handover *h)
{
	h->state = HANDOVER_GIVEN;
	forget_bytes(h);
	return HANDOVER_GOES_ON;
}

static enum handover_outcome give(struct handover *h)
{
	uint8_t room[ADOPT_MESSAGE_MAX];
	enum handover_outcome outcome = HANDOVER_GOES_ON;
	int r = 0;

	while (h->state == HANDOVER_GIVING && r == 0) {
		size_t n;
		bool end = h->announced && h->part == ADOPT_PARTS;
		struct writer message = WRITER_IN(room);
		r = next_message(h, &message, &n);
		if (r == 0)
			r = adopt_sys_send(h->channel, writer_view(&message),
					   h->announced ? -1 : h->rq.client_fd);
		if (r == -EINTR)
			r = 0;
		else if (r == 0 && end)
			outcome = given(h);
		else if (r == 0) {
			h->announced = true;
			h->off += n;
			skip_finished_parts(h);
		}
	}
	return r == 0 || r == -EAGAIN ? outcome : lost(h, r);
}

/* ---- hearing --------------------------------------------------------------------------------- */

static enum handover_outcome hear_hello(struct handover *h, struct bytes message)
{
	switch (adopt_wire_read_hello(message)) {
	case ADOPT_WIRE_OK:
		h->state = HANDOVER_GIVING;
		return give(h);
	case ADOPT_WIRE_VERSION:
		return give_up(h, "adopt-protocol", "no common version");
	case ADOPT_WIRE_MALFORMED:
		break;
	}
	return give_up(h, "adopt-protocol", "no greeting");
}

static enum handover_outcome hear_verdict(struct handover *h, struct bytes message)
{
	struct adopt_verdict v;

	if (adopt_wire_read_verdict(message, &v) != ADOPT_WIRE_OK)
		return give_up(h, "adopt-protocol", "no verdict");
	if (!v.taken)
		return give_up(h, "adopt-refused", v.reason);
	/* A program cannot accept before it has received everything. */
	if (h->state != HANDOVER_GIVEN)
		return give_up(h, "adopt-protocol", "taken too early");
	h->state = HANDOVER_TAKEN;
	return HANDOVER_IS_TAKEN;
}

static enum handover_outcome hear(struct handover *h, struct bytes message)
{
	switch (h->state) {
	case HANDOVER_GREETED:
		return hear_hello(h, message);
	case HANDOVER_GIVING:
	case HANDOVER_GIVEN:
		return hear_verdict(h, message);
	case HANDOVER_TAKEN:
		if (adopt_wire_type(message) == ADOPT_DONE)
			return HANDOVER_IS_DONE;
		return give_up(h, "adopt-protocol", "neither verdict nor end");
	case HANDOVER_WAITING:
		break;
	}
	return HANDOVER_GOES_ON;
}

enum handover_outcome handover_step(struct handover *h)
{
	uint8_t message[256];
	ssize_t n = adopt_sys_receive(h->channel, message, sizeof message);

	if (n == 0)
		return lost(h, 0);
	if (n == -EMSGSIZE)
		return give_up(h, "adopt-protocol", "a message too long");
	if (n > 0)
		return hear(h, bytes_of(message, (size_t)n));
	if (n != -EAGAIN && n != -EINTR)
		return lost(h, (int)n);
	return h->state == HANDOVER_GIVING ? give(h) : HANDOVER_GOES_ON;
}
