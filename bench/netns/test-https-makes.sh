#!/usr/bin/env bash
# Downloads over TLS from nginx go on where the backup is another make: apache2, haproxy in front of nginx, lighttpd, nginx, each as its
# package comes, with TLS 1.3 and with 1.2, and each serves new clients on the same port.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
need apache2 haproxy lighttpd
lab_up
make_files 1k.bin 4m.bin
ln -s . "$lab_dir/www/tag"
https_up
makes=([441]=nginx [442]=apache2 [443]=haproxy [444]=lighttpd)
http_tls=$lab_dir/tls http_env=("${tapped[@]}")
http_server server nginx "${!makes[@]}"
http_tls=$lab_dir/backup http_env=() http_clear=8081
for port in "${!makes[@]}"; do
	http_server backup "${makes[$port]}" "$port"
	https_service "$port"
done
https_start
for port in "${!makes[@]}"; do
	for version in 1.2 1.3; do
		get_rate=250000 get "$port-$version" -k --local-port "4$port${version#1.}" --http1.1 "--tls-max" $version "https://10.9.0.1:$port/4m.bin" "https://10.9.0.1:$port/1k.bin"
		clients+=("$port-$version")
	done
done
for id in "${clients[@]}"; do wait_for 20 "the download '$id'" get_reached "$id" 250000; done
https_have_keys "${!makes[@]}"
pull_cable server
wait_for 10 "the takeover" taken_over
for port in "${!makes[@]}"; do
	in_ns client curl -sf --cacert "$lab_dir/backup.crt" -o "$lab_dir/new" "https://10.9.0.1:$port/1k.bin" || fail "a new client of ${makes[$port]}: curl says $?"
	cmp -s "$lab_dir/new" "$lab_dir/www/1k.bin" || fail "a new client of ${makes[$port]} got something else"
done
get_hurry
get_wait 40 "${clients[@]}"
for id in "${clients[@]}"; do
	get_check "$id" 4m.bin 1k.bin
	version=${id#*-}
	expect_fate "4${id%-*}${version#1.}" "continued range"
	in_matrix https nginx "${makes[${id%-*}]}" "curl, TLS $version" body "continued range"
done
all_settled
((account_continued == ${#clients[@]})) || fail "$account_continued of ${#clients[@]} continued"
pass "${#clients[@]} downloads over TLS go on with ${makes[*]}"
