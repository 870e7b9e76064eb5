#!/usr/bin/env bash
# SIGTERM after a takeover: the first is announced and the downloads go on, the second ends it.
. "$(dirname "$0")/lib.sh"
lab_init
need nft
lab_up
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
pull_cable server
wait_for 10 "the takeover" taken_over
appliance_signal TERM
wait_for 5 "the announcement" event still-serving
get_wait 30 download
get_check download 20m.bin
lab_alive "$appliance" || fail "one SIGTERM was enough"
appliance_signal TERM
appliance_wait 5
[[ $appliance_status == 0 ]] || fail "exit status $appliance_status"
[[ -z $(box_traces) ]] || fail "left behind: $(box_traces)"
pass "served on, then left nothing"
