#!/usr/bin/env bash
# Stock curl downloads over TLS, 1.3 and 1.2, from stock nginx with the key tap: the box opens the sessions' keys when the
# server dies, and goes on in the middle of a record. The backup is a stock nginx with TLS: continued connections are
# asked for there in TLS, new ones go there as they are. On other ports: HTTP/2 inside (a record that was cut between two of its frames
# cannot always be said again, and is then refused by name), a backup that is asked in plain on a port of its own, one whose
# certificate is for somebody else, and one that never answers the handshake.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
need python3 apache2
lab_up
make_files 1k.bin 20m.bin
ln -s . "$lab_dir/www/tag"
https_up
http_only_1='443 9443 10443 11443'
http_tls=$lab_dir/tls http_env=("${tapped[@]}")
http_server server nginx 443 8443 9443 10443 11443
http_tls=$lab_dir/backup http_env=()
http_server backup nginx 443 8443 9443 10443
http_tls=''
http_server backup apache2 9080
# It accepts, and says nothing.
in_ns_exec backup python3 -c 'import socket, time
s = socket.create_server(("10.9.0.2", 11443))
time.sleep(3600)' &
wait_for 5 "the backup that hangs" in_ns backup ss -Htln 'sport = :11443'

https_service 443
https_service 8443
for it in '9443 mode: plain, port: 9080' "10443 ca: $lab_dir/backup.crt, name: other.lab"; do
	lab_services+=("{port: ${it%% *}, protocol: https, keys: sealed, retain: 64MiB, backup_tls: {${it#* }}}")
done
https_service 11443
appliance_start --debug
wait_for 5 "the vault to be known" box_status "vault $vault_at: up"

# What is said passes the box as ciphertext alone: it is in nobody's memory but the clients' and the servers'.
marker=jeebs-marker-0123456789-abcdefghijklmnopqrstuvwx
printf 'CLIENT_RANDOM %064d %s\n' 0 "$(printf %s "$marker" | od -An -v -tx1 | tr -d ' \n')" >"$lab_dir/marker"
marked() { python3 "$lab_root/bench/netns/find-secrets.py" "$lab_dir/marker" "$@"; }

suites=(TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256)
clients=()
for suite in "${suites[@]}"; do
	get_rate=400000 get "$suite" -k --tls13-ciphers "$suite" -H "X-Marker: $marker" --http1.1 https://10.9.0.1/20m.bin
	clients+=("$suite")
done
for suite in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-CHACHA20-POLY1305; do
	get_rate=400000 get "$suite" -k --tls-max 1.2 --ciphers "$suite" -H "X-Marker: $marker" --http1.1 https://10.9.0.1/20m.bin
	clients+=("$suite")
done
get_rate=400000 get again -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1/20m.bin https://10.9.0.1/1k.bin
get_rate=400000 get named -k --http1.1 --resolve web.lab:443:10.9.0.1 -H "X-Marker: $marker" https://web.lab/20m.bin
clients+=(again named)
for i in {1..20}; do
	get_rate=250000 get "many$i" -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1/20m.bin
	clients+=("many$i")
done
on_443=${#clients[@]}
get_rate=400000 get h2 -k --fail-early --http2 -H "X-Marker: $marker" https://10.9.0.1:8443/20m.bin https://10.9.0.1:8443/1k.bin
get_rate=400000 get plain -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1:9443/20m.bin
get_rate=400000 get other -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1:10443/20m.bin
get_rate=400000 get hangs -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1:11443/20m.bin
clients+=(h2 plain other hangs)
for id in "${clients[@]}"; do
	wait_for 20 "the download '$id'" get_reached "$id" 500000
done
https_have_keys 443 8443 9443 10443 11443
# What a takeover would find is known before.
not_ready() { in_ns box curl -s "http://$lab_metrics/readyz" | grep -qF "$1"; }
wait_for 10 "the backup that shows another's certificate to be told of" not_ready "web1:10443: backup 10.9.0.2: hostname mismatch"
shaken() { metric_sum "jeebs_backup_tls_handshakes_total{handshake=\"$1\"}"; }
full=$(shaken full) resumed=$(shaken resumed)
mapfile -t pids < <(ip netns pids "$(ns client)")
(($(marked "${pids[@]}") > 0)) || fail "the marker is not even in the clients' memory"
[[ $(marked "$appliance" "$lab_dir/state" "$vault_dir") == 0 ]] || fail "the box has plaintext"
pull_cable server
wait_for 10 "the takeover" taken_over
# New clients, who verify the backup for what it is to them.
for url in https://10.9.0.1 https://10.9.0.1:8443 https://10.9.0.1:9443 "https://web.lab --resolve web.lab:443:10.9.0.1"; do
	# shellcheck disable=SC2086 # a URL and options
	set -- $url
	in_ns client curl -sf --cacert "$lab_dir/backup.crt" "${@:2}" -o "$lab_dir/new" "$1/1k.bin" || fail "a new client of $url: curl says $?"
	cmp -s "$lab_dir/new" "$lab_dir/www/1k.bin" || fail "a new client of $url got something else"
done
get_hurry
get_wait 60 "${clients[@]}"
for id in "${clients[@]}"; do
	[[ $id == again || $id == h2 || $id == other || $id == hangs ]] || get_check "$id" 20m.bin
done
get_check again 20m.bin 1k.bin
aborted() { jq -s --arg why "$1" '[.[] | select(.event == "connection-aborted" and .reason == $why)] | length' "$lab_dir/appliance.log"; }
contradicted=$(($(aborted record-contradicts) + $(aborted head-contradicts)))
if ((contradicted == 0)); then get_check h2 20m.bin 1k.bin; else ((contradicted == 1)) && [[ $(cat "$lab_dir/get/h2.exit") != 0 ]] || fail "$contradicted connections contradicted"; fi
for id in other hangs; do
	[[ $(cat "$lab_dir/get/$id.exit") != 0 ]] || fail "the download '$id' came to an end"
done
(($(aborted backup-tls-verify) == 1)) || fail "a backup with another's certificate was not refused for that"
(($(aborted backup-tls-timeout) == 1)) || fail "a backup that hangs was not refused for that"
# Whoever closes a connection before it has read our close_notify resets it; by then it has long been proven.
all_settled
((account_continued == ${#clients[@]} - contradicted - 2)) || fail "$account_continued of ${#clients[@]} continued"
# A full handshake for each name that was asked for, and of those that were impatient; HTTP/2 has its own port.
full=$(($(shaken full) - full)) resumed=$(($(shaken resumed) - resumed))
((full + resumed >= on_443 + 1 && full <= 12 && resumed > full)) || fail "$full full handshakes with the backup, and $resumed resumed"
unset 'clients[-1]' 'clients[-1]'
pass "$account_continued downloads over TLS, $contradicted with HTTP/2 refused, $full full handshakes with the backup and $resumed resumed, longest stall $(longest_stall "${clients[@]}") ms"
