/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * detect: `protocol: auto`. The first bytes of both sides decide which module is used.
 *
 * It is a module itself, the first one of such a connection. It keeps the first bytes, asks each
 * candidate's `detect`, and hands the whole conversation over to the one chosen. If several say yes
 * at once, the first by name is taken. The connection is refused as protocol-unknown when all say
 * no, when one side has sent DETECT_MAX_BYTES without a decision, when bytes are missing, or when
 * the handshake was not seen; it is also refused as long as there is no decision. A connection on
 * which nobody has spoken continues, because no protocol must be known for that.
 */
#ifndef APPLIANCE_DETECT_H
#define APPLIANCE_DETECT_H

#include "base/bytes.h"
#include "jeebs/recovery-module.h"

#define DETECT_PROTOCOL  "auto"
#define DETECT_MAX_BYTES 8192u /* for each side */

enum detect_outcome {
	DETECT_WAIT,   /* more bytes are needed */
	DETECT_CHOSEN, /* *ret is the module */
	DETECT_NOBODY,
};

/* Pure. @said is by direction, from the first byte on. */
enum detect_outcome detect_choose(const struct jeebs_module *const *candidates, uint32_t n,
				  const struct bytes said[static 2],
				  const struct jeebs_module **ret);

extern const struct jeebs_module detect_module;

#endif
