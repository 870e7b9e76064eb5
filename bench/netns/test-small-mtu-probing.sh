#!/usr/bin/env bash
# The same path, and clients in all phases, also those who have had small segments only: of them nobody knows what gets
# through, and the box's own sockets find it out.
. "$(dirname "$0")/lib.sh"
lab_init
need nft ss
lab_up --router
. "$(dirname "$0")/small-mtu.sh"
small_path 1280
in_ns server sysctl -qw net.ipv4.tcp_mtu_probing=1
in_ns backup sysctl -qw net.ipv4.tcp_mtu_probing=1
in_ns box sysctl -qw net.ipv4.tcp_mtu_probing=1
usual_start
! event mtu-probing-off || fail "the log complains of the sysctl"
phases_survive 20
all_settled
((account_continued == 20)) || fail "$account_continued of 20 continued"
pass "$(phases_summary)"
