#!/usr/bin/env bash
# The recovery key is in a token (PKCS#11) that stops to answer: when the box has to show it to the vault again, and when keys
# are to be opened. The box answers meanwhile; a takeover goes on in time with all that needs no keys, and refuses the
# rest by name at the deadline. When the token answers again, the box is ready again.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need python3 openssl nginx haproxy softhsm2-util pkcs11-tool ss jq curl
lab_up
keytap_up
make_files 1k.bin 20m.bin
start_nginx server
start_nginx backup
keyvault_up web1 10.9.0.1
vault_start
collector_start --vault "$vault_at" --wait-ms 2000
tapped_haproxy 443
tapped_listen

# ---- the token -------------------------------------------------------------------------------------

softhsm=$(find /usr/lib -name libsofthsm2.so -print -quit)
[[ $softhsm ]] || fail "no libsofthsm2.so"
export SOFTHSM2_CONF=$lab_dir/softhsm2.conf
mkdir "$lab_dir/tokens"
printf '%s\n' "directories.tokendir = $lab_dir/tokens" "objectstore.backend = file" >"$SOFTHSM2_CONF"
{
	softhsm2-util --init-token --free --label box --so-pin 12345678 --pin 5678
	openssl pkey -in "$vault_dir/recovery.key" -pubout -outform DER -out "$lab_dir/recovery.pub"
	for it in privkey:$vault_dir/recovery.key pubkey:$lab_dir/recovery.pub; do
		pkcs11-tool --module "$softhsm" --token-label box --login --pin 5678 --write-object "${it#*:}" --type "${it%%:*}" \
			--usage-derive --usage-sign --label recovery --id 01
	done
} >"$lab_dir/token.out" 2>&1 || fail "the token: $(tail -n1 "$lab_dir/token.out")"
mv "$vault_dir/recovery.key" "$lab_dir/kept.key"
export HANGING_TOKEN=$lab_dir/token-hangs HANGING_TOKEN_OF=$softhsm
export PKCS11_MODULE_PATH=$JEEBS_BUILD/keyvault/seal/hanging-token.so
[[ -e $PKCS11_MODULE_PATH ]] || fail "no $PKCS11_MODULE_PATH"

lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_services=('{port: 443, protocol: https, keys: sealed, backup_tls: {mode: plain}}' '{port: 80, protocol: http}')
vault_key='pkcs11:token=box;object=recovery;type=private?pin-value=5678'
box_keys "deadline: 5s"
appliance_start --debug
ready() { in_ns box curl -s http://127.0.0.1:9817/readyz >"$lab_dir/readyz"; grep -q "$1" "$lab_dir/readyz"; }
wait_for 5 "readiness" ready '^ready$'
tls_sessions 443 8
wait_for 5 "the sessions' keys" box_status 'keys: web1:443: 8 of 8 sessions have keys'

# ---- it does not sign: the vault is not reached again ------------------------------------------------

: >"$HANGING_TOKEN"
vault_kill
vault_start
wait_for 15 "the token to be told of" ready 'our own key does not sign'
answers() { timeout 10 ip netns exec "$(ns box)" "$JEEBS_BUILD/appliance/jeebsctl" --socket "$lab_dir/control.sock" status >"$lab_dir/status"; }
answers || fail "the box does not answer while the token does not"
rm "$HANGING_TOKEN"
wait_for 15 "readiness again" ready '^ready$'

# ---- it does not agree on a key: the deadline -----------------------------------------------------------

get_rate=2000000 get plain http://10.9.0.1/20m.bin
wait_for 10 "the download" get_reached plain 1000000
: >"$HANGING_TOKEN"
pull_cable server
wait_for 10 "the takeover" taken_over
get_hurry
get_wait 30 plain
get_check plain 20m.bin
(($(longest_stall plain) < 4500)) || fail "the download waited for the token: $(longest_stall plain) ms"
wait_for 10 "the keys' deadline" event keys-opened
took=$(event_field keys-opened took_ms)
[[ $(event_field keys-opened refused_because) == "deadline: 8" ]] || fail "not by name: $(event_field keys-opened refused_because)"
((${took%.*} >= 5000 && ${took%.*} < 7000)) || fail "the deadline of 5 s was not kept: $took ms"
wait_for 10 "the connections to be refused" event failover-settled
[[ $(jq -s '[.[] | select(.event == "connection-refused" and .reason == "keys-deadline")] | length' "$lab_dir/appliance.log") == 8 ]] ||
	fail "not refused by name: $(event_field connection-refused reason)"
in_ns client curl -sf -o /dev/null http://10.9.0.1/1k.bin || fail "new connections do not reach the backup"

# ---- and again -------------------------------------------------------------------------------------------

rm "$HANGING_TOKEN"
appliance_signal TERM
wait_for 5 "the first signal to be announced" event still-serving
appliance_signal TERM
appliance_wait 15
[[ $appliance_status == 0 ]] || fail "exit status $appliance_status: $(tail -n1 "$lab_dir/appliance.log")"
pass "a token that does not answer: readiness says so, a takeover goes on ($(longest_stall plain) ms), 8 refused after ${took%.*} ms"
