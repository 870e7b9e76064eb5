/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * replay-oracle: the backup made from any captured conversation.
 *
 * It wants to hear exactly what the client said, and says exactly what the server said, as much of
 * it as the server had said when the client had said so much. Anything else, and what lies behind a
 * gap of the capture, is JEEBS_ORACLE_UNKNOWN. It ends when the server did; where the client
 * finished too, not before the box has.
 */
#ifndef REPLAY_REPLAY_ORACLE_H
#define REPLAY_REPLAY_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle replay_oracle;

#endif
