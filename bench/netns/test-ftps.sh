#!/usr/bin/env bash
# FTP behind TLS: a vsftpd dies, and a proftpd is the backup; the control connection in TLS by AUTH TLS, data connections in TLS (PROT P)
# and in the clear (PROT C), downloads and uploads in their middle, and those that are idle.
# (test-ftps-proftpd.sh: the other way round.)
: "${ftp_old:=vsftpd}" "${ftp_new:=proftpd}"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
. "$(dirname "$0")/ftp.sh"

lab_init
ftp_need
need python3
lab_up
https_up
ca=$lab_dir/both.crt
ftp_small_buffers
ftp_files 1k.bin 100k.bin 600k.bin 3m.bin
ftp_cert=$lab_dir/tls.pem ftp_env=("${tapped[@]}")
start_ftp "$ftp_old" server
ftp_implicit=yes ftp_at=-990
start_ftp "$ftp_old" server
ftp_implicit= ftp_at=
ftp_cert=$lab_dir/backup.pem ftp_env=()
start_ftp "$ftp_new" backup
ftp_implicit=yes ftp_at=-990
start_ftp "$ftp_new" backup
for it in "21, protocol: ftp" "990, protocol: ftps"; do
	lab_services+=("{port: $it, login: replay, keys: live, backup_tls: {ca: $lab_dir/backup.crt}}")
done
appliance_start --debug
wait_for 5 "the vault to be known" box_status "vault $vault_at: up.*"

user="jeeb:$ftp_password"
for prot in P C; do
	ftp_client "ftplib$prot" python3 "$lab_root/bench/netns/ftps-idle.py" "$ca" $prot 10.9.0.1 jeeb "$ftp_password" pub/100k.bin "$lab_dir/get/ftplib$prot.bin"
	wait_for 10 "ftplib" ftp_said "ftplib$prot" idle
done
ftp_client lftp lftp -e "set ftp:ssl-force yes; set ssl:ca-file $ca; set net:max-retries 1; open -u jeeb,'$ftp_password' 10.9.0.1; cd pub; cls -1"
wait_for 10 "lftp" ftp_said lftp 600k.bin
get_rate=800000
get curl --cacert "$ca" --ssl-reqd -u "$user" ftp://10.9.0.1/pub/3m.bin
get clear --cacert "$ca" --ftp-ssl-control -u "$user" ftp://10.9.0.1/pub/3m.bin
get implicit --cacert "$ca" -u "$user" ftps://10.9.0.1/pub/3m.bin
lftp_set="set ftp:ssl-force yes; set ssl:ca-file $ca; set net:max-retries 1"
get_with active lftp -c "$lftp_set; set ftp:passive-mode no; open -u jeeb,'$ftp_password' 10.9.0.1; cat pub/3m.bin"
get_with lftp-implicit lftp -c "$lftp_set; open -u jeeb,'$ftp_password' ftps://10.9.0.1; cat pub/3m.bin"
get_rate=
ftp_put put "$lab_dir/www/600k.bin" incoming/put.bin --limit-rate 100k --cacert "$ca" --ssl-reqd -u "$user"
ftp_put put-clear "$lab_dir/www/600k.bin" incoming/put-clear.bin --limit-rate 100k --cacert "$ca" --ftp-ssl-control -u "$user"
downloads=(curl clear implicit active lftp-implicit)
for c in "${downloads[@]}"; do
	wait_for 10 "$c to be in the middle" get_reached "$c" 500000
done
for c in put put-clear; do
	wait_for 10 "the uploads to be in the middle" ftp_uploaded $c 100000
done
https_have_keys 21 990
pull_cable server
wait_for 10 "the takeover" taken_over
ftp_tell lftp "get 100k.bin -o $lab_dir/get/lftp.bin"
ftp_tell lftp bye
for prot in P C; do ftp_tell ftplib$prot go; done
get_wait 20 "${downloads[@]}" put put-clear lftp ftplibP ftplibC
for c in "${downloads[@]}"; do
	get_check "$c" 3m.bin
done
ftp_check_gets lftp ftplibP ftplibC
ftp_check_puts put put-clear
# (Of what had gone on, either end may reset at the very end.)
refusals=$(jq -r 'select(.event == "connection-aborted" and .reason != "client-reset") | .reason' "$lab_dir/appliance.log" | paste -sd' ')
[[ ! $refusals && $(event_field failover-summary refused) == 0 ]] || fail "refused $(event_field failover-summary refused), aborted: $refusals"
row() { in_matrix "$1" "$ftp_old" "$ftp_new" "${@:2}"; }
row "ftp, AUTH TLS" curl body "continued download"
row "ftp, AUTH TLS" curl upload "continued upload"
row "ftp, AUTH TLS" lftp body "continued download"
row "ftp, AUTH TLS" lftp idle "continued idle"
row "ftp, AUTH TLS" ftplib idle "continued idle"
row ftps curl body "continued download"
row ftps lftp body "continued download"
pass "${#downloads[@]} downloads and 5 others, $ftp_old to $ftp_new, longest stall $(longest_stall "${downloads[@]}") ms"
