/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sysctl: the sysctl files of this network namespace. Private to tcprepair. */
#ifndef TCPREPAIR_SYSCTL_H
#define TCPREPAIR_SYSCTL_H

#include <stdbool.h>

#define SYSCTL_NET "/proc/sys/net/"

/* Reads whether the file's first digit is not 0. Returns 0 or a negative errno. */
int sysctl_read(const char *path, bool *ret);
int sysctl_write(const char *path, bool on);

#endif
