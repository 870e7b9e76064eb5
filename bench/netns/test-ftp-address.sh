#!/usr/bin/env bash
# FTP servers behind a router that knows them by a public address, to clients that connect where 227 says: the one
# they are told after the takeover is the public one, whether the old server had named it to them or not.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ftp.sh"

lab_init
ftp_need
need nft python3
lab_services=('{port: 21, protocol: ftp, login: replay}')
lab_prove=every:40
lab_addresses='[10.9.0.1]' lab_backups='[{address: 10.9.0.2}]' # vsftpd names an address for IPv4 only
lab_up --router
ftp_public=192.0.2.1
ip -n "$(ns router)" address add $ftp_public/32 dev eth1
# Nobody comes to the servers by their own address.
in_ns router nft -f - <<END
table ip public {
	chain in {
		type nat hook prerouting priority dstnat
		iifname eth1 ip daddr $ftp_public dnat to 10.9.0.1
	}
	chain forward {
		type filter hook forward priority filter
		iifname eth1 ct status dnat accept
		iifname eth1 drop
	}
}
END
ftp_small_buffers
ftp_files 100k.bin 3m.bin
start_ftp vsftpd server
start_ftp vsftpd backup
appliance_start --debug

user=$(printf %s "jeeb:$ftp_password")
ftp_client login python3 "$lab_root/bench/netns/ftp-login.py" $ftp_public jeeb "$ftp_password" pub/100k.bin "$lab_dir/get/login.bin"
wait_for 10 "the login" ftp_said login password
get_rate=1500000
get curl --disable-epsv --no-ftp-skip-pasv-ip --connect-timeout 20 -u "$user" "ftp://$ftp_public/pub/{3m,100k}.bin"
wait_for 10 "curl to be in the middle" get_reached curl 500000
pull_cable server
wait_for 10 "the takeover" taken_over
ftp_tell login go
get_wait 20 curl login
get_check curl 3m.bin 100k.bin
cmp -s "$lab_dir/get/login.bin" "$lab_dir/www/100k.bin" || fail "login: wrong bytes: $(get_error login)"
ftp_continued download 1
ftp_continued login 1
in_matrix ftp "vsftpd, pasv_address" vsftpd curl body "continued download"
in_matrix ftp "vsftpd, pasv_address" vsftpd ftplib login "continued login"
pass "2 clients were told the public address, longest stall $(longest_stall curl) ms"
