/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config-value.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdlib.h>

#include "base/clock.h"
#include "config-text/config-report.h"

struct unit {
	const char *name;
	int64_t factor;
	bool decimal; /* any decimal fraction of the unit can be stored exactly */
};

/* Smallest unit first. */
static const struct unit duration_units[] = {
	{"us", NS_PER_US, true},     {"ms", NS_PER_MS, true},       {"s", NS_PER_S, true},
	{"m", 60 * NS_PER_S, false}, {"h", 3600 * NS_PER_S, false}, {0}};
static const struct unit size_units[] = {{"B", 1, false},
					 {"KiB", 1 << 10, false},
					 {"MiB", 1 << 20, false},
					 {"GiB", 1 << 30, false},
					 {0}};

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (; units->name; units++)
		if (strcmp(units->name, name) == 0)
			return units;
	return NULL;
}

/*
 * Adds the digits of @text to *io_value. Returns the first byte that is no digit, or NULL when the
 * value does not fit.
 */
static const char *digits(const char *text, int64_t *io_value)
{
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(*io_value, 10, io_value) ||
		    __builtin_add_overflow(*io_value, *text - '0', io_value))
			return NULL;
	return text;
}

enum scaled {
	SCALED_OK,
	SCALED_NO_NUMBER,
	SCALED_NO_UNIT,
	SCALED_TOO_FINE, /* not a whole number of nanoseconds, or of bytes */
	SCALED_TOO_BIG,
};

/* Parses "1.5s": a decimal number, directly followed by its unit. */
static enum scaled parse_scaled(const char *text, const struct unit *units, int64_t *ret)
{
	int64_t value = 0, denominator = 1;
	const char *p = digits(text, &value);

	if (!p)
		return SCALED_TOO_BIG;
	if (p == text)
		return SCALED_NO_NUMBER;
	if (*p == '.') {
		const char *fraction = p + 1;
		p = digits(fraction, &value);
		if (!p || p - fraction > 9)
			return SCALED_TOO_FINE;
		if (p == fraction)
			return SCALED_NO_NUMBER;
		for (; fraction < p; fraction++)
			denominator *= 10;
	}
	const struct unit *unit = find_unit(units, p);
	if (!unit)
		return SCALED_NO_UNIT;
	if (__builtin_mul_overflow(value, unit->factor, &value))
		return SCALED_TOO_BIG;
	if (value % denominator != 0)
		return SCALED_TOO_FINE;
	*ret = value / denominator;
	return SCALED_OK;
}

const char *config_format_duration(int64_t ns, char *out, size_t size)
{
	const struct unit *unit = duration_units;
	const char *sign = ns < 0 ? "-" : "";
	uint64_t value = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	int decimals = 0;

	for (const struct unit *u = duration_units; u->name; u++)
		if (value >= (uint64_t)u->factor && (u->decimal || value % u->factor == 0))
			unit = u;
	uint64_t factor = (uint64_t)unit->factor, fraction = value % factor;
	if (fraction == 0) {
		snprintf(out, size, "%s%" PRIu64 "%s", sign, value / factor, unit->name);
		return out;
	}
	for (uint64_t f = factor; f > 1; f /= 10)
		decimals++;
	while (fraction % 10 == 0) {
		fraction /= 10;
		decimals--;
	}
	snprintf(out, size, "%s%" PRIu64 ".%0*" PRIu64 "%s", sign, value / factor, decimals,
		 fraction, unit->name);
	return out;
}

static const char *format_size(uint64_t bytes, char *out, size_t size)
{
	const struct unit *unit = size_units;

	for (const struct unit *u = size_units; u->name; u++)
		if (bytes > 0 && bytes % (uint64_t)u->factor == 0)
			unit = u;
	snprintf(out, size, "%" PRIu64 "%s", bytes / (uint64_t)unit->factor, unit->name);
	return out;
}

static int invalid(char *why, const char *text, const char *expected)
{
	char quoted[CONFIG_QUOTE_STRLEN];

	snprintf(why, CONFIG_WHY_STRLEN, "%s, not '%s'", expected, config_quote(text, quoted));
	return CONFIG_INVALID;
}

static int out_of_range(const struct config_key *key, const char *text, char *why)
{
	char low[32], high[32], expected[96];

	if (key->type == CONFIG_DURATION) {
		config_format_duration(key->min, low, sizeof low);
		config_format_duration(key->max, high, sizeof high);
	} else if (key->type == CONFIG_SIZE) {
		format_size((uint64_t)key->min, low, sizeof low);
		format_size((uint64_t)key->max, high, sizeof high);
	} else {
		snprintf(low, sizeof low, "%" PRId64, key->min);
		snprintf(high, sizeof high, "%" PRId64, key->max);
	}
	snprintf(expected, sizeof expected, "must be between %s and %s", low, high);
	return invalid(why, text, expected);
}

static int parse_number(const struct config_key *key, const char *text, int64_t *ret, char *why)
{
	int64_t value = 0;
	enum scaled r = SCALED_OK;
	const char *example = "must be a whole number";

	if (key->type == CONFIG_DURATION) {
		r = parse_scaled(text, duration_units, &value);
		example = "must be a duration with a unit (us, ms, s, m, h), such as 300ms";
	} else if (key->type == CONFIG_SIZE) {
		r = parse_scaled(text, size_units, &value);
		example = "must be a size with a unit (B, KiB, MiB, GiB), such as 64MiB";
	} else {
		const char *end = digits(text, &value);
		if (!end)
			r = SCALED_TOO_BIG;
		else if (end == text || *end)
			r = SCALED_NO_NUMBER;
	}
	if (r == SCALED_TOO_FINE)
		return invalid(why, text, "is finer than its smallest unit");
	if (r == SCALED_TOO_BIG)
		return out_of_range(key, text, why);
	if (r != SCALED_OK)
		return invalid(why, text, example);
	if (value < key->min || value > key->max)
		return out_of_range(key, text, why);
	*ret = value;
	return 0;
}

/* Returns what is behind a name. */
static const char *skip_name(const char *text)
{
	return text +
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
}

static bool is_name(const char *text)
{
	return *skip_name(text) == 0;
}

static bool is_protocol(const char *text)
{
	const char *end = skip_name(text);

	return *end == 0 || (*end == ':' && end > text && end[1] && is_name(end + 1));
}

/* As a certificate may name it: letters of ASCII, digits, and what is between them. */
static bool is_host(const char *text)
{
	return text[0] != '.' && text[0] != '-' && !strstr(text, "..") &&
	       text[strspn(text,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-")] ==
		       0;
}

/* Whether dev_valid_name() of the kernel accepts @text. */
static bool is_interface(const char *text)
{
	return strcmp(text, ".") != 0 && strcmp(text, "..") != 0 && !strpbrk(text, "/: \t\r\n\v\f");
}

/* The name of a credential is that of a file (systemd.exec(5)). */
static bool is_where(const struct config_key *key, const char *text)
{
	static const char credential[] = "credential:", token[] = "pkcs11:";

	if (strncmp(text, credential, strlen(credential)) == 0) {
		const char *name = text + strlen(credential);
		return *name && *name != '.' && !strchr(name, '/');
	}
	if (key->min && strncmp(text, token, strlen(token)) == 0)
		return text[strlen(token)] != 0;
	return text[0] == '/';
}

static int parse_text(const struct config_key *key, const char *text, char **field, char *why)
{
	char expected[64];

	if (strlen(text) > (size_t)key->max) {
		snprintf(expected, sizeof expected, "must have at most %" PRId64 " bytes",
			 key->max);
		return invalid(why, text, expected);
	}
	if (key->type == CONFIG_WHERE && !is_where(key, text))
		return invalid(why, text,
			       key->min ? "must be an absolute path, credential:NAME or pkcs11:URI"
					: "must be an absolute path or credential:NAME");
	if (key->type == CONFIG_PATH && text[0] != '/')
		return invalid(why, text, "must be an absolute path");
	if (key->type == CONFIG_NAME && !is_name(text))
		return invalid(why, text, "may hold letters, digits, '_' and '-'");
	if (key->type == CONFIG_HOST && !is_host(text))
		return invalid(why, text, "must be a host name or an address");
	if (key->type == CONFIG_PROTOCOL && !is_protocol(text))
		return invalid(why, text, "must be a name, or two with a colon: tls:replay");
	if (key->type == CONFIG_INTERFACE && !is_interface(text))
		return invalid(why, text, "must be the name of an interface");
	char *copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static bool is_unicast(const struct netaddr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff}, zero[16];

	if (memcmp(a->b, zero, sizeof zero) == 0)
		return false;
	if (a->family == NETADDR_V4)
		return a->b[0] != 0 && a->b[0] < 224;
	return a->b[0] != 0xff && memcmp(a->b, mapped, sizeof mapped) != 0;
}

static int parse_choice(const struct config_key *key, const char *text, unsigned *field, char *why)
{
	char expected[96] = "must be";

	for (unsigned i = 0; key->choices[i]; i++) {
		if (strcmp(key->choices[i], text) == 0) {
			*field = i;
			return 0;
		}
		size_t n = strlen(expected);
		snprintf(expected + n, sizeof expected - n, "%s '%s'",
			 i == 0                ? ""
			 : key->choices[i + 1] ? ","
					       : " or",
			 key->choices[i]);
	}
	return invalid(why, text, expected);
}

static int parse_address(const char *text, struct netaddr *field, char *why)
{
	struct netaddr a;

	if (netaddr_parse(text, &a) < 0)
		return invalid(why, text, "must be an IPv4 or IPv6 address");
	if (!is_unicast(&a))
		return invalid(why, text, "must be the address of one host");
	*field = a;
	return 0;
}

static int parse_listen(const char *text, struct endpoint *field, char *why)
{
	struct endpoint e = {0};

	if (strcmp(text, "off") != 0 && endpoint_parse(text, false, &e) < 0)
		return invalid(why, text, "must be ADDRESS:PORT, [ADDRESS]:PORT or 'off'");
	*field = e;
	return 0;
}

static int parse_endpoint(const char *text, struct endpoint *field, char *why)
{
	struct endpoint e;

	if (endpoint_parse(text, false, &e) < 0 || !is_unicast(&e.addr) || e.port == 0)
		return invalid(why, text, "must be ADDRESS:PORT or [ADDRESS]:PORT");
	*field = e;
	return 0;
}

int config_value_parse(const struct config_key *key, const char *text, void *field,
		       char why[static CONFIG_WHY_STRLEN])
{
	int64_t number = 0;
	int r;

	if (!*text) {
		strcpy(why, "needs a value");
		return CONFIG_INVALID;
	}
	switch (key->type) {
	case CONFIG_PATH:
	case CONFIG_STRING:
	case CONFIG_NAME:
	case CONFIG_HOST:
	case CONFIG_PROTOCOL:
	case CONFIG_INTERFACE:
	case CONFIG_WHERE:
		return parse_text(key, text, field, why);
	case CONFIG_ADDRESS:
		return parse_address(text, field, why);
	case CONFIG_LISTEN:
		return parse_listen(text, field, why);
	case CONFIG_ENDPOINT:
		return parse_endpoint(text, field, why);
	case CONFIG_CHOICE:
		return parse_choice(key, text, field, why);
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_COUNT:
	case CONFIG_PORT:
		r = parse_number(key, text, &number, why);
		if (r != 0)
			return r;
		if (key->type == CONFIG_COUNT)
			*(uint32_t *)field = (uint32_t)number;
		else if (key->type == CONFIG_PORT)
			*(uint16_t *)field = (uint16_t)number;
		else
			*(int64_t *)field = number; /* the table keeps sizes below 2^63 */
		return 0;
	case CONFIG_GROUP:
		break;
	}
	return -EINVAL;
}

static bool needs_quotes(const char *text)
{
	return text[strspn(text,
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-")] ||
	       strchr("-.", text[0]);
}

/* The code point at *io_text. libyaml has checked that the text is valid UTF-8. */
static uint32_t next_character(const uint8_t **io_text)
{
	const uint8_t *p = *io_text;
	uint32_t c = *p++;

	if (c >= 0xc0)
		c &= c >= 0xf0 ? 0x07 : c >= 0xe0 ? 0x0f : 0x1f;
	while ((*p & 0xc0) == 0x80)
		c = c << 6 | (*p++ & 0x3f);
	*io_text = p;
	return c;
}

static void print_text(const char *text, FILE *out)
{
	const uint8_t *p = (const uint8_t *)text;

	if (!needs_quotes(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	while (*p) {
		uint32_t c = next_character(&p);
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c >= ' ' && c < 0x7f)
			fputc((int)c, out);
		else
			fprintf(out, "\\U%08x", c);
	}
	fputc('"', out);
}

static void print_endpoint(const struct endpoint *e, FILE *out)
{
	char text[ENDPOINT_STRLEN];

	print_text(e->addr.family == NETADDR_NONE ? "off" : endpoint_format(e, text), out);
}

void config_value_print(const struct config_key *key, const void *field, FILE *out)
{
	char text[NETADDR_STRLEN];

	switch (key->type) {
	case CONFIG_PATH:
	case CONFIG_STRING:
	case CONFIG_NAME:
	case CONFIG_HOST:
	case CONFIG_PROTOCOL:
	case CONFIG_INTERFACE:
	case CONFIG_WHERE:
		print_text(*(char *const *)field, out);
		return;
	case CONFIG_ADDRESS:
		print_text(netaddr_format(field, text), out);
		return;
	case CONFIG_LISTEN:
	case CONFIG_ENDPOINT:
		print_endpoint(field, out);
		return;
	case CONFIG_CHOICE:
		fputs(key->choices[*(const unsigned *)field], out);
		return;
	case CONFIG_DURATION:
		fputs(config_format_duration(*(const int64_t *)field, text, sizeof text), out);
		return;
	case CONFIG_SIZE:
		fputs(format_size(*(const uint64_t *)field, text, sizeof text), out);
		return;
	case CONFIG_COUNT:
		fprintf(out, "%" PRIu32, *(const uint32_t *)field);
		return;
	case CONFIG_PORT:
		fprintf(out, "%" PRIu16, *(const uint16_t *)field);
		return;
	case CONFIG_GROUP:
		return;
	}
}
