# Web servers with TLS and the key tap, and a vault that has their keys. Sourced after lib.sh.
#
#	https_up                  the vault, the collector; certificates in $lab_dir/{tls,backup}.{crt,key,pem}, both in $lab_dir/both.crt, for 10.9.0.1 and web.lab
#	https_service PORT [PROTOCOL [MORE]]   in $lab_services: the port, with sealed keys; MORE: "replay: all" and so on
#	https_start               the appliance, until it knows the vault and believes every backup
#	https_have_keys PORT...   until each session of these ports has its keys
#	https_sent PORT N         has the server sent so much on one connection of that port? https_received: or got

for it in keytap keyvault states http-servers; do . "$(dirname "${BASH_SOURCE[0]}")/$it.sh"; done

https_up() {
	need openssl jq ss
	keytap_up
	tls_certificate backup backup
	cat "$lab_dir"/{tls,backup}.crt >"$lab_dir/both.crt"
	keyvault_up web1 10.9.0.1
	vault_start --listen "$vault_at"
	collector_start --vault "$vault_at" --wait-ms 2000
	lab_addresses='[10.9.0.1]'
	lab_backups='[{address: 10.9.0.2}]'
	box_keys
}

https_service() { lab_services+=("{port: $1, protocol: ${2:-https}, ${3:+$3, }keys: sealed, retain: 64MiB, backup_tls: {ca: $lab_dir/backup.crt}}"); }

https_start() {
	appliance_start --debug
	wait_for 5 "the vault to be known" box_status "vault $vault_at: up"
	wait_for 10 "every backup to be believed" in_ns box curl -sf -o /dev/null "http://$lab_metrics/readyz"
}

https_have_keys() {
	local port
	for port; do wait_for 5 "the keys of port $port" https_has_keys "$port"; done
}
https_has_keys() {
	jeebsctl status >"$lab_dir/status"
	grep -qE "^keys: web1:$1: ([1-9][0-9]*) of \1 sessions have keys$" "$lab_dir/status"
}

https_most() { # FIELD PORT N
	in_ns server ss -Htin "sport = :$2" | grep -oE "$1:[0-9]+" | awk -F: -v n="$3" '$2 >= n { found = 1 } END { exit !found }'
}
https_sent() { https_most bytes_acked "$@"; }
https_received() { https_most bytes_received "$@"; }

# https_fates PORT: what became of each connection of that port, each kind once.
https_fates() {
	jq -r --arg s "10.9.0.1:$1" 'select((.event | IN("connection-continued", "connection-refused")) and .service == $s) |
		(.event | sub("connection-"; "")) + " " + .reason' "$lab_dir/appliance.log" | sort -u | paste -sd,
}
# https_endings PORT: every connection of that port that was not gone on with to its end, and why, as the box's log says it.
https_endings() {
	jq -r --arg s "10.9.0.1:$1" 'select((.event | IN("connection-refused", "connection-aborted")) and .service == $s) |
		"\(.event | sub("connection-"; "")) \(.client) \(.reason) \(.proven // "")"' "$lab_dir/appliance.log" | paste -sd,
}
