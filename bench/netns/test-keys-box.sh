#!/usr/bin/env bash
# The box and the keys of sessions: which of them have keys, with the tap and without; none are in its memory or files before
# the takeover, which opens all there are; an operator approves; what is over is erased.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need python3 openssl nginx stunnel4 ss jq curl gdb
lab_up
keytap_up
keyvault_up web1 10.9.0.1
vault_start
collector_start --vault "$vault_at" --wait-ms 2000
tapped_nginx 443
tapped_listen
tapped=(env) # as a server that the tap cannot serve
tapped_stunnel 8443
tapped_listen
backup_nginx 443
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_ring=4MiB
lab_capture="max_flows: 1000"
lab_services=('{port: 443, protocol: https, keys: sealed, backup_tls: {mode: plain}}' '{port: 8443, protocol: https, keys: sealed, backup_tls: {mode: plain}}')
box_keys "approve: operator"
lab_extra="store: {size: 8MiB}
$lab_extra"
ulimit -c unlimited
cd "$lab_dir"
appliance_start
ready() { in_ns box curl -s http://127.0.0.1:9817/readyz >"$lab_dir/readyz"; grep -q "$1" "$lab_dir/readyz"; }
wait_for 5 "readiness" ready '^ready$'
wait_for 5 "the vault to be known" box_status "vault $vault_at: up"

tls_sessions 443 1
once=$held
wait_for 5 "the session's keys" box_status 'keys: web1:443: 1 of 1 sessions have keys'
tls_sessions_end "$once"
erased() { [[ $(box_records) == 0 ]]; }
wait_for 5 "the keys of a session that is over to be erased" erased
rm "$lab_dir/keylog.443"
tls_sessions 443 12
kept=$held
wait_for 5 "the sessions' keys" box_status 'keys: web1:443: 13 of 13 sessions have keys'
ready '^ready$' || fail "not ready: $(cat "$lab_dir/readyz")"
[[ $(box_records) == 12 ]] || fail "$(box_records) records"

# ---- nowhere but sealed ------------------------------------------------------------------------

find_secrets() { python3 "$lab_root/bench/netns/find-secrets.py" "$lab_dir/keylog.443" "$@"; }
(($(find_secrets "$client") > 0)) || fail "the client's secrets are not even in its own memory"
# Nor in what a debugger would write as its core, with all that a core can have.
mkdir "$lab_dir/dumps"
core_of "$client" "$lab_dir/dumps/client"
core_of "$appliance" "$lab_dir/dumps/box"
(($(find_secrets "$lab_dir/dumps/client") > 0)) || fail "the client's secrets are not even in its own core"
for it in "$appliance" "$lab_dir/state" "$vault_dir" "$lab_dir/dumps/box"; do
	found=$(find_secrets "$it")
	[[ $found == 0 ]] || fail "$found secrets are in $it"
done
wait_for 5 "readiness after the debugger" ready '^ready$'

# ---- without the tap -----------------------------------------------------------------------------

tls_sessions 8443 4
wait_for 5 "sessions without keys to be seen" ready '^web1:8443: 0 of 4 sessions have keys$'
box_status 'keys: web1:443: 13 of 13 sessions have keys' || fail "$(cat "$lab_dir/status")"
bare() { [[ $(metric_sum 'jeebs_keys_sessions{server="web1",keys="false"}') == 4 && $(metric_sum jeebs_server_ready) == 0 ]]; }
wait_for 5 "the metrics to say so" bare
wait_for 5 "the log to say so" event sessions-without-keys web1:8443

# ---- takeover -------------------------------------------------------------------------------------

pull_cable server
refused_without() { [[ $(jq -s '[.[] | select(.event == "connection-refused" and .reason == "keys-missing")] | length' "$lab_dir/appliance.log") == 4 ]]; }
asked() { jeebsctl approve >"$lab_dir/approve" && grep -q ' 16 ' "$lab_dir/approve"; }
wait_for 10 "the operator to be asked" asked
failover=$(jeebsctl -o json approve | jq -r '.data[0].failover')
[[ $failover == web1-* ]] || fail "no failover: $(cat "$lab_dir/approve")"
event keys-opened && fail "opened before it was approved"
jeebsctl approve "$failover" </dev/null >"$lab_dir/approved" || fail "not approved: $(cat "$lab_dir/approved")"
grep -q 'web1 (host-down).*keys of 16 sessions (tls)' "$lab_dir/approved" || fail "no facts: $(cat "$lab_dir/approved")"
wait_for 5 "the keys to be opened" event keys-opened "$failover"
[[ $(event_field keys-opened opened) == 12 && $(event_field keys-opened sessions) == 16 ]] ||
	fail "not all were opened: $(grep -F keys-opened "$lab_dir/appliance.log")"
[[ $(event_field keys-opened refused_because) == "missing: 4" ]] || fail "not by name: $(event_field keys-opened refused_because)"
counted() { [[ $(metric_sum jeebs_keys_opened_total) == 12 && $(metric_sum 'jeebs_keys_refused_total{reason="missing"}') == 4 ]]; }
wait_for 5 "the metrics" counted
grep -q "\"$failover, approved by uid 0\"" "$vault_dir/audit.log" || fail "the vault's audit log does not say who approved"
"$keyvault" verify "$vault_dir" >/dev/null || fail "the audit log"
[[ $(box_held) -ge 12 ]] || fail "opened, and $(box_held) held"
wait_for 10 "those without keys to be refused" refused_without
echo >&"$kept"
wait_for 10 "the others to go on" grep -qx 'answered 12' "$lab_dir/sessions.443"
tls_sessions_end "$kept"
tls_sessions_end "$held"
wait_for 10 "the keys of sessions that are over to be erased" erased
[[ $(box_held) == 0 ]] || fail "$(box_held) keys are held that nobody uses"

# ---- no core ----------------------------------------------------------------------------------------

find_cores() { find "$lab_dir" -maxdepth 1 -name 'core*' | grep -q .; }
# Others leave one here.
bash -c "sh -c 'kill -ABRT \$\$'; true" 2>/dev/null
find_cores || fail "nobody leaves a core here: $(cat /proc/sys/kernel/core_pattern)"
rm "$lab_dir"/core*
disown "$appliance" # bash need not tell of it
appliance_signal ABRT
wait_for 10 "the box to end" lab_ended "$appliance"
find_cores && fail "the box left a core"
pass "13 of 13 sessions have keys, 0 of 4 without the tap; no secret in memory, core, store or vault; 12 opened after approval, gone on with, then erased"
