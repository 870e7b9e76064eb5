/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-index.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/writer.h"

/* An entry is in a chain of each of these that applies to it. */
enum chain {
	BY_SESSION, /* TLS: client random; SSH: both ends */
	BY_RECORD,  /* epoch and number */
	BY_VAULT,   /* the vault's number; one chain for each vault from here on */
	CHAINS = BY_VAULT + KEYS_VAULTS_MAX,
};

struct entry {
	struct keys_record record;
	uint32_t pass[KEYS_VAULTS_MAX]; /* the one in which this vault told it */
	uint32_t next[CHAINS];          /* of the same bucket; of the free ones by BY_SESSION */
	uint64_t hash[CHAINS];
};

struct keys_index {
	struct entry *entry;
	uint32_t used, room, max; /* places: ever used, allocated, allowed */
	uint32_t free;
	uint32_t *head[CHAINS];
	uint32_t buckets; /* a power of two */
	uint32_t pass[KEYS_VAULTS_MAX];
	struct siphash_key key;
	void (*tell)(void *ctx, const struct session_index *index); /* NULL: nobody is told */
	void *tell_ctx;
	struct keys_index_counters counters;
};

#define NONE       UINT32_MAX
#define ROOM_FIRST 256u

/* Of what is_of() compares. */
static uint64_t hash_session(const struct keys_index *x, enum keys_protocol protocol,
			     const struct endpoint *server, const struct endpoint *client,
			     const uint8_t id[SESSION_ID_BYTES])
{
	struct {
		struct endpoint ends[2];
		uint8_t id[SESSION_ID_BYTES];
	} key = {.ends = {*server, *client}};

	if (protocol == KEYS_TLS)
		memcpy(key.id, id, SESSION_ID_BYTES);
	return siphash13(&key, sizeof key, &x->key);
}

/* Of all that session_index_eq() compares: a vault cannot fill one bucket. */
static uint64_t hash_record(const struct keys_index *x, const struct session_index *i)
{
	uint8_t room[SESSION_INDEX_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	session_index_write(&w, i);
	return siphash13(room, writer_view(&w).n, &x->key);
}

static uint64_t hash_number(const struct keys_index *x, uint64_t number)
{
	return siphash13(&number, sizeof number, &x->key);
}

static uint32_t *bucket(const struct keys_index *x, unsigned chain, uint64_t hash)
{
	return &x->head[chain][hash & (x->buckets - 1)];
}

static void link_entry(struct keys_index *x, unsigned chain, uint32_t i, uint64_t hash)
{
	uint32_t *head = bucket(x, chain, hash);

	x->entry[i].hash[chain] = hash;
	x->entry[i].next[chain] = *head;
	*head = i;
}

static void unlink_entry(struct keys_index *x, unsigned chain, uint32_t i)
{
	uint32_t *at = bucket(x, chain, x->entry[i].hash[chain]);

	while (*at != i)
		at = &x->entry[*at].next[chain];
	*at = x->entry[i].next[chain];
}

static bool has_chain(const struct entry *e, unsigned chain)
{
	return e->record.vaults &&
	       (chain < BY_VAULT || (e->record.vaults & 1u << (chain - BY_VAULT)));
}

static void rehash(struct keys_index *x)
{
	for (unsigned c = 0; c < CHAINS; c++) {
		memset(x->head[c], 0xff, x->buckets * sizeof *x->head[c]);
		for (uint32_t i = 0; i < x->used; i++)
			if (has_chain(&x->entry[i], c))
				link_entry(x, c, i, x->entry[i].hash[c]);
	}
}

/* Doubles the room. On failure all is as it was. */
static int grow(struct keys_index *x)
{
	uint32_t room = x->room ? x->room * 2 : ROOM_FIRST, buckets = room;
	uint32_t *head[CHAINS] = {NULL};
	struct entry *entry = realloc(x->entry, (size_t)room * sizeof *entry);
	bool whole = entry != NULL;

	if (entry)
		x->entry = entry;
	for (unsigned c = 0; c < CHAINS && whole; c++) {
		head[c] = malloc(buckets * sizeof *head[c]);
		whole = head[c] != NULL;
	}
	for (unsigned c = 0; c < CHAINS; c++) {
		if (whole) {
			free(x->head[c]);
			x->head[c] = head[c];
		} else {
			free(head[c]);
		}
	}
	if (!whole)
		return -ENOMEM;
	x->room = room;
	x->buckets = buckets;
	rehash(x);
	return 0;
}

int keys_index_open(uint32_t max, const struct siphash_key *key, struct keys_index **ret)
{
	struct keys_index *x = calloc(1, sizeof *x);

	if (!x)
		return -ENOMEM;
	x->max = max < UINT32_C(1) << 30 ? max : UINT32_C(1) << 30;
	x->key = *key;
	x->free = NONE;
	if (grow(x)) {
		keys_index_close(x);
		return -ENOMEM;
	}
	*ret = x;
	return 0;
}

void keys_index_close(struct keys_index *x)
{
	if (!x)
		return;
	for (unsigned c = 0; c < CHAINS; c++)
		free(x->head[c]);
	free(x->entry);
	free(x);
}

void keys_index_tell(struct keys_index *x, void (*fn)(void *ctx, const struct session_index *index),
		     void *ctx)
{
	x->tell = fn;
	x->tell_ctx = ctx;
}

void keys_index_begin(struct keys_index *x, unsigned v)
{
	assert(v < KEYS_VAULTS_MAX);
	x->pass[v]++;
}

static uint32_t find_record(const struct keys_index *x, const struct session_index *index)
{
	uint64_t hash = hash_record(x, index);
	uint32_t i = *bucket(x, BY_RECORD, hash);

	/* Another content under this number is another record: which one is right, opening tells.
	 */
	while (i != NONE && (x->entry[i].hash[BY_RECORD] != hash ||
			     !session_index_eq(&x->entry[i].record.index, index)))
		i = x->entry[i].next[BY_RECORD];
	return i;
}

static uint32_t find_number(const struct keys_index *x, unsigned v, uint64_t number)
{
	uint64_t hash = hash_number(x, number);
	uint32_t i = *bucket(x, BY_VAULT + v, hash);

	while (i != NONE && x->entry[i].record.number[v] != number)
		i = x->entry[i].next[BY_VAULT + v];
	return i;
}

static int new_entry(struct keys_index *x, uint32_t *ret)
{
	if (x->counters.records == x->max) {
		x->counters.full++;
		return -ENOSPC;
	}
	if (x->free != NONE) {
		*ret = x->free;
		x->free = x->entry[*ret].next[BY_SESSION];
	} else {
		if (x->used == x->room && grow(x)) {
			x->counters.out_of_memory++;
			return -ENOMEM;
		}
		*ret = x->used++;
	}
	x->entry[*ret] = (struct entry){0};
	x->counters.records++;
	return 0;
}

static void free_entry(struct keys_index *x, uint32_t i)
{
	x->entry[i] = (struct entry){.next[BY_SESSION] = x->free};
	x->free = i;
	x->counters.records--;
}

/* Vault @v no longer has it; when nobody has, there is no entry. */
static void drop(struct keys_index *x, unsigned v, uint32_t i)
{
	struct entry *e = &x->entry[i];

	unlink_entry(x, BY_VAULT + v, i);
	e->record.vaults &= (uint8_t) ~(1u << v);
	if (e->record.vaults)
		return;
	unlink_entry(x, BY_SESSION, i);
	unlink_entry(x, BY_RECORD, i);
	free_entry(x, i);
}

static bool is_before(const struct session_index *a, const struct session_index *b)
{
	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns;
	return a->number < b->number;
}

/* Makes room among the records of the session that @index is of. */
static void make_room(struct keys_index *x, const struct session_index *index)
{
	uint64_t hash = hash_session(x, index->protocol, &index->server, &index->client, index->id);
	uint32_t oldest = NONE, n = 0;

	for (uint32_t i = *bucket(x, BY_SESSION, hash); i != NONE;
	     i = x->entry[i].next[BY_SESSION]) {
		if (x->entry[i].hash[BY_SESSION] != hash)
			continue;
		n++;
		if (oldest == NONE ||
		    is_before(&x->entry[i].record.index, &x->entry[oldest].record.index))
			oldest = i;
	}
	if (n < KEYS_SESSION_RECORDS_MAX)
		return;
	x->counters.crowded++;
	for (unsigned v = 0; v < KEYS_VAULTS_MAX; v++)
		if (has_chain(&x->entry[oldest], BY_VAULT + v))
			drop(x, v, oldest);
}

int keys_index_add(struct keys_index *x, unsigned v, uint64_t number,
		   const struct session_index *index)
{
	assert(v < KEYS_VAULTS_MAX);
	uint32_t i = find_number(x, v, number);

	if (i != NONE && !session_index_eq(&x->entry[i].record.index, index)) {
		drop(x, v, i); /* a vault that was made anew counts from the start */
		i = NONE;
	}
	if (i == NONE)
		i = find_record(x, index);
	bool is_new = i == NONE;
	if (is_new) {
		make_room(x, index);
		int r = new_entry(x, &i);

		if (r)
			return r;
		x->entry[i].record.index = *index;
		link_entry(x, BY_RECORD, i, hash_record(x, index));
		link_entry(x, BY_SESSION, i,
			   hash_session(x, index->protocol, &index->server, &index->client,
					index->id));
	}
	struct entry *e = &x->entry[i];
	if (e->record.vaults & 1u << v)
		unlink_entry(x, BY_VAULT + v, i);
	e->record.vaults |= (uint8_t)(1u << v);
	e->record.number[v] = number;
	e->pass[v] = x->pass[v];
	link_entry(x, BY_VAULT + v, i, hash_number(x, number));
	if (is_new && x->tell)
		x->tell(x->tell_ctx, &e->record.index);
	return 0;
}

void keys_index_gone(struct keys_index *x, unsigned v, uint64_t number)
{
	assert(v < KEYS_VAULTS_MAX);
	uint32_t i = find_number(x, v, number);

	if (i != NONE)
		drop(x, v, i);
}

bool keys_index_has(const struct keys_index *x, unsigned v, uint64_t number,
		    const struct session_index *index)
{
	assert(v < KEYS_VAULTS_MAX);
	uint32_t i = find_number(x, v, number);

	return i != NONE && session_index_eq(&x->entry[i].record.index, index);
}

uint32_t keys_index_live(struct keys_index *x, unsigned v)
{
	uint32_t gone = 0;

	assert(v < KEYS_VAULTS_MAX);
	for (uint32_t i = 0; i < x->used; i++) {
		if (!has_chain(&x->entry[i], BY_VAULT + v) || x->entry[i].pass[v] == x->pass[v])
			continue;
		drop(x, v, i);
		gone++;
	}
	return gone;
}

static bool is_of(const struct session_index *i, const struct keys_session *s)
{
	if (i->protocol != s->protocol || !endpoint_eq(&i->server, &s->server) ||
	    !endpoint_eq(&i->client, &s->client))
		return false;
	if (s->protocol == KEYS_TLS)
		return memcmp(i->id, s->client_random, SESSION_ID_BYTES) == 0;
	return s->began_ns == 0 || i->time_ns >= s->began_ns - KEYS_CLOCK_SKEW_NS;
}

/* The first or next entry of the session after @i. */
static uint32_t next_of(const struct keys_index *x, const struct keys_session *s, uint32_t i)
{
	if (i == NONE)
		i = *bucket(x, BY_SESSION,
			    hash_session(x, s->protocol, &s->server, &s->client, s->client_random));
	else
		i = x->entry[i].next[BY_SESSION];
	while (i != NONE && !is_of(&x->entry[i].record.index, s))
		i = x->entry[i].next[BY_SESSION];
	return i;
}

/* Puts @r among the newest @max; *io_n are there. */
static void insert(struct keys_record *ret, size_t max, size_t *io_n, const struct keys_record *r)
{
	size_t at = *io_n;

	while (at > 0 && is_before(&r->index, &ret[at - 1].index))
		at--;
	if (*io_n < max) {
		memmove(ret + at + 1, ret + at, (*io_n - at) * sizeof *ret);
		ret[at] = *r;
		++*io_n;
	} else if (at > 0) {
		memmove(ret, ret + 1, (at - 1) * sizeof *ret);
		ret[at - 1] = *r;
	}
}

/* The id of an SSH connection whose begin is not known; NULL: all ids are meant. */
static const uint8_t *newest_id(const struct keys_index *x, const struct keys_session *s)
{
	const struct session_index *newest = NULL;

	if (s->protocol != KEYS_SSH || s->began_ns != 0)
		return NULL;
	for (uint32_t i = next_of(x, s, NONE); i != NONE; i = next_of(x, s, i))
		if (!newest || !is_before(&x->entry[i].record.index, newest))
			newest = &x->entry[i].record.index;
	return newest ? newest->id : NULL;
}

size_t keys_index_find(const struct keys_index *x, const struct keys_session *s,
		       struct keys_record *ret, size_t max)
{
	const uint8_t *id = newest_id(x, s);
	size_t all = 0, n = 0;

	for (uint32_t i = next_of(x, s, NONE); i != NONE; i = next_of(x, s, i)) {
		const struct keys_record *r = &x->entry[i].record;

		if (id && memcmp(r->index.id, id, SESSION_ID_BYTES) != 0)
			continue;
		all++;
		insert(ret, max, &n, r);
	}
	return all;
}

static struct keys_cover *cover_of(struct keys_cover *c, size_t n, const struct endpoint *server)
{
	for (size_t i = 0; i < n; i++)
		if (endpoint_eq(&c[i].server, server))
			return &c[i];
	return NULL;
}

size_t keys_index_cover(const struct keys_index *x, const struct keys_session *s, size_t n,
			struct keys_cover *ret, size_t max, size_t *ret_left)
{
	size_t services = 0, left = 0;

	for (size_t i = 0; i < n; i++) {
		struct keys_cover *c = cover_of(ret, services, &s[i].server);

		if (!c && services == max) {
			left++;
			continue;
		}
		if (!c) {
			c = &ret[services++];
			*c = (struct keys_cover){.server = s[i].server};
		}
		c->sessions++;
		c->with_keys += next_of(x, &s[i], NONE) != NONE;
	}
	*ret_left = left;
	return services;
}

const char *keys_cover_text(const struct keys_cover *c, const char *name, char *out, size_t size)
{
	char server[ENDPOINT_STRLEN];

	if (name)
		snprintf(server, sizeof server, "%.*s:%u", ENDPOINT_STRLEN - 8, name,
			 c->server.port);
	else
		endpoint_format(&c->server, server);
	snprintf(out, size, "%s: %u of %u sessions have keys", server, c->with_keys, c->sessions);
	return out;
}

void keys_index_count(const struct keys_index *x, struct keys_index_counters *ret)
{
	*ret = x->counters;
}
