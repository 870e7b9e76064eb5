/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-fuzz: the fuzzer of every oracle. A fuzzer is this driver and a file that says which
 * oracle it is for:
 *
 *	const struct oracle_fuzz oracle_fuzz = {.oracle = &http_oracle};
 *
 * Its input is a conversation from hostile bytes (conversation.h), which the oracle learns, and a
 * question: what the client said again, or what the records 'Q' say. Demanded: the answer does not
 * depend on how the question is chunked, and the same question again gets a beginning of what the
 * server sent then. An oracle that says it in other bytes (judge) must be able to read its own
 * answer.
 *
 * Where there are several connections the records 'Q' are asked one after the other, each of its
 * connection; a data connection's first one names the port. Only what the contract says is
 * demanded: questions of several connections have an order.
 */
#ifndef HARNESS_TEST_ORACLE_FUZZ_H
#define HARNESS_TEST_ORACLE_FUZZ_H

#include <stdbool.h>

#include "jeebs/recovery-oracle.h"

struct oracle_fuzz {
	const struct jeebs_oracle *oracle; /* with `related`, if there are several connections */
	bool by_heart; /* it always answers in the server's words, in their order */
	/* A gap of unknown length counts: the server may not be quoted after it. */
	bool unknown_gap;
};

/* Defined by the fuzzer. */
extern const struct oracle_fuzz oracle_fuzz;

#endif
