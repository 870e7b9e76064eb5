/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * detect: `protocol: auto`. Which module is it for, say the first bytes of both sides.
 *
 * It is a module itself, and the first one of such a connection: it keeps the first bytes, asks
 * each candidate's `detect`, and hands the whole conversation over to the one chosen. Of
 * several that say yes at once the first by name is taken. When all say no, when one side has
 * said DETECT_MAX_BYTES and nobody is sure, when bytes are missing or the connection is older than
 * the box, it is refused: protocol-unknown. So it is while they are not sure yet; but a connection
 * on which nobody has spoken continues, for there is nothing to know.
 */
#ifndef APPLIANCE_DETECT_H
#define APPLIANCE_DETECT_H

#include "base/bytes.h"
#include "jeebs/recovery-module.h"

#define DETECT_PROTOCOL  "auto"
#define DETECT_MAX_BYTES 8192u /* of each side */

enum detect_outcome {
	DETECT_WAIT,   /* more bytes may tell */
	DETECT_CHOSEN, /* *ret */
	DETECT_NOBODY,
};

/* Pure. @said: by direction, from the first byte on. */
enum detect_outcome detect_choose(const struct jeebs_module *const *candidates, uint32_t n,
				  const struct bytes said[static 2],
				  const struct jeebs_module **ret);

extern const struct jeebs_module detect_module;

#endif
