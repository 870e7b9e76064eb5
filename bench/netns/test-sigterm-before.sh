#!/usr/bin/env bash
# SIGTERM while the server lives: the appliance ends and leaves nothing behind.
. "$(dirname "$0")/lib.sh"
lab_init
need nft
lab_up
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
appliance_signal TERM
appliance_wait 5
[[ $appliance_status == 0 ]] || fail "exit status $appliance_status"
[[ -z $(box_traces) ]] || fail "left behind: $(box_traces)"
get_wait 30 download
get_check download 20m.bin
pass "nothing left, the download never noticed"
