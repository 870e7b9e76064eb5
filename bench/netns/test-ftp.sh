#!/usr/bin/env bash
# FTP: a vsftpd dies with clients in every phase, and a proftpd is the backup. Active and passive,
# both families, uploads and listings, sessions that are idle or in the middle of the login.
# (test-ftp-proftpd.sh: the other way round; test-ftp-alike.sh: the backup is of the same kind.)
: "${ftp_old:=vsftpd}" "${ftp_new:=proftpd}"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ftp.sh"

lab_init
ftp_need
need python3
lab_services=('{port: 21, protocol: ftp, login: replay}')
lab_prove=${ftp_prove:-every:40}
lab_up
ftp_small_buffers
ftp_files 1k.bin 100k.bin 600k.bin 3m.bin
mkdir "$lab_dir/names"
(cd "$lab_dir/names" && seq -f 'a-file-with-a-rather-long-name-%05.0f' 10000 | xargs touch -d '2026-01-01 00:00:00 UTC')
start_ftp "$ftp_old" server
start_ftp "$ftp_new" backup
for tree in server backup; do
	cp -rpl "$lab_dir/names" "$lab_dir/ftp-$tree/"
done
appliance_start --debug

user=$(printf %s "jeeb:$ftp_password")
# Those that wait come first, so that nothing else is over by the time of the cut.
ftp_client lftp lftp -e "set ftp:ssl-allow no; set net:max-retries 1; open -u jeeb,'$ftp_password' 10.9.0.1; cd pub; cls -1"
ftp_client tnftp tnftp -n -v -A 10.9.0.1
ftp_tell tnftp "user jeeb \"$ftp_password\""
ftp_tell tnftp binary
ftp_tell tnftp "cd pub"
ftp_client login python3 "$lab_root/bench/netns/ftp-login.py" 10.9.0.1 jeeb "$ftp_password" pub/100k.bin "$lab_dir/get/login.bin"
wait_for 10 "lftp" ftp_said lftp 600k.bin
wait_for 10 "tnftp" ftp_said tnftp "irectory successfully changed\|CWD command successful"
wait_for 10 "the login" ftp_said login password

get_rate=1500000
downloads=(curl active six active6 wget)
get curl -u "$user" ftp://10.9.0.1/pub/3m.bin
get active -P - ftp://10.9.0.1/pub/3m.bin
get six -g 'ftp://[fd09::1]/pub/3m.bin'
get active6 -g -P - 'ftp://[fd09::1]/pub/3m.bin'
get_with wget wget -q -O - ftp://10.9.0.1/pub/3m.bin
get_rate=150000
get names -u "$user" -l ftp://10.9.0.1/names/
get_rate=
ftp_put put "$lab_dir/www/600k.bin" incoming/put.bin --limit-rate 150k -u "$user"
ftp_put put-active "$lab_dir/www/600k.bin" incoming/put-active.bin --limit-rate 150k -P -
for c in "${downloads[@]}"; do
	wait_for 10 "$c to be in the middle" get_reached "$c" 500000
done
wait_for 10 "the listing to be in the middle" get_reached names 60000
wait_for 10 "the uploads to be in the middle" ftp_uploaded put 100000
wait_for 10 "the uploads to be in the middle" ftp_uploaded put-active 100000
pull_cable server
wait_for 10 "the takeover" taken_over
ftp_tell login go
ftp_tell lftp "get 100k.bin -o $lab_dir/get/lftp.bin"
ftp_tell lftp bye
ftp_tell tnftp "get 100k.bin $lab_dir/get/tnftp.bin"
ftp_tell tnftp quit
get_wait 20 "${downloads[@]}" names put put-active lftp tnftp login
for c in "${downloads[@]}"; do
	get_check "$c" 3m.bin
done
ftp_check_gets lftp tnftp login
ftp_check_puts put put-active
if [[ $ftp_old == "$ftp_new" ]]; then
	[[ $(get_exit names) == 0 && $(get_field names sha256) == $(ls "$lab_dir/names" | sha256sum | cut_field) ]] ||
		fail "the listing: exit $(get_exit names): $(get_field names bytes) bytes"
	listing="continued listing"
	all_continued
else # They list in different orders.
	[[ $(get_exit names) != 0 ]] || fail "the listing went on"
	wait_for 5 "the listing's end" event connection-aborted listing-differs
	(($(grep -cF '"event":"connection-aborted"' "$lab_dir/appliance.log") == 1)) || fail "more than the listing was reset"
	[[ $(event_field failover-summary refused) == 0 ]] || fail "refused: $(event_field connection-refused reason)"
	listing="refused listing-differs"
fi
for c in "download ${#downloads[@]}" "upload 2" "listing 1" "idle 2" "login 1"; do
	# shellcheck disable=SC2086
	ftp_continued $c
done
row() { in_matrix ftp "$ftp_old" "$ftp_new" "$@"; }
row curl body "continued download"
row wget body "continued download"
row curl head "$listing"
row curl upload "continued upload"
row lftp idle "continued idle"
row tnftp idle "continued idle"
row ftplib login "continued login"
pass "${#downloads[@]} downloads and 6 others, $ftp_old to $ftp_new, longest stall $(longest_stall "${downloads[@]}") ms"
