/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A conversation in Telnet from hostile bytes, and questions: oracle-fuzz.h. */
#include "recovery-modules/harness/test/oracle-fuzz.h"
#include "telnet-oracle.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"answered",
				     "another question answered",
				     "all said again",
				     "gap",
				     "answered behind a cut",
				     "closed",
				     "unknown",
				     NULL};

const struct oracle_fuzz oracle_fuzz = {.oracle = &telnet_oracle};
