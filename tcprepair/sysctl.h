/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sysctl: the kernel's switches of this network namespace. Private to tcprepair. */
#ifndef TCPREPAIR_SYSCTL_H
#define TCPREPAIR_SYSCTL_H

#include <stdbool.h>

#define SYSCTL_NET "/proc/sys/net/"

/* Whether the first digit of the file is another than 0. 0 or negative errno. */
int sysctl_read(const char *path, bool *ret);
int sysctl_write(const char *path, bool on);

#endif
