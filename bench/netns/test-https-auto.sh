#!/usr/bin/env bash
# `protocol: auto` where there is TLS: HTTP/1.1 and HTTP/2 on one port, told apart by ALPN, and HTTP without ALPN by the port. The server
# dies in the middle of the downloads, and they go on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
lab_up
make_files 1k.bin 4m.bin
ln -s . "$lab_dir/www/tag"
https_up
for side in server backup; do
	if [[ $side == server ]]; then
		http_tls=$lab_dir/tls http_env=("${tapped[@]}") http_pace=yes
	else
		http_tls=$lab_dir/backup http_env=() http_pace=''
	fi
	http_server $side nginx 443
done
https_service 443 auto
https_start

url=https://10.9.0.1/tag/4m.bin
curl=(curl -sS --fail --cacert "$lab_dir/both.crt" --no-keepalive)
get_with h1 "${curl[@]}" --http1.1 $url
get_with h2 "${curl[@]}" --http2 $url
get_with none "${curl[@]}" --no-alpn --http1.1 $url
get_with tls12 "${curl[@]}" --tls-max 1.2 --http1.1 $url
clients=(h1 h2 none tls12)
for id in "${clients[@]}"; do wait_for 30 "the download '$id'" get_reached "$id" 250000; done
https_have_keys 443
pull_cable server
wait_for 10 "the takeover" taken_over
get_wait 40 "${clients[@]}"
for id in "${clients[@]}"; do get_check "$id" 4m.bin; done
fates=$(jq -r 'select(.event == "connection-continued") | .module + " " + .reason' "$lab_dir/appliance.log" | sort -u | paste -sd,)
[[ $fates == "tls:auto range" ]] || fail "they went on by $fates"
for client in "curl, HTTP/2" "curl, TLS 1.2" "curl, TLS 1.3" "curl, no ALPN"; do in_matrix "auto, in TLS" nginx nginx "$client" body "continued range"; done
all_settled
((account_refused + account_aborted == 0)) || fail "$account_refused refused, $account_aborted aborted"
pass "4 downloads over TLS, of HTTP/1.1 and HTTP/2"
