#!/usr/bin/env bash
# An FTP upload of 24 MiB, cut in the middle: what the old server had acknowledged on the data connection is in the
# store, and the backup gets every byte.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ftp.sh"
: "${JEEBS_MIB:=24}"
lab_record() { :; }
lab_capture='spill: 1MiB'
lab_services=('{port: 21, protocol: ftp, login: replay, retain: 64MiB}')
spilled() { (($(metric_sum jeebs_store_spilled_bytes) >= JEEBS_MIB * 1048576 / 3)); }
none_spilled() { (($(metric_sum jeebs_store_spilled_bytes) == 0)); }

lab_init
ftp_need
lab_up
ftp_files 1k.bin
head -c $((JEEBS_MIB * 1048576)) /dev/urandom >"$lab_dir/upload"
start_ftp vsftpd server
start_ftp vsftpd backup
appliance_start --debug
ftp_put put "$lab_dir/upload" incoming/put.bin --limit-rate 10M -u "$(printf %s "jeeb:$ftp_password")"
wait_for 10 "a third of the upload in the store" spilled
pull_cable server
get_wait 30 put
all_continued
[[ $(get_exit put) == 0 ]] || fail "curl: exit $(get_exit put): $(get_error put)"
cmp -s "$lab_dir/ftp-backup/incoming/put.bin" "$lab_dir/upload" || fail "the backup's file is not what was sent"
wait_for 5 "the store to be rid of it" none_spilled
pass "$JEEBS_MIB MiB by FTP, a third from the store: the same on the backup"
