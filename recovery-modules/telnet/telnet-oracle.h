/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-oracle: a backup made from a captured Telnet conversation, for the drill. It shares no
 * code with the module.
 *
 * The conversation is read as a list of items in order: an option, a sub-negotiation, text. The
 * backup says an item of the server when it has heard all that the client had said before. Options
 * and sub-negotiations may come in any order, text only in its order. A window size may have
 * another value, because it may have changed. The capture has no answer to anything else.
 */
#ifndef TELNET_ORACLE_H
#define TELNET_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle telnet_oracle;

#endif
