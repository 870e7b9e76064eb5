#!/usr/bin/env bash
# A box that may not rehearse its firewall does not say that a takeover would work; unless its operator says that he knows.
. "$(dirname "$0")/lib.sh"
lab_init
need setpriv jq
lab_up
JEEBS_LAB_WRAP="$JEEBS_LAB_WRAP setpriv --bounding-set -sys_admin"
usual_start

ready_is() { # CODE TEXT
	[[ $(in_ns box curl -s -o "$lab_dir/readyz" -w '%{http_code}' http://127.0.0.1:9817/readyz) == "$1" ]] && grep -qF -- "$2" "$lab_dir/readyz"
}
firewall_is() { [[ $(jeebsctl show servers -o json | jq -r '.data[0].firewall.state') == "$1" ]]; }

wait_for 10 "the rehearsal to fail" event firewall-not-rehearsed
wait_for 10 "/readyz to say so" ready_is 503 "web1: firewall-not-rehearsed"
firewall_is firewall-not-rehearsed || fail "$(jeebsctl show servers -o json)"
appliance_signal TERM
appliance_wait 10

: >"$lab_dir/appliance.log"
lab_extra='recovery: {rehearsal: off}'
appliance_start
wait_for 10 "/readyz to be content" ready_is 200 ready
firewall_is firewall-not-asked || fail "$(jeebsctl show servers -o json)"
event firewall-not-rehearsed && fail "rehearsed all the same"
pass "not ready while nobody knows, ready when the operator does"
