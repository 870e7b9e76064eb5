#!/usr/bin/env bash
# Anybody can send segments with a dead server's address, and say by ARP that he has it: neither keeps it alive, from
# before its death on, nor calls off a takeover that the operator orders after a fence.
. "$(dirname "$0")/lib.sh"
lab_init
need python3 jq
lab_up
forge() { in_ns_exec backup /usr/bin/python3 "$here/forger.py" eth0 10.9.0.1 10.9.0.10 "$(in_ns server cat /sys/class/net/eth0/address)" "$(in_ns box cat /sys/class/net/eth0/address)" >"$lab_dir/forger.log" 2>&1 & }
here=$(dirname "$(readlink -f "$0")")
if [[ ${lab_order:-} ]]; then # the fence is what makes it silent
	printf '#!/bin/sh\nip -n %s link set server down\n' "$(ns sw)" >"$lab_dir/fence"
else
	printf '#!/bin/sh\nexit 0\n' >"$lab_dir/fence"
fi
chmod 755 "$lab_dir/fence"
lab_fence="{command: [$lab_dir/fence], timeout: 5s, policy: required}"
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
forge
wait_for 5 "the forger" grep -q forging "$lab_dir/forger.log"
if [[ ${lab_order:-} ]]; then
	cut_mark
	jeebsctl failover web1 >/dev/null
else
	pull_cable server
fi
wait_for 3 "the takeover" taken_over
event failover-aborted && fail "called off: $(event_field failover-aborted reason)"
get_wait 30 download
get_check download 20m.bin
# What was forged may be taken for a connection, too, if it came before the takeover: of that no client was ever seen.
forged='"client":"10.9.0.10:4000[0-3]".*"reason":"handshake-not-seen"'
wait_for 5 "the summary of the failover" event failover-summary
(($(event_field failover-summary refused) == $(grep -F '"event":"connection-refused"' "$lab_dir/appliance.log" | grep -c "$forged" || true))) ||
	fail "refused: $(event_field failover-summary refused): $(event_field connection-refused reason)"
event connection-aborted && fail "a connection was aborted: $(event_field connection-aborted reason)"
account_adds_up
pass "taken over while 4 segments and 20 ARP replies a second said that it lives"
