/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A conversation in HTTP/2 from hostile bytes, and questions: oracle-fuzz.h. */
#include "recovery-modules/harness/test/oracle-fuzz.h"
#include "h2-oracle.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"answered", "gap", "unknown", "another question answered",
				     NULL};

const struct oracle_fuzz oracle_fuzz = {.oracle = &h2_oracle};
