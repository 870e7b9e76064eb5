#!/usr/bin/env bash
# A flood at the protected address overruns rings of four blocks, whose readers hardly get a processor, while connections
# go through all phases; the flood goes on over the cut. What the rings lost is counted and marked. Each
# connection goes on byte for byte, or is refused with its reason and reset at once; none hangs.
# Alone: it fills a ring faster than it is read.
. "$(dirname "$0")/lib.sh"
lab_init
need jq chrt
JEEBS_LAB_RECORD=no # tcpdump would take its part of the processors
lab_up --no-offload # so that what is lost are single segments
lab_ring=4MiB
usual_start

metric() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" '$1 == m { print $2 }'; }
dropped() { metric 'jeebs_capture_dropped_packets_total{interface="eth0",where="ring"}'; }
gaps() { metric 'jeebs_tcp_gaps_total{server="web1",direction="to-client"}'; }
overrun() { (($(dropped) > 10000 && $(gaps) > 50)); }

# How the threads that read the rings are scheduled.
readers() {
	local task
	for task in /proc/"$appliance"/task/*; do
		[[ $(<"$task/comm") != capture ]] || chrt "$1" -p 0 "${task##*/}"
	done
}

# Of a connection that goes on nevertheless, and one that cannot.
explained() {
	local verdict client
	for verdict in continue refuse; do
		client=$(jeebsctl -o json show connections | jq -er "[.data[] | select(.verdict == \"$verdict\")][0].client") || return
		jeebsctl -o json explain "$client" >"$lab_dir/explained" || true
		jq -e '.data.marks | index("capture-drops")' "$lab_dir/explained" &&
			grep 'The ring dropped packets while it lived' "$lab_dir/explained" || return
	done
}

many all --host 10.9.0.1 --count 200 --phases "$all_phases" --timeout 40
many_ready all
(($(dropped) == 0)) || note "$(dropped) packets dropped before the flood"
floods=()
for i in 1 2; do
	in_ns_exec client "$lab_tools/flood" 10.9.0.1 9 1000 2>>"$lab_dir/flood.log" &
	floods+=($!)
done
readers --idle
wait_for 20 "the rings to overrun" overrun
readers --other
event capture-dropped || fail "the log does not say that packets were dropped"
wait_for 10 "connections to be explained" explained
pull_cable server
wait_for 20 "the takeover" taken_over
kill "${floods[@]}"
get_wait 60 all
every_fate all
((fates_refused > 0)) || fail "nothing was refused: nothing was lost?"
pass "$(dropped) packets dropped, $(gaps) holes; $fates_ok went on, $fates_refused refused ($fates_why)"
