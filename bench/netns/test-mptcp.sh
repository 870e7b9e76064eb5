#!/usr/bin/env bash
# Multipath TCP: a connection that negotiated it is refused with that reason; one that only asked for it, of a
# server that does not have it, has fallen back to plain TCP and continues, as does a plain client of a server that has.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
need python3 nft ss
need_kernel 6.7 "net.mptcp.close_timeout"
lab_up
in_ns client python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)' 2>/dev/null ||
	skip "this kernel has no MPTCP"
# How long a client without any subflow hopes for another one; its program learns nothing before.
in_ns client sysctl -qw net.mptcp.close_timeout=2 || skip "this kernel's MPTCP has no close_timeout"
make_files 1k.bin 108k.bin
mkdir -p "$lab_dir/marks"
states_server server 10.9.0.1
states_server server fd09::1 mptcp
start_nginx backup
states_rules
appliance_start --debug

half="/108k.bin?hold=100000&close&gate"
talk fallback 47001 mptcp "get:$half=g1" read:100000 mark:read1 eof
talk_host=fd09::1
talk real 47002 mptcp "get:$half=g2" read:100000 mark:read2 eof
talk plain 47003 "get:$half=g3" read:100000 mark:read3 eof
for i in 1 2 3; do wait_mark "read$i"; done
[[ $(in_ns client ss -HtinM dport = :80) == *:47002* ]] || fail "MPTCP was not negotiated"
pull_cable server
get_wait 30 fallback real plain
get_check fallback 108k.bin
get_check plain 108k.bin
expect_fate 47001 "continued range"
expect_fate 47002 "refused mptcp"
expect_fate 47003 "continued range"
[[ $(get_exit real) == 1 && $(get_field real bytes) == 100000 ]] || fail "real MPTCP: $(get_error real)"
pass "real MPTCP refused after $(ended_after real) ms: $(get_error real); fallback continued"
