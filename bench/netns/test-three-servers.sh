#!/usr/bin/env bash
# Three servers that die at once are taken over side by side: a fence of two seconds holds up its own server alone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/three.sh"
lab_init
three_up "{command: [/bin/sleep, \"2\"], timeout: 10s, policy: required}"
get one http://10.9.0.1/paced/20m.bin
get two http://10.9.0.4/paced/20m.bin
get three http://10.9.0.5/paced/20m.bin
for id in one two three; do
	wait_for 10 "download $id" get_reached "$id" 2000000
done
cut_mark
for name in "${three_servers[@]}"; do
	ip -n "$(ns sw)" link set "$name" down
done
wait_for 10 "the first takeover" opened web1
wait_for 10 "the third takeover" opened web3
opened web2 && fail "the second was taken before its fence had ended"
get_wait 30 one two three
for id in one two three; do
	get_check "$id" 20m.bin
done
for name in web1 web3; do
	below_ms "$(of_server failover-open "$name" at_ms)" 1000 "$name open after its last sign of life, ms"
done
all_continued
pass "without a fence open after $(of_server failover-open web1 at_ms) and $(of_server failover-open web3 at_ms) ms, with one of 2 s after $(of_server failover-open web2 at_ms) ms"
