#!/usr/bin/env bash
# A second appliance started beside one that has taken over must touch nothing of it.
. "$(dirname "$0")/lib.sh"
lab_init
need nft
lab_up
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
pull_cable server
wait_for 10 "the takeover" taken_over
before=$(box_traces)
status=0
in_ns box timeout 10 "$JEEBS_BUILD/appliance/jeebs-appliance" -c "$lab_dir/appliance.yaml" \
	2>"$lab_dir/second.log" || status=$?
[[ $status == 69 ]] || fail "the second ended with $status"
grep -q store-not-opened "$lab_dir/second.log" || fail "not because of the first"
[[ $(box_traces) == "$before" ]] || fail "now there is: $(box_traces)"
get_wait 30 download
get_check download 20m.bin
pass "the first went on serving"
