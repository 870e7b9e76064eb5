/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backup-tickets: the session tickets that a service's backups gave, by the name that was asked
 * for, and who may go for the first one. Many connections begin at once at a takeover: one of a
 * name makes a full handshake, and the others wait for its ticket, a few milliseconds, instead of
 * making as many.
 *
 * All functions may be called by several threads.
 */
#ifndef APPLIANCE_BACKUP_TICKETS_H
#define APPLIANCE_BACKUP_TICKETS_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "backup-tls.h"

struct backup_tickets;

/* A connection that wants a ticket. */
struct backup_ticket_seeker {
	char name[BACKUP_TLS_NAME_MAX + 1];
	bool first; /* the others wait for the one that it gets */
};

struct backup_tickets *backup_tickets_new(void); /* NULL: no memory */
void backup_tickets_free(struct backup_tickets *t);

/* @name may be NULL. */
void backup_tickets_seek(struct backup_ticket_seeker *s, const char *name);
/*
 * Gives a ticket's session, which the caller frees, or NULL: there is none, and the handshake is a
 * full one. False: one is about to come, and who is not @impatient waits.
 */
bool backup_tickets_take(struct backup_tickets *t, struct backup_ticket_seeker *s, bool impatient,
			 SSL_SESSION **ret);
/* The backup has given one. It is copied. */
void backup_tickets_found(struct backup_tickets *t, struct backup_ticket_seeker *s,
			  SSL_SESSION *session);
/* The backup has said something else first: it gives none, if it has not yet. Nobody need wait for
 * it again. */
void backup_tickets_none(struct backup_tickets *t, struct backup_ticket_seeker *s);
/* The connection ends, or has failed. */
void backup_tickets_give_up(struct backup_tickets *t, struct backup_ticket_seeker *s);

#endif
