/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backup-tls/backup-tls.h"
#include "backup-tls/backup-watch.h"
#include "base/cleanup.h"
#include "daemon.h"

static struct backup_tls_config config_of(const struct config_backup_tls *b)
{
	return (struct backup_tls_config){.ca = b->ca, .name = b->name};
}

int daemon_backup_check(const struct config_backup_tls *b,
			char why[static CONFIG_MODULE_WHY_STRLEN])
{
	const struct backup_tls_config c = config_of(b);
	struct backup_tls *t = NULL;
	int r = backup_tls_new(&c, &t, why, CONFIG_MODULE_WHY_STRLEN);

	backup_tls_free(t);
	return r;
}

static uint32_t count_services(const struct config *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->server_count; i++)
		n += c->servers[i].service_count;
	return n;
}

/* All addresses of a server's service share what they know of its backups. */
static void tell_services(struct daemon *d, uint16_t server, uint16_t port, uint16_t backup_port,
			  struct backup_tls *t)
{
	for (uint32_t i = 0; i < d->services.n; i++) {
		struct watch_service *w = &d->services.v[i];
		if (w->server != server || w->endpoint.port != port)
			continue;
		w->backup_port = backup_port;
		w->backup_tls = t;
	}
}

static int open_one(struct daemon *d, uint16_t server, const struct config_service *s)
{
	const struct config_server *of = &d->config->servers[server];
	const struct backup_tls_config c = config_of(&s->backup_tls);
	struct backup_tls **t = &d->backups[d->backup_count];
	char why[CONFIG_MODULE_WHY_STRLEN];

	if (s->backup_tls.mode == CONFIG_BACKUP_TLS) {
		int r = backup_tls_new(&c, t, why, sizeof why);
		if (r < 0) {
			log_event(LOG_ERROR, "backup-tls-not-ready", LOG_STR("server", of->name),
				  LOG_INT("port", s->port), LOG_STR("detail", why), LOG_ERR(r));
			return r;
		}
		d->backup_count++;
	}
	tell_services(d, server, s->port, s->backup_tls.port, *t);
	return 0;
}

int daemon_backup_open(struct daemon *d)
{
	d->backups = calloc(count_services(d->config) + 1, sizeof(struct backup_tls *));
	if (!d->backups)
		return -ENOMEM;
	for (uint16_t i = 0; i < d->config->server_count; i++) {
		const struct config_server *s = &d->config->servers[i];
		for (uint32_t j = 0; j < s->service_count; j++) {
			int r = open_one(d, i, &s->services[j]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* How a backup is asked for TLS whose conversations turn to it (RFC 3207). */
static const struct backup_watch_words *words_of(const struct watch_service *w)
{
	static const struct backup_watch_words smtp[] = {
		{"220", "EHLO localhost\r\n"}, {"250", "STARTTLS\r\n"}, {"220", NULL}};

	return w->upgrade_inner && strcmp(w->module->name, "smtp") == 0 ? smtp : NULL;
}

/* One for each service of a server, where the module says that it is TLS, or turns to it. */
static uint32_t targets_of(const struct daemon *d, struct backup_watch_target *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->services.n; i++) {
		const struct watch_service *w = &d->services.v[i];
		const struct config_server *s = &d->config->servers[w->server];
		const struct config_backup *b = config_backup_for(s, w->endpoint.addr.family);
		const struct backup_watch_words *words = words_of(w);
		if (!w->backup_tls || (!w->options.inner && !words))
			continue;
		struct backup_watch_target t = {
			.server = w->server,
			.server_name = s->name,
			.port = w->endpoint.port,
			.backup = {.addr = b->address, .port = w->backup_port},
			.tls = w->backup_tls,
			.words = words,
		};
		bool twice = false;
		for (uint32_t j = 0; j < n; j++)
			twice |= v[j].tls == t.tls && endpoint_eq(&v[j].backup, &t.backup);
		if (!twice)
			v[n++] = t;
	}
	return n;
}

int daemon_backup_watch(struct daemon *d)
{
	_cleanup_free_ struct backup_watch_target *v = calloc(d->services.n + 1, sizeof *v);
	struct backup_watch_config c = BACKUP_WATCH_CONFIG_DEFAULT;

	if (!v)
		return -ENOMEM;
	c.targets = v;
	c.count = targets_of(d, v);
	int r = c.count > 0 ? backup_watch_start(&c, &d->backup_watch) : 0;
	if (r < 0)
		log_event(LOG_ERROR, "backup-watch-not-started", LOG_ERR(r));
	return r;
}

const char *daemon_backup_not_ready(struct daemon *d, uint32_t server, char *why)
{
	char room[BACKUP_WATCH_WHY_STRLEN];

	_Static_assert(METRICS_HTTP_WHY_STRLEN >= BACKUP_WATCH_WHY_STRLEN, "it is told whole");
	return backup_watch_ready(d->backup_watch, server, why ? why : room) ? NULL : "backup-tls";
}

void daemon_backup_close(struct daemon *d)
{
	for (uint32_t i = 0; i < d->backup_count; i++)
		backup_tls_free(d->backups[i]);
	free(d->backups);
	d->backups = NULL;
	d->backup_count = 0;
}

void daemon_backup_publish(struct daemon *d)
{
	struct backup_tls_stats sum = {0}, one;

	for (uint32_t i = 0; i < d->backup_count; i++) {
		backup_tls_stats(d->backups[i], &one);
		sum.full += one.full;
		sum.resumed += one.resumed;
		sum.failed += one.failed;
	}
	metrics_set_total(d->metrics, METRIC_BACKUP_TLS, METRIC_AT(METRIC_HANDSHAKE_FULL),
			  sum.full);
	metrics_set_total(d->metrics, METRIC_BACKUP_TLS, METRIC_AT(METRIC_HANDSHAKE_RESUMED),
			  sum.resumed);
	metrics_set_total(d->metrics, METRIC_BACKUP_TLS, METRIC_AT(METRIC_HANDSHAKE_FAILED),
			  sum.failed);
}
