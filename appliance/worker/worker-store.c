/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "watch/plan.h"
#include "watch/spill.h"
#include "worker-vlan.h"

#define BATCH_PUTS_MAX_BYTES ((size_t)16 * 1024 * 1024)
/* No batch can hold more records than this. */
#define BATCH_PUTS_MAX         65536
#define CHECKPOINT_FIRST_BYTES 4096
/*
 * A record with a full log costs 50 us, while packets wait. When the budget is used up, the other
 * flows are written an interval later. With the default interval the budget is a tenth of the
 * thread.
 */
#define FLUSH_BUDGET_NS NS_PER_MS

void worker_store_init(struct worker_store *s, const struct worker_config *cfg)
{
	*s = (struct worker_store){.cfg = cfg};
	store_batch_init(&s->batch, BATCH_PUTS_MAX_BYTES,
			 cfg->watch.track.max_flows + BATCH_PUTS_MAX);
}

void worker_store_deinit(struct worker_store *s)
{
	store_batch_deinit(&s->batch);
	free(s->checkpoint);
}

static int take_checkpoint(struct worker_store *s, const struct jeebs_flow *jf, struct bytes *ret)
{
	const struct jeebs_module *m = watch_module(jf);
	size_t n = m->checkpoint(watch_state(jf), s->checkpoint, s->checkpoint_cap);

	if (n > STORE_CHECKPOINT_MAX)
		return -EMSGSIZE;
	if (n > s->checkpoint_cap) {
		size_t cap = n > CHECKPOINT_FIRST_BYTES ? n : CHECKPOINT_FIRST_BYTES;
		uint8_t *p = realloc(s->checkpoint, cap);
		if (!p)
			return -ENOMEM;
		s->checkpoint = p;
		s->checkpoint_cap = cap;
		n = m->checkpoint(watch_state(jf), s->checkpoint, s->checkpoint_cap);
	}
	*ret = bytes_of(s->checkpoint, n);
	return 0;
}

static struct store_log log_of(const struct flow *f, enum flow_dir dir)
{
	return (struct store_log){
		.keep = f->stream[dir].keep,
		.acked = f->acked[dir],
		.span = track_span(f, dir),
	};
}

static int put_flow(struct worker_store *s, struct jeebs_flow *jf, int64_t now_ns)
{
	const struct flow *f = jf->flow;
	const char *name = s->cfg->server_names[jf->service->server];
	struct store_record r = {
		.mono_ns = now_ns,
		.real_ns = clock_real_ns(),
		.isn = {f->isn[0], f->isn[1]},
		.marks = f->marks,
		.flow_state = f->state,
		.server_name = bytes_str(name),
		.protocol = bytes_str(jf->service->protocol),
	};

	watch_read(jf);
	memcpy(r.boot_id, s->cfg->boot_id, sizeof r.boot_id);
	plan_snapshot(f, &r.snapshot);
	r.log[FLOW_TO_SERVER] = log_of(f, FLOW_TO_SERVER);
	r.log[FLOW_TO_CLIENT] = log_of(f, FLOW_TO_CLIENT);
	/* The spilled parts do not survive a restart. So the record says that its log is
	 * shortened. */
	if (spill_of(jf)->id)
		r.log[FLOW_TO_SERVER].keep = spill_of(jf)->from;
	if (watch_is_open(jf)) {
		int e = take_checkpoint(s, jf, &r.checkpoint);
		if (e < 0)
			return e;
		r.module = bytes_str(watch_module(jf)->name);
	}
	return store_batch_put(&s->batch, &r, STORE_LOG_DEFAULT);
}

void worker_store_closed(struct worker_store *s, const struct jeebs_flow *jf)
{
	if (jf->store.stored && s->cfg->store &&
	    store_batch_del(&s->batch, &jf->flow->server, &jf->flow->client) < 0)
		s->record_errors++;
}

/*
 * Whether another VLAN's connection with the same addresses and ports has the key of this record.
 */
static bool is_foreign(const struct worker_store *s, const struct jeebs_flow *jf)
{
	return worker_vlan_foreign_flow(&s->cfg->evidence[jf->service->server], jf->flow);
}

static void put_dirty(struct worker_store *s, struct watch *w, int64_t now_ns)
{
	list_for_each_safe (it, tmp, watch_dirty(w)) {
		if (clock_mono_ns() - now_ns > FLUSH_BUDGET_NS) {
			s->cut_short++;
			return;
		}
		struct flow *f = list_entry(it, struct flow, dirty);
		struct jeebs_flow *jf = watch_flow(f);

		if (jf && flow_is_live(f) && !is_foreign(s, jf) &&
		    !(f->marks & FLOW_MARK_MIDSTREAM)) {
			int r = put_flow(s, jf, now_ns);
			if (r == -ENOBUFS)
				return; /* the other flows stay dirty for the next flush */
			if (r < 0)
				s->record_errors++;
			else
				jf->store.stored = true;
		}
		list_del(it);
	}
}

void worker_store_flush(struct worker_store *s, struct watch *w, int64_t now_ns)
{
	if (!s->cfg->store || now_ns - s->flushed_ns < s->cfg->store_interval_ns)
		return;
	s->flushed_ns = now_ns;
	put_dirty(s, w, now_ns);
	if (!store_batch_empty(&s->batch) && store_submit(s->cfg->store, &s->batch) == -EAGAIN)
		s->deferred++;
}
