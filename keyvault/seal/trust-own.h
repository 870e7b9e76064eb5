/* SPDX-License-Identifier: GPL-3.0-or-later */
/* trust-own: what trust-sys.c, which reads files and the clock, needs of trust.c. */
#ifndef SEAL_TRUST_OWN_H
#define SEAL_TRUST_OWN_H

#include "trust.h"

/* The path of the list, for trust_reload(). */
int trust_watch_crl(struct trust *t, const char *path);
const char *trust_crl_path(const struct trust *t);
/* -EINVAL: not the CA's; -ESTALE: older than the one known. */
int trust_replace_crl(struct trust *t, X509_CRL *crl);

#endif
