/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keytapd: the loop of jeebs-keytapd: one thread between taps, vaults and signals, which waits for
 * none of them.
 */
#ifndef KEYVAULT_KEYTAPD_H
#define KEYVAULT_KEYTAPD_H

#include <sys/types.h>

#include "base/netaddr.h"
#include "collector.h"

struct keytapd_config {
	const char *dir;    /* origins/NAME */
	const char *socket; /* where taps connect */
	mode_t socket_mode;
	const char *metrics_file; /* or NULL */
	struct endpoint metrics;  /* port 0: none */
	struct endpoint vault[COLLECTOR_VAULTS_MAX];
	struct collector_config collector; /* with the number of vaults */
};

/*
 * Serves until SIGTERM or SIGINT; what is in the queue then has KEYTAPD_FLUSH_NS to be stored.
 * SIGHUP: reads the files of @dir again. SIGUSR1: says how it is. 0, or a negative errno, with what
 * was wrong in @error.
 */
#define KEYTAPD_FLUSH_NS INT64_C(1000000000)
int keytapd_run(const struct keytapd_config *config, char *error, size_t error_size);

#endif
