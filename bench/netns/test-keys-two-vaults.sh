#!/usr/bin/env bash
# Two vaults, one of them on the box. `store: all` (closed): nobody is served while one of them is away; `any`: everybody is, and
# the one that was away gets what it has missed. At a takeover the box takes keys from the one that is left.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need python3 openssl nginx ss jq curl
lab_up
keytap_up
keyvault_up web1 10.9.0.1
cp -a "$vault_dir" "$lab_dir/vault2" # the same vault's certificate, and a store of its own
second_at=10.9.0.3:9818
second_serves() { (($(grep -c vault-serves "$lab_dir/vault2.log") > $1)); }
second_start() {
	local before
	before=$(grep -c vault-serves "$lab_dir/vault2.log") || true
	in_ns_exec box "$keyvault" serve --dir "$lab_dir/vault2" --listen "$second_at" >>"$lab_dir/vault2.log" 2>&1 &
	second=$!
	wait_for 5 "the second vault" second_serves "$before"
}
second_kill() {
	kill -KILL "$second"
	wait "$second" 2>/dev/null || true
}
: >"$lab_dir/vault2.log"
vault_start
second_start
tapped_nginx 443
tapped_listen
backup_nginx 443

get() { in_ns client curl -sSk --max-time 10 -H 'Connection: close' https://10.9.0.1/ >"$lab_dir/answer" 2>"$lab_dir/curl.err"; }
# there DIR AT: how many records are, each of which opens
there() {
	in_ns box "$JEEBS_BUILD/keyvault/vault/vault-reader" "$1" "$2" >"$lab_dir/there" 2>"$lab_dir/reader.err" || fail "$2: $(tail -n1 "$lab_dir/reader.err")"
	grep -c '"record"' "$lab_dir/there"
}
both=(--vault "$vault_at" --vault "$second_at" --on-vault-loss closed --wait-ms 500)
connected() { kill -USR1 "$collector"; [[ $(awk '/^jeebs_keytapd_vault_connected/ { n += $2 } END { print n + 0 }' "$lab_dir/keytapd.prom") == 2 ]]; }
# Both workers have heard what holds now.
welcomed() { get && kill -USR1 "$collector" && (($(counter peers) >= 1)); }

# ---- all ------------------------------------------------------------------------------------------

collector_start "${both[@]}" --store all
wait_for 10 "both vaults" connected
wait_for 10 "handshakes" get
second_kill
! get || fail "all: served, and one vault was away"
second_start
wait_for 10 "handshakes again" get
vault_kill
! get || fail "all: served, and the other vault was away"
vault_start
wait_for 10 "handshakes again" get
collector_end TERM

# ---- any ------------------------------------------------------------------------------------------

collector_start "${both[@]}" --store any
wait_for 10 "both vaults" connected
wait_for 10 "handshakes" welcomed
second_kill
for _ in 1 2 3; do get || fail "any: not served, and one vault was there: $(cat "$lab_dir/curl.err")"; done
second_start
vault_kill
for _ in 1 2 3; do get || fail "any: not served, and the other vault was there: $(cat "$lab_dir/curl.err")"; done
vault_start
wait_for 10 "both vaults again" connected
stored() { kill -USR1 "$collector"; [[ $(counter queue_records) == 0 ]]; }
wait_for 10 "the one that was away to get what it missed" stored
first=$(there "$vault_dir" "$vault_at")
((first >= 10 && first == $(there "$lab_dir/vault2" "$second_at"))) || fail "the vaults do not have the same: $first and $(there "$lab_dir/vault2" "$second_at")"

# ---- the box ----------------------------------------------------------------------------------------

lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_services=('{port: 443, protocol: https, keys: sealed, backup_tls: {mode: plain}}')
box_keys
lab_extra=${lab_extra/\[\{address: \"$vault_at\"\}\]/[{address: \"$vault_at\"\}, {address: \"$second_at\"\}]}
appliance_start
wait_for 5 "the first vault to be known" box_status "vault $vault_at: up"
wait_for 5 "the second vault to be known" box_status "vault $second_at: up"
tls_sessions 443 6
wait_for 5 "the sessions' keys" box_status 'keys: web1:443: 6 of 6 sessions have keys'
wait_for 10 "both to have them" stored
vault_kill
wait_for 5 "the first vault's loss to be told" eval 'jeebsctl status | grep -q "^vault $vault_at: down"'
in_ns box curl -s http://127.0.0.1:9817/readyz | grep -qx ready || fail "not ready with one vault"
pull_cable server
wait_for 10 "the keys to be opened" event keys-opened
[[ $(event_field keys-opened opened) == 6 && ! $(event_field keys-opened refused_because) ]] || fail "not all: $(grep -F keys-opened "$lab_dir/appliance.log")"
echo >&"$held"
wait_for 10 "all sessions to go on" grep -qx 'answered 6' "$lab_dir/sessions.443"
pass "all: nobody is served while one of two vaults is away; any: everybody, and it gets what it missed; 6 sessions go on with keys of the one that is left"
