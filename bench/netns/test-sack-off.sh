#!/usr/bin/env bash
# Clients without selective acknowledgement.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
in_ns client sysctl -qw net.ipv4.tcp_sack=0
phases_survive 50
pass "$(phases_summary)"
