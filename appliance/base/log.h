/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * log: one line per event on stderr, as text or as JSON.
 *
 * An event is a name (a stable noun phrase with dashes, the same word in the
 * log, in metrics and in documentation), then key/value fields. Pure code does
 * not log. Who decides about an error logs it, once.
 *
 *	log_event(LOG_NOTICE, "server-suspect", LOG_STR("server", name), LOG_INT("missed", n));
 *
 * Text: "2026-11-21T03:36:41.123Z notice server-suspect server=web1 missed=3".
 * Values are escaped; nothing a peer sent can break a line. Thread-safe: one
 * write() per line. Never pass payload or key bytes.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* Values are those of syslog (RFC 5424 section 6.2.1). */
enum log_level {
	LOG_ERROR = 3,
	LOG_WARNING = 4,
	LOG_NOTICE = 5,
	LOG_INFO = 6,
	LOG_DEBUG = 7,
};

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

enum log_field_kind {
	LOG_FIELD_END,
	LOG_FIELD_STR,
	LOG_FIELD_INT,
	LOG_FIELD_MS, /* given in nanoseconds, printed in milliseconds with three decimals */
};

struct log_field {
	const char *key;
	enum log_field_kind kind;
	const char *str;
	int64_t num;
};

#define LOG_STR(k, v) ((struct log_field){(k), LOG_FIELD_STR, (v), 0})
#define LOG_INT(k, v) ((struct log_field){(k), LOG_FIELD_INT, NULL, (int64_t)(v)})
#define LOG_MS(k, ns) ((struct log_field){(k), LOG_FIELD_MS, NULL, (int64_t)(ns)})
/* A field that shows a negative errno as text. */
#define LOG_ERR(r) LOG_STR("error", log_strerror(r))

void log_init(enum log_format format, enum log_level max_level);
bool log_enabled(enum log_level level);
/* Text of a negative errno. For a limit of this process the text names the limit. Valid until
 * the calling thread calls this again. */
const char *log_strerror(int r);
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define log_event(level, event, ...)                                                          \
	do {                                                                                  \
		if (log_enabled(level))                                                       \
			log_write((level), (event),                                           \
				  (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}}); \
	} while (0)

#endif
