/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any line gets a well-formed reply of one line, and nobody without the right
 * reaches an operation that changes something.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "control.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"done", "refused", "failover", "hold", "explain", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *look(void *ctx, struct control_error *e)
{
	return json_object();
}

static json_t *connections(void *ctx, const char *server, struct control_error *e)
{
	return server ? control_fail(e, "unknown-server", "there is no '%s'", server)
		      : json_array();
}

static json_t *explain(void *ctx, const struct endpoint *client, struct control_error *e)
{
	char text[ENDPOINT_STRLEN];

	reached("explain");
	return json_string(endpoint_format(client, text));
}

static void require_admin(const struct control_peer *peer, uid_t uid)
{
	if (!peer->admin || uid != peer->uid)
		abort();
}

static json_t *failover(void *ctx, const char *server, uid_t uid, struct control_error *e)
{
	require_admin(ctx, uid);
	reached("failover");
	return control_fail(e, "unknown-server", "there is no '%s'", server);
}

static json_t *hold(void *ctx, const char *server, bool on, uid_t uid, struct control_error *e)
{
	require_admin(ctx, uid);
	reached("hold");
	return json_boolean(on);
}

static json_t *approve(void *ctx, const char *id, bool alike, uid_t uid, struct control_error *e)
{
	require_admin(ctx, uid);
	reached("approve");
	return json_boolean(alike);
}

static const struct control_ops ops = {look, look, connections, explain,  failover, hold,
				       look, look, approve,     failover, failover};

static void check(struct bytes line, struct control_peer peer)
{
	json_t *reply = control_handle(line, &peer, &ops, &peer);
	_cleanup_free_ char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

	if (!text || strchr(text, '\n') || json_integer_value(json_object_get(reply, "api")) != 1)
		abort();
	if (json_is_true(json_object_get(reply, "ok"))
		    ? !json_object_get(reply, "data")
		    : !json_string_value(
			      json_object_get(json_object_get(reply, "error"), "message")))
		abort();
	reached(json_is_true(json_object_get(reply, "ok")) ? "done" : "refused");
	json_decref(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(bytes_of(data, size), (struct control_peer){0, true});
	check(bytes_of(data, size), (struct control_peer){1000, false});
	return 0;
}
