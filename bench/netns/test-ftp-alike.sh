#!/usr/bin/env bash
# FTP, as test-ftp.sh, from a vsftpd to another one: a listing goes on, too.
ftp_old=vsftpd ftp_new=vsftpd
. "$(dirname "$0")/test-ftp.sh"
