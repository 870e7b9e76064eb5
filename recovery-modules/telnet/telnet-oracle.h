/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-oracle: a backup made from a captured Telnet conversation, for the drill. It shares
 * nothing with the module.
 *
 * The conversation is read as a list of what was said, in order: an option, a sub-negotiation,
 * text. The backup says what the server said as soon as it has heard all that the client had said
 * before: options and sub-negotiations in any order, text in that order. A window size may be
 * another one, for it may have changed meanwhile. Whatever else it hears the capture does not tell
 * the answer to.
 */
#ifndef TELNET_ORACLE_H
#define TELNET_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle telnet_oracle;

#endif
