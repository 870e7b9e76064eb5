#!/usr/bin/env bash
# The fence program is called before the address moves; when it must succeed and does not, nothing is
# taken.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
cat >"$lab_dir/fence" <<END
#!/bin/sh
if ip address show dev eth0 2>/dev/null | grep -q ' 10.9.0.1/'; then echo yes; else echo no; fi >$lab_dir/fence-address
exit "\$(cat $lab_dir/fence-status)"
END
chmod 755 "$lab_dir/fence"
echo 1 >"$lab_dir/fence-status"
lab_fence="{command: [$lab_dir/fence], timeout: 5s, policy: required}"
usual_start

get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
pull_cable server
wait_for 10 "the takeover to be called off" event failover-aborted
[[ -z $(box_traces | grep -v control.sock) ]] || fail "not fenced, and yet: $(box_traces)"
# It is tried again, later each time, and until then everybody who asks is told why not.
ready() { in_ns box curl -s http://127.0.0.1:9817/readyz; }
[[ $(ready) == *"web1: fence-failed"* ]] || fail "readiness says: $(ready)"
again() { jq -r 'select(.event == "failover-again") | .in_ms | floor' "$lab_dir/appliance.log" | paste -sd' '; }
twice_as_long() { [[ $(again) == "1000 2000 4000"* ]]; }
wait_for 15 "the third attempt, 3 s after the first" twice_as_long
echo 0 >"$lab_dir/fence-status"
jeebsctl failover web1 >/dev/null
wait_for 10 "the takeover" taken_over
[[ $(cat "$lab_dir/fence-address") == no ]] || fail "the address had moved before the fence was called"
get_wait 30 download
get_check download 20m.bin
pass "called off while the fence failed, taken when it worked"
