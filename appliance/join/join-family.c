/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-family.h"

#include <errno.h>
#include <stdlib.h>

#include "join-backend.h"
#include "join-module.h"
#include "join-side.h"

static bool is_restored(const struct join_related *r)
{
	return r->client_fd >= 0;
}

uint32_t join_family_size(const struct join_request *r)
{
	uint32_t n = 1;
	for (uint32_t i = 0; i < r->related_n; i++)
		n += is_restored(&r->related[i]);
	return n;
}

/* Implements the cut's log() for a related connection. @f is a struct join_relation. */
static struct jeebs_bytes read_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	const struct join_relation *r = (const struct join_relation *)(void *)f;
	const struct span *log = r->channel != NULL ? r->channel->log : r->log;
	struct bytes b = span_at(&log[dir & 1], off);
	return (struct jeebs_bytes){b.p, b.n};
}

static int make_family(struct join *main)
{
	struct join_family *f = calloc(1, sizeof *f);
	if (f == NULL)
		return -ENOMEM;
	f->main = main;
	list_init(&f->channels);
	main->family = f;
	return 0;
}

static struct join *make_channel(struct join *main)
{
	struct join *c = join_alloc();
	if (c == NULL)
		return NULL;
	c->thread = main->thread;
	c->family = main->family;
	c->backend_address = main->backend_address;
	c->backend_address_n = main->backend_address_n;
	c->port_unknown = true;
	list_add_tail(&main->family->channels, &c->sibling);
	main->family->channel_n++;
	return c;
}

static int restore_channel(struct join *main, const struct join_related *r,
			   struct join_relation *relation)
{
	struct join *c = make_channel(main);
	if (c == NULL)
		return -ENOMEM;
	relation->channel = c;
	return join_take_client(c, r->client_fd, r->first_out, r->first_out_n, &r->cut);
}

/* Shows a related connection to the module, whether it was restored or not. */
static int relate(struct join *main, const struct join_related *r, uint32_t i)
{
	struct join_relation *relation = &main->family->relation[i];

	*relation = (struct join_relation){
		.state = r->state, .ctx = r->ctx, .state_free = r->state_free};
	if (is_restored(r)) {
		int err = restore_channel(main, r, relation);
		if (err < 0)
			return err;
	}
	struct span *log = relation->channel != NULL ? relation->channel->log : relation->log;
	log[0] = r->log[0];
	log[1] = r->log[1];

	struct jeebs_related *seen = &main->family->related[i];
	*seen = (struct jeebs_related){
		.tag = r->tag,
		.server_port = r->server_port,
		.client_port = r->client_port,
		.cut = r->cut,
		.state = r->state,
	};
	seen->cut.flow = (struct jeebs_flow *)(void *)relation;
	seen->cut.log = read_log;
	seen->cut.scratch = join_module_scratch;
	seen->cut.related = NULL;
	seen->cut.related_n = 0;
	return 0;
}

int join_family_init(struct join *j, const struct join_request *r)
{
	if (r->related_n > JEEBS_EXPECT_MAX || r->module == NULL)
		return -EINVAL;
	if (make_family(j) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->related_n; i++) {
		int err = relate(j, &r->related[i], i);
		if (err < 0) {
			join_family_give_back(j);
			return err;
		}
	}
	j->family->related_n = r->related_n;
	j->cut.related = j->family->related;
	j->cut.related_n = r->related_n;
	return 0;
}

void join_family_give_back(struct join *j)
{
	if (j->family == NULL)
		return;
	while (!list_empty(&j->family->channels)) {
		struct join *c = list_entry(j->family->channels.next, struct join, sibling);
		list_del(&c->sibling);
		join_queue_disown(&c->side[JOIN_CLIENT].out);
		free(c);
	}
	free(j->family);
	j->family = NULL;
}

void join_family_move(struct join *j, struct join_thread *t)
{
	j->thread = t;
	if (j->family == NULL)
		return;
	list_for_each (it, &j->family->channels)
		list_entry(it, struct join, sibling)->thread = t;
}

static void begin_channel(struct join *c)
{
	list_add_tail(&c->thread->joins, &c->node);
	join_settle_later(c);
}

void join_family_start(struct join *j)
{
	if (j->family == NULL)
		return;
	list_for_each (it, &j->family->channels) {
		struct join *c = list_entry(it, struct join, sibling);
		if (list_empty(&c->node)) /* false: the module has opened it just now */
			begin_channel(c);
	}
}

struct join *join_family_add(struct join *main)
{
	struct join_thread *t = main->thread;

	if (t->stopping || main->reason != NULL)
		return NULL;
	if ((main->family != NULL && main->family->channel_n >= JEEBS_CHANNELS_MAX) ||
	    !join_thread_reserve(t, 1)) {
		join_count(&t->count.channel_ceiling, 1);
		return NULL;
	}
	struct join *c = NULL;
	if (main->family != NULL || make_family(main) == 0)
		c = make_channel(main);
	if (c == NULL) {
		join_thread_unreserve(t, 1);
		return NULL;
	}
	join_count(&t->count.channels, 1);
	begin_channel(c);
	return c;
}

void join_family_remove(struct join *channel)
{
	struct join_family *f = channel->family;

	list_del(&channel->sibling);
	f->channel_n--;
	for (uint32_t i = 0; i < f->related_n; i++)
		if (f->relation[i].channel == channel)
			f->relation[i].channel = NULL;
}

void join_family_abort(struct join *main, const char *reason)
{
	if (main->family == NULL)
		return;
	list_for_each (it, &main->family->channels) {
		struct join *c = list_entry(it, struct join, sibling);
		join_abort(c, reason);
		join_settle_later(c);
	}
}

void join_family_let_logs_go(struct join *main)
{
	if (main->family == NULL)
		return;
	for (uint32_t i = 0; i < main->family->related_n; i++)
		for (int d = 0; d < 2; d++)
			span_free(&main->family->relation[i].log[d]);
}

void join_family_free(struct join *main)
{
	struct join_family *f = main->family;

	if (f == NULL)
		return;
	join_family_let_logs_go(main);
	for (uint32_t i = 0; i < f->related_n; i++)
		if (f->relation[i].state != NULL)
			f->relation[i].state_free(f->relation[i].ctx, f->relation[i].state);
	free(f);
	main->family = NULL;
}
