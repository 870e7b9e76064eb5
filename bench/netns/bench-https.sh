#!/usr/bin/env bash
# A takeover of connections of HTTP in TLS beside as many in the clear, each in a run of its own: bench/bench-takeover-tls.
# JEEBS_CONNECTIONS=N, JEEBS_TLS=yes, JEEBS_ASKED=FILE (of those that ask at the cut). Says what was measured in one line of JSON.
. "$(dirname "$0")/lib.sh"
: "${JEEBS_CONNECTIONS:=200}" "${JEEBS_TLS:=yes}" "${JEEBS_ASKED:=16k.bin}"
lab_nginx_workers=2
lab_record() { :; }
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need openssl jq python3
lab_up
make_files 256k.bin 16k.bin
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
serve() { # NAME LISTEN LINE: nginx
	local dir=$lab_dir/nginx-$1
	mkdir -p "$dir"
	nginx_config "$lab_dir/www" "$dir" "$1" | sed "s/listen 80 .*/listen $2 backlog=4096;/; /listen \[::\]/d; s|^http {|http { $3|" >"$dir/conf"
	in_ns_exec "$1" "${environment[@]}" "$(program nginx)" -p "$dir" -c "$dir/conf" -e "$dir/error.log" 2>>"$dir/error.log" &
}
environment=(env)
status() { jeebsctl status >"$lab_dir/status"; grep -q "$1" "$lab_dir/status"; }
if [[ $JEEBS_TLS == yes ]]; then
	keytap_up
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$lab_dir/backup.key" -out "$lab_dir/backup.crt" \
		-days 2 -subj /CN=backup -addext subjectAltName=IP:10.9.0.1 2>/dev/null
	keyvault_up web1 10.9.0.1
	vault_start --listen "$vault_at"
	collector_start --vault "$vault_at" --wait-ms 2000
	serve backup '443 ssl' "ssl_certificate $lab_dir/backup.crt; ssl_certificate_key $lab_dir/backup.key;"
	environment=("${tapped[@]}")
	serve server '443 ssl' "ssl_certificate $lab_dir/tls.crt; ssl_certificate_key $lab_dir/tls.key;"
	port=443 tls=--tls
	lab_services=("{port: 443, protocol: https, keys: sealed, retain: 1MiB, backup_tls: {ca: $lab_dir/backup.crt, name: 10.9.0.1}}")
	lab_extra="keyvault: {vaults: [{address: \"$vault_at\"}], deadline: 10s, certificate: $vault_dir/recovery.crt, key: $vault_dir/recovery.key, ca: $vault_dir/ca.crt}"
	wait_for 5 "nginx" in_ns client curl -skf -o /dev/null https://10.9.0.1/256k.bin
	wait_for 5 "the backup" in_ns box curl -skf -o /dev/null https://10.9.0.2/256k.bin
else
	serve backup 80 ""
	serve server 80 ""
	port=80 tls=
	lab_services=("{port: 80, protocol: http}")
	wait_for 5 "nginx" in_ns client curl -sf -o /dev/null http://10.9.0.1/256k.bin
	wait_for 5 "the backup" in_ns box curl -sf -o /dev/null http://10.9.0.2/256k.bin
fi
# A small window, so that those in the middle of an answer are there when the server dies.
in_ns client sysctl -qw net.ipv4.tcp_rmem="4096 32768 65536"
appliance_start ${JEEBS_DEBUG:+--debug}
# shellcheck disable=SC2086 # an option or none
in_ns client python3 "$lab_root/bench/netns/https-client.py" $tls --host 10.9.0.1 --port "$port" --count "$JEEBS_CONNECTIONS" \
	--ready "$lab_dir/ready" --cut "$lab_dir/asked" /256k.bin "/$JEEBS_ASKED" >"$lab_dir/clients" 2>"$lab_dir/clients.err" &
clients=$!
wait_for 60 "the clients" test -e "$lab_dir/ready"
[[ $JEEBS_TLS != yes ]] || wait_for 30 "the keys" status "web1:443: $JEEBS_CONNECTIONS of $JEEBS_CONNECTIONS sessions have keys"
pull_cable server
: >"$lab_dir/asked"
wait "$clients" || fail "the clients: $(tail -n1 "$lab_dir/clients.err")"
[[ $(jq '.broken == 0 and .contents == 1' "$lab_dir/clients") == true ]] || fail "$(cat "$lab_dir/clients")"
at() { jq -s "[.[] | select(.event == \"$1\") | .at_ms] | max" "$lab_dir/appliance.log"; }
# All are restored, or refused, in milliseconds since the detection.
when() { jq -s "[.[] | select(.event == \"$1\") | .time | (.[:19] + \"Z\" | fromdate) + (.[19:23] | tonumber)] | max * 1000" "$lab_dir/appliance.log"; }
jq -c --arg tls "$JEEBS_TLS" --argjson all "$(jq -n "$(when failover-summary) - $(when failover-detected) | round")" --argjson detected "$(at failover-detected)" --argjson open "$(at failover-open)" \
	--argjson keys "$(jq -s '[.[] | select(.event == "keys-opened") | .took_ms] | max' "$lab_dir/appliance.log")" \
	--argjson full "$(metric_sum 'jeebs_backup_tls_handshakes_total{handshake="full"}')" \
	--argjson resumed "$(metric_sum 'jeebs_backup_tls_handshakes_total{handshake="resumed"}')" \
	'. + {tls: $tls, asked: "'"$JEEBS_ASKED"'", all_ms: $all, detected_ms: $detected, open_ms: (($open - $detected) | round), keys_ms: ($keys | if . then round else . end), full: $full, resumed: $resumed}' "$lab_dir/clients" |
	tee -a "${JEEBS_FIGURES:-/dev/null}"
