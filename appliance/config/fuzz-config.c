/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any text is parsed or rejected with a message; what was parsed survives being
 * dumped and parsed again unchanged.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "config.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"taken", "refused", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *parse(struct bytes text, bool must_work)
{
	_cleanup_free_ char *errors = NULL;
	size_t n = 0;
	struct config *c = NULL;
	FILE *out = open_memstream(&errors, &n);

	if (!out)
		abort();
	int r = config_parse(text, "fuzz.yaml", out, &c);
	fclose(out);
	if (r < 0 || (r == CONFIG_INVALID) != (n > 0) || (must_work && r != CONFIG_OK)) {
		fprintf(stderr, "parsed to %d: %.*s\n%s", r, (int)text.n, (const char *)text.p,
			errors);
		abort();
	}
	return c;
}

static char *dump(const struct config *c)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		abort();
	config_dump(c, out);
	fclose(out);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = parse(bytes_of(data, size), false);

	reached(c ? "taken" : "refused");
	if (!c)
		return 0;
	_cleanup_free_ char *once = dump(c);
	config_free(c);
	c = parse(bytes_str(once), true);
	_cleanup_free_ char *twice = dump(c);
	config_free(c);
	if (strcmp(once, twice) != 0) {
		fprintf(stderr, "not stable:\n%s---\n%s", once, twice);
		abort();
	}
	return 0;
}
