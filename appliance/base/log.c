/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"

#define LINE_MAX_BYTES 4096

static enum log_format log_format = LOG_FORMAT_TEXT;
static atomic_int log_max = LOG_INFO;

static const char *const level_name[] = {
	[LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

void log_init(enum log_format format, enum log_level max_level)
{
	log_format = format;
	atomic_store(&log_max, (int)max_level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_max, memory_order_relaxed);
}

static const char *descriptors_short(void)
{
	static _Thread_local char text[80];
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return strerrordesc_np(EMFILE);
	snprintf(text, sizeof text, "%s: the limit is %llu (ulimit -n)", strerrordesc_np(EMFILE),
		 (unsigned long long)limit.rlim_cur);
	return text;
}

const char *log_strerror(int r)
{
	const char *s = strerrordesc_np(r < 0 ? -r : r);

	if (r == -EMFILE)
		return descriptors_short();
	return s ? s : "unknown error";
}

static void put_json_string(struct buf *b, const char *s)
{
	buf_u8(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_u8(b, c);
	}
	buf_u8(b, '"');
}

static void put_text_value(struct buf *b, const char *s)
{
	bool plain = *s != 0;

	for (const char *c = s; *c; c++)
		plain = plain && *c > 0x20 && *c < 0x7f && *c != '"' && *c != '\\' && *c != '=';
	if (plain)
		buf_append(b, s, strlen(s));
	else
		put_json_string(b, s);
}

static void put_value(struct buf *b, const struct log_field *f, bool json)
{
	switch (f->kind) {
	case LOG_FIELD_STR:
		(json ? put_json_string : put_text_value)(b, f->str ? f->str : "");
		break;
	case LOG_FIELD_INT:
		buf_printf(b, "%lld", (long long)f->num);
		break;
	case LOG_FIELD_MS:
		buf_printf(b, "%.3f", (double)f->num / (double)NS_PER_MS);
		break;
	case LOG_FIELD_END:
		break;
	}
}

static void put_time(struct buf *b)
{
	int64_t now = clock_real_ns();
	time_t s = (time_t)(now / NS_PER_S);
	struct tm tm;

	gmtime_r(&s, &tm);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now % NS_PER_S / NS_PER_MS));
}

static void put_line(struct buf *b, enum log_level level, const char *event,
		     const struct log_field *f)
{
	bool json = log_format == LOG_FORMAT_JSON;

	if (json)
		buf_printf(b, "{\"time\":\"");
	put_time(b);
	buf_printf(b, json ? "\",\"level\":\"%s\",\"event\":\"%s\"" : " %s %s", level_name[level],
		   event);
	for (; f->kind != LOG_FIELD_END; f++) {
		buf_printf(b, json ? ",\"%s\":" : " %s=", f->key);
		put_value(b, f, json);
	}
	if (json)
		buf_u8(b, '}');
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
	int saved = errno;
	uint8_t line[LINE_MAX_BYTES]; /* on the stack: a line about missing memory must need none */
	struct buf b = BUF_IN(line);

	put_line(&b, level, event, fields);
	if (buf_error(&b) == -ENOBUFS) {
		/* The line does not fit. Write at least that the event happened. */
		static const struct log_field cut[] = {LOG_STR("detail", "line too long"), {0}};
		buf_reset(&b);
		put_line(&b, level, event, cut);
	}
	if (!buf_error(&b) && buf_u8(&b, '\n') == 0)
		(void)!write(STDERR_FILENO, b.p, b.n);
	errno = saved;
}
