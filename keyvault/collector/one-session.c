/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "one-session.h"

#include <stdlib.h>

void one_sessions_init(struct one_sessions *s)
{
	*s = (struct one_sessions){0};
	list_init(&s->living);
	list_init(&s->left);
	list_init(&s->over);
}

void one_session_free(struct one_sessions *s, struct one_session *one)
{
	list_del(&one->node);
	s->n--;
	free(one);
}

static struct one_session *find(struct list *in, const struct endpoint *server,
				const struct endpoint *client)
{
	list_for_each (it, in) {
		struct one_session *one = list_entry(it, struct one_session, node);
		if (endpoint_eq(&one->client, client) && endpoint_eq(&one->server, server))
			return one;
	}
	return NULL;
}

struct one_session *one_session_join(struct one_sessions *s, const struct endpoint *server,
				     const struct endpoint *client)
{
	struct one_session *one = find(&s->living, server, client);

	if (!one && (one = find(&s->left, server, client))) {
		list_del(&one->node);
		list_add_tail(&s->living, &one->node);
	}
	if (!one) {
		if (s->n >= SESSIONS_MAX && !list_empty(&s->over))
			one_session_free(s, list_entry(s->over.next, struct one_session, node));
		one = s->n < SESSIONS_MAX ? calloc(1, sizeof *one) : NULL;
		if (!one)
			return NULL;
		one->server = *server;
		one->client = *client;
		list_init(&one->node);
		list_add_tail(&s->living, &one->node);
		s->n++;
	}
	one->processes++;
	return one;
}

void one_session_leave(struct one_sessions *s, struct one_session *one, int64_t now_ns)
{
	if (--one->processes > 0)
		return;
	one->gone_ns = now_ns;
	list_del(&one->node);
	list_add_tail(&s->left, &one->node);
}

void one_session_record(struct one_session *one, const struct session_index *i, uint64_t place)
{
	size_t at = one->places < SESSION_PLACES_MAX ? one->places++ : SESSION_PLACES_MAX - 1;

	memcpy(one->place[at].epoch, i->epoch, EPOCH_ID_BYTES);
	one->place[at].number = i->number;
	one->behind = place + 1;
}

void one_sessions_end(struct one_sessions *s, unsigned vaults, int64_t now_ns)
{
	list_for_each_safe (it, tmp, &s->left) {
		struct one_session *one = list_entry(it, struct one_session, node);
		if (now_ns - one->gone_ns < SESSION_LINGER_NS)
			break;
		if (one->places == 0) {
			one_session_free(s, one);
			continue;
		}
		one->to_tell = vaults;
		list_del(&one->node);
		list_add_tail(&s->over, &one->node);
	}
}

int64_t one_sessions_next_ns(const struct one_sessions *s)
{
	return list_empty(&s->left) ? INT64_MAX
				    : list_entry(s->left.next, struct one_session, node)->gone_ns +
					      SESSION_LINGER_NS;
}

static void free_all(struct one_sessions *s, struct list *l)
{
	list_for_each_safe (it, tmp, l)
		one_session_free(s, list_entry(it, struct one_session, node));
}

void one_sessions_deinit(struct one_sessions *s)
{
	free_all(s, &s->living);
	free_all(s, &s->left);
	free_all(s, &s->over);
}
