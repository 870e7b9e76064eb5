#!/usr/bin/env bash
# keys: live on the box: keys are opened as sessions come, into memory that no other process, core or swap has, and are cleared and erased
# when their session ends. A takeover goes on with them although no vault is there. Once with memfd_secret, and once with a kernel that
# does not have it: there root can look for them, and finds them in locked memory alone, before the takeover and after it.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need python3 openssl nginx ss jq curl gdb
lab_up
keytap_up
keyvault_up web1 10.9.0.1
vault_start
collector_start --vault "$vault_at" --wait-ms 2000
tapped_nginx 443
tapped_listen
backup_nginx 443
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_ring=4MiB
lab_capture="max_flows: 1000"
lab_services=('{port: 443, protocol: https, keys: live, backup_tls: {mode: plain}}')
box_keys
lab_extra="store: {size: 8MiB}
$lab_extra"
ulimit -c unlimited
cd "$lab_dir"
mkdir "$lab_dir/dumps"
wrap=$JEEBS_LAB_WRAP

ready() { in_ns box curl -s http://127.0.0.1:9817/readyz >"$lab_dir/readyz"; grep -q "$1" "$lab_dir/readyz"; }
# A connection that is followed holds what was derived from its keys besides.
holds_at_least() { (($(box_held) >= $1)); }
opened_are_counted() { [[ $(metric_sum jeebs_keys_opened_total) == "$1" ]]; }
holds() { [[ $(box_held) == "$1" ]]; }
kept_by_vault() { [[ $(box_records) == "$1" ]]; }
find_secrets() { python3 "$lab_root/bench/netns/find-secrets.py" "${@:2}" "$lab_dir/keylog.443" "$1"; }
no_secrets() { # WHERE OPTION...
	local found
	found=$(find_secrets "$@")
	[[ $found == 0 ]] || fail "$found secrets are in $*"
}
# as_they_come MEMORY: the box has just been started.
as_they_come() {
	wait_for 5 "readiness" ready '^ready$'
	holds 0 || fail "something is held: $(box_held)"
	[[ $(jeebsctl -o json status | jq -r '.data.keys.services[0].mode') == live ]] || fail "not live"
	rm -f "$lab_dir/keylog.443"
	tls_sessions 443 1
	wait_for 5 "the first session's keys to be opened" holds_at_least 1
	tls_sessions_end "$held"
	wait_for 5 "them to be cleared at its end" holds 0
	wait_for 5 "the vault to erase them" kept_by_vault 0
	rm "$lab_dir/keylog.443"
	tls_sessions 443 12
	wait_for 5 "all keys to be opened" holds_at_least 12
	box_status 'keys: web1:443: 13 of 13 sessions have keys' || fail "$(cat "$lab_dir/status")"
	[[ $(jeebsctl -o json status | jq -r .data.keys.memory) == "$1" ]] || fail "the memory is $(jeebsctl -o json status | jq -r .data.keys.memory)"
	wait_for 5 "13 to be counted" opened_are_counted 13
	(($(find_secrets "$client") > 0)) || fail "the client's secrets are not even in its own memory"
	no_secrets "$lab_dir/state"
	no_secrets "$vault_dir"
	event keys-opened && fail "a takeover?"
	grep -q '"live"' "$vault_dir/audit.log" || fail "the audit log does not say why"
}

# ---- memory that even root cannot read ----------------------------------------------------------------

secret=none
if python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(447, 0) < 0)'; then
	secret=memfd_secret
	appliance_start
	as_they_come $secret
	no_secrets "$appliance"
	tls_sessions_end "$held"
	wait_for 10 "the keys to be erased" kept_by_vault 0
	appliance_signal TERM
	appliance_wait 10
	rm -rf "$lab_dir/state"
	: >"$lab_dir/appliance.log"
fi

# ---- locked memory --------------------------------------------------------------------------------------

JEEBS_LAB_WRAP="$wrap python3 $lab_root/bench/netns/without-call.py 447"
appliance_start
as_they_come locked
# in_locked_alone WHEN
in_locked_alone() {
	(($(find_secrets "$appliance" --locked) > 0)) || fail "$1: no keys are in the locked memory: what is looked for?"
	no_secrets "$appliance" --not-locked
	core_of "$appliance" "$lab_dir/dumps/core"
	no_secrets "$lab_dir/dumps/core"
	rm "$lab_dir"/dumps/*
}
in_locked_alone before
wait_for 5 "readiness after the debugger" ready '^ready$'

# ---- takeover, and no vault --------------------------------------------------------------------------------

vault_kill
wait_for 5 "the vault's loss to be told" ready '^vault 10.9.0.2:9818: unreachable'
pull_cable server
wait_for 10 "the takeover" taken_over
wait_for 5 "the account of keys" event keys-opened
[[ $(event_field keys-opened opened) == 12 && $(event_field keys-opened sessions) == 12 ]] || fail "not all: $(grep -F keys-opened "$lab_dir/appliance.log")"
echo >&"$held"
wait_for 10 "all sessions to go on" grep -qx 'answered 12' "$lab_dir/sessions.443"
in_locked_alone after
grep -q failover "$vault_dir/audit.log" && fail "something was fetched at the takeover"
vault_start
wait_for 10 "the vault to be known again" box_status "vault $vault_at: up"
tls_sessions_end "$held"
wait_for 10 "the keys of sessions that are over to be cleared" holds 0
wait_for 10 "the vault to erase them" kept_by_vault 0
no_secrets "$appliance"

# ---- no core ------------------------------------------------------------------------------------------------

find_cores() { find "$lab_dir" -maxdepth 1 -name 'core*' | grep -q .; }
disown "$appliance" # bash need not tell of it
appliance_signal SEGV
wait_for 10 "the box to end" lab_ended "$appliance"
find_cores && fail "the box left a core"
pass "12 sessions with keys as they came ($secret, locked), gone on with without a vault; keys in locked memory alone, in no core, erased at the end"
