/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-gather.h"

#include <errno.h>
#include <stdlib.h>

enum item_state {
	ITEM_PENDING = 0, /* to be asked of a vault */
	ITEM_ASKED,
	ITEM_OPENING,
	ITEM_OPENED,
	ITEM_REFUSED,
};

/* What becomes of a blob. The task is in here, so it is kept until it is back. */
struct job {
	struct keys_unseal_task task;
	struct keys_gather *g;
	size_t of; /* item, or epoch */
	unsigned v;
	uint8_t blob[];
};

/* One record of one session. */
struct item {
	struct keys_record record;
	size_t session;
	enum item_state state;
	unsigned v;     /* ASKED, OPENING: of which vault */
	uint8_t tried;  /* bit v */
	bool epoch_due; /* was made room for; to be asked for whatever the opener has */
	int reason;     /* the last, or what the opener said */
	size_t epoch;
	struct keys_got got;
};

enum epoch_state {
	EPOCH_NOT_ASKED = 0,
	EPOCH_ASKED,
	EPOCH_ANSWERED,
};

/* An epoch of some of them, at each vault. */
struct epoch {
	uint8_t id[EPOCH_ID_BYTES];
	enum epoch_state state[KEYS_VAULTS_MAX];
	int reason[KEYS_VAULTS_MAX];
};

/* One session. */
struct sought {
	size_t first; /* of its items; they end where the next one's begin */
	size_t left;  /* of them, that are not settled */
	bool is_told;
};

struct asked {
	uint64_t number;
	size_t item;
};

/* What is asked of one vault: one errand at a time. */
struct round {
	struct keys_errand errand;
	struct keys_gather *g;
	unsigned v;
	bool under_way;
	struct asked *asked; /* ascending */
	size_t asked_n;
	uint64_t *numbers;
	uint8_t (*epochs)[EPOCH_ID_BYTES];
};

struct keys_gather {
	struct keys_gather_config config;
	struct keys_want *want;
	int64_t made_ns, deadline_ns;
	bool begun, done;
	struct sought *sought; /* by session; one more: the end */
	size_t *ready;         /* sessions of which nothing is left, not told yet */
	size_t ready_n;
	struct item *items;
	size_t items_n, items_room;
	size_t pending, settled;
	struct epoch *epochs; /* ascending */
	size_t epochs_n;
	struct round round[KEYS_VAULTS_MAX];
	size_t jobs; /* the threads have */
};

/* The one place that changes it. */
static void set_state(struct keys_gather *g, struct item *i, enum item_state state)
{
	g->pending += state == ITEM_PENDING;
	g->pending -= i->state == ITEM_PENDING;
	i->state = state;
	if (state != ITEM_OPENED && state != ITEM_REFUSED)
		return;
	g->settled++;
	if (--g->sought[i->session].left == 0)
		g->ready[g->ready_n++] = i->session;
}

/* What the opener has said of a record is told, whatever another vault did later. */
static void note(struct item *i, int reason)
{
	if (i->reason == SEAL_OK || i->reason >= KEYS_MISSING)
		i->reason = reason;
}

static bool is_connected(const struct keys_gather *g, unsigned v)
{
	return keys_vault_state(g->config.vault[v]) != KEYS_VAULT_DOWN;
}

static bool may_have(const struct keys_gather *g, const struct item *i, unsigned v)
{
	return i->record.vaults & 1u << v && !(i->tried & 1u << v) && is_connected(g, v);
}

/* -1: none. Whose index is whole comes first. */
static int choose(const struct keys_gather *g, const struct item *i)
{
	int best = -1;

	for (unsigned v = 0; v < g->config.vaults; v++) {
		if (!may_have(g, i, v))
			continue;
		if (keys_vault_state(g->config.vault[v]) == KEYS_VAULT_LIVE)
			return (int)v;
		if (best < 0)
			best = (int)v;
	}
	return best;
}

static void post(struct keys_gather *g, struct job *j)
{
	g->jobs++;
	g->config.post(g->config.ctx, &j->task);
}

/* NULL: no memory. */
static struct job *make_job(struct keys_gather *g, enum keys_unseal_kind kind, struct bytes blob,
			    size_t of, unsigned v)
{
	struct job *j = calloc(1, sizeof *j + blob.n);

	if (!j)
		return NULL;
	memcpy(j->blob, blob.p, blob.n);
	j->g = g;
	j->of = of;
	j->v = v;
	j->task.kind = kind;
	j->task.blob = bytes_of(j->blob, blob.n);
	j->task.now_ns = g->want->now_ns + (g->deadline_ns - g->want->budget_ns - g->made_ns);
	j->task.max_age_ns = g->want->max_age_ns;
	j->task.deadline_ns = g->deadline_ns;
	return j;
}

static int compare_epochs(const void *a, const void *b)
{
	return memcmp(((const struct epoch *)a)->id, ((const struct epoch *)b)->id, EPOCH_ID_BYTES);
}

static struct epoch *epoch_of(struct keys_gather *g, const uint8_t id[EPOCH_ID_BYTES])
{
	struct epoch key = {{0}, {0}, {0}};

	if (g->epochs_n == 0)
		return NULL;
	memcpy(key.id, id, sizeof key.id);
	return bsearch(&key, g->epochs, g->epochs_n, sizeof key, compare_epochs);
}

static void on_epoch(struct keys_errand *errand, const uint8_t id[EPOCH_ID_BYTES],
		     struct bytes blob)
{
	struct round *r = errand->ctx;
	struct keys_gather *g = r->g;
	struct epoch *e = g->done ? NULL : epoch_of(g, id);

	if (!e || e->state[r->v] != EPOCH_ASKED)
		return;
	e->state[r->v] = EPOCH_ANSWERED;
	if (opener_has_epoch(g->config.opener, id))
		return;
	struct job *j = make_job(g, KEYS_UNSEAL_EPOCH, blob, (size_t)(e - g->epochs), r->v);
	if (j)
		post(g, j);
	else
		e->reason[r->v] = KEYS_NOT_OPENED;
}

/* Its records come nevertheless, and are not opened. It is not asked for again. */
static void on_no_epoch(struct keys_errand *errand, const uint8_t id[EPOCH_ID_BYTES])
{
	struct round *r = errand->ctx;
	struct epoch *e = r->g->done ? NULL : epoch_of(r->g, id);

	if (!e || e->state[r->v] != EPOCH_ASKED)
		return;
	e->state[r->v] = EPOCH_ANSWERED;
	e->reason[r->v] = SEAL_UNKNOWN_EPOCH;
}

static int compare_asked(const void *a, const void *b)
{
	uint64_t x = ((const struct asked *)a)->number, y = ((const struct asked *)b)->number;

	return (x > y) - (x < y);
}

/* The first that was asked for by this number or a higher one. */
static size_t find_asked(const struct round *r, uint64_t number)
{
	size_t low = 0, high = r->asked_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->asked[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void on_record(struct keys_errand *errand, uint64_t number, struct bytes blob)
{
	struct round *r = errand->ctx;
	struct keys_gather *g = r->g;

	if (g->done)
		return;
	for (size_t k = find_asked(r, number); k < r->asked_n && r->asked[k].number == number;
	     k++) {
		struct item *i = &g->items[r->asked[k].item];
		if (i->state != ITEM_ASKED || i->v != r->v)
			continue;
		struct job *j = make_job(g, KEYS_UNSEAL_RECORD, blob, (size_t)(i - g->items), r->v);
		if (!j) {
			note(i, KEYS_NOT_OPENED);
			set_state(g, i, ITEM_REFUSED);
			continue;
		}
		j->task.expected = i->record.index;
		set_state(g, i, ITEM_OPENING);
		post(g, j);
	}
}

static int reason_of_end(enum keys_errand_end how)
{
	switch (how) {
	case KEYS_ERRAND_DONE:
		return KEYS_MISSING;
	case KEYS_ERRAND_REFUSED:
		return KEYS_VAULT_REFUSED;
	case KEYS_ERRAND_DEADLINE:
		return KEYS_DEADLINE;
	case KEYS_ERRAND_LOST:
		break;
	}
	return KEYS_UNREACHABLE;
}

/* What is still asked of it is pending again, and so is what it has not said of epochs. */
static void unask(struct round *r, int reason, bool may_again)
{
	struct keys_gather *g = r->g;

	for (size_t k = 0; k < r->asked_n; k++) {
		struct item *i = &g->items[r->asked[k].item];

		if (i->state != ITEM_ASKED || i->v != r->v)
			continue;
		if (may_again && choose(g, i) < 0)
			i->tried &= (uint8_t) ~(1u << r->v);
		else
			note(i, reason);
		set_state(g, i, ITEM_PENDING);
	}
	for (size_t k = 0; k < g->epochs_n; k++) {
		if (g->epochs[k].state[r->v] == EPOCH_ASKED)
			g->epochs[k].state[r->v] = EPOCH_NOT_ASKED;
	}
}

static void on_ended(struct keys_errand *errand, enum keys_errand_end how)
{
	struct round *r = errand->ctx;

	r->under_way = false;
	/* Half of the time is over: whom nobody else has it of is asked again. */
	if (!r->g->done)
		unask(r, reason_of_end(how),
		      how == KEYS_ERRAND_DEADLINE && errand->deadline_ns < r->g->deadline_ns);
}

/* Whether its round has to ask for the epoch of @i. */
static bool wants_epoch(struct keys_gather *g, const struct item *i, unsigned v)
{
	const struct epoch *e = &g->epochs[i->epoch];

	return e->state[v] == EPOCH_NOT_ASKED &&
	       (i->epoch_due || !opener_has_epoch(g->config.opener, e->id));
}

static void fill_errand(struct keys_gather *g, struct round *r, int64_t now_ns)
{
	struct keys_errand *e = &r->errand;
	bool other = false;

	*e = (struct keys_errand){
		.reason = g->want->reason,
		.text = g->want->text,
		.epochs = (const uint8_t(*)[EPOCH_ID_BYTES])r->epochs,
		.numbers = r->numbers,
		.epoch = on_epoch,
		.no_epoch = on_no_epoch,
		.record = on_record,
		.ended = on_ended,
		.ctx = r,
	};
	qsort(r->asked, r->asked_n, sizeof *r->asked, compare_asked);
	for (size_t k = 0; k < r->asked_n; k++) {
		struct item *i = &g->items[r->asked[k].item];

		if (k == 0 || r->asked[k].number != r->asked[k - 1].number)
			r->numbers[e->numbers_n++] = r->asked[k].number;
		if (wants_epoch(g, i, r->v)) {
			memcpy(r->epochs[e->epochs_n++], g->epochs[i->epoch].id, EPOCH_ID_BYTES);
			g->epochs[i->epoch].state[r->v] = EPOCH_ASKED;
		}
		other |= choose(g, i) >= 0;
	}
	e->deadline_ns = other ? now_ns + (g->deadline_ns - now_ns) / 2 : g->deadline_ns;
}

static void begin_round(struct keys_gather *g, struct round *r, int64_t now_ns)
{
	for (size_t k = 0; k < r->asked_n; k++) {
		struct item *i = &g->items[r->asked[k].item];

		i->v = r->v;
		i->tried |= (uint8_t)(1u << r->v);
		set_state(g, i, ITEM_ASKED);
	}
	fill_errand(g, r, now_ns);
	int f = keys_vault_fetch(g->config.vault[r->v], &r->errand);
	r->under_way = f == 0;
	if (f) /* busy: once more when something has ended there, if nobody else has it */
		unask(r, KEYS_UNREACHABLE, f == -EBUSY);
}

/* Hands each item that is pending to the round of its vault; those without one are refused. */
static void assign(struct keys_gather *g)
{
	for (unsigned v = 0; v < g->config.vaults; v++) {
		if (!g->round[v].under_way)
			g->round[v].asked_n = 0;
	}
	for (size_t n = 0; n < g->items_n; n++) {
		struct item *i = &g->items[n];

		if (i->state != ITEM_PENDING)
			continue;
		int v = choose(g, i);
		if (v < 0) {
			if (i->reason == SEAL_OK)
				i->reason = KEYS_UNREACHABLE;
			set_state(g, i, ITEM_REFUSED);
			continue;
		}
		struct round *r = &g->round[v];
		if (!r->under_way)
			r->asked[r->asked_n++] = (struct asked){i->record.number[v], n};
	}
}

static void ask(struct keys_gather *g, int64_t now_ns)
{
	bool again = true;

	/* What one vault does not take on at once goes to the next. */
	for (unsigned n = 0; again && g->pending > 0 && n <= g->config.vaults; n++) {
		assign(g);
		again = false;
		for (unsigned v = 0; v < g->config.vaults; v++) {
			struct round *r = &g->round[v];

			if (r->under_way || r->asked_n == 0)
				continue;
			begin_round(g, r, now_ns);
			again |= !r->under_way;
		}
	}
}

static int add_items(struct keys_gather *g, size_t session, const struct keys_record *records,
		     size_t n)
{
	if (g->items_n + n > g->items_room) {
		size_t room = 2 * (g->items_n + n);
		struct item *more = reallocarray(g->items, room, sizeof *more);

		if (!more)
			return -ENOMEM;
		g->items = more;
		g->items_room = room;
	}
	for (size_t k = 0; k < n; k++)
		g->items[g->items_n++] = (struct item){.record = records[k], .session = session};
	g->sought[session].left = n;
	return 0;
}

static int find_items(struct keys_gather *g)
{
	struct keys_record *records = calloc(KEYS_SESSION_RECORDS_MAX, sizeof *records);
	int r = records ? 0 : -ENOMEM;

	for (size_t s = 0; r == 0 && s < g->want->n; s++) {
		size_t n = keys_index_find(g->config.index, &g->want->sessions[s], records,
					   KEYS_SESSION_RECORDS_MAX);

		g->sought[s].first = g->items_n;
		r = add_items(g, s, records,
			      n < KEYS_SESSION_RECORDS_MAX ? n : KEYS_SESSION_RECORDS_MAX);
	}
	g->sought[g->want->n].first = g->items_n;
	g->pending = g->items_n;
	free(records);
	return r;
}

static int find_epochs(struct keys_gather *g)
{
	size_t n = 0;

	if (g->items_n == 0)
		return 0;
	g->epochs = calloc(g->items_n, sizeof *g->epochs);
	if (!g->epochs)
		return -ENOMEM;
	for (size_t i = 0; i < g->items_n; i++)
		memcpy(g->epochs[i].id, g->items[i].record.index.epoch, EPOCH_ID_BYTES);
	qsort(g->epochs, g->items_n, sizeof *g->epochs, compare_epochs);
	for (size_t i = 0; i < g->items_n; i++) {
		if (n == 0 || compare_epochs(&g->epochs[n - 1], &g->epochs[i]) != 0)
			g->epochs[n++] = g->epochs[i];
	}
	g->epochs_n = n;
	for (size_t i = 0; i < g->items_n; i++)
		g->items[i].epoch =
			(size_t)(epoch_of(g, g->items[i].record.index.epoch) - g->epochs);
	return 0;
}

static int make_rounds(struct keys_gather *g)
{
	for (unsigned v = 0; v < g->config.vaults && g->items_n > 0; v++) {
		struct round *r = &g->round[v];

		r->g = g;
		r->v = v;
		r->asked = calloc(g->items_n, sizeof *r->asked);
		r->numbers = calloc(g->items_n, sizeof *r->numbers);
		r->epochs = calloc(g->epochs_n, sizeof *r->epochs);
		if (!r->asked || !r->numbers || !r->epochs)
			return -ENOMEM;
	}
	return 0;
}

/* Why nothing is known of a session. */
static int reason_of_none(const struct keys_gather *g)
{
	for (unsigned v = 0; v < g->config.vaults; v++) {
		if (keys_vault_state(g->config.vault[v]) != KEYS_VAULT_LIVE)
			return KEYS_UNREACHABLE;
	}
	return KEYS_MISSING;
}

/* What there is of a session. Without memory for it, that is nothing. */
static void collect(struct keys_gather *g, size_t s, struct keys_found *ret)
{
	size_t first = g->sought[s].first, end = g->sought[s + 1].first;

	*ret = (struct keys_found){.reason = end > first ? SEAL_OK : reason_of_none(g)};
	if (end == first)
		return;
	ret->got = calloc(end - first, sizeof *ret->got);
	if (!ret->got)
		ret->reason = KEYS_NOT_OPENED;
	for (size_t k = first; k < end; k++) {
		const struct item *i = &g->items[k];

		if (i->state == ITEM_OPENED && ret->got)
			ret->got[ret->n++] = i->got;
		else if (i->state == ITEM_OPENED)
			keys_arena_release(g->config.arena, i->got.handle);
		else if (ret->got)
			ret->reason = i->reason;
	}
}

static void tell(struct keys_gather *g, size_t s, struct keys_found *f)
{
	g->sought[s].is_told = true;
	g->want->found(g->want, s, f);
}

static void tell_ready(struct keys_gather *g)
{
	for (size_t k = 0; k < g->ready_n; k++) {
		struct keys_found f;

		collect(g, g->ready[k], &f);
		tell(g, g->ready[k], &f);
	}
	g->ready_n = 0;
}

static void finish(struct keys_gather *g, int reason)
{
	g->done = true;
	for (size_t k = 0; k < g->items_n; k++) {
		if (g->items[k].state < ITEM_OPENED)
			note(&g->items[k], reason);
	}
	for (size_t s = 0; s < g->want->n; s++) {
		struct keys_found f = {.reason = reason};

		if (g->sought[s].is_told)
			continue;
		if (g->begun)
			collect(g, s, &f);
		tell(g, s, &f);
	}
	g->want->done(g->want);
}

/* False: not yet, or it is done already. */
static bool begin(struct keys_gather *g, int64_t now_ns)
{
	if (g->want->failover) {
		switch (keys_approval_state(g->config.approval, g->want->failover, now_ns)) {
		case KEYS_WAITS:
			return false;
		case KEYS_REFUSED:
			finish(g, KEYS_NOT_APPROVED);
			return false;
		case KEYS_APPROVED:
			break;
		}
	}
	g->deadline_ns = now_ns + g->want->budget_ns;
	int r = find_items(g);
	if (r == 0)
		r = find_epochs(g);
	if (r == 0)
		r = make_rounds(g);
	if (r) {
		g->items_n = 0;
		finish(g, KEYS_NOT_OPENED);
		return false;
	}
	g->begun = true;
	return true;
}

int keys_gather_new(const struct keys_gather_config *c, struct keys_want *w, int64_t now_ns,
		    struct keys_gather **ret)
{
	struct keys_gather *g = calloc(1, sizeof *g);

	if (!g)
		return -ENOMEM;
	g->sought = calloc(w->n + 1, sizeof *g->sought);
	g->ready = calloc(w->n + 1, sizeof *g->ready);
	if (!g->sought || !g->ready) {
		keys_gather_free(g);
		return -ENOMEM;
	}
	g->config = *c;
	g->want = w;
	g->made_ns = now_ns;
	*ret = g;
	return 0;
}

void keys_gather_step(struct keys_gather *g, int64_t now_ns)
{
	if (g->done || (!g->begun && !begin(g, now_ns)))
		return;
	if (now_ns < g->deadline_ns)
		ask(g, now_ns);
	tell_ready(g);
	if (now_ns >= g->deadline_ns || g->settled == g->items_n)
		finish(g, KEYS_DEADLINE);
}

int64_t keys_gather_next_ns(const struct keys_gather *g)
{
	if (g->done)
		return INT64_MAX;
	if (g->begun)
		return g->deadline_ns;
	return g->want->failover ? keys_approval_next_ns(g->config.approval) : g->made_ns;
}

static void epoch_back(struct keys_gather *g, const struct job *j)
{
	struct epoch *e = &g->epochs[j->of];

	e->reason[j->v] = j->task.reason;
	if (j->task.reason == SEAL_OK && memcmp(j->task.epoch, e->id, EPOCH_ID_BYTES) != 0)
		e->reason[j->v] = SEAL_UNKNOWN_EPOCH; /* it is another one */
}

/* Why there is no such epoch is what there is to tell. */
static int told(const struct keys_gather *g, const struct item *i, int reason)
{
	int of_epoch = g->epochs[i->epoch].reason[i->v];

	return reason == SEAL_UNKNOWN_EPOCH && of_epoch != SEAL_OK ? of_epoch : reason;
}

static void record_back(struct keys_gather *g, const struct job *j)
{
	struct item *i = &g->items[j->of];

	if (j->task.reason == SEAL_OK) {
		i->got = (struct keys_got){j->task.handle, j->task.opened};
		set_state(g, i, ITEM_OPENED);
		return;
	}
	int reason = told(g, i, j->task.reason);
	/* The opener had it when the record was asked for, and has made room for others since. */
	if (reason == SEAL_UNKNOWN_EPOCH && !i->epoch_due &&
	    g->epochs[i->epoch].state[i->v] == EPOCH_NOT_ASKED) {
		i->epoch_due = true;
		i->tried &= (uint8_t) ~(1u << i->v);
		set_state(g, i, ITEM_PENDING);
		return;
	}
	note(i, reason);
	/* Another vault helps against none of ours. */
	set_state(g, i, reason < KEYS_MISSING ? ITEM_PENDING : ITEM_REFUSED);
}

struct keys_gather *keys_gather_back(struct keys_unseal_task *t)
{
	struct job *j = list_entry(t, struct job, task);
	struct keys_gather *g = j->g;

	g->jobs--;
	if (g->done && t->kind == KEYS_UNSEAL_RECORD && t->reason == SEAL_OK)
		keys_arena_release(g->config.arena, t->handle);
	else if (!g->done && t->kind == KEYS_UNSEAL_RECORD)
		record_back(g, j);
	else if (!g->done)
		epoch_back(g, j);
	free(j);
	return g;
}

bool keys_gather_over(const struct keys_gather *g)
{
	for (unsigned v = 0; v < g->config.vaults; v++) {
		if (g->round[v].under_way)
			return false;
	}
	return g->done && g->jobs == 0;
}

void keys_gather_free(struct keys_gather *g)
{
	if (!g)
		return;
	for (unsigned v = 0; v < KEYS_VAULTS_MAX; v++) {
		free(g->round[v].asked);
		free(g->round[v].numbers);
		free(g->round[v].epochs);
	}
	free(g->epochs);
	free(g->items);
	free(g->sought);
	free(g->ready);
	free(g);
}
