/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A connection cannot be restored twice: the second connect() says EADDRNOTAVAIL, and the first
 * lives on. */
#include <errno.h>
#include <string.h>

#include "fact.h"

int main(void)
{
	struct fact f;
	struct fact_state s;

	fact_begin(&f, "same-tuple-twice");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){0});
	int first = f.box, r = fact_restore(&f, &s, &(struct fact_restore){0});
	fact_say(first, 0, 100);
	size_t got = fact_hear(f.client, 0, 100, 3000);
	fact_end(&f, r == -EADDRNOTAVAIL && got == 100,
		 "the second restore ends with \"%s\", the first %s",
		 r < 0 ? strerror(-r) : "success", got == 100 ? "lives on" : "is dead");
}
