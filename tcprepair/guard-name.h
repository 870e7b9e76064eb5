/* SPDX-License-Identifier: GPL-3.0-or-later */
/* guard-name: the prefix of every guard's table. */
#ifndef TCPREPAIR_GUARD_NAME_H
#define TCPREPAIR_GUARD_NAME_H

#define GUARD_TABLE_PREFIX "jeebs-"

#endif
