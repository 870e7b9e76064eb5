/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * follow: the keys of a connection that is followed with them while its server lives. They come
 * some time after its handshake: whoever has them is asked again and again, not at each packet.
 */
#ifndef APPLIANCE_FOLLOW_H
#define APPLIANCE_FOLLOW_H

#include "watch.h"

#define FOLLOW_AGAIN_NS (2 * NS_PER_MS)
/* As long as it takes to be judged a session without keys (keys-sessions.h). */
#define FOLLOW_AWAIT_NS (2 * NS_PER_S)

/* jeebs_live_ops.keys() */
int follow_keys(struct jeebs_flow *jf, struct jeebs_keys **ret_keys,
		const struct jeebs_crypto_ops **ret_crypto);
/* They are given back. There may be none. */
void follow_end(struct jeebs_flow *jf);

#endif
