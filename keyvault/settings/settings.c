/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settings.h"

#include <errno.h>
#include <stdlib.h>

#include "config-text/config-yaml.h"

#define FILE_MAX_BYTES ((size_t)64 << 10)

struct settings {
	struct config_node *root; /* its texts are what was handed over */
};

struct reading {
	const struct option *options;
	settings_fn *take;
	void *ctx;
	struct config_report report;
};

static const struct option *option_of(const struct reading *r, const char *name)
{
	for (const struct option *o = r->options; o->name; o++) {
		if (o->has_arg == required_argument && strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static void take_value(struct reading *r, const struct option *o, const struct config_node *value)
{
	char quoted[CONFIG_QUOTE_STRLEN];

	if (value->kind != CONFIG_NODE_SCALAR || config_node_is_empty(value)) {
		config_report_error(&r->report, value->place, "'%s' needs a value", o->name);
		return;
	}
	const char *wrong = r->take(r->ctx, o->val, value->text);
	if (wrong)
		config_report_error(&r->report, value->place, "'%s': %s",
				    config_quote(value->text, quoted), wrong);
}

static bool is_there_before(const struct config_node *root, const struct config_node *key)
{
	for (const struct config_node *k = root->first; k != key; k = k->next->next) {
		if (k->kind == CONFIG_NODE_SCALAR && strcmp(k->text, key->text) == 0)
			return true;
	}
	return false;
}

static void take_key(struct reading *r, const struct config_node *root,
		     const struct config_node *key)
{
	const struct config_node *value = key->next;
	char quoted[CONFIG_QUOTE_STRLEN];

	if (key->kind != CONFIG_NODE_SCALAR) {
		config_report_error(&r->report, key->place, "a name is expected");
		return;
	}
	const struct option *o = option_of(r, key->text);
	if (!o)
		config_report_error(&r->report, key->place, "unknown key '%s'",
				    config_quote(key->text, quoted));
	else if (is_there_before(root, key))
		config_report_error(&r->report, key->place, "'%s' is there twice", o->name);
	else if (value->kind != CONFIG_NODE_LIST)
		take_value(r, o, value);
	else
		for (const struct config_node *v = value->first; v; v = v->next)
			take_value(r, o, v);
}

static int take_all(struct reading *r, struct config_node **ret)
{
	struct config_node *root;

	if (r->report.text.n == FILE_MAX_BYTES) {
		config_report_error(&r->report, (struct config_place){0}, "the file is too long");
		return CONFIG_INVALID;
	}
	int e = config_yaml_parse(r->report.text, &r->report, &root);
	if (e != 0)
		return e;
	if (root->kind != CONFIG_NODE_MAP)
		config_report_error(&r->report, root->place, "'name: value' is expected");
	else
		for (const struct config_node *k = root->first; k; k = k->next->next)
			take_key(r, root, k);
	*ret = root;
	return r->report.count > 0 ? CONFIG_INVALID : 0;
}

int settings_read(const char *path, const struct option *options, settings_fn *take, void *ctx,
		  FILE *errors, struct settings **ret)
{
	struct reading r = {.options = options, .take = take, .ctx = ctx, .report = {.name = path}};
	struct buf text = BUF_INIT(FILE_MAX_BYTES);
	struct settings *s = calloc(1, sizeof *s);
	int e = s ? config_yaml_file(path, &text) : -ENOMEM;

	if (e == 0) {
		r.report.text = buf_view(&text);
		e = take_all(&r, &s->root);
		config_report_print(&r.report, errors);
	}
	buf_deinit(&text);
	if (e == 0)
		*ret = s;
	else
		settings_free(s);
	return e;
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	config_node_free(s->root);
	free(s);
}

bool settings_number(const char *text, int base, uint64_t max, uint64_t *ret)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, base);
	if (errno || end == text || *end || text[0] == '-' || v > max)
		return false;
	*ret = v;
	return true;
}
