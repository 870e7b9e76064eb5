/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For `protocol: auto`: HTTP/1 begins with the client's request line (RFC 9112 section 3). */
#include "http.h"

#include <string.h>

/* Ceiling of a request line (RFC 9112 section 3 recommends at least 8000). */
#define REQUEST_LINE_MAX 8192u
#define METHOD_MAX       20u

static bool is_method(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || c == '-';
}

/* Whether @b begins with @text, or is a beginning of it. */
static bool begins(struct jeebs_bytes b, const char *text)
{
	size_t n = strlen(text);

	return memcmp(b.p, text, b.n < n ? b.n : n) == 0;
}

/* Judges what follows the target: "HTTP/1.x" and the end of the line. */
static uint32_t detect_version(struct jeebs_bytes b)
{
	if (!begins(b, "HTTP/1."))
		return JEEBS_DETECT_NO;
	if (b.n < 9)
		return JEEBS_DETECT_MAYBE;
	if (b.p[7] < '0' || b.p[7] > '9')
		return JEEBS_DETECT_NO;
	if (b.p[8] == '\n')
		return JEEBS_DETECT_YES;
	if (b.p[8] != '\r')
		return JEEBS_DETECT_NO;
	if (b.n == 9)
		return JEEBS_DETECT_MAYBE;
	return b.p[9] == '\n' ? JEEBS_DETECT_YES : JEEBS_DETECT_NO;
}

static uint32_t detect_line(struct jeebs_bytes b)
{
	size_t i = 0;

	while (i < b.n && is_method(b.p[i]))
		i++;
	if (i > METHOD_MAX)
		return JEEBS_DETECT_NO;
	if (i == b.n)
		return JEEBS_DETECT_MAYBE;
	if (i == 0 || b.p[i] != ' ')
		return JEEBS_DETECT_NO;
	size_t target = ++i;
	while (i < b.n && b.p[i] > ' ' && b.p[i] != 0x7f)
		i++;
	if (i == b.n)
		return b.n < REQUEST_LINE_MAX ? JEEBS_DETECT_MAYBE : JEEBS_DETECT_NO;
	if (i == target || b.p[i] != ' ')
		return JEEBS_DETECT_NO;
	return detect_version((struct jeebs_bytes){b.p + i + 1, b.n - i - 1});
}

uint32_t http_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	/* Empty lines before a request are ignored: RFC 9112 section 2.2. */
	while (to_server.n > 0 && (to_server.p[0] == '\r' || to_server.p[0] == '\n')) {
		to_server.p++;
		to_server.n--;
	}
	/* In HTTP no server speaks first, but a mirror may show the answer first. */
	if (to_client.n > 0 && !begins(to_client, "HTTP/1."))
		return JEEBS_DETECT_NO;
	return to_server.n > 0 ? detect_line(to_server) : JEEBS_DETECT_MAYBE;
}
