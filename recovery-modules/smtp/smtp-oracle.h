/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * smtp-oracle: a mail server made from a captured session, for the every-cut drill.
 *
 * It knows what the client said, unit by unit (a command line, a message with its dot, a BDAT
 * line with its chunk, a line of a login), and the reply to each. Who connects is greeted as
 * the client was; whoever says a unit again, byte for byte, gets its reply. It begins with
 * the transaction that was open at the cut. Anything else it cannot tell.
 */
#ifndef SMTP_SMTP_ORACLE_H
#define SMTP_SMTP_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle smtp_oracle;

#endif
