#!/usr/bin/env bash
# Servers that the tap cannot serve, although it is loaded: GnuTLS (exim, STARTTLS), a static program (caddy, in Go), an SSH server
# with cryptography of its own (dropbear). Nothing happens to them, and the box sees while the server lives which sessions have no
# keys; those of nginx beside them have.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/mail.sh"
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need python3 openssl nginx exim4 dropbear dropbearkey ssh ssh-keygen ss jq curl
lab_up
keytap_up
keyvault_up web1 10.9.0.1
vault_start
collector_start --vault "$vault_at" --wait-ms 2000
tapped_nginx 443
tapped_exim 25
mkdir "$lab_dir/caddy" "$lab_dir/dropbear"
printf '%s\n' '{' 'admin off' 'auto_https off' 'default_sni lab' '}' 'https://:8443 {' "tls $lab_dir/tls.crt $lab_dir/tls.key" 'respond caddy' '}' >"$lab_dir/caddy/conf"
tapped_run caddy 8443 env "HOME=$lab_dir/caddy" "${tapped[@]}" "$(unpacked caddy /usr/bin/caddy)" run --adapter caddyfile --config "$lab_dir/caddy/conf"
dropbearkey -t ed25519 -f "$lab_dir/dropbear/key" >"$lab_dir/dropbear/out" 2>&1
tapped_run dropbear 22 "${tapped[@]}" "$(program dropbear)" -F -E -p 10.9.0.1:22 -r "$lab_dir/dropbear/key"
tapped_listen
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_services=('{port: 443, protocol: https, keys: sealed, backup_tls: {mode: plain}}' '{port: 25, protocol: smtp, keys: sealed, backup_tls: {mode: plain}}'
	'{port: 8443, protocol: https, keys: sealed, backup_tls: {mode: plain}}' '{port: 22, protocol: replay, keys: sealed}')
box_keys
appliance_start
wait_for 5 "the vault to be known" box_status "vault $vault_at: up"
for i in 1 2 3; do
	in_ns client curl -sSk --max-time 10 -o /dev/null https://10.9.0.1/ || fail "nginx"
	in_ns client curl -sSk --max-time 10 --ssl-reqd smtp://10.9.0.1/ -X NOOP >/dev/null || fail "exim"
	[[ $(in_ns client curl -sSk --max-time 10 https://10.9.0.1:8443/) == caddy ]] || fail "caddy"
	# Nobody has a key there; the key exchange is over by then.
	in_ns client ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null nobody@10.9.0.1 true 2>"$lab_dir/ssh.err" &&
		fail "dropbear lets anybody in"
	grep -q 'Permission denied' "$lab_dir/ssh.err" || fail "dropbear: $(tail -n1 "$lab_dir/ssh.err")"
done
wait_for 10 "nginx's sessions" box_status 'keys: web1:443: 3 of 3 sessions have keys'
for port in 25 8443 22; do
	wait_for 10 "the sessions of port $port" box_status "keys: web1:$port: 0 of 3 sessions have keys"
	wait_for 5 "the log to tell of port $port" event sessions-without-keys "web1:$port"
done
in_ns box curl -s http://127.0.0.1:9817/readyz >"$lab_dir/readyz"
grep -qE '^web1:(25|8443|22): 0 of 3 sessions have keys$' "$lab_dir/readyz" || fail "ready? $(cat "$lab_dir/readyz")"
pass "nginx 3 of 3; exim (GnuTLS), caddy (Go), dropbear: 0 of 3 sessions have keys, told in readiness, status and log"
