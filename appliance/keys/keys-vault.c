/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-vault.h"

#include <errno.h>
#include <stdlib.h>

struct to_erase {
	uint64_t number;
	struct session_index index;
};

struct keys_vault {
	unsigned v;
	struct keys_index *index;
	struct buf *out; /* NULL: not connected */
	enum keys_vault_state state;
	uint32_t next_request; /* of this connection */
	uint32_t watch;
	struct list errands;
	uint32_t errands_n;
	struct to_erase *erase;
	size_t erase_n, erase_room;
	size_t erase_sent;      /* of these, the first: under way */
	uint32_t erase_request; /* theirs */
	uint32_t ping;          /* 0: none is under way */
	bool heard;             /* something, since keys_vault_listen() */
	int64_t listened_ns;    /* it was heard, or was connected; 0: not looked at yet */
	struct keys_vault_counters counters;
};

int keys_vault_new(unsigned v, struct keys_index *index, struct keys_vault **ret)
{
	struct keys_vault *k = calloc(1, sizeof *k);

	if (!k)
		return -ENOMEM;
	k->v = v;
	k->index = index;
	list_init(&k->errands);
	*ret = k;
	return 0;
}

void keys_vault_free(struct keys_vault *k)
{
	if (!k)
		return;
	keys_vault_down(k);
	free(k->erase);
	free(k);
}

void keys_vault_up(struct keys_vault *k, struct buf *out)
{
	k->out = out;
	k->state = KEYS_VAULT_CATCHES_UP;
	k->next_request = 1;
	k->watch = k->next_request++;
	k->ping = 0;
	k->heard = false;
	k->listened_ns = 0;
	k->counters.connections++;
	keys_index_begin(k->index, k->v);
	vault_wire_put_watch(out, k->watch, 0);
}

enum keys_vault_state keys_vault_state(const struct keys_vault *k)
{
	return k->state;
}

static void end(struct keys_vault *k, struct keys_errand *e, enum keys_errand_end how)
{
	list_del(&e->node);
	k->errands_n--;
	k->counters.errands_refused += how == KEYS_ERRAND_REFUSED;
	k->counters.errands_late += how == KEYS_ERRAND_DEADLINE;
	k->counters.errands_lost += how == KEYS_ERRAND_LOST;
	e->ended(e, how);
}

void keys_vault_down(struct keys_vault *k)
{
	k->out = NULL;
	k->state = KEYS_VAULT_DOWN;
	k->erase_sent = 0;
	/* Nothing is taken on any more, so this ends. */
	while (!list_empty(&k->errands))
		end(k, list_entry(k->errands.next, struct keys_errand, node), KEYS_ERRAND_LOST);
}

int keys_vault_fetch(struct keys_vault *k, struct keys_errand *e)
{
	if (k->state == KEYS_VAULT_DOWN)
		return -ENOTCONN;
	if (k->errands_n == KEYS_ERRANDS_MAX) {
		k->counters.busy++;
		return -EBUSY;
	}
	if (e->epochs_n + e->numbers_n == 0)
		return -EINVAL;
	uint32_t first = k->next_request;
	/* Epochs first: the vault answers in this order, and records are not opened without. */
	for (size_t i = 0; i < e->epochs_n; i += VAULT_LIST_MAX) {
		size_t n = e->epochs_n - i < VAULT_LIST_MAX ? e->epochs_n - i : VAULT_LIST_MAX;

		vault_wire_put_epochs(k->out, k->next_request++, e->reason, e->text, e->epochs + i,
				      n);
	}
	for (size_t i = 0; i < e->numbers_n; i += VAULT_LIST_MAX) {
		size_t n = e->numbers_n - i < VAULT_LIST_MAX ? e->numbers_n - i : VAULT_LIST_MAX;

		vault_wire_put_fetch(k->out, VAULT_FETCH, k->next_request++, e->reason, e->text,
				     e->numbers + i, n);
	}
	if (buf_error(k->out))
		return buf_error(k->out);
	e->first = first;
	e->requests = e->open = k->next_request - first;
	list_add_tail(&k->errands, &e->node);
	k->errands_n++;
	k->counters.errands++;
	return 0;
}

static struct keys_errand *errand_of(struct keys_vault *k, uint32_t request)
{
	list_for_each (it, &k->errands) {
		struct keys_errand *e = list_entry(it, struct keys_errand, node);

		if (request - e->first < e->requests)
			return e;
	}
	return NULL;
}

static bool is_erase(const struct keys_vault *k, uint32_t request)
{
	return k->erase_sent > 0 && request == k->erase_request;
}

static void erased(struct keys_vault *k)
{
	k->erase_n -= k->erase_sent;
	memmove(k->erase, k->erase + k->erase_sent, k->erase_n * sizeof *k->erase);
	k->erase_sent = 0;
}

static void on_done(struct keys_vault *k, const struct vault_frame *f, struct keys_errand *e)
{
	if (f->request == k->ping)
		k->ping = 0;
	else if (e && --e->open == 0)
		end(k, e, KEYS_ERRAND_DONE);
	else if (!e && is_erase(k, f->request)) {
		k->counters.erased += f->done;
		erased(k);
	}
}

static int on_refused(struct keys_vault *k, const struct vault_frame *f, struct keys_errand *e)
{
	if (f->request == k->watch)
		return -EPROTO; /* without its index it is of no use */
	if (e)
		end(k, e, KEYS_ERRAND_REFUSED);
	else if (is_erase(k, f->request)) {
		k->counters.erase_refused += k->erase_sent;
		erased(k);
	}
	return 0;
}

/* What it tells of what it has. */
static int on_watch(struct keys_vault *k, const struct vault_frame *f)
{
	if (f->request != k->watch)
		return -EPROTO;
	switch (f->type) {
	case VAULT_INDEX:
		/* What finds no room is counted there. */
		(void)keys_index_add(k->index, k->v, f->index.number, &f->index.index);
		return 0;
	case VAULT_GONE:
		keys_index_gone(k->index, k->v, f->gone.number);
		return 0;
	case VAULT_LIVE:
		if (k->state != KEYS_VAULT_CATCHES_UP)
			return -EPROTO;
		keys_index_live(k->index, k->v);
		k->state = KEYS_VAULT_LIVE;
		return 0;
	default:
		return -EPROTO;
	}
}

int keys_vault_frame(struct keys_vault *k, const struct vault_frame *f)
{
	/* One that has ended is answered still: that is nothing wrong. */
	if (f->request == 0 || f->request >= k->next_request)
		return -EPROTO;
	struct keys_errand *e = errand_of(k, f->request);

	k->heard = true;
	switch (f->type) {
	case VAULT_INDEX:
	case VAULT_GONE:
	case VAULT_LIVE:
		return on_watch(k, f);
	case VAULT_BLOB:
		if (e)
			e->record(e, f->blob.number, f->blob.blob);
		return 0;
	case VAULT_EPOCH_BLOB:
		if (e)
			e->epoch(e, f->epoch.id, f->epoch.blob);
		return 0;
	case VAULT_EPOCH_MISSING:
		if (e)
			e->no_epoch(e, f->epoch_missing);
		return 0;
	case VAULT_MISSING: /* not handed over is not there */
		return 0;
	case VAULT_DONE:
		on_done(k, f, e);
		return 0;
	case VAULT_REFUSED:
		return on_refused(k, f, e);
	default:
		return -EPROTO;
	}
}

void keys_vault_erase(struct keys_vault *k, const struct keys_record *r)
{
	if (!(r->vaults & 1u << k->v))
		return;
	if (k->erase_n == k->erase_room) {
		size_t room = k->erase_room ? 2 * k->erase_room : 64;
		struct to_erase *more = NULL;

		if (room <= KEYS_ERASE_MAX)
			more = reallocarray(k->erase, room, sizeof *more);
		if (!more) {
			k->counters.erase_dropped++;
			return;
		}
		k->erase = more;
		k->erase_room = room;
	}
	k->erase[k->erase_n++] = (struct to_erase){r->number[k->v], r->index};
}

static void send_erase(struct keys_vault *k)
{
	uint64_t numbers[VAULT_LIST_MAX];
	size_t kept = 0, n = 0;

	if (k->state != KEYS_VAULT_LIVE || k->erase_sent > 0 || k->erase_n == 0)
		return;
	for (size_t i = 0; i < k->erase_n; i++) {
		const struct to_erase *t = &k->erase[i];

		if (!keys_index_has(k->index, k->v, t->number, &t->index))
			continue;
		if (n < VAULT_LIST_MAX)
			numbers[n++] = t->number;
		k->erase[kept++] = *t;
	}
	k->erase_n = kept;
	if (n == 0)
		return;
	k->erase_sent = n;
	k->erase_request = k->next_request++;
	vault_wire_put_fetch(k->out, VAULT_ERASE, k->erase_request, VAULT_FOR_ENDED, "", numbers,
			     n);
}

void keys_vault_tick(struct keys_vault *k, int64_t now_ns)
{
	bool again = true;

	/* ended() may begin and end others. */
	while (again) {
		again = false;
		list_for_each (it, &k->errands) {
			struct keys_errand *e = list_entry(it, struct keys_errand, node);

			if (now_ns < e->deadline_ns)
				continue;
			end(k, e, KEYS_ERRAND_DEADLINE);
			again = true;
			break;
		}
	}
	send_erase(k);
}

int keys_vault_listen(struct keys_vault *k, int64_t now_ns)
{
	if (k->state == KEYS_VAULT_DOWN)
		return 0;
	if (k->heard || k->listened_ns == 0)
		k->listened_ns = now_ns;
	k->heard = false;
	if (now_ns - k->listened_ns >= KEYS_VAULT_SILENT_NS)
		return -ETIMEDOUT;
	if (k->ping == 0 && now_ns - k->listened_ns >= KEYS_VAULT_PING_NS) {
		k->ping = k->next_request++;
		vault_wire_put_plain(k->out, VAULT_PING, k->ping);
	}
	return 0;
}

static int64_t listen_ns(const struct keys_vault *k)
{
	if (k->state == KEYS_VAULT_DOWN || k->listened_ns == 0)
		return INT64_MAX;
	return k->listened_ns + (k->ping ? KEYS_VAULT_SILENT_NS : KEYS_VAULT_PING_NS);
}

int64_t keys_vault_next_ns(const struct keys_vault *k)
{
	int64_t first = listen_ns(k);

	list_for_each (it, &k->errands) {
		const struct keys_errand *e = list_entry(it, struct keys_errand, node);

		if (e->deadline_ns < first)
			first = e->deadline_ns;
	}
	return first;
}

void keys_vault_count(const struct keys_vault *k, struct keys_vault_counters *ret)
{
	*ret = k->counters;
}
