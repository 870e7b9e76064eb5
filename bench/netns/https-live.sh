# The same files by HTTPS with `keys: live` on port 443 and with `keys: sealed` on 8443, and a backup without TLS. Sourced after lib.sh.
#
#	https_live_up FILE...     servers, vault, collector and the appliance, until it knows the vault
#	status PATTERN            does jeebsctl status say so? Leaves it in $lab_dir/status

for it in keytap keyvault; do . "$(dirname "${BASH_SOURCE[0]}")/$it.sh"; done

# https_nginx NAME PORTS LINE...: the same files on these ports.
https_nginx() {
	local name=$1 listen=$2 dir=$lab_dir/https-$1
	shift 2
	mkdir -p "$dir"
	nginx_config "$lab_dir/www" "$dir" "$name" | sed "s/listen 80 .*/$listen/; /listen \[::\]/d; s|^http {|http { $*|" >"$dir/nginx.conf"
	in_ns_exec "$name" "${https_env[@]}" "$(program nginx)" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" 2>>"$dir/error.log" &
}

status() { jeebsctl status >"$lab_dir/status"; grep -q "$1" "$lab_dir/status"; }

https_live_up() {
	need openssl jq python3
	lab_up
	keytap_up
	make_files "$@"
	keyvault_up web1 10.9.0.1
	vault_start --listen "$vault_at"
	collector_start --vault "$vault_at" --wait-ms 2000
	https_env=("${tapped[@]}")
	https_nginx server 'listen 443 ssl; listen 8443 ssl;' "ssl_certificate $lab_dir/tls.crt; ssl_certificate_key $lab_dir/tls.key; ssl_protocols TLSv1.2 TLSv1.3;"
	https_env=(env)
	https_nginx backup 'listen 443; listen 8443;'
	wait_for 5 "nginx with TLS" in_ns client curl -skf -o /dev/null https://10.9.0.1/1k.bin
	wait_for 5 "nginx without" in_ns box curl -sf -o /dev/null http://10.9.0.2:443/1k.bin
	lab_addresses='[10.9.0.1]'
	lab_backups='[{address: 10.9.0.2}]'
	lab_services=('{port: 443, protocol: https, keys: live, backup_tls: {mode: plain}}' '{port: 8443, protocol: https, keys: sealed, backup_tls: {mode: plain}}')
	box_keys
	appliance_start --debug
	wait_for 5 "the vault to be known" status "vault $vault_at: up"
}
