#!/usr/bin/env bash
# Long downloads over TLS with `keys: live`: the box follows records as they come and keeps no more than the one under way, so what
# is far longer than `retain` is continued when the server dies in the middle. With `keys: sealed` as well: of what is not kept the
# keys show that it was all data.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need openssl jq python3
lab_up
keytap_up
make_files 1k.bin 400m.bin
keyvault_up web1 10.9.0.1
vault_start --listen "$vault_at"
collector_start --vault "$vault_at" --wait-ms 2000

# https_nginx NAME PORTS LINE...: the same files on these ports.
https_nginx() {
	local name=$1 listen=$2 dir=$lab_dir/https-$1
	shift 2
	mkdir -p "$dir"
	nginx_config "$lab_dir/www" "$dir" "$name" | sed "s/listen 80 .*/$listen/; /listen \[::\]/d; s|^http {|http { $*|" >"$dir/nginx.conf"
	in_ns_exec "$name" "${https_env[@]}" "$(program nginx)" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" 2>>"$dir/error.log" &
}
https_env=("${tapped[@]}")
https_nginx server 'listen 443 ssl; listen 8443 ssl;' "ssl_certificate $lab_dir/tls.crt; ssl_certificate_key $lab_dir/tls.key; ssl_protocols TLSv1.2 TLSv1.3;"
https_env=(env)
https_nginx backup 'listen 443; listen 8443;'
wait_for 5 "nginx with TLS" in_ns client curl -skf -o /dev/null https://10.9.0.1/1k.bin
wait_for 5 "nginx without" in_ns box curl -sf -o /dev/null http://10.9.0.2:443/1k.bin

lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_services=('{port: 443, protocol: https, keys: live, backup_tls: {mode: plain}}' '{port: 8443, protocol: https, keys: sealed, backup_tls: {mode: plain}}')
lab_extra="keyvault: {vaults: [{address: \"$vault_at\"}], certificate: $vault_dir/recovery.crt, key: $vault_dir/recovery.key, ca: $vault_dir/ca.crt}"
appliance_start --debug
status() { jeebsctl status >"$lab_dir/status"; grep -q "$1" "$lab_dir/status"; }
wait_for 5 "the vault to be known" status "vault $vault_at: up"

marker=jeebs-marker-0123456789-abcdefghijklmnopqrstuvwx
printf 'CLIENT_RANDOM %064d %s\n' 0 "$(printf %s "$marker" | od -An -v -tx1 | tr -d ' \n')" >"$lab_dir/marker"
marked() { python3 "$lab_root/bench/netns/find-secrets.py" "$lab_dir/marker" "$@"; }

get_rate=25000000
get 1.3 -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1/400m.bin https://10.9.0.1/1k.bin
get 1.2 -k --http1.1 --tls-max 1.2 -H "X-Marker: $marker" https://10.9.0.1/1k.bin https://10.9.0.1/400m.bin
get sealed -k --http1.1 https://10.9.0.1:8443/400m.bin
get sealed-1.2 -k --http1.1 --tls-max 1.2 https://10.9.0.1:8443/400m.bin
for id in 1.3 1.2 sealed sealed-1.2; do
	wait_for 60 "the download '$id'" get_reached "$id" 150000000
done
status "web1:443: 2 of 2 sessions have keys" || fail "no keys: $(cat "$lab_dir/status")"
[[ $(marked "$lab_dir/state") == 0 ]] || fail "plaintext is in the store"
pull_cable server
wait_for 10 "the takeover" taken_over
get_hurry
get_wait 60 1.3 1.2 sealed sealed-1.2
get_check 1.3 400m.bin 1k.bin
get_check 1.2 1k.bin 400m.bin
get_check sealed 400m.bin
get_check sealed-1.2 400m.bin
all_settled
((account_continued == 4)) || fail "$account_continued of 4 continued"
pass "four downloads of 400 MB over TLS with 1 MiB kept, longest stall $(longest_stall 1.3 1.2 sealed sealed-1.2) ms"
