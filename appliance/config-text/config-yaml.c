/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config-yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "base/cleanup.h"

struct builder {
	yaml_parser_t parser;
	struct bytes text;
	struct config_report *report;
	struct config_node *open[CONFIG_YAML_DEPTH]; /* path to the next children */
	size_t depth;
	struct config_node *root;
};

static void free_event(yaml_event_t *e)
{
	yaml_event_delete(e);
}

struct config_node *config_node_free(struct config_node *n)
{
	if (!n)
		return NULL;
	for (struct config_node *c = n->first, *next; c; c = next) {
		next = c->next;
		config_node_free(c); /* the recursion is at most CONFIG_YAML_DEPTH deep */
	}
	free(n->text);
	free(n);
	return NULL;
}

const struct config_node *config_node_get(const struct config_node *n, const char *key)
{
	if (!n || n->kind != CONFIG_NODE_MAP)
		return NULL;
	for (const struct config_node *k = n->first; k; k = k->next->next)
		if (k->kind == CONFIG_NODE_SCALAR && strcmp(k->text, key) == 0)
			return k->next;
	return NULL;
}

const struct config_node *config_node_entry(const struct config_node *n, size_t i)
{
	if (!n || n->kind != CONFIG_NODE_LIST)
		return NULL;
	const struct config_node *c = n->first;
	while (c && i-- > 0)
		c = c->next;
	return c;
}

bool config_node_is_empty(const struct config_node *n)
{
	return n->kind == CONFIG_NODE_SCALAR && n->plain && n->text[0] == 0;
}

static struct config_place place_of(const yaml_mark_t *m)
{
	return (struct config_place){m->line, m->column};
}

/* The place of a byte offset, which is all that libyaml gives for some errors. */
static struct config_place place_of_offset(struct bytes text, size_t offset)
{
	struct config_place at = {0};

	for (size_t i = 0; i < offset && i < text.n; i++) {
		if (text.p[i] == '\n')
			at = (struct config_place){at.line + 1, 0};
		else if ((text.p[i] & 0xc0) != 0x80)
			at.column++;
	}
	return at;
}

static int syntax_error(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	const char *problem = p->problem ? p->problem : "syntax error";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR)
		config_report_error(b->report, place_of_offset(b->text, p->problem_offset), "%s",
				    problem);
	else if (strstr(problem, "cannot start any token") && p->buffer.pointer < p->buffer.last &&
		 *p->buffer.pointer == '\t')
		config_report_error(b->report, place_of(&p->problem_mark),
				    "a tab cannot indent YAML; use spaces");
	else if (p->context)
		config_report_error(b->report, place_of(&p->problem_mark), "%s %s (line %zu)",
				    problem, p->context, p->context_mark.line + 1);
	else
		config_report_error(b->report, place_of(&p->problem_mark), "%s", problem);
	return CONFIG_INVALID;
}

static int forbidden(struct builder *b, const yaml_event_t *e, const char *what)
{
	config_report_error(b->report, place_of(&e->start_mark), "%s not allowed here", what);
	return CONFIG_INVALID;
}

/* Adds @n to the tree, which then owns it. */
static int add_node(struct builder *b, struct config_node *n)
{
	if (b->depth == 0) {
		b->root = n;
		return 0;
	}
	struct config_node *parent = b->open[b->depth - 1];
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->count++;
	return 0;
}

static int add_scalar(struct builder *b, const yaml_event_t *e)
{
	const char *value = (const char *)e->data.scalar.value;

	if (strlen(value) != e->data.scalar.length)
		return forbidden(b, e, "a zero byte is");
	struct config_node *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	n->kind = CONFIG_NODE_SCALAR;
	n->place = place_of(&e->start_mark);
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = strdup(value);
	if (!n->text) {
		free(n);
		return -ENOMEM;
	}
	return add_node(b, n);
}

static int open_node(struct builder *b, const yaml_event_t *e, enum config_node_kind kind)
{
	if (b->depth == CONFIG_YAML_DEPTH)
		return forbidden(b, e, "more nesting is");
	struct config_node *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	n->kind = kind;
	n->place = place_of(&e->start_mark);
	add_node(b, n);
	b->open[b->depth++] = n;
	return 0;
}

/* Returns 0 to go on, CONFIG_INVALID or -ENOMEM. */
static int take_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->root)
			return forbidden(b, e, "a second document is");
		if (e->data.document_start.version_directive ||
		    e->data.document_start.tag_directives.start !=
			    e->data.document_start.tag_directives.end)
			return forbidden(b, e, "directives (%YAML, %TAG) are");
		return 0;
	case YAML_ALIAS_EVENT:
		return forbidden(b, e, "aliases (*) are");
	case YAML_SCALAR_EVENT:
		if (e->data.scalar.anchor)
			return forbidden(b, e, "anchors (&) are");
		if (e->data.scalar.tag)
			return forbidden(b, e, "tags (!) are");
		return add_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		if (e->data.sequence_start.anchor)
			return forbidden(b, e, "anchors (&) are");
		if (e->data.sequence_start.tag)
			return forbidden(b, e, "tags (!) are");
		return open_node(b, e, CONFIG_NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		if (e->data.mapping_start.anchor)
			return forbidden(b, e, "anchors (&) are");
		if (e->data.mapping_start.tag)
			return forbidden(b, e, "tags (!) are");
		return open_node(b, e, CONFIG_NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	default:
		return 0;
	}
}

static int build(struct builder *b)
{
	for (;;) {
		_cleanup_(free_event) yaml_event_t e = {0};
		if (!yaml_parser_parse(&b->parser, &e))
			return syntax_error(b);
		if (e.type == YAML_STREAM_END_EVENT)
			return 0;
		int r = take_event(b, &e);
		if (r != 0)
			return r;
	}
}

int config_yaml_parse(struct bytes text, struct config_report *report, struct config_node **ret)
{
	struct builder b = {.text = text, .report = report};

	if (!yaml_parser_initialize(&b.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, text.p ? text.p : (const uint8_t *)"", text.n);
	int r = build(&b);
	yaml_parser_delete(&b.parser);
	if (r == 0 && (!b.root || config_node_is_empty(b.root))) {
		config_report_error(report, (struct config_place){0}, "the file is empty");
		r = CONFIG_INVALID;
	}
	if (r != 0) {
		config_node_free(b.root);
		return r;
	}
	*ret = b.root;
	return 0;
}

int config_yaml_file(const char *path, struct buf *b)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) {
		int r = buf_reserve(b, 1);
		if (r == -ENOBUFS)
			return 0; /* the file is too long, which its parser reports */
		if (r < 0)
			return r;
		ssize_t n = read(fd, b->p + b->n, b->cap - b->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		b->n += (size_t)n;
	}
}
