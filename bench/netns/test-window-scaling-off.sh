#!/usr/bin/env bash
# Clients without window scaling.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
in_ns client sysctl -qw net.ipv4.tcp_window_scaling=0
phases_survive 50
pass "$(phases_summary)"
