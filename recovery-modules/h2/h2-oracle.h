/* SPDX-License-Identifier: GPL-3.0-or-later */
/* h2-oracle: a backup made from a captured conversation in HTTP/2, see recovery-oracle.h. */
#ifndef H2_H2_ORACLE_H
#define H2_H2_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle h2_oracle;

#endif
