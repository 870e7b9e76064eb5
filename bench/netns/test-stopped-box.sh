#!/usr/bin/env bash
# The box stands still for a second while 10 MB/s pass: what came meanwhile waits in its rings, of the default
# size. It is read, nothing is lost, nobody is declared dead for it; and at the cut every connection goes on.
# Alone: it measures a second, and what passes in it.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up --no-offload # so that there are many frames
lab_ring=128MiB
usual_start
make_files 8m.bin

downloads=(a b c d e f g h i j)
passed() {
	local id n=0
	for id in "${downloads[@]}"; do n=$((n + $(get_bytes "$id"))); done
	echo "$n"
}
passed_more() { (($(passed) >= before + 10000000)); }
dropped() { metric_sum 'jeebs_capture_dropped_packets_total'; }

for id in "${downloads[@]}"; do get_rate=1000000 get "$id" http://10.9.0.1/8m.bin; done
for id in "${downloads[@]}"; do wait_for 20 "the download $id" get_reached "$id" 1000000; done
(($(dropped) == 0)) || fail "$(dropped) packets lost before it was stopped"
before=$(passed)
began=$(date +%s%N)
appliance_signal STOP
wait_for 10 "10 MB to pass" passed_more
appliance_signal CONT
stopped=$((($(date +%s%N) - began) / 1000000))
stays 1 no_takeover
(($(dropped) == 0)) || fail "$(dropped) packets lost in $stopped ms"
pull_cable server
get_wait 60 "${downloads[@]}"
for id in "${downloads[@]}"; do get_check "$id" 8m.bin; done
all_continued
(($(dropped) == 0)) || fail "$(dropped) packets lost in $stopped ms or at the cut"
pass "stopped for $stopped ms; ${#downloads[@]} downloads, stall $(longest_stall "${downloads[@]}") ms"
