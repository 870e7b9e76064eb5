/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ftp-oracle: an FTP server with the content of one recorded conversation. */
#ifndef FTP_FTP_ORACLE_H
#define FTP_FTP_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle ftp_oracle;

#endif
