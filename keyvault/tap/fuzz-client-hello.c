/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a server reads: a random that is found is in the bytes. */
#include "base/demand.h"
#include "client-hello.h"

const char *const fuzz_outcomes[] = {"seen", "not seen", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_hello h = {0};

	client_hello_see(&h, 5, bytes_of(data, size));
	reached(h.seen ? "seen" : "not seen");
	demand(h.seen == (client_hello_fd(&h, h.random) == 5));
	demand(!h.seen || memmem(data, size, h.random, TLS_RANDOM_BYTES));
	return 0;
}
