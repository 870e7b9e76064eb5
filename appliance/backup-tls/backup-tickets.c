/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backup-tickets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that clients ask for are the clients' choice: beyond this many the oldest is forgotten. */
#define NAMES_MAX 16

struct ticket {
	char name[BACKUP_TLS_NAME_MAX + 1];
	bool used;            /* the entry */
	bool sought;          /* somebody makes the first handshake */
	bool none;            /* the backup gives no tickets */
	SSL_SESSION *session; /* NULL: there is none yet */
};

struct backup_tickets {
	pthread_mutex_t lock;
	struct ticket v[NAMES_MAX];
	uint32_t newest;
};

struct backup_tickets *backup_tickets_new(void)
{
	struct backup_tickets *t = calloc(1, sizeof *t);

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void backup_tickets_free(struct backup_tickets *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < NAMES_MAX; i++)
		SSL_SESSION_free(t->v[i].session);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void backup_tickets_seek(struct backup_ticket_seeker *s, const char *name)
{
	*s = (struct backup_ticket_seeker){0};
	snprintf(s->name, sizeof s->name, "%s", name ? name : "");
}

static struct ticket *find(struct backup_tickets *t, const char *name)
{
	for (size_t i = 0; i < NAMES_MAX; i++)
		if (t->v[i].used && strcmp(t->v[i].name, name) == 0)
			return &t->v[i];
	return NULL;
}

static struct ticket *find_or_add(struct backup_tickets *t, const char *name)
{
	struct ticket *k = find(t, name);

	if (k)
		return k;
	t->newest = (t->newest + 1) % NAMES_MAX;
	k = &t->v[t->newest];
	SSL_SESSION_free(k->session);
	*k = (struct ticket){.used = true};
	snprintf(k->name, sizeof k->name, "%s", name);
	return k;
}

bool backup_tickets_take(struct backup_tickets *t, struct backup_ticket_seeker *s, bool impatient,
			 SSL_SESSION **ret)
{
	bool go = true;

	*ret = NULL;
	pthread_mutex_lock(&t->lock);
	struct ticket *k = find_or_add(t, s->name);
	/* A copy: OpenSSL writes to the session of a connection that fails. */
	if (k->session && SSL_SESSION_is_resumable(k->session))
		*ret = SSL_SESSION_dup(k->session);
	if (!*ret && !k->none) {
		go = impatient || !k->sought;
		s->first = !k->sought;
		k->sought = true;
	}
	pthread_mutex_unlock(&t->lock);
	return go;
}

static void seek_no_more(struct backup_ticket_seeker *s, struct ticket *k)
{
	if (s->first && k)
		k->sought = false;
	s->first = false;
}

void backup_tickets_found(struct backup_tickets *t, struct backup_ticket_seeker *s,
			  SSL_SESSION *session)
{
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	pthread_mutex_lock(&t->lock);
	struct ticket *k = find(t, s->name);
	if (k && copy) {
		SSL_SESSION_free(k->session);
		k->session = copy;
		k->none = false;
		copy = NULL;
	}
	seek_no_more(s, k);
	pthread_mutex_unlock(&t->lock);
	SSL_SESSION_free(copy);
}

void backup_tickets_none(struct backup_tickets *t, struct backup_ticket_seeker *s)
{
	if (!s->first)
		return;
	pthread_mutex_lock(&t->lock);
	struct ticket *k = find(t, s->name);
	if (k)
		k->none = !k->session;
	seek_no_more(s, k);
	pthread_mutex_unlock(&t->lock);
}

void backup_tickets_give_up(struct backup_tickets *t, struct backup_ticket_seeker *s)
{
	if (!s->first)
		return;
	pthread_mutex_lock(&t->lock);
	seek_no_more(s, find(t, s->name));
	pthread_mutex_unlock(&t->lock);
}
