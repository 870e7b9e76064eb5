/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Handles of the conversation's connections. One that was in TLS at the cut goes on under its keys.
 * All others are the host's as they are: plain ones, and new ones, over which the client and the
 * backup shake hands themselves.
 */
#include "tls-joined.h"

static struct tls_handle *handle_of(struct jeebs_join *j)
{
	return (struct tls_handle *)(void *)j;
}

static struct jeebs_join *opaque(struct tls_handle *h)
{
	return (struct jeebs_join *)(void *)h;
}

/* Makes the handle of a channel that is not opened here. NULL: @j is NULL, or there is no memory.
 */
static struct tls_handle *plain_handle(struct tls *main, const struct jeebs_join_ops *ops,
				       struct jeebs_join *j)
{
	struct tls_handle *h = j ? ops->memory(j, sizeof *h) : NULL;

	if (h)
		*h = (struct tls_handle){.by = ops, .as = j, .j = j, .ops = ops, .main = main};
	else if (j)
		ops->abort(j, "no-memory");
	return h;
}

static void begin_sealed(struct tls_joined *main, const struct jeebs_related *r,
			 struct jeebs_join *j, struct tls_plain *p)
{
	const struct jeebs_join_ops *ops = main->h.ops;
	const struct tls *s = r->state;
	struct tls_joined *m = ops->memory(j, JEEBS_MEMORY_MAX);

	if (!m) {
		ops->abort(j, "no-memory");
		return;
	}
	m->h = (struct tls_handle){.by = &tls_sealed_ops,
				   .as = opaque(&m->h),
				   .j = j,
				   .ops = ops,
				   .main = main->h.main};
	m->related = true;
	m->p = m->ask.p = p;
	m->ask.j = j;
	m->ask.ops = ops;
	if (!tls_joined_begin(m, s, &r->cut) || !s->closed[JEEBS_TO_CLIENT])
		return;
	/* The old server has closed it, and perhaps not said so in TCP. */
	m->finished = true;
	if (!r->cut.server_fin)
		ops->finish_client(j);
}

static const char *why_not(const struct jeebs_related *r)
{
	const struct tls *s = r->state;

	if (s && s->lost)
		return s->lost;
	return s && tls_is_anew(s, &r->cut) ? "handshake-cut" : "keys-missing";
}

void tls_channels_begin(struct tls_joined *main, const struct jeebs_cut *cut)
{
	struct tls *s = main->h.main;

	for (uint32_t i = 0; i < cut->related_n && !main->over; i++) {
		const struct jeebs_related *r = &cut->related[i];
		struct jeebs_join *j = main->h.ops->related(main->h.j, i);
		if (!j)
			continue;
		if (tls_inside_is_open(r))
			begin_sealed(main, r, j, s->inside->of[i]);
		else if (plain_handle(s, main->h.ops, j) && r->cut.layered)
			main->h.ops->abort(j, why_not(r));
	}
}

struct tls_joined *tls_channel_sealed(const struct jeebs_join_ops *ops, struct jeebs_join *j,
				      const struct jeebs_cut *cut, uint32_t i)
{
	struct jeebs_join *other = tls_inside_is_open(&cut->related[i]) ? ops->related(j, i) : NULL;

	return other ? ops->memory(other, JEEBS_MEMORY_MAX) : NULL;
}

/* ---- what the inner module may do ----------------------------------------------------------- */

static void op_to_client(struct jeebs_join *j, struct jeebs_bytes b)
{
	handle_of(j)->by->to_client(handle_of(j)->as, b);
}

static void op_to_backend(struct jeebs_join *j, struct jeebs_bytes b)
{
	handle_of(j)->by->to_backend(handle_of(j)->as, b);
}

static void op_finish_client(struct jeebs_join *j)
{
	handle_of(j)->by->finish_client(handle_of(j)->as);
}

static void op_finish_backend(struct jeebs_join *j)
{
	handle_of(j)->by->finish_backend(handle_of(j)->as);
}

static void op_pass(struct jeebs_join *j, uint32_t dir)
{
	handle_of(j)->by->pass(handle_of(j)->as, dir);
}

static void op_abort(struct jeebs_join *j, const char *reason)
{
	handle_of(j)->by->abort(handle_of(j)->as, reason);
}

static void op_log_to_backend(struct jeebs_join *j, uint64_t from, uint64_t to)
{
	handle_of(j)->by->log_to_backend(handle_of(j)->as, from, to);
}

static void op_hold_client(struct jeebs_join *j, int on)
{
	handle_of(j)->by->hold_client(handle_of(j)->as, on);
}

static void op_timer(struct jeebs_join *j, uint32_t ms)
{
	handle_of(j)->by->timer(handle_of(j)->as, ms);
}

static void op_backend_port(struct jeebs_join *j, uint16_t port)
{
	handle_of(j)->ops->backend_port(handle_of(j)->j, port);
}

static void op_connect_backend(struct jeebs_join *j)
{
	handle_of(j)->by->connect_backend(handle_of(j)->as);
}

static void op_address(struct jeebs_join *j, uint32_t end, struct jeebs_address *ret)
{
	handle_of(j)->ops->address(handle_of(j)->j, end, ret);
}

static size_t op_room(struct jeebs_join *j, uint32_t dir)
{
	return handle_of(j)->by->room(handle_of(j)->as, dir);
}

static void *op_memory(struct jeebs_join *j, size_t n)
{
	struct tls_handle *h = handle_of(j);

	return tls_is_sealed(h) ? h->by->memory(h->as, n) : NULL;
}

static struct jeebs_bytes op_begun(struct jeebs_join *j)
{
	struct tls_handle *h = handle_of(j);

	return tls_is_sealed(h) ? h->by->begun(h->as) : (struct jeebs_bytes){NULL, 0};
}

static int op_secure_backend(struct jeebs_join *j, uint32_t step)
{
	return handle_of(j)->by->secure_backend(handle_of(j)->as, step);
}

/*
 * Of what is sealed here the backend is named already. Another one may be wanted in TLS, too: it is
 * the same server.
 */
static void op_backend_tls(struct jeebs_join *j, const char *name, const char *alpn)
{
	struct tls_handle *h = handle_of(j);

	if (!tls_is_sealed(h) && JEEBS_HAS(h->ops, backend_tls))
		h->ops->backend_tls(h->j, name ? name : h->main->session.name, alpn);
}

/* One that cannot be gone on with was reset. */
static struct jeebs_join *op_related(struct jeebs_join *j, uint32_t i)
{
	struct tls_handle *h = handle_of(j);
	const struct jeebs_cut *cut = &h->main->inside->cut;
	struct jeebs_join *other = i < cut->related_n ? h->ops->related(h->j, i) : NULL;

	if (!other || cut->related[i].cut.refused)
		return NULL;
	struct tls_handle *ret = h->ops->memory(other, sizeof *ret);
	const struct tls_joined *m = (const struct tls_joined *)(const void *)ret;
	return !ret || (tls_is_sealed(ret) && m->over) ? NULL : opaque(ret);
}

static struct jeebs_join *op_listen_client(struct jeebs_join *j, uint16_t *io_port)
{
	struct tls_handle *h = handle_of(j);
	struct jeebs_join *other = h->ops->listen_client(h->j, io_port);

	return opaque(plain_handle(h->main, h->ops, other));
}

static struct jeebs_join *op_connect_client(struct jeebs_join *j, const struct jeebs_address *to,
					    uint16_t from_port)
{
	struct tls_handle *h = handle_of(j);
	struct jeebs_join *other = h->ops->connect_client(h->j, to, from_port);

	return opaque(plain_handle(h->main, h->ops, other));
}

const struct jeebs_join_ops tls_channel_ops = {
	.size = sizeof(struct jeebs_join_ops),
	.to_client = op_to_client,
	.to_backend = op_to_backend,
	.finish_client = op_finish_client,
	.finish_backend = op_finish_backend,
	.pass = op_pass,
	.abort = op_abort,
	.log_to_backend = op_log_to_backend,
	.hold_client = op_hold_client,
	.timer = op_timer,
	.related = op_related,
	.backend_port = op_backend_port,
	.connect_backend = op_connect_backend,
	.listen_client = op_listen_client,
	.connect_client = op_connect_client,
	.address = op_address,
	.room = op_room,
	.memory = op_memory,
	.begun = op_begun,
	.backend_tls = op_backend_tls,
	.backend_tls_later = op_backend_tls,
	.secure_backend = op_secure_backend,
};
