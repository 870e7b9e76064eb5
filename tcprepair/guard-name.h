/* SPDX-License-Identifier: GPL-3.0-or-later */
/* guard-name: what the tables of all guards begin with. */
#ifndef TCPREPAIR_GUARD_NAME_H
#define TCPREPAIR_GUARD_NAME_H

#define GUARD_TABLE_PREFIX "jeebs-"

#endif
