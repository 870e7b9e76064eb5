/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * related: the connections of one conversation, such as the data connections of FTP.
 *
 * The main connection's module says what it expects (recovery-module.h). The other connections are
 * watched by its companion, on ports without a configured service. They may be in another worker,
 * so nothing connects them before a takeover. One that ended in order is remembered for a while,
 * with all that its module knew: the main connection may not have told its client yet.
 *
 * Pure. A watch owns its flows and what it remembers.
 */
#ifndef APPLIANCE_RELATED_H
#define APPLIANCE_RELATED_H

#include "remains.h"

/* Ceilings of the ended connections: their number, their age, the bytes of their logs. */
#define RELATED_ENDED_MAX   64
#define RELATED_ENDED_NS    (10 * NS_PER_S)
#define RELATED_ENDED_BYTES ((size_t)16 << 20)

/* A connection that has ended. */
struct related_ended {
	struct list node; /* the newest is the last */
	struct endpoint server, client;
	int64_t at_ns;
	const struct watch_service *service;
	struct remains remains; /* there is always a module */
};

/* A connection that a main one expects, by value. */
struct related_expected {
	struct endpoint server, client; /* port 0: any port */
	int64_t since_ns;
	uint32_t worker, flow, tag;
};

/*
 * What main connections had expected when they ended: the newest RELATED_LEFT_MAX, kept for
 * RELATED_LEFT_NS.
 */
#define RELATED_LEFT_MAX 64
#define RELATED_LEFT_NS  (60 * NS_PER_S)

struct related_left {
	struct related_left_one {
		struct related_expected by; /* `worker` is not set */
		uint32_t server;            /* index as in struct watch_service */
		int64_t at_ns;
	} v[RELATED_LEFT_MAX];
	uint32_t n; /* total so far */
};

struct related_list {
	struct related_expected *v;
	uint32_t n, cap;
};

/* Called when a connection is opened, and when it is about to be freed. */
void related_begin(struct jeebs_flow *jf);
void related_end(struct jeebs_flow *jf);
/* Makes @to, a copy of @from, expect the same. */
void related_copy(struct jeebs_flow *to, const struct jeebs_flow *from);
/* The next connection of a companion's service: after NULL the first, NULL after the last. */
struct jeebs_flow *related_next_companion(struct watch *w, const struct jeebs_flow *after);

/* Implements expect() of recovery-module.h. */
void related_expect(struct jeebs_flow *jf, const struct jeebs_expect *e);
/* Another module takes over, so nothing is expected any more. */
void related_expect_nothing(struct jeebs_flow *jf);

/* In a takeover: notes that @jf is the expected connection @e. */
void related_bind(struct jeebs_flow *jf, const struct related_expected *e);
static inline const struct related_main *related_main_of(const struct jeebs_flow *jf)
{
	return &jf->related.main;
}

/*
 * The live connection in the same watch that expects @jf, the newest of several; NULL: there is
 * none.
 */
struct jeebs_flow *related_main(const struct jeebs_flow *jf);

/* Adds what @jf expects. Returns 0 or -ENOMEM. */
int related_collect(struct related_list *l, const struct jeebs_flow *jf, uint32_t worker);
/*
 * @jf is about to be freed. The connections that it expects would otherwise be left alone, and
 * their clients would wait for ever.
 */
void related_leave(struct watch *w, const struct jeebs_flow *jf, int64_t now_ns);
/* Adds what ended connections had expected. Returns 0 or -ENOMEM. */
int related_collect_left(struct related_list *l, struct watch *w, uint32_t server, uint32_t worker,
			 int64_t now_ns);
void related_list_deinit(struct related_list *l);
/* The newest expectation of this connection. NULL: nobody expects it. */
const struct related_expected *related_find(const struct related_list *l,
					    const struct endpoint *server,
					    const struct endpoint *client);

/*
 * For a preview: writes to @out the related connections of @jf in its own watch, living or ended.
 * Their cuts are valid until the watch changes. Returns how many, at most JEEBS_EXPECT_MAX.
 */
uint32_t related_preview(struct jeebs_flow *jf, struct jeebs_related out[static JEEBS_EXPECT_MAX]);

/* Ends the preview: frees what the module has read of their logs. */
void related_preview_close(const struct jeebs_related *related, uint32_t n);

/*
 * Remembers @jf, a companion's connection that ended in order and is about to be freed. Takes its
 * state.
 */
void related_remember(struct watch *w, struct jeebs_flow *jf, int64_t now_ns);
struct related_ended *related_ended_free(struct related_ended *e); /* returns NULL; NULL is fine */

#endif
