/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * smtp-oracle: a mail server made from a captured session, for the every-cut drill.
 *
 * It knows the client's units and the reply to each. A unit is a command line, a message with its
 * dot, a BDAT line with its chunk, or a line of a login. A connection is greeted as the client was.
 * A unit that comes again, byte for byte, gets the same reply. The oracle begins with the
 * transaction that was open at the cut. It does not know any other answer.
 */
#ifndef SMTP_SMTP_ORACLE_H
#define SMTP_SMTP_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle smtp_oracle;

#endif
