#!/usr/bin/env bash
# Downloads over the CBC suites of TLS 1.2, with encrypt-then-MAC (RFC 7366) and with the MAC inside, by HTTP/1.1 and HTTP/2, go on when the
# server dies in their middle: from nginx, apache2 and haproxy to another make, whose TLS is its own.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
need apache2 haproxy lighttpd
lab_up
make_files 1k.bin 4m.bin
ln -s . "$lab_dir/www/tag"
https_up
# A client that does not offer encrypt-then-MAC.
sed 's/^ *//' >"$lab_dir/mac-inside.cnf" <<END
	openssl_conf = all
	[all]
	ssl_conf = contexts
	[contexts]
	system_default = each
	[each]
	Options = -EncryptThenMac
END

declare -A old backup suite version inside more=([yes]="OPENSSL_CONF=$lab_dir/mac-inside.cnf" [no]="OPENSSL_CONF=/dev/null")
# way PORT SERVER BACKUP SUITE HTTP MAC-INSIDE
way() { old[$1]=$2 backup[$1]=$3 suite[$1]=$4 version[$1]=$5 inside[$1]=$6; }
way 4501 nginx apache2 AES128-SHA 1.1 no
way 4502 nginx apache2 AES128-SHA 1.1 yes
way 4503 nginx nginx AES256-SHA384 2 no
way 4504 nginx nginx AES256-SHA384 2 yes
way 4505 apache2 nginx AES128-SHA256 1.1 no
way 4506 apache2 nginx AES128-SHA256 1.1 yes
way 4507 haproxy lighttpd AES256-SHA 2 no
way 4508 haproxy nginx AES256-SHA 1.1 yes
ports_of() { # ARRAY MAKE
	local -n of=$1
	local port
	for port in "${!of[@]}"; do [[ ${of[$port]} != "$2" ]] || echo "$port"; done | sort
}
for side in old backup; do
	if [[ $side == old ]]; then
		name=server http_tls=$lab_dir/tls http_env=("${tapped[@]}") http_pace=yes http_clear=8081
	else
		name=backup http_tls=$lab_dir/backup http_env=() http_pace='' http_clear=8081
	fi
	for make in nginx apache2 haproxy lighttpd; do
		mapfile -t ports < <(ports_of $side $make)
		((${#ports[@]} == 0)) || http_server $name $make "${ports[@]}"
	done
done
for port in "${!old[@]}"; do https_service "$port"; done
https_start

# Is it what was said: the suite, and where the MAC is?
for port in "${!old[@]}"; do
	in_ns client env "${more[${inside[$port]}]}" openssl s_client -connect "10.9.0.1:$port" -tls1_2 -cipher "ECDHE-ECDSA-${suite[$port]}" -tlsextdebug </dev/null >"$lab_dir/said" 2>/dev/null || true
	grep -q "Cipher is ECDHE-ECDSA-${suite[$port]}$" "$lab_dir/said" || fail "port $port: another suite than ${suite[$port]}"
	outside=no
	! grep -q 'TLS server extension "encrypt-then-mac"' "$lab_dir/said" || outside=yes
	[[ $outside != "${inside[$port]}" ]] || fail "port $port: encrypt-then-MAC: $outside"
	http=--http1.1
	[[ ${version[$port]} == 1.1 ]] || http=--http2
	get_with "$port" env "${more[${inside[$port]}]}" curl -sS --fail --cacert "$lab_dir/both.crt" --tls-max 1.2 --ciphers "ECDHE-ECDSA-${suite[$port]}" $http \
		--no-keepalive -w "%{stderr}%{http_version}" "https://10.9.0.1:$port/tag/4m.bin"
done
for port in "${!old[@]}"; do wait_for 30 "port $port to be in the middle" https_sent "$port" 300000; done
https_have_keys "${!old[@]}"
pull_cable server
wait_for 10 "the takeover" taken_over
get_wait 40 "${!old[@]}"
for port in "${!old[@]}"; do
	get_check "$port" 4m.bin
	[[ $(get_error "$port") == "${version[$port]}" ]] || fail "port $port: HTTP/$(get_error "$port")"
	fate=$(https_fates "$port")
	[[ $fate == "continued range" ]] || fail "port $port (${old[$port]}, ${suite[$port]}): $fate"
	client="curl, TLS 1.2 CBC$([[ ${version[$port]} == 1.1 ]] || echo ", HTTP/2")$([[ ${inside[$port]} == no ]] || echo ", MAC inside")"
	in_matrix https "${old[$port]}" "${backup[$port]}" "$client" body "$fate"
done
all_settled
((account_refused + account_aborted == 0)) || fail "$account_refused refused, $account_aborted aborted"
pass "${#old[@]} downloads over CBC, half of them with the MAC inside, longest stall $(longest_stall "${!old[@]}") ms"
