#!/usr/bin/env bash
# Behind a router the path takes packets of 1280 bytes only, and nobody says so: the ICMP errors are filtered. The old
# server has found out (tcp_mtu_probing), the box does not probe.
. "$(dirname "$0")/lib.sh"
lab_init
need nft ss
lab_up --router
. "$(dirname "$0")/small-mtu.sh"
small_path 1280
in_ns server sysctl -qw net.ipv4.tcp_mtu_probing=1
usual_start
make_files 100m.bin

event mtu-probing-off net.ipv4.tcp_mtu_probing || fail "the log does not name the sysctl"
in_ns box "$JEEBS_BUILD/appliance/jeebs-appliance" -t -c "$lab_dir/appliance.yaml" >"$lab_dir/check.out" 2>&1
grep -q net.ipv4.tcp_mtu_probing "$lab_dir/check.out" || fail "-t said: $(cat "$lab_dir/check.out")"

get four http://10.9.0.1/paced/100m.bin
get six "http://[fd09::1]/paced/100m.bin"
get chunked http://10.9.0.1/chunked/100m.bin
for id in four six chunked; do
	wait_for 20 "download '$id'" get_reached "$id" 3000000
done
largest=$(segments server | tail -n1)
((largest <= 1228)) || fail "the old server sends segments of $largest bytes"
# Nothing but small segments has ever come to this client: how large they may be nobody knows.
get held http://10.9.0.1/held/1m.bin
wait_for 5 "four connections" connections 4
pull_cable server
wait_for 5 "sockets of the box with such segments" no_larger box "$largest" 3
get_wait 30 four six chunked
for id in four six chunked; do
	get_check "$id" 100m.bin
done
all_continued
# One in which the old server had just tried a larger segment has a hole, which is filled by a timer.
below_ms "$(longest_stall four six chunked)" 5000 "longest stall, ms"

# What does not get through is not called continued; with the sysctl it does.
wait_for 10 "three continued" account_is continuing 1
account_is continued 3 || fail "not three continued: $(jeebsctl show failovers)"
! get_ended held || fail "client 'held': exit $(get_exit held)"
in_ns box sysctl -qw net.ipv4.tcp_mtu_probing=1
get_wait 60 held
get_check held 1m.bin
all_settled
((account_continued == 4)) || fail "$account_continued continued"
pass "segments of at most $largest bytes, longest stall $(longest_stall four six chunked) ms"
