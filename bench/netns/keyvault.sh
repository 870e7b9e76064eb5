# A vault on 10.9.0.2 and the collector of 10.9.0.1, for scenarios. Sourced after keytap.sh.
#
#	keyvault_up ORIGIN ADDRESS...   the CA and the collector's files, in $vault_dir ($lab_dir/vault)
#	vault_start OPTION...           $vault is its process
#	collector_start OPTION...       until it has a vault; $collector is its process
#	read_vault FILE                 what the recovery identity fetches and opens
#	box_keys [LINE...]              what the box's configuration says of it, with further lines
#	tls_sessions PORT N             held open; $client, what it is told goes to $held (tls-sessions.py)
#	tls_sessions_end HELD           of that time
#	core_of PID FILE                what a debugger writes as its core: all that a kernel could

vault_at=10.9.0.2:9818
keyvault=$JEEBS_BUILD/keyvault/vault/jeebs-keyvault

keyvault_up() {
	: "${vault_dir:=$lab_dir/vault}"
	"$keyvault" init "$vault_dir"
	"$keyvault" add-origin "$vault_dir" "$@"
	vault_origin=$1
	vault_reader=(in_ns box "$JEEBS_BUILD/keyvault/vault/vault-reader" "$vault_dir" "$vault_at")
	: >"$lab_dir/keytapd.log" >"$lab_dir/vault.log"
}

vault_start() {
	local before
	before=$(grep -c vault-serves "$lab_dir/vault.log") || true
	printf '%s: "%s"\n' dir "$vault_dir" listen "$vault_at" metrics 127.0.0.1:9101 >"$lab_dir/keyvault.yaml"
	in_ns_exec backup "$keyvault" serve -c "$lab_dir/keyvault.yaml" "$@" >>"$lab_dir/vault.log" 2>&1 &
	vault=$!
	wait_for 5 "the vault" vault_serves "$before"
}
vault_serves() { (($(grep -c vault-serves "$lab_dir/vault.log") > $1)); }
vault_kill() {
	kill -KILL "$vault"
	wait "$vault" 2>/dev/null || true
}

# collector_begin OPTION...: without waiting for a vault.
collector_begin() {
	printf '%s: "%s"\n' dir "$vault_dir/origins/$vault_origin" socket "$keytap_socket" socket-mode 666 metrics-file "$lab_dir/keytapd.prom" \
		metrics 127.0.0.1:9102 >"$lab_dir/keytapd.yaml"
	in_ns_exec server "$JEEBS_BUILD/keyvault/collector/jeebs-keytapd" -c "$lab_dir/keytapd.yaml" "$@" >>"$lab_dir/keytapd.log" 2>&1 &
	collector=$!
	wait_for 5 "the collector to hear signals" collector_hears # before, they would end it
}
# SIGUSR1 is blocked, for its descriptor.
collector_hears() { ((0x$(awk '$1 == "SigBlk:" { print $2 }' "/proc/$collector/status") & 0x200)); }
collector_start() {
	local before
	before=$(grep -c ' vault-connected ' "$lab_dir/keytapd.log") || true
	collector_begin "$@"
	wait_for 10 "the collector to have a vault" collector_connected "$before"
}
collector_connected() { (($(grep -c ' vault-connected ' "$lab_dir/keytapd.log") > $1)); }
collector_end() {
	kill -"$1" "$collector"
	wait "$collector" 2>/dev/null || true
}

# counter NAME: as of now.
counter() { awk -v n="jeebs_keytapd_$1" '$1 == n { print $2 }' "$lab_dir/keytapd.prom"; }
health() { # STATE
	kill -USR1 "$collector"
	[[ $(grep -o ' health state=[a-z-]*' "$lab_dir/keytapd.log" | tail -n1) == " health state=$1" ]]
}
read_vault() { # FILE
	"${vault_reader[@]}" >"$1" 2>"$lab_dir/reader.err" || fail "the vault's records: $(tail -n1 "$lab_dir/reader.err")"
}

# box_keys [LINE...]: in $lab_extra. $vault_key: where the recovery key is, if not in its file.
box_keys() {
	lab_extra="keyvault: {vaults: [{address: \"$vault_at\"}], certificate: $vault_dir/recovery.crt, key: \"${vault_key:-$vault_dir/recovery.key}\", ca: $vault_dir/ca.crt$(printf ', %s' "$@")}"
	(($# > 0)) || lab_extra=${lab_extra/%, \}/\}}
}
box_status() { jeebsctl status >"$lab_dir/status"; grep -qx "$1" "$lab_dir/status"; }
box_records() { jeebsctl -o json status | jq .data.keys.records; }
box_held() { jeebsctl -o json status | jq .data.keys.held; }

tls_sessions() {
	mkfifo "$lab_dir/hold.$1"
	in_ns_exec client python3 "$lab_root/bench/netns/tls-sessions.py" "10.9.0.1:$1" "$2" "$lab_dir/keylog.$1" \
		<"$lab_dir/hold.$1" >"$lab_dir/sessions.$1" 2>&1 &
	client=$!
	exec {held}>"$lab_dir/hold.$1"
	rm "$lab_dir/hold.$1"
	wait_for 10 "the sessions with port $1" grep -q ready "$lab_dir/sessions.$1"
}
# Others may have inherited the descriptor.
tls_sessions_end() {
	local fd=$1
	echo end >&"$fd"
	exec {fd}>&-
}

core_of() {
	echo 0x1ff >"/proc/$1/coredump_filter"
	"$(program gdb)" -nx -batch -iex 'set auto-solib-add off' -p "$1" -ex "gcore $2" >"$lab_dir/gdb.out" 2>&1 || true
	[[ -s $2 ]] || fail "no core of $1: $(tail -n1 "$lab_dir/gdb.out")"
}
