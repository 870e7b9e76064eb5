#!/usr/bin/env bash
# A router fragments what a client sends. With one worker the appliance sees the fragments and refuses the connections
# between these two hosts, by name and at once. With more, the kernel puts IPv4 fragments together before it
# chooses a worker, and the connection goes on. That of another host is not concerned.
. "$(dirname "$0")/lib.sh"
lab_init
need ss
lab_up --router --no-offload
lab_workers=${1:-1}

# Segments of 1500 bytes, which may be fragmented, meet a route of 1000.
in_ns client sysctl -qw net.ipv4.ip_no_pmtu_disc=1
ip -n "$(ns router)" route change 10.9.0.0/24 dev eth0 mtu lock 1000
ip -n "$(ns client)" address add 10.8.0.11/24 dev eth0
usual_start

fragments() {
	in_ns router awk '/^Ip:/ && at { print $at } /^Ip:/ { for (i = 1; i <= NF; i++) if ($i == "FragCreates") at = i }' /proc/net/snmp
}
arrived() { (($(in_ns server ss -Hti state established sport = :80 | grep -oE 'bytes_received:[0-9]+' | awk -F: '$2 > 50' | wc -l) == 2)); }

printf -v cookie '%01200d' 0
get large --interface 10.8.0.10 -H "Cookie: $cookie" http://10.9.0.1/held/1k.bin
get small --interface 10.8.0.11 http://10.9.0.1/held/1k.bin
wait_for 10 "both requests to arrive" arrived
(($(fragments) >= 2)) || fail "$(fragments) fragments made: nothing was tried"
pull_cable server
get_wait 30 large small
get_check small 1k.bin
wait_for 10 "the summary of the failover" event failover-summary
took=$(($(date -r "$lab_dir/get/large.exit" +%s%3N) - $(date -d "@$(cat "$lab_dir/cut")" +%s%3N)))
if ((lab_workers > 1)); then
	get_check large 1k.bin
	pass "$lab_workers workers: put together by the kernel, answered after $took ms"
fi
[[ $(get_exit large) == 56 ]] || fail "curl ended with $(get_exit large), not by a reset: $(get_error large)"
event connection-refused '"reason":"ip-fragments"' || fail "refused because of '$(event_field connection-refused reason)'"
[[ $(event_field failover-summary refused) == 1 ]] || fail "$(event_field failover-summary refused) refused"
below_ms "$took" 1500 "from the cut to the reset, ms"
pass "reset after $took ms, the other host's went on"
