/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * layer-rig: conversations of HTTP recorded with real servers, said again in TLS by OpenSSL, whose
 * server dies anywhere. The backup is http's oracle. What the client gets is decrypted by
 * keyvault/judge; no number is sealed twice.
 *
 *	layer_open(&c, &(struct layer_case){.recording = "nginx-keep-alive", .tls = {...}});
 *	layer_cut(&c, 1000, NULL, false, &counts);
 *	layer_close(&c);
 *
 * Whatever is wrong fails the test.
 */
#ifndef TEST_LAYER_RIG_H
#define TEST_LAYER_RIG_H

#include "keyvault/crypto/test/tls-rig.h"
#include "keyvault/judge/tls-judge.h"
#include "jeebs/recovery-oracle.h"
#include "recovery-modules/harness/harness.h"

/* How the secrets come. */
enum layer_keys {
	LAYER_KEYS_ONCE,
	LAYER_KEYS_TWICE,
	LAYER_KEYS_WRONG_FIRST, /* another one of the same client random, and then the right one */
	LAYER_KEYS_WRONG_LAST,
	LAYER_KEYS_BACKWARDS, /* the log's lines in the other order */
};

/* What is inside; the rig knows http. */
struct layer_kind {
	const char *folder;                /* of its recordings, in recovery-modules */
	const struct jeebs_module *module; /* composed */
	struct jeebs_service service;      /* with the inner module */
	const struct jeebs_oracle *oracle;
	bool choosy; /* it refuses, or gives up, of its own */
	/* It began in plain, with a greeting that is not said again in TLS; the backup, if it
	 * is to be asked for TLS too, hears this before. */
	bool upgraded, secures;
	const char *asks;
};

struct layer_case {
	const char *name;      /* for people */
	const char *recording; /* of http's corpus */
	struct tls_rig_options tls;
	enum layer_keys keys;
	/* In TLS 1.3: the key changes every so many turns of the conversation, now of one side, now
	 * of the other; 0: never. */
	unsigned updates;
	const struct layer_kind *kind; /* NULL: http */
	/* The live half has keys (`keys: live`), from this byte of both directions on. */
	bool follow;
	uint64_t follow_at;
	uint64_t retain; /* 0: as the service says */
};

struct layer {
	struct layer_case c;
	struct tls_rig *rig;
	struct tls_judge *judge;
	void *oracle;
	bool fin[2];
	uint64_t wire_n;   /* both directions */
	uint64_t greeting; /* bytes that the server said in plain, and the oracle knows */
};

struct layer_counts {
	unsigned cuts, exact, other, handshake, anew, unknown, followed, gave_up, uncertain;
};

/* @https is tls with http inside, made by layer_rig_begin(). */
void layer_rig_begin(void);
void layer_open(struct layer *l, const struct layer_case *c);
void layer_close(struct layer *l);
/* The harness has seen the first @cut bytes, in their order; beyond all of them also the ends.
 * Returns how far each direction had come. */
void layer_live(const struct layer *l, struct harness *h, uint64_t cut, uint64_t ret[static 2]);
/*
 * The server dies after @cut bytes. @reopen: and the box has been restarted then. It is refused in
 * the middle of the handshake, and as record-uncertain if more may be out; everything else is
 * exact.
 */
void layer_cut(const struct layer *l, uint64_t cut, const struct harness_options *o, bool reopen,
	       struct layer_counts *io);
/* Every @step-th byte from @from on is a cut, and the end. */
void layer_cut_all(const struct layer *l, uint64_t from, uint64_t step,
		   const struct harness_options *o, bool reopen, struct layer_counts *io);
void layer_print(const char *what, const struct layer_counts *n);

#endif
