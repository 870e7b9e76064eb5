#!/usr/bin/env bash
# FTP, as test-ftp.sh, from a proftpd to a vsftpd.
ftp_old=proftpd ftp_new=vsftpd
. "$(dirname "$0")/test-ftp.sh"
