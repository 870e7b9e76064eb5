#!/usr/bin/env bash
# FTP servers that share their storage: uploads of which the box keeps only the newest part go on behind what the
# backup finds there. Where the file is not what the client sent, the client is told that it failed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ftp.sh"

lab_init
ftp_need
lab_services=('{port: 21, protocol: ftp, login: replay, retain: 128KiB}')
lab_prove=every:40
lab_up
in_ns server sysctl -qw net.ipv4.tcp_rmem='4096 32768 65536'
ftp_files 100k.bin 600k.bin
start_ftp vsftpd server
ln -s ftp-server "$lab_dir/ftp-backup"
ftp_tree() { :; }
start_ftp proftpd backup
appliance_start --debug

user=$(printf %s "jeeb:$ftp_password")
ftp_put put "$lab_dir/www/600k.bin" incoming/put.bin --limit-rate 250k -u "$user"
ftp_put active "$lab_dir/www/600k.bin" incoming/active.bin --limit-rate 250k -P -
ftp_put changed "$lab_dir/www/600k.bin" incoming/changed.bin --limit-rate 250k -u "$user"
for c in put active changed; do
	wait_for 10 "the uploads to be in the middle" ftp_uploaded "$c" 330000
done
pull_cable server
# Somebody else writes this one, in the part that is compared.
printf 'X' | dd of="$lab_dir/ftp-server/incoming/changed.bin" bs=1 seek=$(($(stat -c %s "$lab_dir/ftp-server/incoming/changed.bin") - 9)) conv=notrunc status=none
wait_for 10 "the takeover" taken_over
get_wait 20 put active changed
for c in put active; do
	[[ $(get_exit "$c") == 0 ]] || fail "$c: exit $(get_exit "$c"): $(get_error "$c")"
	cmp -s "$lab_dir/ftp-server/incoming/$c.bin" "$lab_dir/www/600k.bin" || fail "$c: another file"
done
[[ $(get_exit changed) != 0 ]] || fail "an upload went on behind other bytes"
ftp_continued append 3
in_matrix ftp vsftpd "proftpd, shared storage" curl upload "continued append"
pass "2 uploads went on behind what the backup had, one was told that it failed"
