#!/usr/bin/env bash
# An address has one owner: a living server is not taken over on a mere word, and when a dead one comes back
# that is said aloud.
. "$(dirname "$0")/lib.sh"
lab_init
need jq
lab_up
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
jeebsctl failover web1 >"$lab_dir/failover.txt" 2>&1 || true
wait_until 2 event failover-aborted || true
event failover-address && fail "the address of a living server was taken"
[[ -z $(box_traces | grep -v control.sock) ]] || fail "left behind: $(box_traces)"
get_wait 30 download
get_check download 20m.bin

get second http://10.9.0.1/paced/20m.bin
wait_for 10 "the second download" get_reached second 4000000
pull_cable server
get_wait 30 second
get_check second 20m.bin
all_continued
ip -n "$(ns sw)" link set server up
ip -n "$(ns client)" neighbour flush all # somebody asks who has the address: both answer
get question http://10.9.0.1/1k.bin
wait_for 10 "the conflict to be noticed" event address-conflict
pass "not taken while alive; conflict noticed when it came back"
