/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "control.h"

struct call {
	const json_t *request;
	const struct control_peer *peer;
	const struct control_ops *ops;
	void *ctx;
	struct control_error error;
};

json_t *control_fail(struct control_error *e, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(e->code, sizeof e->code, "%s", code);
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof e->message, fmt, ap);
	va_end(ap);
	return NULL;
}

/* A shortened message may end within a character. Text that is not UTF-8 is shown as ASCII. */
static json_t *text_json(const char *text)
{
	char ascii[sizeof((struct control_error *)0)->message];
	json_t *j = json_string(text);
	size_t i = 0;

	if (j)
		return j;
	for (; text[i] && i < sizeof ascii - 1; i++)
		ascii[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	ascii[i] = 0;
	return json_string(ascii);
}

static json_t *error_reply(const struct control_error *e)
{
	const struct control_error none = {"no-memory", "the daemon is out of memory"};

	if (!e->code[0])
		e = &none;
	return json_pack("{s:i, s:b, s:{s:o, s:o}}", "api", CONTROL_API, "ok", 0, "error", "code",
			 text_json(e->code), "message", text_json(e->message));
}

/* The text of a required key, or NULL with the error set. */
static const char *get_text(struct call *c, const char *key)
{
	const char *text = json_string_value(json_object_get(c->request, key));

	if (!text)
		control_fail(&c->error, "bad-request", "'%s' must be a text", key);
	return text;
}

/* The text of an optional key. When the key is absent or null, which means "all", *ret is NULL. */
static bool get_optional_text(struct call *c, const char *key, const char **ret)
{
	const json_t *j = json_object_get(c->request, key);

	*ret = json_string_value(j);
	if (*ret || !j || json_is_null(j))
		return true;
	control_fail(&c->error, "bad-request", "'%s' must be a text or null", key);
	return false;
}

static json_t *do_status(struct call *c)
{
	return c->ops->status(c->ctx, &c->error);
}

static json_t *do_show(struct call *c)
{
	const char *what = get_text(c, "what"), *server;

	if (!what || !get_optional_text(c, "server", &server))
		return NULL;
	if (strcmp(what, "connections") == 0)
		return c->ops->connections(c->ctx, server, &c->error);
	const bool failovers = strcmp(what, "failovers") == 0;
	const bool approvals = strcmp(what, "approvals") == 0;
	if (!failovers && !approvals && strcmp(what, "servers") != 0)
		return control_fail(&c->error, "bad-request",
				    "'what' must be 'servers', 'connections', 'failovers' or "
				    "'approvals'");
	if (server)
		return control_fail(&c->error, "bad-request",
				    "'server' goes with 'connections' only");
	return failovers   ? c->ops->failovers(c->ctx, &c->error)
	       : approvals ? c->ops->approvals(c->ctx, &c->error)
			   : c->ops->servers(c->ctx, &c->error);
}

static json_t *do_explain(struct call *c)
{
	const char *text = get_text(c, "connection");
	struct endpoint client;

	if (!text)
		return NULL;
	if (endpoint_parse(text, false, &client) < 0)
		return control_fail(&c->error, "bad-request",
				    "'connection' must be the client's ADDRESS:PORT");
	return c->ops->explain(c->ctx, &client, &c->error);
}

static json_t *do_failover(struct call *c)
{
	const char *server = get_text(c, "server");

	return server ? c->ops->failover(c->ctx, server, c->peer->uid, &c->error) : NULL;
}

static json_t *do_hold(struct call *c)
{
	const json_t *on = json_object_get(c->request, "on");
	const char *server;

	if (!get_optional_text(c, "server", &server))
		return NULL;
	if (!json_is_boolean(on))
		return control_fail(&c->error, "bad-request", "'on' must be true or false");
	return c->ops->hold(c->ctx, server, json_is_true(on), c->peer->uid, &c->error);
}

static json_t *do_approve(struct call *c)
{
	const char *failover = get_text(c, "failover");
	const json_t *alike = json_object_get(c->request, "alike");

	if (!failover)
		return NULL;
	if (alike && !json_is_boolean(alike))
		return control_fail(&c->error, "bad-request", "'alike' must be true or false");
	return c->ops->approve(c->ctx, failover, json_is_true(alike), c->peer->uid, &c->error);
}

static json_t *do_refuse(struct call *c)
{
	const char *failover = get_text(c, "failover");

	return failover ? c->ops->refuse(c->ctx, failover, c->peer->uid, &c->error) : NULL;
}

static json_t *do_revoke(struct call *c)
{
	const char *server = get_text(c, "server");

	return server ? c->ops->revoke(c->ctx, server, c->peer->uid, &c->error) : NULL;
}

static const struct command {
	const char *name;
	bool admin;
	json_t *(*call)(struct call *c);
	const char *keys[3]; /* besides "cmd" */
} commands[] = {
	{"status", false, do_status},
	{"show", false, do_show, {"what", "server"}},
	{"explain", false, do_explain, {"connection"}},
	{"failover", true, do_failover, {"server"}},
	{"hold", true, do_hold, {"server", "on"}},
	{"approve", true, do_approve, {"failover", "alike"}},
	{"refuse", true, do_refuse, {"failover"}},
	{"revoke", true, do_revoke, {"server"}},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/*
 * Refuses unknown keys. Without that a misspelt key would turn "hold web1" into "hold everything".
 */
static bool check_keys(struct call *c, const struct command *command)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)c->request, key, value)
	{
		bool known = strcmp(key, "cmd") == 0;
		for (int i = 0; i < 3 && command->keys[i]; i++)
			known |= strcmp(command->keys[i], key) == 0;
		if (!known) {
			control_fail(&c->error, "bad-request", "'%s' has no key '%.40s'",
				     command->name, key);
			return false;
		}
	}
	return true;
}

static json_t *dispatch(struct call *c)
{
	if (!json_is_object(c->request))
		return control_fail(&c->error, "bad-request", "a request is a JSON object");
	const char *name = get_text(c, "cmd");
	if (!name)
		return NULL;
	const struct command *command = find_command(name);
	if (!command)
		return control_fail(&c->error, "unknown-command", "there is no command '%.40s'",
				    name);
	if (command->admin && !c->peer->admin)
		return control_fail(&c->error, "permission",
				    "'%s' is for root and the daemon's own user", command->name);
	return check_keys(c, command) ? command->call(c) : NULL;
}

json_t *control_handle(struct bytes line, const struct control_peer *peer,
		       const struct control_ops *ops, void *ctx)
{
	struct call c = {.peer = peer, .ops = ops, .ctx = ctx};
	json_error_t where;
	json_t *data = NULL;

	json_t *request = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, &where);
	if (request) {
		c.request = request;
		data = dispatch(&c);
	} else {
		control_fail(&c.error, "bad-json", "line %d, column %d: %s", where.line,
			     where.column, where.text);
	}
	json_decref(request);
	if (!data)
		return error_reply(&c.error);
	return json_pack("{s:i, s:b, s:o}", "api", CONTROL_API, "ok", 1, "data", data);
}
