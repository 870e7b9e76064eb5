/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control and data connections from hostile bytes, and questions on each: oracle-fuzz.h. */
#include "recovery-modules/harness/test/oracle-fuzz.h"
#include "ftp-oracle.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"answered", "data answered", "unknown", NULL};

const struct oracle_fuzz oracle_fuzz = {.oracle = &ftp_oracle};
