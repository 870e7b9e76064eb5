/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A conversation in HTTP from hostile bytes, and questions: oracle-fuzz.h. */
#include "recovery-modules/harness/test/oracle-fuzz.h"
#include "http-oracle.h"

const struct oracle_fuzz oracle_fuzz = {.oracle = &http_oracle};
