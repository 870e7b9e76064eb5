/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A frame from the link; what is understood must name somebody. */
#include <stdlib.h>

#include "neighbour.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link_answer a = {0};

	if (neighbour_parse(bytes_of(data, size), &a) && a.addr.family == NETADDR_NONE)
		abort();
	return 0;
}
