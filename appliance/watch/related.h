/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * related: the connections of one conversation, such as the data connections of FTP.
 *
 * The main connection's module says what it expects (recovery-module.h); the others are
 * watched by its companion, on ports that are no configured service. They may live in another
 * worker, so nothing binds them together before a takeover asks. One that ended in order is
 * remembered for a while with all its module knew: the main one may not have told
 * its client yet.
 *
 * Pure. A watch owns its flows and what it remembers.
 */
#ifndef APPLIANCE_RELATED_H
#define APPLIANCE_RELATED_H

#include "remains.h"

/* Of the ended ones: how many, how old, how many bytes of logs together. */
#define RELATED_ENDED_MAX   64
#define RELATED_ENDED_NS    (10 * NS_PER_S)
#define RELATED_ENDED_BYTES ((size_t)16 << 20)

/* A connection that is over. */
struct related_ended {
	struct list node; /* newest last */
	struct endpoint server, client;
	int64_t at_ns;
	const struct watch_service *service;
	struct remains remains; /* there is a module */
};

/* What a main connection expects, by value. */
struct related_expected {
	struct endpoint server, client; /* port 0: any */
	int64_t since_ns;
	uint32_t worker, flow, tag;
};

/* What main connections expected that have ended, by value: the newest, and for how long. */
#define RELATED_LEFT_MAX 64
#define RELATED_LEFT_NS  (60 * NS_PER_S)

struct related_left {
	struct related_left_one {
		struct related_expected by; /* worker unset */
		uint32_t server;            /* as in struct watch_service */
		int64_t at_ns;
	} v[RELATED_LEFT_MAX];
	uint32_t n; /* so far */
};

struct related_list {
	struct related_expected *v;
	uint32_t n, cap;
};

/* A connection is opened, and about to go. */
void related_begin(struct jeebs_flow *jf);
void related_end(struct jeebs_flow *jf);
/* @to, a copy of @from, expects the same. */
void related_copy(struct jeebs_flow *to, const struct jeebs_flow *from);
/* Those of companions' services: after NULL the first, NULL after the last. */
struct jeebs_flow *related_next_companion(struct watch *w, const struct jeebs_flow *after);

/* From a module: see expect() in recovery-module.h. */
void related_expect(struct jeebs_flow *jf, const struct jeebs_expect *e);
/* Another module goes on. */
void related_expect_nothing(struct jeebs_flow *jf);

/* In a takeover: @e was said of @jf. */
void related_bind(struct jeebs_flow *jf, const struct related_expected *e);
static inline const struct related_main *related_main_of(const struct jeebs_flow *jf)
{
	return &jf->related.main;
}

/* The live connection of the same watch that expects @jf, the newest of several; NULL: none. */
struct jeebs_flow *related_main(const struct jeebs_flow *jf);

/* Adds what @jf expects. 0 or -ENOMEM. */
int related_collect(struct related_list *l, const struct jeebs_flow *jf, uint32_t worker);
/* @jf is about to go. Who it expects is left alone, and its client would wait for ever. */
void related_leave(struct watch *w, const struct jeebs_flow *jf, int64_t now_ns);
/* Adds what was expected by those that are gone. 0 or -ENOMEM. */
int related_collect_left(struct related_list *l, struct watch *w, uint32_t server, uint32_t worker,
			 int64_t now_ns);
void related_list_deinit(struct related_list *l);
/* Who expects this connection; of several, who said so last. NULL: nobody. */
const struct related_expected *related_find(const struct related_list *l,
					    const struct endpoint *server,
					    const struct endpoint *client);

/*
 * For a preview: the related connections of @jf in its own watch, living or ended, into @out
 * with cuts that stay valid until the watch changes. Returns how many, at most JEEBS_EXPECT_MAX.
 */
uint32_t related_preview(struct jeebs_flow *jf, struct jeebs_related out[static JEEBS_EXPECT_MAX]);

/* Its end: what the module had read of their logs. */
void related_preview_close(const struct jeebs_related *related, uint32_t n);

/* @jf, a companion's, is about to go, in order: remembers it. Takes its state. */
void related_remember(struct watch *w, struct jeebs_flow *jf, int64_t now_ns);
struct related_ended *related_ended_free(struct related_ended *e); /* returns NULL; NULL is fine */

#endif
