#!/usr/bin/env bash
# Stock curl downloads over TLS, 1.3 and 1.2, from stock nginx with the key tap: the box opens the sessions' keys when the
# server dies, and goes on in the middle of a record. The backup speaks plain HTTP. Once with HTTP/2 inside: a record that was cut
# between two of its frames cannot always be said again, and is then refused by name.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need openssl jq python3
lab_up
keytap_up
make_files 1k.bin 20m.bin
keyvault_up web1 10.9.0.1
vault_start --listen "$vault_at"
collector_start --vault "$vault_at" --wait-ms 2000

# https_nginx NAME LISTEN LINE...: the same files on port 443.
https_nginx() {
	local name=$1 listen=$2 dir=$lab_dir/https-$1
	shift 2
	mkdir -p "$dir"
	nginx_config "$lab_dir/www" "$dir" "$name" | sed "s/listen 80 .*/listen $listen;/; /listen \[::\]/d; s|^http {|http { $*|" >"$dir/nginx.conf"
	in_ns_exec "$name" "${https_env[@]}" "$(program nginx)" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" 2>>"$dir/error.log" &
}
https_env=("${tapped[@]}")
https_nginx server '443 ssl' "ssl_certificate $lab_dir/tls.crt; ssl_certificate_key $lab_dir/tls.key; ssl_protocols TLSv1.2 TLSv1.3;"
https_env=(env)
https_nginx backup 443
# HTTP/2 on a port of its own: there a plain nginx speaks nothing else.
sed "s/listen 443 ssl/listen 8443 ssl http2/; s|^pid .*|pid $lab_dir/https-server/pid2;|" "$lab_dir/https-server/nginx.conf" >"$lab_dir/https-server/h2.conf"
sed "s/listen 443;/listen 8443 http2;/; s|^pid .*|pid $lab_dir/https-backup/pid2;|" "$lab_dir/https-backup/nginx.conf" >"$lab_dir/https-backup/h2.conf"
in_ns_exec server "${tapped[@]}" "$(program nginx)" -p "$lab_dir/https-server" -c "$lab_dir/https-server/h2.conf" -e "$lab_dir/https-server/error.log" 2>>"$lab_dir/https-server/error.log" &
in_ns_exec backup "$(program nginx)" -p "$lab_dir/https-backup" -c "$lab_dir/https-backup/h2.conf" -e "$lab_dir/https-backup/error.log" 2>>"$lab_dir/https-backup/error.log" &
wait_for 5 "nginx with HTTP/2 in TLS" in_ns client curl -skf --http2 -o /dev/null https://10.9.0.1:8443/1k.bin
wait_for 5 "nginx with HTTP/2 alone" in_ns box curl -sf --http2-prior-knowledge -o /dev/null http://10.9.0.2:8443/1k.bin
wait_for 5 "nginx with TLS" in_ns client curl -skf -o /dev/null https://10.9.0.1/1k.bin
wait_for 5 "nginx without" in_ns box curl -sf -o /dev/null http://10.9.0.2:443/1k.bin

lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_services=('{port: 443, protocol: https, keys: sealed, retain: 64MiB}' '{port: 8443, protocol: https, keys: sealed, retain: 64MiB}')
lab_extra="keyvault: {vaults: [{address: \"$vault_at\"}], certificate: $vault_dir/recovery.crt, key: $vault_dir/recovery.key, ca: $vault_dir/ca.crt}"
appliance_start --debug
status() { jeebsctl status >"$lab_dir/status"; grep -q "$1" "$lab_dir/status"; }
wait_for 5 "the vault to be known" status "vault $vault_at: up"

# What is said passes the box as ciphertext alone: it is in nobody's memory but the clients' and the servers'.
marker=jeebs-marker-0123456789-abcdefghijklmnopqrstuvwx
printf 'CLIENT_RANDOM %064d %s\n' 0 "$(printf %s "$marker" | od -An -v -tx1 | tr -d ' \n')" >"$lab_dir/marker"
marked() { python3 "$lab_root/bench/netns/find-secrets.py" "$lab_dir/marker" "$@"; }

suites=(TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256)
clients=()
for suite in "${suites[@]}"; do
	get_rate=1000000 get "$suite" -k --tls13-ciphers "$suite" -H "X-Marker: $marker" --http1.1 https://10.9.0.1/20m.bin
	clients+=("$suite")
done
for suite in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305; do
	get_rate=1000000 get "$suite" -k --tls-max 1.2 --ciphers "$suite" -H "X-Marker: $marker" --http1.1 https://10.9.0.1/20m.bin
	clients+=("$suite")
done
get_rate=1000000 get again -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1/paced/20m.bin https://10.9.0.1/1k.bin
clients+=(again)
get_rate=1000000 get h2 -k --http2 -H "X-Marker: $marker" https://10.9.0.1:8443/20m.bin https://10.9.0.1:8443/1k.bin
clients+=(h2)
for id in "${clients[@]}"; do
	wait_for 10 "the download '$id'" get_reached "$id" 500000
done
wait_for 5 "the sessions' keys" status "web1:443: $((${#clients[@]} - 1)) of $((${#clients[@]} - 1)) sessions have keys"
wait_for 5 "the keys of HTTP/2" status "web1:8443: 1 of 1 sessions have keys"
mapfile -t pids < <(ip netns pids "$(ns client)")
(($(marked "${pids[@]}") > 0)) || fail "the marker is not even in the clients' memory"
[[ $(marked "$appliance" "$lab_dir/state" "$vault_dir") == 0 ]] || fail "the box has plaintext"
pull_cable server
wait_for 10 "the takeover" taken_over
get_hurry
get_wait 30 "${clients[@]}"
for id in "${clients[@]}"; do
	[[ $id == again || $id == h2 ]] || get_check "$id" 20m.bin
done
get_check again 20m.bin 1k.bin
contradicted=$(jq -s '[.[] | select(.event == "connection-aborted" and .reason == "record-contradicts")] | length' "$lab_dir/appliance.log")
if ((contradicted == 0)); then get_check h2 20m.bin 1k.bin; else ((contradicted == 1)) && [[ $(cat "$lab_dir/get/h2.exit") != 0 ]] || fail "$contradicted connections contradicted"; fi
# Whoever closes a connection before it has read our close_notify resets it; by then it has long been proven.
all_settled
((account_continued == ${#clients[@]} - contradicted)) || fail "$account_continued of ${#clients[@]} continued"
pass "$account_continued downloads over TLS, $contradicted with HTTP/2 refused, longest stall $(longest_stall "${clients[@]}") ms"
