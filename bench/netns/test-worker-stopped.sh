#!/usr/bin/env bash
# All capture threads stand still, as in a module that never returns. What is held lives on, another server is taken over
# without its connections, operators are answered, and the process ends when it is told to.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/three.sh"
lab_init
need jq python3
three_up

ready() { in_ns box curl -s http://127.0.0.1:9817/readyz; }
not_ready_for_it() { [[ $(ready) == *"stands still"* ]]; }
capture_threads() { grep -lx capture /proc/"$appliance"/task/*/comm | sed -E 's|.*/task/([0-9]+)/.*|\1|'; }

get_rate=500000 get one http://10.9.0.1/20m.bin
get_rate=500000 get two http://10.9.0.4/20m.bin
wait_for 10 "the downloads" get_reached one 100000
wait_for 10 "the downloads" get_reached two 100000
pull_cable server
wait_for 10 "the first takeover" opened web1
# shellcheck disable=SC2046
in_ns_exec box python3 "$lab_root/bench/netns/stand-still.py" $(capture_threads) >"$lab_dir/still" 2>&1 &
still=$!
wait_for 10 "the threads to stand still" grep -q 'all stand still' "$lab_dir/still"

jeebsctl show connections >"$lab_dir/shown" 2>&1 && fail "connections are shown, and nobody knows them"
grep -q 'do not answer' "$lab_dir/shown" || fail "$(cat "$lab_dir/shown")"
jeebsctl status >"$lab_dir/shown" 2>&1 || true # its status tells of a takeover
grep -q '1 carried on' "$lab_dir/shown" || fail "no status: $(cat "$lab_dir/shown")"
wait_for 10 "readiness to say so" not_ready_for_it
ip -n "$(ns sw)" link set second down
wait_for 20 "the second takeover" opened web2
event worker-lost '"server":"web2"' || fail "nobody says that connections are lost"
get_hurry
get_wait 60 one two
get_check one 20m.bin
(($(get_exit two) != 0)) || fail "the second download ended well"

appliance_signal TERM
wait_for 5 "the announcement" event still-serving
appliance_signal TERM
wait_for 5 "the end" event ended-without-threads
kill "$still" # a process is there as long as somebody traces one of its threads
appliance_wait 10
[[ $appliance_status == 70 ]] || fail "exit status $appliance_status"
[[ -z $(box_traces | grep -v control.sock) ]] || fail "left behind: $(box_traces)"
pass "a download went on, another server was taken without its connections, and all ended, with every capture thread stopped"
