/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-cut: kills the server of one connection at one packet, and proves what follows.
 *
 * The connection is copied (watch_clone()), so it lives on, and the copy is taken over as a
 * live one would be (takeover_extract()): settled, planned, its logs and its module's state
 * taken out. Then everything the box would send is compared with what the real server went
 * on to send: what is in flight from the log, and behind it what the module makes of the
 * answers of an oracle (recovery-oracle.h; drill-resume.h). A connection that expects others is cut
 * together with them.
 */
#ifndef APPLIANCE_DRILL_CUT_H
#define APPLIANCE_DRILL_CUT_H

#include "drill-finding.h"
#include "keyvault/crypto/session-crypto.h"
#include "watch/plan.h"

struct drill_bench {
	struct watch *scratch;             /* watches the same services, and is otherwise empty */
	const struct jeebs_oracle *oracle; /* of the connection's module; NULL: there is none */
	size_t horizon;                    /* how many bytes behind the cut are compared */
	const struct drill_truth *truths;  /* of the whole capture; NULL: single connections only */
	/* For TLS whose server had not spoken: one that answers as it did. NULL: there is none. */
	const struct jeebs_oracle *anew;
	/* NULL: there are none. With them and truth->inside, `oracle` is that of what is inside. */
	const struct session_secrets *secrets;
};

/* Whether another module is inside that of @jf, which may not have been shown a byte yet. */
static inline bool drill_is_layered(const struct jeebs_flow *jf)
{
	return watch_module_service(jf)->inner || jf->service->options.inner;
}

/*
 * Cuts after frame @packet. @truth is the connection's, and @jf must be live. Returns 0 or -ENOMEM.
 */
int drill_cut(const struct drill_bench *b, struct jeebs_flow *jf, struct drill_flow *truth,
	      uint64_t packet, struct drill_finding *ret);

#endif
