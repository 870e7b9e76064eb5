#!/usr/bin/env bash
# As test-ftps.sh, with a proftpd that dies and a vsftpd as the backup.
ftp_old=proftpd ftp_new=vsftpd
. "$(dirname "$0")/test-ftps.sh"
