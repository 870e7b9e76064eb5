/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * replay-oracle: the backup made from any captured conversation.
 *
 * It expects exactly the client's bytes. It answers with the server's bytes, as far as the server
 * had come when the client had come equally far. Anything else, and what comes after a gap of the
 * capture, is JEEBS_ORACLE_UNKNOWN. It finishes when the server did; if the client had finished
 * too, it waits for the box to finish first.
 */
#ifndef REPLAY_REPLAY_ORACLE_H
#define REPLAY_REPLAY_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle replay_oracle;

#endif
