#!/usr/bin/env bash
# FTP behind TLS with servers of one kind, that want each data connection to resume the session of its control connection: what the box
# asks for itself does, so that a download goes on; new transfers of the client, whose session is the old server's, the backup refuses in its own
# words. (test-ftps-reuse-proftpd.sh: the same with proftpd.)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
. "$(dirname "$0")/ftp.sh"

lab_init
ftp_need
lab_up
https_up
ca=$lab_dir/both.crt
ftp_small_buffers
ftp_files 1k.bin 100k.bin 600k.bin 3m.bin
ftp_reuse=YES
ftp_cert=$lab_dir/tls.pem ftp_env=("${tapped[@]}")
start_ftp "${ftp_make:=vsftpd}" server
ftp_cert=$lab_dir/backup.pem ftp_env=()
start_ftp "$ftp_make" backup
lab_services=("{port: 21, protocol: ftp, login: replay, keys: live, backup_tls: {ca: $lab_dir/backup.crt}}")
appliance_start --debug
wait_for 5 "the vault to be known" box_status "vault $vault_at: up.*"
user="jeeb:$ftp_password"
ftp_client lftp lftp -e "debug -o $lab_dir/get/lftp.debug 9; set ftp:ssl-force yes; set ssl:ca-file $ca; set net:max-retries 1; open -u jeeb,'$ftp_password' 10.9.0.1; cd pub; cls -1"
wait_for 10 "lftp" ftp_said lftp 600k.bin
get_rate=800000
get_with lftp-get lftp -c "set ftp:ssl-force yes; set ssl:ca-file $ca; set net:max-retries 1; open -u jeeb,'$ftp_password' 10.9.0.1; cat pub/3m.bin"
get_rate=
wait_for 10 "the download to be in the middle" get_reached lftp-get 500000
https_have_keys 21
pull_cable server
wait_for 10 "the takeover" taken_over
ftp_tell lftp "get 100k.bin -o $lab_dir/get/lftp.bin"
ftp_tell lftp bye
get_wait 30 lftp-get lftp
get_check lftp-get 3m.bin
[[ $(get_exit lftp) != 0 ]] || fail "lftp has got it"
# vsftpd ends the session behind its 522, without close_notify: the client's is reset, and when that overtakes the reply lftp logs in anew.
grep -q '<--- \(522 SSL connection failed: session reuse required\|425 Unable to build data connection: Operation not permitted\|425 Security: Bad IP connecting\)' "$lab_dir/get/lftp.debug" ||
	fail "lftp was told: $(grep -- '<---' "$lab_dir/get/lftp.debug" | tail -n3 | paste -sd'|')"
pass "$ftp_make: a download went on, and a new one was refused by the backup"
