/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A conversation in Telnet from hostile bytes, and questions: oracle-fuzz.h. */
#include "recovery-modules/harness/test/oracle-fuzz.h"
#include "telnet-oracle.h"

const struct oracle_fuzz oracle_fuzz = {.oracle = &telnet_oracle};
